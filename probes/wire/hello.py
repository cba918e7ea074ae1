"""The ClientHello: what is offered, as a value; its bytes; and back from the bytes of anybody's hello.

RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2. A ``Hello`` is the intention and can be stored and compared; the
randomness that one connection adds to it is in ``HelloSecrets``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache

from probes.values import value
from probes.wire.keyshare import KeyShare, drawn
from probes.wire.octets import (
    Cursor,
    MessageError,
    read_u16_list,
    read_vec8_list,
    u16,
    u16_list,
    vec8,
    vec16,
    vec24,
)
from probes.wire.records import HANDSHAKE, frame
from probes.wire.registry import GREASE, TLS10, TLS12, TLS13, Ext, Group, is_grease

CLIENT_HELLO = 1
MODERN_CIPHERS: tuple[int, ...] = (
    0x1301, 0x1302, 0x1303,
    0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8,
    0xC009, 0xC013, 0xC00A, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035,
)  # fmt: skip
MODERN_GROUPS: tuple[int, ...] = (Group.X25519MLKEM768, Group.X25519, Group.SECP256R1, Group.SECP384R1)
MODERN_SCHEMES: tuple[int, ...] = (
    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807, 0x0808, 0x0809, 0x080A, 0x080B,
    0x0201, 0x0203,
)  # fmt: skip


@value
class PskOffer:
    """A pre-shared key as a hello names it (RFC 8446 section 4.2.11); ``binder_size`` is that of its hash."""

    identity: bytes
    obfuscated_age: int
    binder_size: int


@value
class Hello:
    """An offer. Empty tuples, None and False leave the extension out; ``extensions=False`` leaves all of them out.

    Extensions are written in a fixed order, ``extra`` (type, body) before padding, ``psk`` last of all with a binder
    of zeros, which whoever has the key replaces. ``session_id`` None means 32 random
    octets where TLS 1.3 is offered (its compatibility mode) and none elsewhere. ``server_name`` must not be
    an IP literal (RFC 6066 section 3): the caller's job. ``padded_to`` is the least size in octets of the handshake
    message, its 4-octet header included (RFC 7685); up to 4 more where the gap is smaller than an empty padding
    extension. A TLS 1.2 client as they were has ``versions=()`` and says 0x0303 in ``legacy_version`` alone.
    """

    server_name: str | None = None
    versions: tuple[int, ...] = (TLS13, TLS12)
    legacy_version: int = TLS12
    record_version: int = TLS10
    ciphers: tuple[int, ...] = MODERN_CIPHERS
    compression: tuple[int, ...] = (0,)
    groups: tuple[int, ...] = MODERN_GROUPS
    key_shares: tuple[int, ...] | None = (Group.X25519MLKEM768, Group.X25519)
    """Groups to send a share of; () sends an empty key_share (asks for a HelloRetryRequest), None no extension."""
    signature_algorithms: tuple[int, ...] = MODERN_SCHEMES
    signature_algorithms_cert: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    session_id: bytes | None = None
    session_ticket: bytes | None = b""
    psk_modes: tuple[int, ...] = (1,)
    extended_master_secret: bool = True
    encrypt_then_mac: bool = True
    renegotiation_info: bool = True
    ec_point_formats: bool = True
    status_request: bool = True
    sct: bool = True
    compress_certificate: tuple[int, ...] = ()
    extra: tuple[tuple[int, bytes], ...] = ()
    padded_to: int | None = None
    grease: bool = False
    early_data: bool = False
    psk: PskOffer | None = None
    extensions: bool = True

    @property
    def offered_versions(self) -> tuple[int, ...]:
        """What a server may choose, GREASE aside; without supported_versions everything up to ``legacy_version``."""
        if self.extensions and self.versions:
            return tuple([version for version in self.versions if not is_grease(version)])
        return tuple(range(self.legacy_version, 0x02FF, -1))


@value
class HelloSecrets:
    """The randomness of one connection; ``entropy`` serves what comes up later only (a retry's group, CBC's IVs).

    ``shares`` may hold more groups than the hello sends: a HelloRetryRequest and TLS 1.2 ECDHE take theirs from here
    before they make new ones.
    """

    random: bytes
    session_id: bytes
    grease: bytes
    shares: Mapping[int, KeyShare]
    entropy: Callable[[int], bytes] = field(repr=False)


def draw_secrets(hello: Hello, entropy: Callable[[int], bytes]) -> HelloSecrets:
    """Draw all that *hello* needs from *entropy* (``os.urandom`` in production) and generate its key shares.

    UnsupportedError when ``key_shares`` has a group without an implementation.
    """
    tls13 = hello.extensions and TLS13 in hello.versions
    session_id = hello.session_id
    if session_id is None:
        session_id = entropy(32) if tls13 else b""
    return HelloSecrets(
        random=entropy(32),
        session_id=session_id,
        grease=entropy(4) if hello.grease else bytes(4),
        shares={group: drawn(group, entropy) for group in hello.key_shares or ()} if tls13 else {},
        entropy=entropy,
    )


def build(hello: Hello, secrets: HelloSecrets, *, cookie: bytes | None = None, retry_group: int | None = None) -> bytes:
    """The ClientHello as a handshake message (type and length included), not yet in a record.

    After a HelloRetryRequest, *cookie* and *retry_group* make the second hello (RFC 8446 section 4.1.2); the retry
    group's share must be in ``secrets.shares``.
    """
    ciphers = ((_grease(secrets, 0),) if hello.grease else ()) + hello.ciphers
    head = u16(hello.legacy_version) + secrets.random + vec8(secrets.session_id) + _choices(ciphers, hello.compression)
    if not hello.extensions:
        return bytes((CLIENT_HELLO,)) + vec24(head)
    block = _extensions(hello, secrets, cookie, retry_group)
    last = b"" if hello.psk is None else _pre_shared_key(hello.psk)
    block += _padding(hello, 4 + len(head) + 2 + len(block) + len(last)) + last
    return bytes((CLIENT_HELLO,)) + vec24(head + (vec16(block) if block else b""))


def hello_records(hello: Hello, message: bytes) -> bytes:
    """The ClientHello in its record (or records, past 16,384 octets), under the hello's record version."""
    return frame(HANDSHAKE, hello.record_version, message)


