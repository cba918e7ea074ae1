"""Triage in the local workspace: by command, by button, by shortcut; answered, overruled, raced for and resumed.

Long: every door and every act of one conversation.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.history import History
from bot.model import Check, Intake
from bot.render import report
from bot.render import triage as render
from probes.model import Report, UsageError
from tests.bot import reports
from tests.bot.conftest import Desk, Json, said


async def questions(desk: Desk, containing: str = "Triage") -> Json:
    """The bot's message that asks, once it does."""

    def found() -> Json | None:
        return next((m for m in desk.bot_messages() if m["text"].startswith("Triage") and containing in said(m)), None)

    message = await desk.workspace.wait_for(found)
    assert message is not None
    return message


def action_of(message: Json, label: str) -> str:
    """The action id of the button that reads *label*."""
    for block in message["blocks"]:
        for element in block.get("elements", ()):
            if element.get("type") == "button" and element["text"]["text"] == label:
                return str(element["action_id"])
    raise AssertionError(f"no button {label!r} in {said(message)}")


async def press(desk: Desk, message: Json, label: str, then: str) -> None:
    """Press the button that reads *label*, and wait until the message says *then*."""
    delivery = await desk.workspace.click(message, action_of(message, label))
    assert delivery.is_acked
    await desk.workspace.wait_for(lambda: then in said(message))


CONFIRMED = (
    ("One host", "question 2 of 4"),
    ("Nothing was changed", "question 3 of 4"),
    ("All clients", "question 4 of 4"),
    ("After the ServerHello", "likely cause"),
)


async def test_a_command_checks_and_asks_in_the_thread(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk, "One host or many?")
    headline = await desk.headline("is broken")
    assert message["thread_ts"] == headline["ts"]
    assert "probed 1 address: it fails" in said(message)
    for label, then in CONFIRMED:
        await press(desk, message, label, then)
    shown = said(message)
    assert "`validity.expired` (over 95 %)" in shown
    assert shown.count("(as suggested)") == 4
    assert "openssl s_client -connect 192.0.2.7:443" in shown
    assert "*Proves it:*" in shown
    assert "*Refutes it:*" in shown
    await desk.settled()
    assert len(desk.bot_messages()) == 4  # headline, why, what to do, triage


# ── the three doors ─────────────────────────────────────────────────────────────

ERROR = "x509: certificate has expired or is not yet valid"


async def checked(desk: Desk, host: str = "api.example.com", channel: str | None = None) -> Json:
    await desk.tls(f"check {host}", channel=channel)
    if channel is None:
        headline = await desk.headline("is broken")
    else:
        await desk.workspace.wait_for(lambda: any("is broken" in m["text"] for m in desk.bot_messages(channel)))
        headline = next(m for m in desk.bot_messages(channel) if "is broken" in m["text"])
    await desk.replies(headline, 2, channel)
    await desk.settled()
    return headline


def alert(desk: Desk, text: str = "", **more: Any) -> Json:
    """A message of another app in #incidents."""
    ws = desk.workspace
    message = {"bot_id": "B0ALERTS", "subtype": "bot_message", "username": "alerts", "text": text, **more}
    return ws.post(ws.team.channel(ws.incidents), message)


async def diagnose(desk: Desk, message: Json, user: str | None = None) -> None:
    ws = desk.workspace
    delivery = await ws.message_shortcut(user or ws.me, render.SHORTCUT, ws.incidents, message["ts"])
    assert delivery.is_acked


