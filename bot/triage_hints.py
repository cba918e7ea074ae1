"""What the probes, the memory and the error text already say to each of the four questions, and why. Pure.

A hint without a choice tells something that bears on the question and leaves the answer to the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.model import PastCheck
from bot.triage import Clue, Sibling, Topic, Walkthrough
from probes.catalogue import CATALOGUE
from probes.codec import moment
from probes.model import EndpointReport, Report
from probes.triage import who_fails

_RECENT = timedelta(hours=24)  # a certificate this new may be the deploy that is looked for
_BEFORE = frozenset({"dns", "tcp", "hello", "negotiation"})  # stages of the catalogue without a ServerHello
_CLEAR = 0.4  # how likely the best reading of an error text is, at least, to answer a question
_MOST_NAMED = 3
MOST_SIBLINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """`why` is a clause without a full stop; `choice` None: it suggests no answer."""

    choice: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside the answers. `last_good`: the newest healthy check of the same endpoint before `check`;
    `elsewhere`: other targets of this channel whose incidents opened lately."""

    now: datetime
    check: PastCheck | None = None
    last_good: PastCheck | None = None
    elsewhere: Sequence[str] = ()

    @property
    def report(self) -> Report | None:
        return self.check.report if self.check is not None else None


def hint(topic: Topic, walk: Walkthrough, known: Known) -> Hint | None:
    """The hint for the question of *topic*, if there is one."""
    match topic:
        case "hosts":
            return _hosts(walk, known)
        case "deploy":
            return _deploy(known)
        case "clients":
            return _clients(walk, known)
        case "stage":
            return _stage(walk, known)


def siblings_to_ask(report: Report | None) -> tuple[str, ...]:
    """Other names of the certificates served, those that can be asked, at most five."""
    if report is None:
        return ()
    own = {report.target.host, report.target.server_name}
    names = [name.lower() for endpoint in report.endpoints for leaf in endpoint.chain[:1] for name in leaf.names]
    askable = [name for name in dict.fromkeys(names) if name not in own and "." in name and "*" not in name]
    return tuple(askable[:MOST_SIBLINGS])


# ── one host or many ────────────────────────────────────────────────────────────


def _hosts(walk: Walkthrough, known: Known) -> Hint | None:
    if walk.siblings:
        return _by_siblings(walk.siblings, known)
    report = known.report
    if report is None:
        return _by_incidents(known)
    if not report.endpoints:
        return _by_incidents(known)
    failing = _failing(report)
    addresses, count = len(report.endpoints), len(failing)
    if report.cause == "balancer.intermittent":
        return Hint(choice="some", why="one address answers differently from one connection to the next")
    if 0 < count < addresses:
        return Hint(choice="some", why=f"probed {addresses} addresses: {count} {_fail(count)}")
    if (others := _by_incidents(known)) is not None:
        return others
    probed = "probed 1 address" if addresses == 1 else f"probed {addresses} addresses"
    if report.status == "ok" or not failing:
        return Hint(choice=None, why=f"{probed}: {'it is' if addresses == 1 else 'all are'} reached and healthy")
    return Hint(choice="one", why=f"{probed}: {'it fails' if addresses == 1 else 'all fail, in the same way'}")


def _by_siblings(siblings: Sequence[Sibling], known: Known) -> Hint | None:
    asked = [sibling for sibling in siblings if sibling.status is not None]
    failing = [sibling for sibling in asked if sibling.status == "broken"]
    if not asked:
        return Hint(choice=None, why="none of the other hosts could be asked")
    counted = f"asked {len(asked)} other {'host' if len(asked) == 1 else 'hosts'}"
    if not failing:
        return Hint(choice="one", why=f"{counted}: {'it passes' if len(asked) == 1 else 'all pass'}")
    own = known.report.cause if known.report is not None else None
    same = [sibling for sibling in failing if sibling.cause == own]
    cause = f" with {own}" if own and len(same) == len(failing) else ""
    return Hint(choice="many", why=f"{counted}: {len(failing)} {_fail(len(failing))}{cause}")


def _by_incidents(known: Known) -> Hint | None:
    others = list(known.elsewhere)
    if not others:
        return None
    named = ", ".join(others[:_MOST_NAMED]) + (f" and {len(others) - _MOST_NAMED} more" if len(others) > 3 else "")
    verb = "has an open incident" if len(others) == 1 else "have open incidents"
    return Hint(choice="many", why=f"{named} {verb} in this channel too")


def _failing(report: Report) -> list[str]:
    """The addresses that something stops somebody at."""
    cause = next((finding for finding in report.findings if finding.code == report.cause), None)
    named = set(cause.addresses) if cause is not None and cause.severity == "critical" else set()
    stopped = {endpoint.address for endpoint in report.endpoints if endpoint.failed_stage is not None}
    return [endpoint.address for endpoint in report.endpoints if endpoint.address in named | stopped]


def _fail(count: int) -> str:
    return "fails" if count == 1 else "fail"


# ── new deploy or steady state ──────────────────────────────────────────────────


def _deploy(known: Known) -> Hint | None:
    report = known.report
    if report is None or known.check is None:
        return None
    good = known.last_good
    if good is not None:
        since = _ago(known.now - good.at)
        changed = _changes(good.report, report)
        if changed:
            return Hint(choice="new", why=f"since it last worked, {since} ago, {changed}")
        if _leaves(report):
            return Hint(choice="steady", why=f"same certificate, addresses and versions as when it worked, {since} ago")
    begun = _newest(report)
    if begun is None:
        return None
    age = known.now - begun
    if timedelta(0) <= age < _RECENT:
        return Hint(choice="new", why=f"the certificate is valid for {_ago(age)} only")
    if age < timedelta(0):
        return Hint(choice="new", why=f"the certificate becomes valid in {_ago(-age)}")
    return Hint(choice="steady", why=f"the certificate is {_ago(age)} old, and no later change is known")


