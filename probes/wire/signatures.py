"""Handshake signatures: the server's checked, the client's made; every scheme of TLS 1.0 to 1.3.

The public key is taken out of the certificate's DER by hand, so that a certificate which a strict X.509 parser refuses
can still be held against its signature, and so that a cold start need not load one.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from probes.values import row, value
from probes.wire.octets import MessageError, UnsupportedError
from probes.wire.registry import LEGACY_SCHEMES, SIGNATURE_SCHEMES, TLS13, SignatureScheme, scheme_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

# RFC 8446 section 4.4.3
_SERVER_CONTEXT = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
_CLIENT_CONTEXT = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"

_RSA_PSS_OID = bytes.fromhex("06092a864886f70d01010a")
_PLAIN_FAMILIES = ("ed25519", "ed448", "dsa", "mldsa44", "mldsa65", "mldsa87")
_RSA_OID = bytes.fromhex("06092a864886f70d010101")


@row
class PublicKey:
    """A certificate's key with the scheme family it can sign for: rsa, rsa-pss, ec, ed25519, ed448, dsa, mldsa44…87."""

    family: str
    curve: str | None
    key: PublicKeyTypes


@row
class Verdict:
    ok: bool
    scheme: str
    why: str


@value
class ClientIdentity:
    """A client certificate: DER chain, leaf first, and the leaf's private key."""

    chain: tuple[bytes, ...]
    key: PrivateKeyTypes


def certificate_verify_content(transcript: bytes, *, server: bool = True) -> bytes:
    """What a TLS 1.3 CertificateVerify signs; *transcript* is the hash up to the Certificate message."""
    return (_SERVER_CONTEXT if server else _CLIENT_CONTEXT) + transcript


@lru_cache(maxsize=64)  # one check meets the same leaf in every handshake
def public_key(certificate: bytes) -> PublicKey:
    """The key of a DER certificate; MessageError when it does not parse, UnsupportedError for unknown kinds."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    spki = _subject_public_key_info(certificate)
    family = "rsa"
    if _RSA_PSS_OID in spki[:24]:
        # The library has no key type bound to PSS: load it as plain RSA, remember what the certificate says.
        spki, family = _as_plain_rsa(spki), "rsa-pss"
    try:
        key = load_der_public_key(spki)
    except UnsupportedAlgorithm:
        raise UnsupportedError("the certificate's key is of a kind without an implementation") from None
    except ValueError:
        raise MessageError("the certificate's public key does not parse") from None
    kind = type(key).__name__
    if "RSA" in kind:
        return PublicKey(family, None, key)
    curve: Any = getattr(key, "curve", None)
    if curve is not None:
        return PublicKey("ec", curve.name, key)
    family = kind.removesuffix("PublicKey").removeprefix("_").lower()
    if family in _PLAIN_FAMILIES:
        return PublicKey(family, None, key)
    raise UnsupportedError(f"no check of signatures by a key of type {kind}")


def check13(key: PublicKey, scheme: int, content: bytes, signature: bytes) -> Verdict:
    """A TLS 1.3 CertificateVerify: the scheme must fit the key, its curve and TLS 1.3 (RFC 8446 section 4.4.3)."""
    known = SIGNATURE_SCHEMES.get(scheme)
    name = scheme_name(scheme)
    if known is None:
        return Verdict(False, name, "the scheme is unknown")
    if not known.tls13:
        return Verdict(False, name, f"TLS 1.3 does not admit {name} in a handshake signature")
    if known.curve is not None and key.curve is not None and key.curve.lower() != known.curve.lower():
        return Verdict(False, name, f"{name} needs a key on {known.curve}, the certificate's is on {key.curve}")
    return _check(key, known, content, signature)


def check12(key: PublicKey, scheme: int | None, content: bytes, signature: bytes) -> Verdict:
    """A ServerKeyExchange signature over client random, server random and params; *scheme* None before TLS 1.2."""
    if scheme is None:
        return _check_legacy(key, content, signature)
    known = SIGNATURE_SCHEMES.get(scheme)
    if known is None:
        return Verdict(False, scheme_name(scheme), "the scheme is unknown")
    return _check(key, known, content, signature)


def _check(key: PublicKey, scheme: SignatureScheme, content: bytes, signature: bytes) -> Verdict:
    if scheme.key != key.family:
        return Verdict(
            False, scheme.name, f"{scheme.name} needs a key of type {scheme.key}, the certificate's is {key.family}"
        )
    return _verdict(scheme.name, key, _arguments(scheme), content, signature)


def _check_legacy(key: PublicKey, content: bytes, signature: bytes) -> Verdict:
    name = LEGACY_SCHEMES.get(key.family)
    if name is None:
        return Verdict(False, key.family, f"TLS before 1.2 has no signatures by keys of type {key.family}")
    if key.family == "rsa":
        return Verdict(*_md5_sha1_matches(key.key, content, signature))
    arguments = _arguments(SIGNATURE_SCHEMES[0x0203 if key.family == "ec" else 0x0202])
    return _verdict(name, key, arguments, content, signature)


def _verdict(name: str, key: PublicKey, arguments: tuple[Any, ...], content: bytes, signature: bytes) -> Verdict:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    verifier: Any = key.key
    try:
        verifier.verify(signature, content, *arguments)
    except InvalidSignature:
        return Verdict(False, name, "the signature was not made by the certificate's key over this handshake")
    except (UnsupportedAlgorithm, ValueError):
        # ValueError: a key too small for the padding.
        raise UnsupportedError(f"no check of {name} with this certificate's key") from None
    return Verdict(True, name, "")


def _md5_sha1_matches(key: Any, content: bytes, signature: bytes) -> tuple[bool, str, str]:
    """By integers, because the library signs with a DigestInfo only; a public-key operation has no secrets."""
    name = LEGACY_SCHEMES["rsa"]
    numbers = key.public_numbers()
    value = int.from_bytes(signature, "big")
    expected = _md5_sha1_block(content, numbers.n)
    if len(signature) == len(expected) and pow(value, numbers.e, numbers.n) == int.from_bytes(expected, "big"):
        return True, name, ""
    return False, name, "the signature was not made by the certificate's key over this handshake"


def _md5_sha1_block(content: bytes, modulus: int) -> bytes:
    """RFC 4346 section 7.4.3: PKCS#1 block type 1 over MD5 and SHA-1 side by side, without a DigestInfo."""
    md5, sha1 = hashlib.md5(content, usedforsecurity=False), hashlib.sha1(content, usedforsecurity=False)
    digest = md5.digest() + sha1.digest()
    size = (modulus.bit_length() + 7) // 8
    return b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest


