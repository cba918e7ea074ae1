"""Pictures in messages: uploaded once, waited for, and never in the way of what is to be said."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot import uploads
from bot.clients import OneClient
from bot.history import History
from bot.model import Content, Json, Note, Picture
from bot.notify import Outbox
from tests.bot.conftest import Desk


def png(shade: int = 200, width: int = 600, height: int = 200) -> bytes:
    """A grey rectangle."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes([shade]) * width
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * height))
        + chunk(b"IEND", b"")
    )


CHART = Picture.named("figures", png(), "Three causes: expired 5, incomplete 3, name 1")


@dataclass
class Sender:
    """An outbox with a memory of its own, beside the bot's."""

    desk: Desk
    history: History
    sending: asyncio.Task[None] | None = None

    def note(self, key: str = "k", *pictures: Picture, text: str = "The figures") -> Note:
        said = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        content = Content(text=text, blocks=(said, *(picture.block() for picture in pictures)))
        ws = self.desk.workspace
        return Note(
            key=key, kind="message", team=ws.team.id, channel=ws.incidents, content=content, pictures=tuple(pictures)
        )

    def start(self) -> None:
        client = AsyncWebClient(token=self.desk.running.bot_token, base_url=self.desk.running.api_url)
        outbox = Outbox(history=self.history, clients=OneClient(client, self.desk.workspace.bot))
        self.sending = asyncio.create_task(outbox.run())

    async def stop(self) -> None:
        if self.sending is not None:
            self.sending.cancel()
            await asyncio.gather(self.sending, return_exceptions=True)

    async def messages(self, count: int = 1) -> list[Json]:
        return await self.desk.workspace.wait_for(lambda: (m := self.desk.bot_messages()) if self._has(count) else None)

    def _has(self, count: int) -> bool:
        return len(self.desk.bot_messages()) >= count


@pytest.fixture
async def sender(idle_desk: Desk) -> AsyncIterator[Sender]:
    made = Sender(idle_desk, await History.open(idle_desk.database))
    yield made
    await made.stop()
    await made.history.close()


def shown_in(message: Json) -> list[str]:
    """The ids of the files that its blocks show."""
    return [block["slack_file"]["id"] for block in message["blocks"] if block["type"] == "image"]


async def test_a_picture_is_uploaded_with_its_words_and_shown_by_its_message(sender: Sender) -> None:
    await sender.history.note([sender.note("k", CHART)])
    sender.start()
    [message] = await sender.messages()
    [shown] = shown_in(message)
    file = sender.desk.workspace.files.file(shown)
    assert (file.content, file.alt) == (CHART.png, CHART.alt)
    assert file.shares == []  # it stands in no conversation but in its message
    [block] = [block for block in message["blocks"] if block["type"] == "image"]
    assert block["alt_text"] == CHART.alt
    assert "picture" not in block


async def test_a_picture_of_two_messages_is_uploaded_once(sender: Sender) -> None:
    await sender.history.note([sender.note("one", CHART), sender.note("two", CHART, text="Once more")])
    sender.start()
    first, second = await sender.messages(2)
    assert shown_in(first) == shown_in(second) != []
    assert len(sender.desk.workspace.calls_of("files.getUploadURLExternal")) == 1


async def test_an_edit_shows_another_picture(sender: Sender) -> None:
    await sender.history.note([sender.note("k", CHART)])
    sender.start()
    [message] = await sender.messages()
    [before] = shown_in(message)
    darker = Picture.named("figures", png(50), "Four causes")
    await sender.history.note([sender.note("k", darker)])
    await sender.stop()
    sender.start()
    await sender.desk.workspace.wait_for(lambda: shown_in(message) not in ([before], []))
    assert sender.desk.workspace.files.file(shown_in(message)[0]).content == darker.png


