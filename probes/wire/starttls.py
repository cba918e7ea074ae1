"""The conversation in clear that comes before the ClientHello where TLS begins by command (STARTTLS), without I/O.

One generator a protocol: it yields what is to be sent and gets what the far end said, until it returns why TLS cannot
begin, or None where it can. `Prelude` drives it: bytes in, bytes out, an end. Nothing that the far end sends raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from probes.wire.foreign import foreign_protocol
from probes.wire.records import looks_like_tls

MAX_CLEAR = 1 << 15  # bytes of the far end; no greeting with its capabilities comes near it
_MAX_LINES = 200  # of one reply
OUR_NAME = "clienthello.invalid"  # EHLO wants a name (RFC 5321 section 4.1.1.1); this one can be nobody's (RFC 2606)

NAMES = {
    "smtp": "SMTP",
    "imap": "IMAP",
    "pop3": "POP3",
    "ldap": "LDAP",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "xmpp": "XMPP",
}
_FROM_FOREIGN = {**{name: name for name in NAMES}, "postgresql": "postgres"}
_GREETS = frozenset({"smtp", "imap", "pop3", "mysql"})

Awaited: TypeAlias = Literal["greeting", "capabilities", "go-ahead"]


def starttls_of(protocol: str) -> str | None:
    """The STARTTLS protocol that a foreign protocol's name (`foreign_protocol`) stands for, where it has one."""
    return _FROM_FOREIGN.get(protocol.lower())


def greets_first(protocol: str) -> bool:
    """Does the server speak first? Then silence may also mean that it waits for a ClientHello."""
    return protocol in _GREETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """TLS may begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """TLS cannot begin. `protocol` is what the far end speaks, `why` a clause for people, `said` its words."""

    protocol: str
    why: str
    said: bytes


End: TypeAlias = Ready | Refused


class Prelude:
    """One conversation. Send `outgoing()` whenever it has something; `receive` tells the end, once it is there."""

    def __init__(self, protocol: str, domain: str) -> None:
        """*protocol* is one of NAMES; *domain* is the service's own name, which XMPP asks for (RFC 6120 4.3.1)."""
        self.protocol = protocol
        self._said = _Said(protocol)
        self._outgoing = bytearray()
        self._ended: End | None = None
        self._talk = _TALKS[protocol](self._said, domain)
        self._step()

    @property
    def awaiting(self) -> str:
        """What is due next, in words."""
        article = "the" if self._said.awaiting != "capabilities" else "its"
        return f"{article} {NAMES[self.protocol]} {self._said.awaiting}"

    @property
    def heard(self) -> bool:
        return self._said.total > 0

    def outgoing(self) -> bytes:
        """Take what is to be sent; b"" when there is nothing."""
        waiting = bytes(self._outgoing)
        self._outgoing.clear()
        return waiting

    def receive(self, data: bytes) -> End | None:
        """Take in the next bytes; the end of the conversation once they tell it."""
        if self._ended is not None:
            return self._ended
        first = not self.heard
        self._said.feed(data)
        if first and looks_like_tls(data):
            return self._refuse("tls", "this port speaks TLS from the first byte: check it without STARTTLS", data)
        if self._said.total > MAX_CLEAR:
            return self._refuse(self.protocol, f"over {MAX_CLEAR // 1024} KB came before TLS", data)
        self._step()
        return self._ended

    def eof(self) -> End | None:
        """No more will come: what was said and not understood is judged as it is. None: nothing was said."""
        left = self._said.left
        if self._ended is None and left:
            return self._refuse(*_stranger(self.protocol, left), left)
        return self._ended

    def _refuse(self, protocol: str, why: str, said: bytes) -> End:
        self._ended = Refused(protocol=protocol, why=why, said=said[:256])
        return self._ended

    def _step(self) -> None:
        try:
            self._outgoing += next(self._talk)
        except StopIteration as stop:
            last: Refused | bytes = stop.value
            self._ended = last if isinstance(last, Refused) else self._may_begin(last)

    def _may_begin(self, last: bytes) -> End:
        # CVE-2021-23222 and its kin: what stands in clear behind the go-ahead would be taken for protected data.
        left = self._said.left
        if not left:
            self._outgoing += last
            return Ready()
        blame = "somebody injects them, or the server is broken"
        why = f"{len(left)} bytes came in clear behind the go-ahead, before TLS: {blame}"
        return Refused(protocol=self.protocol, why=why, said=left[:256])


