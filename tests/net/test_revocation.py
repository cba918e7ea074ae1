"""OCSP responders and CRL servers on loopback, slow, silent, wrong or refused: what the inquiry brings back."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from probes.lab.status import Page, Web, crl, ocsp_response
from probes.net import revocation
from probes.net.egress import Permit
from probes.net.resolve import Override
from probes.net.revocation import MAX_SOURCES, SAMPLES, Inquiry
from probes.observed import StatusAnswer, StatusKind
from probes.pki.certificate import Certificate, parse
from probes.pki.ocsp import judge_ocsp, request
from probes.pki.revocation import Question, judge
from tests import pki
from tests.net.peers import OpenSsl, Raw, listening, openssl_context, served
from tests.pki import NOW, Issued

ROOT = pki.authority()
CA = pki.intermediate(ROOT)
LEAF, OTHER = pki.leaf(CA), pki.leaf(CA, names=("other.test",))
GOOD, LISTED = ocsp_response(LEAF, CA, at=NOW), crl(CA, at=NOW)
CRL_TYPE = "application/pkix-crl"


def value(issued: Issued) -> Certificate:
    parsed = parse(issued.der)
    assert isinstance(parsed, Certificate)
    return parsed


def question(url: str, kind: StatusKind = "ocsp", about: Issued = LEAF) -> Question:
    return Question(kind=kind, url=url, certificate=value(about), issuer=value(CA))


@asynccontextmanager
async def web() -> AsyncIterator[Web]:
    bound = socket.create_server(("127.0.0.1", 0))
    pages = Web(f"http://127.0.0.1:{bound.getsockname()[1]}")
    server = await asyncio.get_running_loop().create_server(pages.peer(), sock=bound)
    try:
        yield pages
    finally:
        server.close()
        await server.wait_closed()


async def ask(
    *questions: Question,
    permit: Permit | None = None,
    overrides: dict[tuple[str, int], Override] | None = None,
    seconds: float = 8.0,
) -> tuple[StatusAnswer, ...]:
    async with asyncio.TaskGroup() as group:
        deadline = asyncio.get_running_loop().time() + seconds
        inquiry = Inquiry(group, permit=permit, overrides=overrides or {}, resolver=None, deadline=deadline)
        inquiry.ask(questions)
        assert inquiry.asking == bool(questions)
        return await inquiry.answers()


async def test_a_responder_is_asked_three_times_by_get_and_answers() -> None:
    async with web() as pages:
        url = pages.publish(Page(body=GOOD))
        [answer] = await ask(question(url))
    assert (answer.kind, answer.url, answer.failure, answer.body) == ("ocsp", url, None, GOOD)
    assert len(answer.samples_ms) == SAMPLES and all(each and 0 < each < 2000 for each in answer.samples_ms)
    assert len(pages.requests) == SAMPLES
    method, path = pages.requests[0].split(" ")
    assert method == "GET" and base64.b64decode(unquote(path.rpartition("/")[2])) == request(value(LEAF), value(CA))


async def test_a_responder_that_knows_post_alone_is_asked_so() -> None:
    async with web() as pages:
        [answer] = await ask(question(pages.publish(Page(body=GOOD, post_only=True))))
    assert answer.body == GOOD and len(answer.samples_ms) == SAMPLES
    assert [each.partition(" ")[0] for each in pages.requests] == ["GET", "POST", "POST", "POST"]


async def test_what_is_posted_is_the_question() -> None:
    posted: list[bytes] = []

    def respond(connection: Raw, _: bytes) -> None:
        head, _, body = bytes(connection.received).partition(b"\r\n\r\n")
        if body:
            posted.append(body)
            assert b"content-type: application/ocsp-request" in head.lower()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            connection.fin()

    async with listening(respond) as (endpoint, _):
        url = f"http://127.0.0.1:{endpoint.port}/?ca=1"  # with a query there is no place for a GET
        [answer] = await ask(question(url))
    assert answer.body == GOOD and set(posted) == {request(value(LEAF), value(CA))}


async def test_a_crl_is_fetched_three_times_when_it_is_small() -> None:
    async with web() as pages:
        [answer] = await ask(question(pages.publish(Page(body=LISTED, content_type=CRL_TYPE)), "crl"))
    assert answer.body == LISTED and len(answer.samples_ms) == SAMPLES == len(pages.requests)


async def test_a_large_crl_is_fetched_once() -> None:
    async with web() as pages:
        url = pages.publish(Page(body=LISTED + bytes(1024 * 1024), content_type=CRL_TYPE))
        [answer] = await ask(question(url, "crl"))
    assert len(answer.samples_ms) == 1 == len(pages.requests)


async def test_a_crl_beyond_all_bounds_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "MAX_CRL", 1 << 20)
    async with web() as pages:
        [answer] = await ask(question(pages.publish(Page(body=bytes(3 << 20), content_type=CRL_TYPE)), "crl"))
    assert (answer.failure, answer.body) == ("error", None) and "larger than 1024 KB" in answer.detail
    assert len(pages.requests) == 1


async def test_all_crls_of_a_check_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a chain of many names makes us hold is limited, and what is left out counts against nobody."""
    monkeypatch.setattr(revocation, "MAX_LISTS", 3 << 20)
    async with web() as pages:
        urls = [pages.publish(Page(body=bytes(2 << 20), content_type=CRL_TYPE)) for _ in range(4)]
        answers = await ask(*(question(url, "crl") for url in urls))
    had = [answer for answer in answers if answer.body is not None]
    assert len(had) <= 1 and {answer.failure for answer in answers if answer not in had} == {"refused"}
    assert all("as much as it may hold" in answer.detail for answer in answers if answer not in had)


