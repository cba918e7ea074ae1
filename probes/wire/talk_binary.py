"""STARTTLS in binary protocols: LDAP, PostgreSQL, MySQL. One generator each, driven by `starttls.Prelude`."""

from __future__ import annotations

from probes.wire.talk import Refused, Said, Talk, odd, text

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


def ldap(said: Said, domain: str) -> Talk:
    said.awaiting = "go-ahead"
    yield _EXTENDED_REQUEST
    while (size := _ber_size(said.left)) is None:
        yield b""
    if size < 0:
        return odd(said, said.left)
    while len(said.left) < size:
        yield b""
    message = said.take(size)
    code, diagnostic = _ldap_result(message)
    if code is None:
        return odd(said, message)
    if code == 0:
        return b""
    meaning = _LDAP_RESULTS.get(code, "StartTLS is refused")
    words = f" (“{text(diagnostic)}”)" if diagnostic else ""
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


def postgres(said: Said, domain: str) -> Talk:
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
        return odd(said, said.left)
    while len(said.left) < 5 or len(said.left) < min(1 + int.from_bytes(said.left[1:5]), 1024):
        yield b""
    return Refused(
        protocol="postgresql", why=f"PostgreSQL answered with an error: “{_pg_error(said.left)}”", said=said.left[:256]
    )


def _pg_error(message: bytes) -> str:
    """The message of an ErrorResponse: fields of one letter and a NUL-terminated text."""
    fields = {field[:1]: field[1:] for field in message[5:].split(b"\0")}
    return text(fields.get(b"M") or message[1:])


# ── MySQL: Protocol::HandshakeV10, Protocol::SSLRequest ─────────────────────────

_CLIENT_LONG_PASSWORD, _CLIENT_PROTOCOL_41, _CLIENT_SSL, _CLIENT_SECURE = 0x0001, 0x0200, 0x0800, 0x8000


def mysql(said: Said, domain: str) -> Talk:
    yield b""
    while len(said.left) < 4:
        yield b""
    size = int.from_bytes(said.left[:3], "little")
    if said.left[3] > 1 or not 1 <= size <= 1024:
        return odd(said, said.left)
    while len(said.left) < 4 + size:
        yield b""
    packet = said.take(4 + size)
    payload = packet[4:]
    if payload[0] == 0xFF:
        number, words = int.from_bytes(payload[1:3], "little"), payload[3:]
        return Refused(protocol="mysql", why=f"MySQL greets with error {number}: “{text(words)}”", said=payload[:256])
    version, found, rest = payload[1:].partition(b"\0")
    if payload[0] != 10 or not found or len(rest) < 15:
        return odd(said, packet)
    # connection id 4, first half of the nonce 8, filler 1, then the lower half of the capabilities
    if not int.from_bytes(rest[13:15], "little") & _CLIENT_SSL:
        why = f"MySQL {text(version, 40)} does not offer TLS: its greeting lacks CLIENT_SSL"
        return Refused(protocol="mysql", why=why, said=payload[:256])
    flags = _CLIENT_LONG_PASSWORD | _CLIENT_PROTOCOL_41 | _CLIENT_SSL | _CLIENT_SECURE
    request = flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23)
    # The server says nothing to this: the ClientHello follows at once.
    return len(request).to_bytes(3, "little") + bytes((packet[3] + 1,)) + request
