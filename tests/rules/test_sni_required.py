"""sni.required: clients that send no name get another certificate, an alert or a close. Worth knowing, no fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS10, TLS11, TLS12, TLS13
from probes.diagnose import judge
from probes.model import Outcome, Target
from tests.evidence import HEALTHY, REFUSED, RSA, alerted, chain, default_chain, dropped, facts, fires, healthy, silent


@pytest.mark.parametrize("ending", [alerted(112), alerted(40), dropped("fin"), dropped("rst")])
def test_a_hello_without_a_name_that_is_refused_is_noticed(ending: Outcome) -> None:
    seen = facts(healthy(no_sni=ending))
    finding = fires("sni.required", seen, severity="notice")
    assert "-noservername" in finding.next_command
    assert any("no server name" in line for line in finding.evidence)
    assert (judge(seen).status, judge(seen).cause) == ("ok", None)


def test_another_certificate_without_a_name_is_noticed() -> None:
    seen = facts(healthy(server=replace(HEALTHY, default=default_chain())))
    fires("sni.required", seen, severity="notice")
    assert judge(seen).status == "ok"


def test_old_clients_that_send_no_name_fail_by_it() -> None:
    server = replace(RSA, versions=(TLS13, TLS12, TLS11, TLS10), chain=chain("rsa2048"), default=default_chain())
    finding = fires("sni.required", facts(healthy(server=server)), severity="notice")
    assert finding.fails_for == ("embedded-tls1.0",)


def test_the_same_certificate_for_all_is_silent() -> None:
    assert silent("sni.required", facts())


def test_another_certificate_that_covers_the_name_is_silent() -> None:
    from tests.evidence import ders, issuing
    from tests.pki import leaf

    twin = ders(leaf(issuing(), names=("default.test", "healthy.test"), owner="twin"), issuing())
    assert silent("sni.required", facts(healthy(server=replace(HEALTHY, default=twin))))


def test_it_does_not_apply_to_an_address() -> None:
    literal = Target.parse("192.0.2.7")
    assert silent("sni.required", facts(healthy(target=literal, no_sni=alerted(112)), target=literal))


def test_a_name_that_gets_the_wrong_certificate_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=default_chain())))
    assert silent("sni.required", seen)
    fires("sni.default-certificate", seen, severity="critical")


def test_a_connection_that_never_stood_proves_nothing() -> None:
    assert silent("sni.required", facts(healthy(no_sni=REFUSED)))


def test_where_hellos_with_the_name_are_shed_as_well_nothing_is_told() -> None:
    from tests.evidence import untouched

    assert silent("sni.required", facts(healthy(no_sni=dropped("rst"), small=(dropped("rst"), untouched))))
