"""revocation.ocsp-unreachable: no answer, an error, or an answer that no client can use."""

from __future__ import annotations

import shlex
from datetime import timedelta

import pytest
from cryptography.x509 import ocsp

from probes.diagnose import judge
from probes.lab.status import ocsp_error, sources
from probes.model import Gap
from probes.report import report
from tests.evidence import facts, fires, issuing, silent
from tests.pki import authority, intermediate, leaf
from tests.status import CRL_GOOD, DAY, OCSP_GOOD, OCSP_URL, facts_of, response, said

CODE = "revocation.ocsp-unreachable"
STRANGER = intermediate(authority("Stranger Root"), "Stranger CA")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said("ocsp", failure="timeout", detail="no complete answer in time"), "hang until they give up"),
        (said("ocsp", failure="unreachable", detail="cannot connect to 192.0.2.99:80 (ConnectError)"), "192.0.2.99"),
        (said("ocsp", failure="error", detail="HTTP 503"), "with an error: HTTP 503"),
        (said("ocsp", ocsp_error()), "tryLater"),
        (said("ocsp", ocsp_error(ocsp.OCSPResponseStatus.UNAUTHORIZED)), "unauthorized"),
        (said("ocsp", b"<html>maintenance</html>"), "no readable OCSP response"),
        (said("ocsp", response(status="unknown")), "does not know the certificate"),
        (said("ocsp", response(age=9 * DAY)), "out of date since"),
        (said("ocsp", response(signer=STRANGER)), "badly signed"),
        (said("ocsp", samples=(90.0, None, None)), "1 of 3 times"),
    ],
)
def test_whatever_keeps_a_client_from_its_answer_is_said(answer: object, words: str) -> None:
    seen = facts_of(answer, CRL_GOOD)  # type: ignore[arg-type]
    finding = fires(CODE, seen, severity="warning", asks=OCSP_URL)
    assert words in finding.explanation and finding.fails_for == ()
    diagnosis = judge(seen)
    assert diagnosis.cause == finding and diagnosis.status == "warning"
    assert silent("revocation.revoked", seen) and silent("revocation.ocsp-slow", seen)


def test_an_intermediate_s_responder_is_told_as_such() -> None:
    from tests.evidence import root

    ca = intermediate(root(), "Asked CA", more=sources(ocsp_urls=["http://root-ocsp.test/"]))
    answer = said("ocsp", failure="timeout", url="http://root-ocsp.test/", about=ca, issuer=root())
    finding = fires(CODE, facts_of(answer, chain=(leaf(ca), ca)), severity="warning", asks="http://root-ocsp.test/")
    assert "“Asked CA”" in finding.explanation
    assert any("the intermediate “Asked CA”" in line for line in finding.evidence)


def test_what_a_certificate_calls_a_url_is_harmless_in_a_command() -> None:
    """A terminal obeys escape sequences wherever they stand, and curl makes many URLs of one with brackets."""
    url = "http://ocsp.test/\x1b[2J';reboot\n{a,b}/%2F"
    evil = leaf(issuing(), more=sources(ocsp_urls=[url]))
    dead = said("ocsp", failure="error", detail="not a URL that can be fetched", url=url, about=evil)
    command = fires(CODE, facts_of(dead, chain=(evil, issuing())), severity="warning", asks="ocsp.test").next_command
    assert command.isprintable() and "-gsS" in command
    words = shlex.split(command)
    assert next(word for word in words if "ocsp.test" in word).startswith(
        "http://ocsp.test/%1B[2J';reboot%0A%7Ba,b%7D/%2F"
    )
    assert "reboot" not in words


def test_one_of_two_responders_suffices() -> None:
    two = leaf(issuing(), more=sources(ocsp_urls=[OCSP_URL, "http://second.test/"]))
    dead = said("ocsp", failure="unreachable", about=two)
    alive = said("ocsp", about=two, url="http://second.test/")
    seen = facts_of(dead, alive, chain=(two, issuing()))
    fires(CODE, seen, severity="notice", asks=OCSP_URL)
    assert judge(seen).status == "ok"


def test_one_lost_try_in_three_is_a_notice() -> None:
    fires(CODE, facts_of(said("ocsp", samples=(90.0, None, 100.0)), CRL_GOOD), severity="notice", asks=OCSP_URL)


def test_refused_egress_is_our_gap_and_no_fault() -> None:
    seen = facts_of(said("ocsp", failure="refused", detail="egress refused, 10.0.0.1: private"), CRL_GOOD)
    assert silent("revocation.ocsp-unreachable", seen)
    diagnosis = judge(seen)
    assert diagnosis.status == "ok"
    why = f"the OCSP responder {OCSP_URL} was not asked: egress refused, 10.0.0.1: private"
    assert Gap(what="revocation", why=why) in report(seen, diagnosis, elapsed_ms=1.0).gaps


def test_what_was_not_asked_for_want_of_time_is_a_gap() -> None:
    seen = facts_of(CRL_GOOD)
    assert silent("revocation.ocsp-unreachable", seen)
    gaps = [gap.why for gap in report(seen, judge(seen), elapsed_ms=1.0).gaps if gap.what == "revocation"]
    assert len(gaps) == 1 and OCSP_URL in gaps[0] and "not asked, or not for long enough" in gaps[0]


def test_a_response_stale_by_our_wrong_clock_is_no_fault_of_the_responder() -> None:
    stale = said("ocsp", response(age=8 * DAY))  # by the server's clock, two days behind, it is in its time
    assert silent("revocation.ocsp-unreachable", facts_of(stale, CRL_GOOD, skew=timedelta(days=-2)))


def test_a_response_from_the_future_is_a_fault_only_where_another_clock_speaks_for_ours() -> None:
    early = said("ocsp", response(age=timedelta(hours=-3)))
    assert silent("revocation.ocsp-unreachable", facts_of(early, CRL_GOOD, skew=None))
    assert silent("revocation.ocsp-unreachable", facts_of(early, CRL_GOOD, skew=timedelta(hours=4)))
    fires(CODE, facts_of(early, CRL_GOOD), severity="warning", asks=OCSP_URL)


def test_good_answers_and_certificates_without_a_responder_are_silent() -> None:
    assert silent("revocation.ocsp-unreachable", facts_of(OCSP_GOOD, CRL_GOOD))
    assert silent("revocation.ocsp-unreachable", facts())
