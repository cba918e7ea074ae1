"""What is logged beside what is served: known CAs and keys, where it is served, renewed and not in use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bot.ct_book import CtBook
from bot.history import History
from bot.lineages import Lineage
from probes.model import CertificateReport, Report
from tests.bot import reports
from tests.bot.conftest import Desk, said
from tests.bot.ct_desk import begun, issuance, issuances, rows, source, until
from tests.ct.certificates import Authority, Pair
from tests.ct.logserver import CtLog


@pytest.fixture
def log() -> Iterator[CtLog]:
    with CtLog() as each:
        each.fill(3)
        yield each


def served(pair: Pair) -> CertificateReport:
    """The certificate as a look tells it."""
    read = x509.load_der_x509_certificate(pair.certificate)
    spki = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return CertificateReport(
        subject=read.subject.rfc4514_string(),
        issuer=read.issuer.rfc4514_string(),
        not_before=f"{read.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        not_after=f"{read.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        sha256=hashlib.sha256(pair.certificate).hexdigest(),
        names=pair.names,
        spki_sha256=hashlib.sha256(spki).hexdigest(),
        serial=f"{read.serial_number:x}",
        tbs_sha256=pair.identity,
    )


async def watched(desk: Desk, pair: Pair, host: str, *, channel: str | None = None) -> None:
    """*host* is watched, and was seen serving the certificate."""

    def seen(target: str) -> Report:
        return reports.healthy(target, endpoints=(reports.endpoint(chain=(served(pair),)),))

    desk.checker.answer = lambda check: seen(str(check.target))
    await desk.tls(f"watch add {host}", channel=channel)
    sql = f"select count(*) from certificates where tbs = '{pair.identity}'"
    await until(lambda: rows(desk, sql) == [(1,)])


async def test_what_is_served_here_makes_its_ca_known_here_alone(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws, authority = idle_desk, idle_desk.workspace, Authority()
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    old = authority.issue("api.example.test", key=1)
    await watched(desk, old, "api.example.test")
    await begun(desk, "example.test")
    await begun(desk, "example.test", channel=ws.general)
    log.submit(authority.issue("api.example.test", "www.example.test", key=1))
    message = await issuance(desk, "with the same key", channel=ws.general)
    assert "at `api.example.test`" in said(message)  # #incidents is public: it may be told of
    await desk.settled()
    assert not issuances(desk)
    assert rows(desk, f"select because from ct_cases where channel = '{ws.incidents}'") == [("its key is known",)]


async def test_what_a_private_channel_watches_is_not_told_elsewhere(
    idle_desk: Desk, log: CtLog, tmp_path: Path
) -> None:
    desk, ws, authority = idle_desk, idle_desk.workspace, Authority()
    private = ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    pair = authority.issue("api.example.test", key=1)
    await watched(desk, pair, "secret.example.test", channel=private)
    await begun(desk, "example.test")
    log.submit(pair)
    message = await issuance(desk, "could not be looked up")
    await desk.settled()
    assert "*Not served* anywhere that is watched" in said(message)
    assert "secret" not in said(message)


async def test_it_is_told_when_it_comes_into_use(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    pair = Authority().issue("api.example.test")
    await begun(desk, "example.test", channel=ws.general)
    await watched(desk, pair, "api.example.test")
    log.submit(pair)
    await issuance(desk, "*Served* already at `api.example.test`", channel=ws.general)


async def test_lineages_learn_of_what_is_logged_and_not_served(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws, authority = idle_desk, idle_desk.workspace, Authority()
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await watched(desk, authority.issue("api.example.test", key=1), "api.example.test")
    await begun(desk, "example.test")
    renewed, unasked = (
        authority.issue("api.example.test", key=1),
        Authority("Other CA").issue("api.example.test", key=4),
    )
    log.submit(renewed)
    log.submit(unasked)
    await until(lambda: len(rows(desk, "select 1 from ct_cases")) == 2)
    await desk.stop()
    history = await History.open(desk.database)
    try:
        book = CtBook(history)
        now = datetime(2026, 11, 22, tzinfo=UTC)
        lineage = Lineage(team=ws.team.id, channel=ws.incidents, names=("api.example.test",), owner="")
        [newer] = await history._run(book.newer_of, lineage, now)
        assert newer.sha256 == renewed.identity  # what nobody asked for is no renewal
        elsewhere = Lineage(team=ws.team.id, channel=ws.general, names=("api.example.test",), owner="")
        assert not await history._run(book.newer_of, elsewhere, now)
    finally:
        await history.close()
