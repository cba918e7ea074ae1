"""The corrected chain in Slack: one file in the thread, the right bytes, once, and *Run again* beside it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import SocketMode
from bot.egress import Egress
from bot.history import History
from bot.local import SLACK, UNLIMITED, Limits, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Content, Note, PastCheck
from bot.prober import Prober
from bot.render import repair, report
from bot.service import serving
from probes.check import Options, default_trust
from probes.diagnose import judge
from probes.facts import Facts
from probes.lab import start
from probes.model import Fetched, Repair, Report, Target
from probes.pki.anchors import Anchors
from probes.pki.judge import assess
from probes.repairs import repairs
from probes.repairs.chain import read
from probes.repairs.place import file_stem
from tests.bot import reports
from tests.bot.conftest import Desk, said
from tests.evidence import HEALTHY, ders, evidence, healthy, issuing
from tests.pki import leaf

URL = "http://ca.test/issuing.der"
SERVED = leaf(issuing(), names=("api.example.com",), issuer_url=URL)


def mended(name: str = "api.example.com", *, fetched: bool = True) -> Report:
    """A report on a forgotten intermediate, its repairs made by the real thing."""
    asked = Target.parse(name)
    shakes = healthy(target=asked, server=replace(HEALTHY, chain=ders(SERVED)))
    got = Fetched(url=URL, certificates=(issuing().der,)) if fetched else Fetched(url=URL, problem="404 Not Found")
    seen = Facts(replace(evidence(shakes, target=asked), fetched=(got,)))
    return reports.broken(name, "chain.incomplete", repairs=repairs(seen, judge(seen)))


def files_in(desk: Desk, headline: dict[str, Any]) -> list[dict[str, Any]]:
    thread = desk.workspace.thread(desk.workspace.incidents, headline["ts"])
    return [file for message in thread for file in message.get("files") or ()]


def content_of(desk: Desk, file: dict[str, Any]) -> bytes:
    stored = desk.workspace.files.file(file["id"]).content
    assert stored is not None
    return stored


async def test_the_corrected_chain_is_a_file_in_the_thread_with_run_again_beside_it(desk: Desk) -> None:
    desk.checker.answer = mended()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    why, remedy, file, beside = await desk.replies(headline, 4)
    assert why["text"].startswith("Why: ") and remedy["text"].startswith("What to do: ")
    [shown] = file["files"]
    assert shown["name"] == "api.example.com-chain.pem"
    assert read(content_of(desk, shown).decode()) == ders(SERVED, issuing())
    assert "Corrected chain for api.example.com: 2 certificates" in file["text"]
    [button] = beside["blocks"][-1]["elements"]
    assert button["text"]["text"] == "Run again" and button["action_id"] == report.AGAIN


async def test_the_file_can_be_downloaded_from_the_page_of_the_local_workspace(desk: Desk) -> None:
    desk.checker.answer = mended()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 4)
    [file] = files_in(desk, headline)
    headers = {"Authorization": f"Bearer {desk.running.bot_token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(file["url_private_download"]) as answer:
        assert answer.status == 200
        assert await answer.read() == content_of(desk, file)


async def test_run_again_beside_the_file_runs_the_check_and_brings_no_second_file(desk: Desk) -> None:
    desk.checker.answer = mended()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    beside = (await desk.replies(headline, 4))[3]
    await desk.workspace.click(beside, report.AGAIN)
    replies = await desk.replies(headline, 5)
    assert "Checked again" in said(replies[4])
    await desk.settled()
    assert len(files_in(desk, headline)) == 1
    desk.checker.answer = reports.healthy()
    await desk.workspace.click(beside, report.AGAIN)
    assert "*recovered*" in said((await desk.replies(headline, 6))[5])


async def test_what_to_do_has_the_lines_and_a_button_for_all_of_them(desk: Desk) -> None:
    desk.checker.answer = mended()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    remedy = (await desk.replies(headline, 4))[1]
    assert "ssl_certificate     /etc/ssl/api.example.com-chain.pem;" in said(remedy)
    assert "Lines for HAProxy, Envoy, Apache, AWS, Cloudflare" in said(remedy)
    await desk.workspace.click(remedy, repair.ALL)
    replies = await desk.replies(headline, 5)
    [file] = replies[4]["files"]
    assert file["name"] == "api.example.com-repairs.txt"
    text = content_of(desk, file).decode()
    for part in ("ssl_certificate", "bind :443", "SSLCertificateFile", "tls_certificates", "aws acm", "tls check"):
        assert part in text
    assert read(text) == ders(SERVED, issuing())
    await desk.workspace.click(remedy, repair.ALL)
    await desk.whisper("in the thread already")


async def test_a_chain_that_could_not_be_built_is_no_file_but_a_reason(desk: Desk) -> None:
    desk.checker.answer = mended(fetched=False)
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    remedy = (await desk.replies(headline, 2))[1]
    await desk.settled()
    assert "404 Not Found" in said(remedy)
    assert files_in(desk, headline) == []


async def test_a_capture_recipe_is_said_in_the_thread(desk: Desk) -> None:
    recipe = "sudo tcpdump -i any -w x.pcap 'tcp port 443 and (host 192.0.2.7)'"
    desk.checker.answer = reports.broken(
        code="reach.reset", findings=(reports.finding("reach.reset"),), repairs=(Repair(kind="capture", text=recipe),)
    )
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    assert recipe in said((await desk.replies(headline, 2))[1])


# ── a bad day ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", ["missing_scope", "file_uploads_disabled", "file_upload_size_restricted"])
async def test_where_slack_takes_no_file_the_chain_is_said_in_the_thread(desk: Desk, error: str) -> None:
    desk.checker.answer = mended()
    desk.workspace.faults.answer("files.getUploadURLExternal", error=error)
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")

    def fallback() -> str | None:
        thread = desk.workspace.thread(desk.workspace.incidents, headline["ts"])
        return next((said(each) for each in thread if "could not be uploaded as a file" in said(each)), None)

    text = await desk.workspace.wait_for(fallback)
    assert text is not None
    assert read(text.replace("```", "")) == ders(SERVED, issuing())
    await desk.settled()
    assert len(desk.workspace.calls_of("files.getUploadURLExternal")) == 1  # time does not mend it
    assert files_in(desk, headline) == []


async def test_a_share_whose_answer_was_lost_is_found_and_not_made_again(desk: Desk) -> None:
    desk.checker.answer = mended()
    desk.workspace.faults.answer("files.completeUploadExternal", status=500, takes_effect=True)
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 4)
    await desk.settled()
    await desk.workspace.wait_for(lambda: len(desk.workspace.calls_of("files.info")) >= 1)
    await desk.settled()
    assert len(files_in(desk, headline)) == 1
    # The call that took effect and the answer that was lost are recorded apart.
    made = [call for call in desk.workspace.calls_of("files.completeUploadExternal") if call.error is None]
    assert len(made) == 1


async def test_a_file_is_not_asked_for_twice_where_the_bot_may_not_read_files(desk: Desk) -> None:
    desk.checker.answer = mended()
    desk.workspace.faults.answer("files.info", error="missing_scope", times=9)
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 4)
    await desk.settled()
    assert len(files_in(desk, headline)) == 1


# ── stopped between the steps ───────────────────────────────────────────────────


async def owing_a_file(desk: Desk) -> tuple[History, int]:
    history = await History.open(desk.database)
    ws = desk.workspace
    note = Note(
        key="check:1:chain",
        kind="file",
        team=ws.team.id,
        channel=ws.incidents,
        content=Content(text="Corrected chain"),
        filename="api.example.com-chain.pem",
        file_text="the chain\n",
    )
    await history.note([note])
    [owed], _ = await history.unsent(1e12)
    return history, owed.id


async def uploaded(desk: Desk) -> tuple[AsyncWebClient, str]:
    """The bytes are with Slack; nothing shows them."""
    client = AsyncWebClient(token=desk.running.bot_token, base_url=desk.running.api_url)
    content = b"the chain\n"
    place = await client.files_getUploadURLExternal(filename="api.example.com-chain.pem", length=len(content))
    async with aiohttp.ClientSession() as session, session.post(str(place["upload_url"]), data=content) as answer:
        assert answer.status == 200
    return client, str(place["file_id"])


@pytest.mark.parametrize("step", ["owed", "uploaded", "remembered", "shared"])
async def test_stopped_after_any_step_the_file_appears_once(idle_desk: Desk, step: str) -> None:
    history, owed = await owing_a_file(idle_desk)
    if step != "owed":
        client, file = await uploaded(idle_desk)
        if step != "uploaded":
            await history.uploaded(owed, time.time(), file)
        if step == "shared":
            await client.files_completeUploadExternal(
                files=[{"id": file, "title": "chain"}], channel_id=idle_desk.workspace.incidents
            )
    await history.close()
    await idle_desk.start()
    await idle_desk.workspace.wait_for(idle_desk.bot_messages)
    await idle_desk.settled()
    [message] = idle_desk.bot_messages()
    [shown] = message["files"]
    assert content_of(idle_desk, shown) == b"the chain\n"


async def test_a_share_that_slack_is_still_making_is_waited_for(idle_desk: Desk) -> None:
    history, owed = await owing_a_file(idle_desk)
    client, file = await uploaded(idle_desk)
    await history.uploaded(owed, time.time(), file)
    idle_desk.workspace.faults.share_files_after_s = 0.4
    await client.files_completeUploadExternal(
        files=[{"id": file, "title": "chain"}], channel_id=idle_desk.workspace.incidents
    )
    await history.close()
    await idle_desk.start()
    await idle_desk.workspace.wait_for(idle_desk.bot_messages)
    await idle_desk.settled()
    assert len(idle_desk.bot_messages()) == 1


async def test_an_upload_that_slack_forgot_is_made_anew(idle_desk: Desk) -> None:
    history, owed = await owing_a_file(idle_desk)
    await history.uploaded(owed, 0.0, "F00000000")
    await history.close()
    await idle_desk.start()
    await idle_desk.workspace.wait_for(idle_desk.bot_messages)
    await idle_desk.settled()
    [message] = idle_desk.bot_messages()
    assert content_of(idle_desk, message["files"][0]) == b"the chain\n"


async def test_a_bot_stopped_while_it_shares_says_it_once(idle_desk: Desk) -> None:
    idle_desk.checker.answer = mended()
    await idle_desk.start()
    idle_desk.workspace.faults.answer("files.completeUploadExternal", delay_s=0.3)
    await idle_desk.tls("check api.example.com")
    await idle_desk.workspace.wait_for(lambda: idle_desk.workspace.calls_of("files.getUploadURLExternal"))
    for task in [task for task in asyncio.all_tasks() if task.get_name().startswith("outbox ")]:
        task.cancel()
    await idle_desk.stop()
    await idle_desk.start()
    headline = await idle_desk.headline("is broken")
    await idle_desk.replies(headline, 4)
    await idle_desk.settled()
    assert len(files_in(idle_desk, headline)) == 1


class TestWithinSlacksLimits:
    @pytest.fixture
    def limits(self) -> Limits:
        return SLACK

    async def test_a_whole_verdict_with_its_files_hits_no_limit(self, desk: Desk) -> None:
        desk.checker.answer = mended()
        await desk.tls("check api.example.com")
        headline = await desk.headline("is broken")
        await desk.replies(headline, 4)
        assert [call for call in desk.workspace.calls if call.error is not None] == []


# ── pure ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["api.example.com", "192.0.2.7", "[2001:db8::7]:8443", "a_b.example", "fe80::1%eth0"])
def test_the_file_is_called_what_the_lines_call_it(name: str) -> None:
    made = reports.healthy(name)
    host = made.target.server_name or made.target.host.partition("%")[0]
    assert repair.stem(made) == file_stem(host)


def test_a_certificate_too_large_for_a_message_is_left_to_the_raw_report() -> None:
    big = "-----BEGIN CERTIFICATE-----\n" + "A" * 4000 + "\n-----END CERTIFICATE-----\n"
    chain = Repair(kind="chain", text="1 certificate", pem=big, verified=True)
    content = repair.chain_file(reports.broken(), chain)
    assert "Raw report" in str(content.blocks) and "AAAA" not in str(content.blocks)


def test_foreign_text_in_a_repair_stays_harmless() -> None:
    evil = "<!channel> ``` *bold* <@U1>\x1b"
    made = reports.broken(
        repairs=(
            Repair(kind="chain", text=evil),
            Repair(kind="nginx", text=evil),
            Repair(kind="capture", text=evil),
        )
    )
    check = PastCheck(
        id=1,
        team="T",
        channel="C",
        user="U",
        command="check x.example",
        headline="k",
        at=reports.TAKEN_AT,
        report=made,
    )
    texts = str(repair.remedies(check))
    assert "<!channel>" not in texts and "<@U1>" not in texts and "\x1b" not in texts


async def test_the_whole_way_from_a_broken_server_to_the_file(tmp_path: Path) -> None:
    """A server of the lab that forgets its intermediate, the checking process, AIA, the bot, the thread."""
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    async with await start(port=0) as lab:
        anchors = Anchors.from_pem(lab.root_pem, source="lab")
        options = Options(
            trust=default_trust(tuple(anchor.der for anchor in anchors.members)),
            permit=Egress(allow_exact=frozenset(lab.allowed)),
            overrides=dict(lab.overrides),
        )
        case = lab.case("no-intermediate.lab")
        async with Prober(options) as prober, serving(connection, database=tmp_path / "bot.db", checker=prober):
            await workspace.connected(2)
            await workspace.command(workspace.me, workspace.incidents, "/tls", f"check {case.target}")

            def shared() -> list[dict[str, Any]]:
                return [f for m in workspace.messages(workspace.incidents) for f in m.get("files") or ()]

            [file] = await workspace.wait_for(shared, 20) or []
    await running.close()
    content = workspace.files.file(file["id"]).content
    assert content is not None
    chain = read(content.decode())
    known = assess(chain, "no-intermediate.lab", anchors, datetime.now(UTC))
    assert len(chain) == 2 and known.ok and known.order.strict
