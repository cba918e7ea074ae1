"""OpenSSL's packed error codes, where a program printed the numbers and not the words. Pure.

`error:1409442E:lib(20):func(148):reason(1070)` and `error:0A00010B` say as much as their texts, to who knows the
table: the low 12 bits are the reason (ERR_GET_REASON), and an alert that came is 1000 + its number (sslerr.h).
"""

from __future__ import annotations

import re

from probes.wire.registry import ALERTS

# sslerr.h of OpenSSL 1.0.2 to 3; those numbers mean the same in all of them.
_REASONS: dict[int, str] = {
    101: "no suitable key share",
    108: "bad key share",
    118: "no suitable signature algorithm",
    134: "certificate verify failed",
    155: "https proxy request",
    156: "http request",
    181: "no ciphers available",
    185: "no cipher match",
    191: "no protocols available",
    193: "no shared cipher",
    199: "peer did not return a certificate",
    234: "callback failed",
    252: "unknown protocol",
    253: "binder does not verify",
    258: "unsupported protocol",
    267: "wrong version number",
    277: "session id context uninitialized",
    281: "decryption failed or bad record mac",
    294: "unexpected eof while reading",
    338: "unsafe legacy renegotiation disabled",
    370: "wrong signature type",
    394: "dh key too small",
    396: "version too low",
    397: "ca key too small",
    398: "ca md too weak",
    399: "ee key too small",
}
_ALERTS = 1000
_WORDLESS = re.compile(r"(?:ssl routines|lib\(20\)|libssl).{0,60}?reason\((\d{1,4})\)")
_BARE = re.compile(r"error:(?:14[0-9a-f]{3}|0a000)([0-9a-f]{3})(?![0-9a-f:])")


def spelled_out(text: str) -> str:
    """Canonical *text* with the words of each wordless OpenSSL code put behind it."""
    if "reason(" in text:
        text = _WORDLESS.sub(lambda found: _with_words(found[0], int(found[1])), text)
    if "error:" in text:
        text = _BARE.sub(lambda found: _with_words(found[0], int(found[1], 16)), text)
    return text


def _with_words(code: str, reason: int) -> str:
    if reason in _REASONS:
        return f"{code} ssl routines:{_REASONS[reason]}"
    if reason - _ALERTS in ALERTS and reason > _ALERTS:
        return f"{code} ssl alert number {reason - _ALERTS}"
    return code
