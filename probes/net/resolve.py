"""From a host to its addresses, with who said so: literal, override, hosts file, DNS, the C library.

What DNS answers is told apart (NXDOMAIN, SERVFAIL, silence, no address…) because each has another remedy.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from probes.model import Endpoint, Resolution, ResolutionFailure, ip_literal
from probes.net import nameserver
from probes.net.nameserver import Answer
from probes.net.system import System

Override: TypeAlias = tuple[str, ...] | ResolutionFailure
Overrides: TypeAlias = Mapping[tuple[str, int], Override]

BUDGET_S = 2.5
UNCHECKED_S = 1.0  # for the question whether DNSSEC is to blame
OTHER_FAMILY_S = 1.0  # one family has addresses: how long the other may still take
LOOPBACK = ("127.0.0.1", "::1")
# Which failure stands for the look-up when both families failed: what denies the name, then what the server
# said about itself, then silence; "no record" only when both families say so.
_PRECEDENCE: tuple[ResolutionFailure, ...] = ("nxdomain", "servfail", "refused", "malformed", "timeout", "no-data")


async def resolve(
    host: str,
    port: int,
    *,
    overrides: Overrides,
    resolver: Endpoint | None,
    deadline: float,
    system: System | None = None,
) -> Resolution:
    """The addresses of *host* (an A-label name or IP literal), IPv4 first, those from DNS in numerical order.

    *resolver* replaces the name servers, search domains and hosts file of *system* (None: read from this
    machine's files). Back by *deadline* (loop time) and within 2.5 s, whichever is sooner.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = min(deadline, began + BUDGET_S)
    name = host.rstrip(".").lower()
    found = _known(name, port, overrides)
    if found is None:
        system = system or System.read()
        found = _special(name, system) or (
            await _by_dns(name, (resolver,), 2, deadline)
            if resolver
            else _by_hosts(name, system) or await _by_system(name, system, deadline)
        )
    return replace(found, elapsed_ms=(loop.time() - began) * 1000)


def _known(name: str, port: int, overrides: Overrides) -> Resolution | None:
    if ip_literal(name):
        return Resolution(addresses=(name,), source="literal")
    match overrides.get((name, port)):
        case None:
            return None
        case str() as failure:
            return Resolution(addresses=(), source="--resolve", failure=failure, detail=(f"--resolve: {failure}",))
        case ():
            return Resolution(addresses=(), source="--resolve", failure="no-data", detail=("--resolve: no address",))
        case addresses:
            return Resolution(addresses=addresses, source="--resolve")


def _special(name: str, system: System) -> Resolution | None:
    """RFC 6761 sections 6.3 and 6.4: localhost is loopback, invalid does not exist; neither is ever asked for.

    Where the hosts file names localhost, its loopback addresses are taken: a machine that has only
    127.0.0.1 there would otherwise see a refusal at ::1 that no program on it meets.
    """
    last = name.rpartition(".")[2]
    if last == "localhost":
        named = (address for address in system.hosts.get("localhost", ()) if _is_loopback(address))
        return Resolution(addresses=tuple(named) or LOOPBACK, source="localhost (RFC 6761)")
    if last == "invalid":
        return Resolution(addresses=(), source="RFC 6761", failure="nxdomain", detail=(".invalid never exists",))
    return None


def _is_loopback(address: str) -> bool:
    literal = ip_literal(address)
    return literal is not None and literal.is_loopback


def _by_hosts(name: str, system: System) -> Resolution | None:
    addresses = system.hosts.get(name, ())
    return Resolution(addresses=addresses, source="hosts file") if addresses else None


async def _by_system(name: str, system: System, deadline: float) -> Resolution:
    """DNS as resolv.conf has it; then, where DNS cannot know the name, whatever else the C library asks."""
    if not system.nameservers:
        return await _by_c_library(name, deadline)
    found: Resolution | None = None
    plain: Resolution | None = None  # what DNS says of the name itself, without a search domain
    for candidate in system.candidates(name):
        found = await _by_dns(candidate, system.nameservers, system.attempts, deadline)
        plain = found if candidate == name else plain
        if found.failure is None or found.failure == "timeout":
            break
    assert found is not None  # the name itself is always a candidate
    if found.failure is None:
        return found
    denied = plain or found
    if denied.failure == "nxdomain" and ("." not in name or name.endswith(".local")):
        local = await _by_c_library(name, deadline)  # container and mDNS names live outside DNS
        return local if local.failure is None else replace(denied, detail=denied.detail + local.detail)
    return denied


async def _by_dns(name: str, servers: tuple[Endpoint, ...], attempts: int, deadline: float) -> Resolution:
    v4, v6 = await _both(name, servers, attempts, deadline)
    asked = v4.server or v6.server
    source = "DNS " + (nameserver.server_name(asked) if asked else ", ".join(map(nameserver.server_name, servers)))
    detail = v4.lines + v6.lines
    addresses = v4.addresses + v6.addresses
    aliases = v4.aliases or v6.aliases
    secure = all(answer.authentic for answer in (v4, v6) if answer.addresses)
    if addresses:
        dnssec: Literal["secure", "unknown"] = "secure" if secure else "unknown"
        return Resolution(addresses=addresses, source=source, detail=detail, aliases=aliases, dnssec=dnssec)
    failures = {v4.failure, v6.failure}
    failure = next(failure for failure in _PRECEDENCE if failure in failures)
    found = Resolution(addresses=(), source=source, failure=failure, detail=detail, aliases=aliases)
    return await _unchecked(found, name, servers, deadline) if failure == "servfail" else found


async def _unchecked(found: Resolution, name: str, servers: tuple[Endpoint, ...], deadline: float) -> Resolution:
    """SERVFAIL says nothing of its reason. With checking disabled, data whose DNSSEC is broken comes all the same."""
    deadline = min(deadline, asyncio.get_running_loop().time() + UNCHECKED_S)
    again = await nameserver.ask(name, "A", servers, attempts=1, deadline=deadline, checking_disabled=True)
    if again.failure not in {None, "no-data", "nxdomain"} or again.server is None:
        return found
    said = "; ".join(again.lines[-1:])
    line = f"with DNSSEC checking disabled it answers: {said}"
    return replace(found, detail=(*found.detail, line), dnssec="bogus", aliases=again.aliases)


async def _both(name: str, servers: tuple[Endpoint, ...], attempts: int, deadline: float) -> tuple[Answer, Answer]:
    """A and AAAA at once. When one has addresses and the other is silent, the check goes on without it."""
    loop = asyncio.get_running_loop()
    tasks = [
        asyncio.create_task(nameserver.ask(name, family, servers, attempts=attempts, deadline=deadline))
        for family in nameserver.FAMILIES
    ]
    try:
        done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if late and any(task.result().addresses for task in done):
            patience = min(deadline, loop.time() + OTHER_FAMILY_S) - loop.time()
            _, late = await asyncio.wait(late, timeout=max(patience, 0))
        elif late:
            await asyncio.wait(late)
            late = set()
        v4, v6 = (
            Answer(failure="timeout", lines=(f"{family}: no answer in time",)) if task in late else task.result()
            for task, family in zip(tasks, nameserver.FAMILIES, strict=True)
        )
        return v4, v6
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _by_c_library(name: str, deadline: float) -> Resolution:
    """getaddrinfo, which honours nsswitch. Its thread is a daemon: a hanging look-up never delays the exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Resolution] = loop.create_future()

    def report(found: Resolution) -> None:
        if not answer.done():
            answer.set_result(found)

    def look_up() -> None:
        found = _getaddrinfo(name)
        try:
            loop.call_soon_threadsafe(report, found)
        except RuntimeError:  # the loop has closed meanwhile: nobody waits any more
            return

    threading.Thread(target=look_up, name=f"getaddrinfo {name}", daemon=True).start()
    try:
        async with asyncio.timeout_at(deadline):
            return await answer
    except TimeoutError:
        line = "getaddrinfo: no answer in time"
        return Resolution(addresses=(), source="getaddrinfo", failure="timeout", detail=(line,))


def _getaddrinfo(name: str) -> Resolution:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Resolution(
            addresses=(), source="getaddrinfo", failure=_gai(error.errno), detail=(f"getaddrinfo: {error.strerror}",)
        )
    except (OSError, UnicodeError) as error:
        return Resolution(addresses=(), source="getaddrinfo", failure="servfail", detail=(f"getaddrinfo: {error}",))
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    return Resolution(addresses=addresses[: nameserver.MAX_ADDRESSES], source="getaddrinfo")


def _gai(code: int | None) -> ResolutionFailure:
    """EAI_AGAIN is all the C library says of SERVFAIL and of silence."""
    if code == socket.EAI_NONAME:
        return "nxdomain"
    return "no-data" if code == getattr(socket, "EAI_NODATA", None) else "servfail"
