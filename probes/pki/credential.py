"""A client certificate with its private key, out of PEM that a person gave. Every mistake is told as UsageError.

The key is in no repr and in no message: an error names the file or field, never what stands in it.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any

from probes.model import UsageError, shown
from probes.observed import Identity
from probes.pki.certificate import Certificate, Unreadable, parse
from probes.pki.signatures import signed_by
from probes.values import value
from probes.wire.octets import WireError
from probes.wire.signatures import ClientIdentity, public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MOST_BYTES = 256 * 1024  # of one PEM text; a chain with its key has a few thousand
_ARMOUR = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]+)-----")
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_KEYS = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_UNENCRYPTED = "`openssl pkey -in KEY -out plain.pem` writes it without one"


@value
class Credential:
    """A client certificate chain (DER, leaf first) and the leaf's key as PKCS #8. Made of bytes, so that it pickles."""

    label: str
    chain: tuple[bytes, ...]
    key: bytes = field(repr=False)

    @property
    def identity(self) -> Identity:
        """What rules may see of it."""
        return Identity(label=self.label, chain=self.chain)

    def signer(self) -> ClientIdentity:
        """As `wire` wants it."""
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        return ClientIdentity(chain=self.chain, key=load_der_private_key(self.key, password=None))


def read(label: str, certificate: str | bytes, key: str | bytes | None, *, named: str, key_named: str) -> Credential:
    """The credential in two PEM texts, or in one (*key* None). *named* and *key_named* say whose text is meant.

    The chain is kept as given: it is what other clients with the same file send. Raises UsageError.
    """
    blocks = _blocks(certificate, named)
    chain = _chain(blocks, named)
    private = _key(blocks if key is None else _blocks(key, key_named), named if key is None else key_named, key is None)
    _check_match(chain, private, named, key_named if key is not None else named)
    _check_order(chain, named)
    return Credential(label=label, chain=tuple(each.der for each in chain), key=_pkcs8(private))


def _blocks(text: str | bytes, named: str) -> list[tuple[str, str]]:
    """(label, body) of each PEM block."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{named} has {len(raw):,} bytes; a certificate chain with its key has a few thousand.")
    plain = raw.decode("utf-8", "replace")
    blocks = _paired(plain)
    if not blocks:
        raise UsageError(f"{named} {_instead(raw)}")
    return blocks


def _paired(plain: str) -> list[tuple[str, str]]:
    """What stands between each first line and the last line of the same kind that follows it; in one pass."""
    blocks: list[tuple[str, str]] = []
    begun: re.Match[str] | None = None
    for armour in _ARMOUR.finditer(plain):
        if armour[1] == "BEGIN":
            begun = armour
        elif begun is not None and begun[2] == armour[2]:
            blocks.append((begun[2], plain[begun.end() : armour.start()]))
            begun = None
    return blocks


def _instead(raw: bytes) -> str:
    """What the bytes are, when they are no PEM."""
    if not raw.strip():
        return "is empty. It must be PEM: “-----BEGIN CERTIFICATE-----”."
    # RFC 7292 section 4: a PFX begins with its version, the INTEGER 3; a certificate with a SEQUENCE.
    if raw[:1] == b"\x30" and b"\x02\x01\x03" in raw[:9]:
        return "is PKCS #12. It must be PEM: `openssl pkcs12 -in FILE -nodes -out client.pem` writes it so."
    if raw[:1] == b"\x30":
        return (
            "is DER. It must be PEM: `openssl x509 -inform der -in FILE` writes a certificate so, "
            "`openssl pkey -inform der -in FILE` a key."
        )
    if b"-----BEGIN" in raw:
        return "has a PEM block without its end: the last line, “-----END …-----”, is missing or differs."
    return "is not PEM. It must begin with a line such as “-----BEGIN CERTIFICATE-----”."


def _chain(blocks: list[tuple[str, str]], named: str) -> tuple[Certificate, ...]:
    bodies = [body for label, body in blocks if label in _CERTIFICATES]
    if not bodies:
        held = ", ".join(dict.fromkeys(f"“{shown(label)}”" for label, _ in blocks))
        request = " A request has to be signed by a CA first." if "REQUEST" in held else ""
        raise UsageError(f"{named} holds no certificate, only {held}.{request}")
    chain: list[Certificate] = []
    for place, body in enumerate(bodies, 1):
        try:
            parsed = parse(binascii.a2b_base64("".join(body.split())))
        except binascii.Error:
            raise UsageError(f"{named}: the base64 of certificate {place} is broken.") from None
        if isinstance(parsed, Unreadable):
            raise UsageError(f"{named}: certificate {place} cannot be read ({shown(parsed.why)}).")
        chain.append(parsed)
    return tuple(chain)


def _key(blocks: list[tuple[str, str]], named: str, is_shared: bool) -> PrivateKeyTypes:
    labels = [label for label, _ in blocks]
    private = [(label, body) for label, body in blocks if label in _KEYS]
    if "ENCRYPTED PRIVATE KEY" in labels or any("ENCRYPTED" in body[:80] for _, body in private):
        raise UsageError(f"{named}: the private key is locked with a passphrase. {_UNENCRYPTED}.")
    if "OPENSSH PRIVATE KEY" in labels:
        raise UsageError(f"{named} holds a key for SSH. It must be the PEM key that the certificate was made for.")
    if not private:
        where = "beside the certificate, and none was given apart" if is_shared else ""
        raise UsageError(f"{named} holds no private key{' ' + where if where else ''}.")
    if len(private) > 1:
        raise UsageError(f"{named} holds {len(private)} private keys. It must hold the certificate's alone.")
    return _loaded(*private[0], named)


def _loaded(label: str, body: str, named: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = f"-----BEGIN {label}-----{body}-----END {label}-----\n"
    try:
        return load_pem_private_key(pem.encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's text may quote what it could not read, and that is a key.
        raise UsageError(f"{named}: the private key cannot be read.") from None


def _check_match(chain: tuple[Certificate, ...], private: PrivateKeyTypes, named: str, key_named: str) -> None:
    ours: Any = private.public_key()
    places = [place for place, each in enumerate(chain) if _key_of(each) == ours]
    if 0 in places:
        return
    if places:
        raise UsageError(
            f"{named}: the certificate of this key stands at place {places[0] + 1} of {len(chain)}. It must come "
            "first, then the certificate that issued it."
        )
    raise UsageError(
        f"The private key in {key_named} is not that of the certificate “{shown(chain[0].subject, 120)}”: "
        "`openssl x509 -noout -pubkey -in CERT` and `openssl pkey -pubout -in KEY` must print the same."
    )


def _key_of(certificate: Certificate) -> object:
    try:
        return public_key(certificate.der).key
    except WireError:
        return None


def _check_order(chain: tuple[Certificate, ...], named: str) -> None:
    """RFC 5246 section 7.4.2: each certifies the one before it. Only what another order mends is refused."""
    for place, each in enumerate(chain[:-1]):
        if _issued(each, chain[place + 1]) or each.is_self_issued:
            continue
        right = next((other for other in chain[place + 2 :] if _issued(each, other)), None)
        if right is not None:
            raise UsageError(
                f"{named}: the chain is out of order. After “{shown(each.subject, 100)}” must come its issuer, "
                f"“{shown(right.subject, 100)}”, not “{shown(chain[place + 1].subject, 100)}”."
            )


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    return certificate.issuer_name.key == issuer.subject_name.key and signed_by(certificate.der, issuer.spki)


def _pkcs8(private: PrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
