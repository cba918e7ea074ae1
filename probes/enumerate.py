"""Everything an endpoint agrees to: versions, suites version by version, groups, and whose order decides.

A walk offers a set, takes away what the server chose and offers the rest, until nothing is chosen; several walks run
side by side, over parts of the set, so that round trips stay few. What is asked next is decided by generators without
I/O; `enumerate_endpoint` lets them meet an endpoint, through the same `shake` as a survey.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable
from dataclasses import replace
from functools import cache
from typing import TypeAlias

from probes import plan
from probes.clients import TLS10, TLS11, TLS12, TLS13
from probes.model import Alerted, Completed, Dropped, Endpoint, Gap, Handshake, Malformed, Offer, Target
from probes.observed import Enumerated
from probes.values import value
from probes.wire.registry import GROUPS, SSL3, Group, version_name
from probes.wire.suites import CipherSuite, all_suites

MAX_HANDSHAKES = 300  # an endpoint that agrees to whatever it is asked ends here
MAX_ADDRESSES = 8
_QUIET_CROWD = 3  # connections at a time for an endpoint that shed a crowd before

Shake: TypeAlias = Callable[[Endpoint, Offer, int], Awaitable[Handshake]]

_HYBRID = (0x11EC, 0x11EB, 0x11ED, 0x11EE, 0x6399, 0x639A, 0x0200, 0x0201, 0x0202)
_CLASSIC = (Group.X25519, Group.SECP256R1, Group.X448, Group.SECP521R1, Group.SECP384R1)
_FINITE = (0x0100, 0x0101, 0x0102, 0x0103, 0x0104)
_NOT_GROUPS = (0xFF01, 0xFF02)
_OTHER = tuple(g for g in GROUPS if g not in {*_HYBRID, *_CLASSIC, *_FINITE, *_NOT_GROUPS})
_GROUP_PARTS = (_HYBRID, _CLASSIC, _FINITE, _OTHER)
_CURVES = tuple(group for group in GROUPS if group < 0x0100)  # what a suite of TLS 1.2 can be used with


@value
class Walked:
    """What one walk found, in the order chosen. `problem`: why it stopped before its end."""

    found: tuple[int, ...] = ()
    problem: str | None = None


Walk: TypeAlias = Generator[Offer, Handshake, Walked]


def walk(
    candidates: tuple[int, ...],
    offer: Callable[[tuple[int, ...]], Offer],
    chosen: Callable[[Handshake], int | None],
) -> Walk:
    """Offer *candidates*, take away what is chosen, until nothing is."""
    left, found = list(candidates), list[int]()
    retried = False
    while left:
        seen = yield offer(tuple(left))
        choice = chosen(seen)
        if choice in left:
            left.remove(choice)
            found.append(choice)
            retried = False
        elif isinstance(seen.outcome, Dropped) and not retried:
            retried = True  # many servers close instead of saying no; asking once more tells it from an accident
        elif _says_no(seen):
            break
        else:
            return Walked(found=tuple(found), problem=_problem(seen))
    return Walked(found=tuple(found))


def _says_no(seen: Handshake) -> bool:
    """An alert, a close, or an older version than was asked about."""
    older = seen.version is not None and seen.version < min(seen.offer.versions)
    return older or isinstance(seen.outcome, Alerted | Dropped)


def _problem(seen: Handshake) -> str:
    if isinstance(seen.outcome, Completed | Malformed):
        return "the server chose what was not offered"
    return f"a handshake ended as {type(seen.outcome).__name__.lower()}"


def merged(first: tuple[int, ...], second: tuple[int, ...], offer: Callable[[tuple[int, ...]], Offer]) -> Walk:
    """Two lists in the server's order as one, by letting it choose between two at a time."""
    left, right, found = list(first), list(second), list[int]()
    try:
        while left and right:
            ahead = yield from _ahead(left, right[0], offer)
            found += left[:ahead]
            # What is left of one list goes behind the head of the other, so the roles change.
            left, right = right, left[ahead:]
    except _UnsettledError as error:
        return Walked(found=(*found, *left, *right), problem=_problem(error.seen))
    return Walked(found=(*found, *left, *right))


class _UnsettledError(Exception):
    """Asked to choose between two, the server chose neither."""

    def __init__(self, seen: Handshake) -> None:
        super().__init__()
        self.seen = seen


