"""What CAA says of an issuance (RFC 8659, RFC 8657), in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.issuances import Shown, is_forbidden
from bot.render import words
from bot.render.incident import when
from bot.render.limits import code, cut, prose
from probes.caa import Finding


def caa(shown: Shown) -> str:
    """A line of the issuance's message. The records are those of when it was seen, not of when it was issued."""
    if shown.caa is None:
        return "*CAA*: being looked up…"
    lines = list(dict.fromkeys(_line(each) for each in shown.caa))
    at = f". So it stood {when(shown.caa_at)}, when I looked; the CA looked before it issued" if shown.caa_at else ""
    return cut(f"*CAA*: {'; '.join(lines)}{at}", 1200)


def _line(each: Finding) -> str:
    at = f" at {code(each.at, 80)}" if each.at else ""
    allowed = words.listed((code(name, 60) for name in each.allowed), 4)
    match each.verdict:
        case "none":
            return "no record limits who may issue"
        case "allowed":
            return f"the records{at} allow this CA ({allowed})"
        case "restricted":
            return (
                f"the records{at} allow this CA only {_limits(each)}; a certificate does not tell which it was: "
                "ask the CA"
            )
        case "forbidden" if each.why:
            return f"*forbidden*{at}: {prose(each.why, 160)}"
        case "forbidden":
            who = f"allow {allowed} alone" if each.allowed else "allow nobody"
            return f"*forbidden for {code(each.name, 100)}*: the records{at} {who}"
        case "unknown":
            limits = f", {_limits(each)}" if each.accounts or each.methods else ""
            return f"the records{at} allow {allowed}{limits}; whether this CA is one of them I do not know"
        case _:
            return f"could not be looked up: {prose(each.why, 120)}"


def _limits(each: Finding) -> str:
    parts = []
    if each.accounts:
        parts.append(f"for the account {words.listed((code(name, 160) for name in each.accounts), 2)}")
    if each.methods:
        parts.append(f"by {words.listed((code(name, 40) for name in each.methods), 4)}")
    return " and ".join(parts)


def caa_step(domain: str, found: Sequence[Finding] | None) -> str:
    """What to do about the records once somebody investigates."""
    if is_forbidden(found):
        return (
            "*4. Tell the CA that CAA forbade it.* The records stood when I looked; if they did when the CA checked "
            "(up to 8 hours before), it has broken RFC 8659, and that is an incident of its own there."
        )
    record = code(f'{domain}. CAA 0 issue "YOUR-CA; accounturi=YOUR-ACCOUNT-URI"', 300)
    wild = code(f'{domain}. CAA 0 issuewild ";"', 200)
    return (
        f"*4. Close the door with CAA.* {record} limits issuing to your CA and your account (RFC 8657), and {wild} "
        "forbids wildcards that nobody needs. It holds from the next issuance on."
    )
