"""How payloads reach the app: signed HTTP, retries, duplicates, lost acks, several sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from bot.local import Running
from bot.local.errors import Json
from tests.bot.local_team import bolt_app, connected, running

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


class Endpoint:
    """An app's request URL: what came, and what to answer."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.text = ""
        self.headers: dict[str, str] = {}
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(({key.lower(): value for key, value in request.headers.items()}, body))
        status = self.statuses.pop(0) if self.statuses else 200
        if self.hold is not None:
            await self.hold.wait()
        text = json.loads(body)["challenge"] if b"url_verification" in body else self.text
        return web.Response(status=status, text=text, headers=self.headers)


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """A listening request URL."""
    served = Endpoint()
    app = web.Application()
    app.router.add_post("/slack/events", served.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield served
    finally:
        if served.hold is not None:
            served.hold.set()
        await runner.cleanup()


async def test_commands_come_signed_and_as_a_form() -> None:
    async with endpoint() as app, running(request_url=app.url) as served:
        workspace = served.workspace
        app.text = "looking"
        delivery = await workspace.command(workspace.me, "general", "/tls", "check größe.example 🔥")
        headers, body = app.requests[0]
        assert SignatureVerifier(served.signing_secret).is_valid_request(body, headers)
        assert not SignatureVerifier("another secret").is_valid_request(body, headers)
        assert not SignatureVerifier(served.signing_secret).is_valid_request(body + b" ", headers)
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(body.decode())["text"] == ["check größe.example 🔥"]
        assert delivery.response == {"text": "looking"}
        assert workspace.whispers()[0].message["text"] == "looking"


async def test_a_bolt_app_in_http_mode_is_driven_whole() -> None:
    async with running() as served:
        app = bolt_app(served)
        seen: list[str] = []

        @app.command("/tls")
        async def tls(ack: Any, respond: Any) -> None:
            await ack()
            await respond("answered")
            seen.append("command")

        @app.event("app_mention")
        async def mentioned(event: Json, say: Any) -> None:
            seen.append("mention")

        @app.event("message")
        async def message() -> None:
            pass

        async def events(request: web.Request) -> web.Response:
            bolt_request = AsyncBoltRequest(
                body=(await request.read()).decode(), headers=dict(request.headers), query=request.query_string
            )
            answer = await app.async_dispatch(bolt_request)
            return web.Response(status=answer.status, text=answer.body, content_type="application/json")

        site_app = web.Application()
        site_app.router.add_post("/slack/events", events)
        runner = web.AppRunner(site_app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        workspace = served.workspace
        workspace.deliver_to(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
        try:
            assert (await workspace.command(workspace.me, "general", "/tls")).is_acked
            await workspace.mention(workspace.me, "general", "hello")
            await workspace.settled()
            await workspace.wait_for(workspace.whispers)
            await workspace.wait_for(lambda: set(seen) == {"command", "mention"})
        finally:
            await runner.cleanup()


async def test_a_request_url_is_verified() -> None:
    async with endpoint() as app, running(request_url=app.url) as served:
        assert await served.workspace.courier.verify_url("3eZbrw1aB")


async def test_only_this_machine_is_delivered_to() -> None:
    with pytest.raises(ValueError, match="this machine only"):
        async with running(request_url="https://bot.example/slack/events"):
            pass


async def test_events_are_retried_three_times_with_reasons() -> None:
    async with endpoint() as app, running(request_url=app.url, retry_delays_s=(0, 0, 0)) as served:
        app.statuses = [500, 404, 503]
        workspace = served.workspace
        await workspace.react(
            workspace.me, "general", (await workspace.say(workspace.me, "general", "x"))["ts"], "eyes"
        )
        await workspace.settled()
        mine = [(h, json.loads(b)) for h, b in app.requests]
        retries = [h.get("x-slack-retry-num") for h, _ in mine]
        assert sorted(r for r in retries if r) in (["1", "1", "1"], ["1", "1", "2"], ["1", "2", "3"])
        assert {h["x-slack-retry-reason"] for h, _ in mine if "x-slack-retry-num" in h} == {"http_error"}
        assert len({b["event_id"] for _, b in mine}) == 2, "a retry has the id of its event"
        assert all(delivery.is_acked for delivery in workspace.courier.log)


async def test_an_event_is_given_up_after_three_retries_or_on_request() -> None:
    async with endpoint() as app, running(request_url=app.url, retry_delays_s=(0, 0, 0)) as served:
        workspace = served.workspace
        app.statuses = [500] * 9
        await workspace.say(workspace.me, "general", "x")
        await workspace.settled()
        assert workspace.courier.log[0].attempts == 4 and not workspace.courier.log[0].is_acked
        app.headers = {"X-Slack-No-Retry": "1"}
        await workspace.say(workspace.me, "general", "y")
        await workspace.settled()
        assert workspace.courier.log[1].attempts == 1


async def test_a_slow_app_times_out_and_a_broken_one_fails() -> None:
    async with endpoint() as app, running(request_url=app.url, ack_deadline_s=0.5) as served:
        workspace = served.workspace
        app.hold = asyncio.Event()
        assert (await workspace.command(workspace.me, "general", "/tls")).failure == "operation_timeout"
        app.hold.set()
        app.statuses = [500, 404]
        assert (await workspace.command(workspace.me, "general", "/tls")).failure == "http_service_error"
        assert (await workspace.command(workspace.me, "general", "/tls")).failure == "http_client_error"
        assert "operation_timeout" in workspace.notices[0].text
        workspace.deliver_to("http://127.0.0.1:1/slack/events")
        assert (await workspace.command(workspace.me, "general", "/tls")).failure == "dispatch_failed"


async def test_http_deliveries_can_come_twice() -> None:
    async with endpoint() as app, running(request_url=app.url) as served:
        served.workspace.faults.deliver_twice = True
        await served.workspace.command(served.workspace.me, "general", "/tls", "help")
        (_, first), (_, second) = app.requests
        assert first == second


# Socket Mode, spoken by hand


class Socket:
    """One raw Socket Mode connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def receive(self) -> Json:
        frame: Json = await self.socket.receive_json(timeout=5)
        return frame

    async def ack(self, envelope: Json, payload: Json | None = None) -> None:
        await self.socket.send_json({"envelope_id": envelope["envelope_id"], "payload": payload or {}})


@asynccontextmanager
async def sockets(served: Running, count: int) -> AsyncIterator[list[Socket]]:
    """So many raw connections, each past its hello."""
    async with aiohttp.ClientSession() as session:
        opened = []
        for number in range(count):
            headers = {"Authorization": f"Bearer {served.app_token}"}
            async with session.post(served.api_url + "apps.connections.open", headers=headers) as answer:
                url = (await answer.json())["url"]
            socket = Socket(await session.ws_connect(url))
            hello = await socket.receive()
            assert (hello["type"], hello["num_connections"]) == ("hello", number + 1)
            opened.append(socket)
        yield opened
        for socket in opened:
            await socket.socket.close()


async def test_each_envelope_goes_to_one_connection() -> None:
    async with running() as served, sockets(served, 2) as (first, second):
        workspace = served.workspace
        for _ in range(2):
            command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
            waiting = {asyncio.create_task(each.receive()): each for each in (first, second)}
            done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            task = done.pop()
            for other in rest:
                other.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            envelope = task.result()
            assert envelope["type"] == "slash_commands" and envelope["accepts_response_payload"] is True
            await waiting[task].ack(envelope)
            assert (await command).is_acked


async def test_every_connection_gets_a_copy_on_request_and_twice_if_need_be() -> None:
    async with running() as served, sockets(served, 2) as both:
        workspace = served.workspace
        workspace.faults.deliver_to_all = workspace.faults.deliver_twice = True
        await workspace.say(workspace.me, "general", "x")
        envelopes = [await socket.receive() for socket in both for _ in range(2)]
        assert len({envelope["envelope_id"] for envelope in envelopes}) == 4
        assert len({envelope["payload"]["event_id"] for envelope in envelopes}) == 1
        await both[1].ack(envelopes[3])
        await workspace.settled()
        assert workspace.courier.log[0].is_acked


async def test_an_unacked_event_comes_again_and_says_so() -> None:
    async with running(ack_deadline_s=0.5, retry_delays_s=(0, 0, 0)) as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        await workspace.say(workspace.me, "general", "x")
        first = await socket.receive()
        again = await socket.receive()
        assert (first["retry_attempt"], again["retry_attempt"], again["retry_reason"]) == (0, 1, "timeout")
        assert first["payload"]["event_id"] == again["payload"]["event_id"]
        await socket.ack(again)
        await workspace.settled()
        assert workspace.courier.log[0].attempts == 2


async def test_a_lost_ack_is_a_timeout_for_the_person() -> None:
    async with running(ack_deadline_s=0.1) as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        workspace.faults.lose_acks = 1
        command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
        await socket.ack(await socket.receive())
        assert (await command).failure == "operation_timeout"


async def test_the_eleventh_connection_is_too_many() -> None:
    async with running() as served, sockets(served, 10):
        ticket = served.workspace.socket_mode.ticket()
        async with aiohttp.ClientSession() as session:
            url = served.url.replace("http", "ws") + f"/link/?ticket={ticket}"
            async with session.ws_connect(url) as socket:
                frame = await socket.receive_json(timeout=5)
                assert (frame["type"], frame["reason"]) == ("disconnect", "too_many_websockets")
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert served.workspace.socket_mode.connections == 10


async def test_a_ticket_is_good_for_one_connection() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        url = served.url.replace("http", "ws") + f"/link/?ticket={served.workspace.socket_mode.ticket()}"
        async with session.ws_connect(url):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url)
            assert caught.value.status == 403


async def test_a_connection_can_break_just_before_an_envelope() -> None:
    async with running() as served, sockets(served, 2) as both:
        workspace = served.workspace
        workspace.faults.disconnect_before_next = "refresh_requested"
        command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
        frames = [await socket.receive() for socket in both]
        kinds = {frame["type"]: (frame, socket) for frame, socket in zip(frames, both, strict=True)}
        envelope, socket = kinds["slash_commands"]
        assert kinds["disconnect"][0]["reason"] == "refresh_requested"
        await socket.ack(envelope)
        assert (await command).is_acked


async def test_an_ack_may_carry_blocks_for_the_channel() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
        await socket.ack(await socket.receive(), {"response_type": "in_channel", "text": "for all"})
        await command
        assert workspace.messages("general")[0]["text"] == "for all"
        command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
        while (envelope := await socket.receive())["type"] != "slash_commands":
            await socket.ack(envelope)
        await socket.ack(envelope, {"blocks": [{"type": "nonsense"}]})
        await command
        assert "refuses" in workspace.notices[-1].text


async def test_garbage_on_the_socket_is_ignored() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        for frame in ("", "{", "[]", '"x"', '{"envelope_id": 7}', '{"envelope_id": "nobody", "payload": 3}'):
            await socket.socket.send_str(frame)
        command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
        envelope = await socket.receive()
        await socket.socket.send_json({"envelope_id": envelope["envelope_id"], "payload": ["odd"]})
        assert (await command).is_acked


async def test_event_envelopes_have_slacks_shape() -> None:
    async with running() as served:
        app = bolt_app(served)

        @app.event("message")
        async def message() -> None:
            pass

        workspace = served.workspace
        async with connected(served, app):
            said = await workspace.say(workspace.me, "general", "one")
            await workspace.edit_message(workspace.me, "general", said["ts"], "two")
            await workspace.delete_message(workspace.me, "general", said["ts"])
            await workspace.settled()
        created, changed, deleted = (delivery.payload for delivery in workspace.courier.log)
        for payload in (created, changed, deleted):
            assert payload["type"] == "event_callback"
            assert payload["event_id"].startswith("Ev")
            assert payload["authorizations"][0]["user_id"] == workspace.bot
            assert payload["team_id"] == workspace.team.id
            assert payload["api_app_id"] == workspace.team.app.id
            assert payload["event"]["channel_type"] == "channel"
        assert created["event"]["ts"] == said["ts"] and "subtype" not in created["event"]
        assert changed["event"]["message"]["text"] == "two"
        assert changed["event"]["previous_message"]["text"] == "one"
        assert deleted["event"]["deleted_ts"] == said["ts"]


async def test_what_is_not_subscribed_or_joined_is_not_sent() -> None:
    manifest: Json = {"settings": {"event_subscriptions": {"bot_events": ["message.im"]}}}
    async with running(manifest=manifest) as served:
        workspace = served.workspace
        await workspace.say(workspace.me, "general", "not subscribed")
        assert workspace.courier.log == []
        await workspace.say(workspace.me, workspace.dm, "subscribed")
        assert [delivery.payload["event"]["channel_type"] for delivery in workspace.courier.log] == ["im"]
