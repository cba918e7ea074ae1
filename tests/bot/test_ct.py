"""Certificate Transparency in the local workspace: the real follower in its own process, our own logs on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.ct_book import CtBook
from bot.history import History
from bot.model import Intake
from bot.render import ct_issuance as render
from bot.render import incident as room
from bot.render import report
from tests.bot import reports
from tests.bot.conftest import Desk, Json, said
from tests.bot.ct_desk import HABITS, begun, children, evidence_of, followed, issuance, issuances, rows, source, until
from tests.ct.certificates import Authority
from tests.ct.logserver import CtLog, log_list
from tests.net.dns_server import DnsServer
from tests.net.test_dns_records import zone

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def log() -> Iterator[CtLog]:
    with CtLog() as each:
        each.fill(3)
        yield each


@pytest.fixture
def other_log() -> Iterator[CtLog]:
    with CtLog("willow") as each:
        each.fill(2)
        yield each


# ── one message ─────────────────────────────────────────────────────────────────


async def test_an_issuance_that_nobody_asked_for_is_told_once(
    idle_desk: Desk, log: CtLog, other_log: CtLog, tmp_path: Path
) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962"), other_log.listed("static")))
    await begun(desk, "example.test", logs=2)
    pair = Authority().issue("api.example.test", "www.example.test")
    log.submit(pair)
    message = await issuance(desk, "api.example.test")
    text = said(message)
    assert "`Example Trust`" in text and "no CA is known for example.test yet" in text
    assert "entry 3 (precertificate)" in text
    log.submit(pair, final=True)
    log.submit(pair)
    other_log.submit(pair)
    message = await issuance(desk, "also in `willow (static)`")
    assert "(certificate)" in said(message)
    await issuance(desk, "could not be looked up")
    await desk.settled()
    assert len(issuances(desk)) == 1


async def test_what_the_bot_does_not_know_yet_survives_its_restart(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    settings = source(tmp_path, log.listed("static"))
    await desk.start(ct=settings)
    await begun(desk, "example.test")
    authority = Authority()
    log.submit(authority.issue("one.example.test"))
    await issuance(desk, "one.example.test")
    await desk.stop()
    log.submit(authority.issue("two.example.test"))
    await desk.start(ct=settings)
    await issuance(desk, "two.example.test")
    await desk.settled()
    assert len(issuances(desk)) == 2


async def test_a_reader_that_is_killed_repeats_nothing_and_skips_nothing(
    idle_desk: Desk, log: CtLog, tmp_path: Path
) -> None:
    desk, authority = idle_desk, Authority()
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    for number in range(4):
        log.fill(5)
        log.submit(authority.issue(f"n{number}.example.test"))
        if number % 2:
            await issuance(desk, f"n{number}.example.test")
        [child] = children("bot.ct_follower")
        os.kill(child, signal.SIGKILL)
        await until(lambda dead=child: children("bot.ct_follower") not in ([], [dead]))  # type: ignore[misc]
    for number in range(4):
        await issuance(desk, f"n{number}.example.test")
    await desk.settled()
    assert len(issuances(desk)) == 4
    assert rows(desk, "select verified from ct_positions") == [(27,)]


async def test_what_is_logged_once_a_watch_is_confirmed_is_told(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    for number in range(4):
        await desk.tls(f"ct watch d{number}.test")
        await desk.whisper(f"`d{number}.test`: I watch it from now on")
        log.submit(Authority().issue(f"api.d{number}.test"))
        await issuance(desk, f"api.d{number}.test")


# ── what people say ─────────────────────────────────────────────────────────────


async def test_two_people_answer_and_the_first_one_counts(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws, authority = idle_desk, idle_desk.workspace, Authority()
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.submit(authority.issue("api.example.test", key=3))
    message = await issuance(desk, "api.example.test")
    await ws.click(message, render.EXPECTED, "1:ca")
    await issuance(desk, f"Expected, says <@{ws.me}>")
    assert render.INVESTIGATE not in json.dumps(issuances(desk)[0]["blocks"])
    log.submit(authority.issue("next.example.test", key=4))
    await until(lambda: rows(desk, "select count(*) from ct_cases where state = 'expected'") == [(1,)])
    log.submit(Authority("Other CA").issue("third.example.test", key=4))
    assert "neither its CA nor its key is known for example.test" in said(await issuance(desk, "third.example.test"))
    await desk.settled()
    assert len(issuances(desk)) == 2
    [audit] = rows(desk, "select verdict, target, user from audit where action = 'ct.expected'")
    assert audit == ("done: ca", "example.test", ws.me)


async def test_clicks_that_cross_each_other_have_one_effect(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.submit(Authority().issue("api.example.test"))
    message = await issuance(desk, "api.example.test")
    await asyncio.gather(
        ws.click(message, render.INVESTIGATE),
        ws.click(message, render.EXPECTED, "1:key", user=ws.other),
    )
    await desk.settled()
    [(state, by)] = rows(desk, "select state, answered_by from ct_cases")
    assert (state, by) in {("investigated", ws.me), ("approved", ws.other)}
    verdicts = sorted(verdict for (verdict,) in rows(desk, "select verdict from audit where action like 'ct.%'"))
    assert len(verdicts) == 2 and sum(verdict.startswith("declined") for verdict in verdicts) == 1
    await desk.whisper(f"<@{by}>")


async def test_investigating_opens_an_incident_in_that_very_message(
    idle_desk: Desk, log: CtLog, tmp_path: Path
) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.submit(Authority().issue("api.example.test"))
    message = await issuance(desk, "api.example.test")
    await ws.click(message, render.INVESTIGATE)
    message = await issuance(desk, "INC-1")
    shown = json.dumps(message["blocks"])
    assert "Take command" in shown and "Watch until fixed" not in shown and "since it worked" not in shown

    def advice() -> Json | None:
        return next((m for m in ws.thread(ws.incidents, message["ts"]) if "What to do" in m["text"]), None)

    told = await ws.wait_for(advice)
    assert told is not None
    for word in ("CAA 0 issue", "revoked", "ccadb.org", "accounturi"):
        assert word in said(told)
    # Looked into, and found to be the CDN's after all.
    assert "Expected…" in said(told)
    await ws.click(told, render.EXPECTED, "1:ca:later", user=ws.other)
    message = await issuance(desk, "It was told because")
    assert rows(desk, "select state, remembered, incident from ct_cases") == [("approved", "ca", 1)]
    await ws.click(message, room.COMMAND_TAKEN, user=ws.other)
    await issuance(desk, f"*Commander* <@{ws.other}>")
    await ws.click(message, room.MORE, "1:timeline")
    assert "was logged" in said((await desk.whisper("Timeline of INC-1")).message)
    await ws.click(message, room.POSTMORTEM)

    def names() -> list[str]:
        return [file["name"] for m in ws.thread(ws.incidents, message["ts"]) for file in m.get("files") or ()]

    await ws.wait_for(lambda: any(name.endswith(".md") for name in names()))
    await ws.click(message, room.RESOLVE)
    await issuance(desk, "INC-1 resolved")


# ── what proves it, and what CAA says ───────────────────────────────────────────


async def test_the_evidence_verifies_and_fails_when_it_is_altered(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    settings = source(tmp_path, log.listed("static"))
    await desk.start(ct=settings)
    await begun(desk, "example.test")
    log.submit(Authority().issue("api.example.test"))
    message = await issuance(desk, "file in the thread")
    text = await evidence_of(desk, message)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(text)
    found = json.loads(text)
    assert found["certificate"]["names"] == ["api.example.test"]
    proof = found["evidence"]["audit_path"]
    proof[0] = proof[0][:4] + ("A" if proof[0][4] != "A" else "B") + proof[0][5:]
    bad.write_text(json.dumps(found))
    command = [sys.executable, "-m", "probes", "ct", "verify", "--log-list", settings.log_list]

    def verified(path: Path) -> tuple[int, str]:
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, cwd=ROOT, check=False)
        return done.returncode, done.stdout

    status, told = await asyncio.to_thread(verified, good)
    assert status == 0 and "is in the tree of 4 that it signed" in told
    status, told = await asyncio.to_thread(verified, bad)
    assert status == 1 and "does not lead from the entry to the head" in told


async def test_caa_that_forbids_is_told_even_of_an_expected_ca(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    async with DnsServer(zone(example_test=['0 issue "digicert.com"'])) as server:
        await desk.start(ct=source(tmp_path, log.listed("rfc6962"), resolver=server.endpoint))
        await begun(desk, "example.test", options='--expect-ca "Let\'s Encrypt"')
        log.submit(Authority("Let's Encrypt").issue("api.example.test"))
        message = await issuance(desk, "CAA forbids its CA to issue for this name")
        assert "forbidden for `api.example.test`" in said(message) and "`digicert.com`" in said(message)
        assert said(message).startswith("A certificate") and "🔴" in said(message)


async def test_an_account_that_caa_names_is_told(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    record = '0 issue "letsencrypt.org; accounturi=https://acme.test/acct/7; validationmethods=dns-01"'
    async with DnsServer(zone(example_test=[record])) as server:
        await desk.start(ct=source(tmp_path, log.listed("rfc6962"), resolver=server.endpoint))
        await begun(desk, "example.test")
        log.submit(Authority("Let's Encrypt").issue("api.example.test"))
        message = await issuance(desk, "https://acme.test/acct/7")
    assert "`dns-01`" in said(message) and "ask the CA" in said(message)


async def test_expected_issuances_are_silent_and_remembered(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test", options='--expect-ca "Example Trust"')
    log.submit(Authority().issue("api.example.test"))
    await until(lambda: rows(desk, "select state from ct_cases") == [("expected",)])
    await desk.settled()
    assert not issuances(desk)
    await desk.tls("digest now")
    assert "1 certificate issued as expected" in said(await desk.headline("TLS digest"))


# ── rooms and workspaces ────────────────────────────────────────────────────────


async def test_each_channel_has_its_own_message_and_its_own_answer(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    private = ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    await begun(desk, "secret.example.test", channel=private)
    log.submit(Authority().issue("api.secret.example.test"))
    here = await issuance(desk, "api.secret.example.test", channel=private)
    await desk.settled()
    assert not issuances(desk)  # the nearest watched domain is the private channel's
    await ws.click(here, render.EXPECTED, "1:ca", channel=private)
    await issuance(desk, "Expected, says", channel=private)
    log.submit(Authority().issue("api.example.test"))
    await issuance(desk, "no CA is known for example.test yet")  # what was approved elsewhere says nothing here
    await ws.click(issuances(desk)[0], render.EXPECTED, "2:ca", user=ws.other)
    await desk.settled()
    assert rows(desk, "select state from ct_cases where id = 2") == [("approved",)]
    await desk.tls("ct list")
    shown = said((await desk.whisper("domain")).message)
    assert "secret" not in shown


async def test_a_button_of_another_channel_does_nothing(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.submit(Authority().issue("api.example.test"))
    await issuance(desk, "api.example.test")
    await desk.stop()
    history = await History.open(desk.database)
    try:
        for team, channel in (("T0OTHER", desk.workspace.incidents), (desk.workspace.team.id, desk.workspace.general)):
            pressed = Intake(
                key=f"forged {team} {channel}", kind="action", team=team, channel=channel, user="U1", text="1:ca",
                action=render.EXPECTED, received_at=datetime.now(UTC),
            )  # fmt: skip
            number = await history.take_in(pressed, verdict="accepted")
            assert number is not None
            await CtBook(history).answer(replace(pressed, id=number), datetime.now(UTC))
    finally:
        await history.close()
    assert rows(desk, "select state from ct_cases") == [("open",)]
    assert not rows(desk, "select 1 from ct_approvals")


async def test_whoever_is_no_admin_calls_nothing_expected(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    settings = source(tmp_path, log.listed("rfc6962"))
    await desk.start(ct=settings)
    await begun(desk, "example.test")
    await desk.stop()
    ws.team.usergroups["S0ADMINS"] = [ws.other]
    await desk.start(ct=settings, admin_usergroups=frozenset({"S0ADMINS"}))
    log.submit(Authority().issue("api.example.test"))
    message = await issuance(desk, "api.example.test")
    await desk.tls("ct watch other.test")
    await desk.whisper("Watched domains stay as they are")
    await desk.tls("ct remove example.test")
    await ws.click(message, render.EXPECTED, "1:ca")
    await desk.whisper("Answers to certificates stay as they are")
    await desk.settled()
    assert rows(desk, "select domain from ct_guards") == [("example.test",)]
    assert rows(desk, "select state from ct_cases") == [("open",)]
    await ws.click(message, render.INVESTIGATE)
    await issuance(desk, "INC-1")


# ── strange certificates ────────────────────────────────────────────────────────


async def test_hostile_names_ping_and_link_nobody(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    hostile = Authority("<!channel> *Free* `CA` <https://evil.test|click>")
    log.submit(hostile.issue("api.example.test", common_name="<!here>.example.test"))
    message = await issuance(desk, "api.example.test")
    text = json.dumps(message["blocks"]) + message["text"]
    assert "<!channel>" not in text and "<!here>" not in text and "<https://evil.test" not in text
    await desk.workspace.click(message, render.INVESTIGATE)
    await issuance(desk, "INC-1")
    await desk.settled()
    told = json.dumps(desk.bot_messages())
    assert "<!channel>" not in told and "<!here>" not in told and "<https://evil.test" not in told


# ── logs ────────────────────────────────────────────────────────────────────────


async def test_a_log_that_lies_is_told_once_with_what_it_signed(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    honest = log.history
    log.history = log.history.forked(1)
    message = await desk.headline("split view")
    assert "different" in said(message)
    file = json.loads(await evidence_of(desk, message))
    assert file["kind"] == "split-view" and file["evidence"]["head"] and file["evidence"]["other_head"]
    log.history = honest
    log.fill(1)
    await until(lambda: rows(desk, "select verified from ct_positions") == [(4,)])
    await desk.settled()
    assert sum("split view" in m["text"] for m in desk.bot_messages()) == 1
    await desk.tls("ct status")
    assert "two different trees" in said((await desk.whisper("It is working")).message)


async def test_a_bad_signature_is_told_and_taken_back(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("static")))
    await begun(desk, "example.test")
    log.bad_signature = True
    message = await desk.headline("wrong signature")
    log.bad_signature = False

    def over() -> bool:
        return "is right again" in said(next(m for m in desk.bot_messages() if m["ts"] == message["ts"]))

    assert await desk.workspace.wait_for(over)


async def test_the_list_is_read_again_and_its_changes_are_told(
    idle_desk: Desk, log: CtLog, other_log: CtLog, tmp_path: Path
) -> None:
    desk = idle_desk
    settings = source(tmp_path, log.listed("rfc6962"), habits=replace(HABITS, reload_s=0.2))
    await desk.start(ct=settings)
    await begun(desk, "example.test")
    logs = log_list(log.listed("rfc6962"), other_log.listed("static"))
    logs["log_list_timestamp"] = "2026-01-02T00:00:00Z"
    Path(settings.log_list).write_text(json.dumps(logs))
    await followed(desk, 2)
    await until(lambda: any("willow (static): new" in text for (text,) in rows(desk, "select text from ct_changes")))
    await until(lambda: rows(desk, "select dated_at < 1768000000 from ct_lists") == [(1,)])
    await desk.tls("ct list")
    shown = said((await desk.whisper("domain watched here")).message)
    assert "2 logs" in shown and "days old" in shown and "willow" not in shown
    await desk.tls("ct status")
    assert "willow (static): new, usable" in said((await desk.whisper("willow")).message)


async def test_without_a_log_list_it_says_what_to_set(desk: Desk) -> None:
    await desk.tls("ct watch example.com")
    assert "CT_LOG_LIST" in said((await desk.whisper("is not watched")).message)
    await desk.tls("ct list")
    await desk.settled()
    assert not rows(desk, "select 1 from ct_guards")
    assert not children("bot.ct_follower")


async def test_a_list_that_cannot_be_read_is_said(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    settings = source(tmp_path, log.listed("rfc6962"))
    Path(settings.log_list).write_text("{}")
    await desk.start(ct=settings)
    await desk.tls("ct watch example.test")
    await desk.worked_off()

    async def told() -> str:
        await desk.tls("ct status")
        await desk.settled()
        return said(desk.workspace.whispers()[-1].message)

    async with asyncio.timeout(20):
        while "It is not working" not in await told():
            await asyncio.sleep(0.1)
    assert "no log list" in await told()


async def test_with_the_last_domain_the_reader_ends(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    await desk.tls("ct remove example.test")
    await until(lambda: not children("bot.ct_follower"))
    log.submit(Authority().issue("api.example.test"))
    await begun(desk, "example.test")
    log.submit(Authority(seed=4).issue("later.example.test"))
    await issuance(desk, "later.example.test")
    await desk.settled()
    assert len(issuances(desk)) == 1  # what was logged while nobody watched is not told


# ── beside other parts ──────────────────────────────────────────────────────────


async def test_an_incident_tells_of_a_certificate_that_appeared_before(
    idle_desk: Desk, log: CtLog, tmp_path: Path
) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test", options='--expect-ca "Example Trust"')
    log.submit(Authority().issue("*.example.test"))
    await until(lambda: rows(desk, "select state from ct_cases") == [("expected",)])
    desk.checker.answer = lambda check: reports.broken(str(check.target))
    await desk.tls("check api.example.test")
    root = await desk.headline("is broken")

    def context() -> Json | None:
        thread = ws.thread(ws.incidents, root["ts"])
        return next((m for m in thread if "appeared in Certificate Transparency" in said(m)), None)

    told = await ws.wait_for(context)
    assert told is not None and "before the failure: by `Example Trust`" in said(told)
    await ws.click(root, room.MORE, "1:timeline")
    assert "a new certificate for ∗.example.test" in said((await desk.whisper("Timeline of INC-1")).message)
    await ws.click(root, room.MORE, "1:worked")
    worked = said((await desk.whisper("found it working yet")).message)
    assert "appeared in Certificate Transparency" in worked and "before the failure: by `Example Trust`" in worked


async def test_what_changed_tells_of_a_certificate_that_appeared_meanwhile(
    idle_desk: Desk, log: CtLog, tmp_path: Path
) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test", options='--expect-ca "Example Trust"')
    desk.checker.answer = lambda check: reports.healthy(str(check.target))
    await desk.tls("check api.example.test")
    await desk.headline("api.example.test is healthy")
    log.submit(Authority().issue("api.example.test"))
    await until(lambda: rows(desk, "select state from ct_cases") == [("expected",)])
    await desk.tls("check api.example.test")
    again = await desk.headline("api.example.test is healthy", count=2)
    await ws.click(again, report.CHANGED)
    changed = said((await desk.replies(again, 2))[-1])
    assert "appeared in Certificate Transparency" in changed and "before this check: by `Example Trust`" in changed
    assert "Nothing changed" not in changed


async def test_a_home_tells_how_it_stands(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, ws = idle_desk, idle_desk.workspace
    private = ws.team.add_channel("board", {ws.other, ws.bot}, is_private=True).id
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))

    async def home() -> str:
        await ws.open_home(ws.me)
        await desk.settled()
        return json.dumps(ws.modals.homes[ws.me], ensure_ascii=False)

    assert "None of your channels watches a domain" in await home()
    await begun(desk, "example.test")
    await desk.tls("ct watch secret.test", channel=private, user=ws.other)
    log.submit(Authority().issue("api.example.test"))
    await issuance(desk, "api.example.test")
    shown = await home()
    assert "🟢 1 domain watched, 1 log followed, none of them behind" in shown
    assert f"wait for an answer: <#{ws.incidents}> 1" in shown


async def test_look_alikes_stand_in_the_digest_alone(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "examplebank.test")
    log.submit(Authority().issue("exarnplebank.test"))
    log.submit(Authority(seed=5).issue("exarnplebank.test"))
    await until(lambda: rows(desk, "select name from ct_lookalikes") == [("exarnplebank.test",)])
    await desk.settled()
    assert not desk.bot_messages()
    await desk.tls("digest now")
    assert "`exarnplebank.test` (drawn like `examplebank.test`)" in said(await desk.headline("TLS digest"))


async def test_an_unanswered_one_stands_in_the_digest(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.submit(Authority().issue("api.example.test"))
    await issuance(desk, "api.example.test")
    await desk.tls("digest now")
    assert "nobody is known to have asked for" in said(await desk.headline("TLS digest"))


async def test_a_burst_shares_a_message(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk, authority = idle_desk, Authority()
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    for number in range(9):
        log.submit(authority.issue(f"n{number}.example.test"))
    message = await desk.headline("4 more certificates")
    await desk.settled()
    assert len(issuances(desk)) == 5
    assert "4 by `Example Trust`. None is answered yet." in said(message)
    await desk.tls("digest now")
    digest = await desk.headline("TLS digest: 6 things")  # the five, and what shares a message
    assert "and 3 more told with it; nobody is known to have asked for them" in said(digest)
    await desk.tls("ct list")
    assert "Waiting for an answer" in said((await desk.whisper("Waiting")).message)
    number = rows(desk, "select max(id) from ct_cases")[0][0]
    await desk.workspace.click(message, render.EXPECTED, f"{number}:ca", block_id=_last_select(message))
    await until(lambda: rows(desk, "select distinct state from ct_cases") == [("approved",)])
    await desk.workspace.wait_for(lambda: any("All are answered." in said(each) for each in desk.bot_messages()))


def _last_select(message: Json) -> str:
    return str([block for block in message["blocks"] if "accessory" in block][-1]["block_id"])
