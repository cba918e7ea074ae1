"""How the certificates of a check stand: what staples, responders and CRLs said of them, and whom it concerns. Pure.

Rules, verdicts and the report ask here, so that none of them reads an answer differently from another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from probes.clients import Family
from probes.look import Look
from probes.model import Endpoint, Evidence, Gap, Handshake
from probes.observed import StatusAnswer
from probes.pki.certificate import Certificate, parse
from probes.pki.judge import ChainFacts
from probes.pki.revocation import Question, issuer_of, judge, judge_staple, not_earlier_than, questions
from probes.pki.status import Status
from probes.plan import completed
from probes.values import once, value

SLOW_MS = 2000.0  # the catalogue's limit
_PASSING = frozenset({"good", "revoked", "slow"})
# What says nothing against the source: policy kept us away, or we cannot follow where it leads.
_OURS = frozenset({"refused", "unchecked"})
_CHECKED = ("modern", "small", "http", "alone", "tls12", "tls13")


@value
class Source:
    """One source, asked about one certificate (or, for a staple, brought along), and what came of it.

    `status` is None where no body came; `failure` and `detail` then say why.
    """

    kind: Literal["staple", "ocsp", "crl"]
    url: str = ""
    certificate: Certificate
    issuer: Certificate | None
    status: Status | None = None
    samples_ms: tuple[float | None, ...] = ()
    failure: str | None = None
    detail: str = ""
    received: int = 0

    @property
    def times_ms(self) -> tuple[float, ...]:
        return tuple(sorted(each for each in self.samples_ms if each is not None))

    @property
    def median_ms(self) -> float:
        # The later of the two in the middle: `statistics` takes longer to import than all of this to run.
        return self.times_ms[len(self.times_ms) // 2] if self.times_ms else 0.0

    @property
    def worst_ms(self) -> float:
        return max(self.times_ms, default=0.0)

    @property
    def missed(self) -> int:
        """How many tries brought nothing."""
        return sum(1 for each in self.samples_ms if each is None)

    @property
    def is_slow(self) -> bool:
        """Over two seconds, more often than not; or a body that was still coming when the time ran out."""
        return self.median_ms > SLOW_MS or (self.failure == "timeout" and self.received > 0)

    @property
    def outcome(self) -> str:
        """In one word: a Standing, "slow" for what is good but late, or why nothing came."""
        if self.status is None:
            return "slow" if self.is_slow else self.failure or "error"
        return "slow" if self.status.outcome == "good" and self.is_slow else self.status.outcome

    @property
    def answers(self) -> bool:
        """Does it do what clients need of it, however slowly?"""
        return self.outcome in _PASSING

    @property
    def is_ours(self) -> bool:
        """Is it this prober that cannot tell? CRLs of another scope or signer are not followed."""
        return self.outcome in _OURS or (self.kind == "crl" and self.outcome == "unknown")

    @property
    def why(self) -> str:
        return (self.status.why if self.status else self.detail) or self.outcome


@value
class _Trouble:
    """What one chain at one address has in store for clients, each according to what it minds."""

    revoked: bool
    bad_staple: bool
    unstapled: bool
    unanswered: str | None


class Standings:
    """All that one check learnt about revocation."""

    def __init__(self, evidence: Evidence) -> None:
        self._now = evidence.taken_at
        self._answers = evidence.statuses
        self._clocks = tuple(
            shake.http.skew_s for shake in evidence.handshakes if shake.http and shake.http.skew_s is not None
        )
        self._staples: dict[tuple[bytes, bytes, bytes | None], Source] = {}
        self._came_with: dict[tuple[Look, bytes], tuple[Source, ...]] = {}
        self._trouble: dict[tuple[Endpoint, tuple[object, ...]], _Trouble] = {}

    @once
    def sources(self) -> tuple[Source, ...]:
        """Every answer, judged."""
        return tuple(source for answer in self._answers if (source := self._judged(answer)) is not None)

    def asked(self, known: ChainFacts) -> tuple[Source, ...]:
        """What was answered about the certificates of this chain, the leaf's first."""
        if not self._answers:
            return ()
        wanted = {_key(question): place for place, question in enumerate(questions(known).questions)}
        found = [(wanted[key], each) for each in self.sources if (key := _key(each)) in wanted]
        return tuple(source for _, source in sorted(found, key=lambda pair: pair[0]))

    def staples(self, look: Look, known: ChainFacts) -> tuple[Source, ...]:
        """The distinct staples that came with this leaf."""
        leaf = known.leaf
        if leaf is None:
            return ()
        key = (look, leaf.der)
        found = self._came_with.get(key)
        if found is None:
            bodies = dict.fromkeys([shake.staple for shake in self.with_leaf(look, leaf) if shake.staple])
            issuer = issuer_of(leaf, known) if bodies else None
            found = self._came_with[key] = tuple([self._staple(body, leaf, issuer) for body in bodies])
        return found

    def with_leaf(self, look: Look, leaf: Certificate) -> tuple[Handshake, ...]:
        """The handshakes like a current client's, all of which ask for a staple, that were shown this leaf."""
        return tuple(
            shake
            for shake in look.tries(*_CHECKED)
            if shake.certificates and shake.certificates[0] == leaf.der and completed(shake)
        )

    def revoked(self, look: Look, known: ChainFacts) -> tuple[Source, ...]:
        """The sources by which a certificate of this chain is revoked."""
        every = (*self.staples(look, known), *self.asked(known))
        return tuple(each for each in every if each.status is not None and each.status.outcome == "revoked")

    def bad_staples(self, look: Look, known: ChainFacts) -> tuple[Source, ...]:
        """The staples that a client which reads them refuses; not those that only our own clock makes look so."""
        bad = {"stale", "early", "invalid", "error", "unknown"}
        return tuple(each for each in self.staples(look, known) if each.outcome in bad and not self.excused(each))

    def unstapled(self, look: Look, known: ChainFacts) -> tuple[Handshake, ...]:
        """The handshakes that lack the staple which the leaf demands (RFC 7633 section 4.2.3.1)."""
        leaf = known.leaf
        if leaf is None or not leaf.must_staple:
            return ()
        return tuple(shake for shake in self.with_leaf(look, leaf) if not shake.staple)

    def failing(self, known: ChainFacts, kind: Literal["ocsp", "crl"]) -> tuple[Source, ...]:
        """The sources of one kind that are of no use to a client, for a reason that is theirs."""
        return tuple(
            each
            for each in self.asked(known)
            if each.kind == kind and not each.answers and not each.is_ours and not self.excused(each)
        )

    def client_fault(self, family: Family, look: Look, known: ChainFacts) -> str | None:
        """The revocation.* code by which *family* turns away from this chain, or None."""
        if family.checks_revocation == "none" and not family.wants_staple:
            return None
        trouble = self._trouble_of(look, known)
        if family.checks_revocation != "none" and trouble.revoked:
            return "revocation.revoked"
        # Firefox refuses a staple that is no good, and asks the responder itself only where fetching is turned on.
        if family.wants_staple:
            if trouble.bad_staple:
                return "revocation.staple-invalid"
            if trouble.unstapled:
                return "revocation.staple-missing"
        return trouble.unanswered if family.checks_revocation == "hard" else None

    def is_revoked(self, look: Look, known: ChainFacts) -> bool:
        return self._trouble_of(look, known).revoked

    def _trouble_of(self, look: Look, known: ChainFacts) -> _Trouble:
        """The same for every family, so found out once."""
        key = (look.endpoint, known.served)
        if key not in self._trouble:
            self._trouble[key] = _Trouble(
                revoked=bool(self.revoked(look, known)),
                bad_staple=bool(self.bad_staples(look, known)),
                unstapled=bool(self.unstapled(look, known)),
                unanswered=self._hard_fault(look, known),
            )
        return self._trouble[key]

    def _hard_fault(self, look: Look, known: ChainFacts) -> str | None:
        """Who insists on an answer fails where no source of the leaf gives one."""
        sources = (*self.staples(look, known), *self.asked(known))
        own = [each for each in sources if each.certificate == known.leaf]
        if not own or any(each.answers or each.is_ours or self.excused(each) for each in own):
            return None
        first = next((each.kind for each in own if each.kind != "staple"), None)
        return f"revocation.{first}-unreachable" if first else None

    # clocks ------------------------------------------------------------------------

    def behind_s(self, look: Look, known: ChainFacts) -> float:
        """Seconds by which this prober's clock is behind at least, by what others signed; 0 when nothing says so."""
        every = (*self.staples(look, known), *self.asked(known))
        bounds = not_earlier_than(each.status for each in every if each.status is not None)
        return max(0.0, (max(bounds, default=self._now) - self._now).total_seconds())

    def excused(self, source: Source) -> bool:
        """Out of its time by our clock alone: a server's HTTP Date puts it right, or none speaks for our clock."""
        if source.status is None or source.outcome not in {"stale", "early"}:
            return False
        if any(self._again(source, self._now + timedelta(seconds=skew)) for skew in self._clocks):
            return True
        return source.outcome == "early" and not self._clocks

    def _again(self, source: Source, at: datetime) -> bool:
        """Is it in its time at this moment, by its own dates?"""
        status = source.status
        if status is None or status.this_update is None or at == self._now:
            return False
        return status.this_update <= at and (status.next_update is None or at <= status.next_update)

    # gaps --------------------------------------------------------------------------

    def gaps(self, known: tuple[ChainFacts, ...]) -> tuple[Gap, ...]:
        """What about these chains could not be looked at, each said once."""
        said = dict.fromkeys(why for each in known for why in self._unknown(each))
        return tuple(Gap(what="revocation", why=why) for why in said)

    def _unknown(self, known: ChainFacts) -> Iterator[str]:
        sources = questions(known)
        for unasked in sources.unasked:
            yield f"nobody was asked about “{_name(unasked.certificate)}”: {unasked.why}"
        asked = {_key(source): source for source in self.asked(known)}
        for question in sources.questions:
            source = asked.get(_key(question))
            who = f"the {NOUN[question.kind]} {question.url}"
            if source is None:
                yield f"{who} was not asked, or not for long enough: the check had too little time, or too many sources"
            elif source.outcome == "refused":
                yield f"{who} was not asked: {source.why}"
            elif source.is_ours:
                yield f"{who} answered about “{_name(question.certificate)}” what cannot be judged here: {source.why}"

    # -------------------------------------------------------------------------------

    def _staple(self, body: bytes, leaf: Certificate, issuer: Certificate | None) -> Source:
        key = (body, leaf.der, issuer.der if issuer else None)
        if key not in self._staples:
            status = judge_staple(body, leaf, issuer, self._now)
            self._staples[key] = Source(kind="staple", certificate=leaf, issuer=issuer, status=status)
        return self._staples[key]

    def _judged(self, answer: StatusAnswer) -> Source | None:
        certificate, issuer = parse(answer.certificate), parse(answer.issuer)
        if not isinstance(certificate, Certificate) or not isinstance(issuer, Certificate):
            return None
        source = Source(
            kind=answer.kind,
            url=answer.url,
            certificate=certificate,
            issuer=issuer,
            samples_ms=answer.samples_ms,
            failure=answer.failure,
            detail=answer.detail,
            received=answer.received,
        )
        if answer.body is None:
            return source
        return replace(source, status=judge(answer.kind, answer.body, certificate, issuer, self._now))


NOUN = {"ocsp": "OCSP responder", "crl": "CRL", "staple": "staple"}


def _key(each: Question | Source) -> tuple[str, str, bytes]:
    return each.kind, each.url, each.certificate.der


def _name(certificate: Certificate) -> str:
    return certificate.common_name or certificate.subject
