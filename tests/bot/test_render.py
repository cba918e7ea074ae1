"""The renderer: what a person reads, and Slack's limits for any report whatever."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.incidents import step
from bot.local.blocks import validate_message
from bot.model import CheckLine, Content, Incident, PastCheck, Transition
from bot.render import changes, help, limits, listing, repair, report, words
from probes.catalogue import CATALOGUE
from probes.model import (
    AlertReport,
    CertificateReport,
    ClientReport,
    EndpointReport,
    FindingReport,
    Gap,
    Repair,
    Report,
)
from tests.bot import reports
from tests.bot.conftest import said


def past(seen: Report, number: int = 7) -> PastCheck:
    return PastCheck(
        id=number,
        team="T1",
        channel="C1",
        user="U1",
        command="check api.example.com",
        headline="check:7",
        at=reports.TAKEN_AT,
        report=seen,
    )


def shown(content: Content) -> str:
    return said({"text": content.text, "blocks": list(content.blocks)})


# ── what a person reads ─────────────────────────────────────────────────────────


def test_a_broken_endpoint_says_so_first_and_why() -> None:
    content = report.headline(past(reports.broken()))
    first = content.blocks[0]["text"]["text"]
    assert first == "🔴 *`api.example.com`* is broken: the certificate expired 3 days ago"
    assert "`validity.expired` · fails for every client · 1 address · 412 ms · asked by <@U1>" in shown(content)
    assert content.text == "api.example.com is broken: the certificate expired 3 days ago"


def test_a_healthy_endpoint_is_one_green_line_with_what_is_left() -> None:
    text = shown(report.headline(past(reports.healthy(gaps=(Gap(what="revocation", why="not asked"),)))))
    assert "🟢 *`api.example.com`* is healthy" in text
    assert "certificate good for 62 more days (until 2027-01-23)" in text
    assert "all kinds of clients pass" in text
    assert "not looked at: revocation" in text


def test_who_fails_is_said_in_groups() -> None:
    def who(*failing: str) -> str:
        return words.who(reports.broken(clients=reports.clients(failing=failing)))

    current = [name for name in words.FAMILIES if name not in words.OLD]
    assert who("curl", "go", "java") == "fails for curl, Go, Java; browsers pass"
    assert who(*current) == "fails for all current clients"
    assert who("java-8") == "all current clients pass (old ones fail: Java 8)"
    assert who("chrome", "firefox", "safari", "curl").startswith("fails for all browsers, curl; ")
    assert who("chrome", "curl").endswith("pass")


def test_a_fault_at_some_addresses_is_said_to_be_there() -> None:
    endpoints = tuple(reports.endpoint(f"192.0.2.{n}") for n in (7, 8, 9))
    seen = reports.broken(
        code="balancer.address-down",
        endpoints=endpoints,
        findings=(reports.finding("balancer.address-down", addresses=("192.0.2.8",)),),
        clients=reports.clients(),
    )
    assert words.who(seen) == "fails at 1 of 3 addresses"
    every = replace(seen, clients=reports.clients(failing=tuple(words.FAMILIES)))
    assert words.who(every) == "fails at 1 of 3 addresses"
    some = replace(seen, clients=reports.clients(failing=("curl", "go", "java-8")))
    assert words.who(some) == "fails at 1 of 3 addresses for curl, Go; browsers pass"


def test_a_fault_on_some_connections_is_said_to_be_there() -> None:
    flapping = reports.finding("balancer.intermittent", addresses=("192.0.2.7",))
    seen = reports.broken(code="balancer.intermittent", findings=(flapping,), clients=reports.clients())
    assert words.who(seen) == "fails on some connections"
    two = replace(seen, endpoints=(reports.endpoint(), reports.endpoint("192.0.2.8")))
    assert words.who(two) == "fails on some connections at 1 of 2 addresses"


def test_the_why_holds_evidence_addresses_and_source_and_not_the_fix() -> None:
    content = report.why(past(reports.broken()))
    text = shown(content)
    for part in ("fails for every client", "notAfter is 2026-11-18", "192.0.2.7", "RFC 5280"):
        assert part in text
    for part in ("Renew the certificate", "openssl s_client"):
        assert part not in text
    assert any(block["type"] == "table" for block in content.blocks)
    assert not any(block["type"] == "table" for block in content.classic)
    assert "192.0.2.7" in said({"blocks": list(content.classic)})


def test_what_to_do_is_the_fix_and_one_command() -> None:
    content = report.what_to_do(past(reports.broken()))
    assert content is not None
    text = shown(content)
    assert "Renew the certificate" in text
    assert "openssl s_client -connect 192.0.2.7:443 -servername api.example.com &lt;/dev/null" in text


def test_where_nothing_is_to_be_mended_nothing_is_said_to_do() -> None:
    assert report.what_to_do(past(reports.healthy())) is None
    assert report.what_to_do(past(reports.healthy(findings=(reports.finding(severity="notice"),)))) is None


def test_of_many_addresses_those_with_a_fault_come_first_and_the_rest_is_counted() -> None:
    endpoints = tuple(reports.endpoint(f"192.0.2.{n}") for n in range(1, 41))
    seen = reports.broken(endpoints=endpoints, findings=(reports.finding(addresses=("192.0.2.40",)),))
    content = report.why(past(seen))
    rows = next(block for block in content.blocks if block["type"] == "table")["rows"]
    assert rows[1][0]["text"] == "192.0.2.40"
    assert "25 more addresses; the raw report has all" in shown(content)


def test_a_recovery_is_told_with_what_it_was() -> None:
    opened = reports.TAKEN_AT - timedelta(minutes=14)
    standing = Incident(id=1, channel="C1", target="a:443", cause="chain.incomplete", state="open", opened_at=opened)
    seen = past(reports.healthy())
    text = shown(report.outcome(seen, step(standing, seen, asked_at=seen.at)))
    assert "🟢 *recovered* after 14 minutes (was `chain.incomplete`)." in text


def test_what_changed_is_said_in_words() -> None:
    renewed = reports.leaf(sha256="cd" * 32, not_after="2027-02-23T00:00:00Z", issuer="CN=R12")
    old = past(reports.broken())
    seen = reports.healthy(
        endpoints=(reports.endpoint(chain=(renewed,), version="TLSv1.2"), reports.endpoint("192.0.2.9"))
    )
    new = replace(past(seen, 9), at=reports.TAKEN_AT + timedelta(hours=3))
    text = shown(changes.changed(old, new))
    for part in (
        "Verdict: 🔴 broken → 🟢 healthy",
        "Cause: `validity.expired` → none",
        "New addresses: `192.0.2.9`",
        "New leaf certificate",
        "Issuer: `CN=R11,O=Let's Encrypt,C=US` → `CN=R12`",
        "Expiry: `2027-01-23T00:00:00Z` → `2027-02-23T00:00:00Z`",
        "TLS version: `TLSv1.3` → `TLSv1.2`",
        "3 hours before",
    ):
        assert part in text


def test_two_equal_reports_have_no_differences() -> None:
    assert changes.differences(reports.broken(), reports.broken()) == []
    assert "Nothing changed" in shown(changes.changed(past(reports.broken()), past(reports.broken(), 9)))


def test_a_much_slower_stage_is_a_difference_and_jitter_is_none() -> None:
    slow = reports.healthy(endpoints=(reports.endpoint(timing_ms={"tcp": 10.1, "finished": 900.0}),))
    jitter = reports.healthy(endpoints=(reports.endpoint(timing_ms={"tcp": 30.0, "finished": 40.0}),))
    assert changes.differences(reports.healthy(), slow) == ["Time to finished: 12 ms → 900 ms"]
    assert changes.differences(reports.healthy(), jitter) == []


# ── hostile text ────────────────────────────────────────────────────────────────

HOSTILE = "<!channel> <@U1> <http://evil.example|click> `x` *b* \u202egnp\u200b.exe\x00\n&lt;!here&gt;"


def hostile() -> Report:
    certificate = reports.leaf(subject=f"CN={HOSTILE}", issuer=HOSTILE, names=(HOSTILE,))
    return reports.broken(
        summary=HOSTILE,
        findings=(
            reports.finding(
                explanation=HOSTILE,
                evidence=(HOSTILE,) * 3,
                title=HOSTILE,
                fix=HOSTILE,
                next_command=HOSTILE,
                source=HOSTILE,
            ),
            reports.finding("sni.name-mismatch", explanation=HOSTILE),
        ),
        gaps=(Gap(what=HOSTILE, why=HOSTILE),),
        endpoints=(reports.endpoint(chain=(certificate,), version=HOSTILE, group=HOSTILE, cipher=HOSTILE),),
    )


def test_text_from_a_certificate_pings_links_and_turns_nothing() -> None:
    contents = [
        report.headline(past(hostile())),
        report.why(past(hostile())),
        report.what_to_do(past(hostile())) or report.why(past(hostile())),
        changes.changed(past(reports.broken()), past(hostile(), 9)),
    ]
    for content in contents:
        for text in mrkdwn(content):
            assert not re.findall(r"<(?!@U1>)", text), text
            assert not re.search("[\u202e\u200b\x00]", text)


def mrkdwn(content: Content) -> list[str]:
    """Every text that Slack reads as mrkdwn."""
    found = [content.text]
    for block in (*content.blocks, *content.classic):
        if block["type"] == "section":
            found.append(block["text"]["text"])
        elif block["type"] == "context":
            found += [element["text"] for element in block["elements"]]
    return found


# ── limits, for any report ──────────────────────────────────────────────────────

_nasty = st.sampled_from(
    [HOSTILE, "<!channel>", "&" * 700, "`" * 900, "😀" * 900, "x" * 5000, "\n" * 400, "", " ", "\u200b"]
)
_text = st.text(max_size=120) | _nasty
_texts = st.lists(_text, max_size=12).map(tuple)
_code = st.sampled_from(sorted(CATALOGUE))
_address = st.ip_addresses().map(str)

_certificates = st.builds(
    CertificateReport,
    subject=_text,
    issuer=_text,
    not_before=_text,
    not_after=st.just("2027-01-23T00:00:00Z") | _text,
    sha256=_text,
    names=_texts,
)
_alerts = st.builds(
    AlertReport,
    sender=st.sampled_from(["server", "client"]),
    level=st.sampled_from(["warning", "fatal"]),
    code=st.integers(0, 255),
    name=_text,
)
_endpoints = st.builds(
    EndpointReport,
    address=_address | _text,
    connected=st.booleans(),
    failed_stage=st.none() | st.sampled_from(["tcp", "hello", "negotiation", "certificate", "client-auth", "finished"]),
    timing_ms=st.dictionaries(st.sampled_from(["dns", "tcp", "finished"]), st.none() | st.floats(0, 1e7)),
    version=st.none() | _text,
    cipher=st.none() | _text,
    group=st.none() | _text,
    alpn=st.none() | _text,
    alert=st.none() | _alerts,
    chain=st.lists(_certificates, max_size=2).map(tuple),
)
_findings = st.builds(
    FindingReport,
    code=_code,
    mode=st.integers(0, 8),
    severity=st.sampled_from(["critical", "warning", "notice"]),
    title=_text,
    explanation=_text,
    evidence=_texts,
    addresses=st.lists(_address, max_size=5).map(tuple),
    fails_for=st.lists(st.sampled_from(sorted(words.FAMILIES)) | _text, max_size=5).map(tuple),
    fix=_text,
    next_command=_text,
    source=_text,
)


_pem = st.sampled_from([100, 1500, 2800, 4000]).map(
    lambda size: f"-----BEGIN CERTIFICATE-----\n{'A' * size}\n-----END CERTIFICATE-----\n"
)
_repairs = st.builds(
    Repair,
    kind=st.sampled_from(["chain", "nginx", "haproxy", "aws", "command", "capture"]) | _text,
    text=_text | _nasty | st.text(min_size=4000, max_size=5000),
    pem=st.just("") | st.lists(_pem, max_size=9).map("".join),
    verified=st.booleans(),
)


@st.composite
def any_report(draw: st.DrawFn) -> Report:
    findings = draw(st.lists(_findings, max_size=8).map(tuple)) * draw(st.sampled_from([1, 1, 10]))
    cause = draw(st.none() | st.sampled_from([finding.code for finding in findings])) if findings else None
    return reports.healthy(
        status=draw(st.sampled_from(["ok", "warning", "broken"])),
        cause=cause,
        summary=draw(_text),
        elapsed_ms=draw(st.floats(0, 1e6)),
        findings=findings,
        gaps=draw(st.lists(st.builds(Gap, what=_text, why=_text), max_size=8).map(tuple)),
        clients=draw(
            st.lists(
                st.builds(
                    ClientReport,
                    name=st.sampled_from(sorted(words.FAMILIES)) | _text,
                    outcome=st.sampled_from(["pass", "fail"]),
                ),
                max_size=20,
            ).map(tuple)
        ),
        endpoints=draw(st.lists(_endpoints, max_size=4).map(tuple)) * draw(st.sampled_from([1, 1, 40])),
        repairs=draw(st.lists(_repairs, max_size=8).map(tuple)),
    )


def assert_within_limits(content: Content) -> None:
    assert content.text.strip()
    assert len(content.text) <= 4000
    for blocks in (content.blocks, content.classic):
        listed: list[Any] = list(blocks)
        assert validate_message(content.text, listed) == []
        assert len(listed) <= 50
        assert limits.weight(listed) <= 12_000
    for text in mrkdwn(content):
        assert not re.findall(r"<(?!@U1>)", text), text


_patient = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@_patient
@given(seen=any_report())
def test_headline_and_replies_of_any_report_keep_slacks_limits(seen: Report) -> None:
    assert_within_limits(report.headline(past(seen)))
    assert_within_limits(report.why(past(seen)))
    if (remedy := report.what_to_do(past(seen))) is not None:
        assert_within_limits(remedy)
    if (chain := repair.chain_of(seen)) is not None:
        assert_within_limits(repair.chain_file(seen, chain))
        assert_within_limits(repair.in_place(past(seen), chain, report.AGAIN))
    assert repair.everything(seen)
    assert_within_limits(report.outcome(past(seen), Transition(kind="opened")))
    assert_within_limits(report.checking(seen.target, "U1", before=seen))


@_patient
@given(old=any_report(), new=any_report())
def test_the_changes_between_any_two_reports_keep_slacks_limits(old: Report, new: Report) -> None:
    assert_within_limits(changes.changed(past(old), past(new, 9)))


@_patient
@given(word=_text, target=_text, cause=st.none() | _text, summary=_text, count=st.integers(0, listing.PAGE))
def test_any_page_of_history_keeps_slacks_limits(
    word: str, target: str, cause: str | None, summary: str, count: int
) -> None:
    at = reports.TAKEN_AT
    line = CheckLine(id=3, target=target, at=at, status="broken", cause=cause, summary=summary, user="U1")
    standing = Incident(id=1, channel="C1", target=target, cause=cause or "x", state="open", opened_at=at)
    for later in (False, True):
        content = listing.history(
            word[:253], [line] * count, [standing] * count, at, has_older=count > 0, is_later_page=later
        )
        assert_within_limits(content)


@_patient
@given(text=_text)
def test_any_answer_and_any_help_keep_slacks_limits(text: str) -> None:
    assert_within_limits(words.answer(text))
    assert_within_limits(help.help_about(text))
    assert_within_limits(report.declined(reports.healthy().target, text))


@_patient
@given(text=st.text(max_size=400) | _nasty, limit=st.integers(2, 300))
def test_foreign_text_is_capped_and_whole(text: str, limit: int) -> None:
    made = limits.foreign(text, limit)
    assert limits.length(made) <= limit
    assert not re.search(r"[<>`]", made)
    assert re.sub(r"&(amp|lt|gt);", "", made).count("&") == 0


def test_what_does_not_fit_is_counted() -> None:
    content = limits.fit("t", [limits.section("x" * 2900)] * 6)
    assert content.blocks[-1]["elements"][0]["text"] == "… 2 more; the raw report has all."
