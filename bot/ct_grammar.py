"""`ct …` as typed → `CtCommand`. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

from probes.model import UsageError, shown

FORMS: Final = "`ct watch DOMAIN`, `ct list`, `ct status` and `ct remove DOMAIN`"
LONGEST_CA: Final = 100
MOST_CAS: Final = 10
_ACTS: Final = ("watch", "list", "remove", "status")
_OPTIONS: Final = ("--expect-ca", "--backfill", "--no-lookalikes")
_TOKEN: Final = re.compile(r'[^\s"]*"[^"]*"|\S+')
_DECORATION: Final = "`'"


@dataclass(frozen=True, slots=True, kw_only=True)
class CtCommand:
    """`ct watch DOMAIN [--expect-ca NAME…] [--backfill] [--no-lookalikes]`, `ct list`, `ct status`, `ct remove DOMAIN`.

    `domain` as `probes.ct.watchset.watched` writes it.
    """

    act: Literal["watch", "list", "remove", "status"]
    domain: str = ""
    expected_cas: tuple[str, ...] = ()
    backfill: bool = False
    lookalikes: bool = True


def parse_ct(text: str) -> CtCommand:
    """What follows `ct`. Raises UsageError."""
    words = [word.strip(_DECORATION) for word in _TOKEN.findall(text)]
    act, rest = (words[0].lower(), words[1:]) if words else ("list", [])
    match act:
        case "watch" | "add":
            return _watch(rest)
        case "remove" | "delete" | "rm":
            return CtCommand(act="remove", domain=_domain([word.strip('"') for word in rest], "remove"))
        case "list" | "ls":
            return CtCommand(act="list")
        case "status":
            return CtCommand(act="status")
    near = difflib.get_close_matches(act, _ACTS, n=1, cutoff=0.6)
    if near:
        raise UsageError(f"I read `ct {shown(act, 40)}`. Did you mean `ct {near[0]}`? There is {FORMS}.")
    if "." in act:
        raise UsageError(f"I read `ct {shown(act, 60)}`. To be told of its certificates: `/tls ct watch DOMAIN`.")
    raise UsageError(f"I read `ct {shown(act, 40)}`, which it does not know. There is {FORMS}.")


def _watch(words: list[str]) -> CtCommand:
    bare: list[str] = []
    cas: list[str] = []
    flags: set[str] = set()
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("--"):
            bare.append(word.strip('"'))
            continue
        name, has_value, value = word.partition("=")
        name = {"--expect-cas": "--expect-ca", "--ca": "--expect-ca"}.get(name.lower(), name.lower())
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"I read the option “{shown(name)}”.{hint} `ct watch` knows {', '.join(_OPTIONS)}.")
        if name != "--expect-ca":
            flags.add(name)
            continue
        value = (value if has_value else next(remaining, "")).strip('"').strip()
        if not value or value.startswith("--"):
            raise UsageError(
                'I read --expect-ca without a value. It wants a CA, as in --expect-ca "Let\'s Encrypt" or '
                "--expect-ca letsencrypt.org."
            )
        if len(value) > LONGEST_CA:
            raise UsageError(f"I read a CA of {len(value)} characters. Its name has at most {LONGEST_CA}.")
        cas.append(value)
    if len(cas) > MOST_CAS:
        raise UsageError(f"I read {len(cas)} CAs. A domain expects at most {MOST_CAS}.")
    return CtCommand(
        act="watch",
        domain=_domain(bare, "watch"),
        expected_cas=tuple(dict.fromkeys(cas)),
        backfill="--backfill" in flags,
        lookalikes="--no-lookalikes" not in flags,
    )


def _domain(bare: list[str], act: str) -> str:
    from probes.ct.watchset import BadWatch, watched

    if not bare:
        raise UsageError(f"I read `ct {act}` without a domain. It wants one, as in `/tls ct {act} example.com`.")
    if len(bare) > 1:
        raise UsageError(
            f"I read {len(bare)} domains: {shown(', '.join(bare))}. Give one at a time, a CA with spaces in quotes "
            '(--expect-ca "Let\'s Encrypt").'
        )
    try:
        return watched(bare[0])
    except BadWatch as bad:
        raise UsageError(str(bad)) from None
