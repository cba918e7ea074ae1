"""What a person is told of an issued certificate: only for hits, never to decide one. Never raises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address

from probes.ct import walk
from probes.pki import der, distinguished
from probes.pki.distinguished import capped

_BASIC_CONSTRAINTS, _AUTHORITY_KEY = "2.5.29.19", "2.5.29.35"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """A certificate for people. *serial* and *spki_sha256* in hex; *ca*: the issuer's organisation or common name.

    What could not be read is empty or None, and *problems* says why. *authority_key*: the issuer's key identifier,
    hex, for asking the CA about renewal (RFC 9773 section 4.1).
    """

    serial: str = ""
    issuer: str = ""
    subject: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    spki_sha256: str = ""
    names: tuple[str, ...] = ()
    ca: str = ""
    is_ca: bool = False
    authority_key: str = ""
    problems: tuple[str, ...] = ()


def describe(certificate: bytes, is_tbs: bool = False) -> CertificateFacts:
    """Everything that can be read from a certificate, or from its TBSCertificate alone."""
    names = walk.names_of(certificate, is_tbs)
    problems = list(names.problems)
    listed = readable(names)
    try:
        read = der.skeleton(_as_certificate(certificate) if is_tbs else certificate)
    except der.Malformed as wrong:
        return CertificateFacts(names=listed, problems=(*problems, f"its fields cannot be read: {wrong}"))
    if read.serial <= 0:
        problems.append("the serial number is not positive (RFC 5280 section 4.1.2.2)")
    issuer, subject = distinguished.read(read.issuer), distinguished.read(read.subject)
    not_before, not_after = _validity(read.validity, problems)
    is_ca, authority_key = _from_extensions(read.extensions, problems)
    return CertificateFacts(
        serial=_hex(read.serial),
        issuer=issuer.text,
        subject=subject.text,
        not_before=not_before,
        not_after=not_after,
        spki_sha256=sha256(read.spki).hexdigest(),
        names=listed,
        ca=issuer.organisation or issuer.common_name or issuer.text,
        is_ca=is_ca,
        authority_key=authority_key,
        problems=tuple(problems),
    )


def readable(names: walk.Names) -> tuple[str, ...]:
    """The names as text, each once: dNSNames, addresses, then common names that are none of them."""
    texts = [_name_text(name) for name in names.dns]
    texts += [str(ip_address(address)) for address in names.ips]
    texts += [_name_text(name) for name in names.cns]
    return tuple(dict.fromkeys(texts))


def _name_text(name: bytes) -> str:
    return capped(name.decode("utf-8", "backslashreplace"))


def _as_certificate(tbs: bytes) -> bytes:
    """A frame around a TBSCertificate, so that one reader does for both; there is no signature in it."""
    body = tbs + b"\x30\x03\x06\x01\x00" + b"\x03\x01\x00"
    length = len(body).to_bytes(4, "big")
    return b"\x30\x84" + length + body


def _validity(field: bytes, problems: list[str]) -> tuple[datetime | None, datetime | None]:
    try:
        return der.validity(field)
    except der.Malformed as wrong:
        problems.append(f"its dates cannot be read: {wrong}")
        return None, None


def _from_extensions(field: bytes | None, problems: list[str]) -> tuple[bool, str]:
    try:
        listed = der.extensions(field)
    except der.Malformed as wrong:
        problems.append(f"its extensions cannot be read: {wrong}")
        return False, ""
    if len({each.oid for each in listed}) < len(listed):
        problems.append("an extension stands in it twice (RFC 5280 section 4.2)")
    is_ca, authority_key = False, ""
    for each in listed:
        try:
            if each.oid == _BASIC_CONSTRAINTS:
                is_ca = is_ca or _says_ca(each.value)
            elif each.oid == _AUTHORITY_KEY:
                authority_key = _key_identifier(each.value)
        except der.Malformed:
            problems.append(f"its extension {each.oid} cannot be read")
    return is_ca, authority_key


def _says_ca(value: bytes) -> bool:
    first = next(der.inside(value), None)
    return first is not None and first.tag == der.BOOLEAN and any(value[first.body : first.end])


def _key_identifier(value: bytes) -> str:
    found = next((part for part in der.inside(value) if part.tag == 0x80), None)
    return value[found.body : found.end].hex() if found else ""


def _hex(serial: int) -> str:
    text = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + ("0" if len(text) % 2 else "") + text
