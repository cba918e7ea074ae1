"""Lineages, as they are remembered: what a look makes of them, and the notes that tell it, in one transaction.

`news_of` is called by `bot.look_book` on the memory's thread, inside the transaction that stores the look. So state and
words are written together or not at all, and a look that is delivered twice finds that it was told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from bot import expiry, lineage_looks, lineages
from bot.answers import reply
from bot.drift_book import DriftBook, is_snoozed
from bot.expiry import CALLS_OWNER, Certificates, SeenInCt
from bot.history import Book, History
from bot.lineage_looks import LookAt
from bot.lineage_rows import LineageRows
from bot.lineages import Judged, Lineage, Refused
from bot.mass_book import MassBook
from bot.model import Content, Intake, Note
from bot.plain import digest_of
from bot.render import expiry as words
from bot.render.words import answer
from bot.watched import Look, Watch
from bot.watchlist import Watchlist
from probes.ari import Window
from probes.model import CertificateReport

LOG = logging.getLogger("bot.lineages")
# A lineage with so much to read (some forty places) is gathered: its looks are worked in together, as many at once or
# as soon as somebody flushes. What dies with the process meanwhile is seen again by the next look that asks for news.
_CROWD: Final = 10_000  # characters of its state
_AT_ONCE: Final = 1_000
_MOST_ALONE: Final = 10  # threads that a channel is given within _TOGETHER; what comes beside them shares one
_TOGETHER: Final = timedelta(hours=1)
_SHARED_FOR: Final = timedelta(days=1)


class NewerOf(Protocol):
    """Certificates for the names of a lineage that Certificate Transparency has seen, and nobody serves, if any.

    Called on the memory's thread, inside a transaction.
    """

    def __call__(self, lineage: Lineage, now: datetime, /) -> Sequence[SeenInCt]: ...


def none_newer(_: Lineage, __: datetime) -> Sequence[SeenInCt]:
    """Without a CT monitor nothing is known of other certificates."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a CA said of one certificate."""

    certificate: str
    window: Window


