"""Every refusal of Slack has a plan: kept and sent later, said elsewhere, or said to whoever asked. Never silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import NotInstalled
from bot.history import History
from bot.local import SLACK, Limits
from bot.model import Content, Json, Note
from bot.notify import Outbox
from bot.pace import Budget
from bot.refusals import all_words, shorter
from tests.bot.conftest import Desk, said


class SwitchedClients:
    """One workspace whose token can be taken away and given back."""

    def __init__(self, client: AsyncWebClient, bot_user: str) -> None:
        self._client = client
        self._bot_user = bot_user
        self.gone: set[str] = set()
        self.asked: list[str] = []

    async def client(self, team: str) -> AsyncWebClient:
        self.asked.append(team)
        if team in self.gone:
            raise NotInstalled(team)
        return self._client

    async def bot_user(self, team: str) -> str:
        return self._bot_user

    async def url(self, team: str) -> str:
        return ""


@dataclass
class Sender:
    """An outbox with a memory of its own."""

    desk: Desk
    history: History
    clients: SwitchedClients
    outbox: Outbox

    def note(self, key: str, text: str = "said", **more: object) -> Note:
        ws = self.desk.workspace
        values: dict[str, object] = {"kind": "message", "team": ws.team.id, "channel": ws.incidents}
        return Note(key=key, content=Content(text=text), **(values | more))  # type: ignore[arg-type]

    async def owe(self, *notes: Note) -> None:
        await self.history.note(notes)
        self.outbox.wake()

    async def said(self, text: str) -> Json:
        def found() -> Json | None:
            return next((m for m in self.desk.bot_messages() if m["text"] == text), None)

        return await self.desk.workspace.wait_for(found)


@pytest.fixture
async def sender(idle_desk: Desk) -> AsyncIterator[Sender]:
    history = await History.open(idle_desk.database)
    client = AsyncWebClient(token=idle_desk.running.bot_token, base_url=idle_desk.running.api_url)
    clients = SwitchedClients(client, idle_desk.workspace.bot)
    made = Sender(idle_desk, history, clients, Outbox(history=history, clients=clients))
    sending = asyncio.create_task(made.outbox.run())
    yield made
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await history.close()


def texts(desk: Desk, channel: str | None = None) -> list[str]:
    return [message["text"] for message in desk.bot_messages(channel)]


# ── too long ────────────────────────────────────────────────────────────────────


async def test_a_text_that_slack_finds_too_long_is_cut_and_all_of_it_is_in_a_file(sender: Sender) -> None:
    ws = sender.desk.workspace
    long = " ".join(f"word{number}" for number in range(700))
    ws.faults.answer("chat.postMessage", error="msg_too_long")
    await sender.owe(sender.note("k", long))
    message, file = await ws.wait_for(lambda: m if len(m := sender.desk.bot_messages()) == 2 else None)
    assert len(message["text"]) <= 3000 and message["text"].endswith("…")
    assert file["thread_ts"] == message["ts"]
    whole = (ws.files.file(file["files"][0]["id"]).content or b"").decode()
    assert whole == long + "\n"


async def test_an_edit_that_is_too_long_is_cut_as_well(sender: Sender) -> None:
    ws = sender.desk.workspace
    await sender.owe(sender.note("k", "short"))
    await sender.said("short")
    await sender.owe(sender.note("k", "x" * 5000))  # chat.update takes 4,000
    await ws.wait_for(lambda: len(texts(sender.desk)) == 2)
    assert texts(sender.desk)[0] == "x" * 2999 + "…"
    assert [call.error for call in ws.calls_of("chat.update")] == ["msg_too_long", None]


async def test_newer_words_are_never_replaced_by_a_shorter_form_of_older_ones(sender: Sender) -> None:
    ws = sender.desk.workspace
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "checking"}}
    checking = Content(text="checking", blocks=(block,))
    await sender.owe(sender.note("k", "first"))
    await sender.said("first")
    ws.faults.answer("chat.update", error="invalid_blocks", delay_s=0.3)
    await sender.owe(replace(sender.note("k"), content=checking))
    await ws.wait_for(lambda: not ws.faults.answers)  # the edit is under way
    await sender.owe(sender.note("k", "broken"))
    await sender.said("broken")
    await sender.outbox.settled()
    assert texts(sender.desk) == ["broken"]


def test_shortening_ends() -> None:
    content: Content | None = Content(text="y" * 9000, blocks=({"type": "divider"},))
    lengths = []
    while content is not None:
        lengths.append(len(content.text))
        content = shorter(content)
    assert lengths == [9000, 3000, 500]


def test_all_words_of_a_message_are_its_text_its_blocks_and_its_tables() -> None:
    rows = [[{"type": "raw_text", "text": "address"}, {"type": "raw_text", "text": "192.0.2.7"}]]
    blocks = (
        {"type": "section", "text": {"type": "mrkdwn", "text": "why"}, "fields": [{"type": "mrkdwn", "text": "field"}]},
        {"type": "table", "rows": rows},
    )
    assert all_words(Content(text="head", blocks=blocks)) == "head\n\nwhy\n\nfield\n\naddress\t192.0.2.7\n"


# ── no way in ───────────────────────────────────────────────────────────────────


async def test_a_channel_archived_before_the_verdict_leaves_the_incident_and_tells_the_asker_directly(
    desk: Desk,
) -> None:
    ws = desk.workspace
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    await desk.headline("Checking")
    await desk.settled()
    ws.faults.answer("response_url", error="expired_url", times=9)
    await ws.archive(ws.incidents)
    for grant in ws.response_urls._issued.values():
        grant.issued_at = 0.0  # half an hour ago: what is left is a direct message
    desk.checker.gate.set()
    [direct] = await ws.wait_for(lambda: desk.bot_messages(ws.dm))
    assert "is archived" in direct["text"] and "api.example.com is broken" in said(direct)
    assert f"<#{ws.incidents}>" in direct["text"]
    await desk.settled()
    assert len(desk.bot_messages(ws.dm)) == 1
    await desk.tls("history api.example.com", channel=ws.general)
    await desk.whisper("INC-1")


async def test_not_a_member_tells_how_to_invite(desk: Desk) -> None:
    ws = desk.workspace
    await ws.remove_member(ws.bot, ws.incidents)
    await desk.tls("check api.example.com")
    whisper = await desk.whisper("/invite")
    assert f"<@{ws.bot}>" in said(whisper.message)
    assert texts(desk) == []


async def test_an_unknown_channel_is_told_to_the_asker(sender: Sender) -> None:
    ws = sender.desk.workspace
    await sender.owe(sender.note("k", channel="C0NOWHERE1", user=ws.me))
    [direct] = await ws.wait_for(lambda: sender.desk.bot_messages(ws.dm))
    assert "/invite" in said(direct)


async def test_a_thread_whose_root_was_deleted_gets_its_root_and_its_words_again(desk: Desk) -> None:
    ws = desk.workspace
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking")
    await desk.settled()
    desk.checker.gate.set()
    # The edit arrives; before the first word of the thread, somebody deletes the root.
    ws.faults.answer("chat.postMessage", error="thread_not_found", times=1)
    anew = await desk.headline("is broken", 2)
    assert anew["ts"] != headline["ts"]
    why, remedy = await desk.replies(anew, 2)
    assert (why["text"][:4], remedy["text"][:4]) == ("Why:", "What")


async def test_a_thread_that_never_takes_anything_is_given_up(sender: Sender) -> None:
    ws = sender.desk.workspace
    await sender.owe(sender.note("root", "root"))
    await sender.said("root")
    ws.faults.answer("chat.postMessage", error="thread_not_found", times=1)
    await sender.owe(sender.note("below", "below", parent="root"))
    await sender.said("below")  # once it was so; now it is always
    assert texts(sender.desk) == ["root", "root", "below"]
    post = ws.faults.answer
    for error in ("thread_not_found", None, "thread_not_found", None, "thread_not_found"):  # None: the root, anew
        post("chat.postMessage", error=error, delay_s=0.001)
    await sender.owe(sender.note("never", "never", parent="root"))
    await ws.wait_for(lambda: not ws.faults.answers, 20)
    await sender.outbox.settled()
    assert not await sender.history.is_noted("never")
    assert texts(sender.desk).count("root") == 4


async def test_in_a_thread_of_somebody_elses_that_is_gone_whoever_asked_is_told(sender: Sender) -> None:
    ws = sender.desk.workspace
    root = await ws.say(ws.other, ws.incidents, "who knows TLS?")
    await sender.owe(sender.note("k", "in it", thread_ts=root["ts"], user=ws.me))
    await sender.said("in it")
    ws.faults.answer("chat.postMessage", error="thread_not_found", times=9)
    await sender.owe(sender.note("below", "below", parent="k", thread_ts=root["ts"], user=ws.me))
    await sender.desk.whisper("Slack does not let me write here")
    await sender.outbox.settled()
    assert len([call for call in ws.calls_of("chat.postMessage") if call.error]) == 1


# ── tokens and scopes ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive"])
async def test_a_refused_token_stops_everything_and_loses_nothing(
    sender: Sender, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    ws = sender.desk.workspace
    ws.faults.answer("chat.postMessage", error=error)
    await sender.owe(sender.note("one", "one"))
    await ws.wait_for(lambda: ws.calls_of("chat.postMessage"))
    await sender.outbox.settled()
    await sender.owe(sender.note("two", "two"), sender.note("three", "three", channel=ws.general))
    await sender.outbox.settled()
    assert len(ws.calls_of("chat.postMessage")) == 1
    assert caplog.text.count("nothing is sent there until it is mended") == 1
    await sender.outbox.resume(ws.team.id)
    await sender.said("one")
    await sender.said("two")
    await ws.wait_for(lambda: texts(sender.desk, ws.general) == ["three"])


async def test_a_restart_tries_what_waited_for_a_token_at_once(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start()
    ws.faults.answer("chat.postMessage", error="token_revoked")
    await idle_desk.tls("check api.example.com")
    await idle_desk.whisper("does not accept my token")  # a response_url needs none
    await idle_desk.stop()
    assert texts(idle_desk) == []
    await idle_desk.start()
    await idle_desk.headline("is broken")


async def test_one_workspace_without_a_token_does_not_hold_up_another(sender: Sender) -> None:
    ws = sender.desk.workspace
    sender.clients.gone.add("T0GONE")
    await sender.owe(sender.note("gone", "gone", team="T0GONE"), sender.note("here", "here"))
    await sender.said("here")
    await sender.outbox.settled()
    assert texts(sender.desk) == ["here"]
    sender.clients.gone.clear()
    await sender.outbox.resume("T0GONE")
    await sender.said("gone")
    assert {"T0GONE", ws.team.id} <= set(sender.clients.asked)


async def test_what_is_owed_to_a_workspace_that_removed_the_bot_is_given_up(sender: Sender) -> None:
    sender.clients.gone.add("T0GONE")
    await sender.owe(sender.note("gone", "gone", team="T0GONE"))
    await sender.outbox.settled()
    await sender.history.abandon("T0GONE")
    sender.clients.gone.clear()
    await sender.outbox.resume("T0GONE")
    await sender.outbox.settled()
    assert texts(sender.desk) == []
    assert not await sender.history.is_noted("gone")


async def test_a_missing_scope_keeps_the_message_and_tells_the_asker_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    ws = desk.workspace
    ws.faults.answer("chat.postMessage", error="missing_scope")
    await desk.tls("check api.example.com")
    await desk.whisper("I lack a permission")
    assert "missing scope=" in caplog.text
    assert texts(desk) == []
    assert desk.outbox is not None
    await desk.outbox.resume(ws.team.id)
    await desk.headline("is broken")
    assert len([each for each in ws.whispers() if "permission" in said(each.message)]) == 1


async def test_a_slack_that_cannot_be_reached_is_tried_until_it_can(sender: Sender) -> None:
    good = sender.clients._client
    sender.clients._client = AsyncWebClient(token="xoxb-1", base_url="http://127.0.0.1:1/api/", retry_handlers=[])
    await sender.owe(sender.note("k", "at last"))
    await sender.outbox.settled()
    assert texts(sender.desk) == []
    sender.clients._client = good
    await sender.said("at last")
    assert texts(sender.desk) == ["at last"]


# ── outcomes nobody knows ───────────────────────────────────────────────────────


@pytest.mark.parametrize("refused_by", ["ratelimited", "internal_error", "invalid_auth"])
async def test_when_it_cannot_be_looked_up_now_a_message_is_not_made_twice(sender: Sender, refused_by: str) -> None:
    ws = sender.desk.workspace
    ws.faults.answer("chat.postMessage", status=500, takes_effect=True)
    if refused_by == "ratelimited":
        ws.faults.answer("conversations.history", retry_after_s=1)
    else:
        ws.faults.answer("conversations.history", error=refused_by)
    await sender.owe(sender.note("k"))
    await ws.wait_for(lambda: ws.calls_of("conversations.history"))
    if refused_by == "invalid_auth":
        await sender.outbox.settled()
        await sender.outbox.resume(ws.team.id)
    await ws.wait_for(lambda: len(ws.calls_of("conversations.history")) == 2)
    await sender.outbox.settled()
    await ws.wait_for(lambda: ws.calls_of("chat.update"))  # brought up to date where it was found
    assert texts(sender.desk) == ["said"]


async def test_a_posted_message_is_found_behind_many_later_ones(sender: Sender) -> None:
    ws = sender.desk.workspace
    ws.faults.answer("chat.postMessage", status=500, takes_effect=True)
    ws.faults.answer("conversations.history", error="internal_error")
    await sender.owe(sender.note("k"))
    await ws.wait_for(lambda: ws.calls_of("conversations.history"))
    for number in range(100):
        await ws.say(ws.other, ws.incidents, f"chatter {number}")
    await ws.wait_for(lambda: ws.calls_of("chat.update"))
    assert texts(sender.desk) == ["said"]


# ── who goes first ──────────────────────────────────────────────────────────────


async def test_a_verdict_goes_before_progress_and_progress_leaves_room() -> None:
    budget = Budget(4, 0.4, for_passing=2)
    order: list[str] = []

    async def edit(key: int, name: str, *, is_passing: bool) -> None:
        await budget.turn(key, is_passing=is_passing)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(edit(number, f"progress {number}", is_passing=True))
        await asyncio.sleep(0)
        for number in range(4, 7):
            group.create_task(edit(number, f"verdict {number}", is_passing=False))
    assert order[:2] == ["progress 0", "progress 1"]  # half of what there is, and no more
    assert order[2:5] == ["verdict 4", "verdict 5", "verdict 6"]
    assert order[5:] == ["progress 2", "progress 3"]


async def test_an_edit_that_comes_to_last_while_it_waits_moves_forward() -> None:
    budget = Budget(1, 0.2, for_passing=1)
    await budget.turn(0, is_passing=True)
    order: list[int] = []

    async def edit(key: int) -> None:
        await budget.turn(key, is_passing=True)
        order.append(key)

    async with asyncio.TaskGroup() as group:
        group.create_task(edit(1))
        group.create_task(edit(2))
        await asyncio.sleep(0)
        budget.rank(2, is_passing=False)
    assert order == [2, 1]


async def test_who_gives_up_waiting_takes_no_turn() -> None:
    budget = Budget(1, 0.1, for_passing=1)
    await budget.turn(0, is_passing=False)
    waiting = asyncio.create_task(budget.turn(1, is_passing=False))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5):
        await budget.turn(2, is_passing=False)


class TestAtSlacksPace:
    @pytest.fixture
    def limits(self) -> Limits:
        return SLACK

    async def test_a_busy_channel_does_not_hold_up_another(self, sender: Sender) -> None:
        ws = sender.desk.workspace
        await sender.owe(
            *(sender.note(f"busy{number}", f"busy {number}") for number in range(60)),
            sender.note("other", "other", channel=ws.general),
        )
        await ws.wait_for(lambda: texts(sender.desk, ws.general) == ["other"], 4)
        assert len(texts(sender.desk)) < 10
        assert [call for call in ws.calls if call.error == "ratelimited"] == []

    async def test_a_verdict_is_shown_while_progress_has_used_up_its_share(self, sender: Sender) -> None:
        ws = sender.desk.workspace
        rooms = [ws.team.add_channel(f"room{number}", {ws.me, ws.bot}).id for number in range(24)]
        await sender.owe(*(sender.note(f"k{at}", "checking", channel=room) for at, room in enumerate(rooms)))
        await ws.wait_for(lambda: all(texts(sender.desk, room) for room in rooms))
        await sender.owe(
            *(sender.note(f"k{at}", "2 of 3", channel=room, is_passing=True) for at, room in enumerate(rooms))
        )
        await ws.wait_for(lambda: len(ws.calls_of("chat.update")) == 20)
        await sender.owe(sender.note("k23", "broken", channel=rooms[23]))
        await ws.wait_for(lambda: texts(sender.desk, rooms[23]) == ["broken"], 4)
        assert len(ws.calls_of("chat.update")) == 21
