"""A file on its way to Slack: the bytes first, then what shows them. Nothing here remembers (`bot.notify` does).

Source: docs.slack.dev/messaging/working-with-files. Slack works on files asynchronously, and now and then says ok and
shares nothing (slackapi/python-slack-sdk#1329): what became of a file is asked, not believed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

# Slack takes no file from this app, here or at all: time mends none of these.
REFUSED: Final = frozenset(
    {
        "missing_scope",
        "file_uploads_disabled",
        "file_uploads_except_images_disabled",
        "file_upload_size_restricted",
        "file_type_not_allowed",
        "blocked_file_type",
        "upload_file_limit_reached",
        "storage_limit_reached",
        "method_not_supported_for_channel_type",
        "slack_connect_file_upload_sharing_blocked",
        "slack_connect_blocked_file_type",
    }
)
_LOOKS_S: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
_UPLOAD_S: Final = 30.0


async def taken(client: AsyncWebClient, filename: str, content: bytes, *, alt: str | None = None) -> str:
    """Slack's id for *content*, whose bytes it has and shows nowhere yet. *alt*: what a picture shows, in words."""
    place = await client.files_getUploadURLExternal(filename=filename, length=len(content), alt_txt=alt)
    # No token goes along: the address itself is the permission.
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_UPLOAD_S)) as session,
        session.post(str(place["upload_url"]), data=content, proxy=client.proxy) as answer,
    ):
        answer.raise_for_status()
    return str(place["file_id"])


async def is_shared(client: AsyncWebClient, upload: str, *, since: float) -> bool | None:
    """Does a message show the file? Slack may take a while from *since* (Unix seconds) on. None: we may not look."""
    is_late = time.time() - since > sum(_LOOKS_S)
    return await _says(client, upload, "shares", once=is_late)


async def is_typed(client: AsyncWebClient, upload: str, *, once: bool = False) -> bool | None:
    """Has Slack looked into the file? Only then do blocks take it as a picture. None: we may not look."""
    return await _says(client, upload, "mimetype", once=once)


async def _says(client: AsyncWebClient, upload: str, what: str, *, once: bool) -> bool | None:
    async for file in _looks(client, upload, once=once):
        if file is None:
            return None
        if file.get(what):
            return True
    return False


async def _looks(client: AsyncWebClient, upload: str, *, once: bool) -> AsyncIterator[dict[str, Any] | None]:
    """The file as files.info shows it, again and again for some seconds; None where that is not allowed."""
    for wait in _LOOKS_S[:1] if once else _LOOKS_S:
        await asyncio.sleep(wait)
        try:
            info = await client.files_info(file=upload)
        except SlackApiError as error:
            match error.response.get("error"):
                case "missing_scope":
                    yield None
                    return
                case "file_not_found":
                    return
                case _:
                    raise
        yield dict(info["file"])
