"""Names the protocol of a peer that answers in something other than TLS, from its first bytes."""

from __future__ import annotations

import re

LINE_LIMIT = 256
BINARY_LIMIT = 9

# Order matters: the first match wins. SMTP, FTP and NNTP all greet with three digits, so the words behind decide.
_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for name, pattern in (
        ("http", rb"HTTP/\d"),
        ("http", rb"(?:GET|POST|HEAD|PUT|OPTIONS|CONNECT) [^\r\n]* HTTP/\d"),
        ("http2", rb"PRI \* HTTP/2"),
        # An HTTP/2 server opens with SETTINGS on stream 0.
        ("http2", rb"\x00\x00[\x00-\x7e]\x04\x00\x00\x00\x00\x00"),
        ("rtsp", rb"RTSP/\d"),
        ("sip", rb"SIP/\d"),
        ("ssh", rb"SSH-\d"),
        ("ssh", rb"Exceeded MaxStartups|Not allowed at this time|Invalid SSH"),
        ("proxy", rb"PROXY (?:TCP|UNKNOWN)"),
        ("proxy", rb"\r\n\r\n\x00\r\nQUIT\n"),
        ("imap", rb"\* (?:OK|PREAUTH|BYE|BAD)"),
        ("managesieve", rb'"IMPLEMENTATION"'),
        ("pop3", rb"\+OK"),
        ("redis", rb"-ERR (?:unknown command ['`]|Protocol error|wrong number)"),
        ("redis", rb"-(?:DENIED|NOAUTH|LOADING|MASTERDOWN|NOPERM|MISCONF|WRONGPASS)"),
        ("redis", rb"\+PONG|\$\d+\r\n|:\d+\r\n"),
        ("pop3", rb"-ERR"),
        ("nntp", rb"(?:200|201|400|502)[ -].*(?:nntp|news|inn |posting|usenet)"),
        ("ftp", rb"(?:120|220|421|500|530)[ -].*(?:\bftp|ftpd|filezilla|vsftpd|proftpd|pure-ftpd|USER and PASS)"),
        ("smtp", rb"(?:220|421|450|451|500|501|502|503|521|530|550|554)[ -]"),
        ("ftp", rb"(?:120|530)[ -]"),
        ("nntp", rb"(?:200|201)[ -]"),
        ("irc", rb"(?::\S+ (?:NOTICE|\d{3}|ERROR) |NOTICE AUTH|ERROR :)"),
        ("vnc", rb"RFB \d{3}\.\d{3}"),
        ("memcached", rb"(?:CLIENT_ERROR|SERVER_ERROR|ERROR\r?\n)"),
        ("xmpp", rb"<\?xml[^>]*\?>\s*<stream:stream|<stream:(?:stream|error)|</stream:stream"),
        ("html", rb"\s*(?:<!doctype html|<html|<head|<body|<h1|<title)"),
        ("xml", rb"\s*<\?xml"),
        ("amqp", rb"AMQP"),
        # AMQP 0-9-1 method frame: Connection.Start on channel 0.
        ("amqp", rb"\x01\x00\x00\x00\x00..\x00\x0a"),
        # MySQL greets with a packet of sequence 0: protocol 10 and a version, or 0xff and an error.
        ("mysql", rb".[\x00-\x04]\x00\x00(?:\x0a[\x20-\x7e]|\xff..)"),
        # PostgreSQL: ErrorResponse in the v3 form, in the old text form, or the answer to an SSLRequest.
        ("postgresql", rb"E\x00\x00[\x00-\x0f].[SVC]"),
        ("postgresql", rb"E(?:FATAL|unsupported|invalid length|Invalid)"),
        ("postgresql", rb"[NS]\Z"),
        ("postgresql", rb"R\x00\x00\x00"),
        # LDAP: SEQUENCE, message id 0 or 1, then an extended response (notice of disconnection).
        ("ldap", rb"\x30(?:.|\x81.|\x82..|\x84....)\x02\x01[\x00\x01][\x61-\x78]"),
        ("rdp", rb"\x03\x00\x00.[\x02-\x20]\xd0"),
        ("tds", rb"\x04\x01\x00.\x00\x00"),
        ("telnet", rb"\xff[\xfb-\xfe]"),
        ("socks", rb"\x05[\x00-\x02\xff]|\x00[\x5a-\x5d]"),
        ("ajp", rb"AB\x00"),
        ("smb", rb"\x00\x00..[\xfe\xff]SMB"),
        ("mqtt", rb"\x20\x02[\x00\x01][\x00-\x05]\Z"),
        # SSLv2: a two-byte length with the high bit set, then SERVER-HELLO (4) or ERROR (0).
        ("sslv2", rb"[\x80-\xff].\x04[\x00\x01]\x01"),
        ("sslv2", rb"\x80\x03\x00\x00[\x01-\x06]"),
        ("sslv2", rb"[\x80-\xff].\x01\x00\x02"),
    )
)


def foreign_protocol(first_bytes: bytes) -> str | None:
    """Name what the peer speaks ("http", "ssh", "smtp", …), or None for what is not recognised.

    Says nothing on whether it *could* be TLS: ask ``records.looks_like_tls`` first.
    """
    head = bytes(first_bytes[: LINE_LIMIT * 2])
    return next((name for name, pattern in _SIGNATURES if pattern.match(head)), None)


def decisive_prefix(first_bytes: bytes, *, ended: bool = False) -> bytes | None:
    """The part of a non-TLS answer that decides on its name, or None while more should be awaited.

    Text is judged by its first line, anything else by its first octets, so that the verdict does not depend on how
    the bytes were cut on their way. *ended* says that no more will come.
    """
    head = bytes(first_bytes[:LINE_LIMIT])
    # Blank lines come before some greetings and before some HTML.
    start = len(head) - len(head.lstrip(b"\r\n"))
    turn = _LINE_END_OR_BINARY.search(head, start)
    if head[start : start + 1] >= b"\x7f":
        needed = start + BINARY_LIMIT
    elif turn is None:
        needed = LINE_LIMIT
    elif turn.group() == b"\n":
        needed = turn.end()
    else:
        needed = max(start + BINARY_LIMIT, turn.end())
    needed = min(needed, LINE_LIMIT)
    return head[:needed] if ended or len(head) >= needed else None


_LINE_END_OR_BINARY = re.compile(rb"[\x00-\x08\x0a-\x0c\x0e-\x1f]")
