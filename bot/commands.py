"""What a person typed → a command, or what could not be understood. Pure; the grammar is the catalogue's.

Slack changes what people type: it links host names, curls quotes and joins two hyphens to a dash. That is undone here.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping
from types import MappingProxyType

from bot import watch_grammar
from bot.ct_grammar import CtCommand, parse_ct
from bot.digest_times import DigestCommand, command_of
from bot.model import (
    Check,
    Command,
    ExplainText,
    Help,
    HistoryQuery,
    IdentityCommand,
    Misread,
    NotYet,
    TimelineNote,
    TriageCommand,
)
from probes.catalogue import CATALOGUE
from probes.model import DEFAULT_PORT, Endpoint, Target, UsageError, ip_literal, shown

LONGEST = 1000  # characters; no command but `explain` needs more, and what is longer was pasted by mistake
LONGEST_TEXT = 20_000  # characters to explain; Slack itself cuts messages at 40,000
LONGEST_NOTE = 3_000
_WORD_LIMIT = 253  # a name is not longer (RFC 1035 section 2.3.4)

AVAILABLE: Mapping[str, str] = MappingProxyType(
    {
        "check": "check HOST[:PORT] [--ip ADDR] [--sni NAME] [--starttls PROTO] [--origin ADDR] [--identity NAME]",
        "explain": "explain TEXT",
        "history": "history [HOST or word]",
        "note": "note TEXT",
        "triage": "triage [HOST[:PORT]] [error text]",
        "identity": "identity add | list | remove NAME",
        "watch": "watch add HOST[:PORT] | list | remove HOST | snooze HOST 3d | import | sweep",
        "ct": "ct watch DOMAIN [--expect-ca NAME] [--backfill] | list | status | remove DOMAIN",
        "digest": "digest now | at TIME ZONE [weekdays] | off",
        "help": "help [WORD]",
    }
)
WHAT_WORKS = (
    "`/tls check HOST[:PORT]`, `/tls explain TEXT`, `/tls triage [HOST]`, `/tls identity add`, "
    "`/tls watch add HOST`, `/tls ct watch DOMAIN`, `/tls digest at TIME ZONE`, "
    "`/tls history [HOST or word]`, `/tls help [WORD]`"
)
# In the grammar, but not in this version.
PLANNED: Mapping[str, str] = MappingProxyType({})
_OPTIONS = ("--ip", "--sni", "--starttls", "--origin", "--identity")
_LINK = re.compile(r"<(?![@#!])([^<>|\s]+)(?:\|([^<>]*))?>")
_REFERENCE = re.compile(r"<([@#!])([^<>|\s]+)(?:\|([^<>]*))?>")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s/@]*@", re.IGNORECASE)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "\u00a0": " "})
_DASHES = re.compile(r"(?:(?<=\s)|^)(?:—|–|―|−−|‐‐)(?=[a-z])", re.IGNORECASE)
_DECORATION = "`\"'"


def parse(text: str) -> Command:
    """The command that *text* holds, without the `/tls` or the mention before it. Never raises."""
    verb, *pasted = plain(text[:LONGEST_TEXT]).split(None, 1) or [""]
    if _verb(verb) == "explain":
        return _explain("".join(pasted))
    if _verb(verb) == "note":
        return _note("".join(pasted))
    if _verb(verb) == "watch" and len(text) <= LONGEST:
        return _watch(text)
    if len(text) > LONGEST:
        return Misread(
            answer=f"I read {len(text):,} characters, beginning “{shown(text.strip(), 40)}”. A command has at most "
            f"{LONGEST:,}, as in `/tls check api.example.com:8443`."
        )
    words = plain(text).split()
    if not words:
        return Help()
    try:
        return _command(words)
    except UsageError as error:
        return Misread(answer=str(error), instead=_mended(words))


def is_harmless(command: Command) -> bool:
    """Does it look and tell, and change nothing? Only such a command is run by a click on what was probably meant."""
    match command:
        case Check() | ExplainText() | HistoryQuery() | Help() | TriageCommand():
            return True
        case IdentityCommand(act=act):
            return act == "list"
        case DigestCommand(act=act):
            return act == "now"
        case CtCommand(act=act):
            return act in {"list", "status"}
        case _:
            return False


def _mended(words: list[str]) -> str:
    """The same command with each unknown option replaced by the nearest known one, if it is understood so."""

    def nearest(word: str) -> str:
        name, equals, value = word.strip(_DECORATION).partition("=")
        if not name.startswith("--") or name.lower() in _OPTIONS:
            return word
        near = difflib.get_close_matches(name.lower(), _OPTIONS, n=1, cutoff=0.5)
        return f"{near[0]}{equals}{value}" if near else word

    mended = [nearest(word) for word in words]
    try:
        _command(mended)
    except UsageError:
        return ""
    return " ".join(mended)


def _explain(text: str) -> ExplainText | Misread:
    asked = text.strip()
    if asked.strip(_DECORATION + " \n"):
        return ExplainText(text=asked)
    return Misread(
        answer="I read `explain` without a text. It wants an error message, as in "
        "`/tls explain x509: certificate signed by unknown authority`."
    )


def _note(text: str) -> TimelineNote | Misread:
    said = text.strip()
    if not said:
        return Misread(
            answer="I read `note` without a text. It wants one, as in `/tls note failover to eu-west began`."
        )
    if len(said) > LONGEST_NOTE:
        return Misread(answer=f"I read a note of {len(said):,} characters. A note has at most {LONGEST_NOTE:,}.")
    return TimelineNote(text=said)


def _watch(text: str) -> Command:
    said = plain(watch_grammar.with_ids(text)).split(None, 1)
    try:
        return watch_grammar.parse_watch(said[1] if len(said) > 1 else "")
    except UsageError as error:
        return Misread(answer=str(error))


def plain(text: str) -> str:
    """*text* as the person typed it: links, entities, curled quotes and joined dashes undone."""
    typed = _LINK.sub(_unlinked, text)
    typed = _REFERENCE.sub(lambda link: link[1] + (link[3] or link[2]), typed)
    return _DASHES.sub("--", html.unescape(typed).translate(_QUOTES))


def _unlinked(link: re.Match[str]) -> str:
    label = link[2] or link[1].removeprefix("mailto:")
    # "api.example.com/health" as typed became a link to http://…; only the name matters, and no scheme was typed.
    return label if "://" in label else label.partition("/")[0]


def without_mention(text: str, bot_user: str) -> str:
    """A message's *text* without the mention of the bot that made it a command."""
    return re.sub(rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>", " ", text, count=1).strip()


def without_secrets(text: str) -> str:
    """*text* without the user and password of a pasted URL, and without pasted keys: not needed, so not kept."""
    return _PRIVATE_KEY.sub("(a private key, not kept)", _USERINFO.sub(r"\1", text))


def written(check: Check) -> str:
    """The command that asks for *check* again: `parse` reads it back."""
    parts = ["check", _target_text(check.target)]
    for address in check.addresses:
        parts += ["--ip", address]
    expected = None if check.target.is_ip else check.target.host
    if check.target.server_name and check.target.server_name != expected:
        parts += ["--sni", check.target.server_name]
    if check.target.starttls:
        parts += ["--starttls", check.target.starttls]
    if check.origin:
        parts += ["--origin", str(check.origin)]
    if check.identity:
        parts += ["--identity", check.identity]
    return " ".join(parts)


def _target_text(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == DEFAULT_PORT else f"{host}:{target.port}"


def _command(words: list[str]) -> Command:
    verb = _verb(words[0]) or "help"
    rest = words[1:]
    if verb == "check":
        return _check(rest)
    if verb == "history":
        word = _subject(rest)
        return HistoryQuery(figures=True) if word.lower() == "figures" else HistoryQuery(word=word)
    if verb in {"identity", "identities"}:
        return _identity(rest)
    if verb == "triage":
        return _triage(rest)
    if verb == "ct":
        return parse_ct(" ".join(rest))
    if verb == "digest":
        return command_of([word.strip(_DECORATION) for word in rest])
    if verb in {"help", "?", "--help", "-h"}:
        return Help(word=_subject(rest).lower())
    if verb in PLANNED:
        return NotYet(word=verb)
    return _unknown(words)


def _triage(words: list[str]) -> TriageCommand:
    """A host with options as `check` takes them, a host and an error text, an error text alone, or nothing."""
    if not words:
        return TriageCommand()
    target = _as_target(words[0])
    has_options = any(word.strip(_DECORATION).startswith("--") for word in words)
    if len(words) == 1 or (target is not None and has_options):
        return TriageCommand(check=_check(words))
    if target is None:
        return TriageCommand(text=" ".join(words))
    return TriageCommand(check=Check(target=target), text=" ".join(words[1:]))


def _verb(word: str) -> str:
    return word.strip(_DECORATION).lower().removeprefix("/tls").strip()


def _identity(words: list[str]) -> IdentityCommand:
    act, *names = [word.strip(_DECORATION) for word in words] or ["list"]
    match act.lower():
        case "add":
            return IdentityCommand(act="add")  # what follows is asked for in the form
        case "list":
            return IdentityCommand(act="list")
        case "remove" if len(names) == 1:
            return IdentityCommand(act="remove", name=names[0].lower()[:_WORD_LIMIT])
        case "remove":
            raise UsageError(
                "I read `identity remove` without one name. It wants one, as in `/tls identity remove payments`."
            )
        case _:
            raise UsageError(f"I read “{shown(act)}”. `identity` knows `add`, `list` and `remove NAME`.")


def _subject(words: list[str]) -> str:
    return " ".join(word.strip(_DECORATION) for word in words)[:_WORD_LIMIT].strip()


def _unknown(words: list[str]) -> Help | Misread:
    read = shown(" ".join(words))
    verb = words[0].strip(_DECORATION).lower()
    near = difflib.get_close_matches(verb, (*AVAILABLE, *PLANNED), n=1, cutoff=0.6)
    if near and near[0] in AVAILABLE:
        meant = " ".join([near[0], *words[1:]])
        again = shown(meant, 120).replace("`", "ˋ")
        return Misread(answer=f"I read “{read}”. Did you mean `/tls {again}`?", instead=meant)
    if near:
        return Misread(
            answer=f"I read “{read}”. Did you mean `{near[0]}` ({PLANNED[near[0]]})? This version does not have it "
            f"yet. What works: {WHAT_WORKS}."
        )
    if verb in CATALOGUE:
        return Help(word=verb)  # a root cause, as a verdict names it
    target = _as_target(words[0])
    if target is not None:
        meant = f"check {_target_text(target)}"
        return Misread(answer=f"I read “{read}”. To check that endpoint: `/tls {meant}`.", instead=meant)
    return Misread(answer=f"I read “{read}”, which is not a command. What works: {WHAT_WORKS}.")


def _as_target(word: str) -> Target | None:
    """The endpoint that *word* looks like: a dotted name or an address."""
    try:
        target = Target.parse(word.strip(_DECORATION))
    except UsageError:
        return None
    return target if "." in target.host or ":" in target.host else None


def _check(words: list[str]) -> Check:
    hosts: list[str] = []
    given: dict[str, list[str]] = {}
    remaining = iter(words)
    for word in remaining:
        bare = word.strip(_DECORATION)
        if not bare.startswith("--"):
            hosts.append(bare)
            continue
        name, has_value, value = bare.partition("=")
        name = _option(name.lower())
        value = value if has_value else next(remaining, "").strip(_DECORATION)
        if not value or value.startswith("--"):
            raise UsageError(f"I read {name} without a value. It wants one, as in `/tls check {_EXAMPLES[name]}`.")
        if name in given and name != "--ip":
            raise UsageError(f"I read {name} twice. Give it once, as in `/tls check {_EXAMPLES[name]}`.")
        given.setdefault(name, []).append(value)
    return Check(
        target=Target.parse(
            _one_host(hosts), sni=_last(given, "--sni"), starttls=_starttls(_last(given, "--starttls"))
        ),
        addresses=tuple(dict.fromkeys(_address(part) for text in given.get("--ip", ()) for part in text.split(","))),
        origin=_origin(_last(given, "--origin")),
        identity=(_last(given, "--identity") or "").lower() or None,
    )


_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "--ip": "api.example.com --ip 192.0.2.7",
        "--sni": "192.0.2.7 --sni api.example.com",
        "--starttls": "mail.example.com:25 --starttls smtp",
        "--origin": "api.example.com --origin 192.0.2.7:8443",
        "--identity": "api.example.com --identity payments",
    }
)