def _grease(secrets: HelloSecrets, which: int) -> int:
    return GREASE[secrets.grease[which] & 15]


def _extensions(hello: Hello, secrets: HelloSecrets, cookie: bytes | None, retry_group: int | None) -> bytes:
    greased = hello.grease
    name, tls13 = hello.server_name, TLS13 in hello.versions
    parts = [_extension(_grease(secrets, 1), b"")] if greased else []
    if name is not None:
        parts.append(_extension(Ext.SERVER_NAME, vec16(b"\0" + vec16(name.encode("ascii")))))
    parts.append(_before_shares(hello, secrets))
    if tls13 and hello.key_shares is not None:
        parts.append(_extension(Ext.KEY_SHARE, vec16(_shares(hello, secrets, retry_group))))
    versions = ((_grease(secrets, 3),) if greased else ()) + hello.versions if hello.versions else ()
    parts.append(_after_shares(hello.psk_modes if tls13 else (), versions, hello.compress_certificate))
    if cookie is not None:
        parts.append(_extension(Ext.COOKIE, vec16(cookie)))
    if hello.early_data:
        parts.append(_extension(Ext.EARLY_DATA, b""))
    parts += [_extension(kind, body) for kind, body in hello.extra]
    if greased:  # RFC 8701 section 3.1: a second one, different from the first and not empty
        parts.append(_extension(GREASE[(secrets.grease[1] + 1) & 15], b"\0"))
    return b"".join(parts)


def _extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


# What hellos have in common is written once: a check sends two dozen of them, of which name, keys and random differ.


@lru_cache(maxsize=256)
def _choices(ciphers: tuple[int, ...], compression: tuple[int, ...]) -> bytes:
    return vec16(u16_list(ciphers)) + vec8(bytes(compression))


def _before_shares(hello: Hello, secrets: HelloSecrets) -> bytes:
    groups = ((_grease(secrets, 2),) if hello.grease else ()) + hello.groups if hello.groups else ()
    ticket = _extension(Ext.SESSION_TICKET, hello.session_ticket) if hello.session_ticket else hello.session_ticket
    former, later = _common(
        hello.extended_master_secret,
        hello.renegotiation_info,
        groups,
        hello.ec_point_formats,
        ticket == b"",
        hello.encrypt_then_mac,
        hello.alpn,
        hello.status_request,
        hello.signature_algorithms,
        hello.signature_algorithms_cert,
        hello.sct,
    )
    return former + ticket + later if ticket else former + later


