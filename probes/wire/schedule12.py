"""TLS 1.0 to 1.2: PRF, master secret and key block (RFC 5246 sections 5, 6.3, 8.1; RFC 7627), record protection.

Suites: AES-GCM, AES-CCM, ChaCha20-Poly1305, and CBC or stream ciphers with an HMAC over AES, Camellia, 3DES, RC4 and
NULL. What the library lacks is an UnsupportedError when keys are made.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from probes.values import row
from probes.wire.macs import mac
from probes.wire.octets import ProtectionError, UnsupportedError
from probes.wire.records import frame_header
from probes.wire.registry import TLS10, TLS12, version_name
from probes.wire.schedule13 import Aead, aead
from probes.wire.suites import CipherSuite

MASTER_SIZE = 48
VERIFY_SIZE = 12

_AEADS: dict[str, tuple[str, int, int]] = {
    # enc -> (implementation, key size, fixed part of the nonce); the explicit part has 8 octets, or none with 12 fixed
    "AES_128_GCM": ("AES-GCM", 16, 4),
    "AES_256_GCM": ("AES-GCM", 32, 4),
    "AES_128_CCM": ("AES-CCM", 16, 4),
    "AES_256_CCM": ("AES-CCM", 32, 4),
    "AES_128_CCM_8": ("AES-CCM-8", 16, 4),
    "AES_256_CCM_8": ("AES-CCM-8", 32, 4),
    "CHACHA20_POLY1305": ("ChaCha20-Poly1305", 32, 12),
}
_CIPHERS: dict[str, tuple[str, int, int]] = {
    # enc -> (implementation, key size, block size; 0 for a stream)
    "AES_128_CBC": ("AES", 16, 16),
    "AES_256_CBC": ("AES", 32, 16),
    "CAMELLIA_128_CBC": ("Camellia", 16, 16),
    "CAMELLIA_256_CBC": ("Camellia", 32, 16),
    "3DES_EDE_CBC": ("TripleDES", 24, 8),
    "RC4_128": ("ARC4", 16, 0),
    "NULL": ("NULL", 0, 0),
}
_MAC_SIZES = {"MD5": 16, "SHA1": 20, "SHA256": 32, "SHA384": 48}


def p_hash(digest: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5246 section 5."""
    output = b""
    a = seed
    while len(output) < length:
        a = mac(secret, a, digest)
        output += mac(secret, a + seed, digest)
    return output[:length]


