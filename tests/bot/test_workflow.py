"""The Workflow Builder step, run by the local workspace's workflows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.render import step
from probes.model import CertificateReport, EndpointReport, Report, UsageError
from tests.bot import reports
from tests.bot.conftest import Desk

Json = dict[str, Any]


async def ended(desk: Desk, inputs: Json, count: int = 1) -> Json:
    """What the workflow that runs the step gets."""
    ws = desk.workspace
    execution = await ws.run_function("tls_check", inputs)
    await ws.wait_for(lambda: len(ws.function_results) >= count)
    result = ws.function_results[-1]
    assert result["id"] == execution
    return result


def expiring(in_days: float) -> Report:
    end = datetime.now(UTC) + timedelta(days=in_days, hours=1)
    leaf = CertificateReport(
        subject="CN=x", issuer="CN=y", not_before="2026-01-01T00:00:00Z", not_after=end.isoformat(), sha256="00"
    )
    shown = EndpointReport(address="192.0.2.1", connected=True, failed_stage=None, timing_ms={}, chain=(leaf,))
    return replace(reports.healthy(), endpoints=(shown,))


async def test_a_host_goes_in_and_verdict_cause_days_and_link_come_out(desk: Desk) -> None:
    desk.checker.answer = expiring(41)
    result = await ended(desk, {"host": "api.example.com:8443"})
    assert result["error"] is None
    assert result["outputs"]["verdict"] == "ok"
    assert result["outputs"]["cause"] == ""
    assert result["outputs"]["days_left"] == 41
    assert result["outputs"]["link"].startswith("https://slack.com/app_redirect?app=")
    assert str(desk.checker.asked[0].target) == "api.example.com:8443"
    assert desk.bot_messages() == []


async def test_with_a_channel_the_check_is_shown_there_and_the_link_leads_to_it(desk: Desk) -> None:
    ws = desk.workspace
    result = await ended(desk, {"host": "api.example.com", "channel": ws.incidents})
    headline = await desk.headline("is broken")
    assert result["outputs"]["verdict"] == "broken"
    assert result["outputs"]["cause"] == reports.broken("api.example.com").cause
    assert result["outputs"]["link"].endswith(f"/archives/{ws.incidents}/p{headline['ts'].replace('.', '')}")
    assert len(desk.checker.asked) == 1


async def test_a_channel_without_the_bot_still_gives_the_verdict(desk: Desk) -> None:
    ws = desk.workspace
    private = ws.team.add_channel("elsewhere", {ws.me}, is_private=True).id
    result = await ended(desk, {"host": "api.example.com", "channel": private})
    assert result["outputs"]["verdict"] == "broken"
    assert "link" not in result["outputs"]


@pytest.mark.parametrize(
    ("host", "part"),
    [
        ("https://", "https://"),
        ("", "without a host"),
        ("one.example.com two.example.com", "2 hosts"),
        ("api.example.com --identity payments", "client identity"),
        ("api.example.com --ip nowhere", "--ip"),
    ],
)
async def test_what_cannot_be_checked_fails_the_step_with_words(desk: Desk, host: str, part: str) -> None:
    result = await ended(desk, {"host": host})
    assert part in result["error"]
    assert "`" not in result["error"]
    assert desk.checker.asked == []


async def test_what_may_not_be_checked_fails_the_step_with_the_reason(desk: Desk) -> None:
    desk.checker.answer = UsageError("169.254.169.254 is a cloud metadata address; this bot does not connect there")
    assert "cloud metadata" in (await ended(desk, {"host": "metadata.example.com"}))["error"]


async def test_our_own_fault_fails_the_step_with_an_id(desk: Desk) -> None:
    desk.checker.answer = RuntimeError("boom")
    error = (await ended(desk, {"host": "api.example.com"}))["error"]
    assert "error id" in error
    assert "boom" not in error


async def test_delivered_twice_it_is_told_once(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.deliver_twice = True
    await ended(desk, {"host": "api.example.com"})
    await desk.worked_off()
    assert len(desk.checker.asked) == 1
    assert len(ws.calls_of("functions.completeSuccess")) == 1


@pytest.mark.parametrize(
    "fault", [{"error": "internal_error"}, {"status": 503}, {"retry_after_s": 1}, {"error": "invalid_auth"}]
)
async def test_what_slack_did_not_take_is_told_again(desk: Desk, fault: dict[str, Any]) -> None:
    desk.workspace.faults.answer("functions.completeSuccess", **fault)
    assert (await ended(desk, {"host": "api.example.com"}))["outputs"]["verdict"] == "broken"


async def test_what_slack_refuses_for_good_is_not_told_for_ever(desk: Desk) -> None:
    ws = desk.workspace
    await ws.run_function("tls_check", {"host": "api.example.com"})
    ws.executions.clear()  # the workflow was cancelled

    await ws.wait_for(lambda: ws.calls_of("functions.completeSuccess"))
    assert (await ended(desk, {"host": "api.example.com"}))["error"] is None  # one after the other
    with closing(sqlite3.connect(desk.database)) as beside:
        rows = beside.execute("select error from workflow_steps where told_at is not null").fetchall()
    assert rows[0] == ("function_execution_not_found",)
    assert [call.error for call in ws.calls_of("functions.completeSuccess")] == ["function_execution_not_found", None]


async def test_a_step_survives_a_restart_before_its_check(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    idle_desk.checker.gate.clear()
    await idle_desk.start()
    await ws.run_function("tls_check", {"host": "api.example.com", "channel": ws.incidents})
    await idle_desk.headline("Checking")
    for task in [task for task in asyncio.all_tasks() if task.get_name().startswith("request ")]:
        task.cancel()
    await idle_desk.stop()
    idle_desk.checker.gate.set()
    await idle_desk.start()
    await ws.wait_for(lambda: len(ws.function_results) == 1)
    assert ws.function_results[0]["outputs"]["verdict"] == "broken"
    await idle_desk.headline("is broken")
    assert len([m for m in idle_desk.bot_messages() if m.get("thread_ts") in {None, m["ts"]}]) == 1


async def test_an_outcome_survives_a_restart_before_it_is_told(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start()
    ws.faults.answer("functions.completeSuccess", times=1000, status=503)
    await ws.run_function("tls_check", {"host": "api.example.com"})
    await ws.wait_for(lambda: len(ws.calls_of("functions.completeSuccess")) >= 1)
    await idle_desk.stop()
    assert len(idle_desk.checker.asked) == 1
    ws.faults.answers.clear()
    await idle_desk.start()
    await ws.wait_for(lambda: len(ws.function_results) == 1)
    assert len(idle_desk.checker.asked) == 1


async def test_where_the_bot_does_not_answer_the_step_says_so(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(allowed_channels=frozenset({ws.general}))
    assert "allows me" in (await ended(idle_desk, {"host": "a.example.com", "channel": ws.incidents}))["error"]
    assert "allows me" in (await ended(idle_desk, {"host": "a.example.com"}, 2))["error"]
    result = await ended(idle_desk, {"host": "a.example.com", "channel": ws.general}, 3)
    assert result["outputs"]["verdict"] == "broken"


async def test_too_many_steps_are_declined(idle_desk: Desk) -> None:
    await idle_desk.start(most_a_minute=2)
    for count in (1, 2):
        assert (await ended(idle_desk, {"host": "a.example.com"}, count))["error"] is None
    assert "minute" in (await ended(idle_desk, {"host": "a.example.com"}, 3))["error"]


def test_days_left_is_of_the_first_to_expire_and_negative_afterwards() -> None:
    now = datetime.now(UTC)
    assert step.days_left(expiring(-3), now) == -3
    two = replace(expiring(5), endpoints=(*expiring(50).endpoints, *expiring(5).endpoints))
    assert step.days_left(two, now) == 5
    assert step.days_left(replace(two, endpoints=()), now) is None


def test_what_a_server_wrote_is_no_mention_in_a_workflows_message() -> None:
    outputs = step.outputs(replace(reports.healthy(), summary="CN=<!channel> <@U1>"), "", datetime.now(UTC))
    assert "<" not in json.dumps(outputs)
