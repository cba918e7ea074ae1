"""OCSP responses and CRLs, healthy unless told otherwise; and the web server that gives them out. For lab and tests.

Making them is pure over keys and times; only `Web` is a server, and its clock is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from probes.lab.gate import Peer
from probes.lab.issue import Issued, Key
from probes.values import value

OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
DAY = timedelta(days=1)
_STATUSES = {
    "good": ocsp.OCSPCertStatus.GOOD,
    "revoked": ocsp.OCSPCertStatus.REVOKED,
    "unknown": ocsp.OCSPCertStatus.UNKNOWN,
}


def sources(
    *, ocsp_urls: Sequence[str] = (), crl_urls: Sequence[str] = (), must_staple: bool = False
) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of a certificate that name where its status is to be had (RFC 5280, RFC 7633)."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if ocsp_urls:
        named = [_access(url) for url in ocsp_urls]
        found.append((x509.AuthorityInformationAccess(named), False))
    if crl_urls:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in crl_urls]
        found.append((x509.CRLDistributionPoints(points), False))
    if must_staple:
        found.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    return found


def _access(url: str) -> x509.AccessDescription:
    return x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))


def ocsp_response(
    about: Issued,
    issuer: Issued,
    *,
    at: datetime,
    status: str = "good",
    age: timedelta = timedelta(hours=1),
    lasts: timedelta | None = 7 * DAY,
    reason: x509.ReasonFlags | None = None,
    signer: Issued | None = None,
    enclosed: Sequence[Issued] = (),
    digest: hashes.HashAlgorithm | None = None,
    by_name: bool = False,
) -> bytes:
    """A response about *about*, made *age* before *at*, good for *lasts* (None: no nextUpdate), signed by *signer*
    (None: the issuer itself) with *enclosed* certificates."""
    signer = signer or issuer
    this_update = at - age
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about.certificate,
            issuer=issuer.certificate,
            algorithm=digest or hashes.SHA1(),  # noqa: S303 - what CertIDs are made of
            cert_status=_STATUSES[status],
            this_update=this_update,
            next_update=None if lasts is None else this_update + lasts,
            revocation_time=at - DAY if status == "revoked" else None,
            revocation_reason=reason if status == "revoked" else None,
        )
        .responder_id(
            ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH, signer.certificate
        )
    )
    if enclosed:
        builder = builder.certificates([each.certificate for each in enclosed])
    return builder.sign(signer.key, _hash(signer.key)).public_bytes(serialization.Encoding.DER)


def ocsp_error(status: ocsp.OCSPResponseStatus = ocsp.OCSPResponseStatus.TRY_LATER) -> bytes:
    """A response that says the responder has none (RFC 6960 section 2.3)."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)


def crl(
    issuer: Issued,
    *,
    at: datetime,
    revoked: Sequence[Issued] = (),
    reason: x509.ReasonFlags | None = None,
    age: timedelta = timedelta(hours=1),
    lasts: timedelta = 7 * DAY,
    signer: Issued | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    others: int = 3,
) -> bytes:
    """A CRL in DER with *revoked* in it, after as many *others*; *more* are extensions with their critical flag."""
    signer = signer or issuer
    this_update = at - age
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(this_update + lasts)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(7), critical=False)
    )
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    serials = [*(0x1000 + number for number in range(others)), *(each.certificate.serial_number for each in revoked)]
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at - DAY)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, _hash(signer.key)).public_bytes(serialization.Encoding.DER)


def _hash(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


# ── giving them out ─────────────────────────────────────────────────────────────


@value
class Page:
    """What a path answers, whatever the method. `post_only`: a GET gets 405."""

    body: bytes
    content_type: str = "application/ocsp-response"
    status: int = 200
    delay_s: float = 0.0
    post_only: bool = False


class Web:
    """Pages by the first segment of their path: an OCSP request by GET appends the rest (RFC 6960 appendix A.1)."""

    def __init__(self, base: str) -> None:
        self.base = base  # "http://127.0.0.1:8080", without a slash at the end
        self._pages: dict[str, Page] = {}
        self.requests: deque[str] = deque(maxlen=1000)  # "GET /1/…", the latest last

    def publish(self, page: Page) -> str:
        """Serve *page*; returns its URL."""
        name = f"/{len(self._pages) + 1}"
        self._pages[name] = page
        return self.base + name

    def replace(self, url: str, page: Page) -> None:
        self._pages[url.removeprefix(self.base)] = page

    def page(self, method: str, path: str) -> Page:
        self.requests.append(f"{method} {path}")
        found = self._pages.get("/" + path.split("/", 2)[1] if path.startswith("/") else path)
        if found is None:
            return Page(body=b"Not here.\n", content_type="text/plain", status=404)
        if found.post_only and method != "POST":
            return Page(body=b"POST only.\n", content_type="text/plain", status=405, delay_s=found.delay_s)
        return found

    def peer(self) -> Peer:
        return lambda: _WebConnection(self)


class _WebConnection(asyncio.Protocol):
    """One request, its body included, one answer, and the end."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._received = bytearray()
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = bytes(self._received).partition(b"\r\n\r\n")
        if self._waiting is not None or not found or len(body) < _length(head):
            return
        method, _, rest = head.decode("latin-1").partition(" ")
        page = self._web.page(method, rest.partition(" ")[0])
        self._waiting = asyncio.get_running_loop().call_later(page.delay_s, self._answer, page)

    def _answer(self, page: Page) -> None:
        head = (
            f"HTTP/1.1 {page.status} {'OK' if page.status == 200 else 'No'}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + page.body)
        self._transport.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
