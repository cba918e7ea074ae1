"""`explain`: error texts in each library's own format, noise around them, and texts that name no TLS error.

`explain_texts.jsonl` holds one text a line with the causes that are right for it; none for what names no TLS error.
"""

from __future__ import annotations

import io
import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.__main__ import main
from probes.catalogue import CATALOGUE
from probes.explain import advice, explain, to_json
from probes.explain.alerts import alerts, reading
from probes.explain.claims import Claim
from probes.explain.engine import PHRASES
from probes.explain.text import canonical, phrase
from probes.wire.registry import ALERTS

CASES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "explain_texts.jsonl").read_text(encoding="utf-8").splitlines()
]
KNOWN = [(case["text"], case["causes"]) for case in CASES if case["causes"]]
NOTHING = [case["text"] for case in CASES if not case["causes"]]
CLAIMS: dict[int, Claim] = {id(entry.claim): entry.claim for entry in PHRASES}


def codes(text: str) -> list[str]:
    return [match.code for match in explain(text).matches]


@pytest.mark.parametrize(("text", "causes"), KNOWN)
def test_the_right_cause_is_among_the_first_two(text: str, causes: list[str]) -> None:
    assert set(codes(text)[:2]) & set(causes)


def test_the_right_cause_is_mostly_the_first() -> None:
    first = sum(codes(text)[0] in causes for text, causes in KNOWN)
    assert first >= 0.95 * len(KNOWN)


@pytest.mark.parametrize("text", NOTHING)
def test_a_text_that_names_no_tls_error_explains_nothing(text: str) -> None:
    assert explain(text).matches == ()


# ── who raised it ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "first", "raised_by"),
    [
        ("http: TLS handshake error from 10.0.0.5:5: remote error: tls: bad certificate", "chain.untrusted", "client"),
        ('Get "https://a.example/": remote error: tls: bad certificate', "mtls.certificate-rejected", "server"),
        ("SSL_accept: tlsv1 alert unknown ca: SSL alert number 48", "chain.untrusted", "client"),
        ("SSL_connect: tlsv1 alert unknown ca: SSL alert number 48", "mtls.unknown-ca", "server"),
        ("SSL_accept: sslv3 alert certificate expired", "validity.expired", "client"),
        ("SSL_connect: sslv3 alert certificate expired", "mtls.certificate-rejected", "server"),
        ("curl: (60) SSL certificate problem: certificate has expired", "validity.expired", "client"),
        ("http: TLS handshake error from 10.0.0.5:5: tls: failed to verify certificate: x509: certificate has expired "
         "or is not yet valid: current time 2026-11-21T22:00:00Z is after 2026-10-01T00:00:00Z",
         "mtls.certificate-rejected", "server"),
        ("TLS client: In state certify generated CLIENT ALERT: Fatal - Unknown CA", "chain.untrusted", "client"),
        ("TLS client: received SERVER ALERT: Fatal - Unknown CA", "mtls.unknown-ca", "server"),
        ("curl: (35) SSL3 alert write: fatal: unknown CA", "chain.untrusted", "client"),
    ],
)  # fmt: skip
def test_a_text_says_who_raised_it_against_whom(text: str, first: str, raised_by: str) -> None:
    match = explain(text).matches[0]
    assert (match.code, match.raised_by) == (first, raised_by)


@pytest.mark.parametrize("number", sorted(ALERTS.keys() - {0}))
@pytest.mark.parametrize("form", ["SSL alert number {number}", "Received fatal alert: {name}", "sslv3 alert {spaced}"])
def test_every_alert_is_read_by_number_and_by_name(number: int, form: str) -> None:
    name = ALERTS[number].name
    text = form.format(number=number, name=name, spaced=name.replace("_", " "))
    assert [seen.number for seen in alerts(canonical(text))] == [number]
    assert explain(text).matches


# ── precise words against wrappers ──────────────────────────────────────────────


def test_the_innermost_reason_outweighs_the_wrappers() -> None:
    text = (
        "javax.net.ssl.SSLHandshakeException: General SSLEngine problem\n\tat sun.security.ssl.Alert.create\n"
        "Caused by: javax.net.ssl.SSLHandshakeException: handshake failed\n"
        "Caused by: java.security.cert.CertificateExpiredException: NotAfter: Fri Nov 20 00:00:00 UTC 2026"
    )
    matches = explain(text).matches
    assert matches[0].code == "validity.expired"
    assert matches[0].likelihood > 0.6


