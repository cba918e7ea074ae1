"""The running bot: memory, outbox, app and connection, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import build_app
from bot.assembly import Outside, Run, assembled
from bot.config import HttpMode, ManyWorkspaces, SocketMode
from bot.connection import connected
from bot.ct_reader import CtSource
from bot.departures import Departures
from bot.history import History
from bot.listeners.gate import MOST_A_MINUTE, Gate
from bot.looks import Checker, Looker
from bot.notify import Outbox
from bot.places import Places
from bot.seat import taken
from bot.store import InUse
from bot.supervisor import Supervisor
from probes.net.ari import RenewalInformation

LOG = logging.getLogger("bot.service")
DRAIN_S = 4.0  # most checks end sooner; what is cut off begins anew at the next start
_LAST_WORDS_S = 2.0
KEPT = timedelta(days=90)  # requests, sent messages and the audit; checks and their reports stay
_DAY_S = 86_400.0
_AGAIN_S = 1.0


@asynccontextmanager
async def serving(
    connection: SocketMode | HttpMode | ManyWorkspaces,
    *,
    database: Path,
    checker: Checker,
    allowed_channels: frozenset[str] = frozenset(),
    most_a_minute: int = MOST_A_MINUTE,
    secret_key: str | None = None,
    admin_usergroups: frozenset[str] = frozenset(),
    look: Looker | None = None,
    renewal_information: RenewalInformation | None = None,
    anchored: Callable[[], frozenset[str]] = frozenset,
    ct: CtSource | None = None,
) -> AsyncIterator[Outbox]:
    """The bot, connected, until the block is left; then it stops listening, finishes what runs, and says it."""
    outside = Outside(checker=checker, look=look, renewal_information=renewal_information, anchored=anchored, ct=ct)
    history = await opened(database)
    try:
        async with aiohttp.ClientSession() as session:
            # The app's own client carries no token: `authorize` gives it to each request.
            bare = AsyncWebClient(base_url=connection.api_url, session=session)
            places = await Places.known(history)
            seat = await taken(connection, history=history, places=places, bare=bare, secret_key=secret_key)
            supervisor = Supervisor()
            parts = assembled(
                history=history,
                clients=seat.clients,
                places=places,
                supervisor=supervisor,
                outside=outside,
                secret_key=secret_key,
                admin_usergroups=admin_usergroups,
            )
            gate = Gate(
                history=history,
                hand_over=parts.work.hand_over,
                outbox=parts.outbox,
                allowed_channels=allowed_channels,
                most_a_minute=most_a_minute,
            )
            app = build_app(
                client=bare,
                authorize=seat.authorize,
                gate=gate,
                desks=parts.desks,
                places=places,
                people=parts.people,
                departures=Departures(history=history, places=places, installations=seat.installations),
                signing_secret="" if isinstance(connection, SocketMode) else connection.signing_secret,
                oauth_flow=seat.oauth_flow,
            )
            loops: dict[str, Run] = {**parts.loops, "forgetting": partial(_forgetting, history)}
            beside = [asyncio.create_task(kept_up(name, run), name=name) for name, run in loops.items()]
            try:
                await parts.work.recover()
                async with connected(app, connection):
                    yield parts.outbox
                await supervisor.drain(DRAIN_S)
                await _said(parts.outbox)
            finally:
                await supervisor.drain(0)
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await history.close()


async def kept_up(name: str, run: Run) -> None:
    """*run* until it is over or cancelled. Nobody waits for the bot's parts: one that a fault ended (ours, or the
    disk's) begins again, for nothing else would notice that no message is sent any more."""
    while True:
        try:
            await run()
            return
        except Exception:
            LOG.exception("part=%s ended by a fault; it begins again", name)
        await asyncio.sleep(_AGAIN_S)


async def _forgetting(history: History) -> None:
    """Once at the start and then daily, what is old is forgotten."""
    while True:
        try:
            forgotten = await history.prune(datetime.now(UTC) - KEPT)
            LOG.info("forgotten rows=%s older_than_days=%s", forgotten, KEPT.days)
        except sqlite3.Error:
            LOG.exception("forgetting failed; it is tried again in a day")
        await asyncio.sleep(_DAY_S)


async def opened(database: Path) -> History:
    """The memory; waits for another bot process that still holds it."""
    told = False
    while True:
        try:
            return await History.open(database)
        except InUse as error:
            if not told:
                LOG.warning(
                    "%s: waiting for that one to end, as during a deploy. If it is not meant to end, stop this one or "
                    "give it a database of its own (DATABASE_PATH)",
                    error,
                )
            told = True
            await asyncio.sleep(0.5)


async def _said(outbox: Outbox) -> None:
    try:
        await asyncio.wait_for(outbox.settled(), _LAST_WORDS_S)
    except TimeoutError:
        LOG.info("unsent messages remain; they are sent at the next start")
