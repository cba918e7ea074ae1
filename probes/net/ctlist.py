"""The log list, read so that it can be believed: it says which keys are logs' keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from probes.ct.loglist import LONGEST_LIST, BadList, LogList, parse_log_list
from probes.model import UsageError, ip_literal, shown
from probes.net.logfetch import Garbage, Manners, Place, Unavailable

__all__ = ["BadList", "Unavailable", "log_list"]


async def log_list(source: str, manners: Manners, rng: Random) -> LogList:
    """From a file, over https with its certificate verified, or over http from this machine itself.

    Raises UsageError for a source that is none, BadList for a file that is no list, Unavailable for a URL that cannot
    be had.
    """
    parts = urlsplit(source)
    if parts.scheme not in {"http", "https"}:
        return parse_log_list(await asyncio.to_thread(_content, source))
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        # Whoever can change the list on its way can hide any certificate.
        raise UsageError(f"the log list {shown(source)} must come over https")
    place = Place(source, manners, rng=rng)

    def read(body: bytes) -> LogList:
        try:
            return parse_log_list(body)
        except BadList as bad:
            raise Garbage(str(bad)) from None

    try:
        return await place.read("", read, max_body=LONGEST_LIST)
    finally:
        await place.aclose()


def _content(source: str) -> bytes:
    try:
        with Path(source.removeprefix("file://")).open("rb") as file:
            return file.read(LONGEST_LIST + 1)
    except OSError as error:
        raise UsageError(f"I cannot read the log list {shown(source)}: {error.strerror or error}") from None


def _is_loopback(host: str) -> bool:
    literal = ip_literal(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)
