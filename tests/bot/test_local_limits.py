"""Rate limits and wrong answers on request."""

import time

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler

from bot.local.limits import SLACK, UNLIMITED, Limits, Meter, Rate
from tests.bot.local_team import running, web_client


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_posting_is_about_one_a_second_a_channel_with_a_short_burst() -> None:
    clock = Hands()
    meter = Meter(SLACK, clock)
    assert [meter.retry_after("chat.postMessage", 0, "C1") for _ in range(5)] == [0] * 5
    assert meter.retry_after("chat.postMessage", 0, "C1") == 5
    assert meter.retry_after("chat.postMessage", 0, "C2") == 0, "another channel has its own limit"
    clock.now += 5
    assert meter.retry_after("chat.postMessage", 0, "C1") == 0


def test_updates_are_tier_3_for_the_whole_workspace() -> None:
    clock = Hands()
    meter = Meter(SLACK, clock)
    for _ in range(50):
        assert meter.retry_after("chat.update", 3) == 0
        clock.now += 0.5
    assert meter.retry_after("chat.update", 3) == 35
    assert meter.retry_after("chat.delete", 3) == 0, "each method has its own limit"
    clock.now += 35
    assert meter.retry_after("chat.update", 3) == 0


def test_the_workspace_as_a_whole_has_a_cap_on_posts() -> None:
    clock = Hands()
    meter = Meter(SLACK, clock)
    assert {meter.retry_after("chat.postMessage", 0, f"C{n}") for n in range(300)} == {0}
    assert meter.retry_after("chat.postMessage", 0, "C999") == 60


def test_a_refused_call_does_not_count() -> None:
    clock = Hands()
    meter = Meter(Limits(tiers={2: Rate(calls=1, per_s=10)}, post_per_channel=None, post_per_workspace=None), clock)
    assert meter.retry_after("users.list", 2) == 0
    assert [meter.retry_after("users.list", 2) for _ in range(3)] == [10, 10, 10]
    clock.now += 10
    assert meter.retry_after("users.list", 2) == 0


def test_without_limits_everything_is_admitted() -> None:
    meter = Meter(UNLIMITED, Hands())
    assert {meter.retry_after("chat.postMessage", 0, "C1") for _ in range(1000)} == {0}


async def test_a_429_carries_retry_after_however_the_channel_is_called() -> None:
    async with running(limits=SLACK, clock=Hands()) as served:
        client = web_client(served)
        for reference in ("#general", "general", served.workspace.general, "#general", "general"):
            await client.chat_postMessage(channel=reference, text="x")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel="#general", text="x")
        assert caught.value.response.status_code == 429
        assert caught.value.response["error"] == "ratelimited"
        assert caught.value.response.headers["Retry-After"] == "5"
        assert served.workspace.calls_of("chat.postMessage")[-1].error == "ratelimited"


async def test_the_sdks_retry_handler_gets_through() -> None:
    async with running() as served:
        client = web_client(served)
        client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
        served.workspace.faults.answer("chat.postMessage", retry_after_s=0)
        await client.chat_postMessage(channel="general", text="x")
        assert [call.error for call in served.workspace.calls_of("chat.postMessage")] == ["ratelimited", None]


async def test_errors_statuses_and_delays_can_be_ordered() -> None:
    async with running() as served:
        faults, client = served.workspace.faults, web_client(served)
        faults.answer("chat.postMessage", error="is_archived", times=2)
        for _ in range(2):
            with pytest.raises(SlackApiError, match="is_archived"):
                await client.chat_postMessage(channel="general", text="x")
        faults.answer("*", status=503)
        with pytest.raises(SlackApiError, match="503"):
            await client.auth_test()
        faults.answer("auth.test", delay_s=0.05)
        started = time.monotonic()
        await client.auth_test()
        assert time.monotonic() - started >= 0.05
        assert served.workspace.messages("general") == []


async def test_an_answer_can_be_lost_after_the_effect() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        served.workspace.faults.answer("chat.postMessage", status=500, takes_effect=True)
        args = {"channel": "general", "text": "once", "token": served.bot_token}
        async with session.post(served.api_url + "chat.postMessage", data=args) as answer:
            assert answer.status == 500
        assert [m["text"] for m in served.workspace.messages("general")] == ["once"]
