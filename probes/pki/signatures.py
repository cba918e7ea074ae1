"""Who signed what: one question, answered once per pair of certificate and key."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from probes.pki import der

RSA_PSS = "1.2.840.113549.1.1.10"
# Signature algorithm -> what the hash is called; None where the scheme brings its own.
HASHES: dict[str, str | None] = {
    "1.2.840.113549.1.1.2": "md2",
    "1.2.840.113549.1.1.4": "md5",
    "1.2.840.113549.1.1.5": "sha1",
    "1.3.14.3.2.29": "sha1",
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "1.2.840.10040.4.3": "sha1",
    "2.16.840.1.101.3.4.3.1": "sha224",
    "2.16.840.1.101.3.4.3.2": "sha256",
    "1.3.101.112": None,
    "1.3.101.113": None,
    "2.16.840.1.101.3.4.3.17": None,
    "2.16.840.1.101.3.4.3.18": None,
    "2.16.840.1.101.3.4.3.19": None,
}
_ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303 - what old chains carry must be verified to be named
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
# What cryptography raises for bytes or algorithms that it does not take; it reads lazily, so nearly anywhere.
REFUSALS = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
PublicKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | dsa.DSAPublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


@lru_cache(maxsize=1024)
def public_key(spki: bytes) -> PublicKey | None:
    """The key in a SubjectPublicKeyInfo; None when it cannot be read or is of no kind that signs certificates."""
    try:
        key = load_der_public_key(spki)
    except REFUSALS:
        return None
    return key if isinstance(key, PublicKey) else None


@lru_cache(maxsize=8192)
def signed_by(certificate: bytes, spki: bytes) -> bool:
    """Whether the key in *spki* made the signature on this certificate. Names and rights are not looked at.

    False, too, when certificate or key cannot be read or the algorithm is not known here.
    """
    key = public_key(spki)
    try:
        frame = der.skeleton(certificate)
        if key is None:
            return False
        return _verifies(key, certificate, frame)
    except (InvalidSignature, *REFUSALS):
        return False


def pss_hash(certificate: bytes) -> str | None:
    """The hash that an RSA-PSS signature names in its parameters, or None."""
    try:
        found = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except REFUSALS:
        return None
    return found.name if found else None


def _verifies(key: PublicKey, certificate: bytes, frame: der.Skeleton) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        scheme, algorithm = _rsa_scheme(certificate, frame)
        key.verify(frame.signature, frame.tbs, scheme, algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(frame.signature, frame.tbs, ec.ECDSA(_hash(frame.signature_oid)))
    elif isinstance(key, dsa.DSAPublicKey):
        key.verify(frame.signature, frame.tbs, _hash(frame.signature_oid))
    else:
        key.verify(frame.signature, frame.tbs)
    return True


def _rsa_scheme(certificate: bytes, frame: der.Skeleton) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    if frame.signature_oid != RSA_PSS:
        return padding.PKCS1v15(), _hash(frame.signature_oid)
    parsed = x509.load_der_x509_certificate(certificate)
    scheme, algorithm = parsed.signature_algorithm_parameters, parsed.signature_hash_algorithm
    if not isinstance(scheme, padding.PSS) or algorithm is None:
        raise ValueError("RSA-PSS without its parameters")
    return scheme, algorithm


def _hash(oid: str) -> hashes.HashAlgorithm:
    return _ALGORITHMS[HASHES[oid] or ""]
