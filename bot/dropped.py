"""Files that people dropped into a channel, read with distrust: only from Slack's own host, only so much of it.

Sources: docs.slack.dev/messaging/working-with-files. Without the scope files:read Slack answers a download with a login
page and status 200; the bot's token follows no redirect and goes to no other host.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import Clients
from probes.model import UsageError, shown

LOG = logging.getLogger("bot.dropped")
_HOST: Final = "files.slack.com"
_SLACK: Final = ("slack.com", ".slack.com")
_PATIENCE_S: Final = 30.0
_LOOKED_BACK: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A file's name and bytes."""

    name: str
    data: bytes


class DroppedFiles:
    """Reads files of the workspaces that the bot is in."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def newest_in_thread(self, team: str, channel: str, thread_ts: str) -> str | None:
        """The id of the file that was dropped into that thread last."""
        try:
            client = await self._clients.client(team)
            answer = await client.conversations_replies(channel=channel, ts=thread_ts, limit=_LOOKED_BACK)
        except (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.info("thread not read channel=%s error=%s", channel, type(error).__name__)
            return None
        files = [str(file["id"]) for message in answer.get("messages") or () for file in message.get("files") or ()]
        return files[-1] if files else None

    async def read(self, team: str, channel: str, file_id: str, *, most: int) -> Dropped:
        """The file *file_id*, which must have been shared in *channel*. Raises UsageError, in words for a person."""
        try:
            client = await self._clients.client(team)
            file: dict[str, Any] = (await client.files_info(file=file_id))["file"]
        except SlackApiError as error:
            raise UsageError(
                f"Slack does not show me that file ({error.response.get('error')}). Drop it into this channel, with me "
                "in it, and ask in the same message."
            ) from None
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UsageError(
                f"I could not ask Slack for that file ({type(error).__name__}). Please try again."
            ) from None
        name = shown(str(file.get("name") or file_id), 120)
        if not _is_shared_in(file, channel):
            # What a file says is shown in the channel: it must have been said there.
            raise UsageError(f"{name} was not dropped into this channel. Drop it here and ask again.")
        if int(file.get("size") or 0) > most:
            raise UsageError(f"{name} has {int(file['size']):,} bytes. I read {most:,} at most; split it.")
        url = str(file.get("url_private_download") or file.get("url_private") or "")
        return Dropped(name=name, data=await _fetched(client, url, name, most))


def _is_shared_in(file: dict[str, Any], channel: str) -> bool:
    listed = [each for kind in ("channels", "groups", "ims") for each in file.get(kind) or ()]
    return channel in listed or any(channel in places for places in (file.get("shares") or {}).values())


def _is_slacks(url: str, base_url: str) -> bool:
    """Slack's host for files, or that of a Web API which is not Slack's own (the local workspace)."""
    place, base = urlsplit(url), urlsplit(base_url)
    if (base.hostname or "").endswith(_SLACK):
        return place.scheme == "https" and place.hostname == _HOST and place.port in {None, 443}
    return (place.scheme, place.netloc) == (base.scheme, base.netloc)


async def _fetched(client: AsyncWebClient, url: str, name: str, most: int) -> bytes:
    if not _is_slacks(url, client.base_url):
        raise UsageError(f"{name} is kept outside Slack ({shown(urlsplit(url).netloc, 60)}); I read it nowhere else.")
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)) as session,
            session.get(
                url, headers={"Authorization": f"Bearer {client.token}"}, allow_redirects=False, proxy=client.proxy
            ) as answer,
        ):
            if answer.status != 200:
                raise UsageError(f"Slack answered {answer.status} when I read {name}. Does the app have files:read?")
            data = await _read(answer, most)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UsageError(f"I could not read {name} ({type(error).__name__}). Please try again.") from None
    if data is None:
        raise UsageError(f"{name} is larger than the {most:,} bytes that I read; split it.")
    if answer.content_type == "text/html" or data[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise UsageError(
            f"Slack gave me its login page instead of {name}: the app lacks the scope files:read. Whoever runs me can "
            "install it again from its manifest."
        )
    return data


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body; None when it is longer than *most*."""
    parts, size = [], 0
    async for chunk in answer.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > most:
            return None
        parts.append(chunk)
    return b"".join(parts)
