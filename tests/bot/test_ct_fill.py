"""The back-fill from crt.sh, played by a server of our own: what it brings is known, what it does not bring is said."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from probes.net.crtsh import filled
from probes.net.logfetch import Unavailable
from tests.bot.conftest import Desk, said
from tests.bot.ct_desk import MANNERS, begun, issuance, rows, source, until
from tests.ct.certificates import Authority, Pair
from tests.ct.logserver import CtLog

Answer = Callable[[dict[str, str]], web.Response]


@pytest.fixture
def log() -> Iterator[CtLog]:
    with CtLog() as each:
        each.fill(3)
        yield each


@asynccontextmanager
async def crtsh(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and what it was asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return answer({name: values[0] for name, values in parse_qs(urlsplit(request.path_qs).query).items()})

    application = web.Application()
    application.router.add_get("/", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def knowing(*pairs: Pair, organisation: str = "Example Trust") -> Answer:
    """It knows those certificates."""
    listed = [
        {
            "id": number,
            "issuer_name": f'C=XX, O="{organisation}", CN={organisation} R11',
            "common_name": pair.names[0],
            "name_value": "\n".join(pair.names),
            "not_before": "2026-11-02T00:00:00",
            "not_after": "2027-01-31T00:00:00",
            "serial_number": "01",
        }
        for number, pair in enumerate(pairs, 1)
    ]

    def answer(query: dict[str, str]) -> web.Response:
        if "d" in query:
            body = base64.encodebytes(pairs[int(query["d"]) - 1].certificate).decode()
            return web.Response(text=f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
        assert query["q"] == "%.example.test" and query["output"] == "json"
        return web.json_response(listed)

    return answer


async def test_what_it_knows_is_known_and_asked_for_once_a_day(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    old = Authority().issue("old.example.test", key=1)
    async with crtsh(knowing(old)) as (base, asked):
        await desk.start(ct=source(tmp_path, log.listed("rfc6962"), crtsh=base))
        await begun(desk, "example.test", options="--backfill")
        told = said((await desk.whisper("From crt.sh")).message)
        assert "1 unexpired certificate by `Example Trust`" in told and "1 key" in told
        await desk.tls("ct watch example.test --backfill")
        await desk.settled()
        assert len(asked) == 2  # the list and one certificate, once
    log.submit(Authority(seed=9).issue("new.example.test", key=4))
    log.submit(Authority("Another CA").issue("same-key.example.test", key=1))
    await until(lambda: rows(desk, "select state, because from ct_cases order by id") == [
        ("expected", "its CA is known for example.test"), ("expected", "its key is known")])  # fmt: skip
    log.submit(Authority("Third CA").issue("odd.example.test", key=4))
    await issuance(desk, "neither its CA nor its key is known")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=502, text="Bad Gateway"),
        lambda _: web.Response(text="<html>try later</html>"),
        lambda _: web.json_response({"id": "x"}),
        lambda _: web.json_response([{"id": 1}]),
        lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
    ],
)
async def test_what_fails_is_said_softly(answer: Answer) -> None:
    async with crtsh(answer) as (base, _):
        with pytest.raises(Unavailable):
            await filled("example.test", base, MANNERS, rng=Random(1))


async def test_the_watching_does_not_need_it(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    async with crtsh(lambda _: web.Response(status=429, headers={"Retry-After": "3600"})) as (base, _):
        await desk.start(ct=source(tmp_path, log.listed("rfc6962"), crtsh=base))
        await begun(desk, "example.test", options="--backfill")
        assert "did not work: crt.sh says nothing now" in said((await desk.whisper("back-fill")).message)
    log.submit(Authority().issue("api.example.test"))
    await issuance(desk, "api.example.test")


async def test_a_key_that_cannot_be_read_leaves_the_ca_known() -> None:
    known = knowing(Authority().issue("old.example.test"))

    def answer(query: dict[str, str]) -> web.Response:
        return web.Response(text="gone") if "d" in query else known(query)

    async with crtsh(answer) as (base, _):
        [found] = await filled("example.test", base, MANNERS, rng=Random(1))
    assert (found.ca, found.spki) == ("Example Trust", "")
