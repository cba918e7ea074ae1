"""Certificates for tests: the defaults are healthy, a test names only what it breaks.

    root = authority()
    ca = intermediate(root)
    served = leaf(ca, names=("api.test",), not_after=NOW - timedelta(days=1))

Each factory returns an `Issued`: `.certificate`, `.key`, `.der`, `.pem`, `.key_pem`. Keys are made once a
session for each (kind, owner), so the same subject keeps its key unless a test says `key="…"` or `owner="…"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509

from probes.lab.issue import CLIENT_AUTH, SERVER_AUTH, Hash, Issued, Key, KeyKind, issue, new_key

__all__ = [
    "CLIENT_AUTH",
    "NOW",
    "SERVER_AUTH",
    "Issued",
    "KeyKind",
    "authority",
    "chain",
    "cross_sign",
    "intermediate",
    "key",
    "leaf",
    "self_signed",
]

NOW = datetime.now(UTC).replace(microsecond=0)
"""When this test session began; every default validity surrounds it."""


@cache
def key(kind: KeyKind = "p256", owner: str = "") -> Key:
    """The session's private key of *owner*. RSA is slow to make: use few owners for it."""
    return new_key(kind)


def authority(
    name: str = "Test Root",
    *,
    not_before: datetime = NOW - timedelta(days=365),
    not_after: datetime = NOW + timedelta(days=3650),
    key_kind: KeyKind = "p256",
    owner: str | None = None,
    path_length: int | None = None,
    signed_with: Hash = "sha256",
) -> Issued:
    """A self-signed root. *owner* names another key than the subject's own (a re-issued root: same owner)."""
    return issue(
        subject=name,
        key=key(key_kind, owner or name),
        is_ca=True,
        path_length=path_length,
        usages=(),
        not_before=not_before,
        not_after=not_after,
        signed_with=signed_with,
    )


def intermediate(
    issuer: Issued | None = None,
    name: str = "Test Issuing CA",
    *,
    not_before: datetime = NOW - timedelta(days=300),
    not_after: datetime = NOW + timedelta(days=1500),
    key_kind: KeyKind = "p256",
    owner: str | None = None,
    is_ca: bool = True,
    path_length: int | None = 0,
    usages: Sequence[x509.ObjectIdentifier] = (SERVER_AUTH,),
    permitted: Sequence[str] = (),
    signed_with: Hash = "sha256",
    issuer_url: str | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """An issuing CA under *issuer* (the default root). *permitted* are dNSName constraints."""
    return issue(
        subject=name,
        key=key(key_kind, owner or name),
        issuer=issuer or authority(),
        is_ca=is_ca,
        path_length=path_length,
        usages=usages,
        permitted=permitted,
        not_before=not_before,
        not_after=not_after,
        signed_with=signed_with,
        issuer_url=issuer_url,
        more=more,
    )


def leaf(
    issuer: Issued | None = None,
    *,
    names: Sequence[str] = ("healthy.test",),
    subject: str | None = None,
    not_before: datetime = NOW - timedelta(days=20),
    not_after: datetime = NOW + timedelta(days=70),
    key_kind: KeyKind = "p256",
    owner: str = "leaf",
    usages: Sequence[x509.ObjectIdentifier] = (SERVER_AUTH,),
    signed_with: Hash = "sha256",
    issuer_url: str | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """A server certificate for *names* (DNS names and IP literals) under *issuer* (the default intermediate)."""
    return issue(
        subject=subject or (names[0] if names else "nameless"),
        names=names,
        key=key(key_kind, owner),
        issuer=issuer or intermediate(),
        usages=usages,
        not_before=not_before,
        not_after=not_after,
        signed_with=signed_with,
        issuer_url=issuer_url,
        more=more,
    )


def self_signed(
    names: Sequence[str] = ("healthy.test",),
    *,
    not_before: datetime = NOW - timedelta(days=20),
    not_after: datetime = NOW + timedelta(days=70),
    key_kind: KeyKind = "p256",
    owner: str = "leaf",
) -> Issued:
    """A leaf that is its own issuer."""
    return issue(subject=names[0], names=names, key=key(key_kind, owner), not_before=not_before, not_after=not_after)


def cross_sign(
    subject: Issued,
    by: Issued,
    *,
    not_before: datetime = NOW - timedelta(days=200),
    not_after: datetime = NOW + timedelta(days=800),
    path_length: int | None = None,
) -> Issued:
    """*subject*'s name and key again, this time signed by another authority."""
    [common_name] = subject.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return issue(
        subject=str(common_name.value),
        key=subject.key,
        issuer=by,
        is_ca=True,
        path_length=path_length,
        usages=(),
        not_before=not_before,
        not_after=not_after,
    )


def chain() -> tuple[Issued, Issued, Issued]:
    """A healthy leaf, its intermediate and the root, for tests that break nothing in them."""
    root = authority()
    ca = intermediate(root)
    return leaf(ca), ca, root
