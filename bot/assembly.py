"""The parts of the bot, each made with what it needs; and the tables of what they do, run and answer, on one screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from bot.admins import Admins
from bot.alarms import LOOK as ALARM
from bot.alarms import Alarms
from bot.answers import Answers
from bot.below import Below
from bot.cases import Cases
from bot.checking import Checking
from bot.clients import Clients
from bot.ct_book import CtBook
from bot.ct_desk import CtDesk
from bot.ct_grammar import CtCommand
from bot.ct_reader import CtSource
from bot.ct_watch import CtWatch
from bot.digest_book import DigestBook
from bot.digest_sources import of_drift, of_issuances, of_lineages
from bot.digest_times import DigestCommand
from bot.digesting import Digesting
from bot.drawing import Drawing
from bot.dropped import DroppedFiles
from bot.history import History
from bot.history_pages import HistoryPages
from bot.home import Home
from bot.identities import Identities
from bot.known import Known
from bot.lineage_book import LineageBook
from bot.listeners.gate import Desks
from bot.looks import ByChecks, Checker, Looker
from bot.messages import Messages
from bot.model import (
    Act,
    Check,
    ExplainText,
    Fault,
    Help,
    HistoryQuery,
    IdentityCommand,
    Misread,
    NotYet,
    TimelineNote,
    TriageCommand,
)
from bot.notify import Outbox
from bot.outages import Outages
from bot.people import People
from bot.places import Places
from bot.quotable import Quotable
from bot.render import explain, report
from bot.renewals import Renewals
from bot.response import Response
from bot.retrospect import Retrospect
from bot.rooms import Rooms
from bot.steps import STEP, Steps
from bot.supervisor import Supervisor
from bot.triage_work import Triaging
from bot.verdicts import Verdicts
from bot.vigils import LOOK, Vigils
from bot.watch import Watching
from bot.watch_desk import WatchDesk
from bot.watched import WatchCommand
from bot.watchlist import Watchlist
from bot.work import Answer, Work, on
from bot.worked import LastWorked
from probes.net.ari import RenewalInformation

Run: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Who looks at the world for the bot. None: that part of the bot does without."""

    checker: Checker
    look: Looker | None = None
    renewal_information: RenewalInformation | None = None
    anchored: Callable[[], frozenset[str]] = frozenset  # the roots' fingerprints
    ct: CtSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The bot, ready to run. `loops` go on beside the requests, each a task, until they are cancelled."""

    work: Work
    outbox: Outbox
    desks: Desks
    people: People
    loops: Mapping[str, Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What nearly all parts are made with."""

    history: History
    clients: Clients
    places: Places
    outbox: Outbox
    answers: Answers
    admins: Admins
    rooms: Rooms
    drawing: Drawing
    watchlist: Watchlist
    identities: Identities


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certificates:
    """What follows certificates beyond single checks: logs, lineages, digests."""

    book: CtBook
    watch: CtWatch
    desk: CtDesk
    lineages: LineageBook
    renewals: Renewals
    digests: Digesting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """A check from the request to the verdict, and what is asked about verdicts."""

    quotable: Quotable
    last_worked: LastWorked
    cases: Cases
    verdicts: Verdicts
    checking: Checking
    vigils: Vigils


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """Whoever answers people beside the check itself."""

    response: Response
    watching: Watching
    watches: WatchDesk
    retrospect: Retrospect
    pages: HistoryPages
    triage: Triaging
    steps: Steps
    below: Below
    known: Known
    home: Home


