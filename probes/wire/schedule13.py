"""TLS 1.3: key schedule (RFC 8446 section 7.1), transcript, record protection (section 5.2) and Finished (4.4.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Protocol

from probes.values import row
from probes.wire.macs import HASHES, mac
from probes.wire.messages import FINISHED, MESSAGE_HASH
from probes.wire.octets import ProtectionError, UnsupportedError, vec8, vec24
from probes.wire.records import APPLICATION_DATA, MAX_PLAINTEXT, frame_header
from probes.wire.registry import TLS12, cipher_name


class Aead(Protocol):
    """The part of the library's AEAD classes that record protection uses."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


@row
class Suite13:
    digest: str
    aead: str
    key_size: int


SUITES: dict[int, Suite13] = {
    0x1301: Suite13("sha256", "AES-GCM", 16),
    0x1302: Suite13("sha384", "AES-GCM", 32),
    0x1303: Suite13("sha256", "ChaCha20-Poly1305", 32),
    0x1304: Suite13("sha256", "AES-CCM", 16),
    0x1305: Suite13("sha256", "AES-CCM-8", 16),
}


def aead(name: str, key: bytes) -> Aead:
    return _aeads()[name](key)


@cache
def _aeads() -> dict[str, Callable[[bytes], Aead]]:
    """Looked up when the first key is made: a cold start need not load them."""
    from cryptography.hazmat.primitives.ciphers import aead as library

    return {
        "AES-GCM": library.AESGCM,
        "ChaCha20-Poly1305": library.ChaCha20Poly1305,
        "AES-CCM": library.AESCCM,
        "AES-CCM-8": lambda key: library.AESCCM(key, tag_length=8),
    }


def hkdf_extract(digest: str, salt: bytes, secret: bytes) -> bytes:
    return mac(salt, secret, digest)


