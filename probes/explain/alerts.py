"""TLS alerts in error texts: by name or by number, in any library's spelling. Pure.

Which alert it is says little before it is known who sent it: "unknown CA" from a client is about the server's chain,
from a server about the client's certificate. So each alert has causes for either sender, and for an unknown one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from probes.explain.claims import Causes, Side
from probes.explain.text import find
from probes.values import value
from probes.wire.registry import ALERTS

_MOST = 100  # places that are looked at; a log that says "alert" more often says it again
_REACH = 90  # characters between the word "alert" and the alert's name or number


@value
class Seen:
    """An alert found in a text. `way`: whether the one who speaks got it or sent it; `sender`: where the text says."""

    number: int
    begin: int
    end: int
    way: Literal["received", "sent"] = "received"
    sender: Side = "unknown"


# Beside IANA's names, those of Go, GnuTLS, OpenSSL, .NET and mbedTLS; canonical spelling.
_OTHER_NAMES: dict[str, int] = {
    "handshake failed": 40,
    "no certificate": 41,
    "certificate is bad": 42,
    "bad cert": 42,
    "certificate is not supported": 43,
    "unsupported cert": 43,
    "certificate was revoked": 44,
    "revoked certificate": 44,
    "cert revoked": 44,
    "certificate is expired": 45,
    "expired certificate": 45,
    "cert expired": 45,
    "unknown certificate": 46,
    "cert unknown": 46,
    "unknown certificate authority": 48,
    "unknown cert authority": 48,
    "ca is unknown": 48,
    "access was denied": 49,
    "error decoding message": 50,
    "decode err": 50,
    "error decrypting message": 51,
    "decrypt err": 51,
    "error in protocol version": 70,
    "protocol version not supported": 70,
    "tls version": 70,
    "insufficient security level": 71,
    "no renegotiation is allowed": 100,
    "an extension was expected but was not seen": 109,
    "unsupported certificate type": 43,
    "the server name sent was not recognized": 112,
    "unrecognised name": 112,
    "unknown psk identity": 115,
    "certificate is required": 116,
    "no supported application protocol could be negotiated": 120,
    "no application protocol": 120,
    "no application proto": 120,
    "encrypted client hello required": 121,
    "decryption failed or bad record mac": 20,
    "decryption failed": 21,
    "record overflow": 22,
    "user cancelled": 90,
    "bad certificate status response": 113,
}
_NAMES: dict[str, int] = {kind.name.replace("_", " "): code for code, kind in ALERTS.items() if code} | _OTHER_NAMES
_NAMES |= {name.replace(" ", ""): code for name, code in _NAMES.items()}  # HandshakeFailure
_NUMBER = re.compile(
    r"alert(?: (?:was )?(?:received|number|code|description|message|type|returned|error|is|from|the|remote|endpoint"
    r"|fatal|level|desc))*[ :=(\[#,]{0,3}(?:[12] ?[,/] ?)?(?:0x)?(\d{1,3})(?!\d|\.\d|[a-z])"
)
_CODE = re.compile(
    r"alert.{0,150}?(?:code|number|description)(?: returned.{0,40}?)?(?: is|:|=)? ?[(\[]?(\d{1,3})(?!\d|\.\d|[a-z])"
)
# RFC 9001 section 4.8: 0x0100 + the alert; quinn gives the alert alone.
_QUIC = re.compile(r"crypto error:? ?\(?0x1([0-9a-f]{2})(?![0-9a-f])|cryptographic handshake failed: error (\d{1,3})")
_SENT = ("sent", "sending", "send", "generated", "(out)", "write")
_RECEIVED = ("received", "(in)", "party sent", "peer sent", "server sent", "client sent", "endpoint sent", "sent by")
# Where no "alert" stands before the name.
_REMOTE = ("remote error:", "remote error: tls:", "handshake() failed:", "peer sent:", "sslexception: received fatal")


@cache
def _name() -> re.Pattern[str]:
    """Any alert's name, the longest first. Compiled when first needed: it takes longer than all the rest."""
    by_length = sorted(_NAMES, key=len, reverse=True)
    return re.compile(r"(?<![a-z0-9])(?:" + "|".join(re.escape(name) for name in by_length) + r")(?![a-z0-9])")


def alerts(text: str) -> Iterator[Seen]:
    """The alerts that canonical *text* names, in the order of the text."""
    at = text.find("alert")
    for _ in range(_MOST):
        if at < 0:
            break
        seen = _at(text, at)
        if seen is not None:
            yield seen
        at = text.find("alert", at + 5)
    for found in _QUIC.finditer(text):
        number = int(found[1], 16) if found[1] else int(found[2])
        if number in ALERTS and number:
            yield _seen(text, found.start(), number, found.end())
    for opening in _REMOTE:
        yield from _after(text, opening)


