"""Incidents as pure transitions: one per channel and endpoint; a changed cause is news, a repeat is not.

A broken verdict opens one. Health alone never ends one: it is `recovered` until a person resolves it, or until nobody
has said anything for a day. What a person may do to it is here too, with why it may not be done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from bot.model import Check, Entry, Incident, PastCheck, Severity, Transition, Vigil
from probes.clients import FAMILIES
from probes.model import Report, Target

RECOVERED_FOR = timedelta(hours=24)  # after which what recovered needs nobody to resolve it
# When *Watch until fixed* looks again: often while somebody waits for a reload, then ever more rarely.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (15, 30, 60, 60, 120, 120, 300, 300, 600, 900))
WATCHED_FOR = timedelta(hours=48)
FRESH = timedelta(hours=24)  # a certificate so young may be what happened
_CURRENT = frozenset(family.name for family in FAMILIES if family.current)

Why: TypeAlias = Literal["yours", "taken", "resolved", "standing", "same", "watched", "unwatched", "healthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act made of the incident, and what the timeline says of it."""

    incident: Incident
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why the act does not fit what the incident is now; nothing was changed."""

    why: Why


def endpoint_of(target: Target) -> str:
    """What is one incident: the target, and what is said to it before and in the handshake."""
    expected = None if target.is_ip else target.host
    name = f" sni={target.server_name}" if target.server_name and target.server_name != expected else ""
    return f"{target}{name}" + (f" starttls={target.starttls}" if target.starttls else "")


def speaks_for(asked: Check) -> bool:
    """A check of one address, or with a client certificate, tells something else than whether the endpoint works."""
    return not asked.addresses and asked.identity is None


# ── checks ──────────────────────────────────────────────────────────────────────


def step(standing: Incident | None, seen: PastCheck, *, asked_at: datetime, thread_ts: str | None = None) -> Transition:
    """What the newest check of an endpoint does to its incident *standing*: open, recovered, or the resolved one whose
    message shows the check.

    A warning opens nothing: what works is no incident.
    """
    cause = seen.report.cause if seen.report.status == "broken" else None
    if standing is None:
        if cause is None:
            return Transition(kind="healthy")
        return Transition(kind="opened", now=_opened(seen, cause, asked_at, thread_ts))
    now = replace(standing, last_check=seen.id, checks=standing.checks + 1)
    if cause is None:
        if standing.state != "open":
            return Transition(kind="healthy", was=standing, now=now)
        return Transition(kind="recovered", was=standing, now=replace(now, state="recovered", recovered_at=seen.at))
    if cause != standing.cause:
        now = replace(now, cause=cause, cause_at=seen.at, issuer=issuer_of(seen.report) or now.issuer)
    if standing.state != "open":
        again = replace(now, state="open", recovered_at=None, ended_at=None, ended_by=None)
        return Transition(kind="relapsed", was=standing, now=again)
    return Transition(kind="changed" if cause != standing.cause else "unchanged", was=standing, now=now)


def _opened(seen: PastCheck, cause: str, asked_at: datetime, thread_ts: str | None) -> Incident:
    return Incident(
        id=0,
        team=seen.team,
        channel=seen.channel,
        target=str(seen.report.target),
        endpoint=endpoint_of(seen.report.target),
        host=seen.report.target.host,
        issuer=issuer_of(seen.report),
        cause=cause,
        state="open",
        severity=severity_of(seen.report),
        root=seen.headline,
        thread_ts=thread_ts,
        opened_at=seen.at,
        opened_by=seen.user,
        asked_at=asked_at,
        cause_at=seen.at,
        first_check=seen.id,
        last_check=seen.id,
    )


def issuer_of(report: Report) -> str:
    """Who issued the leaf that the first address shows; empty when none was seen."""
    return next((endpoint.chain[0].issuer for endpoint in report.endpoints if endpoint.chain), "")


def severity_of(report: Report) -> Severity:
    """Where to begin: SEV1 where no current client gets through anywhere, SEV2 where some do. People know better."""
    judged = {client.name: client.outcome for client in report.clients if client.name in _CURRENT}
    cause = next((finding for finding in report.findings if finding.code == report.cause), None)
    is_everywhere = cause is None or not cause.addresses or len(cause.addresses) >= len(report.endpoints)
    return "sev1" if is_everywhere and all(outcome == "fail" for outcome in judged.values()) else "sev2"


def lapsed(incident: Incident, now: datetime) -> Incident | None:
    """The incident as it ends by itself, healthy for long and mentioned by nobody; None while it stands."""
    if incident.state != "recovered" or incident.recovered_at is None or now - incident.recovered_at < RECOVERED_FOR:
        return None
    return replace(incident, state="resolved", ended_at=incident.recovered_at, ended_by=None)


def certificate_events(before: Report | None, seen: PastCheck) -> list[Entry]:
    """What happened to certificates, for the timeline: one was issued shortly before, one took another's place.

    *before*: the check before it of the same endpoint. A certificate that is new at several addresses is one event.
    """
    earlier = before.endpoints if before is not None else ()
    was = {endpoint.address: endpoint.chain[0].sha256 for endpoint in earlier if endpoint.chain}
    events: dict[str, Entry] = {}
    for endpoint in seen.report.endpoints:
        if not endpoint.chain:
            continue
        leaf = endpoint.chain[0]
        began = _moment(leaf.not_before)
        about = f"{leaf.subject}, by {leaf.issuer}, until {leaf.not_after[:10]} (SHA-256 {leaf.sha256[:16]})"
        if began is not None and timedelta(0) <= seen.at - began < FRESH:
            key = f"issued:{leaf.sha256[:32]}"
            text = f"🔖 certificate begins to be valid: {about}"
            events[key] = Entry(key=key, kind="verdict", at=began, user="", text=text)
        if was.get(endpoint.address, leaf.sha256) != leaf.sha256:
            key = f"served:{leaf.sha256[:32]}"
            text = f"🔖 another certificate is served: {about}"
            events[key] = Entry(key=key, kind="verdict", at=seen.at, user="", text=text, check=seen.id)
    return list(events.values())


def _moment(text: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo is not None else None


# ── what people do ──────────────────────────────────────────────────────────────


def commanded(incident: Incident, user: str, *, instead_of: str | None) -> Done | Refused:
    """*user* takes command. *instead_of*: whom the pressed button showed; who took it since then is not overrun."""
    if incident.state == "resolved":
        return Refused(why="resolved")
    if incident.commander == user:
        return Refused(why="yours")
    if incident.commander != instead_of:
        return Refused(why="taken")
    over = f" from <@{incident.commander}>" if incident.commander else ""
    return Done(incident=replace(incident, commander=user), text=f"took command{over}")


def rated(incident: Incident, severity: Severity) -> Done | Refused:
    if incident.state == "resolved":
        return Refused(why="resolved")
    if incident.severity == severity:
        return Refused(why="same")
    text = f"set the severity to {severity.upper()} (it was {incident.severity.upper()})"
    return Done(incident=replace(incident, severity=severity), text=text)


def resolved(incident: Incident, user: str, now: datetime) -> Done | Refused:
    if incident.state == "resolved":
        return Refused(why="resolved")
    how = "the last check found it mended" if incident.state == "recovered" else "the last check found it still broken"
    done = replace(incident, state="resolved", ended_at=now, ended_by=user)
    return Done(incident=done, text=f"resolved it; {how}")


def reopened(incident: Incident, *, other: Incident | None) -> Done | Refused:
    """*other*: the incident of the same endpoint that stands by now, if there is one."""
    if incident.state != "resolved":
        return Refused(why="standing")
    if other is not None:
        return Refused(why="standing")
    again = replace(incident, state="open", recovered_at=None, ended_at=None, ended_by=None)
    return Done(incident=again, text="reopened it")


def pause_after(looks: int) -> timedelta:
    """How long *Watch until fixed* waits after so many looks."""
    return PAUSES[min(looks, len(PAUSES) - 1)]


def looked(vigil: Vigil, looked_at: datetime | None, *, now: datetime) -> Vigil:
    """The vigil after a look, with the time of the next one."""
    return replace(vigil, looked_at=looked_at, next_at=now + pause_after(vigil.looks))


# ── the timeline ────────────────────────────────────────────────────────────────


def merged(known: Entry | None, news: Entry) -> Entry | None:
    """The note *known* after *news* of its message; None when that changes nothing.

    News come twice and out of order: each carries the time of its version (`edited_ts`), and an older one says nothing.
    """
    if known is None:
        return news
    if known.state == "deleted" or (known.edited_ts or "") > (news.edited_ts or ""):
        return None
    if news.state == "deleted":
        return replace(known, text="", state="deleted", edited_ts=news.edited_ts or known.edited_ts)
    text = known.text if news.state != "live" or not news.text else news.text
    after = replace(known, text=text, state=news.state, edited_ts=news.edited_ts or known.edited_ts)
    return None if (after.text, after.state) == (known.text, known.state) else after
