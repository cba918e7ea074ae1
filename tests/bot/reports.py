"""Reports for tests: the defaults are healthy, a test names only what it breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bot.render.words import FAMILIES
from probes.catalogue import CATALOGUE
from probes.model import (
    CertificateReport,
    ClientReport,
    EndpointReport,
    FindingReport,
    Report,
    Severity,
    Target,
)

TAKEN_AT = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


def leaf(**changed: Any) -> CertificateReport:
    certificate = CertificateReport(
        subject="CN=api.example.com",
        issuer="CN=R11,O=Let's Encrypt,C=US",
        not_before="2026-10-25T00:00:00Z",
        not_after="2027-01-23T00:00:00Z",
        sha256="ab" * 32,
        names=("api.example.com",),
    )
    return replace(certificate, **changed)


def endpoint(address: str = "192.0.2.7", **changed: Any) -> EndpointReport:
    seen = EndpointReport(
        address=address,
        connected=True,
        failed_stage=None,
        timing_ms={"dns": 1.2, "tcp": 10.1, "hello": 11.0, "certificate": 11.3, "finished": 12.0},
        version="TLSv1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        group="X25519MLKEM768",
        alpn="h2",
        chain=(leaf(),),
    )
    return replace(seen, **changed)


def finding(code: str = "validity.expired", severity: Severity = "critical", **changed: Any) -> FindingReport:
    entry = CATALOGUE[code]
    made = FindingReport(
        code=code,
        mode=entry.mode,
        severity=severity,
        title=entry.title,
        explanation="The server's certificate ended on 2026-11-18; no client accepts it since.",
        evidence=("notAfter is 2026-11-18T00:00:00Z, which is 3 days before the check",),
        addresses=("192.0.2.7",),
        fails_for=tuple(FAMILIES),
        fix="Renew the certificate and reload the server.",
        next_command="openssl s_client -connect 192.0.2.7:443 -servername api.example.com </dev/null",
        source="RFC 5280 section 4.1.2.5",
    )
    return replace(made, **changed)


def clients(*, failing: tuple[str, ...] = (), code: str = "validity.expired") -> tuple[ClientReport, ...]:
    return tuple(
        ClientReport(name=name, outcome="fail", code=code)
        if name in failing
        else ClientReport(name=name, outcome="pass")
        for name in FAMILIES
    )


def healthy(target: str = "api.example.com", **changed: Any) -> Report:
    report = Report(
        target=Target.parse(target),
        started_at=TAKEN_AT,
        elapsed_ms=412.3,
        status="ok",
        cause=None,
        mode=None,
        summary="Every client that was judged gets through.",
        findings=(),
        gaps=(),
        clients=clients(),
        endpoints=(endpoint(),),
    )
    return replace(report, **changed)


def broken(target: str = "api.example.com", code: str = "validity.expired", **changed: Any) -> Report:
    report = healthy(
        target,
        status="broken",
        cause=code,
        mode=CATALOGUE[code].mode,
        summary="The certificate expired 3 days ago.",
        findings=(finding(code),),
        clients=clients(failing=tuple(FAMILIES), code=code),
    )
    return replace(report, **changed)
