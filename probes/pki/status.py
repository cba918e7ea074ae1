"""What a revocation source said of one certificate, as a value; and what judging OCSP and CRLs has in common.

Bodies come from strangers: everything here takes any bytes and answers with a value.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

from probes.pki import der
from probes.pki.signatures import HASHES, REFUSALS, RSA_PSS, public_key
from probes.values import value

SKEW = timedelta(minutes=5)  # forgiven at both ends of a validity window
LASTS = timedelta(days=7)  # our own limit for an OCSP response without nextUpdate

Standing = Literal[
    "good",
    "revoked",
    "unknown",  # the source does not know the certificate, or speaks of other ones
    "stale",  # past nextUpdate
    "early",  # thisUpdate is still to come by our clock: one of two clocks is wrong
    "invalid",  # badly signed, by somebody without the right, or about another certificate
    "error",  # no OCSP response or CRL at all, or one that says the responder cannot answer
    "unchecked",  # cannot be verified here: its issuer is missing, or its algorithm not known
]


@value
class Status:
    """`why` is a phrase with the particulars. Times are aware UTC; `verified`: the signature holds, by a signer with
    the right to make it."""

    outcome: Standing
    why: str = ""
    verified: bool = False
    signer: str = ""  # "its issuer", or the name of the delegated responder
    this_update: datetime | None = None
    next_update: datetime | None = None
    produced_at: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None
    size: int = 0  # bytes of the response or CRL
    entries: int | None = None  # of a CRL


def freshness(
    this_update: datetime, next_update: datetime | None, at: datetime, *, lasts: timedelta | None
) -> Literal["fresh", "stale", "early"]:
    """Place *at* within the window; five minutes of skew are forgiven on both ends.

    Without nextUpdate newer information is always to be had (RFC 6960 section 4.2.2.1); such an answer counts as
    fresh for *lasts* after thisUpdate, or for ever without it.
    """
    if this_update > at + SKEW:
        return "early"
    end = next_update if next_update is not None else this_update + lasts if lasts is not None else None
    return "stale" if end is not None and at > end + SKEW else "fresh"


@value
class Signed:
    """What certificates, CRLs and basic OCSP responses have in common: a body, an algorithm, a signature."""

    body: bytes
    algorithm: str
    signature: bytes


def signed(data: bytes) -> Signed:
    """The three parts of SEQUENCE { body, algorithm, signature, … }. Raises der.Malformed."""
    outer = der.element(data, 0, len(data))
    parts = der.children(data, outer)
    body, algorithm, signature = (next(parts, None) for _ in range(3))
    if body is None or algorithm is None or signature is None or signature.tag != der.BIT_STRING:
        raise der.Malformed("no body with a signature")
    oid = der.element(data, algorithm.body, algorithm.end)
    return Signed(
        body=data[body.start : body.end],
        algorithm=der.object_identifier(data[oid.body : oid.end]),
        signature=data[signature.body + 1 : signature.end],
    )


def made_signature(spki: bytes, parts: Signed) -> bool | None:
    """Did the key in *spki* sign it? None: the algorithm is not known here, so nobody can tell."""
    if parts.algorithm not in HASHES and parts.algorithm != RSA_PSS:
        return None
    key = public_key(spki)
    if key is None:
        return False
    try:
        match key:
            case rsa.RSAPublicKey():
                return _by_rsa(key, parts)
            case ec.EllipticCurvePublicKey():
                key.verify(parts.signature, parts.body, ec.ECDSA(_hash(parts.algorithm)))
            case dsa.DSAPublicKey():
                key.verify(parts.signature, parts.body, _hash(parts.algorithm))
            case _:
                key.verify(parts.signature, parts.body)
    except (InvalidSignature, *REFUSALS):
        return False
    return True


_BY_NAME: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303 - what is weak must be verified, too, to be named
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def _hash(oid: str) -> hashes.HashAlgorithm:
    return _BY_NAME[HASHES[oid] or ""]


def _by_rsa(key: rsa.RSAPublicKey, parts: Signed) -> bool:
    if parts.algorithm != RSA_PSS:
        key.verify(parts.signature, parts.body, padding.PKCS1v15(), _hash(parts.algorithm))
        return True
    # The parameters only say which of these it is; a signature that holds under one of them was made by the key.
    for each in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        try:
            key.verify(parts.signature, parts.body, padding.PSS(padding.MGF1(each), padding.PSS.AUTO), each)
        except InvalidSignature:
            continue
        return True
    return False


def key_bits(spki: bytes) -> bytes:
    """The value of subjectPublicKey, without tag, length and unused bits: what OCSP hashes (RFC 6960 section 4.1.1)."""
    try:
        parts = list(der.inside(spki))
    except der.Malformed:
        return b""
    return spki[parts[1].body + 1 : parts[1].end] if len(parts) > 1 else b""
