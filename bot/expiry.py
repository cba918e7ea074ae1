"""How urgent the renewal of a certificate is: by share of its lifetime, by its own habit, by its CA's word. Pure.

Nothing is a fixed number of days: a certificate of six days and one of 398 are judged by the same shares. What a step
says is true of one certificate at some places; `bot.lineages` remembers what was told of it.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeAlias

from probes.ari import Window
from probes.model import CertificateReport

Step: TypeAlias = Literal["overdue", "undeployed", "sixth", "wanted", "twelfth", "last", "expired", "revoked"]
Certificates: TypeAlias = Mapping[str, CertificateReport]

RANK: Mapping[Step, int] = {
    "overdue": 1,
    "undeployed": 1,
    "sixth": 2,
    "wanted": 3,
    "twelfth": 4,
    "last": 5,
    "expired": 6,
    "revoked": 7,
}
CALLS_OWNER: frozenset[Step] = frozenset({"wanted", "twelfth", "last", "expired", "revoked"})  # escalation
CRITICAL: frozenset[Step] = frozenset({"last", "expired", "revoked"})

# The catalogue's validity.expiring: a sixth, and less than 30 days; what follows halves both.
_SHARES: tuple[tuple[Step, int, timedelta], ...] = (
    ("last", 24, timedelta(days=7.5)),
    ("twelfth", 12, timedelta(days=15)),
    ("sixth", 6, timedelta(days=30)),
)
_ENOUGH = 2  # earlier replacements, before a habit is one
_SLACK = 0.05  # of the lifetime: renewal jobs run when they run
_SLACK_AT_LEAST = timedelta(hours=12)
_TO_DEPLOY = timedelta(hours=24)
_TO_DEPLOY_SHARE = 0.1
_ALIKE = 2  # times as long, or as short: what was learned of a lifetime of 90 days says nothing of one of 398
_BACK_FOR = timedelta(hours=1)  # an older certificate: before, it may be one server of many that answers in turn
_EARLY = 0.6  # of the lifetime left: no CA's routine window starts so soon (a third is usual, half for six days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One address of one watched target, and what it served last. `path`: the certificates sent that lead upwards from
    the leaf, the leaf first."""

    watch: int
    target: str
    address: str
    path: tuple[str, ...]
    since: datetime  # of this leaf

    @property
    def leaf(self) -> str:
        return self.path[0]

    @property
    def host(self) -> str:
        return self.target.rpartition(":")[0].strip("[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A leaf that gave way to another. `share`: of its lifetime, what was left of it; None: nobody was looking then."""

    old: str
    new: str
    at: datetime
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInCt:
    """A certificate for the same names that a log has and no address serves, as far as was seen."""

    sha256: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """What the CA said last of one certificate. `jumped`: it wants it replaced far sooner than it said, or is usual."""

    certificate: str
    window: Window
    jumped: bool = False
    heard_at: datetime  # when it said so first


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Why somebody should act: `certificate` stands at `places` of `of` places of its lineage.

    `newer`: the certificate that has taken its place elsewhere, or in a log alone. `because`: for what is overdue, from
    what that is known.
    """

    step: Step
    certificate: str
    not_after: datetime
    places: tuple[Place, ...]
    of: int
    is_leaf: bool = True
    newer: str = ""
    newer_until: datetime | None = None
    in_ct_alone: bool = False
    is_back: bool = False  # the newer one was in use, and is not any more
    window: Window | None = None
    usual: float | None = None

    @property
    def rank(self) -> int:
        return RANK[self.step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that is known of one lineage at one moment."""

    places: tuple[Place, ...]
    replacements: tuple[Replacement, ...] = ()
    suggested: tuple[Suggested, ...] = ()
    revoked: frozenset[str] = frozenset()
    newer: tuple[SeenInCt, ...] = ()
    anchored: frozenset[str] = frozenset()  # subjects that are trust anchors: a cross-sign above them may run out


# ── small facts ─────────────────────────────────────────────────────────────────


@lru_cache(maxsize=8192)
def moment(text: str) -> datetime | None:
    """A time of a `CertificateReport`; None where the certificate could not be read."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def validity(certificate: CertificateReport | None) -> tuple[datetime, datetime] | None:
    """notBefore and notAfter; None for what cannot be read, or has no lifetime."""
    if certificate is None:
        return None
    start, end = moment(certificate.not_before), moment(certificate.not_after)
    return (start, end) if start is not None and end is not None and start < end else None


def lifetime(certificate: CertificateReport | None) -> timedelta | None:
    period = validity(certificate)
    return period[1] - period[0] if period else None


def share_left(certificate: CertificateReport | None, now: datetime) -> float | None:
    """1 at notBefore, 0 at notAfter, less after it."""
    period = validity(certificate)
    return (period[1] - now) / (period[1] - period[0]) if period else None


@lru_cache(maxsize=4096)
def authority(name: str) -> str:
    """Who issues, of the RFC 4514 text of an issuer: its organisation, else its common name.

    CAs rotate intermediates (R10, R11, E5…) as they please: another of the same organisation is no news.
    """
    for attribute in ("O", "CN"):
        found = re.search(rf"(?:^|[,+])\s*{attribute}=((?:\\.|[^,+\\])*)", name)
        if found and found[1].strip():
            return re.sub(r"\\(.)", r"\1", found[1]).strip()
    return name


def is_meant(expected: str, issuer: str) -> bool:
    """Does *expected*, as a person wrote it, name the CA of *issuer*? By its name, a part of it, or its domain."""
    said = expected.strip().casefold()
    wanted = {_bare(said), _bare(said.rpartition(".")[0])} - {""}
    return any(each in _bare(issuer.casefold()) for each in wanted)


def _bare(text: str) -> str:
    return re.sub(r"[^\w]", "", text)


def covers(certificate: CertificateReport, host: str) -> bool:
    """By name or by a wildcard's one label (RFC 9525 section 6.3)."""
    parent = host.partition(".")[2]
    return any(name.lower().rstrip(".") in (host, f"*.{parent}") for name in certificate.names)


def path_of(chain: Sequence[str], certificates: Certificates) -> tuple[str, ...]:
    """Of a chain as sent, what leads upwards from the leaf by names, all ways of it; the rest is dead weight."""
    if not chain:
        return ()
    reached, waiting = [chain[0]], [chain[0]]
    while waiting:
        current = certificates.get(waiting.pop())
        if current is None or current.subject == current.issuer:
            continue
        for each in chain[1:]:
            above = certificates.get(each)
            if above is not None and each not in reached and above.subject == current.issuer:
                reached.append(each)
                waiting.append(each)
    return tuple(reached)


def expired_extras(chain: Sequence[str], certificates: Certificates, now: datetime) -> tuple[str, ...]:
    """Certificates that are sent, lead nowhere, and have run out: harmless, and worth clearing away."""
    path = path_of(chain, certificates)
    extras = [each for each in chain if each not in path]
    return tuple(each for each in extras if (left := share_left(certificates.get(each), now)) is not None and left < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """When a lineage is usually renewed: with `share` of the lifetime left, give or take `spread`."""

    share: float
    spread: float


def habit(replacements: Iterable[Replacement]) -> Habit | None:
    """The median of earlier replacements; None before there were two that somebody saw."""
    shares = [each.share for each in replacements if each.share is not None]
    if len(shares) < _ENOUGH:
        return None
    middle = statistics.median(shares)
    return Habit(share=middle, spread=statistics.median(abs(each - middle) for each in shares))


def time_to_deploy(certificate: CertificateReport | None) -> timedelta:
    """How long a renewed certificate may take to every address: a day, or a tenth of its lifetime if that is more."""
    whole = lifetime(certificate)
    return max(_TO_DEPLOY, whole * _TO_DEPLOY_SHARE) if whole else _TO_DEPLOY


def suggestion(
    before: Suggested | None, certificate: str, window: Window, period: tuple[datetime, datetime], now: datetime
) -> Suggested:
    """What a new answer of the CA makes of what it said *before*."""
    if before is not None and before.window == window:
        return before
    start, end = period
    whole = end - start
    nudge = max(whole * _SLACK, timedelta(hours=6))
    if before is None:
        jumped = window.start < end and (end - window.start) / whole > _EARLY
    elif before.jumped:
        jumped = window.start <= before.window.start + nudge  # else it was taken back
    else:
        jumped = window.start < before.window.start - nudge
    return Suggested(certificate=certificate, window=window, jumped=jumped, heard_at=now)


# ── the judgement ───────────────────────────────────────────────────────────────


def concern(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    """What is most urgent; None while all is as it should be."""
    found = [*_by_time(standing, certificates, now)]
    for judge in (_undeployed, _overdue, _wanted, _revoked):
        each = judge(standing, certificates, now)
        found += [each] if each is not None else []
    # Of equals the one that runs out first, and of these the leaf.
    return min(found, key=lambda each: (-each.rank, each.not_after, not each.is_leaf), default=None)


def newest(standing: Standing, certificates: Certificates) -> str | None:
    """The leaf of the lineage that runs longest."""
    leaves = {each.leaf: period for each in standing.places if (period := validity(certificates.get(each.leaf)))}
    return max(leaves, key=lambda leaf: (leaves[leaf][1], leaves[leaf][0]), default=None)


def step_by_time(certificate: CertificateReport, now: datetime) -> Step | None:
    """Where a certificate stands in its own lifetime."""
    period = validity(certificate)
    if period is None or now < period[0]:
        return None
    start, end = period
    if now >= end:
        return "expired"
    return next((step for step, share, at_most in _SHARES if end - now < min((end - start) / share, at_most)), None)


def _by_time(standing: Standing, certificates: Certificates, now: datetime) -> Iterable[Concern]:
    at: dict[str, list[Place]] = {}
    for place in standing.places:
        for each in place.path:
            at.setdefault(each, []).append(place)
    latest = newest(standing, certificates)
    for sha256, serving in at.items():
        certificate = certificates.get(sha256)
        period, step = validity(certificate), step_by_time(certificate, now) if certificate is not None else None
        if period is None or step is None:
            continue
        is_leaf = any(place.leaf == sha256 for place in serving)
        places = tuple(place for place in serving if is_leaf or _is_needed(sha256, place, standing, certificates))
        if places:
            found = Concern(
                step=step,
                certificate=sha256,
                not_after=period[1],
                places=places,
                of=len(standing.places),
                is_leaf=is_leaf,
            )
            yield _succeeded(found, latest, certificates) if is_leaf else found


def _succeeded(found: Concern, latest: str | None, certificates: Certificates) -> Concern:
    """The same, with the newer leaf that other places serve already."""
    period = validity(certificates.get(latest or ""))
    if latest is None or latest == found.certificate or period is None or period[1] <= found.not_after:
        return found
    return replace(found, newer=latest, newer_until=period[1])


def _is_needed(sha256: str, place: Place, standing: Standing, certificates: Certificates) -> bool:
    """No other way upwards holds longer: neither a trust anchor of that name nor another certificate for it."""
    mine = certificates[sha256]
    if mine.subject in standing.anchored:
        return False
    ends = [
        period[1]
        for each in place.path
        if each != sha256
        and (other := certificates.get(each)) is not None
        and other.subject == mine.subject
        and (period := validity(other))
    ]
    own = validity(mine)
    return own is not None and not any(end > own[1] for end in ends)


def _undeployed(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    """Some addresses have the new certificate for long, others still serve the one it replaced; or none has it, and
    only a log does.

    Where each address has a certificate of its own, renewed when its time comes, nothing is missing: what counts is
    that one address gave up the very certificate that another still serves, or that all of them serve again.
    """
    since = {each.old: each for each in standing.replacements}
    for place in standing.places:
        gave_way = since.get(place.leaf)
        if gave_way is None:
            continue
        old, new = validity(certificates.get(place.leaf)), validity(certificates.get(gave_way.new))
        is_back = not any(each.leaf == gave_way.new for each in standing.places)
        if old is None or new is None or (is_back and (place.since <= gave_way.at or now >= new[1])):
            continue
        if now < (place.since + _BACK_FOR if is_back else gave_way.at + time_to_deploy(certificates[gave_way.new])):
            continue
        return Concern(
            step="undeployed",
            certificate=place.leaf,
            not_after=old[1],
            places=tuple(each for each in standing.places if each.leaf == place.leaf),
            of=len(standing.places),
            newer=gave_way.new,
            newer_until=new[1],
            is_back=is_back,
        )
    return _logged_alone(standing, certificates, now)


def _logged_alone(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    served = newest(standing, certificates)
    certificate = certificates.get(served or "")
    period = validity(certificate)
    if served is None or certificate is None or period is None:
        return None
    names = {each.lower() for each in certificate.names}
    for logged in sorted(standing.newer, key=lambda each: each.not_before, reverse=True):
        # Issued together with the served one, it is a twin (another kind of key), not its successor.
        is_successor = logged.not_before > period[0] + (period[1] - period[0]) * _TO_DEPLOY_SHARE
        covers = names <= {each.lower() for each in logged.names}
        grace = max(_TO_DEPLOY, (logged.not_after - logged.not_before) * _TO_DEPLOY_SHARE)
        is_late = now >= max(logged.not_before, logged.seen_at) + grace
        if is_successor and covers and is_late and logged.sha256 != served:
            return Concern(
                step="undeployed",
                certificate=served,
                not_after=period[1],
                places=tuple(each for each in standing.places if each.leaf == served),
                of=len(standing.places),
                newer=logged.sha256,
                newer_until=logged.not_after,
                in_ct_alone=True,
            )
    return None


def _overdue(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    """Past the time at which this lineage is usually renewed; before that is known, past the CA's own window."""
    served = newest(standing, certificates)
    certificate = certificates.get(served or "")
    period, left = validity(certificate), share_left(certificate, now)
    if served is None or certificate is None or period is None or left is None or left <= 0:
        return None
    if step_by_time(certificate, now) is not None:
        return None
    whole = period[1] - period[0]
    slack = max(_SLACK, _SLACK_AT_LEAST / whole)
    usual = habit(each for each in standing.replacements if _is_alike(certificates.get(each.old), whole))
    said = next((each for each in standing.suggested if each.certificate == served and not each.jumped), None)
    is_late = False
    if usual is not None:
        is_late = left < usual.share - max(slack, 2 * usual.spread)
    elif said is not None:
        is_late = now > said.window.end + whole * slack
    if not is_late:
        return None
    return Concern(
        step="overdue",
        certificate=served,
        not_after=period[1],
        places=tuple(each for each in standing.places if each.leaf == served),
        of=len(standing.places),
        usual=usual.share if usual else None,
        window=said.window if said and usual is None else None,
    )


def _is_alike(certificate: CertificateReport | None, whole: timedelta) -> bool:
    before = lifetime(certificate)
    return before is None or (whole <= before * _ALIKE and before <= whole * _ALIKE)


def _wanted(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    """The CA wants it replaced sooner than it said: it is about to revoke it, as a rule (RFC 9773 section 1)."""
    for said in standing.suggested:
        places = tuple(each for each in standing.places if each.leaf == said.certificate)
        period = validity(certificates.get(said.certificate))
        if said.jumped and places and period is not None and now < period[1]:
            found = Concern(
                step="wanted",
                certificate=said.certificate,
                not_after=period[1],
                places=places,
                of=len(standing.places),
                window=said.window,
            )
            return _succeeded(found, newest(standing, certificates), certificates)
    return None


def _revoked(standing: Standing, certificates: Certificates, now: datetime) -> Concern | None:
    for sha256 in sorted(standing.revoked):
        places = tuple(each for each in standing.places if each.leaf == sha256)
        period = validity(certificates.get(sha256))
        if places and period is not None and now < period[1]:
            found = Concern(
                step="revoked", certificate=sha256, not_after=period[1], places=places, of=len(standing.places)
            )
            return _succeeded(found, newest(standing, certificates), certificates)
    return None
