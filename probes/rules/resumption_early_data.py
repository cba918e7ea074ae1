"""Early data (0-RTT) is taken: whoever records it can send it again (RFC 8446 section 8). Hurts requests that change things."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import TLS13
from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Handshake, Rule
from probes.resuming import RETRY_LATER
from probes.rules.phrase import addresses, where
from probes.rules.resumed import Resuming, resume_command, resuming

_FIX = (
    "Turn it off (nginx `ssl_early_data off;`, HAProxy without `allow-0rtt`), or let the application answer 425 to early "
    "requests that are not safe to repeat: nginx `proxy_set_header Early-Data $ssl_early_data;`, "
    "HAProxy `http-request wait-for-handshake`."
)


def check(facts: Facts) -> Iterator[Finding]:
    taken = {each.look: shake for each in resuming(facts) if (shake := _accepted(each)) is not None}
    guarded = {look: shake for look, shake in taken.items() if shake.http and shake.http.status == RETRY_LATER}
    open_ones = {look: shake for look, shake in taken.items() if look not in guarded}
    for found, severity in ((open_ones, "warning"), (guarded, "notice")):
        looks = tuple(found)
        if not looks:
            continue
        yield Finding(
            code="resumption.early-data",
            severity="warning" if severity == "warning" else "notice",
            explanation=f"{where(looks)} processes requests in 0-RTT early data, which anyone on the path can send again: "
            "a request that is not idempotent (a payment, an order) may happen twice."
            if severity == "warning"
            else f"{where(looks)} takes 0-RTT early data and answers 425 Too Early, as a server that minds replays does.",
            evidence=tuple(f"{look.address}: {_seen(shake)}" for look, shake in found.items()),
            addresses=addresses(looks),
            fix=_FIX if severity == "warning" else "Nothing, as long as every route that changes things answers so.",
            next_command=_command(looks[0]),
        )


def _command(look: Look) -> str:
    # printf reads the escapes; a host name holds nothing that a shell or printf would.
    request = rf"'GET / HTTP/1.1\r\nHost: {look.reference}\r\n\r\n'"
    return f"printf {request} >request.txt; {resume_command(look, look, TLS13, '-early_data', 'request.txt')}"


def _accepted(each: Resuming) -> Handshake | None:
    tries = each.early.honoured if each.early is not None else ()
    return next((shake for shake in tries if shake.early_data == "accepted"), None)


def _seen(shake: Handshake) -> str:
    size = shake.offer.session.max_early_data if shake.offer.session is not None else 0
    answer = f"answered {shake.http.status}" if shake.http is not None else "not answered"
    return f"early data accepted (tickets allow {size} bytes); a GET in it is {answer}"


RULE = Rule(code="resumption.early-data", source="RFC 8446 section 8; RFC 8470 section 3", check=check)
