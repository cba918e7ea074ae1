"""Pictures on their way into messages: uploaded once a workspace, shared nowhere, and waited for.

A block takes a file of Slack only when Slack has looked into it (slackapi/python-slack-sdk#1658: `invalid slack file`
before); until then the message waits, and after some attempts it is said without its picture.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import refusals, uploads
from bot.history import History
from bot.model import Owed, Shown

LOG = logging.getLogger("bot.pictures")
ATTEMPTS: Final = 3


class Pictures:
    """Brings what messages show to Slack; every step is remembered before the next."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._one_at_a_time: dict[str, asyncio.Lock] = {}  # by team: two messages may show the same picture

    async def brought(self, client: AsyncWebClient, owed: Owed) -> bool:
        """Are all pictures of *owed* with Slack, or given up? False: try again later.

        Raises SlackApiError for what concerns more than the picture (the token, the pace, Slack's bad days).
        """
        outcomes = []
        for shown in await self._history.pictures(owed.id):
            if shown.state == "new":
                outcomes.append(await self._one(client, owed, shown.key))
        return all(outcomes)

    async def _one(self, client: AsyncWebClient, owed: Owed, key: str) -> bool:
        async with self._one_at_a_time.setdefault(owed.note.team, asyncio.Lock()):
            shown = next((each for each in await self._history.pictures(owed.id) if each.key == key), None)
            if shown is None or shown.state != "new":  # another message shows it, too, and was here before
                return True
            try:
                is_ready = await self._uploaded(client, owed.note.team, shown)
            except SlackApiError as error:
                code = refusals.code_of(error)
                if code not in uploads.REFUSED and (
                    code == refusals.RATE_LIMITED or code in refusals.TOKEN or refusals.is_unsure(code)
                ):
                    raise
                most = 1 if code in uploads.REFUSED else ATTEMPTS
                return await self._failed(owed.note.team, shown, code, most)
            if is_ready:
                await self._history.picture_is_ready(owed.note.team, key)
                return True
            return await self._failed(owed.note.team, shown, "not looked into", ATTEMPTS)

    async def _uploaded(self, client: AsyncWebClient, team: str, shown: Shown) -> bool:
        """Do the bytes stand ready in Slack? What an earlier process did is found and not done again."""
        upload = shown.upload
        if upload is not None and await uploads.is_typed(client, upload, once=True) is not False:
            return True
        if upload is None:
            name = "".join(c if c.isalnum() or c in ".-" else "-" for c in shown.key)[:80]
            upload = await uploads.taken(client, f"{name}.png", shown.png, alt=shown.alt[:1000])
            await self._history.picture_uploaded(team, shown.key, upload)
        # Without a channel: the file stands in no conversation but in the blocks that show it.
        await client.files_completeUploadExternal(files=[{"id": upload, "title": shown.alt[:200] or "picture"}])
        return await uploads.is_typed(client, upload) is not False

    async def _failed(self, team: str, shown: Shown, error: str, most: int) -> bool:
        await self._history.picture_failed(team, shown.key, error, most=most)
        if shown.attempts + 1 < most:
            LOG.info("picture not ready key=%s error=%s", shown.key, error)
            return False
        LOG.warning("the message is said without its picture key=%s error=%s", shown.key, error)
        return True
