"""Secrets at rest: sealed with SECRET_KEY, bound to what they belong to. Pure but for randomness.

AES-256-GCM (NIST SP 800-38D) under a key derived for each secret by HKDF-SHA256 (RFC 5869) with a salt of its own, so
that no nonce can repeat under one key. What a secret is about is authenticated with it: a sealed key that is moved to
another row, or whose host patterns were widened in the file, does not open.
"""

from __future__ import annotations

import json
import os

_VERSION = b"\x01"
_SALT, _NONCE = 16, 12  # octets
_PURPOSE = b"clienthello client identity 1"


class WrongKey(Exception):
    """It does not open: sealed with another SECRET_KEY, or changed since."""


class Seal:
    """Seals and opens with one SECRET_KEY."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode("utf-8")

    def __repr__(self) -> str:
        return "Seal()"

    def close(self, secret: bytes, *, about: tuple[str, ...]) -> bytes:
        """*secret*, sealed; *about* must be given again to open it."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        return _VERSION + salt + nonce + AESGCM(self._key(salt)).encrypt(nonce, secret, _bound(about))

    def open(self, sealed: bytes, *, about: tuple[str, ...]) -> bytes:
        """The secret. Raises WrongKey."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head = len(_VERSION) + _SALT + _NONCE
        if sealed[:1] != _VERSION or len(sealed) < head + 16:
            raise WrongKey
        salt, nonce = sealed[1 : 1 + _SALT], sealed[1 + _SALT : head]
        try:
            return AESGCM(self._key(salt)).decrypt(nonce, sealed[head:], _bound(about))
        except InvalidTag:
            raise WrongKey from None

    def _key(self, salt: bytes) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(self._secret)


def _bound(about: tuple[str, ...]) -> bytes:
    return json.dumps(about, ensure_ascii=True).encode("ascii")
