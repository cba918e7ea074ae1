"""STARTTLS in protocols of text: SMTP, IMAP, POP3, XMPP. One generator each, driven by `starttls.Prelude`."""

from __future__ import annotations

import re
from collections.abc import Generator

from probes.wire.foreign import foreign_protocol
from probes.wire.talk import MAX_LINES, Refused, Said, Talk, odd, refused, text

OUR_NAME = "clienthello.invalid"  # EHLO wants a name (RFC 5321 section 4.1.1.1); this one can be nobody's (RFC 2606)

# ── SMTP: RFC 5321 section 4.2, RFC 3207 ────────────────────────────────────────

_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


def _reply(said: Said, outgoing: bytes) -> Generator[bytes, None, tuple[int, list[bytes]] | Refused]:
    """Send *outgoing*, read one reply of one or more lines: its code and the text of each line."""
    texts: list[bytes] = []
    yield outgoing
    while len(texts) < MAX_LINES:
        line = said.line()
        if line is None:
            yield b""
            continue
        found = _REPLY.fullmatch(line)
        if found is None:
            return odd(said, line)
        texts.append(found[3] or b"")
        if found[2] != b"-":
            return int(found[1]), texts
    return Refused(protocol=said.protocol, why=f"a reply of over {MAX_LINES} lines", said=texts[0])


def smtp(said: Said, domain: str) -> Talk:
    greeting = yield from _reply(said, b"")
    if isinstance(greeting, Refused):
        return greeting
    code, texts = greeting
    words = b"%d %s" % (code, texts[-1])
    if code != 220:
        return refused(said, words, "the server takes no mail from here, before STARTTLS could be asked for")
    if foreign_protocol(words + b"\r\n") not in {"smtp", None}:  # FTP greets with 220 as well
        return odd(said, words + b"\r\n")
    said.awaiting = "capabilities"
    offered = yield from _reply(said, f"EHLO {OUR_NAME}\r\n".encode())
    if isinstance(offered, Refused):
        return offered
    code, texts = offered
    keywords = [text.split(b" ")[0].upper() for text in texts[1:]]
    if code != 250:
        return refused(said, b"%d %s" % (code, texts[-1]), "EHLO is refused, so STARTTLS cannot be offered")
    if b"STARTTLS" not in keywords:
        return Refused(protocol="smtp", why=_not_listed(keywords), said=b"\n".join(texts))
    said.awaiting = "go-ahead"
    answer = yield from _reply(said, b"STARTTLS\r\n")
    if isinstance(answer, Refused):
        return answer
    code, texts = answer
    return (
        b""
        if code == 220
        else refused(said, b"%d %s" % (code, texts[-1]), _SMTP_CODES.get(code, "STARTTLS is refused"))
    )


_SMTP_CODES = {
    454: "STARTTLS is refused for the moment (RFC 3207 section 4: the server's TLS is not ready)",
    501: "STARTTLS is refused (a syntax error where there is none)",
    502: "STARTTLS is not offered",
    500: "STARTTLS is not offered",
    503: "STARTTLS is refused (out of sequence)",
    530: "STARTTLS is refused until something else is done",
}


def _not_listed(keywords: list[bytes]) -> str:
    shown = ", ".join(text(word, 30) for word in keywords[:12]) or "nothing"
    # Firewalls that inspect SMTP blank out what they do not like, in its own length.
    blanked = any(re.fullmatch(rb"X{6,}A?", word) for word in keywords)
    blame = "; a firewall on the path has blanked a keyword out" if blanked else ""
    return f"STARTTLS is not offered: EHLO lists {shown}{blame}"


# ── IMAP: RFC 9051 section 6.2.1; POP3: RFC 2595 section 4 ──────────────────────


