"""Lineages, as they are remembered: what a look makes of them, and the notes that tell it, in one transaction.

`news_of` is called by `bot.look_book` on the memory's thread, inside the transaction that stores the look. So state and
words are written together or not at all, and a look that is delivered twice finds that it was told.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

from bot import expiry, lineages
from bot.answers import reply
from bot.casebook import Casebook
from bot.drift_book import DriftBook, completed, is_snoozed, text_of
from bot.expiry import CALLS_OWNER, Certificates, SeenInCt
from bot.lineages import Judged, Lineage, LookAt, Mass, Refused
from bot.model import Content, Intake, Note
from bot.plain import typed
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


class LineageBook:
    """The lineages of all channels, and what drifted at what they watch."""

    def __init__(
        self,
        memory: Casebook,
        watchlist: Watchlist,
        *,
        newer_of: NewerOf = none_newer,
        anchored: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._memory = memory
        self._watchlist = watchlist
        self._newer_of = newer_of
        self._anchored = anchored
        self._drift = DriftBook(memory, watchlist)
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
            with self._memory._db.atomic():
                groups, silent = _grouped(after, certificates)
                if self._is_crowded(watch, groups):
                    self._gathered.append(_Gathered(watch=watch, after=after, certificates=certificates, at=now))
                    of_certificates = self._work_in(now) if len(self._gathered) >= _AT_ONCE else []
                else:
                    of_certificates = self._seen(watch, after, groups, silent, certificates, now)
                return [*of_certificates, *self._drift.news(watch, before, after, certificates, now)]
        except Exception:
            LOG.exception("news of a look failed watch=%s look=%s", watch.id, after.id)
            return ()

    async def flush(self, now: datetime) -> int:
        """Work in the looks at crowded lineages that still wait; how many notes that is."""

        def flushed() -> int:
            notes = self._work_in(now)
            self._memory._note(notes)
            return len(notes)

        return await self._memory._write(flushed) if self._gathered else 0

    def _is_crowded(self, watch: Watch, groups: Iterable[tuple[str, ...]]) -> bool:
        """Does one of the lineages that a look of *watch* concerns have too much to be read at each look?"""
        keys = json.dumps([lineages.names_key(names) for names in groups])
        rows = self._memory._rows(
            "select 1 from lineages where length(state) > ?1 and (id in (select lineage from lineage_watches where"
            " watch = ?2) or (team = ?3 and channel = ?4 and names_key in (select value from json_each(?5)))) limit 1",
            _CROWD,
            watch.id,
            watch.team,
            watch.channel,
            keys,
        )
        return bool(rows)

    def _work_in(self, now: datetime) -> list[Note]:
        """All gathered looks, each lineage read, judged and written once."""
        gathered, self._gathered = self._gathered, []
        loaded: dict[int, Lineage] = {}
        by_key: dict[tuple[str, str, tuple[str, ...], str], int] = {}
        looks: dict[int, list[LookAt]] = {}
        revoked: dict[int, set[str]] = {}
        snoozed: dict[int, bool] = {}
        certificates: dict[str, CertificateReport] = {}
        for each in gathered:
            watch, after = each.watch, each.after
            groups, silent = _grouped(after, each.certificates)
            certificates.update(each.certificates)
            concerned: dict[int, dict[str, tuple[str, ...]]] = {}
            for key, served in groups.items():
                place = (watch.team, watch.channel, key, watch.owner or "")
                if place not in by_key:
                    leaf = each.certificates[next(iter(served.values()))[0]]
                    linked = self._of_watch(watch.id)
                    lineage = self._lineage_for(watch, linked, tuple(leaf.names) or (leaf.subject,), key)
                    loaded.setdefault(lineage.id, lineage)
                    by_key[place] = lineage.id
                concerned[by_key[place]] = served
            for number in self._linked_to(watch.id):
                if number not in loaded:
                    loaded.update((one.id, one) for one in self._of_watch(watch.id) if one.id not in loaded)
                concerned.setdefault(number, {})
            showing = {one.address for one in after.sighting.served if one.chain} - set(silent)
            bad = _revoked(after)
            for number, served in concerned.items():
                looks.setdefault(number, []).append(
                    LookAt(
                        watch=watch.id,
                        target=str(watch.target),
                        served=served,
                        silent=tuple(silent) if after.sighting.served else None,
                        others=frozenset(showing - served.keys()),
                        at=each.at,
                    )
                )
                revoked.setdefault(number, set()).update(path[0] for at, path in served.items() if at in bad)
                snoozed[number] = snoozed.get(number, True) and is_snoozed(watch, each.at)
        notes: list[Note] = []
        for number, of_lineage in looks.items():
            was = loaded[number]
            known = self._known(was, certificates)
            after_all = lineages.seen_at_once(was, of_lineage, known)
            if revoked[number]:
                after_all = lineages.found_revoked(after_all, revoked[number])
            notes += self._progress(was, after_all, now)
            notes += self._judge(was, after_all, known, now, snoozed=snoozed[number])
            self._link(after_all)
        return notes

    def _linked_to(self, watch: int) -> list[int]:
        rows = self._memory._rows("select lineage from lineage_watches where watch = ?", watch)
        return [int(row["lineage"]) for row in rows]

    def _seen(
        self,
        watch: Watch,
        after: Look,
        groups: Mapping[tuple[str, ...], Mapping[str, tuple[str, ...]]],
        silent: Sequence[str],
        certificates: Mapping[str, CertificateReport],
        now: datetime,
    ) -> list[Note]:
        sighting = after.sighting
        found: dict[int, tuple[Lineage, Mapping[str, tuple[str, ...]]]] = {}
        linked = self._of_watch(watch.id)
        for key, served in groups.items():
            leaf = certificates[next(iter(served.values()))[0]]
            lineage = self._lineage_for(watch, linked, tuple(leaf.names) or (leaf.subject,), key)
            found[lineage.id] = (lineage, served)
        for lineage in linked:
            found.setdefault(lineage.id, (lineage, {}))
        revoked = _revoked(after)
        showing = {each.address for each in sighting.served if each.chain} - set(silent)
        notes: list[Note] = []
        for lineage, served in found.values():
            known = self._known(lineage, certificates, after)
            seen = lineages.seen(
                lineage,
                watch=watch.id,
                target=str(watch.target),
                served=served,
                silent=silent if sighting.served else [place.address for place in lineage.places],
                others=showing - served.keys(),
                certificates=known,
                now=now,
            )
            if revoked:
                leaves = {place.leaf for place in seen.places if place.watch == watch.id and place.address in revoked}
                seen = lineages.found_revoked(seen, leaves)
            notes += self._progress(lineage, seen, now)
            notes += self._judge(lineage, seen, known, now, snoozed=is_snoozed(watch, now))
            self._link(seen)
        return notes

    def _lineage_for(
        self, watch: Watch, linked: Iterable[Lineage], names: tuple[str, ...], key: tuple[str, ...]
    ) -> Lineage:
        """The lineage of these names and this owner; one whose owner was changed just now goes on."""
        owner = watch.owner or ""
        of_names = [each for each in linked if _folded(each.names) == key]
        for each in of_names:
            if each.owner == owner:
                return each
        rows = self._memory._rows(
            "select id, state from lineages where team = ? and channel = ? and names_key = ? and owner = ?",
            watch.team,
            watch.channel,
            lineages.names_key(names),
            owner,
        )
        if rows:
            return _lineage_of(rows[0])
        for each in of_names:
            if all(place.watch == watch.id for place in each.places):
                return self._keep(replace(each, owner=owner))
        return self._keep(Lineage(team=watch.team, channel=watch.channel, names=names, owner=owner))

    def _judge(
        self, was: Lineage, lineage: Lineage, known: Certificates, now: datetime, *, snoozed: bool = False
    ) -> list[Note]:
        """Judge, keep what changed, and return what is to be said."""
        newer, anchored = self._newer_of(lineage, now), self._anchored()
        if snoozed:
            concern = expiry.concern(lineages.standing(lineage, newer, anchored), known, now)
            if concern is not None and concern.step not in lineages.OUTAGES:
                if lineage != was:
                    self._keep(lineage)
                return []
        broken, examined = self._outages(lineage, known, now)
        judged = lineages.judged(lineage, known, now, newer=newer, anchored=anchored, broken=broken, examined=examined)
        after, notes = self._said(lineage, judged, known, now)
        if after != was:
            self._keep(after)
        return notes

    def _outages(
        self, lineage: Lineage, known: Certificates, now: datetime
    ) -> tuple[frozenset[int], dict[int, datetime]]:
        """The watches whose incident calls people, and when each was looked at in full last."""
        served = {sha256 for place in lineage.places for sha256 in place.path}
        ended = (period[1] <= now for each in served if (period := expiry.validity(known.get(each))))
        if not lineage.revoked and not any(ended):
            return frozenset(), {}
        rows = self._memory._rows(
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
        content = _root(lineage, judged, known, was_open=was.is_open)
        if content is not None and (shown := _digest(content)) != lineage.shown:
            lineage = replace(lineage, shown=shown)
            notes.append(_note(lineage, lineage.root, content))
        if say is not None and say.kind != "opened":
            notes.append(replace(_note(lineage, say.key, words.said(lineage, say, known, now)), parent=lineage.root))
        return lineage, notes

    # ── a CA that wants many back ───────────────────────────────────────────────

    def _progress(self, was: Lineage, lineage: Lineage, now: datetime) -> list[Note]:
        if not was.massed:
            return []
        notes = []
        for mass in self._masses(was.team, was.channel):
            after = lineages.progressed(mass, lineage)
            if after != mass:
                notes += self._tell_mass(after)
        return notes

    def _tell_mass(self, mass: Mass, *, is_new: bool = False) -> list[Note]:
        content = words.mass(mass)
        note = Note(key=mass.root, kind="message", team=mass.team, channel=mass.channel, content=content)
        notes = [note] if _digest(content) != mass.shown else []
        self._keep_mass(replace(mass, shown=_digest(content)))
        calls = words.mass_calls(each.owner for each in mass.members) if is_new else None
        if calls is not None:
            notes.append(replace(note, key=f"{mass.root}:owners", parent=mass.root, content=calls))
        if not mass.is_open:
            notes.append(replace(note, key=f"{mass.root}:over", parent=mass.root, content=words.mass_over(mass)))
        return notes

    def _late(self, now: datetime) -> list[Note]:
        """Masses whose deadline is over: whoever is left is called, once."""
        notes = []
        for row in self._memory._rows("select id, state from masses where is_open"):
            mass = _mass_of(row)
            if now >= mass.deadline and not mass.was_late:
                self._keep_mass(replace(mass, was_late=True))
                note = Note(
                    key=f"{mass.root}:late",
                    kind="message",
                    team=mass.team,
                    channel=mass.channel,
                    content=words.mass_late(mass),
                    parent=mass.root,
                )
                notes.append(note)
        return notes

    def _masses(self, team: str, channel: str, authority: str | None = None) -> list[Mass]:
        rows = self._memory._rows(
            "select id, state from masses where team = ?1 and channel = ?2 and is_open"
            " and authority = coalesce(?3, authority)",
            team,
            channel,
            authority,
        )
        return [_mass_of(row) for row in rows]

    def _keep_mass(self, mass: Mass) -> Mass:
        execute = self._memory._db.execute
        if not mass.id:
            sql = "insert into masses (team, channel, authority, is_open, state) values (?, ?, ?, 1, '')"
            mass = replace(mass, id=int(execute(sql, (mass.team, mass.channel, mass.authority)).lastrowid or 0))
        sql = "update masses set is_open = ?, state = ? where id = ?"
        execute(sql, (int(mass.is_open), text_of(mass), mass.id))
        return mass

    # ── renewal information ─────────────────────────────────────────────────────

    async def asked_about(self, offered: Callable[[str], bool], now: datetime) -> dict[str, list[CertificateReport]]:
        """The leaves served now, by the CAs that can be asked and whose pause is over."""

        def found() -> dict[str, list[CertificateReport]]:
            rows = self._memory._rows("select authority from ari_rounds where next_at > ?", now.timestamp())
            resting = {row["authority"] for row in rows}
            leaves = {place.leaf for lineage in self._all() for place in lineage.places}
            by_authority: dict[str, list[CertificateReport]] = {}
            for each in self._watchlist.looks.certificates(leaves).values():
                who, period = expiry.authority(each.issuer), expiry.validity(each)
                is_asked = who not in resting and offered(who) and each.authority_key_id and each.serial
                if is_asked and period is not None and now < period[1]:
                    by_authority.setdefault(who, []).append(each)
            return by_authority

        return await self._memory._run(found)

    async def heard(self, authority: str, answers: Sequence[Heard], next_at: datetime, now: datetime) -> int:
        """A round of questions to one CA is over: what it says is kept and told; how many notes that is."""
        return await self._memory._write(self._heard, authority, answers, next_at, now)

    def _heard(self, authority: str, answers: Sequence[Heard], next_at: datetime, now: datetime) -> int:
        self._memory._db.execute(
            "insert into ari_rounds (authority, next_at) values (?, ?)"
            " on conflict (authority) do update set next_at = excluded.next_at",
            (authority, next_at.timestamp()),
        )
        windows = {each.certificate: each.window for each in answers}
        places: dict[tuple[str, str], list[tuple[Lineage, Lineage, Certificates]]] = {}
        for lineage in self._all():
            if any(place.leaf in windows for place in lineage.places):
                known = self._known(lineage, {})
                after = _with_answers(lineage, windows, known, now)
                places.setdefault((lineage.team, lineage.channel), []).append((lineage, after, known))
        notes = self._late(now)
        for (team, channel), found in places.items():
            standing = next(iter(self._masses(team, channel, authority)), None)
            joined = lineages.joined(standing, [after for _, after, _ in found], authority, now)
            in_mass = {}
            if joined is not None:
                in_mass = {each.id: each for each in joined[1]}
                notes += self._tell_mass(self._keep_mass(joined[0]), is_new=standing is None)
            for was, after, known in found:
                final = in_mass.get(was.id, after)
                if final != was:  # what time alone brings is judged with the next look
                    notes += self._judge(was, final, known, now)
        self._memory._note(notes)
        return len(notes)

    # ── what people do ──────────────────────────────────────────────────────────

    async def pressed(self, intake: Intake, now: datetime) -> None:
        """*Acknowledge* or *Snooze*: one transaction with the request."""
        await self._memory._write(self._pressed, intake, now)

    def _pressed(self, intake: Intake, now: datetime) -> None:
        number, episode, pause = words.pressed(intake.text)
        rows = self._memory._rows("select id, state from lineages where id = ?", number)
        lineage = _lineage_of(rows[0]) if rows else None
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
        known = self._known(outcome, {})
        concern = expiry.concern(lineages.standing(outcome, self._newer_of(outcome, now), self._anchored()), known, now)
        after, notes = self._said(lineage, Judged(lineage=outcome, concern=concern), known, now)
        self._keep(after)
        line = _note(after, f"{after.root}:act:{intake.id}", words.act(intake.user, after))
        self._memory._audited(intake.id, "done", after.names[0] if after.names else "")
        self._memory._finish(intake.id, now, [*notes, replace(line, parent=after.root)], None)

    def _refuse(self, intake: Intake, why: str, content: Content, now: datetime) -> None:
        self._memory._audited(intake.id, f"declined: {why}", "")
        self._memory._finish(intake.id, now, (reply(intake, content),), None)

    async def declined(self, intake: Intake, why: str, now: datetime) -> None:
        """The click changed nothing, and whoever clicked learns why."""
        await self._memory._write(self._refuse, intake, "not a member", answer(why), now)

    async def tidy(self, now: datetime) -> int:
        """What is no longer watched is no longer warned of; how many notes that is."""

        def tidied() -> int:
            notes: list[Note] = []
            sql = "select lineage, watch from lineage_watches where watch not in (select id from watches)"
            for row in self._memory._rows(sql):
                rows = self._memory._rows("select id, state from lineages where id = ?", row["lineage"])
                was = _lineage_of(rows[0])
                after = lineages.dropped(was, row["watch"])
                notes += self._progress(was, after, now)
                notes += self._judge(was, after, self._known(after, {}), now)
                self._link(after)
            self._memory._db.execute("delete from drift_memories where watch not in (select id from watches)")
            self._memory._note(notes)
            return len(notes)

        return await self._memory._write(tidied)

    async def open_ones(self, team: str, channel: str | None = None) -> list[Lineage]:
        """The lineages with a thread that is not over: for digests and the App Home."""
        sql = (
            "select id, state from lineages where team = ?1 and channel = coalesce(?2, channel) and is_open order by id"
        )
        return [_lineage_of(row) for row in await self._memory._run(self._memory._rows, sql, team, channel)]

    # ── rows ────────────────────────────────────────────────────────────────────

    def _all(self) -> list[Lineage]:
        sql = "select id, state from lineages where id in (select lineage from lineage_watches)"
        return [_lineage_of(row) for row in self._memory._rows(sql)]

    def _of_watch(self, watch: int) -> list[Lineage]:
        sql = "select l.id, l.state from lineages l join lineage_watches w on w.lineage = l.id where w.watch = ?"
        return [_lineage_of(row) for row in self._memory._rows(sql, watch)]

    def _keep(self, lineage: Lineage) -> Lineage:
        execute, row = self._memory._db.execute, (int(lineage.is_open), lineage.owner, text_of(lineage))
        if lineage.id:
            execute("update lineages set is_open = ?, owner = ?, state = ? where id = ?", (*row, lineage.id))
            return lineage
        cursor = execute(
            "insert into lineages (is_open, owner, state, team, channel, names_key) values (?, ?, ?, ?, ?, ?)",
            (*row, lineage.team, lineage.channel, lineages.names_key(lineage.names)),
        )
        return replace(lineage, id=int(cursor.lastrowid or 0))

    def _link(self, lineage: Lineage) -> None:
        """Which watches it has places at."""
        watches = {place.watch for place in lineage.places}
        rows = self._memory._rows("select watch from lineage_watches where lineage = ?", lineage.id)
        known = {int(row["watch"]) for row in rows}
        for each in watches - known:
            self._memory._db.execute("insert into lineage_watches (watch, lineage) values (?, ?)", (each, lineage.id))
        for each in known - watches:
            self._memory._db.execute("delete from lineage_watches where watch = ? and lineage = ?", (each, lineage.id))

    def _known(
        self, lineage: Lineage, certificates: Mapping[str, CertificateReport], after: Look | None = None
    ) -> Certificates:
        """The certificates that a judgement of *lineage* needs."""
        wanted = {sha256 for place in lineage.places for sha256 in place.path}
        wanted |= {sha256 for each in lineage.replacements for sha256 in (each.old, each.new)}
        if after is not None:
            wanted |= {sha256 for each in after.sighting.served for sha256 in each.chain}
        return completed(self._watchlist, certificates, wanted)


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
            lineage = lineages.suggested(lineage, said)
    return lineage


@lru_cache(maxsize=256)
def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name.rstrip(".").lower() for name in names}))


def _lineage_of(row: Mapping[str, object]) -> Lineage:
    return replace(typed(Lineage, json.loads(str(row["state"]))), id=int(str(row["id"])))


def _mass_of(row: Mapping[str, object]) -> Mass:
    return replace(typed(Mass, json.loads(str(row["state"]))), id=int(str(row["id"])))


def _digest(content: Content) -> str:
    return hashlib.sha256(json.dumps(asdict(content), sort_keys=True).encode()).hexdigest()[:16]
