"""sni.name-mismatch: the certificate chosen for the name does not cover it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from probes.diagnose import judge
from probes.model import Target
from tests.evidence import HEALTHY, Chain, Server, default_chain, ders, facts, fires, healthy, issuing, silent
from tests.pki import leaf


def named(*names: str, subject: str | None = None) -> Chain:
    return ders(leaf(issuing(), names=names, owner="named", subject=subject), issuing())


def serving(served: Chain) -> Server:
    return replace(HEALTHY, chain=served, default=default_chain())


@pytest.mark.parametrize("names", [("other.test",), ("*.healthy.test",), ("*.test.healthy",), ("192.0.2.7",)])
def test_a_certificate_for_other_names_stops_everyone(names: tuple[str, ...]) -> None:
    seen = facts(healthy(server=serving(named(*names))))
    finding = fires("sni.name-mismatch", seen, severity="critical")
    assert finding.stops_all and {"chrome", "openssl-1.0"} <= set(finding.fails_for)
    assert any(names[0] in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_the_common_name_counts_for_nothing() -> None:
    bare = leaf(issuing(), names=(), owner="named", subject="healthy.test")
    finding = fires("sni.name-mismatch", facts(healthy(server=serving(ders(bare, issuing())))), severity="critical")
    assert "healthy.test" in finding.explanation


def test_a_wildcard_covers_one_label() -> None:
    deep = Target.parse("a.b.healthy.test")
    server = serving(named("*.healthy.test"))
    fires("sni.name-mismatch", facts(healthy(target=deep, server=server), target=deep), severity="critical")
    one = Target.parse("b.healthy.test")
    assert silent("sni.name-mismatch", facts(healthy(target=one, server=server), target=one))


@pytest.mark.parametrize(
    "names", [("healthy.test",), ("HEALTHY.Test",), ("other.test", "healthy.test"), ("*.test.", "healthy.test")]
)
def test_a_covered_name_is_silent(names: tuple[str, ...]) -> None:
    assert silent("sni.name-mismatch", facts(healthy(server=serving(named(*names)))))


def test_an_address_needs_an_address_in_the_certificate() -> None:
    literal = Target.parse("192.0.2.7")
    assert literal.server_name is None
    good = replace(HEALTHY, chain=named("192.0.2.7"))
    assert silent("sni.name-mismatch", facts(healthy(target=literal, server=good), target=literal))
    server = replace(HEALTHY, chain=named("default.test"))
    fires("sni.name-mismatch", facts(healthy(target=literal, server=server), target=literal), severity="critical")


def test_an_international_name_is_compared_by_its_a_label() -> None:
    target = Target.parse("bücher.test")
    assert target.host == "xn--bcher-kva.test"
    assert silent("sni.name-mismatch", facts(healthy(target=target, server=serving(named(target.host))), target=target))


def test_names_of_a_certificate_reach_the_finding_cleaned() -> None:
    hostile = leaf(issuing(), names=(), owner="named", subject="ev\x1b[31mil")
    finding = fires("sni.name-mismatch", facts(healthy(server=serving(ders(hostile, issuing())))), severity="critical")
    assert finding.explanation.isprintable() and all(line.isprintable() for line in finding.evidence)


def test_an_unreadable_certificate_is_no_mismatch() -> None:
    assert silent("sni.name-mismatch", facts(healthy(server=serving((b"\x30\x03abc",)))))


def test_a_thousand_names_are_told_in_a_line() -> None:
    names = [f"host-{number}.example.test" for number in range(1000)]
    crowded = leaf(issuing(), owner="named", names=names)
    assert isinstance(crowded.certificate, x509.Certificate)
    finding = fires("sni.name-mismatch", facts(healthy(server=serving(ders(crowded, issuing())))), severity="critical")
    assert len(finding.explanation) < 500 and max(map(len, finding.evidence)) < 500


@pytest.mark.parametrize(
    ("names", "common_name", "said"),
    [
        (("other.test",), "192.0.2.7", "stands in the common name, which current clients do not read"),
        (("other.test", "192.0.2.8"), "other.test", "not among the certificate's iPAddress names"),
    ],
)
def test_an_address_is_covered_by_an_ipaddress_name_alone(names: tuple[str, ...], common_name: str, said: str) -> None:
    literal = Target.parse("192.0.2.7")
    served = ders(leaf(issuing(), names=names, subject=common_name), issuing())
    seen = facts(healthy(target=literal, server=replace(HEALTHY, chain=served)), target=literal)
    finding = fires("sni.name-mismatch", seen, severity="critical")
    assert any(said in line for line in finding.evidence)
    assert "iPAddress" in finding.fix and "-noservername" in finding.next_command