def _ahead(run: list[int], head: int, offer: Callable[[tuple[int, ...]], Offer]) -> Generator[Offer, Handshake, int]:
    """How many of *run* the server prefers to *head*: all, as mostly, or searched for in leaps, then by halves."""

    def leads(place: int) -> Generator[Offer, Handshake, bool]:
        seen = yield offer((head, run[place]))
        choice = suite_chosen(seen)
        if choice not in {head, run[place]}:
            raise _UnsettledError(seen)
        return choice != head

    if (yield from leads(len(run) - 1)):
        return len(run)
    least, most, leap = 0, len(run) - 1, 1  # run[:least] leads, run[most:] does not
    while least < most:
        place = min(least + leap, most) - 1 if leap else (least + most) // 2
        if (yield from leads(place)):
            least, leap = place + 1, leap * 2
        else:
            most, leap = place, 0
    return least


# ── what there is to offer ──────────────────────────────────────────────────────


@cache
def suites_of(version: int) -> tuple[tuple[int, ...], ...]:
    """Every suite that *version* can speak, in parts that servers prefer more or less in this order."""
    parts: dict[int, list[int]] = {}
    for suite in all_suites():
        if suite.is_signalling or suite.is_tls13 != (version == TLS13) or suite.min_version > version:
            continue
        parts.setdefault(_part(suite), []).append(suite.code)
    return tuple(tuple(sorted(parts[part], key=_strength)) for part in sorted(parts))


def _part(suite: CipherSuite) -> int:
    weak = suite.export or any(each in suite.enc for each in ("RC4", "RC2", "DES", "NULL"))
    if suite.is_tls13:
        return 0
    if suite.kex not in {"ECDHE", "DHE", "RSA"}:
        return 7
    if weak:
        return 6
    sealed = suite.mac == "AEAD"
    if suite.kex != "RSA":
        return 0 if sealed else 1
    if sealed:
        return 2 if "256" in suite.enc else 3
    return 4 if suite.mac.startswith("SHA2") or suite.mac == "SHA384" else 5


def _strength(code: int) -> tuple[int, int]:
    """Nothing depends on it but that ChaCha20 never leads: OpenSSL would take that for a wish of the client's."""
    suite = next(each for each in all_suites() if each.code == code)
    return (0 if "256" in suite.enc and "CHACHA" not in suite.name else 1 if "CHACHA" in suite.name else 2, code)


def _base(target: Target) -> Offer:
    everything = plan.everything(target)
    return replace(
        plan.small(target),
        purpose="enumerate",
        groups=tuple(group for group in everything.groups if group not in _FINITE),
        signature_algorithms=everything.signature_algorithms,
        key_shares=(),
        until="server_hello",
    )


class Offers:
    """The offers of one enumeration."""

    def __init__(self, target: Target) -> None:
        self._base = _base(target)

    def suites(self, version: int, suites: tuple[int, ...]) -> Offer:
        # RFC 7919 section 4: finite-field groups that the server lacks would hide its DHE suites before TLS 1.3.
        groups = self._base.groups if version < TLS13 else (*self._base.groups, *_FINITE, *_HYBRID)
        return replace(self._base, versions=(version,), ciphers=suites, groups=tuple(dict.fromkeys(groups)))

    def groups13(self, suites: tuple[int, ...], groups: tuple[int, ...]) -> Offer:
        """Without a key share: a server names the group it wants (RFC 8446 section 4.1.4)."""
        return replace(self._base, versions=(TLS13,), ciphers=suites, groups=groups)

    def groups12(self, version: int, suites: tuple[int, ...], groups: tuple[int, ...]) -> Offer:
        """The curve stands in the ServerKeyExchange, behind the certificate."""
        return replace(self._base, versions=(version,), ciphers=suites, groups=groups, until="certificate")


def suite_chosen(seen: Handshake) -> int | None:
    return seen.cipher if isinstance(seen.outcome, Completed) and seen.version in seen.offer.versions else None


def group_chosen(seen: Handshake) -> int | None:
    return seen.group if seen.version in seen.offer.versions and seen.group in seen.offer.groups else None


# ── one endpoint ────────────────────────────────────────────────────────────────


class _SpentError(Exception):
    """The endpoint took more handshakes than one enumeration may make."""