def hkdf_expand_label(digest: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """One block is enough for all that TLS asks for: no label wants more than its hash gives."""
    return mac(secret, _label(label, length) + vec8(context) + b"\x01", digest)[:length]


@cache
def _label(label: bytes, length: int) -> bytes:
    return length.to_bytes(2, "big") + vec8(b"tls13 " + label)


@cache
def _empty(digest: str) -> bytes:
    return hashlib.new(digest).digest()


@cache
def _without_psk(digest: str) -> tuple[bytes, bytes]:
    """The early secret of a handshake without a PSK, and the salt derived from it: always the same."""
    zeros = bytes(len(_empty(digest)))
    early = hkdf_extract(digest, zeros, zeros)
    return early, hkdf_expand_label(digest, early, b"derived", _empty(digest), len(zeros))


class TrafficKeys:
    """One direction's record protection under one traffic secret; the sequence number counts by itself."""

    __slots__ = ("_aead", "_iv", "_sequence", "_suite", "secret")

    def __init__(self, suite: Suite13, secret: bytes) -> None:
        self.secret = secret
        self._suite = suite
        self._aead = aead(suite.aead, hkdf_expand_label(suite.digest, secret, b"key", b"", suite.key_size))
        self._iv = int.from_bytes(hkdf_expand_label(suite.digest, secret, b"iv", b"", 12), "big")
        self._sequence = 0

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """(inner type, plaintext) of a protected record; ProtectionError when it does not open."""
        if len(body) < 17 and len(body) < self.overhead:
            raise ProtectionError("a protected record is too short to hold a tag")
        try:
            padded = self._aead.decrypt(self._nonce(), body, header)
        except Exception as error:
            raise _not_opened(error) from None
        self._sequence += 1
        plain = padded.rstrip(b"\0")
        if not plain:
            raise ProtectionError("a protected record holds nothing but padding")
        return plain[-1], plain[:-1]

    def seal(self, kind: int, payload: bytes) -> bytes:
        """*payload* in protected records, headers included."""
        parts = []
        for cut in range(0, max(len(payload), 1), MAX_PLAINTEXT):
            inner = payload[cut : cut + MAX_PLAINTEXT] + bytes((kind,))
            header = frame_header(APPLICATION_DATA, TLS12, len(inner) + self.overhead - 1)
            parts.append(header + self._aead.encrypt(self._nonce(), inner, header))
            self._sequence += 1
        return b"".join(parts)

    def updated(self) -> TrafficKeys:
        """The keys after a KeyUpdate (RFC 8446 section 7.2)."""
        digest = self._suite.digest
        size = len(_empty(digest))
        return TrafficKeys(self._suite, hkdf_expand_label(digest, self.secret, b"traffic upd", b"", size))

    @property
    def overhead(self) -> int:
        """Octets that protection adds: the inner type and the tag."""
        return 9 if self._suite.aead == "AES-CCM-8" else 17

    def _nonce(self) -> bytes:
        return (self._iv ^ self._sequence).to_bytes(12, "big")


def _not_opened(error: Exception) -> Exception:
    from cryptography.exceptions import InvalidTag

    if isinstance(error, InvalidTag | ValueError):
        return ProtectionError("a protected record does not open with the keys of this handshake")
    return error


class Transcript:
    """The running hash of handshake messages; the hash function is known only after the ServerHello."""

    __slots__ = ("_digest", "_hash", "_messages")

    def __init__(self) -> None:
        self._messages = b""
        self._digest: str | None = None
        self._hash = hashlib.sha256()

    def add(self, message: bytes) -> None:
        if self._digest is None:
            self._messages += message
        else:
            self._hash.update(message)

    def choose(self, digest: str) -> None:
        """Fix the hash function; a second call with the same one changes nothing."""
        if self._digest is None:
            self._digest = digest
            self._hash = HASHES[digest](self._messages)
            self._messages = b""

    def replace_first_hello(self, digest: str) -> None:
        """RFC 8446 section 4.4.1: before a HelloRetryRequest, the first hello shrinks to a synthetic message."""
        self.choose(digest)
        hello = self._hash.digest()
        self._hash = HASHES[digest](bytes((MESSAGE_HASH,)) + vec24(hello))

    def digest(self) -> bytes:
        assert self._digest is not None
        return self._hash.copy().digest()

    def digest_with(self, message: bytes) -> bytes:
        """The hash as it would be with *message* added."""
        ahead = self._hash.copy()
        ahead.update(message)
        return ahead.digest()


class KeySchedule:
    """From (PSK and) shared secret to the application traffic keys, in the order of RFC 8446 section 7.1.

    A secret is made when it is asked for: most probes hang up before they need half of them.
    """

    __slots__ = ("_client", "_is_master", "_psk", "_secret", "_server", "_size", "_transcript", "digest", "suite")

    def __init__(self, cipher: int, *, psk: bytes | None = None) -> None:
        suite = SUITES.get(cipher)
        if suite is None:
            raise UnsupportedError(f"no implementation of {cipher_name(cipher)}")
        self.suite = suite
        self.digest = suite.digest
        self._size = len(_empty(suite.digest))
        self._psk = psk
        self._secret = _without_psk(suite.digest)[0] if psk is None else hkdf_extract(suite.digest, self._zeros, psk)
        self._transcript = b""
        self._client: bytes | None = None
        self._server: bytes | None = None
        self._is_master = False

    def binder_key(self, *, external: bool = False) -> bytes:
        """The Finished key that binds a PSK to the hello; only before ``mix_shared``."""
        label = b"ext binder" if external else b"res binder"
        return self._finished_key(self._derive(label, _empty(self.digest)))

    def early_traffic(self, transcript: bytes) -> bytes:
        """client_early_traffic_secret; only before ``mix_shared``."""
        return self._derive(b"c e traffic", transcript)

    def mix_shared(self, shared: bytes, transcript: bytes) -> None:
        """Take in the (EC)DHE secret; *transcript* is the hash up to the ServerHello."""
        salt = _without_psk(self.digest)[1] if self._psk is None else self._salt()
        self._secret = hkdf_extract(self.digest, salt, shared)
        self._transcript = transcript

    @property
    def client_handshake(self) -> bytes:
        """client_handshake_traffic_secret; before any application secret."""
        if self._client is None:
            self._client = self._derive(b"c hs traffic", self._transcript)
        return self._client

    @property
    def server_handshake(self) -> bytes:
        """server_handshake_traffic_secret; before any application secret."""
        if self._server is None:
            self._server = self._derive(b"s hs traffic", self._transcript)
        return self._server

    def client_application(self, transcript: bytes) -> bytes:
        """client_application_traffic_secret_0; *transcript* is the hash up to the server's Finished."""
        return self._from_master(b"c ap traffic", transcript)

    def server_application(self, transcript: bytes) -> bytes:
        """server_application_traffic_secret_0; *transcript* is the hash up to the server's Finished."""
        return self._from_master(b"s ap traffic", transcript)

    def exporter(self, transcript: bytes) -> bytes:
        """exporter_master_secret; *transcript* is the hash up to the server's Finished."""
        return self._from_master(b"exp master", transcript)

    def resumption_master(self, transcript: bytes) -> bytes:
        """resumption_master_secret; *transcript* is the hash up to the client's Finished."""
        return self._from_master(b"res master", transcript)

    def resumption_psk(self, resumption_master: bytes, nonce: bytes) -> bytes:
        """The PSK that a NewSessionTicket with *nonce* stands for (RFC 8446 section 4.6.1)."""
        return hkdf_expand_label(self.digest, resumption_master, b"resumption", nonce, self._size)

    def verify_data(self, traffic_secret: bytes, transcript: bytes) -> bytes:
        """The contents of a Finished made under *traffic_secret*."""
        return mac(self._finished_key(traffic_secret), transcript, self.digest)

    def finished(self, traffic_secret: bytes, transcript: bytes) -> bytes:
        """A whole Finished message."""
        return bytes((FINISHED,)) + vec24(self.verify_data(traffic_secret, transcript))

    def _finished_key(self, secret: bytes) -> bytes:
        return hkdf_expand_label(self.digest, secret, b"finished", b"", self._size)

    def _derive(self, label: bytes, transcript: bytes) -> bytes:
        return hkdf_expand_label(self.digest, self._secret, label, transcript, self._size)

    def _from_master(self, label: bytes, transcript: bytes) -> bytes:
        """From the master secret, which takes the place of the handshake secret once it is needed."""
        if not self._is_master:
            assert self._client is not None
            assert self._server is not None
            self._secret, self._is_master = hkdf_extract(self.digest, self._salt(), self._zeros), True
        return self._derive(label, transcript)

    def _salt(self) -> bytes:
        return self._derive(b"derived", _empty(self.digest))

    @property
    def _zeros(self) -> bytes:
        return bytes(self._size)


def keylog_line(label: str, client_random: bytes, secret: bytes) -> str:
    """A line of the key log format (SSLKEYLOGFILE, RFC 9850)."""
    return f"{label} {client_random.hex()} {secret.hex()}"
