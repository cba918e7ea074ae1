"""What proves an issuance to somebody else: the entry, its place in the log, the proof, and the signed head.

Gathering asks the log; checking asks nobody, so that a bundle can be checked long after the log is gone.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from probes.ct.entries import LeafEntry, read_leaf, tbs_identity
from probes.ct.heads import BadHead, TreeHead, parse_checkpoint, parse_sth, verify_head
from probes.ct.loglist import Kind, Log
from probes.ct.merkle import leaf_hash, verify_inclusion

if TYPE_CHECKING:
    from probes.ct.issuance import Issuance
    from probes.net.ctlog import LogClient


class BadEvidence(ValueError):
    """A bundle that proves nothing, or a log that cannot prove what it gave; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One entry under one signed head. *key* is the log's, as its list has it: compare it with a list of your own."""

    log: str
    url: str
    kind: Kind
    key: bytes
    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    head: TreeHead

    @property
    def log_id(self) -> bytes:
        return sha256(self.key).digest()

    @property
    def entry(self) -> LeafEntry:
        return read_leaf(self.leaf, index=self.index)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it; hashes and bytes in base64, as the logs themselves write them."""
        return {
            "schema": 1,
            "log": {
                "description": self.log,
                "url": self.url,
                "kind": self.kind,
                "log_id": _b64(self.log_id),
                "key": _b64(self.key),
            },
            "index": self.index,
            "leaf_input": _b64(self.leaf),
            "leaf_hash": _b64(leaf_hash(self.leaf)),
            "tbs_sha256": tbs_identity(self.entry).hex(),
            "audit_path": [_b64(each) for each in self.proof],
            "head": self.head.to_json(),
        }

    @classmethod
    def from_json(cls, stored: object) -> Bundle:
        """What to_json said; BadEvidence when it is none."""
        try:
            assert isinstance(stored, dict)
            log = stored["log"]
            bundle = cls(
                log=str(log["description"]),
                url=str(log["url"]),
                kind=log["kind"],
                key=b64decode(log["key"], validate=True),
                index=int(stored["index"]),
                leaf=b64decode(stored["leaf_input"], validate=True),
                proof=tuple(b64decode(each, validate=True) for each in stored["audit_path"]),
                head=TreeHead.from_json(stored["head"]),
            )
            if b64decode(log["log_id"]) != bundle.log_id:
                raise BadEvidence("the log id is not the SHA-256 of the key")
            if stored["tbs_sha256"] != tbs_identity(bundle.entry).hex():
                raise BadEvidence("the entry is of another certificate than the bundle says")
            if b64decode(stored["leaf_hash"]) != leaf_hash(bundle.leaf):
                raise BadEvidence("the leaf hash is of another entry")
        except (AssertionError, KeyError, TypeError, ValueError) as wrong:
            if isinstance(wrong, BadEvidence):
                raise
            raise BadEvidence("this is no evidence bundle") from None
        return bundle


async def evidence(client: LogClient, issuance: Issuance, head: TreeHead) -> Bundle:
    """The bundle for where *issuance* stands in the client's log. *head* was verified, or a newer one is taken.

    Raises BadEvidence when the log gives another entry there or cannot prove it, Unavailable when it does not answer.
    """
    log_id = client.log.log_id.hex()
    seen = next((each for each in issuance.seen if each.log_id == log_id), None)
    if seen is None:
        raise BadEvidence(f"this issuance was not seen in {client.log.description}")
    if seen.index >= head.size:
        head = await client.head()
        try:
            verify_head(head, client.log)
        except BadHead as wrong:
            raise BadEvidence(str(wrong)) from None
    entry = await client.entry(seen.index, head)
    if tbs_identity(entry).hex() != issuance.tbs_sha256:
        raise BadEvidence(f"{client.log.description} now gives another certificate at {seen.index}")
    return await prove(client, entry, head)


async def prove(client: LogClient, entry: LeafEntry, head: TreeHead) -> Bundle:
    """The bundle for an entry at hand, its inclusion under *head* verified; BadEvidence when it does not hold."""
    if entry.index >= head.size:
        raise BadEvidence(f"entry {entry.index} is beyond the head of {head.size}")
    proof = await client.inclusion(entry.index, entry.leaf_hash, head)
    if not verify_inclusion(entry.leaf_hash, entry.index, head.size, proof, head.root):
        raise BadEvidence(f"{client.log.description} cannot prove that entry {entry.index} is in its tree")
    log = client.log
    return Bundle(
        log=log.description,
        url=log.url,
        kind=log.kind,
        key=log.key,
        index=entry.index,
        leaf=entry.leaf,
        proof=tuple(proof),
        head=head,
    )


def problems(bundle: Bundle, known: Sequence[Log]) -> tuple[str, ...]:
    """What is wrong with a bundle; empty when it holds. *known*: the logs of a list that is trusted."""
    found = []
    log = next((each for each in known if each.log_id == bundle.log_id), None)
    if log is None:
        found.append("its log is not in the log list")
        log = _unlisted(bundle)
    try:
        verify_head(bundle.head, log)
    except BadHead as wrong:
        found.append(str(wrong))
    if not _is_as_received(bundle.head, log):
        found.append("the head is not the one that was received from the log")
    hashed = leaf_hash(bundle.leaf)
    if not verify_inclusion(hashed, bundle.index, bundle.head.size, bundle.proof, bundle.head.root):
        found.append("the inclusion proof does not lead from the entry to the head")
    return tuple(found)


def _is_as_received(head: TreeHead, log: Log) -> bool:
    """Whether the answer that is kept beside the head says the same."""
    try:
        if head.origin:
            received = parse_checkpoint(head.raw, origin=head.origin, log_id=log.log_id)
        else:
            received = parse_sth(head.raw)
    except BadHead:
        return False
    return received == head


def read_bundle(text: str) -> Bundle:
    """A bundle from its JSON, alone or as the `evidence` of a finding; BadEvidence otherwise."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise BadEvidence("this is no JSON") from None
    return Bundle.from_json(read.get("evidence", read) if isinstance(read, dict) else read)


def _unlisted(bundle: Bundle) -> Log:
    return Log(
        description=bundle.log,
        operator="",
        log_id=bundle.log_id,
        key=bundle.key,
        kind=bundle.kind,
        url=bundle.url,
        submission_url=bundle.url,
    )


def _b64(content: bytes) -> str:
    return b64encode(content).decode()
