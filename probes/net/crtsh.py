"""What crt.sh knows of a domain's certificates: an optional back-fill, believed for no alarm and no silence but CAs and
keys of before. It is often slow or away: whatever fails is an Unavailable with a reason.

Its JSON has no keys: those are read from the newest certificates themselves, a few of them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from urllib.parse import quote

from probes.net.logfetch import Garbage, Manners, Place, Unavailable
from probes.values import value

LARGEST: Final = 24 << 20
MOST_ROWS: Final = 2_000
MOST_KEYS: Final = 20


@value
class Filled:
    """A certificate that was issued before. *issuer* is a distinguished name as crt.sh writes it; *spki*: hex SHA-256
    of its key, empty where it was not read."""

    number: int
    issuer: str
    ca: str
    not_after: datetime
    spki: str = ""


async def filled(domain: str, base: str, manners: Manners, *, rng: Random) -> tuple[Filled, ...]:
    """The unexpired certificates of *domain* and below, newest first. Raises Unavailable."""
    place = Place(base.rstrip("/") + "/", manners, rng=rng)
    try:
        path = f"?q={quote(f'%.{domain}', safe='')}&output=json&exclude=expired&deduplicate=Y"
        rows = await place.read(path, _rows, max_body=LARGEST)
        found = []
        for at, row in enumerate(rows[:MOST_ROWS]):
            spki = await _key(place, row.number) if at < MOST_KEYS else ""
            found.append(Filled(number=row.number, issuer=row.issuer, ca=row.ca, not_after=row.not_after, spki=spki))
        return tuple(found)
    finally:
        await place.aclose()


async def _key(place: Place, number: int) -> str:
    try:
        return await place.read(f"?d={number}", _spki, max_body=1 << 16)
    except Unavailable:
        return ""  # its CA is known all the same


def _rows(body: bytes) -> list[Filled]:
    try:
        read = json.loads(_plain(body))
        rows = [_row(each) for each in read]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as wrong:
        raise Garbage("the answer is no list of certificates") from wrong
    return sorted(rows, key=lambda each: each.number, reverse=True)


def _row(each: dict[str, Any]) -> Filled:
    issuer = str(each["issuer_name"])[:512]
    return Filled(
        number=int(each["id"]),
        issuer=issuer,
        ca=_organisation(issuer),
        not_after=datetime.fromisoformat(str(each["not_after"])).replace(tzinfo=UTC),
    )


def _organisation(issuer: str) -> str:
    """crt.sh writes `C=US, O="Example, Inc.", CN=R11`."""
    import re

    for attribute in ("O", "CN"):
        found = re.search(rf'(?:^|,\s*){attribute}=(?:"([^"]*)"|([^,]*))', issuer)
        if found and (name := (found[1] or found[2] or "").strip()):
            return name
    return issuer


def _spki(body: bytes) -> str:
    from probes.ct.description import describe

    text = _plain(body)
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise Garbage("the answer is no certificate")
    import base64
    import binascii

    inner = text.split(b"-----BEGIN CERTIFICATE-----", 1)[1].partition(b"-----END CERTIFICATE-----")[0]
    try:
        return describe(base64.b64decode(b"".join(inner.split()), validate=True)).spki_sha256
    except binascii.Error as wrong:
        raise Garbage("the answer is no certificate") from wrong


def _plain(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    import zlib

    unpacked = zlib.decompressobj(31)
    try:
        plain = unpacked.decompress(body, LARGEST)
    except zlib.error as wrong:
        raise Garbage("the answer is cut or damaged") from wrong
    if not unpacked.eof:
        raise Garbage("the answer is cut, or too large")
    return plain