class _Line:
    """The way to one endpoint: counted, and a few connections at a time."""

    def __init__(self, endpoint: Endpoint, shake: Shake, crowd: int) -> None:
        self._endpoint, self._shake = endpoint, shake
        self._gate = asyncio.Semaphore(crowd)
        self._open = 0
        self.made = 0

    async def ask(self, offer: Offer) -> Handshake:
        async with self._gate:
            if self.made >= MAX_HANDSHAKES:
                raise _SpentError
            self.made += 1
            self._open += 1
            try:
                return await self._shake(self._endpoint, offer, self._open)
            finally:
                self._open -= 1

    async def go(self, steps: Walk) -> Walked:
        """Let *steps* ask until it knows."""
        try:
            offer = next(steps)
            while True:
                offer = steps.send(await self.ask(offer))
        except StopIteration as stop:
            walked: Walked = stop.value
            return walked
        except _SpentError:
            return Walked(problem=f"it was stopped after {MAX_HANDSHAKES} handshakes")

    async def go_all(self, walks: Iterable[Walk]) -> list[Walked]:
        return list(await asyncio.gather(*map(self.go, walks)))


class _Survey:
    """The enumeration of one endpoint: what was found so far, and what kept it from more."""

    def __init__(self, target: Target, line: _Line, known: tuple[Handshake, ...]) -> None:
        self._offers = Offers(target)
        self._line = line
        self._known = known
        self.problems: list[str] = []
        self.parts: dict[int, list[tuple[int, ...]]] = {}
        self.favourite: dict[int, int | None] = {}  # what each version chose of everything
        self.groups: tuple[int, ...] = ()
        self.server_order: bool | None = None

    async def run(self) -> None:
        versions = (TLS13, TLS12, TLS11, TLS10, SSL3)
        asked = [self._line.go(self._favourite(version)) for version in versions]
        first = await asyncio.gather(*asked)
        known = {shake.version for shake in self._known if isinstance(shake.outcome, Completed)}
        for version, walked in zip(versions, first, strict=True):
            self._note(walked)
            self.favourite[version] = next(iter(walked.found), None)
        spoken = [v for v in versions if self.favourite[v] is not None or v in known]
        if SSL3 in spoken:
            self.parts[SSL3] = [first[-1].found]
        spoken = [version for version in spoken if version != SSL3]
        await asyncio.gather(*map(self._suites, spoken), self._groups13(TLS13 in spoken))
        await asyncio.gather(self._order(spoken), self._groups12(spoken))

    def _note(self, walked: Walked) -> None:
        if walked.problem is not None:
            self.problems.append(walked.problem)

    def _favourite(self, version: int) -> Walk:
        """A walk of one step: does the version pass at all, and with which suite of all there are?"""
        suites = tuple(suite for part in suites_of(version) for suite in part)
        seen = yield self._offers.suites(version, suites)
        choice = suite_chosen(seen)
        if choice is None and isinstance(seen.outcome, Dropped):
            seen = yield self._offers.suites(version, suites)
            choice = suite_chosen(seen)
        problem = None if choice is not None or _says_no(seen) else _problem(seen)
        return Walked(found=() if choice is None else (choice,), problem=problem)

    async def _suites(self, version: int) -> None:
        def offer(suites: tuple[int, ...]) -> Offer:
            return self._offers.suites(version, suites)

        favourite = self.favourite[version]
        parts = [tuple(suite for suite in part if suite != favourite) for part in suites_of(version)]
        walks = await self._line.go_all(walk(part, offer, suite_chosen) for part in parts)
        found = []
        for part, walked in zip(suites_of(version), walks, strict=True):
            self._note(walked)
            # Chosen of everything, it comes before all others of its part.
            found.append((favourite, *walked.found) if favourite in part else walked.found)
        self.parts[version] = [each for each in found if each]

    async def _groups13(self, spoken: bool) -> None:
        if not spoken:
            return
        suites = suites_of(TLS13)[0]
        walks = await self._line.go_all(
            walk(part, lambda groups: self._offers.groups13(suites, groups), group_chosen) for part in _GROUP_PARTS
        )
        for walked in walks:
            self._note(walked)
            self.groups += walked.found
        # A server that cannot ask for a share (HelloRetryRequest) shows its groups only where it gets one.
        self.groups += tuple(seen.group for seen in self._known if seen.version == TLS13 and seen.group is not None)

    async def _groups12(self, spoken: list[int]) -> None:
        """The curves that TLS 1.2 takes beyond those already seen."""
        for version in (TLS12, TLS11, TLS10):
            suites = tuple(s for part in self.parts.get(version, ()) for s in part if s in _elliptic())
            if version not in spoken or not suites:
                continue
            left = tuple(group for group in _CURVES if group not in self.groups)
            offer = lambda groups, v=version, s=suites: self._offers.groups12(v, s, groups)  # noqa: E731
            walked = await self._line.go(walk(left, offer, group_chosen))
            self._note(walked)
            self.groups += walked.found
            return

    async def _order(self, spoken: list[int]) -> None:
        """Ask again in reverse: a server with an order of its own chooses the same. Then put its parts in order."""
        several = [version for version in spoken if len(self._all(version)) > 1]
        version = next((version for version in several if version != TLS13), next(iter(several), None))
        if version is None or self.favourite[version] is None:
            return
        backwards = tuple(sorted(self._all(version), key=self._position(version), reverse=True))
        seen = await self._line.go(walk_once(self._offers.suites(version, backwards)))
        choice = next(iter(seen.found), None)
        if choice is None:
            return
        self.server_order = choice == self.favourite[version]
        if self.server_order:
            await asyncio.gather(*(self._merge(each) for each in several))

    @staticmethod
    def _position(version: int) -> Callable[[int], int]:
        places = {suite: place for place, suite in enumerate(s for part in suites_of(version) for s in part)}
        return places.__getitem__

    async def _merge(self, version: int) -> None:
        whole: tuple[int, ...] = ()
        for part in self.parts[version]:
            walked = await self._line.go(merged(whole, part, lambda pair: self._offers.suites(version, pair)))
            if walked.problem is not None:
                self.problems.append(f"the order of {version_name(version)}'s suites is not settled: {walked.problem}")
            whole = walked.found or (*whole, *part)
        self.parts[version] = [whole]

    def _all(self, version: int) -> tuple[int, ...]:
        return tuple(suite for part in self.parts.get(version, ()) for suite in part)

    def result(self, endpoint: Endpoint) -> Enumerated:
        versions = tuple(sorted((version for version in self.parts if self._all(version)), reverse=True))
        return Enumerated(
            address=endpoint.address,
            port=endpoint.port,
            versions=versions,
            suites=tuple((version, self._all(version)) for version in versions),
            groups=tuple(dict.fromkeys(self.groups)),
            server_order=self.server_order,
            handshakes=self._line.made,
        )


