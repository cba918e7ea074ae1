"""OCSP responders, CRL servers and staples: each answers as its case says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.endpoints import faults
from tests.endpoints.authority import NOW, Party, authority, issue, key
from tests.endpoints.bench import Bench, program
from tests.endpoints.cases import Case
from tests.endpoints.faults import Handler
from tests.endpoints.second_serving import minted, usage
from tests.endpoints.third_serving import DAY, HOUR, At

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
DELEGATED = (ExtendedKeyUsageOID.OCSP_SIGNING,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A leaf that names where its state can be asked, its issuer, and a leaf that it could be confused with."""

    leaf: Party
    issuer: Party
    other: Party
    bench: Bench


Answer = Callable[[Made], bytes]
Source = Callable[[Made], Handler | None]


def ocsp_answer(
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    this: timedelta = -HOUR,
    until: timedelta | None = 3 * DAY,
    of_other: bool = False,
    signer: Callable[[Made], Party] = lambda made: made.issuer,
    with_signer: bool = False,
    certid: hashes.HashAlgorithm | None = None,
) -> Answer:
    def answer(made: Made) -> bytes:
        revoked = status == REVOKED
        by = signer(made)
        builder = ocsp.OCSPResponseBuilder().add_response(
            (made.other if of_other else made.leaf).certificate,
            made.issuer.certificate,
            certid or hashes.SHA1(),
            status,
            NOW + this,
            NOW + until if until is not None else None,
            NOW - 2 * DAY if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        )
        builder = builder.responder_id(
            ocsp.OCSPResponderEncoding.HASH if with_signer else ocsp.OCSPResponderEncoding.NAME, by.certificate
        )
        if with_signer:
            builder = builder.certificates([by.certificate])
        return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    return answer


def ocsp_error(status: ocsp.OCSPResponseStatus) -> Answer:
    return lambda made: ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(serialization.Encoding.DER)


def impostor(made: Made) -> Party:
    """Signs with a key that is not the issuer's, under the issuer's name."""
    return authority(made.issuer.certificate.subject.rfc4514_string().removeprefix("CN="))


def delegate(
    usages: Sequence[x509.ObjectIdentifier] = DELEGATED, until: timedelta = 30 * DAY, stranger: bool = False
) -> Callable[[Made], Party]:
    def signer(made: Made) -> Party:
        by = authority("Responder Stranger") if stranger else made.issuer
        return issue("Matrix Responder", by=by, under=key("p256", "responder"), usages=usages, until=until)

    return signer


def crl(
    *,
    gone: bool = False,
    others: int = 0,
    this: timedelta = -HOUR,
    until: timedelta = 5 * DAY,
    signer: Callable[[Made], Party] = lambda made: made.issuer,
    reason: x509.ReasonFlags | None = None,
    only_users: bool = False,
    whom: Callable[[Made], Party] = lambda made: made.leaf,
    point: Callable[[Made], Party] | None = None,
) -> Answer:
    """A CRL of the issuer's, or of another's (`point`), that lists the leaf if it is `gone` and `others` besides."""

    def answer(made: Made) -> bytes:
        by = (point or signer)(made)
        builder = x509.CertificateRevocationListBuilder().issuer_name(by.certificate.subject)
        builder = builder.last_update(NOW + this).next_update(NOW + until)
        builder = builder.add_extension(x509.CRLNumber(7), critical=False)
        if only_users:
            scope = x509.IssuingDistributionPoint(
                full_name=None,
                relative_name=None,
                only_contains_user_certs=True,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            )
            builder = builder.add_extension(scope, critical=True)
        serials = [1000 + number for number in range(others)]
        serials += [whom(made).certificate.serial_number] if gone else []
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - 2 * DAY)
            if reason:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(by.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.DER)

    return answer


# ── how they answer ──


async def _request(reader: asyncio.StreamReader) -> bytes:
    """The method of the one request that this connection gets."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
    return head.split(b" ", 1)[0]


def web(
    answer: Answer | bytes = b"",
    *,
    status: str = "200 OK",
    after_s: float = 0.0,
    body_after_s: float = 0.0,
    chunked: bool = False,
    methods: tuple[bytes, ...] = (b"GET", b"POST"),
) -> Source:
    """An HTTP server with one answer to everything; `after_s` before it begins, `body_after_s` before its body."""

    def source(made: Made) -> Handler:
        body = answer if isinstance(answer, bytes) else answer(made)

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            method = await _request(reader)
            await asyncio.sleep(after_s)
            said, content = (status, body) if method in methods else ("405 Method Not Allowed", b"")
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content)}"
            writer.write(f"HTTP/1.1 {said}\r\nConnection: close\r\n{framing}\r\n\r\n".encode())
            await writer.drain()
            await asyncio.sleep(body_after_s)
            if chunked:
                half = len(content) // 2
                for piece in (content[:half], content[half:], b""):
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            else:
                writer.write(content)
            await writer.drain()

        return handler

    return source


def raw(handler: Handler) -> Source:
    return lambda made: handler


def refused(made: Made) -> Handler | None:
    return None


hangs = raw(faults.is_silent)
hangs_up = raw(faults.closes)


# ── certificates that name them ──


def urls(
    asked_at: str | None, lists_at: Sequence[Sequence[str]], must_staple: bool
) -> list[tuple[x509.ExtensionType, bool]]:
    """authorityInfoAccess, cRLDistributionPoints (one a sequence) and the TLS feature, as far as wanted."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if asked_at:
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(asked_at))
        found.append((x509.AuthorityInformationAccess([access]), False))
    if lists_at:
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url) for url in point], None, None, None)
            for point in lists_at
        ]
        found.append((x509.CRLDistributionPoints(points), False))
    if must_staple:
        found.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    return found


def intermediate(bench: Bench, lists_at: str) -> Party:
    """An issuing authority under the trusted root that names a CRL of the root's."""
    extensions = [*urls(None, [[lists_at]], False), (usage("key_cert_sign", "crl_sign", "digital_signature"), True)]
    under = key("p256", "third-intermediate")
    return minted(
        "Third Issuing", by=bench.hierarchy.root, under=under, ca=True, until=900 * DAY, extensions=extensions
    )


def served_at(bench: Bench, at: At, source: Source, made: Made) -> None:
    handler = source(made)
    if handler is not None:
        bench.raw(handler, at=at)


def url(at: At, path: str = "") -> str:
    return f"http://{at[0]}:{at[1]}/{path}"


def openssl_responder(bench: Bench, case: Case, port: int, made: Made, *, state: str) -> None:
    """`openssl ocsp` with an index of one line; `state` V, R or "" (the certificate is not in it)."""
    lines = ""
    if state:
        until = made.leaf.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
        when = (NOW - 2 * DAY).strftime("%y%m%d%H%M%SZ,keyCompromise") if state == "R" else ""
        lines = f"{state}\t{until}\t{when}\t{made.leaf.certificate.serial_number:040X}\tunknown\t/CN={case.host}\n"
    index = bench.file(lines, ".txt")
    issuer, private = bench.file(made.issuer.pem), bench.file(made.issuer.key_pem)
    command = [program("openssl") or "openssl", "ocsp", "-index", str(index), "-port", str(port), "-ndays", "2"]
    bench._commands.append([*command, "-CA", str(issuer), "-rsigner", str(issuer), "-rkey", str(private)])
    bench.listens("0.0.0.0", port)
