"""The Workflow Builder step "Run a TLS check": what a workflow asks, and what it is told.

An outcome is written in the transaction that ends the request, and told to Slack until Slack takes or refuses it: a
workflow that waits is never forgotten, and an outcome that Slack has is never sent again. The bot's own token tells it
(functions.completeSuccess wants no scope), so nothing secret of the execution is kept.
Source: docs.slack.dev/reference/events/function_executed, docs.slack.dev/reference/methods/functions.completeSuccess.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot import commands
from bot.checking import Checking
from bot.clients import Clients
from bot.history import History
from bot.messages import permalink
from bot.model import Act, Check, Intake, Misread
from bot.render import step as render
from bot.step_book import Outcome, StepBook
from probes.model import Report, UsageError

LOG = logging.getLogger("bot.steps")
STEP: Final = "workflow.step"
_BACKOFF_S: Final = (0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
_MOST_ATTEMPTS: Final = 40
# Whatever else Slack says is its last word: the execution has ended, or never was.
_PASSING: Final = frozenset(
    {
        "ratelimited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "invalid_auth",
        "not_authed",
        "token_expired",
        "token_revoked",
        "account_inactive",
    }
)
_POSTED_WITHIN_S: Final = 10.0


class Steps:
    """The steps of all workflows. `run` it as a task."""

    def __init__(self, *, history: History, clients: Clients, checking: Checking) -> None:
        self._history = history
        self._book = StepBook(history)
        self._clients = clients
        self._checking = checking
        self._news = asyncio.Event()

    def acts(self) -> dict[str, Act]:
        """What a workflow's step does."""
        return {STEP: self._perform}

    # ── doing what was asked ────────────────────────────────────────────────────

    async def _perform(self, intake: Intake) -> None:
        """Make the check; where a channel is named, as `check …` makes it there."""
        given = json.loads(intake.text)
        asked = commands.parse(f"check {given['host']}")
        if not isinstance(asked, Check):
            await self._conclude(intake, {"error": render.misread(asked.answer if isinstance(asked, Misread) else "")})
            return
        if asked.identity is not None:
            await self._conclude(intake, {"error": render.NO_IDENTITY})
            return
        try:
            if intake.channel:
                report, link = await self._made_there(intake, asked)
            else:
                report, link = await self._checking.look_at(intake.team, asked), _way_to_the_app(intake.team, given)
        except UsageError as error:
            await self._conclude(intake, {"error": render.misread(str(error))})
        else:
            await self._conclude(intake, {"outputs": render.outputs(report, link, datetime.now(UTC))})

    async def _made_there(self, intake: Intake, asked: Check) -> tuple[Report, str]:
        """The report, and where the channel shows it. A request makes its check once."""
        key = f"step:{intake.id}:check"
        user = intake.user or await self._clients.bot_user(intake.team)
        wanted = replace(
            intake, key=key, kind="mention", action=None, user=user, text=commands.written(asked), thread_ts=None, id=0
        )
        wanted = replace(wanted, id=await self._history.take_in_once(wanted, verdict="workflow"))
        past = await self._history.check(wanted.id)
        if past is None:
            await self._checking.begin(wanted, asked)
            past = await self._history.check(wanted.id)
        if past is None:  # one like it runs in that channel already, or it may not be made
            return await self._checking.look_at(intake.team, asked), ""
        return past.report, await self._link(past.headline, intake)

    async def _link(self, headline: str, intake: Intake) -> str:
        """Where the headline stands, once it does; empty where it cannot be posted, or nobody knows the address."""
        url = await self._clients.url(intake.team)
        until = time.monotonic() + _POSTED_WITHIN_S
        while url and time.monotonic() < until:
            ts, is_given_up = await self._history.posted_as(headline)
            if ts is not None:
                return permalink(url, intake.channel, ts)
            if is_given_up:
                break
            await asyncio.sleep(0.1)
        return ""

    async def failed(self, intake: Intake, error_id: str) -> None:
        """Our own fault, told to the workflow."""
        await self._conclude(intake, {"error": render.fault(error_id)}, error=error_id)

    async def decline(self, intake: Intake, why: str) -> None:
        """The request is not taken; the workflow learns why."""
        await self._book.decline(intake, {"error": why})
        self._news.set()

    async def _conclude(self, intake: Intake, outcome: Outcome, *, error: str | None = None) -> None:
        await self._book.conclude(intake, outcome, error)
        self._news.set()

    # ── telling it ──────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Tell Slack every outcome that it does not have. Runs until it is cancelled."""
        while True:
            self._news.clear()
            rows = await self._book.untold()
            due = [row for row in rows if row["retry_at"] <= time.time()]
            for row in due:
                await self._told(row)
            if due:
                continue
            wait = max(rows[0]["retry_at"] - time.time(), 0.0) if rows else None
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                continue

    async def _told(self, row: dict[str, Any]) -> None:
        outcome, execution = json.loads(row["outcome"]), row["execution"]
        try:
            client = await self._clients.client(row["team"])
            if "error" in outcome:
                await client.functions_completeError(function_execution_id=execution, error=outcome["error"])
            else:
                await client.functions_completeSuccess(function_execution_id=execution, outputs=outcome["outputs"])
        except SlackApiError as error:
            code, retry_after = _code(error)
            if code in _PASSING or code.startswith("http_"):
                await self._later(row, code, retry_after)
            else:
                LOG.warning("step not taken execution=%s error=%s", execution, code)
                await self._book.over(execution, code)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._later(row, type(error).__name__, None)
        else:
            await self._book.over(execution, None)

    async def _later(self, row: dict[str, Any], error: str, retry_after: float | None) -> None:
        if row["attempts"] + 1 >= _MOST_ATTEMPTS:
            LOG.error("step given up execution=%s error=%s", row["execution"], error)
            await self._book.over(row["execution"], error)
            return
        wait = retry_after or _BACKOFF_S[min(row["attempts"], len(_BACKOFF_S) - 1)]
        LOG.info("step not told yet execution=%s error=%s retry_in_s=%s", row["execution"], error, wait)
        await self._book.later(row["execution"], time.time() + wait, error)


def _code(error: SlackApiError) -> tuple[str, float | None]:
    """Slack's word, and how long it wants us to wait."""
    answer = error.response
    status = int(getattr(answer, "status_code", None) or getattr(answer, "status", None) or 200)
    if status == 429:
        text = str((getattr(answer, "headers", None) or {}).get("Retry-After") or "1")
        return "ratelimited", float(text) if text.isdecimal() else 1.0
    code = answer.get("error") if isinstance(getattr(answer, "data", None), dict) else None
    return str(code or f"http_{status}"), None


def _way_to_the_app(team: str, given: dict[str, Any]) -> str:
    """Without a channel the check stands nowhere: the way to the app itself."""
    return f"https://slack.com/app_redirect?{urlencode({'app': given['app'], 'team': team})}" if given["app"] else ""
