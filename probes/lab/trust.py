"""The lab's certification authorities, made afresh for each lab, and what they issue.

Lab Root (trusted)  ──  Lab Issuing CA R (RSA)      most endpoints
        │           ──  Lab Issuing CA E (ECDSA)
        │           ──  Lab Policy CA ── Lab Issuing CA P
        └ also signed by the expired Lab Old Root: the cross-sign
Other Root (trusted by nobody)  ──  Other Issuing CA
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509

from probes.lab.issue import SERVER_AUTH, Hash, Issued, Key, KeyKind, issue, new_key
from probes.values import value

YEAR = timedelta(days=365)
LIFETIME = timedelta(days=90)
AGE = timedelta(days=20)


@value
class Trust:
    """The authorities, the one RSA and the one EC key that most leaves share, and the time it all was made."""

    now: datetime
    rsa_key: Key
    ec_key: Key
    root: Issued
    issuing_r: Issued
    issuing_r_before: Issued  # the same name, another key: the one replaced by issuing_r
    issuing_r_expired: Issued  # the same name and key as issuing_r, past its notAfter
    issuing_e: Issued
    policy: Issued
    issuing_p: Issued
    old_root: Issued  # expired
    cross_sign: Issued  # the root's name and key under old_root, expired
    other_root: Issued
    other_issuing: Issued

    def leaf(
        self,
        *names: str,
        issuer: Issued | None = None,
        key: Key | KeyKind | None = None,
        age: timedelta = AGE,
        lifetime: timedelta = LIFETIME,
        usages: tuple[x509.ObjectIdentifier, ...] = (SERVER_AUTH,),
        signed_with: Hash = "sha256",
        issuer_url: str | None = None,
        more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Issued:
        """A server certificate for *names*, from issuing_r and on the shared RSA key unless told otherwise."""
        begin = self.now - age
        return issue(
            subject=names[0],
            names=names,
            key=new_key(key) if isinstance(key, str) else key or self.rsa_key,
            issuer=issuer or self.issuing_r,
            not_before=begin,
            not_after=begin + lifetime,
            usages=usages,
            signed_with=signed_with,
            issuer_url=issuer_url,
            more=more,
        )

    def self_signed(self, *names: str) -> Issued:
        return issue(
            subject=names[0],
            names=names,
            key=self.ec_key,
            not_before=self.now - AGE,
            not_after=self.now - AGE + YEAR,
        )


def establish(now: datetime) -> Trust:
    """New authorities. Two RSA keys are made, which is most of the time this takes (0.1 to 0.4 s)."""
    root = _root("Lab Root", now - YEAR, now + 10 * YEAR)
    old_root = _root("Lab Old Root", now - 10 * YEAR, now - timedelta(days=30))
    other_root = _root("Other Root", now - YEAR, now + 10 * YEAR)
    policy = _authority("Lab Policy CA", root, now, path_length=1)
    issuing_r = _authority("Lab Issuing CA R", root, now, key=new_key("rsa2048"))
    return Trust(
        now=now,
        rsa_key=new_key("rsa2048"),
        ec_key=new_key("p256"),
        root=root,
        issuing_r=issuing_r,
        issuing_r_before=_authority("Lab Issuing CA R", root, now),
        issuing_r_expired=_authority(
            "Lab Issuing CA R", root, now, key=issuing_r.key, not_after=now - timedelta(days=2)
        ),
        issuing_e=_authority("Lab Issuing CA E", root, now),
        policy=policy,
        issuing_p=_authority("Lab Issuing CA P", policy, now),
        old_root=old_root,
        cross_sign=issue(
            subject="Lab Root",
            key=root.key,
            issuer=old_root,
            is_ca=True,
            usages=(),
            not_before=now - YEAR,
            not_after=now - timedelta(days=30),
        ),
        other_root=other_root,
        other_issuing=_authority("Other Issuing CA", other_root, now),
    )


def _root(subject: str, not_before: datetime, not_after: datetime) -> Issued:
    return issue(
        subject=subject, key=new_key("p256"), is_ca=True, usages=(), not_before=not_before, not_after=not_after
    )


def _authority(
    subject: str,
    issuer: Issued,
    now: datetime,
    *,
    key: Key | None = None,
    not_after: datetime | None = None,
    path_length: int = 0,
) -> Issued:
    return issue(
        subject=subject,
        key=key or new_key("p256"),
        issuer=issuer,
        is_ca=True,
        path_length=path_length,
        not_before=now - YEAR + timedelta(days=1),
        not_after=not_after or now + 4 * YEAR,
    )
