"""Whose store lacks which root: the data against Mozilla's list itself, and what becomes of a family's verdict."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from probes.check import default_trust
from probes.clients import CURRENT, FAMILIES, FAMILY
from probes.diagnose import judge
from probes.facts import Facts, Verdict, anchors, family_anchors
from probes.former_roots import FORMER_ROOTS
from probes.model import Trust
from probes.pki.anchors import Anchor, Anchors
from probes.pki.certificate import Certificate, parse
from probes.report import report
from probes.stores import STORES, former, held, lacks
from tests.evidence import RSA, Chain, ders, facts, healthy, serves
from tests.pki import NOW, Issued, authority, cross_sign, intermediate, leaf

OLD = tuple(family.name for family in FAMILIES if not family.current)
UNTRUSTED, PASSES = Verdict(code="chain.untrusted"), Verdict(code=None)


def fingerprint(spki: bytes) -> str:
    return hashlib.sha256(spki).hexdigest()


@cache
def mozilla() -> dict[str, Anchor]:
    """Mozilla's roots by the SHA-256 of their keys."""
    return {fingerprint(member.spki): member for member in anchors(default_trust()).members}


def named(text: str) -> Anchor:
    [found] = [each for each in mozilla().values() if text in each.subject.text]
    return found


# the data ------------------------------------------------------------------------------------------------------------


def test_every_store_is_that_of_a_family_and_old_ones_alone_are_known_to_lack_anything() -> None:
    assert set(STORES) == set(OLD)


@pytest.mark.parametrize("family", STORES)
def test_what_a_store_lacks_is_in_mozilla_s_list_and_old_enough_to_be_in_doubt(family: str) -> None:
    """A hash that is no root's would be dead weight; one of a root too young says nothing new."""
    store = STORES[family]
    assert store.source
    for each in store.lacks:
        root = mozilla()[each]
        assert lacks(family, root)
        assert root.certificate.not_before < store.as_of, root.subject.text


@pytest.mark.parametrize("family", STORES)
def test_a_root_made_after_the_store_is_not_in_it(family: str) -> None:
    young = [each for each in mozilla().values() if each.certificate.not_before > STORES[family].as_of]
    assert young and all(lacks(family, each) for each in young)


@pytest.mark.parametrize("family", STORES)
def test_some_roots_are_as_old_as_every_client(family: str) -> None:
    for text in ("Go Daddy Root Certificate Authority - G2", "Starfield Services Root", "OU=GlobalSign Root CA - R3"):
        assert not lacks(family, named(text))


@pytest.mark.parametrize("family", [family.name for family in CURRENT])
def test_a_current_family_lacks_nothing(family: str) -> None:
    assert not any(lacks(family, each) for each in mozilla().values())


@pytest.mark.parametrize(
    ("root", "lacking"),
    [
        ("ISRG Root X1", set(OLD)),
        ("GTS Root R1", set(OLD)),
        ("Amazon Root CA 1", {"java-8", "openssl-1.0", "embedded-tls1.0"}),
        ("USERTrust RSA", {"embedded-tls1.0"}),
        ("DigiCert Global Root G2", {"embedded-tls1.0"}),
    ],
)
def test_who_lacks_a_root_that_much_of_the_web_stands_on(root: str, lacking: set[str]) -> None:
    assert {family.name for family in FAMILIES if lacks(family.name, named(root))} == lacking


def test_the_former_roots_are_roots_that_mozilla_no_longer_has_and_that_have_not_expired() -> None:
    for root in FORMER_ROOTS:
        certificate = parse(root)
        assert isinstance(certificate, Certificate) and certificate.is_self_signed and certificate.is_ca
        assert fingerprint(certificate.spki) not in mozilla()
        assert certificate.not_before.year < 2010 and certificate.not_after > datetime(2027, 1, 1, tzinfo=UTC)


def test_what_an_old_store_holds_beside_mozilla_s_is_as_old_as_it() -> None:
    for family, store in STORES.items():
        assert all(each.certificate.not_before < store.as_of for each in former(family).members)
        assert set(held(family, anchors(default_trust())).members) > set(former(family).members)
    assert not former("chrome")


# whose word it is ----------------------------------------------------------------------------------------------------


def test_a_store_that_is_not_mozilla_s_is_every_family_s() -> None:
    young = Anchors.from_ders([authority().der], source="the system's store").members[0]
    assert not any(lacks(family, young) for family in STORES)


def test_what_the_user_added_is_trusted_by_all_even_where_the_default_store_holds_it_too() -> None:
    x1 = named("ISRG Root X1")
    trust = default_trust((x1.der,))
    for family in STORES:
        assert x1.der in {member.der for member in family_anchors(family, trust).members}
        assert x1.der not in {member.der for member in family_anchors(family, default_trust()).members}


