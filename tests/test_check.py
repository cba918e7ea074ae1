"""The whole way, on real sockets: every case of the lab gets the verdict that it is labelled with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from probes.check import Options, check, default_trust, ders
from probes.lab import Case, Lab, start
from probes.model import Endpoint, Report, Target


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await start(port=0) as running:
        yield running


async def checked(lab: Lab, case: Case) -> Report:
    origin = None
    if case.origin:
        address, _, port = case.origin.rpartition(":")
        origin = Endpoint(address=address, port=int(port))
    options = Options(trust=default_trust(ders(lab.root_pem)), overrides=lab.overrides, origin=origin)
    return await check(Target.parse(f"{case.name}:{case.port}"), options)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_case_of_the_lab_gets_its_verdict(lab: Lab, subtests: pytest.Subtests) -> None:
    for case in lab.cases:
        with subtests.test(case.name):
            report = await checked(lab, case)
            assert (report.cause, report.status) == (case.expected, case.status), report.findings


@pytest.mark.asyncio(loop_scope="module")
async def test_no_healthy_case_has_a_failing_current_client(lab: Lab, subtests: pytest.Subtests) -> None:
    old = {"android-7", "openssl-1.0", "java-8", "embedded-tls1.0"}
    for case in lab.cases:
        if case.status == "ok":
            with subtests.test(case.name):
                report = await checked(lab, case)
                assert [c.name for c in report.clients if c.outcome == "fail" and c.name not in old] == []
