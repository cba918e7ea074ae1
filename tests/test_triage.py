"""All clients or one family: the sentence, for each shape that a list of clients takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.clients import CURRENT, FAMILIES
from probes.model import ClientReport
from probes.triage import who_fails
from tests.evidence import default_chain, facts, healthy, serves

OLD = tuple(family.name for family in FAMILIES if not family.current)
NOW = tuple(family.name for family in CURRENT)
WITHOUT_AIA = tuple(family.name for family in CURRENT if not family.aia)


def clients(*failing: str, code: str = "chain.untrusted", judged: tuple[str, ...] = (*NOW, *OLD)) -> list[ClientReport]:
    return [
        ClientReport(name=name, outcome="fail", code=code)
        if name in failing
        else ClientReport(name=name, outcome="pass")
        for name in judged
    ]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (clients(), "every client passes"),
        (clients(*NOW, *OLD), "every client fails"),
        (clients(judged=()), "no client could be judged"),
        (clients("java-8", "android-7"), "only Android 7 and Java 8 (early) fail, for their age"),
        (clients("embedded-tls1.0"), "only embedded TLS 1.0 fails, for its age"),
        (clients(*NOW, "java-8", "android-7", "openssl-1.0"), "every current client fails; embedded TLS 1.0 passes"),
        (clients(*NOW), "every current client fails; Android 7, OpenSSL 1.0, Java 8 (early) and embedded TLS 1.0 pass"),
        (
            clients(*WITHOUT_AIA, *OLD, code="chain.incomplete"),
            "clients without AIA fetching fail (Firefox, Android, curl and 5 more); "
            "Chrome, Safari and .NET, which fetch what is missing, pass",
        ),
        (clients("chrome", "firefox", "safari"), "browsers fail; other current clients pass"),
        (clients(*set(NOW) - {"chrome", "firefox", "safari"}), "browsers pass; every other current client fails"),
        (clients("go", "java-8"), "Go alone of 11 current clients fails"),
        (clients("go", "java"), "Go and Java fail; 9 other current clients pass"),
        (clients(*set(NOW) - {"node"}), "every current client but Node fails"),
    ],
)
def test_the_sentence(seen: list[ClientReport], said: str) -> None:
    assert who_fails(seen) == said


def test_without_aia_is_said_only_where_a_missing_issuer_is_the_cause() -> None:
    assert "AIA" not in who_fails(clients(*WITHOUT_AIA, code="negotiation.group"))


@given(
    st.lists(st.tuples(st.sampled_from([*NOW, *OLD, "a client of tomorrow"]), st.booleans()), unique_by=lambda c: c[0])
)
def test_any_list_of_clients_makes_one_clause(seen: list[tuple[str, bool]]) -> None:
    said = who_fails(ClientReport(name=name, outcome="pass" if ok else "fail") for name, ok in seen)
    assert said and "\n" not in said and not said.endswith(".") and len(said) < 160


def test_a_wrong_certificate_stops_all_and_the_sentence_says_so() -> None:
    from probes.diagnose import judge
    from probes.report import report

    seen = facts(healthy(every=serves(default_chain())))
    assert who_fails(report(seen, judge(seen), elapsed_ms=1.0).clients) == "every client fails"
