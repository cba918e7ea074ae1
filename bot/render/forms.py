"""The form of check options: what it asks, and how what was filled in becomes a check. Pure.

Every field says for itself what is wrong with it; all together are the check that `/tls check` makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import commands
from bot.model import Check, Json
from bot.render.limits import context, cut
from probes.model import DEFAULT_PORT, STARTTLS_PROTOCOLS, Target, UsageError, hostname, ip_literal, shown

CHECK_SHORTCUT = "check_form"  # the global shortcut
CHECK_FILLED = "check_form.filled"
# Fields: block_id and action_id are the same.
HOST, PORT, CHANNEL, STARTTLS, IP, SNI, ORIGIN, IDENTITY = (
    "host", "port", "channel", "starttls", "ip", "sni", "origin", "identity",
)  # fmt: skip
NONE = "none"
_HINTS = {
    STARTTLS: "For mail, LDAP, databases and chat, where TLS begins after a greeting.",
    IP: "Only these, instead of what the name resolves to.",
    ORIGIN: "The server behind the balancer, to compare with it.",
}
_MOST_IDENTITIES = 99  # options of a select, less the one that says none
_LONGEST_VALUE = 75
_LONGEST_ERROR = 280
_NOT_IN_CAPITALS = {"postgres": "PostgreSQL", "mysql": "MySQL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What the form held: the check, where its verdict goes, and a URL to answer whoever asked."""

    check: Check
    channel: str
    response_url: str | None


