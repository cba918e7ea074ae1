"""resumption.unsupported: no version is ever resumed, and it was looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Handshake
from tests.evidence import ADDRESS, HEALTHY, Server, alerted, evidence, facts, fires, healthy, revisited, silent, then

NOTHING = replace(HEALTHY, gives="nothing")


def looks(server: Server) -> tuple[Handshake, ...]:
    return revisited(healthy(server=server), servers={ADDRESS: server})


def test_a_server_that_gives_nothing_is_noted() -> None:
    seen = facts(looks(NOTHING))
    finding = fires("resumption.unsupported", seen, severity="notice")
    assert f"{ADDRESS}: neither a ticket nor a session id in TLSv1.3" in finding.evidence
    assert judge(seen).status == "ok" and judge(seen).cause is None


def test_handles_that_are_never_honoured_are_as_good_as_none() -> None:
    """nginx with tickets and cache off sends them, and forgets them at once."""
    finding = fires(
        "resumption.unsupported", facts(looks(replace(HEALTHY, gives="handles", keys=""))), severity="notice"
    )
    assert f"{ADDRESS} honours 0 of 3 TLSv1.3 sessions of its own" in finding.evidence


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_one_version_that_resumes_is_enough(version: int) -> None:
    def change(shake: Handshake) -> Handshake:
        return shake if shake.version == version else replace(shake, sessions=())

    seen = tuple(map(change, healthy()))
    assert silent("resumption.unsupported", facts(revisited(seen, change=change)))


def test_real_tickets_that_are_refused_are_another_code() -> None:
    assert silent("resumption.unsupported", facts(looks(replace(HEALTHY, keys=""))))


def test_a_server_with_a_cache_is_healthy() -> None:
    assert silent("resumption.unsupported", facts(looks(replace(HEALTHY, gives="handles"))))


def test_a_handshake_that_demands_a_client_certificate_tells_nothing() -> None:
    refused = then(alerted(116, encrypted=True, awaiting="application_data"))
    seen = healthy(server=NOTHING, modern=refused, http=refused)
    assert silent("resumption.unsupported", facts(seen))


def test_a_light_look_waits_for_no_tickets() -> None:
    seen = replace(evidence(looks(NOTHING)), light=True)
    assert silent("resumption.unsupported", Facts(seen))


def test_an_endpoint_that_breaks_off_does_not_apply() -> None:
    assert silent("resumption.unsupported", facts(healthy(every=alerted(40))))