class LineageBook(Book):
    """The lineages of all channels, and what drifted at what they watch."""

    def __init__(
        self,
        history: History,
        watchlist: Watchlist,
        *,
        newer_of: NewerOf = none_newer,
        anchored: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        super().__init__(history)
        self._watchlist = watchlist
        self._newer_of = newer_of
        self._anchored = anchored
        self._kept = LineageRows(history, watchlist)
        self._masses = MassBook(history)
        self._drift = DriftBook(history, watchlist)
        self._gathered: list[_Gathered] = []  # the memory's thread alone

    # ── looks ───────────────────────────────────────────────────────────────────

    def news_of(
        self,
        watch: Watch,
        before: Look | None,
        after: Look,
        certificates: Mapping[str, CertificateReport],
        now: datetime,
    ) -> Sequence[Note]:
        """What there is to say of a look in one channel (`bot.look_book.NewsOf`). Never raises: other looks are in
        the same transaction."""
        try:
            with self._db.atomic():
                look = _Gathered(watch=watch, after=after, certificates=certificates, at=now)
                groups, _ = _grouped(after, certificates)
                if self._kept.is_crowded(watch, [lineages.names_key(names) for names in groups], _CROWD):
                    self._gathered.append(look)
                    of_certificates = self._work_in(now) if len(self._gathered) >= _AT_ONCE else []
                else:
                    of_certificates = self._worked_in([look], now)
                return [*of_certificates, *self._drift.news(watch, before, after, certificates, now)]
        except Exception:
            LOG.exception("news of a look failed watch=%s look=%s", watch.id, after.id)
            return ()

    async def flush(self, now: datetime) -> int:
        """Work in the looks at crowded lineages that still wait; how many notes that is."""

        def flushed() -> int:
            notes = self._work_in(now)
            self._note(notes)
            return len(notes)

        return await self._write(flushed) if self._gathered else 0

    def _work_in(self, now: datetime) -> list[Note]:
        gathered, self._gathered = self._gathered, []
        return self._worked_in(gathered, now)

    def _worked_in(self, gathered: Sequence[_Gathered], now: datetime) -> list[Note]:
        """What these looks make of the lineages they concern, each of which is read, judged and written once."""
        loaded: dict[int, Lineage] = {}
        looks: dict[int, list[LookAt]] = {}
        revoked: dict[int, set[str]] = {}
        snoozed: dict[int, bool] = {}
        certificates: dict[str, CertificateReport] = {}
        for each in gathered:
            certificates.update(each.certificates)
            bad = _revoked(each.after)
            for number, look in self._shared_out(each, loaded).items():
                looks.setdefault(number, []).append(look)
                revoked.setdefault(number, set()).update(path[0] for at, path in look.served.items() if at in bad)
                snoozed[number] = snoozed.get(number, True) and is_snoozed(each.watch, each.at)
        notes: list[Note] = []
        for number, of_lineage in looks.items():
            was = loaded[number]
            known = self._kept.known(was, certificates)
            after = lineage_looks.seen(was, of_lineage, known)
            if revoked[number]:
                after = lineage_looks.found_revoked(after, revoked[number])
            notes += self._masses.progressed(was, after)
            notes += self._judge(was, after, known, now, snoozed=snoozed[number])
            self._kept.link(after)
        return notes

    def _shared_out(self, look: _Gathered, loaded: dict[int, Lineage]) -> dict[int, LookAt]:
        """What a look means to each lineage that it concerns; *loaded* has them all afterwards."""
        watch = look.watch
        groups, silent = _grouped(look.after, look.certificates)
        for number in self._kept.linked_to(watch.id):
            self._load(number, loaded)
        linked = [loaded[number] for number in self._kept.linked_to(watch.id)]
        empty = LookAt(
            watch=watch.id,
            target=str(watch.target),
            served={},
            silent=tuple(silent) if look.after.sighting.served else None,
            at=look.at,
        )
        of_lineage = {each.id: empty for each in linked}
        for key, served in groups.items():
            number = self._lineage_of(look, linked, key, replace(empty, served=served), loaded)
            already = of_lineage.get(number, empty)
            of_lineage[number] = replace(already, served={**already.served, **served})
        leaves = {address: path[0] for served in groups.values() for address, path in served.items()}
        return {
            number: replace(each, others={at: leaf for at, leaf in leaves.items() if at not in each.served})
            for number, each in of_lineage.items()
        }

    def _load(self, number: int, loaded: dict[int, Lineage]) -> None:
        if number not in loaded and (found := self._kept.lineage(number)) is not None:
            loaded[number] = found

    def _lineage_of(
        self, look: _Gathered, linked: Iterable[Lineage], key: tuple[str, ...], at: LookAt, loaded: dict[int, Lineage]
    ) -> int:
        """The lineage of these names and this owner. One whose owner was changed just now goes on, and so does one
        whose certificate was renewed under other names."""
        watch, owner = look.watch, look.watch.owner or ""
        linked = [loaded[each.id] for each in linked]  # as they are by now
        own = [each for each in linked if each.owner == owner]
        named = next((each.id for each in own if _folded(each.names) == key), None)
        named = named or self._kept.of_names(watch, lineages.names_key(key))
        if named is not None:
            self._load(named, loaded)
            return named
        for each in linked:
            if _folded(each.names) == key and all(place.watch == watch.id for place in each.places):
                loaded[each.id] = self._kept.keep(replace(each, owner=owner))
                return each.id
        leaf = look.certificates[next(iter(at.served.values()))[0]]
        new = Lineage(team=watch.team, channel=watch.channel, names=tuple(leaf.names) or (leaf.subject,), owner=owner)
        known = {**look.certificates}
        for each in own:
            known |= self._kept.known(each, known)
        before = lineage_looks.predecessor(own, watch.id, at.served, known)
        if before is not None:
            lineage, goes_on = before
            if goes_on:
                new = replace(lineage, names=new.names)
            else:
                new = replace(new, replacements=lineage_looks.heir(lineage, at, known))
        new = self._kept.keep(new)
        loaded[new.id] = new
        return new.id

    def _judge(
        self, was: Lineage, lineage: Lineage, known: Certificates, now: datetime, *, snoozed: bool = False
    ) -> list[Note]:
        """Judge, keep what changed, and return what is to be said."""
        newer, anchored = self._newer_of(lineage, now), self._anchored()
        if snoozed:
            concern = expiry.concern(lineages.standing(lineage, newer, anchored), known, now)
            if concern is not None and concern.step not in lineages.OUTAGES:
                if lineage != was:
                    self._kept.keep(lineage)
                return []
        broken, examined = self._outages(lineage, known, now)
        judged = lineages.judged(lineage, known, now, newer=newer, anchored=anchored, broken=broken, examined=examined)
        after, notes = self._said(lineage, judged, known, now)
        if after != was:
            self._kept.keep(after)
        return [*self._shared(after), *notes] if notes else []

    def _shared(self, lineage: Lineage) -> list[Note]:
        """The message in whose thread it is told, as it is now, if there is one."""
        if not lineage.within:
            return []
        content = words.together(self._kept.within(lineage.within))
        return [_note(lineage, lineage.within, content)]

    def _thread_for(self, lineage: Lineage, now: datetime) -> str:
        """Empty: it gets a thread of its own. A job that broke concerns hundreds: they share one."""
        if self._kept.opened_since(lineage, now - _TOGETHER) < _MOST_ALONE:
            return ""
        key = f"due:{lineage.team}:{lineage.channel}:{now.timestamp():.0f}"
        return self._kept.shared_thread(lineage, now - _SHARED_FOR) or key

    def _outages(
        self, lineage: Lineage, known: Certificates, now: datetime
    ) -> tuple[frozenset[int], dict[int, datetime]]:
        """The watches whose incident calls people, and when each was looked at in full last."""
        served = {sha256 for place in lineage.places for sha256 in place.path}
        ended = (period[1] <= now for each in served if (period := expiry.validity(known.get(each))))
        if not lineage.revoked and not any(ended):
            return frozenset(), {}
        rows = self._rows(
            "select w.id, l.full_at, l.status = 'broken' and coalesce(w.snoozed_until, 0) <= ? as is_told"
            " from watches w join lookouts l on l.id = w.lookout where w.id in (select value from json_each(?))",
            now.timestamp(),
            json.dumps(sorted({place.watch for place in lineage.places})),
        )
        examined = {int(row["id"]): datetime.fromtimestamp(row["full_at"], UTC) for row in rows if row["full_at"]}
        return frozenset(int(row["id"]) for row in rows if row["is_told"]), examined

    def _said(self, was: Lineage, judged: Judged, known: Certificates, now: datetime) -> tuple[Lineage, list[Note]]:
        lineage, say = judged.lineage, judged.say
        notes: list[Note] = []
        if say is not None and say.kind == "opened":
            lineage = replace(lineage, within=self._thread_for(lineage, now))
        content = _root(lineage, judged, known, was_open=was.is_open)
        if content is not None and (shown := digest_of(content)) != lineage.shown:
            lineage = replace(lineage, shown=shown)
            notes.append(replace(_note(lineage, lineage.root, content), parent=lineage.within or None))
        if say is not None and say.kind != "opened":
            notes.append(replace(_note(lineage, say.key, words.said(lineage, say, known, now)), parent=lineage.thread))
        return lineage, notes

    # ── renewal information ─────────────────────────────────────────────────────

    async def asked_about(self, offered: Callable[[str], bool], now: datetime) -> dict[str, list[CertificateReport]]:
        """The leaves served now, by the CAs that can be asked and whose pause is over."""

        def found() -> dict[str, list[CertificateReport]]:
            rows = self._rows("select authority from ari_rounds where next_at > ?", now.timestamp())
            resting = {row["authority"] for row in rows}
            leaves = {place.leaf for lineage in self._kept.all() for place in lineage.places}
            by_authority: dict[str, list[CertificateReport]] = {}
            for each in self._watchlist.looks.certificates(leaves).values():
                who, period = expiry.authority(each.issuer), expiry.validity(each)
                is_asked = who not in resting and offered(who) and each.authority_key_id and each.serial
                if is_asked and period is not None and now < period[1]:
                    by_authority.setdefault(who, []).append(each)
            return by_authority

        return await self._run(found)

    async def heard(self, authority: str, answers: Sequence[Heard], next_at: datetime, now: datetime) -> int:
        """A round of questions to one CA is over: what it says is kept and told; how many notes that is."""
        return await self._write(self._heard, authority, answers, next_at, now)

    def _heard(self, authority: str, answers: Sequence[Heard], next_at: datetime, now: datetime) -> int:
        self._db.execute(
            "insert into ari_rounds (authority, next_at) values (?, ?)"
            " on conflict (authority) do update set next_at = excluded.next_at",
            (authority, next_at.timestamp()),
        )
        windows = {each.certificate: each.window for each in answers}
        places: dict[tuple[str, str], list[tuple[Lineage, Lineage, Certificates]]] = {}
        for lineage in self._kept.all():
            if any(place.leaf in windows for place in lineage.places):
                known = self._kept.known(lineage, {})
                after = _with_answers(lineage, windows, known, now)
                places.setdefault((lineage.team, lineage.channel), []).append((lineage, after, known))
        notes = self._masses.late(now)
        for found in places.values():
            in_mass, told = self._masses.joined([after for _, after, _ in found], authority, now)
            notes += told
            for was, after, known in found:
                final = in_mass.get(was.id, after)
                if final != was:  # what time alone brings is judged with the next look
                    notes += self._judge(was, final, known, now)
        self._note(notes)
        return len(notes)

    # ── what people do ──────────────────────────────────────────────────────────

    async def pressed(self, intake: Intake, now: datetime) -> None:
        """*Acknowledge* or *Snooze*: one transaction with the request."""
        await self._write(self._pressed, intake, now)

    def _pressed(self, intake: Intake, now: datetime) -> None:
        number, episode, pause = words.pressed(intake.text)
        lineage = self._kept.lineage(number)
        if lineage is None or (lineage.team, lineage.channel) != (intake.team, intake.channel):
            self._refuse(intake, "unknown", words.gone(), now)
            return
        if intake.action == words.SNOOZE and pause is not None:
            outcome = lineages.snoozed(lineage, intake.user, episode, pause, intake.received_at)
        else:
            outcome = lineages.acknowledged(lineage, intake.user, episode)
        if isinstance(outcome, Refused):
            self._refuse(intake, outcome.why, words.refused(outcome.why, lineage, intake.user), now)
            return
        known = self._kept.known(outcome, {})
        concern = expiry.concern(lineages.standing(outcome, self._newer_of(outcome, now), self._anchored()), known, now)
        after, notes = self._said(lineage, Judged(lineage=outcome, concern=concern), known, now)
        self._kept.keep(after)
        line = _note(after, f"{after.root}:act:{intake.id}", words.act(intake.user, after))
        self._audited(intake.id, "done", after.name)
        self._finish(intake.id, now, [*notes, replace(line, parent=after.thread)], None)

    def _refuse(self, intake: Intake, why: str, content: Content, now: datetime) -> None:
        self._audited(intake.id, f"declined: {why}", "")
        self._finish(intake.id, now, (reply(intake, content),), None)

    async def declined(self, intake: Intake, why: str, now: datetime) -> None:
        """The click changed nothing, and whoever clicked learns why."""
        await self._write(self._refuse, intake, "not a member", answer(why), now)

    async def tidy(self, now: datetime) -> int:
        """What is no longer watched is no longer warned of; how many notes that is."""

        def tidied() -> int:
            notes: list[Note] = []
            for number, watch in self._kept.unwatched():
                was = self._kept.lineage(number)
                assert was is not None
                after = lineage_looks.dropped(was, watch)
                notes += self._masses.progressed(was, after)
                notes += self._left(was, after, now)
                self._kept.link(after)
            self._db.execute("delete from drift_memories where watch not in (select id from watches)")
            self._note(notes)
            return len(notes)

        return await self._write(tidied)

    def _left(self, was: Lineage, lineage: Lineage, now: datetime) -> list[Note]:
        """After one of its watches was removed."""
        known = self._kept.known(lineage, {})
        if lineage.places:
            return self._judge(was, lineage, known, now)
        after, notes = self._said(lineage, lineages.unwatched(lineage), known, now)
        self._kept.keep(after)
        return [*self._shared(after), *notes] if notes else []

    async def open_ones(self, team: str, channel: str | None = None) -> list[Lineage]:
        """The lineages with a thread that is not over: for digests and the App Home."""
        return await self._run(self._kept.open_ones, team, channel)


# ── small ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """A look at a crowded lineage, waiting to be worked in with others."""

    watch: Watch
    after: Look
    certificates: Mapping[str, CertificateReport]
    at: datetime


def _grouped(
    after: Look, certificates: Mapping[str, CertificateReport]
) -> tuple[dict[tuple[str, ...], dict[str, tuple[str, ...]]], list[str]]:
    """The paths served, by address, for each set of names; and the addresses that showed no certificate."""
    groups: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
    silent = []
    for each in after.sighting.served:
        leaf = certificates.get(each.chain[0]) if each.chain else None
        if leaf is None or expiry.validity(leaf) is None:
            silent.append(each.address)
            continue
        group = groups.setdefault(_folded(tuple(leaf.names) or (leaf.subject,)), {})
        group[each.address] = expiry.path_of(each.chain, certificates)
    return groups, silent


def _revoked(after: Look) -> set[str]:
    found = after.sighting.findings
    return {address for code, _, where in found if code == "revocation.revoked" for address in where}


def _root(lineage: Lineage, judged: Judged, known: Certificates, *, was_open: bool) -> Content | None:
    if not lineage.is_open:
        return words.closed(lineage, known) if was_open else None
    if judged.concern is None:
        return None
    told = {step for step, certificate in lineage.told if certificate in lineage.concerned}
    return words.root(lineage, judged.concern, known, calls=bool(told & CALLS_OWNER))


def _note(lineage: Lineage, key: str, content: Content) -> Note:
    return Note(key=key, kind="message", team=lineage.team, channel=lineage.channel, content=content)


def _with_answers(lineage: Lineage, windows: Mapping[str, Window], known: Certificates, now: datetime) -> Lineage:
    before = {each.certificate: each for each in lineage.suggested}
    for leaf in sorted({place.leaf for place in lineage.places} & windows.keys()):
        period = expiry.validity(known.get(leaf))
        if period is not None:
            said = expiry.suggestion(before.get(leaf), leaf, windows[leaf], period, now)
            lineage = lineage_looks.suggested(lineage, said)
    return lineage


@lru_cache(maxsize=256)
def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name.rstrip(".").lower() for name in names}))