class _Said:
    """What the far end said and nobody has read yet."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.awaiting: Awaited = "greeting" if greets_first(protocol) else "capabilities"
        self.total = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        self._buffer += data

    @property
    def left(self) -> bytes:
        return bytes(self._buffer)

    def line(self) -> bytes | None:
        """The next whole line without its end, or None."""
        end = self._buffer.find(b"\n")
        return None if end < 0 else self.take(end + 1).rstrip(b"\r\n")

    def take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


Talk: TypeAlias = Generator[bytes, None, Refused | bytes]
"""Yields what to send (b"": only read on); resumed when more was said. Returns why TLS cannot begin, or the last bytes
to send before it (usually none)."""


def _text(said: bytes, limit: int = 120) -> str:
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said.decode("utf-8", "replace"))
    return plain.strip()[:limit]


def _stranger(protocol: str, said: bytes) -> tuple[str, str]:
    """What to call a far end whose words are not *protocol*'s, and why that ends the matter."""
    heard = foreign_protocol(said)
    name = NAMES[protocol]
    if heard is None or _FROM_FOREIGN.get(heard) == protocol:
        return heard or "unknown", f"what it says is not {name}: “{_text(said)}”"
    other = _FROM_FOREIGN.get(heard)
    advice = f"; check it with STARTTLS {other}" if other else ""
    return heard, f"this port speaks {NAMES.get(other or '', heard.upper())}, not {name}{advice}: “{_text(said)}”"


def _odd(said: _Said, words: bytes) -> Refused:
    protocol, why = _stranger(said.protocol, words)
    return Refused(protocol=protocol, why=why, said=words[:256])


def _refused(said: _Said, words: bytes, why: str) -> Refused:
    return Refused(
        protocol=said.protocol, why=f"{NAMES[said.protocol]} answered “{_text(words)}”: {why}", said=words[:256]
    )


# ── SMTP: RFC 5321 section 4.2, RFC 3207 ────────────────────────────────────────

_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


def _reply(said: _Said, outgoing: bytes) -> Generator[bytes, None, tuple[int, list[bytes]] | Refused]:
    """Send *outgoing*, read one reply of one or more lines: its code and the text of each line."""
    texts: list[bytes] = []
    yield outgoing
    while len(texts) < _MAX_LINES:
        line = said.line()
        if line is None:
            yield b""
            continue
        found = _REPLY.fullmatch(line)
        if found is None:
            return _odd(said, line)
        texts.append(found[3] or b"")
        if found[2] != b"-":
            return int(found[1]), texts
    return Refused(protocol=said.protocol, why=f"a reply of over {_MAX_LINES} lines", said=texts[0])


def _smtp(said: _Said, domain: str) -> Talk:
    greeting = yield from _reply(said, b"")
    if isinstance(greeting, Refused):
        return greeting
    code, texts = greeting
    words = b"%d %s" % (code, texts[-1])
    if code != 220:
        return _refused(said, words, "the server takes no mail from here, before STARTTLS could be asked for")
    if foreign_protocol(words + b"\r\n") not in {"smtp", None}:  # FTP greets with 220 as well
        return _odd(said, words + b"\r\n")
    said.awaiting = "capabilities"
    offered = yield from _reply(said, f"EHLO {OUR_NAME}\r\n".encode())
    if isinstance(offered, Refused):
        return offered
    code, texts = offered
    keywords = [text.split(b" ")[0].upper() for text in texts[1:]]
    if code != 250:
        return _refused(said, b"%d %s" % (code, texts[-1]), "EHLO is refused, so STARTTLS cannot be offered")
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
        else _refused(said, b"%d %s" % (code, texts[-1]), _SMTP_CODES.get(code, "STARTTLS is refused"))
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
    shown = ", ".join(_text(word, 30) for word in keywords[:12]) or "nothing"
    # Firewalls that inspect SMTP blank out what they do not like, in its own length.
    blanked = any(re.fullmatch(rb"X{6,}A?", word) for word in keywords)
    blame = "; a firewall on the path has blanked a keyword out" if blanked else ""
    return f"STARTTLS is not offered: EHLO lists {shown}{blame}"


# ── IMAP: RFC 9051 section 6.2.1; POP3: RFC 2595 section 4 ──────────────────────