def _after(text: str, opening: str) -> Iterator[Seen]:
    at = text.find(opening)
    while at >= 0:
        end = at + len(opening)
        name = _name().match(text, end + 1) if text[end : end + 1] == " " else None
        if name is not None:
            yield Seen(number=_NAMES[name[0]], begin=at, end=name.end())
        at = text.find(opening, end)


def _at(text: str, at: int) -> Seen | None:
    """The alert that the word "alert" at *at* is about."""
    following = text[at : at + _REACH + 110]
    following = following[: 5 + max(following[5:].find("alert"), 0)] if "alert" in following[5:] else following
    name = _name().search(following, 5, _REACH)
    number = _NUMBER.match(following) or _CODE.match(following)
    if name is not None and (number is None or int(number[1]) not in ALERTS or name.start() <= number.start(1)):
        return _seen(text, at, _NAMES[name[0]], at + name.end())
    if number is not None and int(number[1]) in ALERTS and int(number[1]):
        return _seen(text, at, int(number[1]), at + number.end())
    return None


def _seen(text: str, at: int, number: int, end: int) -> Seen:
    before = text[max(0, at - 45) : at]
    after = text[at : min(end, at + 60)]
    sender: Side = "unknown"
    if before.endswith("client "):
        sender = "client"
    elif before.endswith("server "):
        sender = "server"
    was_sent = _says(before + after, _SENT) and not _says(before + after, _RECEIVED)
    return Seen(number=number, begin=at, end=end, way="sent" if was_sent else "received", sender=sender)


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(find(text, word) is not None for word in words)


def certificate_request_unanswered(text: str, number: int) -> bool:
    """Whether alert *number* came after the server asked for a certificate and the client sent none.

    `openssl s_client` prints the request's CA names; `curl -v` prints each message, and a client that has a
    certificate proves it with a CertificateVerify of its own (RFC 8446 section 4.4.3).
    """
    if number not in (40, 42):
        return False
    if "tls handshake, request cert" in text:
        return "(out), tls handshake, cert verify" not in text
    return number == 40 and "acceptable client certificate ca names" in text


@value
class Reading:
    """What an alert points to, by who sent it."""

    from_server: Causes
    from_client: Causes
    from_either: Causes = ()


def reading(number: int, sender: Side) -> Causes:
    """The causes that alert *number* of *sender* points to."""
    known = _READINGS.get(number, _ANY)
    if sender == "server":
        return known.from_server
    if sender == "client":
        return known.from_client
    return known.from_either or _merged(known)


def _merged(known: Reading) -> Causes:
    """Both readings by turns, each at half its weight."""
    weights: dict[str, float] = {}
    for causes in (known.from_server, known.from_client):
        for code, weight in causes:
            weights[code] = weights.get(code, 0.0) + weight / 2
    return tuple(sorted(weights.items(), key=lambda item: -item[1]))


def _both(*causes: tuple[str, float]) -> Reading:
    return Reading(from_server=causes, from_client=causes)


