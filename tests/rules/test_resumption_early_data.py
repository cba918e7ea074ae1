"""resumption.early-data: it was accepted, not merely allowed."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import ADDRESS, HEALTHY, OTHER, facts, fires, healthy, revisited, silent

EARLY = replace(HEALTHY, early_data=16384)


def test_an_accepted_request_is_a_warning_with_what_it_means() -> None:
    seen = facts(revisited(healthy(server=EARLY), servers={ADDRESS: EARLY}))
    finding = fires("resumption.early-data", seen, severity="warning")
    assert "idempotent" in finding.explanation
    assert finding.evidence == (
        f"{ADDRESS}: early data accepted (tickets allow 16384 bytes); a GET in it is answered 200",
    )
    assert judge(seen).cause == finding


def test_a_server_that_answers_425_minds_replays() -> None:
    careful = replace(EARLY, early_status=425)
    seen = facts(revisited(healthy(server=careful), servers={ADDRESS: careful}))
    fires("resumption.early-data", seen, severity="notice")
    assert judge(seen).status == "ok"


def test_the_address_that_takes_it_is_named_alone() -> None:
    servers = {ADDRESS: HEALTHY, OTHER: EARLY}
    looks = (healthy(), healthy(OTHER, server=EARLY))
    fires("resumption.early-data", facts(revisited(*looks, servers=servers)), severity="warning", at=(OTHER,))


def test_early_data_that_is_allowed_and_refused_is_silent() -> None:
    looks = revisited(
        healthy(server=EARLY), servers={ADDRESS: EARLY}, change=lambda s: replace(s, early_data="rejected")
    )
    assert silent("resumption.early-data", facts(looks))


def test_it_is_not_offered_where_nobody_speaks_http() -> None:
    mute = replace(EARLY, skew=None)
    looks = revisited(healthy(server=mute), servers={ADDRESS: mute})
    assert not any(shake.offer.early_data for shake in looks) and silent("resumption.early-data", facts(looks))


def test_tickets_without_early_data_do_not_apply() -> None:
    assert silent("resumption.early-data", facts(revisited(healthy())))