async def test_one_crl_serves_all_certificates_that_name_it() -> None:
    async with web() as pages:
        url = pages.publish(Page(body=LISTED, content_type=CRL_TYPE))
        answers = await ask(question(url, "crl"), question(url, "crl", OTHER))
    assert [answer.certificate for answer in answers] == [LEAF.der, OTHER.der]
    assert all(answer.body == LISTED for answer in answers) and len(pages.requests) == SAMPLES


async def test_the_same_question_from_many_addresses_is_asked_once() -> None:
    async with web() as pages:
        url = pages.publish(Page(body=GOOD))
        answers = await ask(*(question(url) for _ in range(20)))
    assert len(answers) == 1 and len(pages.requests) == SAMPLES


async def test_no_more_sources_than_a_check_can_bear() -> None:
    async with web() as pages:
        urls = [pages.publish(Page(body=GOOD)) for _ in range(MAX_SOURCES + 5)]
        answers = await ask(*(question(url) for url in urls))
    assert [answer.url for answer in answers] == urls[:MAX_SOURCES]


async def test_one_and_a_half_seconds_are_measured_and_not_multiplied() -> None:
    loop = asyncio.get_running_loop()
    async with web() as pages:
        url = pages.publish(Page(body=GOOD, delay_s=1.5))
        began = loop.time()
        [answer] = await ask(question(url))
        took = loop.time() - began
    assert len(answer.samples_ms) == SAMPLES
    assert all(each and 1400 < each < 2000 for each in answer.samples_ms) and took < 3.2


async def test_a_silent_responder_is_a_timeout_and_delays_no_other() -> None:
    loop = asyncio.get_running_loop()
    async with web() as pages:
        silent, quick = pages.publish(Page(body=GOOD, delay_s=60)), pages.publish(Page(body=GOOD))
        began = loop.time()
        answers = await ask(question(silent), question(quick))
        took = loop.time() - began
    assert [answer.failure for answer in answers] == ["timeout", None]
    assert answers[0].samples_ms == (None, None, None) and answers[0].body is None
    assert 4.5 < took < 6.5


async def test_what_the_check_had_no_time_for_is_left_out() -> None:
    async with web() as pages:
        silent, quick = pages.publish(Page(body=GOOD, delay_s=60)), pages.publish(Page(body=GOOD))
        answers = await ask(question(silent), question(quick), question(silent, "crl"), seconds=0.8)
    assert [answer.url for answer in answers] == [quick]


async def test_a_crl_that_is_still_coming_tells_how_far_it_came() -> None:
    dripping: set[asyncio.Task[None]] = set()

    async def drip(connection: Raw) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not connection.transport.is_closing():
            connection.send(bytes(100))
            await asyncio.sleep(0.05)

    def respond(connection: Raw, data: bytes) -> None:
        if data:
            dripping.add(asyncio.create_task(drip(connection)))

    async with listening(respond) as (endpoint, _):
        [answer] = await ask(question(f"http://127.0.0.1:{endpoint.port}/", "crl"), seconds=2.5)
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)
    assert (answer.failure, answer.body) == ("timeout", None) and answer.received > 500


@pytest.mark.parametrize(
    ("page", "detail"),
    [
        (Page(body=b"", status=500), "HTTP 500"),
        (Page(body=b"", status=404), "HTTP 404"),
        (Page(body=bytes(200_000)), "larger than 128 KB"),
    ],
)
async def test_http_errors_are_errors(page: Page, detail: str) -> None:
    async with web() as pages:
        [answer] = await ask(question(pages.publish(page)))
    assert (answer.failure, answer.detail, answer.body) == ("error", detail, None)


async def test_nobody_there_is_unreachable() -> None:
    async with web() as pages:
        url = pages.publish(Page(body=GOOD))
    [closed] = await ask(question(url))
    [unknown] = await ask(question("http://x.invalid/"))
    assert closed.failure == "unreachable" and "ConnectError" in closed.detail
    assert unknown.failure == "unreachable" and "nxdomain" in unknown.detail


@pytest.mark.parametrize(
    "move", [Raw.fin, Raw.rst, lambda connection: connection.send(b"SSH-2.0-x\r\n") or connection.fin()]
)
async def test_a_connection_that_breaks_off_is_unreachable(move: Callable[[Raw], None]) -> None:
    async with listening(lambda connection, data: move(connection) if data else None) as (endpoint, _):
        [answer] = await ask(question(f"http://127.0.0.1:{endpoint.port}/"))
    assert (answer.failure, answer.body) == ("unreachable", None)


