"""A tiny DER walk: where the fields of a certificate lie, without judging any of them.

It serves two ends: certificates that a strict parser refuses still have a subject and dates, and a store of
anchors is indexed without parsing each root. It raises Malformed and nothing else, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from probes.values import value

SEQUENCE = 0x30
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
BOOLEAN = 0x01
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
_TIME = re.compile(r"[0-9]{14}Z")


class Malformed(ValueError):
    """The bytes are not the DER that was expected; the text says where."""


class Element(NamedTuple):
    """One tag-length-value: the value is der[body:end], the whole is der[start:end]."""

    tag: int
    start: int
    body: int
    end: int


@value
class Extension:
    """One certificate extension, unread."""

    oid: str
    critical: bool
    value: bytes


@value
class Skeleton:
    """The fields of a certificate as slices of its DER (RFC 5280 section 4.1); version counts from 1.

    *algorithms_agree*: the signature algorithm inside the signed part is the one outside (section 4.1.1.2).
    """

    tbs: bytes
    version: int
    serial: int
    issuer: bytes
    validity: bytes
    subject: bytes
    spki: bytes
    extensions: bytes | None
    signature_oid: str
    algorithms_agree: bool
    signature: bytes


def element(der: bytes, at: int, limit: int) -> Element:
    """The element that starts at *at* and must end by *limit*."""
    if at + 2 > limit:
        raise Malformed(f"the data ends at byte {at}, in the middle of an element")
    tag, length = der[at], der[at + 1]
    if tag & 0x1F == 0x1F:
        raise Malformed(f"a tag of several bytes at byte {at}")
    body = at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 4 or body + count > limit:
            raise Malformed(f"an impossible length at byte {at}")
        length = int.from_bytes(der[body : body + count], "big")
        body += count
    if body + length > limit:
        raise Malformed(f"the element at byte {at} is longer than what holds it")
    return Element(tag, at, body, body + length)


def children(der: bytes, parent: Element) -> Iterator[Element]:
    """The elements inside a constructed one, in order."""
    at = parent.body
    while at < parent.end:
        child = element(der, at, parent.end)
        yield child
        at = child.end


def inside(der: bytes) -> Iterator[Element]:
    """The elements inside the one constructed element that *der* is."""
    return children(der, element(der, 0, len(der)))


@lru_cache(maxsize=1024)
def object_identifier(body: bytes) -> str:
    """Dotted text of an OBJECT IDENTIFIER's value."""
    arcs: list[int] = []
    arc = 0
    for byte in body[:64]:
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        raise Malformed("an empty object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - 40 * first, *arcs[1:]))


def skeleton(der: bytes) -> Skeleton:
    """Find the fields of a certificate; Malformed when even their frame is not there."""
    outer = element(der, 0, len(der))
    _expect(outer, SEQUENCE, "certificate")
    tbs, algorithm, signature = _take(children(der, outer), 3)
    _expect(tbs, SEQUENCE, "tbsCertificate")
    _expect(signature, BIT_STRING, "signature")
    parts = list(children(der, tbs))
    version = 1
    if parts and parts[0].tag == 0xA0:
        version = int.from_bytes(_content(der, element(der, parts[0].body, parts[0].end))[:4], "big") + 1
        parts = parts[1:]
    serial, inner, issuer, validity, subject, spki = _take(iter(parts), 6)
    _expect(serial, INTEGER, "serialNumber")
    for part, name in (
        (issuer, "issuer"),
        (validity, "validity"),
        (subject, "subject"),
        (spki, "subjectPublicKeyInfo"),
    ):
        _expect(part, SEQUENCE, name)
    extensions = next((part for part in parts[6:] if part.tag == 0xA3), None)
    return Skeleton(
        tbs=der[tbs.start : tbs.end],
        version=version,
        serial=int.from_bytes(_content(der, serial)[:64], "big", signed=True),
        issuer=der[issuer.start : issuer.end],
        validity=der[validity.start : validity.end],
        subject=der[subject.start : subject.end],
        spki=der[spki.start : spki.end],
        extensions=_content(der, extensions) if extensions else None,
        signature_oid=_algorithm(der, algorithm),
        algorithms_agree=der[inner.start : inner.end] == der[algorithm.start : algorithm.end],
        signature=_content(der, signature)[1:],
    )


def authority(der: bytes) -> tuple[bytes, bytes]:
    """Subject and subjectPublicKeyInfo alone: a store of many roots is indexed with nothing more."""
    tbs = element(der, element(der, 0, len(der)).body, len(der))
    at = tbs.body
    fields = 7 if at < tbs.end and der[at] == 0xA0 else 6
    for _ in range(fields - 2):
        at = element(der, at, tbs.end).end
    subject = element(der, at, tbs.end)
    spki = element(der, subject.end, tbs.end)
    _expect(subject, SEQUENCE, "subject")
    _expect(spki, SEQUENCE, "subjectPublicKeyInfo")
    return der[subject.start : subject.end], der[spki.start : spki.end]


_LOGGED_APART = frozenset({"1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.4.1.11129.2.4.3"})  # the SCT list, the poison


def logged_tbs(der: bytes) -> bytes:
    """The tbsCertificate as Certificate Transparency logs it: without SCT list and poison (RFC 6962 section 3.2), so
    that it is the same in a precertificate and in its certificate. Malformed when *der* is no certificate."""
    tbs = element(der, element(der, 0, len(der)).body, len(der))
    last = list(children(der, tbs))[-1:]
    if not last or last[0].tag != 0xA3:
        return der[tbs.start : tbs.end]
    listed = element(der, last[0].body, last[0].end)
    kept = b"".join(
        der[part.start : part.end]
        for part in children(der, listed)
        if object_identifier(_content(der, element(der, part.body, part.end))) not in _LOGGED_APART
    )
    if len(kept) == listed.end - listed.body:
        return der[tbs.start : tbs.end]
    wrapped = _encoded(0xA3, _encoded(SEQUENCE, kept)) if kept else b""
    return _encoded(SEQUENCE, der[tbs.body : last[0].start] + wrapped)


def _encoded(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def extensions(body: bytes | None) -> tuple[Extension, ...]:
    """The extensions in the order sent (RFC 5280 section 4.1.2.9)."""
    if body is None:
        return ()
    return tuple(_extension(body, part) for part in inside(body))


def validity(der: bytes) -> tuple[datetime, datetime]:
    """notBefore and notAfter, aware UTC (RFC 5280 section 4.1.2.5)."""
    first, last = _take(inside(der), 2)
    return _time(first.tag, _content(der, first)), _time(last.tag, _content(der, last))


def _extension(body: bytes, part: Element) -> Extension:
    fields = list(children(body, part))
    if len(fields) not in (2, 3) or fields[0].tag != OBJECT_IDENTIFIER or fields[-1].tag != OCTET_STRING:
        raise Malformed("an extension that is no extension")
    return Extension(
        oid=object_identifier(_content(body, fields[0])),
        critical=len(fields) == 3 and fields[1].tag == BOOLEAN and any(_content(body, fields[1])),
        value=_content(body, fields[-1]),
    )


def _time(tag: int, body: bytes) -> datetime:
    text = body.decode("ascii", "replace")
    if tag == UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: two-digit years from 50 on are of the twentieth century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise Malformed("a date that is neither UTCTime nor GeneralizedTime")
    if not _TIME.fullmatch(text):
        raise Malformed(f"a date that reads {text[:32]!r}")
    try:
        month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
        return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as wrong:
        raise Malformed(f"a date that reads {text[:32]!r}") from wrong


def _algorithm(der: bytes, part: Element) -> str:
    _expect(part, SEQUENCE, "signatureAlgorithm")
    oid = element(der, part.body, part.end)
    _expect(oid, OBJECT_IDENTIFIER, "signatureAlgorithm")
    return object_identifier(_content(der, oid))


def _content(der: bytes, part: Element) -> bytes:
    return der[part.body : part.end]


def _expect(part: Element, tag: int, name: str) -> None:
    if part.tag != tag:
        raise Malformed(f"{name} has tag {part.tag:#04x}, not {tag:#04x}")


def _take(parts: Iterator[Element], count: int) -> list[Element]:
    taken = [part for _, part in zip(range(count), parts, strict=False)]
    if len(taken) < count:
        raise Malformed(f"{len(taken)} fields where {count} belong")
    return taken
