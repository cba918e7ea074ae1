"""One HTTP question after the handshake, asked for its clock: HEAD /, and the Date of what comes back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from probes.model import HttpAnswer

MAX_HEAD = 8 * 1024
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: |\r?\n|$)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


def head_request(host: str) -> bytes:
    """*host* is a host name or IP literal that was checked (`Target.parse`); nothing in it can end the line."""
    authority = f"[{host}]" if ":" in host else host
    text = f"HEAD / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: clienthello\r\nConnection: close\r\n\r\n"
    return text.encode("ascii")


def is_whole(head: bytes | bytearray) -> bool:
    """Whether *head* holds all header lines, or more than anybody reads."""
    return len(head) >= MAX_HEAD or _HEAD_END.search(head) is not None


def http_answer(head: bytes, now: datetime) -> HttpAnswer | None:
    """Status, Date and Age as far as *head* goes; None when it does not begin as HTTP/1.x does."""
    status = _STATUS.match(head)
    if status is None:
        return None
    lines = _HEAD_END.split(head[:MAX_HEAD], maxsplit=1)[0].split(b"\n")[1:]
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    date = _date(fields.get(b"date", b""))
    age = fields.get(b"age", b"")
    return HttpAnswer(
        status=int(status[1]),
        date=date,
        skew_s=(date - now).total_seconds() if date else None,
        age_s=int(age) if age.isdigit() and len(age) < 10 else None,
    )


def _date(value: bytes) -> datetime | None:
    """RFC 9110 section 5.6.7: three forms, all of them GMT."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
