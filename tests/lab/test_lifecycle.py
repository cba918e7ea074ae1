"""A lab comes up quickly, leaves nothing behind, and makes do with what the machine has."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from probes.lab import start
from probes.lab.listen import bind
from tests.lab.client import hello, shake, verify_code


def _open_sockets() -> set[str]:
    """The sockets of this process, by inode (Linux)."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return {link for link in links if link.startswith("socket:")}


async def test_starting_and_closing_twice_leaves_nothing() -> None:
    before, threads = _open_sockets(), threading.active_count()
    for _ in range(2):
        lab = await start(port=0)
        healthy = lab.case("healthy.lab")
        assert (await shake(healthy.addresses[0], healthy.port, healthy.name)).version == "TLSv1.3"
        await lab.close()
        with pytest.raises(ConnectionRefusedError):
            await shake(healthy.addresses[0], healthy.port, healthy.name)
    gc.collect()
    assert _open_sockets() == before
    assert threading.active_count() == threads
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_ends_connections_that_are_open() -> None:
    async with await start(port=0) as lab:
        case = lab.case("silent.lab")
        reader, writer = await asyncio.open_connection(case.addresses[0], case.port)
        writer.write(hello(case.name))
        slow = lab.case("slow.lab")
        _, waiting = await asyncio.open_connection(slow.addresses[0], slow.port)
        waiting.write(hello(slow.name))
        await waiting.drain()
    with suppress(ConnectionResetError):  # FIN or RST: either is an end
        assert await asyncio.wait_for(reader.read(1), 10) == b""
    assert reader.at_eof()
    writer.close()
    waiting.close()


async def test_two_labs_trust_different_roots() -> None:
    async with await start(port=0) as one, await start(port=0) as other:
        assert one.root_pem != other.root_pem
        case = one.case("healthy.lab")
        assert await verify_code(case.addresses[0], case.port, case.name, one.root_pem) == 0
        assert await verify_code(case.addresses[0], case.port, case.name, other.root_pem) != 0


async def test_a_fixed_port_is_shared_and_what_is_taken_moves() -> None:
    with socket.create_server(("127.0.0.2", 0)) as occupied:
        port = occupied.getsockname()[1]
        async with await start(port=port) as lab:
            moved = [case for case in lab.cases if "127.0.0.2" in case.addresses]
            assert [case.port == port for case in moved] == [False]
            assert f"{port} is not free" in moved[0].remark
            others = [case for case in lab.cases if case not in moved]
            assert len({case.port for case in others if not case.remark}) == 1
            assert all(case.port == port for case in others if not case.remark)
            assert (await shake("127.0.0.2", moved[0].port, moved[0].name)).chain


async def test_with_one_loopback_address_everything_else_still_works() -> None:
    async with await start(port=8443, many_addresses=False) as lab:
        assert {address for case in lab.cases if case.name != "unreachable.lab" for address in case.addresses} == {
            "127.0.0.1"
        }
        assert "one-expired.lab" in {left.name for left in lab.left_out}
        assert all("several" in left.why for left in lab.left_out)
        ports = [case.port for case in lab.cases if "127.0.0.1" in case.addresses]
        assert len(set(ports)) == len(ports)
        healthy = lab.case("healthy.lab")
        assert healthy.remark
        assert await verify_code("127.0.0.1", healthy.port, healthy.name, lab.root_pem) == 0


def test_what_cannot_be_bound_is_an_error_and_holds_nothing() -> None:
    before = _open_sockets()
    with pytest.raises(OSError) as failure:
        bind(["127.0.0.1", "192.0.2.1"], 0)  # TEST-NET-1 (RFC 5737): nobody's; bind() sends nothing
    assert failure.value.errno == errno.EADDRNOTAVAIL
    assert _open_sockets() == before