@lru_cache(maxsize=256)
def _common(
    extended_master_secret: bool,
    renegotiation_info: bool,
    groups: tuple[int, ...],
    ec_point_formats: bool,
    empty_ticket: bool,
    encrypt_then_mac: bool,
    alpn: tuple[str, ...],
    status_request: bool,
    signature_algorithms: tuple[int, ...],
    signature_algorithms_cert: tuple[int, ...],
    sct: bool,
) -> tuple[bytes, bytes]:
    """The extensions between the name and the key shares: those before a ticket, and those behind it."""
    empty = b""
    former = (
        (Ext.EXTENDED_MASTER_SECRET, empty if extended_master_secret else None),
        (Ext.RENEGOTIATION_INFO, b"\0" if renegotiation_info else None),
        (Ext.SUPPORTED_GROUPS, _list16(groups)),
        (Ext.EC_POINT_FORMATS, vec8(b"\0") if ec_point_formats else None),
        (Ext.SESSION_TICKET, empty if empty_ticket else None),
    )
    later = (
        (Ext.ENCRYPT_THEN_MAC, empty if encrypt_then_mac else None),
        (Ext.ALPN, vec16(b"".join([vec8(each.encode("latin-1")) for each in alpn])) if alpn else None),
        (Ext.STATUS_REQUEST, b"\x01\0\0\0\0" if status_request else None),
        (Ext.SIGNATURE_ALGORITHMS, _list16(signature_algorithms)),
        (Ext.SIGNATURE_ALGORITHMS_CERT, _list16(signature_algorithms_cert)),
        (Ext.SCT, empty if sct else None),
    )
    return _written(former), _written(later)


@lru_cache(maxsize=256)
def _after_shares(psk_modes: tuple[int, ...], versions: tuple[int, ...], compress: tuple[int, ...]) -> bytes:
    return _written(
        (
            (Ext.PSK_KEY_EXCHANGE_MODES, vec8(bytes(psk_modes)) if psk_modes else None),
            (Ext.SUPPORTED_VERSIONS, vec8(u16_list(versions)) if versions else None),
            (Ext.COMPRESS_CERTIFICATE, vec8(u16_list(compress)) if compress else None),
        )
    )


def _written(extensions: tuple[tuple[int, bytes | None], ...]) -> bytes:
    return b"".join([_extension(kind, body) for kind, body in extensions if body is not None])


def _list16(values: tuple[int, ...]) -> bytes | None:
    return vec16(u16_list(values)) if values else None


def _shares(hello: Hello, secrets: HelloSecrets, retry_group: int | None) -> bytes:
    if retry_group is not None:
        return u16(retry_group) + vec16(secrets.shares[retry_group].public)
    shares = [u16(group) + vec16(secrets.shares[group].public) for group in hello.key_shares or ()]
    if hello.grease and shares:
        shares.insert(0, u16(_grease(secrets, 2)) + vec16(b"\0"))
    return b"".join(shares)


def _pre_shared_key(psk: PskOffer) -> bytes:
    """RFC 8446 section 4.2.11: identities, then binders, which stand at the very end of the hello."""
    identities = vec16(vec16(psk.identity) + psk.obfuscated_age.to_bytes(4, "big"))
    return u16(Ext.PRE_SHARED_KEY) + vec16(identities + vec16(vec8(bytes(psk.binder_size))))


def _padding(hello: Hello, size: int) -> bytes:
    if hello.padded_to is None or size >= hello.padded_to:
        return b""
    return u16(Ext.PADDING) + vec16(bytes(max(hello.padded_to - size - 4, 0)))


@value
class ClientHello:
    """Somebody's ClientHello as read. Lists keep the order on the wire, GREASE included; None means no extension."""

    legacy_version: int
    random: bytes
    session_id: bytes
    ciphers: tuple[int, ...]
    compression: tuple[int, ...]
    extensions: tuple[tuple[int, bytes], ...] | None
    server_name: str | None
    versions: tuple[int, ...] | None
    groups: tuple[int, ...] | None
    key_shares: tuple[int, ...] | None
    signature_algorithms: tuple[int, ...] | None
    alpn: tuple[str, ...] | None
    size: int
    """Octets of the handshake message, header included."""

    @property
    def offered_versions(self) -> tuple[int, ...]:
        """What the client accepts, best first, GREASE aside."""
        if self.versions is not None:
            return tuple([version for version in self.versions if not is_grease(version)])
        return tuple(range(min(self.legacy_version, TLS12), 0x02FF, -1))


