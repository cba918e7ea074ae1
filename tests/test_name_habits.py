"""Which names some clients take that others do not: each habit admits its own form and no other."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from probes.clients import FAMILIES, FAMILY
from probes.name_habits import NO_HABITS, Habit, accepts
from probes.pki.certificate import Certificate, parse
from probes.pki.names import covers
from tests.pki import leaf

ALL: frozenset[Habit] = frozenset(
    {
        "common-name",
        "common-name-beside-addresses",
        "address-in-common-name",
        "partial-wildcards",
        "top-level-wildcards",
        "bare-wildcard",
    }
)


def certificate(*names: str, subject: str = "a server") -> Certificate:
    parsed = parse(leaf(names=names, subject=subject).der)
    assert isinstance(parsed, Certificate)
    return parsed


CASES: list[tuple[Habit, Certificate, str]] = [
    ("common-name", certificate(subject="api.example.test"), "api.example.test"),
    ("common-name", certificate(subject="API.Example.test"), "api.example.test"),
    ("common-name", certificate(subject="*.example.test"), "api.example.test"),
    ("common-name-beside-addresses", certificate("192.0.2.1", subject="api.example.test"), "api.example.test"),
    ("address-in-common-name", certificate(subject="192.0.2.7"), "192.0.2.7"),
    ("partial-wildcards", certificate("api*.example.test"), "api7.example.test"),
    ("partial-wildcards", certificate("*api.example.test"), "myapi.example.test"),
    ("partial-wildcards", certificate("a*z.example.test"), "az.example.test"),
    ("top-level-wildcards", certificate("*.internal"), "api.internal"),
    ("bare-wildcard", certificate("*"), "localhost"),
]


@pytest.mark.parametrize(("habit", "served", "host"), CASES)
def test_a_habit_admits_its_own_form_and_no_other_habit_does(habit: Habit, served: Certificate, host: str) -> None:
    assert not covers(served, host)
    assert accepts(served, host, frozenset({habit}))
    assert not accepts(served, host, ALL - {habit})
    assert not accepts(served, host, NO_HABITS)


@pytest.mark.parametrize(
    ("served", "host"),
    [
        (certificate("other.test", subject="api.example.test"), "api.example.test"),  # a dNSName rules the subject out
        (certificate("192.0.2.1", subject="192.0.2.7"), "192.0.2.7"),
        (certificate("api*.example.test"), "xn--api-9na.example.test"),
        (certificate("a*z.example.test"), "a.example.test"),
        (certificate("a.*.example.test"), "a.b.example.test"),
        (certificate("*.*.test"), "a.b.test"),
        (certificate("*"), "api.internal"),
        (certificate("*.internal"), "internal"),
        (certificate("*.internal"), "a.b.internal"),
        (certificate(subject="*.internal"), "not a host"),
    ],
)
def test_what_nobody_takes(served: Certificate, host: str) -> None:
    assert not accepts(served, host, ALL)


def test_a_partial_wildcard_stands_for_no_part_of_an_encoded_name() -> None:
    assert not accepts(certificate("xn--b*.example.test"), "xn--bcher-kva.example.test", ALL)


@given(st.text(max_size=40), st.lists(st.sampled_from(sorted(ALL)), unique=True))
def test_no_host_that_a_certificate_covers_is_refused_by_more_habits(host: str, habits: list[Habit]) -> None:
    """More habits never take less."""
    served = certificate("api*.example.test", "*.internal")
    some = frozenset(habits)
    assert accepts(served, host, some) <= accepts(served, host, ALL)


def test_browsers_and_rustls_have_no_habits() -> None:
    for name in ("chrome", "firefox", "safari", "android", "rustls", "python"):
        assert FAMILY[name].names == NO_HABITS


def test_every_habit_is_some_family_s() -> None:
    assert frozenset().union(*(family.names for family in FAMILIES)) == ALL


def test_a_certificate_without_any_name_is_taken_for_nothing() -> None:
    bare = parse(leaf(names=(), subject="x", more=[(x509.SubjectAlternativeName([x509.DNSName("y")]), False)]).der)
    assert isinstance(bare, Certificate) and not accepts(bare, "x", ALL)
