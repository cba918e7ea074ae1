"""TLS 1.3: key schedule (RFC 8446 section 7.1), transcript, record protection (section 5.2) and Finished (4.4.4)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from probes.wire.messages import FINISHED, MESSAGE_HASH
from probes.wire.octets import ProtectionError, UnsupportedError, vec8, vec24
from probes.wire.records import APPLICATION_DATA, MAX_PLAINTEXT, frame_header
from probes.wire.registry import TLS12, cipher_name


class Aead(Protocol):
    """The part of the library's AEAD classes that record protection uses."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
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
    from cryptography.hazmat.primitives.ciphers import aead as library

    match name:
        case "AES-GCM":
            return library.AESGCM(key)
        case "ChaCha20-Poly1305":
            return library.ChaCha20Poly1305(key)
        case "AES-CCM":
            return library.AESCCM(key)
        case _:
            return library.AESCCM(key, tag_length=8)


def hkdf_extract(digest: str, salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, secret, digest)


def hkdf_expand_label(digest: str, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    info = length.to_bytes(2, "big") + vec8(b"tls13 " + label) + vec8(context)
    block = output = hmac.digest(secret, info + b"\x01", digest)
    counter = 2
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes((counter,)), digest)
        output += block
        counter += 1
    return output[:length]


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
        size = hashlib.new(digest).digest_size
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
            self._hash = hashlib.new(digest, self._messages)
            self._messages = b""

    def replace_first_hello(self, digest: str) -> None:
        """RFC 8446 section 4.4.1: before a HelloRetryRequest, the first hello shrinks to a synthetic message."""
        self.choose(digest)
        hello = self._hash.digest()
        self._hash = hashlib.new(digest, bytes((MESSAGE_HASH,)) + vec24(hello))

    def digest(self) -> bytes:
        assert self._digest is not None
        return self._hash.copy().digest()

    def digest_with(self, message: bytes) -> bytes:
        """The hash as it would be with *message* added."""
        ahead = self._hash.copy()
        ahead.update(message)
        return ahead.digest()


class KeySchedule:
    """From (PSK and) shared secret to the application traffic keys, in the order of RFC 8446 section 7.1."""

    __slots__ = ("_secret", "_size", "_zeros", "client_handshake", "digest", "server_handshake", "suite")

    def __init__(self, cipher: int, *, psk: bytes | None = None) -> None:
        suite = SUITES.get(cipher)
        if suite is None:
            raise UnsupportedError(f"no implementation of {cipher_name(cipher)}")
        self.suite = suite
        self.digest = suite.digest
        self._size = hashlib.new(suite.digest).digest_size
        self._zeros = bytes(self._size)
        self._secret = hkdf_extract(suite.digest, self._zeros, self._zeros if psk is None else psk)
        self.client_handshake = b""
        self.server_handshake = b""

    def binder_key(self, *, external: bool = False) -> bytes:
        """The Finished key that binds a PSK to the hello; only before ``mix_shared``."""
        label = b"ext binder" if external else b"res binder"
        return self._finished_key(self._derive(label, self._empty()))

    def early_traffic(self, transcript: bytes) -> bytes:
        """client_early_traffic_secret; only before ``mix_shared``."""
        return self._derive(b"c e traffic", transcript)

    def mix_shared(self, shared: bytes, transcript: bytes) -> None:
        """Take in the (EC)DHE secret; *transcript* is the hash up to the ServerHello."""
        self._secret = hkdf_extract(self.digest, self._derive(b"derived", self._empty()), shared)
        self.client_handshake = self._derive(b"c hs traffic", transcript)
        self.server_handshake = self._derive(b"s hs traffic", transcript)

    def application(self, transcript: bytes) -> tuple[bytes, bytes]:
        """(client, server) secrets; *transcript* is the hash up to the server's Finished."""
        self._secret = hkdf_extract(self.digest, self._derive(b"derived", self._empty()), self._zeros)
        return self._derive(b"c ap traffic", transcript), self._derive(b"s ap traffic", transcript)

    def exporter(self, transcript: bytes) -> bytes:
        """After ``application``, over the same *transcript*."""
        return self._derive(b"exp master", transcript)

    def resumption_master(self, transcript: bytes) -> bytes:
        """After ``application``; *transcript* is the hash up to the client's Finished."""
        return self._derive(b"res master", transcript)

    def resumption_psk(self, resumption_master: bytes, nonce: bytes) -> bytes:
        """The PSK that a NewSessionTicket with *nonce* stands for (RFC 8446 section 4.6.1)."""
        return hkdf_expand_label(self.digest, resumption_master, b"resumption", nonce, self._size)

    def verify_data(self, traffic_secret: bytes, transcript: bytes) -> bytes:
        """The contents of a Finished made under *traffic_secret*."""
        return hmac.digest(self._finished_key(traffic_secret), transcript, self.digest)

    def finished(self, traffic_secret: bytes, transcript: bytes) -> bytes:
        """A whole Finished message."""
        return bytes((FINISHED,)) + vec24(self.verify_data(traffic_secret, transcript))

    def _finished_key(self, secret: bytes) -> bytes:
        return hkdf_expand_label(self.digest, secret, b"finished", b"", self._size)

    def _derive(self, label: bytes, transcript: bytes) -> bytes:
        return hkdf_expand_label(self.digest, self._secret, label, transcript, self._size)

    def _empty(self) -> bytes:
        return hashlib.new(self.digest).digest()


def keylog_line(label: str, client_random: bytes, secret: bytes) -> str:
    """A line of the key log format (SSLKEYLOGFILE, RFC 9850)."""
    return f"{label} {client_random.hex()} {secret.hex()}"