def _option(name: str) -> str:
    if name in _OPTIONS:
        return name
    near = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"I read the option “{shown(name)}”.{hint} `check` knows {', '.join(_OPTIONS)}.")


def _one_host(hosts: list[str]) -> str:
    if not hosts:
        raise UsageError("I read `check` without a host. It wants one, as in `/tls check api.example.com:8443`.")
    if len(hosts) == 2 and re.fullmatch(r"[0-9]+", hosts[1]):
        return f"{hosts[0]}:{hosts[1]}"  # "check api.example.com 8443", as openssl and nc users type it
    if len(hosts) > 1:
        raise UsageError(
            f"I read {len(hosts)} hosts: {shown(', '.join(hosts))}. Give one at a time, as in "
            f"`/tls check {_safe(hosts[0])}`."
        )
    return hosts[0]


def _safe(text: str) -> str:
    return shown(text).replace("`", "ˋ")


def _last(given: dict[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    return values[-1] if values else None


def _starttls(value: str | None) -> str | None:
    return value.lower() if value else None


def _address(text: str) -> str:
    literal = ip_literal(text.strip().removeprefix("[").removesuffix("]"))
    if literal is None:
        raise UsageError(
            f"I read --ip “{shown(text)}”. It must be an address, as in --ip 192.0.2.7 or --ip 2001:db8::7."
        )
    return str(literal)


def _origin(text: str | None) -> Endpoint | None:
    if text is None:
        return None
    try:
        target = Target.parse(text)
    except UsageError:
        target = None
    if target is None or not target.is_ip:
        raise UsageError(
            f"I read --origin “{shown(text)}”. It must be an address, with a port if it is not {DEFAULT_PORT}, "
            "as in --origin 192.0.2.7:8443."
        )
    return Endpoint(address=target.host, port=target.port)
