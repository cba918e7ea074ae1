"""--enumerate in a whole check: in the report, through JSON and back, on the terminal, and behind STARTTLS."""

from __future__ import annotations

import pytest

from probes.check import Options, check
from probes.codec import from_json, to_json
from probes.model import Report, Target, Trust
from probes.terminal import show
from tests import pki
from tests.net.peers import OpenSsl, openssl_context, served
from tests.net.speakers import Speaker
from tests.wire.test_starttls import TALKS

NAME = "healthy.test"
LEAF, CA, ROOT = pki.chain()
TRUST = Trust(default=(), default_name=None, added=(ROOT.der,))


async def checked(starttls: str | None = None, *, enumerate_all: bool = True) -> Report:
    context = openssl_context(LEAF, CA)
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA")

    def accept() -> Speaker | OpenSsl:
        return OpenSsl(context) if starttls is None else Speaker(TALKS[starttls], greets=True, context=context)

    async with served(accept) as endpoint:
        target = Target(host=NAME, port=endpoint.port, server_name=NAME, starttls=starttls)
        return await check(target, Options(trust=TRUST, addresses=("127.0.0.1",), enumerate=enumerate_all))


@pytest.mark.parametrize("starttls", [None, "smtp"])
async def test_the_report_lists_what_was_found(starttls: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    report = await checked(starttls)
    offered = report.endpoints[0].offered
    assert report.status == "ok" and offered is not None
    assert offered.versions == ("TLSv1.3", "TLSv1.2")
    assert set(offered.by_version["TLSv1.2"]) == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    }
    assert set(offered.suites) == {suite for suites in offered.by_version.values() for suite in suites}
    assert "x25519" in offered.groups and "X25519MLKEM768" in offered.groups
    assert from_json(to_json(report)).endpoints == report.endpoints
    show(report)
    assert "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA" in capsys.readouterr().out


async def test_nothing_is_enumerated_unasked() -> None:
    report = await checked(enumerate_all=False)
    assert report.endpoints[0].offered is None