class FieldErrors(Exception):
    """What is wrong, by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(errors))
        self.errors = {field: cut(why.replace("`", ""), _LONGEST_ERROR) for field, why in errors.items()}


def form(identities: Sequence[str], *, given: Check | None = None, channel: str = "") -> Json:
    """The modal. *given* fills it in; *channel* is offered where the form was opened from one."""
    target = given.target if given else None
    default_name = None if target is None or target.is_ip else target.host
    name = target.server_name if target and target.server_name != default_name else None
    place: Json = {
        "type": "conversations_select",
        "action_id": CHANNEL,
        "response_url_enabled": True,
        "placeholder": _plain("Choose a channel"),
        "filter": {"include": ["public", "private", "im"], "exclude_external_shared_channels": False},
    }
    place |= {"initial_conversation": channel} if channel else {"default_to_current_conversation": True}
    blocks = [
        _input(HOST, "Host", _text(HOST, "api.example.com", target.host if target else "", focus=target is None)),
        _input(PORT, "Port", _text(PORT, str(DEFAULT_PORT), _port(target)), optional=True),
        _input(CHANNEL, "Post the verdict in", place),
        {"type": "divider"},
        context("Most checks need none of these:"),
        _input(STARTTLS, "STARTTLS", _starttls(target), optional=True, hint=_HINTS[STARTTLS]),
        _input(IP, "Addresses", _text(IP, "192.0.2.7, 2001:db8::7", _joined(given)), optional=True, hint=_HINTS[IP]),
        _input(SNI, "Server name (SNI)", _text(SNI, "another name than the host", name or ""), optional=True),
        _input(ORIGIN, "Origin", _text(ORIGIN, "10.0.0.8:8443", _origin(given)), optional=True, hint=_HINTS[ORIGIN]),
    ]
    if identities:
        chosen = given.identity if given else None
        blocks.append(_input(IDENTITY, "Client certificate", _identity(identities, chosen), optional=True))
    return {
        "type": "modal",
        "callback_id": CHECK_FILLED,
        "title": _plain("Check TLS"),
        "submit": _plain("Check"),
        "close": _plain("Cancel"),
        "blocks": blocks,
    }


# ── its parts ───────────────────────────────────────────────────────────────────


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _input(name: str, label: str, element: Json, *, optional: bool = False, hint: str = "") -> Json:
    block = {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": optional}
    return block | ({"hint": _plain(hint)} if hint else {})


def _text(name: str, example: str, value: str, *, focus: bool = False) -> Json:
    element: Json = {"type": "plain_text_input", "action_id": name, "placeholder": _plain(example), "max_length": 1000}
    return element | ({"initial_value": value} if value else {}) | ({"focus_on_load": True} if focus else {})


def _port(target: Target | None) -> str:
    return str(target.port) if target and target.port != DEFAULT_PORT else ""


def _joined(given: Check | None) -> str:
    return ", ".join(given.addresses) if given else ""


def _origin(given: Check | None) -> str:
    return str(given.origin) if given and given.origin else ""


def _starttls(target: Target | None) -> Json:
    options = [_option("no: TLS from the first byte", NONE)]
    options += [_option(_NOT_IN_CAPITALS.get(name, name.upper()), name) for name in STARTTLS_PROTOCOLS]
    return _select(STARTTLS, options, (target.starttls if target else None) or NONE)


def _identity(identities: Sequence[str], chosen: str | None) -> Json:
    options = [_option("none", NONE), *(_option(name, name) for name in identities[:_MOST_IDENTITIES])]
    return _select(IDENTITY, options, chosen if chosen and chosen in identities else NONE)


def _option(label: str, value: str) -> Json:
    return {"text": _plain(cut(label, _LONGEST_VALUE)), "value": cut(value, _LONGEST_VALUE)}


def _select(name: str, options: list[Json], chosen: str) -> Json:
    initial = next((option for option in options if option["value"] == chosen), options[0])
    return {"type": "static_select", "action_id": name, "options": options, "initial_option": initial}


# ── what was filled in ──────────────────────────────────────────────────────────


def filled(body: Json) -> Filled:
    """The check in a submitted form. Raises FieldErrors, all of them at once."""
    view: Json = body.get("view") or {}
    values: Json = (view.get("state") or {}).get("values") or {}
    errors: dict[str, str] = {}
    check = _check(values, errors)
    channel = _answer(values, CHANNEL)
    if not channel:
        errors[CHANNEL] = "Choose where the verdict is to be posted."
    if errors or check is None:
        raise FieldErrors(errors)
    urls = [each for each in body.get("response_urls") or () if isinstance(each, dict)]
    url = next((str(each["response_url"]) for each in urls if each.get("response_url")), None)
    return Filled(check=check, channel=channel, response_url=url)


def _check(values: Json, errors: dict[str, str]) -> Check | None:
    host, port = _answer(values, HOST), _answer(values, PORT)
    words = [*_host(host, port, errors)]
    words += [word for each in _addresses(_answer(values, IP), errors) for word in ("--ip", each)]
    words += _option_word("--sni", _server_name(_answer(values, SNI), errors))
    words += _option_word("--starttls", _chosen(values, STARTTLS))
    words += _option_word("--origin", _answer(values, ORIGIN).strip())
    words += _option_word("--identity", _chosen(values, IDENTITY))
    if errors.keys() & {HOST, PORT, IP, SNI}:
        return None
    asked = commands.parse(" ".join(["check", *words]))
    if isinstance(asked, Check):
        return asked
    # What is left to be wrong is the origin, or the whole.
    field = ORIGIN if _answer(values, ORIGIN).strip() and "--origin" in getattr(asked, "answer", "") else HOST
    errors[field] = getattr(asked, "answer", "") or "This is not a host that I can check."
    return None


def _host(host: str, port: str, errors: dict[str, str]) -> list[str]:
    """The target as a command spells it. A port may stand in either field, in both if it is the same."""
    try:
        target = Target.parse(host.strip())
    except UsageError as error:
        errors[HOST] = str(error) if host.strip() else "Type a host, as in api.example.com."
        target = None
    number = port.strip()
    if number and not (number.isascii() and number.isdecimal() and 1 <= int(number[:6]) <= 65_535):
        errors[PORT] = f"I read “{shown(number, 20)}”. The port is a number from 1 to 65535."
        return []
    if target is None:
        return []
    if number and target.port not in {DEFAULT_PORT, int(number)}:
        errors[PORT] = f"The host says port {target.port}, and this says {int(number)}."
        return []
    shown_host = f"[{target.host}]" if ":" in target.host else target.host
    return [f"{shown_host}:{int(number) if number else target.port}"]


def _addresses(text: str, errors: dict[str, str]) -> list[str]:
    found = []
    for part in text.replace(",", " ").split():
        literal = ip_literal(part.removeprefix("[").removesuffix("]"))
        if literal is None:
            errors[IP] = f"I read “{shown(part, 60)}”, which is no address. Write 192.0.2.7 or 2001:db8::7."
            return []
        found.append(str(literal))
    return found


def _server_name(text: str, errors: dict[str, str]) -> str:
    if not text.strip():
        return ""
    try:
        return hostname(text)
    except UsageError as error:
        errors[SNI] = str(error)
        return ""


def _option_word(name: str, value: str) -> list[str]:
    return [name, value] if value else []


def _answer(values: Json, name: str) -> str:
    entry: dict[str, Any] = (values.get(name) or {}).get(name) or {}
    return str(entry.get("value") or entry.get("selected_conversation") or "")


def _chosen(values: Json, name: str) -> str:
    option = ((values.get(name) or {}).get(name) or {}).get("selected_option") or {}
    value = str(option.get("value") or "")
    return "" if value == NONE else value