@cache
def _arguments(scheme: SignatureScheme) -> tuple[Any, ...]:
    """What the library's ``verify`` and ``sign`` want after the message, for *scheme*."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if scheme.digest is None:
        return ()
    digest: hashes.HashAlgorithm = getattr(hashes, scheme.digest.upper())()
    if scheme.key == "ec":
        return (ec.ECDSA(digest),)
    if scheme.key == "dsa":
        return (digest,)
    if scheme.name.startswith("rsa_pss"):
        # RFC 8446 section 4.2.3: the salt is as long as the digest.
        return padding.PSS(padding.MGF1(digest), digest.digest_size), digest
    return padding.PKCS1v15(), digest


def choose_scheme(identity: ClientIdentity, accepted: tuple[int, ...], version: int) -> int:
    """The first of the peer's *accepted* schemes that our key can sign with; UnsupportedError when there is none."""
    key = public_key(identity.chain[0])
    for code in accepted:
        scheme = SIGNATURE_SCHEMES.get(code)
        if scheme is None or scheme.key != key.family or scheme.digest == "md5":
            continue
        if version >= TLS13 and not (scheme.tls13 and scheme.curve in (None, key.curve)):
            continue
        return code
    raise UnsupportedError("the client key fits none of the signature schemes that the server accepts")


def sign(identity: ClientIdentity, scheme: int | None, content: bytes) -> bytes:
    """Sign *content* as the client; *scheme* None is the fixed form before TLS 1.2."""
    signer: Any = identity.key
    if scheme is not None:
        arguments = _arguments(SIGNATURE_SCHEMES[scheme])
        return bytes(signer.sign(content, *arguments))
    if not hasattr(signer, "private_numbers") or not hasattr(signer.private_numbers(), "d"):
        return bytes(signer.sign(content, *_arguments(SIGNATURE_SCHEMES[0x0203])))
    numbers = signer.private_numbers()
    modulus = numbers.public_numbers.n
    block = _md5_sha1_block(content, modulus)
    value: int = pow(int.from_bytes(block, "big"), numbers.d, modulus)
    return value.to_bytes(len(block), "big")


# --- DER, just as much as it takes to reach the key ---


def _element(data: bytes, at: int, stop: int) -> tuple[int, int, int]:
    """Tag, start of contents and end of the element at *at*; MessageError past *stop*."""
    if at + 2 > stop:
        raise MessageError("the certificate's DER ends early")
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or start + octets > stop:
            raise MessageError("the certificate's DER has an impossible length")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    if start + length > stop:
        raise MessageError("the certificate's DER ends early")
    return tag, start, start + length


def _subject_public_key_info(certificate: bytes) -> bytes:
    """RFC 5280 section 4.1: version, serial, algorithm, issuer, validity, subject come before the key."""
    _, start, stop = _element(certificate, 0, len(certificate))
    _, at, stop = _element(certificate, start, stop)
    tag, _, end = _element(certificate, at, stop)
    if tag == 0xA0:
        at = end
    for _ in range(5):
        _, _, at = _element(certificate, at, stop)
    tag, _, end = _element(certificate, at, stop)
    if tag != 0x30:
        raise MessageError("the certificate has no public key where it belongs")
    return certificate[at:end]


def _as_plain_rsa(spki: bytes) -> bytes:
    _, start, stop = _element(spki, 0, len(spki))
    _, _, end = _element(spki, start, stop)
    algorithm = _RSA_OID + b"\x05\x00"
    body = b"\x30" + bytes((len(algorithm),)) + algorithm + spki[end:stop]
    length = len(body).to_bytes(4, "big").lstrip(b"\0")
    head = bytes((len(body),)) if len(body) < 0x80 else bytes((0x80 | len(length),)) + length
    return b"\x30" + head + body