async def test_a_message_waits_until_slack_has_looked_into_its_picture_and_others_do_not_wait(sender: Sender) -> None:
    sender.desk.workspace.faults.type_files_after_s = 0.5
    await sender.history.note([sender.note("k", CHART), sender.note("other", text="A verdict")])
    sender.start()
    verdict, message = await sender.messages(2)
    assert verdict["text"] == "A verdict"
    assert len(shown_in(message)) == 1
    assert [call.error for call in sender.desk.workspace.calls_of("chat.postMessage")] == [None, None]


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("files.getUploadURLExternal", "missing_scope"),
        ("files.getUploadURLExternal", "file_uploads_disabled"),
        ("files.completeUploadExternal", "storage_limit_reached"),
    ],
)
async def test_where_slack_takes_no_picture_the_message_is_said_without(
    sender: Sender, caplog: pytest.LogCaptureFixture, method: str, error: str
) -> None:
    sender.desk.workspace.faults.answer(method, error=error)
    await sender.history.note([sender.note("k", CHART)])
    sender.start()
    [message] = await sender.messages()
    assert message["text"] == "The figures"
    assert [block["type"] for block in message["blocks"]] == ["section"]
    assert f"said without its picture key={CHART.key} error={error}" in caplog.text


async def test_a_picture_that_blocks_do_not_take_is_brought_anew_and_at_last_left_out(sender: Sender) -> None:
    ws = sender.desk.workspace
    broken = Picture(key="broken", png=b"no picture at all", alt="nothing")  # whose name ends in .png all the same
    await sender.history.note([sender.note("k", broken)])
    sender.start()
    [message] = await sender.messages()
    assert shown_in(message) == []
    assert message["blocks"][0]["text"]["text"] == "The figures"
    assert [call.error for call in ws.calls_of("chat.postMessage")] == ["invalid_blocks"] * 3 + [None]
    assert len(ws.calls_of("files.getUploadURLExternal")) == 3


async def test_a_bad_moment_of_slack_costs_no_picture(sender: Sender) -> None:
    ws = sender.desk.workspace
    ws.faults.answer("files.getUploadURLExternal", error="internal_error")
    ws.faults.answer("files.completeUploadExternal", status=503)
    ws.faults.answer("files.info", retry_after_s=1)
    await sender.history.note([sender.note("k", CHART)])
    sender.start()
    [message] = await sender.messages()
    assert len(shown_in(message)) == 1


@pytest.mark.parametrize("step", ["taken", "completed"])
async def test_stopped_after_any_step_the_bytes_go_to_slack_once(sender: Sender, step: str) -> None:
    ws = sender.desk.workspace
    await sender.history.note([sender.note("k", CHART)])
    # What an earlier process did before it died.
    client = AsyncWebClient(token=sender.desk.running.bot_token, base_url=sender.desk.running.api_url)
    upload = await uploads.taken(client, "figures.png", CHART.png, alt=CHART.alt)
    await sender.history.picture_uploaded(ws.team.id, CHART.key, upload)
    if step == "completed":
        await client.files_completeUploadExternal(files=[{"id": upload, "title": "figures"}])
    sender.start()
    [message] = await sender.messages()
    assert shown_in(message) == [upload]


async def test_a_message_posted_anew_shows_its_picture_again(sender: Sender) -> None:
    ws = sender.desk.workspace
    await sender.history.note([sender.note("k", CHART)])
    sender.start()
    [message] = await sender.messages()
    ws.delete(ws.team.channel(ws.incidents), message["ts"])
    await sender.stop()
    await sender.history.note([sender.note("k", CHART, text="Newer figures")])
    sender.start()
    [anew] = await sender.messages()
    assert shown_in(anew) == shown_in(message)
    assert len(ws.calls_of("files.getUploadURLExternal")) == 1


async def test_pictures_are_forgotten_with_their_messages(sender: Sender) -> None:
    kept = Picture.named("kept", png(10), "kept")
    await sender.history.note([sender.note("old", CHART), sender.note("new", CHART, kept)])
    later = datetime.now(UTC) + timedelta(days=1)

    async def remembered() -> int:
        return len(await sender.history._run(sender.history._rows, "select key from pictures"))

    due, _ = await sender.history.unsent(1e12)
    ids = {each.key: each.id for each in due}
    await sender.history.sent(ids["old"], 1, "1.1")
    await sender.history.prune(later)
    assert await remembered() == 2  # the unsent message shows both
    await sender.history.sent(ids["new"], 1, "1.2")
    await sender.history.prune(later)
    assert await remembered() == 0
