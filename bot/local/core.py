"""The running workspace beneath apps and people: posting, editing, telling pages and the app what happened.

Both the Web API (the app's side) and the people's actions go through here, so that one message is one message whoever
sent it.
"""

import asyncio
import copy
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.local import payloads
from bot.local.blocks import slack_files
from bot.local.delivery import ACK_DEADLINE_S, RETRY_DELAYS_S, Courier, Delivery
from bot.local.errors import ApiError, Json
from bot.local.faults import Faults
from bot.local.files import File, FileStore
from bot.local.grants import ResponseUrls, Triggers
from bot.local.installs import Installs, Tokens
from bot.local.limits import SLACK, Limits, Meter
from bot.local.modals import Modals
from bot.local.socketmode import SocketMode
from bot.local.team import Channel, Team, with_ids

T = TypeVar("T")
_KEPT_CALLS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the Web API: what was asked, when (monotonic seconds), and the error answered, if any."""

    method: str
    args: Json
    at: float
    error: str | None


@dataclass(slots=True, kw_only=True)
class Ephemeral:
    """A message that one person sees and nobody keeps."""

    id: str
    user: str
    channel: str
    thread_ts: str | None
    message: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What Slack itself tells a person, such as that the app did not answer."""

    user: str
    text: str
    level: str


@dataclass(eq=False, slots=True, kw_only=True)
class Page:
    """An open browser page: whose it is, and the frames it has yet to get."""

    user: str
    hang_up: Callable[[], Awaitable[object]]
    frames: "asyncio.Queue[Json]" = field(default_factory=lambda: asyncio.Queue(maxsize=10_000))


