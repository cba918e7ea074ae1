"""Asks OCSP responders and CRL distribution points while the handshakes go on. Brings answers back; judges none.

Each source is asked once a check, whatever number of addresses serve the certificate, and has a time limit of its
own. Three samples tell a slow responder from a slow moment: the first alone, then two at once, so that a responder
that serves one at a time is not measured by its own queue for more than two of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from probes.model import Endpoint
from probes.net.egress import Permit
from probes.net.fetch import Allowance, Answer, Asked, Way, fetch, warm
from probes.net.resolve import Overrides
from probes.observed import StatusAnswer
from probes.pki.ocsp import get_url, request
from probes.pki.revocation import Question
from probes.values import value

SLOW_S = 2.0  # the catalogue's limit
PER_SOURCE_S = 5.0  # strict clients wait 5 to 15 s; 2 s could not tell slow from unreachable
GRACE_S = 0.5  # a source that had that much less than its full time counts as fully asked
HEDGE_S = 1.0  # the other samples wait this long for the first, and no longer
CONNECT_S = 3.2  # a lost SYN is sent again after 1 s and after 3 s
SAMPLES = 3
MAX_OCSP = 128 * 1024
MAX_CRL = 32 * 1024 * 1024
SMALL_CRL = 1024 * 1024  # what is larger is fetched once only
MAX_LISTS = 64 * 1024 * 1024  # all CRLs of one check: they are held until it is judged, and their size is not ours
MAX_SOURCES = 16  # asked in one check
_GET_REFUSED = {400, 404, 405, 414, 501}  # responders that know POST alone say so in one of these ways


@value
class _Samples:
    """The tries of one source: the last that brought a body, or the first that failed; and each one's time."""

    best: Answer
    times_ms: tuple[float | None, ...]


class Inquiry:
    """The questions of one check, asked in *group* from the moment they are known.

    Cancelling the group cancels them. Where nobody asks anything nothing is imported and no task is made.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        permit: Permit | None,
        overrides: Overrides,
        resolver: Endpoint | None,
        deadline: float,
    ) -> None:
        self._group = group
        self._way = Way(permit=permit, overrides=overrides, resolver=resolver, deadline=deadline)
        self._asked: dict[tuple[str, str, bytes, bytes], asyncio.Task[StatusAnswer | None]] = {}
        self._lists: dict[str, asyncio.Task[_Samples]] = {}
        self._allowance = Allowance(left=MAX_LISTS)

    def ask(self, questions: tuple[Question, ...]) -> None:
        """Ask what was not asked before. What exceeds MAX_SOURCES is left out, and missing among the answers."""
        for question in questions:
            key = (question.kind, question.url, question.certificate.der, question.issuer.der)
            if key not in self._asked and len(self._asked) < MAX_SOURCES:
                self._asked[key] = self._group.create_task(self._answer(question))

    @property
    def asking(self) -> bool:
        return any(not task.done() for task in self._asked.values())

    async def answers(self) -> tuple[StatusAnswer, ...]:
        """All answers, in the order asked; back when the slowest source is done or has run out of time.

        A source for which the check had too little time to tell slow from silent is not among them.
        """
        every = await asyncio.gather(*self._asked.values())
        return tuple(answer for answer in every if answer is not None)

    async def _answer(self, question: Question) -> StatusAnswer | None:
        samples = await (self._ocsp(question) if question.kind == "ocsp" else self._list(question.url))
        best = samples.best
        if best.failure == "timeout" and _past(self._way):
            waited_s = best.elapsed_ms / 1000
            if waited_s < (SLOW_S if best.received else PER_SOURCE_S - GRACE_S):
                return None
        return StatusAnswer(
            kind=question.kind,
            url=question.url,
            certificate=question.certificate.der,
            issuer=question.issuer.der,
            samples_ms=samples.times_ms,
            body=best.body,
            failure=best.failure,
            detail=best.problem,
            received=best.received,
        )

    async def _list(self, url: str) -> _Samples:
        """One CRL serves every certificate that names it."""
        if url not in self._lists:
            self._lists[url] = self._group.create_task(self._crl(url))
        return await asyncio.shield(self._lists[url])

    async def _crl(self, url: str) -> _Samples:
        await warm()
        way, asked = self._limited(), Asked(max_body=MAX_CRL, connect_s=CONNECT_S, allowance=self._allowance)
        first = await fetch(url, way, asked)
        slow = first.elapsed_ms > PER_SOURCE_S * 500  # as much again is not left
        large = max(len(first.body or b""), first.received) >= SMALL_CRL
        if first.failure == "refused" or large or slow or _past(way):
            return _samples([first])
        others = await asyncio.gather(*(fetch(url, way, asked) for _ in range(SAMPLES - 1)))
        return _samples([first, *others])

    async def _ocsp(self, question: Question) -> _Samples:
        await warm()
        way = self._limited()
        body = request(question.certificate, question.issuer)
        by_get = get_url(question.url, body)
        # With GET, caches may answer, as they do for browsers (RFC 5019 section 5).
        first = asyncio.create_task(_by_get_or_post(question.url, by_get, body, way))
        try:
            await asyncio.wait({first}, timeout=HEDGE_S)
            if first.done() and (first.result()[0].failure == "refused" or _past(way)):
                return _samples([first.result()[0]])
            get = first.result()[1] if first.done() else by_get
            others = await asyncio.gather(*(_by_get_or_post(question.url, get, body, way) for _ in range(SAMPLES - 1)))
            return _samples([(await first)[0], *(answer for answer, _ in others)])
        finally:
            first.cancel()

    def _limited(self) -> Way:
        limit = asyncio.get_running_loop().time() + PER_SOURCE_S
        return replace(self._way, deadline=min(self._way.deadline, limit))


async def _by_get_or_post(url: str, by_get: str | None, body: bytes, way: Way) -> tuple[Answer, str | None]:
    """The answer, and the URL that GET works with; the time is that of the method that was understood."""
    kind = "application/ocsp-response"
    if by_get is not None:
        answer = await fetch(by_get, way, Asked(accept=kind, max_body=MAX_OCSP, connect_s=CONNECT_S))
        if answer.status not in _GET_REFUSED:
            return answer, by_get
    posted = Asked(
        accept=kind,
        content=body,
        content_type="application/ocsp-request",
        max_body=MAX_OCSP,
        connect_s=CONNECT_S,
    )
    return await fetch(url, way, posted), None


def _past(way: Way) -> bool:
    return asyncio.get_running_loop().time() >= way.deadline - 0.01  # timers may fire that early


def _samples(answers: list[Answer]) -> _Samples:
    """A try that was cut off with less time than another took says nothing, and is not counted."""
    brought = [answer for answer in answers if answer.body is not None]
    longest = max((answer.elapsed_ms for answer in brought), default=0.0)
    told = [each for each in answers if each.failure != "timeout" or each.elapsed_ms >= longest]
    times = tuple(round(each.elapsed_ms, 1) if each.body is not None else None for each in told)
    return _Samples(best=brought[-1] if brought else answers[0], times_ms=times)
