"""`watch …` as typed → `WatchCommand`. Pure. Whoever is named is known by Slack's id: a name alone says nothing."""

from __future__ import annotations

import difflib
import re
from typing import Final

from bot.watched import LONGEST_LABEL, LONGEST_SNOOZE_D, MOST_LABELS, WatchCommand
from probes.model import Target, UsageError, shown

FORMS: Final = (
    "`watch add HOST[:PORT]`, `watch list`, `watch remove HOST`, `watch snooze HOST 3d`, `watch sweep` and "
    "`watch import` (with a file)"
)
_ACTS: Final = ("add", "list", "remove", "snooze", "import", "sweep")
_OPTIONS: Final = ("--starttls", "--sni", "--owner", "--label", "--identity", "--expect-ca")
_REFERENCE: Final = re.compile(r"<(?:@|!subteam\^)([A-Z0-9]{2,30})(?:\|[^<>]*)?>")
_ID: Final = re.compile(r"[UWS][A-Z0-9]{2,29}")
_FILE: Final = re.compile(r"F[A-Z0-9]{2,29}")
_TOKEN: Final = re.compile(r'[^\s"]*"[^"]*"|\S+')
_SPAN: Final = re.compile(r"([0-9]{1,4}) ?(h|d|w|hours?|days?|weeks?)", re.IGNORECASE)
_HOURS: Final = {"h": 1, "d": 24, "w": 168}
_DECORATION: Final = "`'"


def with_ids(text: str) -> str:
    """*text* with references to people and groups as their ids, before the rest of Slack's markup is undone."""
    return _REFERENCE.sub(r"@\1", text)


def parse_watch(text: str) -> WatchCommand:
    """What follows `watch`. Raises UsageError."""
    words = [word.strip(_DECORATION) for word in _TOKEN.findall(text)]
    act, rest = (words[0].lower(), words[1:]) if words else ("list", [])
    match act:
        case "add":
            return _add(rest) if rest else WatchCommand(act="add")
        case "list":
            return WatchCommand(act="list", word=" ".join(rest)[:100])
        case "remove" | "delete" | "rm":
            return WatchCommand(
                act="remove", target=_target(rest, "remove", _options(rest, ("--sni", "--starttls"))[1])
            )
        case "snooze":
            return _snooze(rest)
        case "import":
            return _import(rest)
        case "sweep":
            return WatchCommand(act="sweep", word=" ".join(rest)[:100])
    near = difflib.get_close_matches(act, _ACTS, n=1, cutoff=0.6)
    if near:
        raise UsageError(f"I read `watch {shown(act, 40)}`. Did you mean `watch {near[0]}`? There is {FORMS}.")
    raise UsageError(f"I read `watch {shown(act, 40)}`, which it does not know. There is {FORMS}.")


def _add(words: list[str]) -> WatchCommand:
    hosts, given = _options(words, _OPTIONS)
    return WatchCommand(
        act="add",
        target=_target(hosts, "add", given),
        owner=owner_id(_one(given, "--owner")),
        labels=labels(",".join(given.get("--label", ()))),
        identity=(_one(given, "--identity") or "").lower() or None,
        expected_cas=tuple(dict.fromkeys(name for name in given.get("--expect-ca", ()) if name)),
    )


def _snooze(words: list[str]) -> WatchCommand:
    bare, given = _options(words, ("--sni", "--starttls"))
    if len(bare) < 2:
        raise UsageError(
            "I read `watch snooze` without a host and a time. It wants both, as in "
            "`/tls watch snooze api.example.com 3d`."
        )
    return WatchCommand(
        act="snooze",
        target=_target(bare[:1], "snooze", given),
        snooze_s=snooze_s(" ".join(bare[1:])),
    )


