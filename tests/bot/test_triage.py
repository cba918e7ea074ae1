"""The four questions without Slack: the machine, what probes suggest, and what answers make of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import triage
from bot.model import Json, PastCheck
from bot.render import limits
from bot.render import triage as render
from bot.triage import QUESTIONS, UNKNOWN, Answer, Clue, Late, Sibling, Walkthrough
from bot.triage_hints import Known, hint, siblings_to_ask
from bot.triage_weights import settled_by, weighed
from probes.catalogue import CATALOGUE
from probes.explain import advice
from probes.model import AlertReport, Report, Target
from tests.bot import reports

NOW = datetime(2026, 11, 21, 22, 10, tzinfo=UTC)
EVERY_WAY = list(itertools.product(*([*question.choices, UNKNOWN] for question in QUESTIONS)))


def answers(*choices: str) -> tuple[Answer, ...]:
    return tuple(
        Answer(topic=question.topic, choice=choice, by="U1", at=NOW)
        for question, choice in zip(QUESTIONS, choices, strict=False)
    )


def walk(**changed: object) -> Walkthrough:
    begun = Walkthrough(
        id=1, team="T1", channel="C1", started_by="U1", started_at=NOW, command="check api.example.com", check=1
    )
    return replace(begun, **changed)  # type: ignore[arg-type]


def looked(report: Report | None, **changed: object) -> Known:
    check = None
    if report is not None:
        check = PastCheck(
            id=9, team="T1", channel="C1", user="U1", command="check x", headline="check:9", at=NOW, report=report
        )
    return replace(Known(now=NOW, check=check), **changed)  # type: ignore[arg-type]


def past(report: Report, at: datetime) -> PastCheck:
    return PastCheck(
        id=3, team="T1", channel="C1", user="U1", command="check x", headline="check:3", at=at, report=report
    )


# ── the outcome ─────────────────────────────────────────────────────────────────


def test_each_of_the_eight_modes_is_reached_by_answers_alone() -> None:
    reached = {CATALOGUE[best[0].code].mode for way in EVERY_WAY if (best := weighed(answers(*way), None, ()))}
    assert reached >= {1, 2, 3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize(
    ("way", "mode"),
    [
        (("one", "new", "all", "after"), 1),
        (("one", "new", "family", "after"), 2),
        (("one", "new", "family", "before"), 3),
        (("many", "steady", "all", "after"), 4),
        (("many", "steady", "containers", "after"), 4),
        (("one", "new", "mtls", "after"), 5),
        (("many", "steady", "family", "after"), 6),
        (("some", "steady", "all", "after"), 7),
        (("some", "steady", "all", "before"), 7),
        (("some", "new", "family", "before"), 8),
        (("many", "steady", "all", "before"), 0),
    ],
)
def test_the_textbook_pictures_lead_to_their_modes(way: tuple[str, ...], mode: int) -> None:
    assert CATALOGUE[weighed(answers(*way), None, ())[0].code].mode == mode


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_what_a_check_proved_stands_when_nobody_knows_better(code: str) -> None:
    entry = CATALOGUE[code]
    if entry.severity == "notice":
        pytest.skip("a notice is no cause")
    report = reports.broken(code=code, findings=(reports.finding(code, entry.severity),))
    assert weighed(answers(*[UNKNOWN] * 4), report, ())[0].code == code


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_confirming_what_the_probes_suggest_leads_to_what_they_found(code: str) -> None:
    entry = CATALOGUE[code]
    if entry.severity == "notice":
        pytest.skip("a notice is no cause")
    report = reports.broken(code=code, findings=(reports.finding(code, entry.severity),))
    going = walk()
    while (question := going.question) is not None:
        said = hint(question.topic, going, looked(report))
        choice = said.choice if said is not None and said.choice is not None else UNKNOWN
        going = triage.answer(
            going, step=going.step, topic=question.topic, choice=choice, by="U1", at=NOW, suggested=choice
        )
    assert weighed(going.answers, report, ())[0].code == code


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_each_cause_has_a_first_command_a_proof_and_a_refutation(code: str) -> None:
    proves, refutes = settled_by(code)
    assert proves
    assert refutes
    assert advice.command(code, None)


def test_a_healthy_check_speaks_against_what_it_would_have_seen() -> None:
    way = answers("one", "steady", "all", "after")
    assert weighed(way, None, ())[0].code == "validity.expired"
    assert weighed(way, reports.healthy(), ())[0].code != "validity.expired"


def test_an_error_text_weighs_too() -> None:
    clue = Clue(code="mtls.unknown-ca", likelihood=0.8, raised_by="server", library="go")
    assert weighed(answers(UNKNOWN), None, (clue,))[0].code == "mtls.unknown-ca"


def test_with_nothing_to_go_on_no_cause_is_named() -> None:
    assert weighed(answers(*[UNKNOWN] * 4), None, ()) == ()


@given(st.sampled_from(EVERY_WAY), st.lists(st.sampled_from(sorted(CATALOGUE)), max_size=4))
def test_likelihoods_are_ordered_and_sum_to_one(way: tuple[str, ...], codes: list[str]) -> None:
    clues = tuple(Clue(code=code, likelihood=0.3, raised_by="client", library="go") for code in codes)
    found = weighed(answers(*way), None, clues)
    assert not found or abs(sum(each.likelihood for each in found) - 1) < 1e-9
    assert [each.likelihood for each in found] == sorted((each.likelihood for each in found), reverse=True)


# ── the machine ─────────────────────────────────────────────────────────────────


def test_a_click_on_an_older_drawing_changes_nothing() -> None:
    first = triage.answer(walk(), step=0, topic="hosts", choice="one", by="U1", at=NOW, suggested=None)
    for step, topic, choice in ((0, "hosts", "many"), (0, "deploy", "new"), (1, "hosts", "many"), (2, "deploy", "new")):
        with pytest.raises(Late):
            triage.answer(first, step=step, topic=topic, choice=choice, by="U2", at=NOW, suggested=None)


@pytest.mark.parametrize("choice", ["", "two", "before", "unknown?"])
def test_an_answer_that_was_never_offered_is_none(choice: str) -> None:
    with pytest.raises(Late):
        triage.answer(walk(), step=0, topic="hosts", choice=choice, by="U1", at=NOW, suggested=None)


def test_back_takes_the_last_answer_and_makes_older_buttons_late() -> None:
    first = triage.answer(walk(), step=0, topic="hosts", choice="one", by="U1", at=NOW, suggested=None)
    again = triage.back(first, step=1)
    assert (again.answers, again.step) == ((), 2)
    with pytest.raises(Late):
        triage.back(first, step=0)
    with pytest.raises(Late):
        triage.back(again, step=2)


def test_without_a_host_the_host_is_asked_for_first_and_may_be_skipped() -> None:
    asks = walk(command=None, check=None)
    assert asks.question is None
    assert not asks.is_concluded
    skipped = triage.without_host(asks, step=0)
    assert skipped.question is QUESTIONS[0]
    assert triage.back(skipped, step=1).wants_host
    named = triage.with_host(asks, "check a.example", 4)
    assert named.question is QUESTIONS[0]
    with pytest.raises(Late):
        triage.with_host(named, "check b.example", 5)


def test_siblings_are_asked_once_and_an_interrupted_request_goes_on() -> None:
    begun = triage.asking(walk(), step=0, request=7)
    assert triage.asking(begun, step=0, request=7) is begun
    with pytest.raises(Late):
        triage.asking(begun, step=0, request=8)
    answered = triage.answer(begun, step=0, topic="hosts", choice="one", by="U1", at=NOW, suggested=None)
    told = triage.asked(answered, 7, (Sibling(host="b.example", status="ok"),))
    assert told.answers == answered.answers
    with pytest.raises(Late):
        triage.asked(told, 7, ())


@given(st.lists(st.tuples(st.sampled_from(["answer", "back", "late"]), st.integers(0, 3)), max_size=30))
def test_any_clicks_in_any_order_leave_a_walkthrough_that_goes_on(clicks: list[tuple[str, int]]) -> None:
    going = walk()
    for act, number in clicks:
        before, question, step = going, going.question, going.step
        try:
            if act == "back":
                going = triage.back(going, step=step)
            elif question is not None:
                choice = [*question.choices, UNKNOWN][min(number, len(question.choices))]
                stale = step - 1 if act == "late" else step
                going = triage.answer(
                    going, step=stale, topic=question.topic, choice=choice, by="U1", at=NOW, suggested=None
                )
        except Late:
            continue
        assert going is before or going.step == step + 1
    assert [each.topic for each in going.answers] == [each.topic for each in QUESTIONS[: len(going.answers)]]


# ── what the probes suggest ─────────────────────────────────────────────────────


def test_one_of_three_addresses_failing_is_some() -> None:
    report = reports.broken(
        code="balancer.address-down",
        findings=(reports.finding("balancer.address-down", addresses=("192.0.2.8",)),),
        endpoints=tuple(reports.endpoint(address) for address in ("192.0.2.7", "192.0.2.8", "192.0.2.9")),
    )
    said = hint("hosts", walk(), looked(report))
    assert said is not None
    assert (said.choice, said.why) == ("some", "probed 3 addresses: 1 fails")


def test_siblings_that_fail_alike_are_many() -> None:
    seen = (
        Sibling(host="b.example", status="broken", cause="validity.expired"),
        Sibling(host="c.example", status="ok"),
        Sibling(host="d.example", status=None, why="refused"),
    )
    said = hint("hosts", walk(siblings=seen), looked(reports.broken()))
    assert said is not None
    assert (said.choice, said.why) == ("many", "asked 2 other hosts: 1 fails with validity.expired")
    passing = hint("hosts", walk(siblings=seen[1:2]), looked(reports.broken()))
    assert passing is not None
    assert passing.choice == "one"


def test_open_incidents_elsewhere_are_many() -> None:
    said = hint("hosts", walk(), looked(reports.broken(), elsewhere=("b.example:443",)))
    assert said is not None
    assert (said.choice, said.why) == ("many", "b.example:443 has an open incident in this channel too")


def test_another_certificate_than_when_it_worked_is_new() -> None:
    old = reports.healthy(endpoints=(reports.endpoint(chain=(reports.leaf(sha256="cd" * 32),)),))
    said = hint("deploy", walk(), looked(reports.broken(), last_good=past(old, NOW - timedelta(hours=2))))
    assert said is not None
    assert said.choice == "new"
    assert "2 hours ago, another certificate is served" in said.why


def test_the_same_as_when_it_worked_is_steady() -> None:
    good = past(reports.healthy(), NOW - timedelta(days=3))
    said = hint("deploy", walk(), looked(reports.broken(), last_good=good))
    assert said is not None
    assert said.choice == "steady"
    assert "3 days ago" in said.why


def test_a_certificate_of_fourteen_minutes_is_new() -> None:
    fresh = reports.leaf(not_before="2026-11-21T21:56:00Z")
    report = reports.broken(endpoints=(reports.endpoint(chain=(fresh,)),))
    said = hint("deploy", walk(), looked(report))
    assert said is not None
    assert (said.choice, said.why) == ("new", "the certificate is valid for 14 minutes only")


def test_who_fails_tells_all_from_one_family() -> None:
    everyone = hint("clients", walk(), looked(reports.broken()))
    assert everyone is not None
    assert (everyone.choice, everyone.why) == ("all", "every client fails")
    some = reports.broken(clients=reports.clients(failing=("go", "java")))
    said = hint("clients", walk(), looked(some))
    assert said is not None
    assert said.choice == "family"
    assert "Go and Java fail" in said.why


def test_an_alert_before_the_server_hello_is_before() -> None:
    alert = AlertReport(sender="server", level="fatal", code=40, name="handshake_failure")
    place = reports.endpoint(failed_stage="negotiation", alert=alert, chain=())
    report = reports.broken(code="negotiation.cipher", endpoints=(place,))
    said = hint("stage", walk(), looked(report))
    assert said is not None
    assert (said.choice, said.why) == ("before", "alert 40 handshake_failure before the ServerHello")


def test_an_error_text_alone_answers_where_it_is_clear() -> None:
    clue = Clue(code="chain.untrusted", likelihood=0.7, raised_by="client", library="go")
    said = hint("stage", walk(clues=(clue,), check=None), looked(None))
    assert said is not None
    assert said.choice == "after"
    vague = replace(clue, likelihood=0.2)
    assert hint("stage", walk(clues=(vague,), check=None), looked(None)) is None


def test_without_anything_known_no_question_has_a_hint() -> None:
    assert [hint(question.topic, walk(), looked(None)) for question in QUESTIONS] == [None] * 4


def test_a_report_without_addresses_suggests_without_falling() -> None:
    report = reports.broken(code="reach.dns", endpoints=(), clients=(), findings=(reports.finding("reach.dns"),))
    said = [hint(question.topic, walk(), looked(report)) for question in QUESTIONS]
    assert said[3] is not None
    assert said[3].choice == "before"


def test_at_most_five_siblings_and_no_wildcards_and_not_itself() -> None:
    names = ("api.example.com", "*.example.com", *(f"h{n}.example.com" for n in range(9)), "localhost")
    report = reports.broken(endpoints=(reports.endpoint(chain=(reports.leaf(names=names),)),))
    assert siblings_to_ask(report) == tuple(f"h{n}.example.com" for n in range(5))


# ── the message ─────────────────────────────────────────────────────────────────


def drawn(going: Walkthrough, known: Known) -> list[Json]:
    target = Target.parse("api.example.com") if going.command else None
    question = going.question
    said = hint(question.topic, going, known) if question is not None else None
    outcome = None
    if going.is_concluded:
        outcome = render.Outcome(causes=weighed(going.answers, known.report, going.clues), command="x" * 4000)
    content = render.shown(going, target, known, said, outcome)
    assert len(content.text) <= limits.FALLBACK_TEXT
    return list(content.blocks)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EVERY_WAY), st.integers(0, 4), st.sampled_from(sorted(CATALOGUE)), st.text(max_size=400))
def test_no_walkthrough_exceeds_slacks_limits(way: tuple[str, ...], given_: int, code: str, evil: str) -> None:
    evil = (evil + "<!channel>`" * 40) * 3
    leaf = reports.leaf(subject=evil, names=tuple(f"{n}.example.com" for n in range(40)))
    report = reports.broken(
        code=code,
        summary=evil,
        findings=(reports.finding(code, explanation=evil * 9, evidence=(evil,) * 30),),
        endpoints=tuple(
            reports.endpoint(f"192.0.2.{n}", chain=(leaf,), ca_names=(evil,) * 9, failed_stage="hello")
            for n in range(40)
        ),
    )
    clues = tuple(Clue(code=each, likelihood=0.2, raised_by="x", library=evil) for each in sorted(CATALOGUE)[:5])
    siblings = tuple(Sibling(host="a" * 200 + ".example", status=None, why=evil) for _ in range(5))
    for asked in ((), siblings):
        going = walk(answers=answers(*way)[:given_], clues=clues, siblings=asked)
        blocks = drawn(going, looked(report, elsewhere=(evil[:200],) * 12))
        assert len(blocks) <= limits.BLOCKS
        assert limits.weight(blocks) <= limits.WHOLE
        for block in blocks:
            texts = [block["text"]["text"]] if "text" in block else []
            texts += [each["text"] for each in block.get("elements", ()) if isinstance(each.get("text"), str)]
            assert all(limits.length(text) <= limits.SECTION for text in texts)
            assert "<!channel" not in str(texts)
            for each in block.get("elements", ()):
                if each.get("type") == "button":
                    assert len(each["value"]) <= 75
                    assert len(each["text"]["text"]) <= 75
            ids = [each["action_id"] for each in block.get("elements", ()) if "action_id" in each]
            assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", ["", "x", "1", "1:", ":1", "1:x", "-1:2", "1" * 90, "1:2:a:b:c", "²:1"])
def test_a_value_that_is_not_ours_is_read_without_falling(text: str) -> None:
    read = render.read_value(text)
    assert read is None or read[0] == 1