class Core:
    """State, limits and faults of one workspace, and the acts that everything else is made of."""

    def __init__(
        self,
        *,
        manifest: Json,
        team_name: str,
        limits: Limits = SLACK,
        request_url: str | None = None,
        team_id: str = "T0LOCAL01",
        clock: Callable[[], float] = time.time,
        ack_deadline_s: float = ACK_DEADLINE_S,
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
    ) -> None:
        self.team = Team(id=team_id, name=team_name, manifest=manifest, now=clock)
        self.tokens = Tokens(clock=clock, rotates=bool((manifest.get("settings") or {}).get("token_rotation_enabled")))
        self.installs = Installs(clock=clock)
        """Shared by the workspaces of one server."""
        self.is_installed = True
        self.installer = ""
        self.tokens.issue()
        self.app_token = f"xapp-local-{secrets.token_urlsafe(24)}"
        self.signing_secret = secrets.token_hex(16)
        self.faults = Faults()
        self.meter = Meter(limits, clock)
        self.triggers = Triggers(clock)
        self.response_urls = ResponseUrls(clock)
        self.modals = Modals(self.team)
        self.files = FileStore(self.team)
        self.calls: list[Call] = []
        self.ephemerals: dict[str, Ephemeral] = {}
        self.notices: list[Notice] = []
        self.pages: set[Page] = set()
        self.function_tokens: set[str] = set()
        self.function_results: list[Json] = []
        self.executions: dict[str, str] = {}
        """The steps that workflows wait for: execution → callback id."""
        self.filled_in: dict[str, Json] = {}
        """``state.values`` of messages with inputs, by "channel:ts" or ephemeral id."""
        self.base_url = ""
        self._waiters: set[asyncio.Future[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.socket_mode = SocketMode(faults=self.faults, changed=self._connection_changed, app_id=self.team.app.id)
        self.courier = Courier(
            socket_mode=self.socket_mode,
            faults=self.faults,
            signing_secret=self.signing_secret,
            touched=self.touch,
            now=clock,
            request_url=request_url,
            ack_deadline_s=ack_deadline_s,
            retry_delays_s=retry_delays_s,
        )

    @property
    def bot_token(self) -> str:
        """The app's newest token here."""
        return self.tokens.current

    def knows(self, token: str) -> bool:
        """Whether a token is, or was, of this workspace."""
        return token == self.app_token or token in self.function_tokens or self.tokens.knows(token)

    # what changed, and waiting for it

    def touch(self) -> None:
        """Something changed: look again, everybody who waits."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait_for(self, predicate: Callable[[], T | None], timeout_s: float = 30.0) -> T:
        """The first truthy result of *predicate*, which is asked after every change; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not (result := predicate()):
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.discard(waiter)
            return result

    async def settled(self, timeout_s: float = 30.0) -> None:
        """Return when no event is on its way to the app."""
        await self.wait_for(lambda: self.courier.is_idle, timeout_s)

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* until it ends or the workspace closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop everything that runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.courier.close()
        await self.socket_mode.drop()
        for page in list(self.pages):
            await page.hang_up()

    def _connection_changed(self) -> None:
        if self.socket_mode.connections:
            self.courier.connected()
        self.publish({"type": "status", "connected": self.is_connected})
        self.touch()

    @property
    def is_connected(self) -> bool:
        """Whether the app can be reached, as far as one can know."""
        return self.courier.request_url is not None or self.socket_mode.connections > 0

    def record(self, method: str, args: Json, error: str | None) -> None:
        """Keep a call for inspection."""
        self.calls.append(Call(method=method, args=args, at=time.monotonic(), error=error))
        del self.calls[:-_KEPT_CALLS]
        self.touch()

    # pages and the app

    def publish(self, frame: Json, *, channel: Channel | None = None, user: str | None = None) -> None:
        """Send a frame to every page that may see it."""
        for page in list(self.pages):
            if user is not None and page.user != user:
                continue
            if channel is not None and page.user not in channel.members:
                continue
            if page.frames.full():
                self.pages.discard(page)  # a page that does not read; it gets a fresh snapshot when it reconnects
                continue
            page.frames.put_nowait(frame)

    def notify(self, user: str, text: str, level: str = "error") -> None:
        """Tell a person something in Slack's own name."""
        self.notices.append(Notice(user=user, text=text, level=level))
        self.publish({"type": "notice", "text": text, "level": level}, user=user)
        self.touch()

    def emit(self, event: Json, subscription: str, channel: Channel | None = None) -> Delivery | None:
        """Send an event to the app when it is subscribed and, for a channel's events, a member."""
        if subscription not in self.team.app.events:
            return None
        if channel is not None and self.team.app.bot_user not in channel.members:
            return None
        author = self.team.users.get(str(event.get("user")))
        of_team = author.team if author is not None else ""
        return self.courier.event(payloads.event_callback(self.team, copy.deepcopy(event), of_team=of_team))

    def _emit_message(self, channel: Channel, event: Json) -> None:
        self.emit(event, f"message.{channel.kind}", channel)

    # messages

    def post(self, channel: Channel, message: Json) -> Json:
        """Store a new message and tell everybody."""
        thread_ts = message.get("thread_ts")
        if thread_ts:
            message["thread_ts"] = self._root_of(channel, str(thread_ts))
        else:
            message.pop("thread_ts", None)
        message["blocks"] = with_ids(message.get("blocks") or [])
        stored = self.team.store(channel, {"type": "message", "team": self.team.id, **message})
        self.publish({"type": "message", "channel": channel.id, "message": self.shown(stored)}, channel=channel)
        self._publish_root(channel, stored)
        self._emit_message(channel, payloads.message_event(channel, stored))
        self.touch()
        return stored

    def _root_of(self, channel: Channel, thread_ts: str) -> str:
        """A reply to a reply is a reply to its root; ApiError ``thread_not_found`` when there is neither."""
        message = channel.messages.get(thread_ts)
        if message is None:
            if channel.replies.get(thread_ts):
                return thread_ts
            raise ApiError("thread_not_found")
        return str(message.get("thread_ts", thread_ts))

    def _publish_root(self, channel: Channel, reply: Json) -> None:
        root = channel.messages.get(str(reply.get("thread_ts")))
        if root is not None and root is not reply:
            frame = {"type": "message_changed", "channel": channel.id, "message": self.shown(root)}
            self.publish(frame, channel=channel)

    def edit(self, channel: Channel, ts: str, changes: Json) -> Json:
        """Change a stored message and tell everybody."""
        message = self.team.message(channel, ts)
        previous = copy.deepcopy(message)
        if "blocks" in changes:
            changes = changes | {"blocks": with_ids(changes["blocks"] or [])}
        message |= changes
        message["edited"] = {"user": message.get("user"), "ts": self.team.clock.ts()}
        self._publish_changed(channel, message)
        self._emit_message(channel, payloads.message_changed(self.team, channel, message, previous))
        self.touch()
        return message

    def _publish_changed(self, channel: Channel, message: Json) -> None:
        self.publish(
            {"type": "message_changed", "channel": channel.id, "message": self.shown(message)}, channel=channel
        )

    def delete(self, channel: Channel, ts: str) -> None:
        """Remove a message and tell everybody."""
        self.team.message(channel, ts)
        gone = self.team.remove(channel, ts)
        if ts in channel.messages:
            self._publish_changed(channel, channel.messages[ts])
        else:
            self.publish({"type": "message_deleted", "channel": channel.id, "ts": ts}, channel=channel)
            self._publish_root(channel, gone)
        self._emit_message(channel, payloads.message_deleted(self.team, channel, gone))
        self.touch()

    def bot_message(self, text: str, blocks: list[Any], thread_ts: str | None = None, **more: object) -> Json:
        """A message of the app, not yet posted."""
        app = self.team.app
        message: Json = {
            "user": app.bot_user,
            "bot_id": app.bot_id,
            "app_id": app.id,
            "text": text,
            "blocks": blocks,
            "bot_profile": {"id": app.bot_id, "app_id": app.id, "name": app.name, "team_id": self.team.id},
            **more,
        }
        return message | ({"thread_ts": thread_ts} if thread_ts else {})

    # what only one person sees

    def whisper(self, user: str, channel: Channel, text: str, blocks: list[Any], thread_ts: str | None) -> Ephemeral:
        """Show an ephemeral message."""
        message = self.bot_message(text, with_ids(blocks), thread_ts, type="message", ts=self.team.clock.ts())
        shown = Ephemeral(
            id=f"E{secrets.token_hex(6)}", user=user, channel=channel.id, thread_ts=thread_ts, message=message
        )
        self.ephemerals[shown.id] = shown
        frame = {"type": "ephemeral", "channel": channel.id, "thread_ts": thread_ts, "message": self._whispered(shown)}
        self.publish(frame, user=user)
        self.touch()
        return shown

    def _whispered(self, ephemeral: Ephemeral) -> Json:
        return self.shown(ephemeral.message) | {"ephemeral_id": ephemeral.id}

    def replace_whisper(self, ephemeral_id: str, text: str, blocks: list[Any]) -> None:
        """Change an ephemeral message in place."""
        ephemeral = self.ephemerals.get(ephemeral_id)
        if ephemeral is None:
            raise ApiError("message_not_found")
        ephemeral.message |= {"text": text, "blocks": with_ids(blocks)}
        frame = {"type": "ephemeral_replaced", "id": ephemeral_id, "message": self._whispered(ephemeral)}
        self.publish(frame, user=ephemeral.user)
        self.touch()

    def unwhisper(self, ephemeral_id: str) -> None:
        """Take an ephemeral message away."""
        ephemeral = self.ephemerals.pop(ephemeral_id, None)
        if ephemeral is not None:
            self.publish({"type": "ephemeral_deleted", "id": ephemeral_id}, user=ephemeral.user)
            self.touch()

    # views

    def show_view(self, user: str, view: Json) -> None:
        """Show an opened or changed view on the pages of *user*."""
        self.publish({"type": "view", "view": view}, user=user)
        self.touch()

    def show_home(self, user: str, view: Json) -> None:
        """Show a published App Home."""
        self.publish({"type": "home", "view": view}, user=user)
        self.touch()

    # files

    def share_files(self, channel: Channel, files: list[File], message: Json) -> Json:
        """Post *message* showing *files*."""
        for file in files:
            file.is_processed = True
        described = [self.files.described(file) for file in files]
        stored = self.post(channel, message | {"files": described, "upload": False, "display_as_bot": False})
        for file in files:
            self.files.share(file, channel, stored)
            event = {
                "type": "file_shared",
                "channel_id": channel.id,
                "file_id": file.id,
                "user_id": file.user,
                "file": {"id": file.id},
                "event_ts": stored["ts"],
            }
            self.emit(event, "file_shared", channel)
        return stored

    def shown(self, message: Json) -> Json:
        """A message as the page wants it."""
        is_typed = "client_msg_id" in message
        about = ("ts", "user", "bot_id", "username", "thread_ts", "reply_count", "edited", "reactions", "subtype")
        keys = (*about, "text", "attachments")
        return {key: message[key] for key in keys if key in message} | {
            # The page renders a typed message from its text; its rich_text block is for apps.
            "blocks": [] if is_typed else self._shown_blocks(message.get("blocks") or []),
            "files": [self._shown_file(file) for file in message.get("files") or ()],
        }

    def _shown_blocks(self, blocks: list[Any]) -> list[Any]:
        shown = copy.deepcopy(blocks)
        for _, named in slack_files(shown):
            file = self.files.named(named)
            if file is not None:
                named["url"] = self.files.path(file)
        return shown

    def _shown_file(self, file: Json) -> Json:
        url = self.files.path(self.files.file(file["id"]))
        return {key: file[key] for key in ("id", "name", "title", "mimetype", "size")} | {"url": url}