async def test_egress_is_asked_first_and_refusal_is_no_answer() -> None:
    asked: list[tuple[str, int]] = []

    def permit(address: str, port: int) -> str | None:
        asked.append((address, port))
        return "not from here"

    async with web() as pages:
        url = pages.publish(Page(body=GOOD))
        [by_ocsp, by_list] = await ask(question(url), question(url, "crl"), permit=permit)
    assert by_ocsp.failure == by_list.failure == "refused"
    assert by_ocsp.detail == "egress refused, 127.0.0.1: not from here"
    assert by_ocsp.samples_ms == (None,) and not pages.requests and {a for a, _ in asked} == {"127.0.0.1"}


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "100.100.100.200"])
async def test_metadata_and_link_local_addresses_are_never_asked(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    answers = await ask(
        question(f"http://{literal}/latest/meta-data"),
        question("http://ocsp.test/", "crl"),
        overrides={("ocsp.test", 80): (address,)},
    )
    assert [answer.failure for answer in answers] == ["refused", "refused"]


async def test_a_redirect_to_metadata_is_not_followed() -> None:
    def respond(connection: Raw, data: bytes) -> None:
        if data:
            connection.send(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
            connection.fin()

    async with listening(respond) as (endpoint, _):
        [answer] = await ask(question(f"http://127.0.0.1:{endpoint.port}/", "crl"))
    assert answer.failure == "refused" and "169.254.169.254" in answer.detail


async def test_https_is_asked_without_trust_in_its_certificate() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(GOOD)
    context = openssl_context(pki.self_signed(("nobody.test",)))
    async with served(lambda: OpenSsl(context, head + GOOD)) as endpoint:
        overrides: dict[tuple[str, int], Override] = {("ocsp.test", endpoint.port): ("127.0.0.1",)}
        [answer] = await ask(question(f"https://ocsp.test:{endpoint.port}/"), overrides=overrides)
    assert answer.body == GOOD


async def test_cancelling_the_check_ends_every_question() -> None:
    all_asked = asyncio.Event()
    heads = 0

    def silent(_: Raw, data: bytes) -> None:
        nonlocal heads
        heads += bool(data)
        if heads == 5:
            all_asked.set()

    async with listening(silent) as (endpoint, _):
        url = f"http://127.0.0.1:{endpoint.port}"
        asked = (*(question(f"{url}/{number}") for number in range(4)), question(f"{url}/list", "crl"))
        checking = asyncio.create_task(ask(*asked))
        await all_asked.wait()
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_without_questions_there_is_no_task_and_no_wait() -> None:
    assert await ask() == ()


# ── a responder that is not ours ────────────────────────────────────────────────

OPENSSL = shutil.which("openssl")


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
@pytest.mark.parametrize(("flag", "outcome"), [("V", "good"), ("R", "revoked"), (None, "unknown")])
def test_openssl_s_responder_understands_the_question_and_is_understood(
    tmp_path: Path, flag: str | None, outcome: str
) -> None:
    serial = f"{LEAF.certificate.serial_number:X}"
    serial = serial if len(serial) % 2 == 0 else "0" + serial
    row = f"{flag}\t351231000000Z\t{'261001000000Z,keyCompromise' if flag == 'R' else ''}\t{serial}\tunknown\t/CN=x\n"
    files = {
        "index.txt": row.encode() if flag else b"",
        "ca.pem": CA.pem.encode(),
        "ca.key": CA.key_pem.encode(),
        "question.der": request(value(LEAF), value(CA)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = f"{OPENSSL} ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 1"
    made = subprocess.run(
        [*command.split(), "-reqin", "question.der", "-respout", "answer.der"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    status = judge_ocsp((tmp_path / "answer.der").read_bytes(), value(LEAF), value(CA), datetime.now(UTC))
    assert (status.outcome, status.verified) == (outcome, True), status
    if outcome == "revoked":
        assert status.reason == "keyCompromise"


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
def test_openssl_s_crl_is_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CA.pem)
    (tmp_path / "ca.key").write_text(CA.key_pem)
    serial = f"{LEAF.certificate.serial_number:X}"
    serial = serial if len(serial) % 2 == 0 else "0" + serial
    (tmp_path / "index.txt").write_text(f"R\t351231000000Z\t261001000000Z,keyCompromise\t{serial}\tunknown\t/CN=x\n")
    (tmp_path / "number").write_text("01\n")
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=7\n"
    )
    command = f"{OPENSSL} ca -gencrl -config ca.cnf -cert ca.pem -keyfile ca.key -out list.pem"
    made = subprocess.run(command.split(), check=False, cwd=tmp_path, capture_output=True)
    assert made.returncode == 0, made.stderr
    body = (tmp_path / "list.pem").read_bytes()
    now = datetime.now(UTC)  # the command knows no other
    assert judge("crl", body, value(LEAF), value(CA), now).outcome == "revoked"
    assert judge("crl", body, value(OTHER), value(CA), now).outcome == "good"
