"""Signed tree heads: what a log promises about all its entries, and whether it really signed that.

Both kinds of log sign the same TreeHeadSignature (RFC 6962 section 3.5); static-ct-api only carries it in a note.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from probes.ct.merkle import EMPTY_ROOT, HASH_SIZE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from probes.ct.loglist import Log

LARGEST = (1 << 63) - 1
_SIGNATURE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+={0,2})")
_SHA256, _RSA, _ECDSA = 4, 1, 3
_TREE_HEAD_TYPE = b"\x05"  # static-ct-api: the signature type of a note that holds an RFC 6962 tree head


class BadHead(ValueError):
    """A tree head that cannot be read or that its log did not sign; the text says which. *raw*: what was received."""

    raw: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """The log's word: *size* entries have the Merkle *root*, said at *timestamp_ms*.

    *signature* is the DigitallySigned structure (RFC 5246 section 4.7); *raw* is what was received, kept as evidence;
    *origin* names the signer in a checkpoint and is empty in an STH.
    """

    size: int
    root: bytes
    timestamp_ms: int
    signature: bytes
    raw: bytes
    origin: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it; also the form in which a head is evidence."""
        return {
            "tree_size": self.size,
            "timestamp": self.timestamp_ms,
            "sha256_root_hash": b64encode(self.root).decode(),
            "tree_head_signature": b64encode(self.signature).decode(),
            "origin": self.origin,
            "raw": b64encode(self.raw).decode(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> TreeHead:
        """What to_json said."""
        return cls(
            size=stored["tree_size"],
            timestamp_ms=stored["timestamp"],
            root=b64decode(stored["sha256_root_hash"]),
            signature=b64decode(stored["tree_head_signature"]),
            origin=stored["origin"],
            raw=b64decode(stored["raw"]),
        )


def parse_sth(answer: bytes | dict[str, Any]) -> TreeHead:
    """Read the answer to get-sth (RFC 6962 section 4.3); BadHead when it is none. The signature is not checked."""
    try:
        read = json.loads(answer) if isinstance(answer, bytes) else answer
        size, timestamp = read["tree_size"], read["timestamp"]
        root, signature = (
            b64decode(read[field], validate=True) for field in ("sha256_root_hash", "tree_head_signature")
        )
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise BadHead(f"the answer to get-sth is no signed tree head: {type(wrong).__name__}, {wrong}") from wrong
    if not all(type(number) is int and 0 <= number <= LARGEST for number in (size, timestamp)):
        raise BadHead("the tree size or timestamp of the signed tree head is no number")
    if len(root) != HASH_SIZE:
        raise BadHead(f"the root hash of the signed tree head has {len(root)} bytes")
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return TreeHead(size=size, root=root, timestamp_ms=timestamp, signature=signature, raw=raw)


def parse_checkpoint(text: str | bytes, *, origin: str, log_id: bytes) -> TreeHead:
    """Read a checkpoint (static-ct-api; C2SP signed-note); BadHead when it is none or lacks this log's signature.

    Signatures by others (witnesses) are passed over. The origin is authenticated by nothing but *log_id*, which
    comes from the log list. The signature is not checked here.
    """
    raw = text if isinstance(text, bytes) else text.encode()
    try:
        note = raw.decode()
    except UnicodeDecodeError as wrong:
        raise BadHead("the checkpoint is not UTF-8") from wrong
    body, blank, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    if not blank or not signatures.endswith("\n"):
        raise BadHead("the checkpoint is no signed note")
    if len(lines) != 3:
        # static-ct-api forbids extension lines: the tree head signature would not cover them.
        raise BadHead(f"the checkpoint has {len(lines)} lines before its signatures, not 3")
    if lines[0] != origin:
        raise BadHead(f"the checkpoint is of {lines[0][:100]!r}, not of {origin!r}")
    timestamp_ms, signature = _own_signature(signatures, origin, note_key_id(origin, log_id))
    return TreeHead(
        size=_decimal(lines[1]),
        root=_root(lines[2]),
        timestamp_ms=timestamp_ms,
        signature=signature,
        raw=raw,
        origin=origin,
    )


def note_key_id(origin: str, log_id: bytes) -> bytes:
    """The four bytes by which a note names the key of a static log (static-ct-api, "Checkpoints")."""
    return sha256(origin.encode() + b"\n" + _TREE_HEAD_TYPE + log_id).digest()[:4]


def signed_bytes(head: TreeHead) -> bytes:
    """The TreeHeadSignature structure of RFC 6962 section 3.5: version, type, timestamp, size, root."""
    return b"\x00\x01" + head.timestamp_ms.to_bytes(8, "big") + head.size.to_bytes(8, "big") + head.root


def verify_head(head: TreeHead, log: Log) -> None:
    """BadHead unless *log*'s key signed this head: ECDSA P-256 or RSA, with SHA-256 (RFC 6962 section 2.1.4)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    if head.size == 0 and head.root != EMPTY_ROOT:
        raise BadHead("the head of an empty tree has a root that is not that of an empty tree")
    algorithm, signature = _digitally_signed(head.signature)
    try:
        key = _public_key(log.key)
    except ValueError as wrong:
        raise BadHead("the log's key in the log list cannot be read") from wrong
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm == _ECDSA:
            key.verify(signature, signed_bytes(head), ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm == _RSA:
            key.verify(signature, signed_bytes(head), padding.PKCS1v15(), SHA256())
        else:
            raise BadHead(f"the head is signed with algorithm {algorithm}, which is not that of the log's key")
    except InvalidSignature as wrong:
        raise BadHead("the signature of the tree head is wrong") from wrong


@lru_cache(maxsize=512)
def _public_key(spki: bytes) -> PublicKeyTypes:
    """The key; ValueError when it cannot be read, or is of a kind that no log may have."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(spki)
    except UnsupportedAlgorithm as wrong:
        raise ValueError("a key of an unknown kind") from wrong


def _digitally_signed(signed: bytes) -> tuple[int, bytes]:
    if len(signed) < 4 or int.from_bytes(signed[2:4], "big") != len(signed) - 4:
        raise BadHead("the signature of the tree head is no DigitallySigned structure")
    if signed[0] != _SHA256:
        raise BadHead(f"the tree head is signed over hash algorithm {signed[0]}, not SHA-256")
    return signed[1], signed[4:]


def _own_signature(signatures: str, origin: str, key_id: bytes) -> tuple[int, bytes]:
    """Timestamp and DigitallySigned of the first signature by this log's key. Every line must be a signature's."""
    own: bytes | None = None
    for line in signatures.removesuffix("\n").split("\n"):
        found = _SIGNATURE.fullmatch(line)
        if not found:
            raise BadHead("the checkpoint has a malformed signature line")
        name, encoded = found.groups()
        try:
            value = b64decode(encoded, validate=True)
        except binascii.Error as wrong:
            raise BadHead("the checkpoint has a signature that is not base64") from wrong
        if own is None and name == origin and value[:4] == key_id:
            own = value
    if own is None:
        raise BadHead("the checkpoint carries no signature by the log's key")
    if len(own) < 12:
        raise BadHead("the log's signature on the checkpoint is too short")
    return int.from_bytes(own[4:12], "big"), own[12:]


def _decimal(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) > LARGEST:
        raise BadHead(f"the checkpoint's size reads {text[:40]!r}")
    return int(text)


def _root(text: str) -> bytes:
    try:
        root = b64decode(text, validate=True)
    except ValueError as wrong:
        raise BadHead("the checkpoint's root is not base64") from wrong
    if len(root) != HASH_SIZE:
        raise BadHead(f"the checkpoint's root has {len(root)} bytes")
    return root