def snooze_s(text: str) -> float:
    """`3d`, `12h`, `2w` in seconds. Raises UsageError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"I read the time “{shown(text, 40)}”. It is a number and h, d or w, as in 12h, 3d or 2w.")
    seconds = int(found[1]) * _HOURS[found[2][0].lower()] * 3600.0
    if seconds > LONGEST_SNOOZE_D * 86_400:
        raise UsageError(
            f"I read {shown(text, 40)}. A watch is snoozed for {LONGEST_SNOOZE_D} days at most; one that nobody wants "
            "is removed with `watch remove HOST`."
        )
    return seconds


def _import(words: list[str]) -> WatchCommand:
    """The number of the file stands in for the file that came with the message."""
    if words and not all(_FILE.fullmatch(word) for word in words):
        raise UsageError(
            f"I read `watch import {shown(' '.join(words), 60)}`. It takes no words but a file: one host a line, CSV, "
            "or a zone file, dropped into the channel with the message `@clienthello watch import`."
        )
    return WatchCommand(act="import", word=words[0] if words else "")


def owner_id(text: str | None) -> str | None:
    """Slack's id of a person or user group. Raises UsageError for a name, which is not one."""
    if not text:
        return None
    bare = text.strip().removeprefix("@")
    if _ID.fullmatch(bare.upper()) and any(c.isdigit() for c in bare):
        return bare.upper()
    raise UsageError(
        f"I read --owner “{shown(text, 60)}”, and a slash command does not tell me who that is. Mention me instead, as "
        "in `@clienthello watch add api.example.com --owner @name`, choose the owner in the form that `/tls watch add` "
        "opens, or give the id (U… or S…)."
    )


def labels(text: str) -> tuple[str, ...]:
    """Labels with commas between them. Raises UsageError."""
    found = tuple(dict.fromkeys(label for part in text.split(",") if (label := part.strip().lstrip("#"))))
    too_long = next((label for label in found if len(label) > LONGEST_LABEL), None)
    if too_long is not None:
        raise UsageError(f"I read the label “{shown(too_long, 60)}”. A label has at most {LONGEST_LABEL} characters.")
    if len(found) > MOST_LABELS:
        raise UsageError(f"I read {len(found)} labels. A watch has at most {MOST_LABELS}.")
    return found


def _options(words: list[str], known: tuple[str, ...]) -> tuple[list[str], dict[str, list[str]]]:
    bare: list[str] = []
    given: dict[str, list[str]] = {}
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("--"):
            bare.append(word.strip('"'))
            continue
        name, has_value, value = word.partition("=")
        name = {"--labels": "--label", "--ca": "--expect-ca"}.get(name.lower(), name.lower())
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            file = " A CA bundle is pasted into the form that `/tls watch add` opens." if "file" in name else ""
            raise UsageError(f"I read the option “{shown(name)}”.{hint}{file} Known here: {', '.join(known)}.")
        value = (value if has_value else next(remaining, "")).strip('"').strip()
        if not value or value.startswith("--"):
            raise UsageError(f"I read {name} without a value.")
        if name in given and name not in {"--label", "--expect-ca"}:
            raise UsageError(f"I read {name} twice. Give it once.")
        given.setdefault(name, []).append(value)
    return bare, given


def _one(given: dict[str, list[str]], name: str) -> str | None:
    return given[name][-1] if name in given else None


def _target(bare: list[str], act: str, given: dict[str, list[str]]) -> Target:
    hosts = bare
    if len(hosts) == 2 and hosts[1].isdigit():
        hosts = [f"{hosts[0]}:{hosts[1]}"]
    if not hosts:
        raise UsageError(
            f"I read `watch {act}` without a host. It wants one, as in `/tls watch {act} api.example.com`."
        )
    if len(hosts) > 1:
        raise UsageError(
            f"I read {len(hosts)} hosts: {shown(', '.join(hosts))}. Give one at a time; a file brings many "
            "(`watch import`)."
        )
    starttls = _one(given, "--starttls")
    return Target.parse(hosts[0], sni=_one(given, "--sni"), starttls=starttls.lower() if starttls else None)
