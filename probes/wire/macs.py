"""HMAC (RFC 2104) over hashlib's one-shot hashes: a check makes two hundred, and hmac.digest takes thrice as long."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

Hash = Callable[[bytes], "hashlib._Hash"]

HASHES: dict[str, Hash] = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}
_BLOCKS = {"sha256": 64, "sha384": 128}
_INNER, _OUTER = (bytes([octet ^ pad for octet in range(256)]) for pad in (0x36, 0x5C))


def mac(key: bytes, message: bytes, digest: str) -> bytes:
    """HMAC of *message* under *key* with the hash named *digest*, as hashlib names it."""
    made = HASHES.get(digest)
    if made is None or len(key) > 64:
        return hmac.digest(key, message, digest)
    block = key.ljust(_BLOCKS[digest], b"\0")
    return made(block.translate(_OUTER) + made(block.translate(_INNER) + message).digest()).digest()
