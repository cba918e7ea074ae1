"""The outbox: what is owed to Slack is sent once, in order, at Slack's pace, and again after a crash if need be.

A row says what a message is to say; the sender makes Slack say it. A row that is edited while its message is under way
is sent once more with the newest words only. Every error of Slack has a plan (`_refused`); nothing is dropped in
silence.

Never twice: each message carries its key as metadata. A post whose outcome is unknown (the process died, the answer
was lost) is looked for in the channel before it is made again. Answers for one person alone cannot be looked for; of
these, one whose outcome is unknown is given again.

Longer than most modules: the plans for Slack's refusals belong beside the calls that meet them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import refusals, uploads
from bot.clients import Clients, NotInstalled
from bot.history import History
from bot.model import Blocks, Content, Due, Note, Owed
from bot.pace import Budget, Pace
from bot.pictures import ATTEMPTS as PICTURE_ATTEMPTS
from bot.pictures import Pictures
from bot.refusals import code_of
from bot.render import words

LOG = logging.getLogger("bot.notify")
EVENT_TYPE: Final = "clienthello_message"
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_HALT_S: Final = 60.0  # a token that Slack refuses needs a person; nothing is lost meanwhile
_TOGETHER_S: Final = 0.01  # what is noted within it is looked for once
_LOOKED_BACK: Final = 20  # pages; each of 15, the most that every kind of app may ask for
_AROUND_S: Final = 60.0  # Slack's clock and ours may differ, and a call may take a while
_REPLY_ATTEMPTS: Final = 4
_FILE_ATTEMPTS: Final = 3
_ROOTS_ANEW: Final = 2
_MENDED_BY_PEOPLE: Final = (*sorted(refusals.TOKEN), refusals.NOT_INSTALLED, "missing_scope")


class _Rates:
    """What one workspace allows: posts by channel and in all, edits in all."""

    def __init__(self) -> None:
        self._posts: dict[str, Pace] = {}
        # Slack says "several hundred a minute" for all channels together.
        self.all_posts = Pace(250, 60.0)
        # chat.update is Tier 3 for the whole workspace: 50 a minute; some room is left.
        self.edits = Budget(45, 60.0, for_passing=20)
        self.halted_until = 0.0  # Unix seconds: it refuses our token

    def posts(self, channel: str) -> Pace:
        """chat.postMessage: about one a second in a channel, short bursts allowed."""
        return self._posts.setdefault(channel, Pace(5, 5.2))

    async def post(self, channel: str) -> None:
        await self.posts(channel).turn()
        await self.all_posts.turn()


class _NotLookedUp(Exception):
    """Slack did not say what came of an earlier attempt: nobody knows yet."""

    def __init__(self, refusal: SlackApiError) -> None:
        super().__init__(code_of(refusal))
        self.refusal = refusal


class Outbox:
    """Sends what `history` owes to Slack. `run` it as a task; `wake` it when something was noted."""

    def __init__(self, *, history: History, clients: Clients) -> None:
        self._history = history
        self._clients = clients
        self._pictures = Pictures(history)
        self._news = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str, deque[int]] = {}
        self._rates: dict[str, _Rates] = {}
        self._direct: dict[tuple[str, str], str] = {}  # the channels of direct messages, by team and person
        self._refusing: frozenset[str] = frozenset()
        self._idle = asyncio.Event()

    def wake(self) -> None:
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled. What is under way then is finished or looked up at the next start."""
        self._refusing = await self._history.refusing_teams()
        await self._history.resume(_MENDED_BY_PEOPLE)  # perhaps that is why the bot was started again
        try:
            while True:
                self._news.clear()
                due, next_at = await self._history.unsent(time.time())
                for each in due:
                    self._enqueue(each)
                if not self._lanes and not self._news.is_set():
                    self._idle.set()
                await self._pause(next_at)
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    async def settled(self) -> None:
        """Wait until everything that can be sent now is sent."""
        self.wake()
        await self._idle.wait()

    async def resume(self, team: str) -> None:
        """*team* has a good token (again): what waits for one is sent now."""
        self._rates_of(team).halted_until = 0.0
        await self._history.resume(_MENDED_BY_PEOPLE, team)
        self.wake()

    async def _pause(self, next_at: float | None) -> None:
        wait = None if next_at is None else max(next_at - time.time(), 0.05)
        if next_at is not None and next_at <= time.time() and self._lanes:
            wait = None  # it is in a lane already; the lane's end wakes us
        try:
            await asyncio.wait_for(self._news.wait(), wait)
        except TimeoutError:
            return
        await asyncio.sleep(_TOGETHER_S)

    # Posts keep their order within a channel; edits, answers to one person and pictures wait for nobody.
    def _enqueue(self, due: Due) -> None:
        if due.awaits_pictures:
            lane = f"pictures {due.id}"
        elif due.is_posted or due.kind == "reply":
            lane = f"one {due.id}"
            self._rates_of(due.team).edits.rank(due.id, is_passing=due.is_passing)
        else:
            lane = f"post {due.team} {due.channel}"
        queue = self._queues.setdefault(lane, deque())
        if due.id not in queue:
            queue.append(due.id)
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._drain(lane), name=f"outbox {lane}")

    async def _drain(self, lane: str) -> None:
        queue = self._queues[lane]
        way = self._illustrate if lane.startswith("pictures ") else self._send
        try:
            while queue:
                owed = await self._history.current(queue[0])
                if owed is not None:
                    await self._done_or_put_off(owed, way)
                queue.popleft()
        except Exception:
            # The disk's fault, or our own. The row stays and is tried again; the pause keeps a fault from spinning.
            LOG.exception("outbox lane=%s", lane)
            await asyncio.sleep(1.0)
        finally:
            self._lanes.pop(lane, None)
            self._queues.pop(lane, None)
            self._news.set()

    async def _done_or_put_off(self, owed: Owed, way: Callable[[Owed], Awaitable[None]]) -> None:
        needs_token = owed.note.kind != "reply" or owed.note.response_url is None
        if needs_token and self._rates_of(owed.note.team).halted_until > time.time():
            await self._wait_for_token(owed, refusals.NOT_INSTALLED, outcome_known=False)
            return
        try:
            await way(owed)
        except _NotLookedUp as error:
            await self._look_later(owed, error.refusal)
        except SlackApiError as error:
            await self._refused(owed, error)
        except NotInstalled:
            await self._halted(owed, refusals.NOT_INSTALLED, outcome_known=False)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._later(owed, type(error).__name__, outcome_known=False)
        except Exception as error:
            # Our own fault with this one message: it waits, and does not stand in the way of the others.
            LOG.exception("not sent key=%s", owed.note.key)
            await self._later(owed, type(error).__name__, outcome_known=False)

    def _rates_of(self, team: str) -> _Rates:
        return self._rates.setdefault(team, _Rates())

    async def _client(self, owed: Owed) -> AsyncWebClient:
        return await self._clients.client(owed.note.team)

    # ── the ways to send ────────────────────────────────────────────────────────

    async def _send(self, owed: Owed) -> None:
        match owed.note.kind:
            case "message" if owed.ts is not None:
                await self._update(owed, owed.ts)
            case "message":
                await self._post(owed)
            case "reply":
                await self._reply(owed)
            case "file":
                await self._upload(owed)

    async def _post(self, owed: Owed) -> None:
        note = owed.note
        try:
            channel = await self._channel(owed)
            ts = await self._found(owed, channel) if owed.attempted_at is not None else None
        except SlackApiError as error:
            if owed.attempted_at is None:
                raise
            raise _NotLookedUp(error) from error
        if ts is not None:
            # Found: it said what the row said at some time before; an edit brings it up to date.
            await self._history.sent(owed.id, 0, ts)
            return
        rates = self._rates_of(note.team)
        await rates.post(note.channel)
        fresh = await self._history.current(owed.id)
        if fresh is None:
            return
        said = await self._said(fresh)
        client = await self._client(owed)
        await self._history.attempt(owed.id, time.time())
        answer = await client.chat_postMessage(
            channel=channel,
            thread_ts=fresh.thread_ts,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": note.key}},
            unfurl_links=False,
            unfurl_media=False,
            **said,
        )
        rates.posts(note.channel).done()
        await self._history.sent(owed.id, fresh.revision, str(answer["ts"]))

    async def _update(self, owed: Owed, ts: str) -> None:
        await self._rates_of(owed.note.team).edits.turn(owed.id, is_passing=owed.note.is_passing)
        fresh = await self._history.current(owed.id)
        if fresh is None:
            return
        # Text without blocks would leave no blocks: always both.
        said = await self._said(fresh)
        await (await self._client(owed)).chat_update(channel=await self._channel(owed), ts=ts, **said)
        await self._history.sent(owed.id, fresh.revision, None)

    async def _reply(self, owed: Owed) -> None:
        note = owed.note
        said = await self._said(owed)
        if note.response_url is not None:
            body = {"response_type": "ephemeral", "replace_original": note.replace_original, **said}
            if note.thread_ts is not None:
                body["thread_ts"] = note.thread_ts
            answer = await AsyncWebhookClient(note.response_url, session=await self._session(owed)).send_dict(body)
            if answer.status_code == 200:
                await self._history.sent(owed.id, owed.revision, None)
                return
            LOG.info("response_url refused status=%s key=%s", answer.status_code, note.key)
        if note.user is None:
            await self._history.undeliverable(owed.id, "no one to answer")
            return
        client = await self._client(owed)
        await client.chat_postEphemeral(channel=note.channel, user=note.user, thread_ts=note.thread_ts, **said)
        await self._history.sent(owed.id, owed.revision, None)

    async def _session(self, owed: Owed) -> aiohttp.ClientSession | None:
        """The connections of the workspace's client; a response_url is spoken to without its token."""
        try:
            return (await self._client(owed)).session
        except NotInstalled:
            return None

    async def _upload(self, owed: Owed) -> None:
        """Upload, remember, share: one file is shared once, wherever the process dies between.

        The bytes go to Slack before anything is remembered: an upload that nobody shares is seen by nobody. What is
        remembered is asked for before it is shared again.
        """
        note = owed.note
        filename = note.filename or "report.json"
        client = await self._client(owed)
        if owed.upload is not None and await uploads.is_shared(client, owed.upload, since=owed.attempted_at or 0.0):
            await self._history.sent(owed.id, owed.revision, None)
            return
        channel = await self._channel(owed)
        await self._rates_of(note.team).post(note.channel)
        upload = owed.upload or await uploads.taken(client, filename, (note.file_text or "{}").encode())
        await self._history.uploaded(owed.id, time.time(), upload)
        try:
            await client.files_completeUploadExternal(
                files=[{"id": upload, "title": filename}],
                channel_id=channel,
                thread_ts=owed.thread_ts,
                initial_comment=note.content.text,
            )
        except SlackApiError as error:
            if code_of(error) == "file_not_found":  # forgotten by Slack: the bytes have to go there once more
                await self._history.uploaded(owed.id, time.time(), None)
            raise
        if await uploads.is_shared(client, upload, since=time.time()) is not False:
            await self._history.sent(owed.id, owed.revision, None)
            return
        # Slack said ok and shared nothing (slackapi/python-slack-sdk#1329).
        await self._later(owed, "file was not shared", outcome_known=False)

    async def _illustrate(self, owed: Owed) -> None:
        """Bring the pictures to Slack before the message takes its place in the queue."""
        if not await self._pictures.brought(await self._client(owed), owed):
            wait = _BACKOFF_S[min(owed.attempts, 3)]
            await self._history.put_off(owed.id, time.time() + wait, "picture not ready")

    async def _channel(self, owed: Owed) -> str:
        """Where it is said: the note's channel, or a person's direct messages."""
        place = owed.note.team, owed.note.channel
        if place[1][:1] not in {"U", "W"}:
            return place[1]
        if place not in self._direct:
            try:
                opened = await (await self._client(owed)).conversations_open(users=place[1])
            except SlackApiError as error:
                if code_of(error) != "missing_scope":
                    raise
                return place[1]  # installed without im:write: Slack takes the person's id, too, but cannot look there
            self._direct[place] = str(opened["channel"]["id"])
        return self._direct[place]

    async def _said(self, owed: Owed) -> dict[str, Any]:
        content = owed.note.content
        is_classic = content.classic and owed.note.team in self._refusing
        blocks = content.classic if is_classic else content.blocks
        if refusals.shows_pictures(blocks):
            blocks = refusals.with_uploads(blocks, await self._history.pictures(owed.id))
        return {"text": content.text, "blocks": _with_fresh_ids(blocks, owed.revision)}

    # ── what may have been sent already ─────────────────────────────────────────

    async def _found(self, owed: Owed, channel: str) -> str | None:
        """The ts of the message that carries this row's key, if the channel has it."""
        around = owed.attempted_at or 0.0
        cursor: str | None = None
        for _ in range(_LOOKED_BACK):
            arguments: dict[str, Any] = {
                "channel": channel,
                "oldest": f"{around - _AROUND_S:.6f}",
                "latest": f"{around + 2 * _AROUND_S:.6f}",
                "limit": 15,
                "include_all_metadata": True,
                "cursor": cursor,
            }
            client = await self._client(owed)
            try:
                answer = (
                    await client.conversations_replies(ts=owed.thread_ts, **arguments)
                    if owed.thread_ts is not None
                    else await client.conversations_history(**arguments)
                )
            except SlackApiError as error:
                code = code_of(error)
                if code == refusals.RATE_LIMITED or code in refusals.TOKEN or refusals.is_unsure(code):
                    raise
                # Not allowed to look: a message too many is better than one that never comes.
                LOG.warning("cannot look for a posted message error=%s key=%s", code, owed.note.key)
                return None
            for message in answer.get("messages") or ():
                if _is(message, owed.note.key):
                    return str(message["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None
        LOG.warning("looked through %s pages for a posted message key=%s", _LOOKED_BACK, owed.note.key)
        return None

    # ── when Slack says no ──────────────────────────────────────────────────────

    async def _refused(self, owed: Owed, error: SlackApiError) -> None:
        code = code_of(error)
        note = owed.note
        if code == refusals.RATE_LIMITED:
            await self._slow_down(owed, refusals.retry_after(error))
        elif code in refusals.TOKEN:
            await self._halted(owed, code)
        elif refusals.shows_pictures(note.content.blocks) and refusals.concerns_picture(error):
            await self._without_upload(owed, code)
        elif code in refusals.BLOCKS and note.content.blocks:
            await self._plainer(owed, code)
        elif code in refusals.TOO_LONG:
            await self._shorter(owed, code)
        elif code in refusals.GONE and owed.ts is not None:
            LOG.info("message gone, posting anew error=%s key=%s", code, note.key)
            await self._history.vanished(owed.id)
        elif code == "thread_not_found" and await self._root_is_posted_anew(owed):
            LOG.info("thread gone, its root is posted anew key=%s root=%s", note.key, note.parent)
            await self._history.postponed(owed.id, 0.0, code, outcome_known=True)
        elif note.kind == "file" and code in uploads.REFUSED:
            LOG.warning("no files here error=%s channel=%s key=%s", code, note.channel, note.key)
            await self._history.undeliverable(owed.id, code, self._given_up(owed))
        elif code == "missing_scope":
            await self._unscoped(owed, refusals.needed_scope(error))
        elif code in refusals.NO_WAY_IN or self._is_final(owed, code):
            LOG.warning("undeliverable error=%s channel=%s key=%s", code, note.channel, note.key)
            await self._history.undeliverable(owed.id, code, await self._sorry(owed, code))
        else:
            await self._later(owed, code, outcome_known=not refusals.is_unsure(code))

    async def _root_is_posted_anew(self, owed: Owed) -> bool:
        """The thread began with a message of ours. Some times only: Slack may have another reason."""
        is_ours = owed.note.parent is not None and owed.note.thread_ts is None
        return is_ours and owed.attempts < _ROOTS_ANEW and await self._history.thread_vanished(owed)

    def _is_final(self, owed: Owed, code: str) -> bool:
        """Slack understood and refused for a reason that time does not mend: known by many equal answers."""
        return not refusals.is_unsure(code) and owed.attempts >= len(_BACKOFF_S)

    async def _slow_down(self, owed: Owed, seconds: float) -> None:
        rates = self._rates_of(owed.note.team)
        method = "chat.update" if owed.ts is not None else "chat.postMessage"
        LOG.info("rate limited method=%s retry_after_s=%s", method, seconds)
        if owed.ts is not None:
            rates.edits.pause(seconds)
        elif owed.note.kind != "reply":
            rates.posts(owed.note.channel).pause(seconds)
        await self._history.put_off(owed.id, time.time() + seconds, refusals.RATE_LIMITED)

    async def _look_later(self, owed: Owed, refusal: SlackApiError) -> None:
        code = code_of(refusal)
        if code in refusals.TOKEN:
            await self._halted(owed, code, outcome_known=False)
            return
        LOG.info("cannot look up now error=%s key=%s", code, owed.note.key)
        wait = refusals.retry_after(refusal) if code == refusals.RATE_LIMITED else 2.0
        await self._history.put_off(owed.id, time.time() + wait, code, outcome_known=False)

    async def _halted(self, owed: Owed, code: str, *, outcome_known: bool = True) -> None:
        rates = self._rates_of(owed.note.team)
        if rates.halted_until < time.time():
            LOG.error("no token for team=%s error=%s; nothing is sent there until it is mended", owed.note.team, code)
        rates.halted_until = time.time() + _HALT_S
        await self._wait_for_token(owed, code, outcome_known=outcome_known)

    async def _wait_for_token(self, owed: Owed, code: str, *, outcome_known: bool) -> None:
        """It is kept; whoever asked learns why nothing comes, if they can be told without a token."""
        until = self._rates_of(owed.note.team).halted_until
        await self._history.put_off(owed.id, until, code, outcome_known=outcome_known)
        if owed.note.kind == "message" and owed.ts is None and owed.note.response_url is not None:
            await self._history.note(await self._sorry(owed, code))
            self.wake()

    async def _unscoped(self, owed: Owed, scope: str) -> None:
        """A person has to grant it; the message is kept until then, and whoever asked is told once."""
        LOG.error("missing scope=%s team=%s key=%s; install the app anew", scope, owed.note.team, owed.note.key)
        if owed.note.kind == "reply":
            await self._later(owed, "missing_scope", outcome_known=True)
            return
        await self._history.put_off(owed.id, time.time() + _HALT_S, "missing_scope")
        await self._history.note(await self._sorry(owed, "missing_scope"))
        self.wake()

    async def _without_upload(self, owed: Owed, code: str) -> None:
        for shown in await self._history.pictures(owed.id):
            if shown.state == "ready":
                LOG.warning("picture refused error=%s key=%s picture=%s", code, owed.note.key, shown.key)
                await self._history.picture_failed(owed.note.team, shown.key, code, most=PICTURE_ATTEMPTS)
        await self._later(owed, code, outcome_known=True)

    async def _plainer(self, owed: Owed, code: str) -> None:
        """Say it with the blocks that every client knows; if those were refused as well, in text alone."""
        content = owed.note.content
        is_newer = bool(content.classic) and owed.note.team not in self._refusing
        LOG.warning("blocks refused error=%s key=%s newer=%s", code, owed.note.key, is_newer)
        if is_newer:
            self._refusing |= {owed.note.team}
            await self._history.refuse_blocks(owed.note.team, datetime.now(UTC))
            await self._history.put_off(owed.id, 0.0, code)
            return
        await self._history.lessened(owed, Content(text=content.text), code)

    async def _shorter(self, owed: Owed, code: str) -> None:
        """Say less; a message's every word is then in a file below it."""
        content = owed.note.content
        less = refusals.shorter(content)
        LOG.warning("too long error=%s key=%s characters=%s", code, owed.note.key, len(content.text))
        if less is None:
            await self._history.undeliverable(owed.id, code)
        elif content.classic and owed.note.team not in self._refusing:
            await self._history.lessened(owed, replace(content, blocks=content.classic, classic=()), code)
        else:
            await self._history.lessened(owed, less, code, _whole(owed) if owed.note.kind == "message" else ())

    async def _sorry(self, owed: Owed, code: str) -> tuple[Note, ...]:
        """What whoever asked is told, privately, when the channel cannot be written to: once for each message."""
        note = owed.note
        if note.user is None or note.channel == note.user or (owed.ts is not None and note.is_passing):
            return ()
        if note.kind == "reply":  # not even there: in their direct messages
            content = words.elsewhere(note.channel, note.content)
            return (Note(key=f"{note.key}:direct", kind="message", team=note.team, channel=note.user, content=content),)
        key = f"{note.key}:undeliverable"
        if await self._history.is_noted(key):
            return ()
        why = words.undeliverable(code, await self._clients.bot_user(note.team))
        return (
            Note(
                key=key,
                kind="reply",
                team=note.team,
                channel=note.channel,
                user=note.user,
                response_url=note.response_url,
                thread_ts=note.thread_ts,
                content=why if owed.ts is None else words.left_unsaid(why, note.content),
            ),
        )

    async def _later(self, owed: Owed, error: str, *, outcome_known: bool) -> None:
        if (owed.note.kind == "reply" and owed.attempts + 1 >= _REPLY_ATTEMPTS) or (
            owed.note.kind == "file" and owed.attempts + 1 >= _FILE_ATTEMPTS
        ):
            LOG.warning("given up error=%s key=%s", error, owed.note.key)
            await self._history.undeliverable(owed.id, error, self._given_up(owed))
            return
        wait = _BACKOFF_S[min(owed.attempts, len(_BACKOFF_S) - 1)]
        LOG.info("send failed error=%s key=%s retry_in_s=%s", error, owed.note.key, wait)
        await self._history.postponed(owed.id, time.time() + wait, error, outcome_known=outcome_known)

    def _given_up(self, owed: Owed) -> tuple[Note, ...]:
        note = owed.note
        if note.kind != "file":
            return ()
        content = note.content if note.content.blocks else words.upload_failed(note.content.text)
        failed = replace(note, key=f"{note.key}:failed", kind="message", content=content)
        return (replace(failed, filename=None, file_text=None),)


def _with_fresh_ids(blocks: Blocks, revision: int) -> list[dict[str, Any]]:
    """*blocks* with ids that differ from those of every earlier revision (docs.slack.dev, block_id)."""
    return [{**block, "block_id": f"r{revision}-{index}"} for index, block in enumerate(blocks)]


def _is(message: dict[str, Any], key: str) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == EVENT_TYPE and payload.get("key") == key


def _whole(owed: Owed) -> tuple[Note, ...]:
    """Everything that a message was to say, as a file in its thread."""
    note = owed.note
    return (
        Note(
            key=f"{note.key}:whole:{owed.revision}",
            kind="file",
            team=note.team,
            channel=note.channel,
            parent=note.parent or note.key,
            thread_ts=note.thread_ts,
            content=words.too_long_said(),
            filename="message.txt",
            file_text=refusals.all_words(note.content),
        ),
    )