def test_a_longer_phrase_outweighs_the_one_inside_it() -> None:
    assert codes("self-signed certificate in certificate chain")[0] == "chain.untrusted"
    assert codes("self-signed certificate")[0] == "chain.self-signed"


# ── noise ───────────────────────────────────────────────────────────────────────

PRECISE = [
    (
        "x509: certificate has expired or is not yet valid: current time 2026-11-21 is after 2026-11-20",
        "validity.expired",
    ),
    ("PKIX path building failed: unable to find valid certification path to requested target", "chain.incomplete"),
    ("SSL routines:ssl3_get_record:wrong version number", "reach.not-tls"),
    ("NET::ERR_CERT_COMMON_NAME_INVALID", "sni.name-mismatch"),
    ("Error: getaddrinfo ENOTFOUND api.example.com", "reach.dns"),
    ("SSL: no alternative certificate subject name matches target host name 'api.example.com'", "sni.name-mismatch"),
]
NOISE = {
    "log prefix": "2026-11-21T22:00:03.114Z ERROR [checkout-7f9c] (pool-3) request 8f2a failed: {}",
    "json log": '{{"level":"error","ts":1763762403.1,"msg":"call failed","err":"{}","retry":3}}',
    "stack trace": "Exception in thread main\n{}\n\tat com.example.Foo.bar(Foo.java:42)\n\tat Main.main(Main.java:7)",
    "code fence": "```\n{}\n```",
    "quoted": "> {}",
    "a sentence": "hi, since 22:00 the checkout pods say “{}” – any idea?",
    "colours": "\x1b[31mERROR\x1b[0m {} \x1b[0m",
}


@pytest.mark.parametrize(("text", "first"), PRECISE)
@pytest.mark.parametrize("noise", NOISE)
def test_noise_around_a_text_keeps_its_first_cause(text: str, first: str, noise: str) -> None:
    assert codes(NOISE[noise].format(text))[0] == first


@pytest.mark.parametrize(("text", "first"), PRECISE)
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace(" ", "\n  "),
        lambda text: text.replace(" ", "\\n"),
        lambda text: text.replace("&", "&amp;").replace("'", "&#39;").replace(":", "&#58;"),
        lambda text: text.replace("'", "’").replace("-", "‑"),
        lambda text: text.replace(" ", " \u200b"),
        lambda text: text.upper(),
        lambda text: text.replace(" ", "\u00a0"),
    ],
    ids=["wrapped", "escaped breaks", "entities", "typography", "zero width", "upper case", "hard spaces"],
)  # fmt: skip
def test_what_chats_and_loggers_do_to_a_text_keeps_its_first_cause(text: str, first: str, changed: Any) -> None:
    assert codes(changed(text))[0] == first