async def test_the_button_under_a_broken_verdict_asks_below_it_once(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.workspace.click(headline, report.TRIAGE)
    message = await questions(desk)
    assert message["thread_ts"] == headline["ts"]
    assert len(desk.checker.asked) == 1
    await desk.workspace.click(headline, report.TRIAGE, user=desk.workspace.other)
    await desk.whisper("goes on in that thread already")
    await desk.settled()
    assert len(desk.bot_messages()) == 4


async def test_a_healthy_verdict_has_no_such_button(desk: Desk) -> None:
    desk.checker.answer = reports.healthy()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is healthy")
    assert report.TRIAGE not in str(headline["blocks"])


async def test_the_shortcut_reads_an_alert_of_another_app(desk: Desk) -> None:
    fields = [
        {"title": "instance", "value": "<https://api.example.com:8443/health>"},
        {"title": "error", "value": ERROR},
    ]
    root = alert(
        desk, attachments=[{"title": "ProbeFailed", "title_link": "https://grafana.example/7", "fields": fields}]
    )
    await diagnose(desk, root)
    message = await questions(desk)
    assert message["thread_ts"] == root["ts"]
    assert "`api.example.com:8443`" in said(message)
    assert "The error text points to `validity.expired`" in said(message)
    assert str(desk.checker.asked[0].target) == "api.example.com:8443"
    thread = desk.workspace.thread(desk.workspace.incidents, root["ts"])
    assert [m["ts"] for m in thread][-1] == message["ts"]  # below the verdict and its details


async def test_of_the_message_no_word_is_kept(desk: Desk) -> None:
    await diagnose(desk, alert(desk, f"SECRETWORD https://api.example.com {ERROR}"))
    await questions(desk)
    await desk.settled()
    with closing(sqlite3.connect(desk.database)) as database:
        assert "SECRETWORD" not in "\n".join(database.iterdump())


async def test_a_recent_check_is_not_made_again(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    assert message["thread_ts"] == headline["ts"]
    assert len(desk.checker.asked) == 1
    await desk.whisper("The four questions are in the thread of `api.example.com`")


async def test_a_mention_in_a_thread_speaks_of_what_was_checked_there(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.workspace.mention(desk.workspace.other, desk.workspace.incidents, "triage", headline["ts"])
    message = await questions(desk)
    assert message["thread_ts"] == headline["ts"]
    assert "`api.example.com`" in said(message)
    assert f"begun by <@{desk.workspace.other}>" in said(message)
    assert len(desk.checker.asked) == 1


async def test_a_check_that_policy_forbids_leaves_the_questions(desk: Desk) -> None:
    desk.checker.answer = UsageError("169.254.169.254 is a cloud metadata address; this bot does not connect there.")
    await desk.tls("triage 169.254.169.254")
    message = await questions(desk)
    assert "Nothing that I saw answers this one." in said(message)
    assert any("was not checked" in m["text"] for m in desk.bot_messages())


async def test_a_check_that_fails_by_our_fault_leaves_the_questions(desk: Desk) -> None:
    desk.checker.answer = RuntimeError("boom")
    await desk.tls("triage api.example.com")
    await questions(desk, "One host or many?")
    assert any("could not be checked" in m["text"] for m in desk.bot_messages())


# ── without a host ──────────────────────────────────────────────────────────────


async def test_without_a_host_it_asks_for_one_in_a_form(desk: Desk) -> None:
    await desk.tls("triage")
    message = await questions(desk, "Which host is it about?")
    await desk.workspace.click(message, render.HOST)
    await desk.workspace.submit_view(values={render.FIELD: {render.FIELD: {"value": "api .example"}}})
    view = desk.workspace.view()
    assert view is not None
    assert "I read" in view["errors"][render.FIELD]
    await desk.workspace.submit_view(values={render.FIELD: {render.FIELD: {"value": "api.example.com:8443"}}})
    await desk.workspace.wait_for(lambda: "question 1 of 4" in said(message))
    assert "`api.example.com:8443`" in said(message)
    assert "probed 1 address: it fails" in said(message)
    thread = desk.workspace.thread(desk.workspace.incidents, message["ts"])
    await desk.workspace.wait_for(lambda: any("is broken" in m["text"] for m in thread))


async def test_it_works_on_an_error_text_alone(desk: Desk) -> None:
    await desk.tls(f"triage {ERROR}")
    message = await questions(desk, "Which host is it about?")
    await press(desk, message, "Go on without one", "question 1 of 4")
    await press(desk, message, "Don't know", "question 2 of 4")
    await press(desk, message, "Nothing was changed", "question 3 of 4")
    await press(desk, message, "All clients", "question 4 of 4")
    assert "Probably *After the ServerHello*" in said(message)
    await press(desk, message, "After the ServerHello", "likely cause")
    assert "`validity.expired`" in said(message)
    assert desk.checker.asked == []


async def test_with_nothing_known_it_says_so(desk: Desk) -> None:
    await desk.tls("triage")
    message = await questions(desk, "Which host is it about?")
    await press(desk, message, "Go on without one", "question 1 of 4")
    for then in ("question 2 of 4", "question 3 of 4", "question 4 of 4", "nothing to go on yet"):
        await press(desk, message, "Don't know", then)
    assert "tls check HOST" in said(message)


async def test_back_leads_to_the_host_again(desk: Desk) -> None:
    await desk.tls("triage")
    message = await questions(desk, "Which host is it about?")
    await press(desk, message, "Go on without one", "question 1 of 4")
    await press(desk, message, "Back", "Which host is it about?")


# ── answering ───────────────────────────────────────────────────────────────────


async def test_an_overruled_suggestion_is_told_with_who_overruled_it(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    delivery = await desk.workspace.click(message, action_of(message, "Many hosts"), user=desk.workspace.other)
    assert delivery.is_acked
    await desk.workspace.wait_for(lambda: "question 2 of 4" in said(message))
    assert f"*Many hosts* (suggested: One host) · <@{desk.workspace.other}>" in said(message)


async def test_back_takes_an_answer_back_and_the_outcome_too(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    for label, then in CONFIRMED:
        await press(desk, message, label, then)
    await press(desk, message, "Back", "question 4 of 4")
    await press(desk, message, "Back", "question 3 of 4")
    await press(desk, message, "Containers or VMs only", "question 4 of 4")
    await press(desk, message, "Don't know", "likely cause")
    assert "docker exec CONTAINER date -u" in said(message)


async def test_client_certificates_bring_the_accepted_cas(desk: Desk) -> None:
    place = reports.endpoint(client_auth="required", ca_names=("CN=Payments CA",))
    found = reports.finding("mtls.certificate-required", explanation="It wants a client certificate.")
    desk.checker.answer = reports.broken(code="mtls.certificate-required", endpoints=(place,), findings=(found,))
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    for then in ("question 2", "question 3"):
        await press(desk, message, "Don't know", then)
    assert "Probably *Clients with certificates only*" in said(message)
    await press(desk, message, "Clients with certificates only", "question 4")
    await press(desk, message, "Don't know", "likely cause")
    assert "the server accepts those issued by" in said(message)
    assert "`CN=Payments CA`" in said(message)


async def test_of_two_people_who_click_at_once_one_answers_and_one_is_told(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    one, many = action_of(message, "One host"), action_of(message, "Many hosts")
    await asyncio.gather(ws.click(message, one, user=ws.me), ws.click(message, many, user=ws.other))
    await desk.whisper("answered that question already")
    await ws.wait_for(lambda: "question 2 of 4" in said(message))
    await desk.worked_off()
    await desk.settled()
    assert len(desk.answers()) == 1
    assert ("*One host*" in said(message)) != ("*Many hosts*" in said(message))
    assert len(desk.bot_messages()) == 4


async def test_a_hundred_clicks_of_two_people_leave_one_answer_a_step(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    choices = [action_of(message, label) for label in ("One host", "Many hosts", "Don't know")]
    clicks = [ws.click(message, choices[n % 3], user=(ws.me, ws.other)[n % 2]) for n in range(30)]
    await asyncio.gather(*clicks)
    await ws.wait_for(lambda: "question 2 of 4" in said(message))
    await desk.worked_off()
    await desk.settled()
    assert said(message).count("One host or many?") == 1
    assert all("answered that question already" in said(each.message) for each in desk.answers())


def redraw(message: Json, value: str) -> None:
    """Give the first button an older value: what a click from an older drawing carries."""
    buttons = [e for b in message["blocks"] for e in b.get("elements", ()) if e.get("type") == "button"]
    buttons[0]["value"] = value


async def test_a_click_on_an_older_drawing_is_answered_calmly(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    number = next(e for b in message["blocks"] for e in b.get("elements", ()) if "value" in e)["value"].split(":")[0]
    await press(desk, message, "One host", "question 2 of 4")
    redraw(message, f"{number}:0:hosts:many")
    await desk.workspace.click(message, action_of(message, "Something was changed"))
    whisper = await desk.whisper("answered that question already: *One host*")
    assert "It asks now: New deploy or steady state?" in said(whisper.message)
    assert "question 2 of 4" in said(message)


@pytest.mark.parametrize("value", ["4711:0:hosts:one", "nonsense", "²:0"])
async def test_a_button_of_a_forgotten_walkthrough_is_answered_calmly(desk: Desk, value: str) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    redraw(message, value)
    await desk.workspace.click(message, action_of(message, "One host"))
    await desk.whisper("no longer know the walkthrough")


@pytest.mark.parametrize("fault", ["deliver_twice", "deliver_to_all"])
async def test_payloads_delivered_twice_change_nothing_more(desk: Desk, fault: str) -> None:
    setattr(desk.workspace.faults, fault, True)
    await diagnose(desk, alert(desk, f"https://api.example.com {ERROR}"))
    message = await questions(desk)
    await desk.settled()
    for label, then in CONFIRMED:
        await press(desk, message, label, then)
    await desk.worked_off()
    await desk.settled()
    assert len(desk.checker.asked) == 1
    assert desk.answers() == []
    assert len(desk.bot_messages()) == 4


# ── other hosts of the certificate ──────────────────────────────────────────────


async def test_siblings_are_asked_lightly_and_change_the_suggestion(desk: Desk) -> None:
    names = ("api.example.com", "b.example.com", "c.example.com", "d.example.com")

    def look(check: Check) -> Report:
        if not check.light:
            return reports.broken(endpoints=(reports.endpoint(chain=(reports.leaf(names=names),)),))
        if check.target.host == "d.example.com":
            raise UsageError("d.example.com resolves to 127.0.0.1, which is a loopback address.")
        return reports.broken(str(check.target)) if check.target.host == "b.example.com" else reports.healthy()

    desk.checker.answer = look
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    ask = next(e for b in message["blocks"] for e in b.get("elements", ()) if e.get("action_id") == render.SIBLINGS)
    assert ask["text"]["text"] == "Ask 3 more hosts"
    assert "b.example.com, c.example.com, d.example.com" in ask["confirm"]["text"]["text"]
    await press(desk, message, "Ask 3 more hosts", "Other hosts of this certificate")
    shown = said(message)
    assert "🔴 `b.example.com` `validity.expired`" in shown
    assert "⚪ `d.example.com` not asked: d.example.com resolves to 127.0.0.1" in shown
    assert "Probably *Many hosts*: asked 2 other hosts: 1 fails with validity.expired" in shown
    assert [check.light for check in desk.checker.asked] == [False, True, True, True]


async def test_siblings_that_could_not_be_asked_by_our_fault_can_be_asked_again(desk: Desk) -> None:
    names = ("api.example.com", "b.example.com")

    def look(check: Check) -> Report:
        if check.light and sum(each.light for each in desk.checker.asked) == 1:
            raise RuntimeError("boom")
        if check.light:
            return reports.healthy()
        return reports.broken(endpoints=(reports.endpoint(chain=(reports.leaf(names=names),)),))

    desk.checker.answer = look
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    await desk.workspace.click(message, render.SIBLINGS)
    await desk.whisper("my fault")
    await desk.settled()
    await press(desk, message, "Ask 1 more host", "🟢 `b.example.com`")


# ── stopping and starting ───────────────────────────────────────────────────────


async def test_a_walkthrough_goes_on_after_a_restart(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    await press(desk, message, "One host", "question 2 of 4")
    await desk.settled()
    await desk.stop()
    await desk.start()
    for label, then in CONFIRMED[1:]:
        await press(desk, message, label, then)
    await desk.settled()
    assert len(desk.bot_messages()) == 4


async def test_an_answer_stored_and_not_worked_off_is_given_at_the_next_start(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("triage api.example.com")
    message = await questions(desk)
    await desk.settled()
    await desk.stop()
    history = await History.open(desk.database)
    [number] = [e["value"].split(":")[0] for b in message["blocks"] for e in b.get("elements", ()) if "value" in e][:1]
    intake = Intake(
        key="action:1", kind="action", team=ws.team.id, channel=ws.incidents, user=ws.other, action="triage.answer.0",
        text=f"{number}:0:hosts:one", received_at=datetime.now(UTC), message_ts=message["ts"],
    )  # fmt: skip
    await history.take_in(intake, verdict="accepted")
    await history.close()
    await desk.start()
    await ws.wait_for(lambda: "question 2 of 4" in said(message))
    assert f"<@{ws.other}>" in said(message)


async def test_a_triage_cut_off_during_its_check_is_begun_once(idle_desk: Desk) -> None:
    desk = idle_desk
    desk.checker.gate.clear()
    await desk.start()
    await desk.tls("triage api.example.com")
    await desk.headline("Checking")
    for task in [task for task in asyncio.all_tasks() if task.get_name().startswith("request ")]:
        task.cancel()
    await desk.stop()
    desk.checker.gate.set()
    await desk.start()
    await questions(desk)
    await desk.worked_off()
    await desk.settled()
    assert len(desk.bot_messages()) == 4


# ── rooms ───────────────────────────────────────────────────────────────────────


async def test_what_was_checked_in_private_is_not_spoken_of_elsewhere(desk: Desk) -> None:
    ws = desk.workspace
    private = ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id
    desk.checker.answer = reports.healthy("merger.example.com")
    await desk.tls("check merger.example.com", channel=private)
    await ws.wait_for(lambda: any("is healthy" in m["text"] for m in desk.bot_messages(private)))
    await desk.settled()
    desk.checker.answer = None
    await desk.tls("triage merger.example.com")
    message = await questions(desk)
    assert len(desk.checker.asked) == 2
    await press(desk, message, "One host", "question 2 of 4")
    assert "last worked" not in said(message)
    assert "when it worked" not in said(message)


async def test_a_walkthrough_of_another_channel_is_not_answered(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("triage api.example.com", channel=ws.general)
    await ws.wait_for(lambda: any(m["text"].startswith("Triage") for m in desk.bot_messages(ws.general)))
    theirs = next(m for m in desk.bot_messages(ws.general) if m["text"].startswith("Triage"))
    await desk.settled()
    value = next(e["value"] for b in theirs["blocks"] for e in b.get("elements", ()) if "value" in e)
    await desk.tls("triage b.example.com")
    message = await questions(desk)
    redraw(message, value)
    await ws.click(message, action_of(message, "One host"))
    await desk.whisper("no longer know the walkthrough")
    assert "question 1 of 4" in said(theirs)


async def test_where_the_bot_is_no_member_the_shortcut_says_how_to_invite_it(desk: Desk) -> None:
    ws = desk.workspace
    room = ws.team.add_channel("elsewhere", {ws.me}).id
    root = await ws.say(ws.me, room, f"https://api.example.com {ERROR}")
    await ws.message_shortcut(ws.me, render.SHORTCUT, room, root["ts"])
    await desk.whisper("/invite")


async def test_a_channel_that_is_not_allowed_is_refused(idle_desk: Desk) -> None:
    desk = idle_desk
    await desk.start(allowed_channels=frozenset({"C0ELSEWHERE"}))
    await diagnose(desk, alert(desk, f"https://api.example.com {ERROR}"))
    await desk.whisper("I do not answer in this channel")
    assert desk.checker.asked == []