def test_a_family_that_lacks_nothing_has_the_very_store_of_the_check() -> None:
    assert family_anchors("chrome", default_trust()) is anchors(default_trust())


# verdicts ------------------------------------------------------------------------------------------------------------


@cache
def root_of(year: int) -> Issued:
    return authority(f"Public Root of {year}", not_before=datetime(year, 1, 1, tzinfo=UTC))


def public(*years: int, added: tuple[bytes, ...] = ()) -> Trust:
    """A list like Mozilla's, of roots made in these years."""
    return Trust(default=ders(*map(root_of, years)), default_name="certifi of a test", added=added)


def seen_by_all(served: Chain, trust: Trust) -> Facts:
    # With RSA key exchange and TLS 1.2 on offer, so that every old family but the last gets as far as the certificate.
    return facts(healthy(server=RSA, every=serves(served)), trust=trust)


def verdict(seen: Facts, family: str) -> Verdict | None:
    return seen.verdict(FAMILY[family], seen.looks[0])


def issued_under(root: Issued) -> tuple[Issued, Issued]:
    ca = intermediate(root, f"Issuing CA under {root.certificate.subject.rfc4514_string()[3:]}")
    return leaf(ca), ca


def test_a_young_root_stops_old_families_and_is_no_finding() -> None:
    seen = seen_by_all(ders(*issued_under(root_of(2018))), public(2008, 2018))
    for family in ("android-7", "java-8", "openssl-1.0"):
        assert verdict(seen, family) == UNTRUSTED
    assert all(seen.verdict(family, seen.looks[0]) == PASSES for family in CURRENT)
    diagnosis = judge(seen)
    assert diagnosis.status == "ok" and diagnosis.cause is None
    assert not [finding for finding in diagnosis.findings if finding.code.startswith("chain.")]
    told = {client.name: client.code for client in report(seen, diagnosis, elapsed_ms=1.0).clients}
    assert told["android-7"] == told["java-8"] == "chain.untrusted" and told["chrome"] is None


def test_an_old_root_is_every_family_s() -> None:
    seen = seen_by_all(ders(*issued_under(root_of(2008))), public(2008, 2018))
    for family in ("android-7", "java-8", "openssl-1.0", "chrome", "curl"):
        assert verdict(seen, family) == PASSES


@pytest.mark.parametrize("family", ["android-7", "java-8", "openssl-1.0"])
def test_a_cross_sign_by_an_old_root_carries_an_old_family(family: str) -> None:
    served = (*issued_under(root_of(2018)), cross_sign(root_of(2018), root_of(2008)))
    seen = seen_by_all(ders(*served), public(2008, 2018))
    assert verdict(seen, family) == PASSES


def test_a_cross_sign_by_another_young_root_carries_nobody() -> None:
    served = (*issued_under(root_of(2018)), cross_sign(root_of(2018), root_of(2019)))
    seen = seen_by_all(ders(*served), public(2008, 2018, 2019))
    assert verdict(seen, "java-8") == UNTRUSTED


def test_the_user_s_own_root_is_trusted_by_the_oldest_client() -> None:
    young = root_of(2018)
    seen = seen_by_all(ders(*issued_under(young)), public(2008, 2018, added=(young.der,)))
    assert verdict(seen, "android-7") == verdict(seen, "openssl-1.0") == PASSES


def test_another_fault_of_the_chain_is_said_before_the_age_of_the_store() -> None:
    server, _ = issued_under(root_of(2018))
    seen = seen_by_all(ders(server), public(2008, 2018))
    assert verdict(seen, "curl") == verdict(seen, "java-8") == verdict(seen, "openssl-1.0")
    assert verdict(seen, "java-8") != PASSES


def test_a_root_that_mozilla_gave_up_still_carries_old_families() -> None:
    """Of a former root no key is at hand to sign with; that it is asked for its name and key must do."""
    store = family_anchors("java-8", default_trust())
    for der in FORMER_ROOTS:
        certificate = parse(der)
        assert isinstance(certificate, Certificate)
        assert store.holding(certificate) and not anchors(default_trust()).holding(certificate)


def test_a_certificate_that_cannot_be_read_is_no_matter_of_stores() -> None:
    seen = seen_by_all((b"\x30\x03\x02\x01\x00",), public(2008, 2018))
    assert verdict(seen, "java-8") == verdict(seen, "chrome") == PASSES


def test_a_store_is_the_same_whatever_the_clock_says() -> None:
    """An old store is old by its own date, not by that of the check."""
    served = ders(*issued_under(root_of(2018)))
    seen = seen_by_all(served, public(2008, 2018))
    later = Facts(replace(seen.evidence, taken_at=NOW + timedelta(days=1)))
    assert verdict(later, "java-8") == verdict(seen, "java-8") == UNTRUSTED