def imap(said: Said, domain: str) -> Talk:
    yield b""
    while (greeting := said.line()) is None:
        yield b""
    upper = greeting.upper()
    if not upper.startswith((b"* OK", b"* PREAUTH", b"* BYE")):
        return odd(said, greeting + b"\r\n")
    if upper.startswith(b"* BYE"):
        return refused(said, greeting, "the server says goodbye at once")
    if upper.startswith(b"* PREAUTH"):
        return refused(
            said, greeting, "the session counts as logged in, where STARTTLS is not allowed (RFC 9051 section 6.2.1)"
        )
    said.awaiting = "go-ahead"
    yield b"a1 STARTTLS\r\n"
    line = b""
    while line[:3].lower() != b"a1 ":
        while (words := said.line()) is None:
            yield b""
        line = words
        if line.upper().startswith(b"* BYE"):
            return refused(said, line, "the server says goodbye to STARTTLS")
    if line[3:5].upper() == b"OK":
        return b""
    listed = b"CAPABILITY" in upper and b"STARTTLS" not in upper
    return refused(
        said, line, "STARTTLS is refused" + (", and it is not among the capabilities greeted with" if listed else "")
    )


def pop3(said: Said, domain: str) -> Talk:
    yield b""
    while (greeting := said.line()) is None:
        yield b""
    if not greeting.startswith((b"+OK", b"-ERR")):
        return odd(said, greeting + b"\r\n")
    if greeting.startswith(b"-ERR"):
        return refused(said, greeting, "the server turns the connection away")
    said.awaiting = "go-ahead"
    yield b"STLS\r\n"
    while (answer := said.line()) is None:
        yield b""
    return b"" if answer.startswith(b"+OK") else refused(said, answer, "STLS (STARTTLS for POP3) is refused")


# ── XMPP: RFC 6120 sections 4.3 and 5.4 ─────────────────────────────────────────

_FEATURES = re.compile(rb"<(?:[\w.-]+:)?features\s*/>|</(?:[\w.-]+:)?features\s*>")
_STREAM_ERROR = re.compile(rb"</(?:[\w.-]+:)?error\s*>|</(?:[\w.-]+:)?stream\s*>")
_CONDITION = re.compile(rb"<([a-z-]+)\s+xmlns=['\"]urn:ietf:params:xml:ns:xmpp-streams['\"]")
_START = re.compile(rb"<(?:[\w.-]+:)?starttls[\s/>]")
_ANSWER = re.compile(rb"<(?:[\w.-]+:)?(proceed|failure)\b[^>]*?(?:/>|>\s*</(?:[\w.-]+:)?(?:proceed|failure)\s*>)")


def xmpp(said: Said, domain: str) -> Talk:
    name = "".join(c for c in domain if c.isalnum() or c in ".-_:[]")
    yield (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to='{name}' version='1.0'>"
    ).encode()
    while not (found := _FEATURES.search(said.left)) and not _STREAM_ERROR.search(said.left):
        if said.left.lstrip()[:1] not in {b"", b"<"}:
            return odd(said, said.left)
        yield b""
    if found is None:
        return Refused(protocol="xmpp", why=_xmpp_error(said.left, name), said=said.left[:256])
    features = said.take(found.end())
    if not _START.search(features):
        return Refused(protocol="xmpp", why="STARTTLS is not offered among the stream's features", said=features[-256:])
    said.awaiting = "go-ahead"
    yield b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    while (answer := _ANSWER.search(said.left)) is None:
        if _STREAM_ERROR.search(said.left):
            return Refused(protocol="xmpp", why=_xmpp_error(said.left, name), said=said.left[:256])
        yield b""
    words = said.take(answer.end())
    return b"" if answer[1] == b"proceed" else refused(said, words, "STARTTLS is refused")


def _xmpp_error(said: bytes, name: str) -> str:
    condition = _CONDITION.search(said)
    if condition is None:
        return f"XMPP ends the stream before TLS: “{text(said[-120:])}”"
    hint = f" (it does not serve “{name}”)" if condition[1] == b"host-unknown" else ""
    return f"XMPP answered with the stream error {condition[1].decode()}{hint}"