def walk_once(offer: Offer) -> Walk:
    seen = yield offer
    choice = suite_chosen(seen)
    return Walked(found=() if choice is None else (choice,))


@cache
def _elliptic() -> frozenset[int]:
    return frozenset(suite.code for suite in all_suites() if suite.kex.startswith("ECDHE"))


async def enumerate_endpoint(
    target: Target, endpoint: Endpoint, *, shake: Shake, known: tuple[Handshake, ...]
) -> tuple[Enumerated, str | None]:
    """All that *endpoint* agrees to, and why that may not be all. *known* are the survey's handshakes with it."""
    shed = any(isinstance(seen.outcome, Dropped) and plan.should_work(seen.offer) for seen in known)
    line = _Line(endpoint, shake, _QUIET_CROWD if shed else plan.crowd(target))
    survey = _Survey(target, line, known)
    await survey.run()
    reasons = ", ".join(dict.fromkeys(survey.problems)) or None
    return survey.result(endpoint), reasons


async def enumerate_all(
    target: Target, seen: tuple[Handshake, ...], *, shake: Shake
) -> tuple[tuple[Enumerated, ...], tuple[Gap, ...]]:
    """Every endpoint that agreed to anything in *seen*, and gaps for what was left out or broke off."""
    by_endpoint: dict[Endpoint, list[Handshake]] = {}
    for each in seen:
        by_endpoint.setdefault(each.endpoint, []).append(each)
    spoke = [endpoint for endpoint, shakes in by_endpoint.items() if any(map(plan.completed, shakes))]
    chosen, left_out = spoke[:MAX_ADDRESSES], spoke[MAX_ADDRESSES:]
    results = await asyncio.gather(
        *(enumerate_endpoint(target, endpoint, shake=shake, known=tuple(by_endpoint[endpoint])) for endpoint in chosen)
    )
    gaps = [
        Gap(what="enumeration", why=f"it may not be complete: {reasons}", addresses=(found.address,))
        for found, reasons in results
        if reasons is not None
    ]
    silent = tuple(endpoint.address for endpoint in by_endpoint if endpoint not in spoke)
    if silent:
        gaps.append(
            Gap(what="enumeration", why="nothing was agreed to there, so nothing was enumerated", addresses=silent)
        )
    if left_out:
        why = f"the first {MAX_ADDRESSES} addresses were enumerated"
        gaps.append(Gap(what="enumeration", why=why, addresses=tuple(endpoint.address for endpoint in left_out)))
    return tuple(found for found, _ in results), tuple(gaps)