def _imap(said: _Said, domain: str) -> Talk:
    yield b""
    while (greeting := said.line()) is None:
        yield b""
    upper = greeting.upper()
    if not upper.startswith((b"* OK", b"* PREAUTH", b"* BYE")):
        return _odd(said, greeting + b"\r\n")
    if upper.startswith(b"* BYE"):
        return _refused(said, greeting, "the server says goodbye at once")
    if upper.startswith(b"* PREAUTH"):
        return _refused(
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
            return _refused(said, line, "the server says goodbye to STARTTLS")
    if line[3:5].upper() == b"OK":
        return b""
    listed = b"CAPABILITY" in upper and b"STARTTLS" not in upper
    return _refused(
        said, line, "STARTTLS is refused" + (", and it is not among the capabilities greeted with" if listed else "")
    )


def _pop3(said: _Said, domain: str) -> Talk:
    yield b""
    while (greeting := said.line()) is None:
        yield b""
    if not greeting.startswith((b"+OK", b"-ERR")):
        return _odd(said, greeting + b"\r\n")
    if greeting.startswith(b"-ERR"):
        return _refused(said, greeting, "the server turns the connection away")
    said.awaiting = "go-ahead"
    yield b"STLS\r\n"
    while (answer := said.line()) is None:
        yield b""
    return b"" if answer.startswith(b"+OK") else _refused(said, answer, "STLS (STARTTLS for POP3) is refused")


# ── LDAP: RFC 4511 sections 4.12 and 4.14 ───────────────────────────────────────

_START_TLS_OID = b"1.3.6.1.4.1.1466.20037"
# LDAPMessage { messageID 1, [APPLICATION 23] { [0] requestName } }
_EXTENDED_REQUEST = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _START_TLS_OID
_LDAP_RESULTS = {
    1: "operationsError: TLS is already there, or cannot be set up now",
    2: "protocolError: StartTLS is not offered (no certificate is configured)",
    10: "referral: another server is to be asked",
    13: "confidentialityRequired",
    52: "unavailable: the server's TLS is not ready",
    53: "unwillingToPerform",
}


def _ldap(said: _Said, domain: str) -> Talk:
    said.awaiting = "go-ahead"
    yield _EXTENDED_REQUEST
    while (size := _ber_size(said.left)) is None:
        yield b""
    if size < 0:
        return _odd(said, said.left)
    while len(said.left) < size:
        yield b""
    message = said.take(size)
    code, diagnostic = _ldap_result(message)
    if code is None:
        return _odd(said, message)
    if code == 0:
        return b""
    meaning = _LDAP_RESULTS.get(code, "StartTLS is refused")
    words = f" (“{_text(diagnostic)}”)" if diagnostic else ""
    return Refused(protocol="ldap", why=f"LDAP answered result {code}{words}: {meaning}", said=message[:256])


def _ber_size(data: bytes) -> int | None:
    """The whole length of the BER SEQUENCE that *data* begins with; None: too few octets; -1: it is none."""
    if not data:
        return None
    if data[0] != 0x30:
        return -1
    read = _ber_length(data, 1)
    if read is None:
        return None
    start, length = read
    return start + length if start > 0 else -1


def _ber_length(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the content begins, its length); (-1, -1) for lengths nobody means. Active Directory writes long forms."""
    if len(data) <= at:
        return None
    first = data[at]
    if first < 0x80:
        return at + 1, first
    octets = first & 0x7F
    if not 1 <= octets <= 4:
        return -1, -1
    if len(data) < at + 1 + octets:
        return None
    return at + 1 + octets, int.from_bytes(data[at + 1 : at + 1 + octets])


def _ber_parts(data: bytes) -> list[tuple[int, bytes]]:
    """The (tag, content) of the elements side by side in *data*, as far as they are whole."""
    parts: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        read = _ber_length(data, at + 1)
        if read is None or read[0] < 0 or read[0] + read[1] > len(data):
            break
        start, length = read
        parts.append((data[at], data[start : start + length]))
        at = start + length
    return parts


def _ldap_result(message: bytes) -> tuple[int | None, bytes]:
    """The result code and diagnostic of an ExtendedResponse; (None, b"") when it is none."""
    outer = _ber_parts(message)
    inner = _ber_parts(outer[0][1]) if outer else []
    response = next((content for tag, content in inner[1:2] if tag == 0x78), None)
    fields = _ber_parts(response) if response is not None else []
    if len(fields) < 3 or fields[0][0] != 0x0A:
        return None, b""
    return int.from_bytes(fields[0][1]), fields[2][1]


# ── PostgreSQL: protocol 3.0, "SSL Session Encryption" ──────────────────────────

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


def _postgres(said: _Said, domain: str) -> Talk:
    said.awaiting = "go-ahead"
    yield _SSL_REQUEST
    while not said.left:
        yield b""
    if said.left[:1] == b"S":
        said.take(1)
        return b""
    if said.left == b"N":
        return Refused(
            protocol="postgresql", why="PostgreSQL answered “N”: the server's TLS is off (ssl = off)", said=b"N"
        )
    if said.left[:1] != b"E":
        return _odd(said, said.left)
    while len(said.left) < 5 or len(said.left) < min(1 + int.from_bytes(said.left[1:5]), 1024):
        yield b""
    return Refused(
        protocol="postgresql", why=f"PostgreSQL answered with an error: “{_pg_error(said.left)}”", said=said.left[:256]
    )


def _pg_error(message: bytes) -> str:
    """The message of an ErrorResponse: fields of one letter and a NUL-terminated text."""
    fields = {field[:1]: field[1:] for field in message[5:].split(b"\0")}
    return _text(fields.get(b"M") or message[1:])


# ── MySQL: Protocol::HandshakeV10, Protocol::SSLRequest ─────────────────────────

_CLIENT_LONG_PASSWORD, _CLIENT_PROTOCOL_41, _CLIENT_SSL, _CLIENT_SECURE = 0x0001, 0x0200, 0x0800, 0x8000


def _mysql(said: _Said, domain: str) -> Talk:
    yield b""
    while len(said.left) < 4:
        yield b""
    size = int.from_bytes(said.left[:3], "little")
    if said.left[3] > 1 or not 1 <= size <= 1024:
        return _odd(said, said.left)
    while len(said.left) < 4 + size:
        yield b""
    packet = said.take(4 + size)
    payload = packet[4:]
    if payload[0] == 0xFF:
        number, words = int.from_bytes(payload[1:3], "little"), payload[3:]
        return Refused(protocol="mysql", why=f"MySQL greets with error {number}: “{_text(words)}”", said=payload[:256])
    version, found, rest = payload[1:].partition(b"\0")
    if payload[0] != 10 or not found or len(rest) < 15:
        return _odd(said, packet)
    # connection id 4, first half of the nonce 8, filler 1, then the lower half of the capabilities
    if not int.from_bytes(rest[13:15], "little") & _CLIENT_SSL:
        why = f"MySQL {_text(version, 40)} does not offer TLS: its greeting lacks CLIENT_SSL"
        return Refused(protocol="mysql", why=why, said=payload[:256])
    flags = _CLIENT_LONG_PASSWORD | _CLIENT_PROTOCOL_41 | _CLIENT_SSL | _CLIENT_SECURE
    request = flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23)
    # The server says nothing to this: the ClientHello follows at once.
    return len(request).to_bytes(3, "little") + bytes((packet[3] + 1,)) + request


# ── XMPP: RFC 6120 sections 4.3 and 5.4 ─────────────────────────────────────────

_FEATURES = re.compile(rb"<(?:[\w.-]+:)?features\s*/>|</(?:[\w.-]+:)?features\s*>")
_STREAM_ERROR = re.compile(rb"</(?:[\w.-]+:)?error\s*>|</(?:[\w.-]+:)?stream\s*>")
_CONDITION = re.compile(rb"<([a-z-]+)\s+xmlns=['\"]urn:ietf:params:xml:ns:xmpp-streams['\"]")
_START = re.compile(rb"<(?:[\w.-]+:)?starttls[\s/>]")
_ANSWER = re.compile(rb"<(?:[\w.-]+:)?(proceed|failure)\b[^>]*?(?:/>|>\s*</(?:[\w.-]+:)?(?:proceed|failure)\s*>)")


def _xmpp(said: _Said, domain: str) -> Talk:
    name = "".join(c for c in domain if c.isalnum() or c in ".-_:[]")
    yield (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to='{name}' version='1.0'>"
    ).encode()
    while not (found := _FEATURES.search(said.left)) and not _STREAM_ERROR.search(said.left):
        if said.left.lstrip()[:1] not in {b"", b"<"}:
            return _odd(said, said.left)
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
    return b"" if answer[1] == b"proceed" else _refused(said, words, "STARTTLS is refused")


def _xmpp_error(said: bytes, name: str) -> str:
    condition = _CONDITION.search(said)
    if condition is None:
        return f"XMPP ends the stream before TLS: “{_text(said[-120:])}”"
    hint = f" (it does not serve “{name}”)" if condition[1] == b"host-unknown" else ""
    return f"XMPP answered with the stream error {condition[1].decode()}{hint}"


_TALKS: dict[str, Callable[[_Said, str], Talk]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ldap": _ldap,
    "postgres": _postgres,
    "mysql": _mysql,
    "xmpp": _xmpp,
}