@row
class Prf:
    """The PRF and the transcript hash of one version: MD5 and SHA-1 together before TLS 1.2, else one hash."""

    digest: str | None

    def __call__(self, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
        if self.digest is not None:
            return p_hash(self.digest, secret, label + seed, length)
        half = (len(secret) + 1) // 2
        left = p_hash("md5", secret[:half], label + seed, length)
        right = p_hash("sha1", secret[len(secret) - half :], label + seed, length)
        mixed = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
        return mixed.to_bytes(length, "big")

    def hash(self, messages: bytes) -> bytes:
        if self.digest is not None:
            return hashlib.new(self.digest, messages).digest()
        md5 = hashlib.md5(messages, usedforsecurity=False)
        return md5.digest() + hashlib.sha1(messages, usedforsecurity=False).digest()


def prf_for(version: int, suite: CipherSuite) -> Prf:
    if version < TLS10:
        raise UnsupportedError(f"no key schedule for {version_name(version)}")
    return Prf(suite.prf_hash.lower() if version >= TLS12 else None)


def master_secret(prf: Prf, premaster: bytes, client_random: bytes, server_random: bytes) -> bytes:
    return prf(premaster, b"master secret", client_random + server_random, MASTER_SIZE)


def extended_master_secret(prf: Prf, premaster: bytes, transcript: bytes) -> bytes:
    """RFC 7627 section 4; *transcript* is the hash up to and with the ClientKeyExchange."""
    return prf(premaster, b"extended master secret", transcript, MASTER_SIZE)


def verify_data(prf: Prf, master: bytes, messages: bytes, *, server: bool) -> bytes:
    """The contents of a Finished over all handshake *messages* before it (RFC 5246 section 7.4.9)."""
    return prf(master, b"server finished" if server else b"client finished", prf.hash(messages), VERIFY_SIZE)


class Protection(Protocol):
    """One direction's record protection; counts its own sequence numbers."""

    def open(self, kind: int, version: int, body: bytes) -> bytes: ...
    def seal(self, kind: int, version: int, payload: bytes) -> bytes: ...


def protections(
    suite: CipherSuite,
    version: int,
    prf: Prf,
    master: bytes,
    client_random: bytes,
    server_random: bytes,
    entropy: Callable[[int], bytes],
    *,
    encrypt_then_mac: bool,
) -> tuple[Protection, Protection]:
    """(client's, server's) protection from the key block; *entropy* serves the IVs of CBC records that are sent."""
    mac_size, key_size, iv_size = _sizes(suite, version)
    block = prf(master, b"key expansion", server_random + client_random, 2 * (mac_size + key_size + iv_size))
    cuts = []
    at = 0
    for size in (mac_size, mac_size, key_size, key_size, iv_size, iv_size):
        cuts.append(block[at : at + size])
        at += size

    def direction(which: int) -> Protection:
        mac_key, key, iv = cuts[which], cuts[2 + which], cuts[4 + which]
        if suite.enc in _AEADS:
            return _AeadProtection(_AEADS[suite.enc][0], key, iv)
        if _CIPHERS[suite.enc][2] == 0:
            return _StreamProtection(suite, key, mac_key)
        chained = iv if version <= TLS10 else None
        return _BlockProtection(suite, key, mac_key, chained, entropy, etm=encrypt_then_mac)

    return direction(0), direction(1)


def is_supported(suite: CipherSuite) -> bool:
    """Whether records under *suite* can be read and written here."""
    return suite.enc in _AEADS or (suite.enc in _CIPHERS and not suite.export and _available(_CIPHERS[suite.enc][0]))


def _sizes(suite: CipherSuite, version: int) -> tuple[int, int, int]:
    if suite.enc in _AEADS:
        _, key_size, fixed = _AEADS[suite.enc]
        return 0, key_size, fixed
    if not is_supported(suite):
        raise UnsupportedError(f"no implementation of {suite.name}")
    _, key_size, block = _CIPHERS[suite.enc]
    # RFC 4346 section 6.2.3.2: from TLS 1.1 on every CBC record carries its own IV.
    return _MAC_SIZES[suite.mac], key_size, block if version <= TLS10 else 0


class _AeadProtection:
    """RFC 5288 and RFC 6655 (4 + 8 octets of nonce), RFC 7905 (12 octets, XORed with the sequence number)."""

    __slots__ = ("_aead", "_iv", "_sequence", "_tag")

    def __init__(self, name: str, key: bytes, iv: bytes) -> None:
        self._aead: Aead = aead(name, key)
        self._iv = iv
        self._sequence = 0
        self._tag = 8 if name == "AES-CCM-8" else 16

    def open(self, kind: int, version: int, body: bytes) -> bytes:
        explicit = 8 if len(self._iv) == 4 else 0
        length = len(body) - explicit - self._tag
        if length < 0:
            raise ProtectionError("a protected record is too short to hold a nonce and a tag")
        nonce = self._iv + body[:8] if explicit else self._xored()
        from cryptography.exceptions import InvalidTag

        try:
            plain = self._aead.decrypt(nonce, body[explicit:], self._bound(kind, version, length))
        except (InvalidTag, ValueError):
            raise _not_opened() from None
        self._sequence += 1
        return plain

    def seal(self, kind: int, version: int, payload: bytes) -> bytes:
        explicit = self._sequence.to_bytes(8, "big") if len(self._iv) == 4 else b""
        nonce = self._iv + explicit if explicit else self._xored()
        body = explicit + self._aead.encrypt(nonce, payload, self._bound(kind, version, len(payload)))
        self._sequence += 1
        return frame_header(kind, version, len(body)) + body

    def _xored(self) -> bytes:
        return (int.from_bytes(self._iv, "big") ^ self._sequence).to_bytes(12, "big")

    def _bound(self, kind: int, version: int, length: int) -> bytes:
        return self._sequence.to_bytes(8, "big") + frame_header(kind, version, length)


class _Mac:
    __slots__ = ("_digest", "_key", "_sequence", "size")

    def __init__(self, suite: CipherSuite, key: bytes) -> None:
        self._digest = suite.mac.lower()
        self._key = key
        self._sequence = 0
        self.size = len(key)

    def next(self, kind: int, version: int, payload: bytes) -> bytes:
        bound = self._sequence.to_bytes(8, "big") + frame_header(kind, version, len(payload))
        self._sequence += 1
        return mac(self._key, bound + payload, self._digest)


class _StreamProtection:
    """RC4 or nothing, MAC inside (RFC 5246 section 6.2.3.1)."""

    __slots__ = ("_mac", "_reading", "_writing")

    def __init__(self, suite: CipherSuite, key: bytes, mac_key: bytes) -> None:
        self._mac = _Mac(suite, mac_key)
        stream = _rc4(key) if suite.enc == "RC4_128" else None
        self._reading = stream
        self._writing = stream

    def open(self, kind: int, version: int, body: bytes) -> bytes:
        plain = body if self._reading is None else bytes(self._reading.update(body))
        payload, tag = plain[: -self._mac.size], plain[-self._mac.size :]
        if len(plain) < self._mac.size or not hmac.compare_digest(self._mac.next(kind, version, payload), tag):
            raise _not_opened()
        return payload

    def seal(self, kind: int, version: int, payload: bytes) -> bytes:
        plain = payload + self._mac.next(kind, version, payload)
        body = plain if self._writing is None else bytes(self._writing.update(plain))
        return frame_header(kind, version, len(body)) + body


class _BlockProtection:
    """CBC: MAC then encrypt (RFC 5246 section 6.2.3.2), or encrypt then MAC where agreed (RFC 7366).

    *chained* is TLS 1.0's IV, which continues from record to record; None means an explicit one in each record.
    """

    __slots__ = ("_block", "_chained", "_entropy", "_etm", "_key", "_mac", "_name")

    def __init__(
        self,
        suite: CipherSuite,
        key: bytes,
        mac_key: bytes,
        chained: bytes | None,
        entropy: Callable[[int], bytes],
        *,
        etm: bool,
    ) -> None:
        self._name, _, self._block = _CIPHERS[suite.enc]
        self._key = key
        self._mac = _Mac(suite, mac_key)
        self._chained = chained
        self._entropy = entropy
        self._etm = etm

    def open(self, kind: int, version: int, body: bytes) -> bytes:
        if self._etm:
            body, tag = body[: -self._mac.size], body[-self._mac.size :]
            if not hmac.compare_digest(self._mac.next(kind, version, body), tag):
                raise _not_opened()
        iv, secret = (body[: self._block], body[self._block :]) if self._chained is None else (self._chained, body)
        if len(iv) != self._block or not secret or len(secret) % self._block:
            raise ProtectionError("a protected record does not consist of whole cipher blocks")
        if self._chained is not None:
            self._chained = secret[-self._block :]
        decryptor = _cbc(self._name, self._key, iv).decryptor()
        plain = bytes(decryptor.update(secret) + decryptor.finalize())
        # Not in constant time: a probe has no secrets that padding could tell.
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != bytes((padding - 1,)) * padding:
            raise _not_opened()
        plain = plain[:-padding]
        if self._etm:
            return plain
        payload, tag = plain[: -self._mac.size], plain[-self._mac.size :]
        if len(plain) < self._mac.size or not hmac.compare_digest(self._mac.next(kind, version, payload), tag):
            raise _not_opened()
        return payload

    def seal(self, kind: int, version: int, payload: bytes) -> bytes:
        inner = payload if self._etm else payload + self._mac.next(kind, version, payload)
        padding = self._block - 1 - len(inner) % self._block
        iv = self._entropy(self._block) if self._chained is None else self._chained
        encryptor = _cbc(self._name, self._key, iv).encryptor()
        secret: bytes = encryptor.update(inner + bytes((padding,)) * (padding + 1)) + encryptor.finalize()
        body = iv + secret if self._chained is None else secret
        if self._chained is not None:
            self._chained = secret[-self._block :]
        if self._etm:
            body += self._mac.next(kind, version, body)
        return frame_header(kind, version, len(body)) + body


def _not_opened() -> ProtectionError:
    return ProtectionError("a protected record does not open with the keys of this handshake")


@cache
def _algorithm(name: str) -> Any:
    """The library's class; the old ciphers live in its decrepit module."""
    if name == "AES":
        from cryptography.hazmat.primitives.ciphers.algorithms import AES

        return AES
    from cryptography.hazmat.decrepit.ciphers import algorithms

    return getattr(algorithms, name, None)


@cache
def _available(name: str) -> bool:
    """Whether the library was built with the cipher: some distributions leave the old ones out."""
    if name in ("AES", "NULL"):
        return True
    from cryptography.exceptions import UnsupportedAlgorithm

    algorithm = _algorithm(name)
    if algorithm is None:
        return False
    try:
        if name == "ARC4":
            _rc4(bytes(range(16)))
        else:
            _cbc(name, bytes(range(24 if name == "TripleDES" else 16)), bytes(algorithm.block_size // 8)).encryptor()
    except UnsupportedAlgorithm:
        return False
    return True


def _cbc(name: str, key: bytes, iv: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    return Cipher(_algorithm(name)(key), CBC(iv))


def _rc4(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher

    return Cipher(_algorithm("ARC4")(key), None).encryptor()
