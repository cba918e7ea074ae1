"""The table of what differs between a name's addresses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.compared import differences
from probes.model import CertificateReport, EndpointReport, Report, ResumptionReport, Target
from probes.terminal import show


def endpoint(address: str, **changes: object) -> EndpointReport:
    leaf = CertificateReport(
        subject="CN=api.test",
        issuer="CN=Issuing,O=Test",
        not_before="2026-10-01T00:00:00Z",
        not_after="2026-12-30T00:00:00Z",
        sha256="ab" * 32,
    )
    plain = EndpointReport(
        address=address,
        connected=True,
        failed_stage=None,
        timing_ms={},
        version="TLSv1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        group="X25519",
        alpn="h2",
        chain=(leaf,),
        client_auth="none",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def keyed(name: str) -> dict[str, ResumptionReport]:
    return {"TLSv1.3": ResumptionReport(offered=True, honoured=True, key_name=name)}


def test_one_address_or_like_ones_need_no_table() -> None:
    assert differences([]) is None
    assert differences([endpoint("192.0.2.1")]) is None
    assert differences([endpoint("192.0.2.1"), endpoint("192.0.2.2")]) is None


def test_only_what_differs_is_a_column() -> None:
    old = replace(endpoint("x").chain[0], sha256="cd" * 32, not_after="2026-11-01T00:00:00Z")
    found = differences(
        [
            endpoint("192.0.2.1"),
            endpoint("192.0.2.2", version="TLSv1.2", chain=(old,), client_auth="required"),
        ]
    )
    assert found == (
        ("address", "version", "client certificate", "certificate", "until"),
        (
            ("192.0.2.1", "TLSv1.3", "not asked for", "abababababab", "2026-12-30"),
            ("192.0.2.2", "TLSv1.2", "required", "cdcdcdcdcdcd", "2026-11-01"),
        ),
    )


def test_ticket_keys_stand_beside_what_else_differs_and_never_alone() -> None:
    first, second = (
        endpoint("192.0.2.1", resumption=keyed("11" * 16)),
        endpoint("192.0.2.2", resumption=keyed("22" * 16)),
    )
    assert differences([first, second]) is None
    found = differences([first, replace(second, alpn=None)])
    assert found is not None and found[0] == ("address", "ALPN", "ticket key")
    assert [row[-1] for row in found[1]] == ["11111111", "22222222"]


def test_text_of_strangers_cannot_break_the_table() -> None:
    evil = endpoint("192.0.2.2", alpn="h2\x1b[2J\nroot")
    found = differences([endpoint("192.0.2.1"), evil])
    assert found is not None and all("\n" not in cell and "\x1b" not in cell for row in found[1] for cell in row)


def test_the_terminal_shows_the_table_once(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = [endpoint(f"192.0.2.{last}", alpn=None if last == 1 else "h2") for last in range(1, 5)]
    report = Report(
        target=Target.parse("api.test"),
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        elapsed_ms=1.0,
        status="ok",
        cause=None,
        mode=None,
        summary="Fine.",
        findings=(),
        gaps=(),
        clients=(),
        endpoints=tuple(addresses),
    )
    show(report)
    assert capsys.readouterr().out.count("the addresses differ in:") == 1
