"""Looks in the patrol's child process, against the lab."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from bot.egress import Egress
from bot.looks import Ask
from bot.model import Check
from bot.patrol import Patrol
from bot.sighting import Kind
from probes.check import Options, default_trust
from probes.lab import Lab, start
from probes.model import Target


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with await start(port=0) as lab:
        yield lab


def options(lab: Lab, *, trusted: bool = True) -> Options:
    root = load_pem_x509_certificate(lab.root_pem.encode()).public_bytes(Encoding.DER)
    return Options(
        trust=default_trust((root,) if trusted else ()),
        permit=Egress(allow_exact=frozenset(lab.allowed)),
        overrides=dict(lab.overrides),
    )


def asking(lab: Lab, name: str, kind: Kind = "light", *, known: str = "", bundle: str = "") -> Ask:
    target = Target.parse(lab.case(name).target)
    return Ask(lookout=7, kind=kind, check=Check(target=target), known=known, bundle=bundle)


async def test_a_look_that_saw_what_is_known_brings_no_report(lab: Lab) -> None:
    async with Patrol(options(lab)) as look:
        first = await look(asking(lab, "healthy.lab"))
        again = await look(asking(lab, "healthy.lab", known=first.fingerprint))
    assert (first.lookout, first.kind, first.status, first.cause) == (7, "light", "ok", None)
    assert first.report is not None and first.report.endpoints[0].chain[0].spki_sha256
    assert (again.fingerprint, again.gist, again.report) == (first.fingerprint, first.gist, None)
    assert all(took > 0 for took in again.ms.values()) and len(again.ms) == 1


async def test_many_looks_of_both_kinds_go_at_once(lab: Lab) -> None:
    asks = [asking(lab, "expired.lab", kind) for kind in ("light", "full", "light") for _ in range(20)]
    async with Patrol(options(lab)) as look:
        found = await asyncio.gather(*map(look, asks))
    assert {seen.cause for seen in found} == {"validity.expired"}
    assert len({seen.fingerprint for seen in found}) == 2  # the two kinds


async def test_a_bundle_is_trusted_for_its_own_looks_alone(lab: Lab) -> None:
    async with Patrol(options(lab, trusted=False)) as look:
        without = await look(asking(lab, "healthy.lab"))
        with_it = await look(asking(lab, "healthy.lab", bundle=lab.root_pem))
        after = await look(asking(lab, "healthy.lab"))
    assert (without.status, with_it.status, after.status) == ("broken", "ok", "broken")


async def test_what_may_not_be_looked_at_says_why(lab: Lab) -> None:
    async with Patrol(options(lab)) as look:
        seen = await look(Ask(lookout=1, kind="light", check=Check(target=Target.parse("127.0.0.1:1"))))
    assert "loopback" in seen.why and seen.report is None


async def test_after_its_death_it_begins_again_and_finishes_what_was_asked(lab: Lab) -> None:
    async with Patrol(options(lab)) as look:
        await look(asking(lab, "healthy.lab"))
        assert look._process is not None
        first = look._process.pid
        asked = [asyncio.create_task(look(asking(lab, "healthy.lab", "full"))) for _ in range(6)]
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        found = await asyncio.gather(*asked)
        assert look._process.pid != first
    assert {seen.status for seen in found} == {"ok"}


async def test_a_child_that_cannot_be_started_is_tried_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.patrol._AGAIN_S", 0.05)
    async with Patrol(options(lab)) as look:
        with monkeypatch.context() as nowhere:
            nowhere.setattr("sys.executable", "/nonexistent/python")
            asked = asyncio.create_task(look(asking(lab, "healthy.lab")))
            async with asyncio.timeout(10):
                while "patrol not started" not in caplog.text:
                    await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(asked, 20)).status == "ok"


async def test_it_is_not_started_before_there_is_something_to_look_at(lab: Lab) -> None:
    async with Patrol(options(lab)) as look:
        assert look._process is None