def assembled(
    *,
    history: History,
    clients: Clients,
    places: Places,
    supervisor: Supervisor,
    outside: Outside,
    secret_key: str | None,
    admin_usergroups: frozenset[str],
) -> Parts:
    """All parts, over *history*, speaking through *clients*."""
    outbox = Outbox(history=history, clients=clients)
    admins = Admins(clients, admin_usergroups)
    base = _Base(
        history=history,
        clients=clients,
        places=places,
        outbox=outbox,
        answers=Answers(history, outbox),
        admins=admins,
        rooms=Rooms(clients),
        drawing=Drawing(),
        watchlist=Watchlist(history),
        identities=Identities(history=history, secret_key=secret_key, admins=admins),
    )
    certificates = _certificates(base, outside)
    checks = _checks(base, certificates, outside)
    counter = _counter(base, certificates, checks, outside)
    work = Work(
        history=history,
        answers=base.answers,
        supervisor=supervisor,
        asked=_asked(checks.checking, certificates, counter),
        acts=_acts(checks, certificates, counter),
        faults=_faults(checks, counter),
    )
    return Parts(
        work=work,
        outbox=outbox,
        desks=Desks(
            identities=base.identities, watches=counter.watches, digests=certificates.digests, steps=counter.steps
        ),
        people=admins.people,
        loops={
            "outbox": outbox.run,
            "keep watch": partial(checks.vigils.run, work.hand_over),
            "watching": counter.watching.run,
            "renewals": certificates.renewals.run,
            "ct": certificates.watch.run,
            "homes": counter.home.run,
            "digests": certificates.digests.run,
            "workflow steps": counter.steps.run,
        },
    )


def _certificates(base: _Base, outside: Outside) -> _Certificates:
    history, outbox, admins = base.history, base.outbox, base.admins
    book = CtBook(history, is_open=base.places.is_open)
    watch = CtWatch(book=book, outbox=outbox, rooms=base.rooms, source=outside.ct)
    lineages = LineageBook(history, base.watchlist, newer_of=book.newer_of, anchored=outside.anchored)
    digest_book = DigestBook(history)
    digests = Digesting(
        book=digest_book,
        history=history,
        watchlist=base.watchlist,
        outbox=outbox,
        clients=base.clients,
        admins=admins,
        places=base.places,
        drawing=base.drawing,
        sources=(of_lineages(lineages), of_issuances(book), of_drift(digest_book)),
    )
    return _Certificates(
        book=book,
        watch=watch,
        desk=CtDesk(book=book, watch=watch, answers=base.answers, admins=admins),
        lineages=lineages,
        renewals=Renewals(book=lineages, outbox=outbox, ari=outside.renewal_information, admins=admins),
        digests=digests,
    )


def _checks(base: _Base, certificates: _Certificates, outside: Outside) -> _Checks:
    history, outbox, answers, identities = base.history, base.outbox, base.answers, base.identities
    quotable = Quotable(history=history, rooms=base.rooms, people=base.admins.people)
    last_worked = LastWorked(history, base.watchlist.looks)
    cases = Cases(history=history, outbox=outbox, url_of=base.clients.url, headline_of=certificates.book.headline_of)
    verdicts = Verdicts(
        history=history,
        cases=cases,
        quotable=quotable,
        last_worked=last_worked,
        issued_before=certificates.desk.issued_before,
    )
    checking = Checking(
        history=history,
        answers=answers,
        cases=cases,
        identities=identities,
        checker=outside.checker,
        verdicts=verdicts,
    )
    return _Checks(
        quotable=quotable,
        last_worked=last_worked,
        cases=cases,
        verdicts=verdicts,
        checking=checking,
        vigils=Vigils(history=history, outbox=outbox, cases=cases, checking=checking, verdicts=verdicts),
    )


