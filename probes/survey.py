"""Makes the offers that `plan` names: every address at once, inside one deadline. Judges nothing.

Each address has its own lane: its second wave starts when its own first wave is in, whatever
the other addresses do. A lane opens at most 12 connections at a time, halved whenever one of
what should have worked was reset or ran out of time, because the crowd itself may be the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from probes import plan, resuming
from probes.model import Dropped, Endpoint, Gap, Handshake, Offer, Stalled, Target, Unreached
from probes.values import value

MAX_CROWD = 12
QUIET = 1  # connections at a time when the question is whether the crowd was to blame
_PER_CHECK = 96  # connections open at once over all addresses: a name with 30 addresses is no reason to flood
MAX_ADDRESSES = 32
MAX_WAVES = 4

Shake = Callable[[Endpoint, Offer, int], Awaitable[Handshake]]  # endpoint, offer, connections open there now


@value
class Seen:
    """What the lanes brought back."""

    handshakes: tuple[Handshake, ...]
    gaps: tuple[Gap, ...]


async def survey(
    target: Target,
    endpoints: tuple[Endpoint, ...],
    *,
    shake: Shake,
    on_progress: Callable[[str], None],
    identify: bool = False,
) -> Seen:
    """Every offer to every endpoint; *identify*: those that show a client certificate, too.

    `shake` never raises and always ends by the check's deadline.
    """
    looked_at, left_out = endpoints[:MAX_ADDRESSES], endpoints[MAX_ADDRESSES:]
    gate = asyncio.Semaphore(_PER_CHECK)
    finished = 0

    async def lane(endpoint: Endpoint) -> tuple[Handshake, ...]:
        nonlocal finished
        seen = await _lane(target, endpoint, shake, gate, identify=identify)
        finished += 1
        if len(looked_at) > 1:
            on_progress(f"{finished} of {len(looked_at)} addresses probed")
        return seen

    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(lane(endpoint)) for endpoint in looked_at]
    gaps: tuple[Gap, ...] = ()
    if left_out:
        why = f"the name has {len(endpoints)} addresses; the first {MAX_ADDRESSES} were probed"
        gaps = (Gap(what="further addresses", why=why, addresses=tuple(e.address for e in left_out)),)
    return Seen(handshakes=tuple(shake for task in lanes for shake in task.result()), gaps=gaps)


async def _lane(
    target: Target, endpoint: Endpoint, shake: Shake, gate: asyncio.Semaphore, *, identify: bool
) -> tuple[Handshake, ...]:
    seen: list[Handshake] = []
    crowd = min(MAX_CROWD, plan.crowd(target))
    offers = plan.first(target, identify=identify)
    for _ in range(MAX_WAVES):
        if not offers:
            break
        crowd = await _wave(endpoint, offers, shake, gate, crowd, seen)
        offers = plan.following(target, tuple(seen), identify=identify)
    return tuple(seen)


async def sample(
    target: Target, seen: tuple[Handshake, ...], *, shake: Shake, at_once: int = MAX_CROWD
) -> tuple[Handshake, ...]:
    """Repeat one offer at each of these addresses, and where not all repeats pass, what `plan` asks about that."""
    gate = asyncio.Semaphore(_PER_CHECK)

    async def lane(endpoint: Endpoint) -> list[Handshake]:
        known = [each for each in seen if each.endpoint == endpoint]
        made = list(known)
        offers = plan.sampling(target, tuple(known))
        while offers and len(made) < plan.MAX_PER_ADDRESS:
            await _wave(endpoint, offers, shake, gate, at_once, made)
            offers = plan.following(target, tuple(made)) if any(map(_complains, made[len(known) :])) else ()
        return made[len(known) :]

    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(lane(endpoint)) for endpoint in dict.fromkeys(each.endpoint for each in seen)]
    return tuple(made for task in lanes for made in task.result())


async def resume(seen: tuple[Handshake, ...], *, shake: Shake, at_once: int = MAX_CROWD) -> tuple[Handshake, ...]:
    """Offer again what *seen* left to resume, at these addresses and across them; in a few rounds.

    A round ends at every address before the next begins: what is asked next depends on all of them.
    """
    gate = asyncio.Semaphore(_PER_CHECK)
    made: list[Handshake] = []
    busy = {each.endpoint for each in seen if _complains(each)}
    for _ in range(resuming.ROUNDS):
        asked = resuming.next_offers((*seen, *made))
        if not asked:
            break
        places = dict.fromkeys(endpoint for endpoint, _ in asked)
        async with asyncio.TaskGroup() as group:
            for place in places:
                offers = tuple(offer for endpoint, offer in asked if endpoint == place)
                crowd = QUIET if place in busy else at_once
                group.create_task(_wave(place, offers, shake, gate, crowd, made))
    return tuple(made)


async def _wave(
    endpoint: Endpoint,
    offers: tuple[Offer, ...],
    shake: Shake,
    gate: asyncio.Semaphore,
    crowd: int,
    seen: list[Handshake],
) -> int:
    """Make *offers*, at most *crowd* at a time; returns the crowd that the endpoint took without complaint."""
    waiting = deque(offers)
    running: set[asyncio.Future[Handshake]] = set()
    ended: list[asyncio.Future[Handshake]] = []
    if any(offer.purpose == "again" for offer in offers):
        crowd = min(crowd, QUIET)
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def note(made: asyncio.Future[Handshake]) -> None:
        gate.release()
        running.discard(made)
        ended.append(made)
        # While none waits for its turn, nothing is decided before the last has ended.
        if not told.done() and (waiting or not running):
            told.set_result(None)

    try:
        while waiting or running:
            open_then = min(crowd, len(running) + len(waiting))
            while waiting and len(running) < crowd:
                await gate.acquire()
                begun = asyncio.ensure_future(shake(endpoint, waiting.popleft(), open_then))
                running.add(begun)
                begun.add_done_callback(note)
            if running and not ended:
                told = loop.create_future()
                await told
            for each in ended:
                seen.append(each.result())
                if _complains(seen[-1]):
                    crowd = max(1, crowd // 2)
            ended.clear()
    finally:
        for each in running:
            each.cancel()
    return crowd


def _complains(shake: Handshake) -> bool:
    return isinstance(shake.outcome, Dropped | Stalled | Unreached) and plan.should_work(shake.offer)
