"""Other people's messages, read when somebody marks one: conversations.replies, once a mark."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients

LOG = logging.getLogger("bot.messages")
_PATIENCE_S = 10.0
_ATTEMPTS = 3
_LONGEST_WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    ts: str
    thread_ts: str | None  # None: it stands in the channel, or is the root of its thread
    user: str
    text: str
    edited_ts: str | None


def permalink(url: str, channel: str, ts: str, *, thread_ts: str | None = None) -> str:
    """Where a message stands in the workspace at *url*; *thread_ts*: the thread that it is a reply in."""
    thread = f"?thread_ts={thread_ts}&cid={channel}" if thread_ts else ""
    return f"{url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}{thread}"


class Messages:
    """Reads one message of a channel that the bot is in."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def read(self, team: str, channel: str, ts: str) -> Message | None:
        """The message at *ts*, or None: it is gone, or may not be read."""
        for _ in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    client = await self._clients.client(team)
                    # Of a reply's ts, Slack gives that reply; of any other, the message and what follows it.
                    answer = await client.conversations_replies(channel=channel, ts=ts, limit=1)
            except SlackApiError as error:
                if error.response.get("error") != "ratelimited":
                    LOG.info("message not read channel=%s error=%s", channel, error.response.get("error"))
                    return None
                await asyncio.sleep(min(_retry_after(error), _LONGEST_WAIT_S))
            except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                LOG.info("message not read channel=%s error=%s", channel, type(error).__name__)
                await asyncio.sleep(1.0)
            else:
                found = next((each for each in answer.get("messages") or () if each.get("ts") == ts), None)
                return None if found is None else message_of(found)
        return None


def message_of(shown: dict[str, object]) -> Message:
    """A message as events, histories and shortcuts show it."""
    ts, thread_ts = str(shown.get("ts") or ""), shown.get("thread_ts")
    edited = shown.get("edited")
    return Message(
        ts=ts,
        thread_ts=str(thread_ts) if thread_ts and thread_ts != ts else None,
        user=str(shown.get("user") or shown.get("bot_id") or ""),
        text=str(shown.get("text") or ""),
        edited_ts=str(edited.get("ts") or "") or None if isinstance(edited, dict) else None,
    )


def _retry_after(error: SlackApiError) -> float:
    text = str((getattr(error.response, "headers", None) or {}).get("Retry-After") or "1")
    return float(text) if text.replace(".", "", 1).isdigit() else 1.0