def _changes(old: Report, new: Report) -> str:
    """What differs, as a clause; empty when nothing does that a deploy changes."""
    parts = []
    if _leaves(old) and _leaves(new) and _leaves(old) != _leaves(new):
        parts.append("another certificate is served")
    elif _chains(old) and _chains(new) and _chains(old) != _chains(new):
        parts.append("another chain is served")
    if {e.address for e in old.endpoints} != {e.address for e in new.endpoints}:
        parts.append("the addresses changed")
    was, is_now = _versions(old), _versions(new)
    if was and is_now and was != is_now:
        parts.append(f"the version changed from {', '.join(sorted(was))} to {', '.join(sorted(is_now))}")
    return ", ".join(parts)


def _leaves(report: Report) -> frozenset[str]:
    return frozenset(endpoint.chain[0].sha256 for endpoint in report.endpoints if endpoint.chain)


def _chains(report: Report) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(each.sha256 for each in endpoint.chain) for endpoint in report.endpoints if endpoint.chain)


def _versions(report: Report) -> frozenset[str]:
    return frozenset(endpoint.version for endpoint in report.endpoints if endpoint.version)


def _newest(report: Report) -> datetime | None:
    begun = []
    for endpoint in report.endpoints:
        for leaf in endpoint.chain[:1]:
            try:
                begun.append(moment(leaf.not_before))
            except ValueError:
                continue
    return max(begun, default=None)


def _ago(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {noun}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


# ── all clients or one family ───────────────────────────────────────────────────


def _clients(walk: Walkthrough, known: Known) -> Hint | None:
    report = known.report
    if report is not None and report.cause is not None and report.cause.startswith("mtls."):
        return Hint(choice="mtls", why="the server asks for a client certificate and ends the handshake over it")
    if report is not None and report.cause == "validity.clock-skew":
        return Hint(choice="containers", why="a clock is off, and containers and VMs have clocks of their own")
    judged = [client for client in report.clients if client.outcome == "fail"] if report is not None else []
    if report is None or not report.clients or not judged:
        return _clients_by_text(walk.clues, passes=report is not None and bool(report.clients))
    said = who_fails(report.clients)
    is_everyone = said.startswith(("every client fails", "every current client fails"))
    if said.endswith("age"):  # old ones alone: no news about whom it fails for today
        return Hint(choice=None, why=said)
    return Hint(choice="all" if is_everyone else "family", why=said)


def _clients_by_text(clues: Sequence[Clue], *, passes: bool) -> Hint | None:
    seen = "every client family passes from here" if passes else ""
    best = clues[0] if clues else None
    if best is not None and best.code.startswith("mtls.") and best.likelihood >= _CLEAR:
        return Hint(choice="mtls", why=f"the error text speaks of {best.code}")
    library = best.library if best is not None and best.library not in {"", "unknown"} else ""
    text = f"the error text is in the words of {library}" if library else ""
    said = "; ".join(part for part in (seen, text) if part)
    return Hint(choice="family" if passes and library else None, why=said) if said else None


# ── before or after the first byte ──────────────────────────────────────────────


def _stage(walk: Walkthrough, known: Known) -> Hint | None:
    report = known.report
    if report is not None and report.cause is not None:
        return _stage_by_report(report)
    best = walk.clues[0] if walk.clues else None
    if best is not None and best.likelihood >= _CLEAR and best.code in CATALOGUE:
        choice = "before" if CATALOGUE[best.code].stage in _BEFORE and not _is_judged_late(best.code) else "after"
        return Hint(choice=choice, why=f"the error text points to {best.code}, which shows {choice} the ServerHello")
    if report is not None and report.endpoints and all(e.connected for e in report.endpoints):
        return Hint(choice=None, why="from here every handshake goes through")
    return None


def _is_judged_late(code: str) -> bool:
    """A wrong certificate is seen when the certificate is, though its cause lies in the hello."""
    return code in {"sni.name-mismatch", "sni.default-certificate", "negotiation.weak-offered", "negotiation.alpn"}


def _stage_by_report(report: Report) -> Hint | None:
    faulty = set(_failing(report))
    for endpoint in report.endpoints:
        if endpoint.address in faulty and (said := _stopped(endpoint)) is not None:
            return said
    cause = report.cause or ""
    if not report.endpoints or cause not in CATALOGUE:
        return Hint(choice="before", why=f"no connection was made: {cause}") if not report.endpoints else None
    stage = CATALOGUE[cause].stage
    if stage in _BEFORE and not _is_judged_late(cause):
        return Hint(choice="before", why=f"{cause} shows before the ServerHello")
    return Hint(choice="after", why=f"the ServerHello comes back; {cause} shows after it")


def _stopped(endpoint: EndpointReport) -> Hint | None:
    """How the handshake at one address ended, where it did not go through."""
    match endpoint.failed_stage:
        case None:
            return None
        case "tcp":
            return Hint(choice="before", why=f"no TCP connection to {endpoint.address}")
        case "hello" | "negotiation":
            choice, place = "before", "before the ServerHello"
        case _:
            choice, place = "after", "after the ServerHello"
    alert = endpoint.alert
    what = f"alert {alert.code} {alert.name}" if alert is not None else "the handshake ends"
    return Hint(choice=choice, why=f"{what} {place}")
