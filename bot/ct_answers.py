"""What people make of issuances: *Expected* and *Investigate*, each one transaction with the request."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot import issuances
from bot.answers import reply
from bot.ct_cases import Cases, case_of, guard_of, note_of
from bot.issuances import Case, Guard, Remember, folded
from bot.model import Content, Entry, Incident, Intake
from bot.render import ct_advice as words
from bot.render.ct_issuance import INVESTIGATE, investigated, pressed, subject


class Answers(Cases):
    """Answers, and the incidents that they open."""

    async def answer(self, intake: Intake, now: datetime, *, refusal: Content | None = None) -> None:
        """*Expected* or *Investigate*: one transaction with the request."""
        await self._write(self._answer, intake, now, refusal)

    def _answer(self, intake: Intake, now: datetime, refusal: Content | None) -> None:
        number, what, is_later = pressed(intake.text)
        rows = self._rows("select * from ct_cases where id = ?", number)
        case = case_of(rows[0]) if rows else None
        if case is None or (case.team, case.channel) != (intake.team, intake.channel):
            self._refuse(intake, "unknown", words.gone(), "", now)
            return
        target = case.domains[0]
        if refusal is not None:
            self._refuse(intake, "not an admin", refusal, target, now)
        elif case.state == "approved" or (case.state == "investigated" and not is_later):
            self._refuse(
                intake, case.state, words.answered_already(case, self._incident(case), intake.user), target, now
            )
        elif intake.action == INVESTIGATE or what == "investigate":
            self._investigate(intake, case, now)
        elif what in issuances.REMEMBER:
            self._approve(intake, case, what, now)
        else:
            self._refuse(intake, "unknown", words.gone(), target, now)

    def _approve(self, intake: Intake, case: Case, what: Remember, now: datetime) -> None:
        issued = self._known_issuance(case.tbs)
        value = {"ca": folded(issued.ca), "key": issued.spki, "certificate": case.tbs}[what]
        if not value:  # unreadable: it names nothing that could be known again
            what, value = "certificate", case.tbs
        for domain in case.domains:
            self._db.execute(
                "insert or ignore into ct_approvals (team, channel, domain, kind, value, by, at)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (case.team, case.channel, domain, what, value, intake.user, now.timestamp()),
            )
        after = self._settled(case, intake.user, what, now)
        others = self._settle_others(after, intake.user, what, now) if what != "certificate" else []
        notes = self._said_of([after, *others])
        line = words.approved(intake.user, issued, what, case.domains, len(others))
        notes.append(replace(note_of(case, f"{case.root}:act:{intake.id}", line), parent=case.root))
        if case.incident:
            said = Entry(
                key=f"request:{intake.id}", kind="act", at=intake.received_at, user=intake.user, text="said: expected"
            )
            self._history._enter(case.incident, said)
        self._audited(intake.id, f"done: {what}", case.domains[0])
        self._finish(intake.id, now, notes, None)

    def _settled(self, case: Case, user: str, what: str, now: datetime) -> Case:
        self._db.execute(
            "update ct_cases set state = 'approved', answered_by = ?, answered_at = ?, remembered = ? where id = ?",
            (user, now.timestamp(), what, case.id),
        )
        return replace(case, state="approved", answered_by=user, remembered=what)

    def _settle_others(self, case: Case, user: str, what: str, now: datetime) -> list[Case]:
        """Open ones that the answer holds for as well."""
        settled = []
        watched = {guard.domain: guard for guard in self._guards(case)}
        known = {domain: self._known(case.team, case.channel, domain) for domain in watched}
        sql = "select * from ct_cases where team = ? and channel = ? and state = 'open' and id != ?"
        for row in self._rows(sql, case.team, case.channel, case.id):
            other = case_of(row)
            issued = self._known_issuance(other.tbs)
            guards = [watched[domain] for domain in other.domains if domain in watched]
            is_left = what == "ca" and issuances.is_forbidden(self._shown(other).caa)
            if guards and not is_left and issuances.judged(issued, guards, known).is_expected:
                settled.append(self._settled(other, user, what, now))
        return settled

    def _guards(self, case: Case) -> list[Guard]:
        sql = "select * from ct_guards where team = ? and channel = ?"
        return [guard_of(row) for row in self._rows(sql, case.team, case.channel)]

    def _investigate(self, intake: Intake, case: Case, now: datetime) -> None:
        """The message becomes the root of an incident, with what to do in its thread."""
        issued = self._known_issuance(case.tbs)
        if case.told_in:  # from here on it has a message of its own
            self._db.execute("update ct_cases set told_in = '' where id = ?", (case.id,))
        incident = self._history._keep(
            Incident(
                id=0,
                team=case.team,
                channel=case.channel,
                target=subject(issued, case.domains),
                endpoint=f"ct {case.tbs[:24]}",
                host=case.domains[0],
                issuer=issued.issuer,
                cause=issuances.UNEXPECTED,
                state="open",
                severity="sev2",
                root=case.root,
                opened_at=now,
                opened_by=intake.user,
                asked_at=intake.received_at,
                cause_at=case.at,
                checks=0,
            )
        )
        self._db.execute(
            "update ct_cases set state = 'investigated', answered_by = ?, answered_at = ?, incident = ? where id = ?",
            (intake.user, now.timestamp(), incident.id, case.id),
        )
        after = replace(case, state="investigated", answered_by=intake.user, incident=incident.id, told_in="")
        logged = words.timeline_entry(issued)
        told = Entry(key="ct:told", kind="verdict", at=case.at, user="", text=f"🔖 told here: {case.because}")
        opened = Entry(
            key=f"request:{intake.id}",
            kind="act",
            at=intake.received_at,
            user=intake.user,
            text="opened it to investigate",
        )
        for entry in (logged, told, opened):
            self._history._enter(incident.id, entry)
        notes = self._said(after)
        if case.told_in:
            notes.append(self._flood_note(after, case.told_in))
        what_to_do = words.what_to_do(self._shown(after), incident, intake.user)
        notes.append(replace(note_of(case, f"{case.root}:what-to-do", what_to_do), parent=case.root))
        self._audited(intake.id, "done", incident.target)
        self._finish(intake.id, now, notes, None)

    def _refuse(self, intake: Intake, why: str, content: Content, target: str, now: datetime) -> None:
        self._audited(intake.id, f"declined: {why}", target)
        self._finish(intake.id, now, (reply(intake, content),), None)

    async def headline_of(self, incident: Incident) -> Content | None:
        """The message of an incident that an issuance opened; None for others."""

        def found() -> Content | None:
            rows = self._rows("select * from ct_cases where incident = ?", incident.id)
            return investigated(self._shown(case_of(rows[0])), incident) if rows else None

        return await self._run(found)