def parse_client_hello(message: bytes) -> ClientHello:
    """Read a ClientHello handshake message (type and length included); WireError when it does not parse.

    A malformed extension body is an error as well: servers would refuse it.
    """
    outer = Cursor(message, "the ClientHello")
    if outer.u8() != CLIENT_HELLO:
        raise MessageError("this handshake message is not a ClientHello")
    cursor = Cursor(outer.vec24(), "the ClientHello")
    outer.finish()
    legacy_version, random, session_id = cursor.u16(), cursor.take(32), cursor.vec8()
    ciphers = read_u16_list(cursor.vec16(), "the list of suites")
    compression = tuple(cursor.vec8())
    extensions = None
    if cursor.left:
        extensions = read_extensions(cursor.vec16())
        cursor.finish()
    bodies = dict(extensions or ())
    return ClientHello(
        legacy_version=legacy_version,
        random=random,
        session_id=session_id,
        ciphers=ciphers,
        compression=compression,
        extensions=extensions,
        server_name=_read_server_name(bodies.get(Ext.SERVER_NAME)),
        versions=_read_list8(bodies.get(Ext.SUPPORTED_VERSIONS), "supported_versions"),
        groups=_read_list16(bodies.get(Ext.SUPPORTED_GROUPS), "supported_groups"),
        key_shares=_read_key_shares(bodies.get(Ext.KEY_SHARE)),
        signature_algorithms=_read_list16(bodies.get(Ext.SIGNATURE_ALGORITHMS), "signature_algorithms"),
        alpn=_read_alpn(bodies.get(Ext.ALPN)),
        size=len(message),
    )


def extension_kinds(message: bytes) -> frozenset[int]:
    """The extension types in a ClientHello of our own making, without reading the rest."""
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + (message[at] << 8 | message[at + 1])
    at += 1 + message[at]
    kinds = []
    at += 2
    while at < len(message):
        kinds.append(message[at] << 8 | message[at + 1])
        at += 4 + (message[at + 2] << 8 | message[at + 3])
    return frozenset(kinds)


def read_extensions(block: bytes) -> tuple[tuple[int, bytes], ...]:
    """Split an extension block (without its outer length) into (type, body) in the order on the wire."""
    found = []
    at, end = 0, len(block)
    while at < end:  # by hand and not by Cursor: every message of every handshake comes through here
        start = at + 4
        stop = start + (block[at + 2] << 8 | block[at + 3]) if start <= end else start
        if stop > end:
            raise MessageError(f"the extension block ends {stop - end} bytes early")
        found.append((block[at] << 8 | block[at + 1], block[start:stop]))
        at = stop
    return tuple(found)


def _read_server_name(body: bytes | None) -> str | None:
    if body is None:
        return None
    cursor = Cursor(body, "server_name")
    names = Cursor(cursor.vec16(), "server_name")
    cursor.finish()
    while names.left:
        kind, name = names.u8(), names.vec16()
        if kind == 0:
            return name.decode("ascii", "backslashreplace")
    return None


def _read_list8(body: bytes | None, what: str) -> tuple[int, ...] | None:
    if body is None:
        return None
    cursor = Cursor(body, what)
    values = cursor.vec8()
    cursor.finish()
    return read_u16_list(values, what)


def _read_list16(body: bytes | None, what: str) -> tuple[int, ...] | None:
    if body is None:
        return None
    cursor = Cursor(body, what)
    values = cursor.vec16()
    cursor.finish()
    return read_u16_list(values, what)


def _read_key_shares(body: bytes | None) -> tuple[int, ...] | None:
    if body is None:
        return None
    outer = Cursor(body, "key_share")
    cursor = Cursor(outer.vec16(), "key_share")
    outer.finish()
    groups = []
    while cursor.left:
        groups.append(cursor.u16())
        cursor.vec16()
    return tuple(groups)


def _read_alpn(body: bytes | None) -> tuple[str, ...] | None:
    if body is None:
        return None
    cursor = Cursor(body, "ALPN")
    names = cursor.vec16()
    cursor.finish()
    return tuple([name.decode("latin-1") for name in read_vec8_list(names, "ALPN")])