_ANY = _both(("negotiation.cipher", 0.2), ("negotiation.protocol-version", 0.2), ("resumption.broken", 0.1))
_MAC = _both(("balancer.intermittent", 0.3), ("resumption.broken", 0.28), ("reach.not-tls", 0.12))
_READINGS: dict[int, Reading] = {
    10: _both(("negotiation.protocol-version", 0.26), ("reach.not-tls", 0.22), ("resumption.broken", 0.2)),
    20: _MAC,
    21: _MAC,
    22: _both(("reach.not-tls", 0.7), ("negotiation.protocol-version", 0.12)),
    40: Reading(
        from_server=(
            ("negotiation.cipher", 0.42),
            ("negotiation.protocol-version", 0.16),
            ("mtls.certificate-required", 0.15),
            ("sni.unrecognized", 0.1),
            ("negotiation.group", 0.06),
            ("sni.required", 0.05),
        ),
        from_client=(
            ("negotiation.cipher", 0.4),
            ("negotiation.protocol-version", 0.2),
            ("negotiation.signature", 0.12),
            ("negotiation.group", 0.1),
        ),
    ),
    41: _both(("mtls.certificate-required", 0.85)),
    42: Reading(
        from_server=(
            ("mtls.certificate-rejected", 0.44),
            ("mtls.certificate-required", 0.28),
            ("mtls.unknown-ca", 0.2),
        ),
        from_client=(
            ("chain.untrusted", 0.42),
            ("chain.incomplete", 0.16),
            ("sni.name-mismatch", 0.13),
            ("chain.self-signed", 0.1),
            ("validity.expired", 0.08),
        ),
        from_either=(
            ("mtls.certificate-rejected", 0.34),
            ("chain.untrusted", 0.3),
            ("mtls.certificate-required", 0.14),
            ("mtls.unknown-ca", 0.08),
        ),
    ),
    43: Reading(
        from_server=(("mtls.certificate-rejected", 0.78), ("negotiation.signature", 0.08)),
        from_client=(("chain.wrong-usage", 0.45), ("chain.weak", 0.3), ("negotiation.signature", 0.1)),
        from_either=(("mtls.certificate-rejected", 0.42), ("chain.wrong-usage", 0.32), ("chain.weak", 0.1)),
    ),
    44: Reading(
        from_server=(("mtls.certificate-rejected", 0.75), ("revocation.revoked", 0.15)),
        from_client=(("revocation.revoked", 0.92),),
    ),
    45: Reading(
        from_server=(("mtls.certificate-rejected", 0.78), ("validity.expired", 0.12)),
        from_client=(
            ("validity.expired", 0.74),
            ("chain.expired-intermediate", 0.1),
            ("validity.clock-skew", 0.08),
        ),
        from_either=(("mtls.certificate-rejected", 0.45), ("validity.expired", 0.42)),
    ),
    46: Reading(
        from_server=(("mtls.certificate-rejected", 0.55), ("mtls.unknown-ca", 0.3)),
        from_client=(
            ("chain.untrusted", 0.45),
            ("chain.incomplete", 0.16),
            ("chain.self-signed", 0.14),
            ("sni.name-mismatch", 0.08),
        ),
        from_either=(("chain.untrusted", 0.4), ("mtls.certificate-rejected", 0.26), ("chain.self-signed", 0.1)),
    ),
    47: _both(("negotiation.group", 0.26), ("negotiation.protocol-version", 0.22), ("resumption.broken", 0.14)),
    48: Reading(
        from_server=(("mtls.unknown-ca", 0.84), ("mtls.certificate-rejected", 0.08)),
        from_client=(("chain.untrusted", 0.52), ("chain.incomplete", 0.24), ("chain.self-signed", 0.14)),
        from_either=(("mtls.unknown-ca", 0.42), ("chain.untrusted", 0.34), ("chain.incomplete", 0.1)),
    ),
    49: Reading(
        from_server=(("mtls.certificate-rejected", 0.62), ("sni.unrecognized", 0.16)),
        from_client=(("chain.untrusted", 0.5), ("sni.unrecognized", 0.1)),
        from_either=(("mtls.certificate-rejected", 0.55), ("sni.unrecognized", 0.16)),
    ),
    50: _both(("reach.not-tls", 0.24), ("negotiation.protocol-version", 0.22), ("reach.large-hello", 0.1)),
    51: Reading(
        from_server=(("mtls.certificate-rejected", 0.52), ("negotiation.signature", 0.18)),
        from_client=(("negotiation.signature", 0.32), ("resumption.broken", 0.2), ("chain.weak", 0.1)),
        from_either=(("mtls.certificate-rejected", 0.42), ("negotiation.signature", 0.22), ("resumption.broken", 0.1)),
    ),
    70: _both(("negotiation.protocol-version", 0.8), ("negotiation.legacy-only", 0.1)),
    71: _both(("negotiation.cipher", 0.68), ("negotiation.signature", 0.1), ("chain.weak", 0.08)),
    80: _both(("sni.unrecognized", 0.34), ("balancer.intermittent", 0.2), ("sni.required", 0.1)),
    86: _both(("negotiation.protocol-version", 0.78), ("balancer.intermittent", 0.08)),
    90: _both(("mtls.certificate-required", 0.25), ("chain.untrusted", 0.25), ("reach.closed", 0.2)),
    100: _both(("mtls.certificate-required", 0.45), ("negotiation.legacy-only", 0.2)),
    109: _both(("negotiation.group", 0.42), ("sni.required", 0.24), ("negotiation.signature", 0.16)),
    110: _both(("negotiation.protocol-version", 0.3), ("resumption.broken", 0.2), ("negotiation.alpn", 0.15)),
    111: _both(("mtls.certificate-rejected", 0.4), ("chain.incomplete", 0.2)),
    112: Reading(
        from_server=(("sni.unrecognized", 0.84), ("sni.default-certificate", 0.06)),
        from_client=(("sni.name-mismatch", 0.4), ("sni.unrecognized", 0.4)),
        from_either=(("sni.unrecognized", 0.82), ("sni.name-mismatch", 0.06)),
    ),
    113: _both(("revocation.staple-invalid", 0.78), ("revocation.staple-missing", 0.12)),
    115: _both(("resumption.broken", 0.5), ("resumption.tickets-not-shared", 0.25)),
    116: _both(("mtls.certificate-required", 0.92)),
    120: _both(("negotiation.alpn", 0.92)),
    121: _both(("sni.unrecognized", 0.4), ("negotiation.protocol-version", 0.2)),
}
# Alerts that one side alone can send, whatever the text says (RFC 8446 section 6.2, RFC 7301, RFC 6066).
ONLY_SERVERS = frozenset({112, 115, 116, 120, 121})
