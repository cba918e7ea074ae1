"""The outbox: what is owed to Slack is sent once, in order, at Slack's pace, and again after a crash if need be.

A row says what a message is to say; the sender makes Slack say it. A row that is edited while its message is under way
is sent once more with the newest words only. Every error of Slack has a plan (`_Plan`); nothing is dropped in silence.

Never twice: each message carries its key as metadata. A post whose outcome is unknown (the process died, the answer
was lost) is looked for in the channel before it is made again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import uploads
from bot.clients import Clients, NotInstalled
from bot.history import History
from bot.model import Blocks, Content, Note, Owed
from bot.render import words

LOG = logging.getLogger("bot.notify")
EVENT_TYPE: Final = "clienthello_message"
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_TOKEN_PAUSE_S: Final = 60.0  # a token that Slack refuses needs a person; nothing is lost meanwhile
_LOOKED_BACK: Final = 5  # pages; each of 15, the most that every kind of app may ask for
_REPLY_ATTEMPTS: Final = 4
_FILE_ATTEMPTS: Final = 3

_NO_WAY_IN: Final = frozenset({"not_in_channel", "channel_not_found", "is_archived", "user_not_in_channel"})
_NO_WAY_IN_EITHER: Final = frozenset(
    {"restricted_action", "cannot_reply_to_message", "thread_not_found", "no_permission", "user_not_found"}
)
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_BLOCKS: Final = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"}
)
# "Some aspect of the operation" may have succeeded (docs.slack.dev/reference/methods/chat.postMessage, errors).
_PASSING: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
_TOKEN: Final = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})


class Pace:
    """At most `calls` within any `per_s` seconds; a pause lasts until it is over."""

    def __init__(self, calls: int, per_s: float) -> None:
        self._calls = calls
        self._per_s = per_s
        self._taken: deque[float] = deque()
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    async def turn(self) -> None:
        """Wait for the next turn and take it."""
        while True:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - self._per_s:
                self._taken.popleft()
            wait = self._paused_until - now
            if len(self._taken) >= self._calls:
                wait = max(wait, self._taken[0] + self._per_s - now)
            if wait <= 0:
                self._taken.append(now)
                return
            await asyncio.sleep(wait)

    def done(self) -> None:
        """The call whose turn it was last has been answered: Slack counted it no later than now."""
        if self._taken:
            self._taken[-1] = time.monotonic()


def _post_pace() -> Pace:
    """chat.postMessage: about one a second in a channel, short bursts allowed."""
    return Pace(5, 5.2)


class _Rates:
    """What one workspace allows: posts by channel, edits in all; `halt` while it refuses the token."""

    def __init__(self) -> None:
        self._posts: dict[str, Pace] = {}
        # chat.update is Tier 3 for the whole workspace: 50 a minute; some room is left.
        self.updates = Pace(45, 60.0)
        self.halt = Pace(1_000_000, 1.0)

    def posts(self, channel: str) -> Pace:
        return self._posts.setdefault(channel, _post_pace())


class Outbox:
    """Sends what `history` owes to Slack. `run` it as a task; `wake` it when something was noted."""

    def __init__(self, *, history: History, clients: Clients) -> None:
        self._history = history
        self._clients = clients
        self._news = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str, deque[int]] = {}
        self._rates: dict[str, _Rates] = {}
        self._refusing: frozenset[str] = frozenset()
        self._idle = asyncio.Event()

    def wake(self) -> None:
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled. What is under way then is finished or looked up at the next start."""
        self._refusing = await self._history.refusing_teams()
        try:
            while True:
                self._news.clear()
                for owed in await self._history.unsent(time.time()):
                    self._enqueue(owed)
                if not self._lanes and not self._news.is_set():
                    self._idle.set()
                await self._pause()
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    async def settled(self) -> None:
        """Wait until everything that can be sent now is sent."""
        self.wake()
        await self._idle.wait()

    async def _pause(self) -> None:
        due = await self._history.next_retry()
        wait = None if due is None else max(due - time.time(), 0.05)
        if due is not None and due <= time.time() and self._lanes:
            wait = None  # it is in a lane already; the lane's end wakes us
        try:
            await asyncio.wait_for(self._news.wait(), wait)
        except TimeoutError:
            return

    # Posts keep their order within a channel; edits and answers to one person wait for nobody.
    def _enqueue(self, owed: Owed) -> None:
        lane = f"post {owed.note.channel}" if owed.ts is None and owed.note.kind != "reply" else f"one {owed.id}"
        queue = self._queues.setdefault(lane, deque())
        if owed.id not in queue:
            queue.append(owed.id)
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._drain(lane), name=f"outbox {lane}")

    async def _drain(self, lane: str) -> None:
        queue = self._queues[lane]
        try:
            while queue:
                owed = await self._history.current(queue[0])
                if owed is not None:
                    await self._sent_or_put_off(owed)
                queue.popleft()
        except Exception:
            # The disk's fault, or our own. The row stays and is tried again; the pause keeps a fault from spinning.
            LOG.exception("outbox lane=%s", lane)
            await asyncio.sleep(1.0)
        finally:
            self._lanes.pop(lane, None)
            self._queues.pop(lane, None)
            self._news.set()

    async def _sent_or_put_off(self, owed: Owed) -> None:
        try:
            await self._send(owed)
        except Exception as error:
            # Our own fault with this one message: it waits, and does not stand in the way of the others.
            LOG.exception("not sent key=%s", owed.note.key)
            await self._later(owed, type(error).__name__, outcome_known=False)

    async def _send(self, owed: Owed) -> None:
        await self._rates_of(owed).halt.turn()
        try:
            match owed.note.kind:
                case "message" if owed.ts is not None:
                    await self._update(owed, owed.ts)
                case "message":
                    await self._post(owed)
                case "reply":
                    await self._reply(owed)
                case "file":
                    await self._upload(owed)
        except SlackApiError as error:
            await self._refused(owed, error)
        except NotInstalled:
            await self._halted(owed, "not_installed")
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._later(owed, type(error).__name__, outcome_known=False)

    def _rates_of(self, owed: Owed) -> _Rates:
        return self._rates.setdefault(owed.note.team, _Rates())

    async def _client(self, owed: Owed) -> AsyncWebClient:
        return await self._clients.client(owed.note.team)

    # ── the four ways to send ───────────────────────────────────────────────────

    async def _post(self, owed: Owed) -> None:
        note = owed.note
        ts = await self._found(owed) if owed.attempted_at is not None else None
        if ts is not None:
            # Found: it said what the row said at some time before; an edit brings it up to date.
            await self._history.sent(owed.id, 0, ts)
            return
        pace = self._rates_of(owed).posts(note.channel)
        await pace.turn()
        fresh = await self._history.current(owed.id)
        if fresh is None:
            return
        await self._history.attempt(owed.id, time.time())
        answer = await (await self._client(owed)).chat_postMessage(
            channel=note.channel,
            thread_ts=fresh.thread_ts,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": note.key}},
            unfurl_links=False,
            unfurl_media=False,
            **self._said(fresh),
        )
        pace.done()
        await self._history.sent(owed.id, fresh.revision, str(answer["ts"]))

    async def _update(self, owed: Owed, ts: str) -> None:
        await self._rates_of(owed).updates.turn()
        fresh = await self._history.current(owed.id)
        if fresh is None:
            return
        # Text without blocks would leave no blocks: always both.
        await (await self._client(owed)).chat_update(channel=owed.note.channel, ts=ts, **self._said(fresh))
        await self._history.sent(owed.id, fresh.revision, None)

    async def _reply(self, owed: Owed) -> None:
        note = owed.note
        said = self._said(owed)
        if note.response_url is not None:
            body = {"response_type": "ephemeral", "replace_original": note.replace_original, **said}
            if note.thread_ts is not None:
                body["thread_ts"] = note.thread_ts
            answer = await AsyncWebhookClient(note.response_url).send_dict(body)
            if answer.status_code == 200:
                await self._history.sent(owed.id, owed.revision, None)
                return
            LOG.info("response_url refused status=%s key=%s", answer.status_code, note.key)
        if note.user is None:
            await self._history.undeliverable(owed.id, "no one to answer")
            return
        await (await self._client(owed)).chat_postEphemeral(
            channel=note.channel, user=note.user, thread_ts=note.thread_ts, **said
        )
        await self._history.sent(owed.id, owed.revision, None)

    async def _upload(self, owed: Owed) -> None:
        """Upload, remember, share: one file is shared once, wherever the process dies between.

        The bytes go to Slack before anything is remembered: an upload that nobody shares is seen by nobody. What is
        remembered is asked for before it is shared again.
        """
        note = owed.note
        filename = note.filename or "report.json"
        if owed.upload is not None and await uploads.is_shared(
            await self._client(owed), owed.upload, since=owed.attempted_at or 0.0
        ):
            await self._history.sent(owed.id, owed.revision, None)
            return
        await self._rates_of(owed).posts(note.channel).turn()
        upload = owed.upload or await uploads.taken(
            await self._client(owed), filename, (note.file_text or "{}").encode()
        )
        await self._history.uploaded(owed.id, time.time(), upload)
        try:
            await (await self._client(owed)).files_completeUploadExternal(
                files=[{"id": upload, "title": filename}],
                channel_id=note.channel,
                thread_ts=owed.thread_ts,
                initial_comment=note.content.text,
            )
        except SlackApiError as error:
            if _code(error) == "file_not_found":  # forgotten by Slack: the bytes have to go there once more
                await self._history.uploaded(owed.id, time.time(), None)
            raise
        if await uploads.is_shared(await self._client(owed), upload, since=time.time()) is not False:
            await self._history.sent(owed.id, owed.revision, None)
            return
        # Slack said ok and shared nothing (slackapi/python-slack-sdk#1329).
        await self._later(owed, "file was not shared", outcome_known=False)

    # ── what may have been sent already ─────────────────────────────────────────

    async def _found(self, owed: Owed) -> str | None:
        """The ts of the message that carries this row's key, if the channel has it."""

        def is_ours(message: dict[str, Any]) -> bool:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            return metadata.get("event_type") == EVENT_TYPE and payload.get("key") == owed.note.key

        message = await self._searched(owed, is_ours)
        return None if message is None else str(message["ts"])

    async def _searched(self, owed: Owed, is_ours: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        since = f"{(owed.attempted_at or 0.0) - 60.0:.6f}"  # Slack's clock and ours may differ
        cursor: str | None = None
        for _ in range(_LOOKED_BACK):
            arguments: dict[str, Any] = {
                "channel": owed.note.channel,
                "oldest": since,
                "limit": 15,
                "include_all_metadata": True,
                "cursor": cursor,
            }
            try:
                client = await self._client(owed)
                answer = (
                    await client.conversations_replies(ts=owed.thread_ts, **arguments)
                    if owed.thread_ts is not None
                    else await client.conversations_history(**arguments)
                )
            except SlackApiError as error:
                if _code(error) == "ratelimited":
                    raise
                # Not allowed to look: a message too many is better than one that never comes.
                LOG.warning("cannot look for a posted message error=%s key=%s", _code(error), owed.note.key)
                return None
            for message in answer.get("messages") or ():
                if is_ours(message):
                    return dict(message)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None
        return None

    # ── when Slack says no ──────────────────────────────────────────────────────

    async def _refused(self, owed: Owed, error: SlackApiError) -> None:
        code = _code(error)
        if code == "ratelimited":
            await self._slow_down(owed, error)
        elif code in _BLOCKS and owed.note.content.blocks:
            await self._plainer(owed, code)
        elif code in _GONE and owed.ts is not None:
            LOG.info("message gone, posting anew error=%s key=%s", code, owed.note.key)
            await self._history.vanished(owed.id)
        elif code in _TOKEN:
            await self._halted(owed, code)
        elif owed.note.kind == "file" and code in uploads.REFUSED:
            LOG.warning("no files here error=%s channel=%s key=%s", code, owed.note.channel, owed.note.key)
            await self._history.undeliverable(owed.id, code, self._given_up(owed))
        elif code in _NO_WAY_IN or code in _NO_WAY_IN_EITHER or _is_final(owed, error):
            LOG.warning("undeliverable error=%s channel=%s key=%s", code, owed.note.channel, owed.note.key)
            await self._history.undeliverable(owed.id, code, await self._sorry(owed, code))
        else:
            await self._later(owed, code, outcome_known=code not in _PASSING and not code.startswith("http_"))

    async def _halted(self, owed: Owed, code: str) -> None:
        LOG.error("no token for team=%s error=%s; nothing is sent there until it is mended", owed.note.team, code)
        self._rates_of(owed).halt.pause(_TOKEN_PAUSE_S)
        await self._history.postponed(owed.id, time.time() + _TOKEN_PAUSE_S, code, outcome_known=True)

    async def _slow_down(self, owed: Owed, error: SlackApiError) -> None:
        seconds = _retry_after(error)
        method = "chat.update" if owed.ts is not None else "chat.postMessage"
        LOG.info("rate limited method=%s retry_after_s=%s", method, seconds)
        if owed.ts is not None:
            self._rates_of(owed).updates.pause(seconds)
        elif owed.note.kind != "reply":
            self._rates_of(owed).posts(owed.note.channel).pause(seconds)
        await self._history.postponed(owed.id, time.time() + seconds, "ratelimited", outcome_known=True)

    async def _plainer(self, owed: Owed, code: str) -> None:
        """Say it with the blocks that every client knows; if those were refused as well, in text alone."""
        content = owed.note.content
        newer_refused = bool(content.classic) and owed.note.team not in self._refusing
        LOG.warning("blocks refused error=%s key=%s newer=%s", code, owed.note.key, newer_refused)
        if newer_refused and code == "invalid_blocks":
            self._refusing |= {owed.note.team}
            await self._history.refuse_blocks(owed.note.team, datetime.now(UTC))
            await self._history.postponed(owed.id, 0.0, code, outcome_known=True)
            return
        less = Content(text=content.text[:3000], blocks=content.classic if newer_refused else ())
        await self._history.postponed(owed.id, 0.0, code, outcome_known=True)
        await self._history.note((_saying(owed.note, less),))

    async def _sorry(self, owed: Owed, code: str) -> tuple[Note, ...]:
        """What whoever asked is told, privately, when the channel cannot be written to."""
        note = owed.note
        if note.kind == "reply" or note.user is None or owed.ts is not None:
            return ()
        return (
            Note(
                key=f"{note.key}:undeliverable",
                kind="reply",
                team=note.team,
                channel=note.channel,
                user=note.user,
                response_url=note.response_url,
                thread_ts=note.thread_ts,
                content=words.undeliverable(code, await self._clients.bot_user(note.team)),
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
        return (
            Note(
                key=f"{note.key}:failed",
                kind="message",
                team=note.team,
                channel=note.channel,
                parent=note.parent,
                thread_ts=note.thread_ts,
                content=note.content if note.content.blocks else words.upload_failed(note.content.text),
            ),
        )

    def _said(self, owed: Owed) -> dict[str, Any]:
        content = owed.note.content
        classic = content.classic and owed.note.team in self._refusing
        blocks = content.classic if classic else content.blocks
        return {"text": content.text, "blocks": _with_fresh_ids(blocks, owed.revision)}


def _with_fresh_ids(blocks: Blocks, revision: int) -> list[dict[str, Any]]:
    """*blocks* with ids that differ from those of every earlier revision (docs.slack.dev, block_id)."""
    return [{**block, "block_id": f"r{revision}-{index}"} for index, block in enumerate(blocks)]


def _saying(note: Note, content: Content) -> Note:
    return Note(key=note.key, kind=note.kind, team=note.team, channel=note.channel, content=content)


def _code(error: SlackApiError) -> str:
    if _status(error) == 429:
        return "ratelimited"
    answer = error.response
    code = answer.get("error") if hasattr(answer, "get") and isinstance(getattr(answer, "data", answer), dict) else None
    return str(code or f"http_{_status(error)}")


def _status(error: SlackApiError) -> int:
    answer = error.response  # slack_sdk's, or aiohttp's own where the body was no JSON
    return int(getattr(answer, "status_code", None) or getattr(answer, "status", None) or 200)


def _retry_after(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    text = str(headers.get("Retry-After") or headers.get("retry-after") or "1")
    return float(text) if text.replace(".", "", 1).isdigit() else 1.0


def _is_final(owed: Owed, error: SlackApiError) -> bool:
    """Slack understood and refused for a reason that time does not mend: known by many equal answers."""
    code = _code(error)
    return code not in _PASSING and not code.startswith("http_") and owed.attempts >= len(_BACKOFF_S)