def _counter(base: _Base, certificates: _Certificates, checks: _Checks, outside: Outside) -> _Counter:
    history, outbox, answers, identities = base.history, base.outbox, base.answers, base.identities
    cases, quotable, last_worked, checking = checks.cases, checks.quotable, checks.last_worked, checks.checking
    response = Response(
        history=history,
        outbox=outbox,
        cases=cases,
        messages=Messages(base.clients),
        quotable=quotable,
        last_worked=last_worked,
        appeared=certificates.desk.appeared,
        on_vigil=checks.vigils.begun,
    )
    alarms = Alarms(
        history=history,
        watchlist=base.watchlist,
        outbox=outbox,
        cases=cases,
        checks=checks.verdicts,
    )
    watching = Watching(
        watchlist=base.watchlist,
        outages=Outages(history),
        identities=identities,
        answers=answers,
        alarms=alarms,
        look=outside.look or ByChecks(outside.checker),
        news_of=certificates.lineages.news_of,
    )
    base.places.on_change = watching.reload
    watches = WatchDesk(
        history=history,
        watchlist=base.watchlist,
        watching=watching,
        answers=answers,
        identities=identities,
        admins=base.admins,
        files=DroppedFiles(base.clients),
    )
    retrospect = Retrospect(history=history, answers=answers, drawing=base.drawing, quotable=quotable)
    pages = HistoryPages(
        history=history,
        answers=answers,
        cases=cases,
        watchlist=base.watchlist,
        quotable=quotable,
        figures=retrospect.told,
    )
    triage = Triaging(
        history=history,
        answers=answers,
        checking=checking,
        checker=outside.checker,
        quotable=quotable,
        last_worked=last_worked,
    )
    steps = Steps(history=history, clients=base.clients, checking=checking)
    appeared = certificates.desk.appeared
    below = Below(
        history=history,
        answers=answers,
        quotable=quotable,
        last_worked=last_worked,
        appeared=appeared,
    )
    known = Known(answers=answers, identities=identities)
    home = Home(
        history=history,
        outbox=outbox,
        clients=base.clients,
        rooms=base.rooms,
        places=base.places,
        link=cases.link,
        is_member=base.admins.people.is_member,
        ct=certificates.desk,
    )
    return _Counter(
        response=response,
        watching=watching,
        watches=watches,
        retrospect=retrospect,
        pages=pages,
        triage=triage,
        steps=steps,
        below=below,
        known=known,
        home=home,
    )


# ── the tables ──────────────────────────────────────────────────────────────────


def _asked(checking: Checking, certificates: _Certificates, counter: _Counter) -> dict[type[object], Answer]:
    """Who answers which command."""
    return {
        **on(Check, checking.begin),
        **on(HistoryQuery, counter.pages.command),
        **on(IdentityCommand, counter.known.identity),
        **on(TriageCommand, counter.triage.begin),
        **on(WatchCommand, counter.watches.command),
        **on(DigestCommand, certificates.digests.command),
        **on(CtCommand, certificates.desk.command),
        **on(ExplainText, counter.known.explanation),
        **on(TimelineNote, counter.response.note),
        **on(Help, counter.known.help),
        **on(NotYet, counter.known.help),
        **on(Misread, counter.known.help),
    }


def _acts(checks: _Checks, certificates: _Certificates, counter: _Counter) -> dict[str, Act]:
    """Who does what a button, a form, a shortcut or an event asks."""
    return each_once(
        checks.checking.acts(),
        checks.vigils.acts(),
        counter.below.acts(),
        counter.pages.acts(),
        counter.retrospect.acts(),
        counter.response.acts(),
        counter.triage.acts(),
        counter.steps.acts(),
        counter.watches.acts(),
        counter.home.acts(),
        certificates.renewals.acts(),
        certificates.desk.acts(),
    )


def _faults(checks: _Checks, counter: _Counter) -> dict[type[object] | str, Fault]:
    """Who tells of a fault, where a private word is not enough."""
    return {
        Check: checks.checking.failed,
        explain.CHECK: checks.checking.failed,
        report.AGAIN: checks.checking.again_failed,
        LOOK: checks.vigils.failed,
        STEP: counter.steps.failed,
        ALARM: lambda intake, _: counter.watching.again(intake),
    }


def each_once(*tables: Mapping[str, Act]) -> dict[str, Act]:
    """All *tables* as one; a name stands in one of them alone."""
    whole = {name: act for table in tables for name, act in table.items()}
    assert len(whole) == sum(map(len, tables)), "two parts act on one name"
    return whole
