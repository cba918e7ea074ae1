"""Tree heads of both kinds of log, signed by both kinds of key, and everything that is wrong with them."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from probes.ct import heads
from probes.ct.heads import BadHead, TreeHead, parse_checkpoint, parse_sth, verify_head
from probes.ct.loglist import Log
from probes.ct.merkle import EMPTY_ROOT

ORIGIN = "log.test/2026h2"
ROOT = b"\x2a" * 32
STAMP = 1790000000123


@cache
def key(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def log(kind: str) -> Log:
    spki = key(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Log(
        description="Test", operator="Test", log_id=sha256(spki).digest(), key=spki, kind="static",
        url="https://log.test/2026h2/", submission_url="https://log.test/2026h2/", origin=ORIGIN,
    )  # fmt: skip


def signature(kind: str, size: int = 5, root: bytes = ROOT) -> bytes:
    signed = b"\x00\x01" + STAMP.to_bytes(8, "big") + size.to_bytes(8, "big") + root
    signer = key(kind)
    if isinstance(signer, rsa.RSAPrivateKey):
        value, algorithm = signer.sign(signed, padding.PKCS1v15(), SHA256()), 1
    else:
        value, algorithm = signer.sign(signed, ec.ECDSA(SHA256())), 3
    return bytes((4, algorithm)) + len(value).to_bytes(2, "big") + value


def sth(kind: str = "ec", **changed: Any) -> dict[str, object]:
    fields: dict[str, object] = {
        "tree_size": 5,
        "timestamp": STAMP,
        "sha256_root_hash": b64encode(ROOT).decode(),
        "tree_head_signature": b64encode(signature(kind)).decode(),
    }
    return fields | changed


def line(name: str, key_id: bytes, value: bytes) -> str:
    return f"— {name} {b64encode(key_id + value).decode()}\n"


def checkpoint(kind: str = "ec", *, body: str | None = None, others: str = "", after: str = "") -> str:
    body = body if body is not None else f"{ORIGIN}\n5\n{b64encode(ROOT).decode()}\n"
    key_id = sha256(ORIGIN.encode() + b"\n\x05" + log(kind).log_id).digest()[:4]
    return f"{body}\n{others}{line(ORIGIN, key_id, STAMP.to_bytes(8, 'big') + signature(kind))}{after}"


def read(text: str | bytes, kind: str = "ec") -> TreeHead:
    return parse_checkpoint(text, origin=ORIGIN, log_id=log(kind).log_id)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_both_forms_hold_for_both_kinds_of_key(kind: str) -> None:
    from_sth = parse_sth(json.dumps(sth(kind)).encode())
    from_note = read(checkpoint(kind), kind)
    for head in (from_sth, from_note):
        assert (head.size, head.root, head.timestamp_ms) == (5, ROOT, STAMP)
        verify_head(head, log(kind))
        assert TreeHead.from_json(json.loads(json.dumps(head.to_json()))) == head
    assert from_note.origin == ORIGIN
    assert from_note.raw == checkpoint(kind).encode() or kind == "ec"  # ECDSA signs another way each time


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("changed", [{"size": 6}, {"root": b"\x2b" * 32}, {"timestamp_ms": STAMP + 1}])
def test_whatever_is_changed_breaks_the_signature(kind: str, changed: dict[str, int]) -> None:
    head = replace(parse_sth(sth(kind)), **changed)  # type: ignore[arg-type]
    with pytest.raises(BadHead, match="signature of the tree head is wrong"):
        verify_head(head, log(kind))


def test_another_logs_signature_is_none() -> None:
    head = parse_sth(sth("ec"))
    with pytest.raises(BadHead, match="not that of the log's key"):
        verify_head(head, log("rsa"))
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = replace(log("ec"), key=stranger.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(BadHead, match="wrong"):
        verify_head(head, other)
    with pytest.raises(BadHead, match="cannot be read"):
        verify_head(head, replace(log("ec"), key=b"no key"))


@pytest.mark.parametrize("spoiled", [b"", b"\x04\x03", b"\x04\x03\x00\x05abc", b"\x02\x03\x00\x00"])
def test_a_malformed_signature_is_a_bad_head(spoiled: bytes) -> None:
    with pytest.raises(BadHead):
        verify_head(replace(parse_sth(sth()), signature=spoiled), log("ec"))


def test_an_empty_tree_has_the_empty_root() -> None:
    good = sth(tree_size=0, sha256_root_hash=b64encode(EMPTY_ROOT).decode())
    good["tree_head_signature"] = b64encode(signature("ec", 0, EMPTY_ROOT)).decode()
    verify_head(parse_sth(good), log("ec"))
    bad = sth(tree_size=0, tree_head_signature=b64encode(signature("ec", 0)).decode())
    with pytest.raises(BadHead, match="empty"):
        verify_head(parse_sth(bad), log("ec"))


@pytest.mark.parametrize(
    "changed",
    [
        {"tree_size": -1}, {"tree_size": "5"}, {"tree_size": True}, {"tree_size": 1 << 64}, {"timestamp": None},
        {"timestamp": 1.5}, {"sha256_root_hash": "AAAA"}, {"sha256_root_hash": "???"}, {"sha256_root_hash": 7},
        {"tree_head_signature": "*"},
    ],
)  # fmt: skip
def test_a_malformed_sth_is_a_bad_head(changed: dict[str, Any]) -> None:
    with pytest.raises(BadHead):
        parse_sth(sth(**changed))


@pytest.mark.parametrize("answer", [b"", b"[]", b"null", b'{"tree_size": 1}', b"<html>", b"[" * 100000, b"\xff"])
def test_an_answer_that_is_no_sth_is_a_bad_head(answer: bytes) -> None:
    with pytest.raises(BadHead):
        parse_sth(answer)


def test_signatures_by_others_are_passed_over() -> None:
    witness = line("witness.test/w1", b"abcd", b"\x00" * 72) + line(ORIGIN, b"abcd", b"\x01" * 72)
    for text in (checkpoint(others=witness), checkpoint(after=witness)):
        verify_head(read(text), log("ec"))


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "\n\n", ORIGIN, checkpoint().removesuffix("\n"), checkpoint().replace("\n\n", "\n"),
        checkpoint(body=f"{ORIGIN}\n5\n{b64encode(ROOT).decode()}\nextension\n"),
        checkpoint(body=f"{ORIGIN}\n5\n"),
        checkpoint(body=f"other.test\n5\n{b64encode(ROOT).decode()}\n"),
        checkpoint(body=f"{ORIGIN}\n05\n{b64encode(ROOT).decode()}\n"),
        checkpoint(body=f"{ORIGIN}\n+5\n{b64encode(ROOT).decode()}\n"),
        checkpoint(body=f"{ORIGIN}\n٥\n{b64encode(ROOT).decode()}\n"),
        checkpoint(body=f"{ORIGIN}\n{1 << 63}\n{b64encode(ROOT).decode()}\n"),
        checkpoint(body=f"{ORIGIN}\n5\nAAAA\n"),
        checkpoint(body=f"{ORIGIN}\n5\n***\n"),
        checkpoint().replace("— ", "- "), checkpoint(after="— x !\n"), checkpoint(after="garbage\n"),
        f"{ORIGIN}\n5\n{b64encode(ROOT).decode()}\n\n" + line(ORIGIN, b"abcd", b"\x00" * 80),
        b"\xff" + checkpoint().encode(),
    ],
)  # fmt: skip
def test_a_malformed_checkpoint_is_a_bad_head(text: str | bytes) -> None:
    with pytest.raises(BadHead):
        read(text)


@given(st.text(max_size=60), st.integers(0, 400))
def test_no_text_raises_anything_else(text: str, at: int) -> None:
    note = checkpoint()
    for each in (text, note[:at] + text + note[at:], note[:at]):
        try:
            heads.verify_head(read(each), log("ec"))
        except BadHead:
            continue
