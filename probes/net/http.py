"""One HTTP question after the handshake: HEAD / for the clock, GET / where the answer's text may name a fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from probes.model import Endpoint, Handshake, HttpAnswer

MAX_HEAD = 8 * 1024
MAX_BODY = 4 * 1024  # an error page names its reason early
_TELLING = ("server", "via", "alt-svc", "location", "proxy-authenticate", "x-cache")
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: |\r?\n|$)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


def request(method: Literal["HEAD", "GET"], host: str) -> bytes:
    """*host* is a host name or IP literal that was checked (`Target.parse`); nothing in it can end the line."""
    authority = f"[{host}]" if ":" in host else host
    text = f"{method} / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: clienthello\r\nConnection: close\r\n\r\n"
    return text.encode("ascii")


def is_whole(answer: bytes | bytearray, *, with_body: bool = False) -> bool:
    """Whether *answer* holds all header lines (and, *with_body*, what follows them), or more than anybody reads."""
    end = _HEAD_END.search(answer, 0, MAX_HEAD)
    if end is None:
        return len(answer) >= MAX_HEAD
    if not with_body:
        return True
    length = _fields(bytes(answer[: end.start()])).get(b"content-length", b"")
    wanted = int(length) if length.isdigit() and len(length) < 10 else MAX_BODY
    return len(answer) - end.end() >= min(wanted, MAX_BODY)


def http_answer(answer: bytes, now: datetime) -> HttpAnswer | None:
    """Status, Date and Age as far as *answer* goes; None when it does not begin as HTTP/1.x does."""
    status = _STATUS.match(answer)
    if status is None:
        return None
    end = _HEAD_END.search(answer, 0, MAX_HEAD)
    fields = _fields(answer[: end.start()] if end else answer[:MAX_HEAD])
    date = _date(fields.get(b"date", b""))
    age = fields.get(b"age", b"")
    return HttpAnswer(
        status=int(status[1]),
        date=date,
        skew_s=(date - now).total_seconds() if date else None,
        age_s=int(age) if age.isdigit() and len(age) < 10 else None,
        body=answer[end.end() : end.end() + MAX_BODY] if end else b"",
        fields=tuple(
            (name, fields[key].decode("latin-1")[:200]) for name in _TELLING if (key := name.encode()) in fields
        ),
    )


_H3 = re.compile(r'(?:^|,)\s*h3="[^":]*:([0-9]{1,5})"')


def http3_port(seen: Iterable[Handshake], endpoint: Endpoint) -> int | None:
    """The UDP port at which *endpoint* says in Alt-Svc that it speaks HTTP/3 (RFC 7838 section 3), where it says so."""
    for shake in seen:
        if shake.endpoint == endpoint and shake.http is not None:
            found = _H3.search(dict(shake.http.fields).get("alt-svc", ""))
            if found is not None and 1 <= int(found[1]) <= 65535:
                return int(found[1])
    return None


def _fields(head: bytes) -> dict[bytes, bytes]:
    """The header fields, each as first given; names in lower case."""
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _date(value: bytes) -> datetime | None:
    """RFC 9110 section 5.6.7: three forms, all of them GMT."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