@given(st.sampled_from(PRECISE), st.text("bcdfgjkq .,;()[]=\n", max_size=300), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_any_harmless_words_around_a_text_keep_its_first_cause(case: tuple[str, str], words: str, cut: int) -> None:
    text, first = case
    assert codes(f"{words[:cut]} {text} {words[cut:]}")[0] == first


# ── any text ────────────────────────────────────────────────────────────────────


@given(st.text(max_size=400) | st.lists(st.sampled_from([text for text, _ in KNOWN]), max_size=4).map("\n".join))
@settings(max_examples=150, deadline=None)
def test_any_text_is_answered_within_the_contract(text: str) -> None:
    matches = explain(text).matches
    likelihoods = [match.likelihood for match in matches]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert all(0 <= value <= 1 for value in likelihoods)
    assert sum(likelihoods) <= 1.005  # each is rounded
    assert len({match.code for match in matches}) == len(matches)
    for match in matches:
        assert match.mode == CATALOGUE[match.code].mode
        assert match.raised_by in {"client", "server", "unknown"}
        assert match.explanation and shlex.split(match.next_command)


@pytest.mark.parametrize(
    "piece", ["dial tcp ", "alert ", "certificate ", "a", "x509: ", "-_", "&amp;", "\\n", "https://", "a.", "1.", "'"]
)
def test_a_long_text_costs_time_in_proportion(piece: str) -> None:
    began = time.perf_counter()
    explain("ssl " + piece * (40_000 // len(piece)))
    assert time.perf_counter() - began < 5.0  # milliseconds, but for a machine under load


# ── the host and the next command ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ('Get "https://api.example.com:8443/v1": x509: certificate has expired', "api.example.com:8443"),
        ("HTTPSConnectionPool(host='api.example.com', port=8443): certificate has expired", "api.example.com:8443"),
        ("no alternative certificate subject name matches target host name 'a-b.example.com'", "a-b.example.com:443"),
        ("x509: certificate is valid for www.example.com, *.example.net, not api.example.com", "api.example.com:443"),
        ("Error: getaddrinfo ENOTFOUND api.example.com", "api.example.com:443"),
        ("dial tcp: lookup api.example.com on 10.96.0.10:53: no such host", "api.example.com:443"),
        ("curl: (7) Failed to connect to api.example.com port 8443 : refused to connect", "api.example.com:8443"),
        ("SSL_ERROR_SYSCALL in connection to api.example.com:443", "api.example.com:443"),
        ("curl: (60) certificate has expired\nMore details here: https://curl.se/docs/sslcerts.html", None),
        ("javax.net.ssl.SSLHandshakeException: PKIX path building failed\n\tat com.example.Foo.bar(Foo.java:42)", None),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1007)", None),
        ("https://user:secret@api.example.com/x: certificate has expired", "api.example.com:443"),
    ],
)  # fmt: skip
def test_the_host_is_taken_out_of_the_text(text: str, target: str | None) -> None:
    found = explain(text).target
    assert (None if found is None else str(found)) == target


def test_the_next_command_names_the_host_and_is_quoted() -> None:
    match = explain("connect to api.example.com port 8443: certificate has expired").matches[0]
    assert match.next_command == "tls check api.example.com:8443"
    assert explain("certificate has expired").matches[0].next_command == "tls check HOST"
    hostile = explain("https://a.example.com;rm${IFS}-rf/: certificate has expired").matches[0]
    assert shlex.split(hostile.next_command) == ["tls", "check", "a.example.com"]


def test_the_password_of_a_pasted_url_is_in_no_answer() -> None:
    text = "https://user:hunter2@api.example.com/x: certificate has expired"
    assert "hunter2" not in json.dumps(to_json(explain(text)))


# ── the data ────────────────────────────────────────────────────────────────────


def test_every_cause_of_the_data_is_in_the_catalogue_and_has_advice() -> None:
    used = {code for claim in CLAIMS.values() for code, _ in (*claim.causes, *claim.at_server)}
    for number in ALERTS:
        for sender in ("client", "server", "unknown"):
            used |= {code for code, _ in reading(number, sender)}
    assert used <= set(CATALOGUE)
    for code in CATALOGUE:
        assert advice.sentence(code).endswith(".")
        assert shlex.split(advice.command(code, None))


def test_the_causes_of_a_claim_sum_to_one_at_most_and_stand_in_order() -> None:
    for claim in CLAIMS.values():
        for causes in (claim.causes, claim.at_server):
            weights = [weight for _, weight in causes]
            assert sum(weights) <= 1.0
            assert weights == sorted(weights, reverse=True)


def test_every_phrase_has_something_to_look_for() -> None:
    for entry in PHRASES:
        for pattern in entry.patterns:
            assert phrase(pattern), (entry.library, pattern)
            assert sum(len(literal) for literal, _ in phrase(pattern)) >= 3, (entry.library, pattern)


# ── the command ─────────────────────────────────────────────────────────────────


def test_the_command_prints_the_catalogue_s_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "x509:", "certificate", "signed", "by", "unknown", "authority", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == 1
    assert set(answer["matches"][0]) == {
        "code", "mode", "likelihood", "raised_by", "library", "explanation", "next_command"
    }  # fmt: skip
    assert answer["matches"][0]["library"] == "go"


def test_an_unknown_text_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "disk full"]) == 0
    assert "I know no TLS error in this text" in capsys.readouterr().out
    assert main(["explain", "disk full", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "matches": []}


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "-"]])
def test_the_text_may_come_over_standard_input(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"curl: (60) certificate has expired \xff\n")))
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.lstrip().startswith("7") and "validity.expired" in printed.splitlines()[0]


def test_an_empty_text_is_wrong_usage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b" \n")))
    assert main(["explain", ""]) == 2
    assert "certificate has expired" in capsys.readouterr().err
