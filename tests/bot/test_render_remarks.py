"""What is said beside the verdict, and whom a fault concerns that no first visit shows."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.model import Content, PastCheck
from bot.render import report, words
from bot.render.limits import advice
from probes.model import ClientReport, Gap, Report
from tests.bot.reports import broken, endpoint, finding, healthy

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


def why(seen: Report) -> str:
    return text_of(
        report.why(
            PastCheck(
                id=1, report=seen, at=NOW, user="U1", team="T1", channel="C1", command="check a", headline="check:1"
            )
        )
    )


def text_of(content: Content) -> str:
    return str(content.blocks)


def test_what_was_looked_at_is_a_remark_and_never_called_unlooked() -> None:
    seen = healthy(gaps=(Gap(what="dane", why="TLSA at _25._tcp.mail.test matches no certificate served"),))
    assert words.unlooked(seen) == []
    assert "Not looked at" not in why(seen)
    assert "DANE: TLSA at _25._tcp.mail.test matches no certificate served" in why(seen)


def test_what_was_not_looked_at_is_no_remark() -> None:
    seen = healthy(gaps=(Gap(what="revocation", why="the responder was not asked"),))
    assert words.remarks(seen) == []
    assert "Not looked at: revocation" in why(seen)


def test_a_client_certificate_that_is_welcome_is_told() -> None:
    seen = healthy(endpoints=(endpoint(client_auth="optional", ca_names=("CN=Client CA",)),))
    assert "asked for, not needed; accepted CAs: CN=Client CA" in why(seen)
    assert words.remarks(healthy(endpoints=(endpoint(client_auth="none"),))) == []


def test_a_broken_resumption_is_not_said_to_let_everybody_pass() -> None:
    clients = (ClientReport(name="curl", outcome="pass"), ClientReport(name="embedded-tls1.0", outcome="fail"))
    seen = broken(code="resumption.broken", findings=(finding("resumption.broken", addresses=()),), clients=clients)
    assert words.who(seen) == "first visits pass, later ones fail"


def test_a_refused_client_certificate_concerns_whoever_shows_it() -> None:
    clients = (ClientReport(name="curl", outcome="fail", code="mtls.unknown-ca"),)
    seen = broken(code="mtls.unknown-ca", findings=(finding("mtls.unknown-ca", addresses=()),), clients=clients)
    assert words.who(seen) == "fails for whoever shows this client certificate"


def test_an_address_is_not_faulty_because_tickets_of_another_are_refused_there() -> None:
    ends = (endpoint("192.0.2.7"), endpoint("192.0.2.8"))
    shared = finding("resumption.tickets-not-shared", "warning", addresses=("192.0.2.7", "192.0.2.8"))
    seen = broken(findings=(finding(addresses=("192.0.2.7",)), shared), endpoints=ends)
    assert report._faults(seen, ends[0]) == ["validity.expired"]
    assert report._faults(seen, ends[1]) == []


def test_what_differs_is_told_in_lines_where_columns_would_not_fit() -> None:
    wide = endpoint("192.0.2.8", cipher="TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", version="TLSv1.2")
    text = why(broken(endpoints=(endpoint("192.0.2.7"), wide)))
    assert "• version: `TLSv1.3` at 192.0.2.7, `TLSv1.2` at 192.0.2.8" in text


def test_code_in_advice_is_copied_as_it_stands() -> None:
    assert advice("set `hosts = *` and *not* this") == "set `hosts = *` and ∗not∗ this"
