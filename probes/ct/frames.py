"""Certificates of the usual build, hopped over by one regular expression: the strict walk at the speed of C.

A pattern cannot count, but it can list: a branch for each length that an element may have, each followed by exactly
so many bytes. What matches has the very frames that `walk` demands; what does not match is walked element by element.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

# After an extension's tag: a subjectAltName, or an identifier whose length is not DER's and which may be one.
_SAN = rb"(?:.|\x81.|\x82..)\x06(?:\x03\x55\x1d\x11|[\x80-\xff])"


class Frames(NamedTuple):
    """From the first byte up to behind the tag of the first name in the subjectAltName, which is a dNSName. Group 1 is
    the subject, group 2 stands in front of the extension. No match: not of the usual build."""

    of_tbs: re.Pattern[bytes]
    of_certificate: re.Pattern[bytes]


@cache
def frames() -> Frames:
    """The patterns, built at the first use: this takes some hundredths of a second."""
    any_name = _short() + b"|" + _medium()
    serial = _listed((0x12, 0x11, 0x10, *range(1, 0x10), 0x13, 0x14, 0x15))
    algorithm, validity = _listed((0x0A, 0x0D, 0x0C, 0x0B)), _listed((0x1E, 0x20, 0x22))
    key = rb"\x59.{89}|\x76.{118}|\x2a.{42}|\x82\x01\x22.{290}|\x82\x01\xa2.{418}|\x82\x02\x22.{546}"
    head = rb"\x30\x82..\xa0\x03\x02\x01\x02\x02(?:%s)\x30(?:%s)\x30(?:%s)\x30(?:%s)(\x30(?:\x00|%s))\x30(?:%s)" % (
        *(serial, algorithm, any_name, validity, any_name, key),
    )
    usual = _listed((0x0C, 0x0E, 0x13, 0x1D, 0x1F))
    extension = rb"\x30(?!%s)(?:%s|%s|%s|\x82\x01(?:%s))" % (_SAN, usual, _short(), _medium(), _split(0, 256, 256))
    # Possessive: a certificate is matched in one way only.
    head += rb"\xa3(?:\x81.|\x82..)\x30(?:\x81.|\x82..)(?:%s)*+" % extension
    length = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
    head += rb"()\x30%s\x06\x03\x55\x1d\x11(?:\x01\x01\xff)?\x04%s\x30%s\x82" % (length, length, length)
    return Frames(of_tbs=re.compile(head, re.DOTALL), of_certificate=re.compile(rb"\x30\x82.." + head, re.DOTALL))


def _listed(lengths: Iterable[int], more: int = 0) -> bytes:
    return b"|".join(rb"\x%02x.{%d}" % (length, length + more) for length in lengths)


def _split(low: int, high: int, more: int = 0, step: int = 16) -> bytes:
    """A branch for each length byte, in groups of *step*, so that no more than a few are tried."""
    return b"|".join(
        rb"(?=[\x%02x-\x%02x])(?:%s)" % (first, first + step - 1, _listed(range(first, first + step), more))
        for first in range(low, high, step)
    )


def _short() -> bytes:
    return _split(0, 0x80)


def _medium() -> bytes:
    return rb"\x81(?:%s)" % _split(0x80, 0x100)
