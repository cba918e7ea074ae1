"""Triage at work: begun by a command, a button or a shortcut; answered by whoever is there; probed where it helps.

Every act reads the walkthrough, makes a new one of it and stores that, with the words that show it, over the revision
it was read at. Who comes second reads again and is told what was answered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot import alert_text, check_notes, commands, triage
from bot.answers import Answers, reply
from bot.checking import Checking
from bot.history import History
from bot.looks import Checker
from bot.model import Act, Check, Content, Intake, Note, PastCheck, TriageCommand
from bot.quotable import Quotable
from bot.render import report, words
from bot.render import triage as render
from bot.triage import Clue, Late, Sibling, Walkthrough
from bot.triage_hints import Known, hint, siblings_to_ask
from bot.triage_weights import weighed
from bot.walkthroughs import Place, Walkthroughs
from bot.worked import LastWorked
from probes.model import Target, UsageError

LOG = logging.getLogger("bot.triage")
RECENT = timedelta(minutes=15)  # a check not older than this speaks for now
_ELSEWHERE = timedelta(hours=24)


def now() -> datetime:
    return datetime.now(UTC)


class Triaging:
    """The walkthroughs of every workspace, at work. `checker` makes the light looks at siblings."""

    def __init__(
        self,
        *,
        history: History,
        answers: Answers,
        checking: Checking,
        checker: Checker,
        quotable: Quotable,
        last_worked: LastWorked,
    ) -> None:
        self._history = history
        self._answers = answers
        self._checking = checking
        self._checker = checker
        self._quotable = quotable
        self._last_worked = last_worked
        self._walks = Walkthroughs(history)

    def acts(self) -> dict[str, Act]:
        """What its buttons, its shortcut and its form do."""
        return {
            report.TRIAGE: self._start_under,
            render.SHORTCUT: self._start_here,
            render.HOST_FORM: self._host_given,
            render.SIBLINGS: self._ask_siblings,
            render.BACK: self._step,
            render.SKIP: self._step,
            **dict.fromkeys(render.ANSWERS, self._step),
        }

    # ── beginning ───────────────────────────────────────────────────────────────

    async def begin(self, intake: Intake, asked: TriageCommand) -> None:
        """`triage …`, as a command or a mention."""
        found = await asyncio.to_thread(alert_text.heard, asked.text) if asked.text else None
        check, clues = asked.check, found.clues if found else ()
        if check is None and found is not None and found.target is not None:
            check = Check(target=found.target)
        await self._start(intake, check, clues)

    async def _start_here(self, intake: Intake) -> None:
        """The shortcut."""
        check, clues = _read_here(intake.text)
        await self._start(intake, check, clues)

    async def _start_under(self, intake: Intake) -> None:
        """The button under a verdict."""
        old = await self._history.check_behind(intake)
        if old is None:
            await self._answers.private(intake, words.stale_button())
            return
        check = commands.parse(old.command)
        place = replace(await self._walks.place_of(old.headline))
        if place.parent is None:
            place = Place(thread_ts=intake.thread_ts or intake.message_ts)
        await self._store(intake, _as_check(check), old, (), place, pointer=False)

    async def _start(self, intake: Intake, check: Check | None, clues: Sequence[Clue]) -> None:
        past = await self._looked_already(intake, check)
        is_reused = past is not None
        headline = past.headline if past is not None else None
        if past is None and check is not None:
            past, headline = await self._look(intake, check, thread_ts=intake.thread_ts)
        if past is not None and check is None:
            check = _as_check(commands.parse(past.command))
        if intake.thread_ts:
            place = Place(parent=None if is_reused else headline, thread_ts=intake.thread_ts)
        else:
            place = await self._walks.place_of(headline) if headline is not None else Place()
        pointer = intake.kind == "command" and is_reused
        await self._store(intake, check, past, tuple(clues), place, pointer=pointer)

    async def _looked_already(self, intake: Intake, check: Check | None) -> PastCheck | None:
        """The check that speaks for now: of that endpoint in this channel; where none is named, of this thread."""
        if check is not None:
            return await self._walks.recent(
                team=intake.team,
                channel=intake.channel,
                command=commands.written(check),
                since=now() - RECENT,
            )
        if intake.thread_ts is None:
            return None
        return await self._walks.in_thread(team=intake.team, channel=intake.channel, thread_ts=intake.thread_ts)

    async def _store(
        self,
        intake: Intake,
        check: Check | None,
        past: PastCheck | None,
        clues: tuple[Clue, ...],
        place: Place,
        *,
        pointer: bool,
    ) -> None:
        walk = Walkthrough(
            id=intake.id,
            team=intake.team,
            channel=intake.channel,
            started_by=intake.user,
            started_at=now(),
            command=commands.written(check) if check is not None else None,
            check=past.id if past is not None else None,
            clues=clues,
            parent=place.parent,
            thread_ts=place.thread_ts,
        )
        note = replace(
            self._note(walk, await self._content(walk, await self._known(intake, walk))),
            user=intake.user,
            response_url=intake.response_url,
        )
        beside = [reply(intake, render.begun(_target(walk)))] if pointer else []
        stands = await self._walks.begin(walk, [note, *beside], request=intake.id, now=now())
        if stands.id != walk.id:
            await self._answers.private(intake, render.already(stands))
        self._answers.wake()

    async def _look(
        self, intake: Intake, check: Check, *, thread_ts: str | None
    ) -> tuple[PastCheck | None, str | None]:
        """A check as `check …` makes it: what it showed, and the key of its headline. A request makes it once."""
        asked = replace(
            intake,
            key=f"triage:{intake.id}:check",
            kind="mention" if thread_ts else "command",
            action=None,
            text=commands.written(check),
            thread_ts=thread_ts,
            message_ts=None,
            id=0,
        )
        asked = replace(asked, id=await self._history.take_in_once(asked, verdict="triage"))
        past = await self._history.check(asked.id)
        if past is None:
            past = await self._looked(asked, check)
        headline = past.headline if past is not None else check_notes.headline_key(asked)
        return past, headline if await self._history.is_noted(headline) else None

    async def _looked(self, asked: Intake, check: Check) -> PastCheck | None:
        try:
            await self._checking.begin(asked, check)
        except Exception:  # the questions can be answered without probes; our fault is told where the check is
            error_id = secrets.token_hex(4)
            LOG.exception("check of a triage failed request=%s error_id=%s", asked.id, error_id)
            await self._answers.note(check_notes.headline(asked, report.unfinished(check.target, error_id)))
            return None
        return await self._history.check(asked.id)

    # ── answering ───────────────────────────────────────────────────────────────

    async def _step(self, intake: Intake) -> None:
        """An answer, a step back, or going on without a host."""
        while True:
            read = render.read_value(intake.text)
            walk = await self._walk(intake, read[0] if read else 0)
            if walk is None or read is None:
                return
            known = await self._known(intake, walk)
            topic = read[2][0] if read[2] else None
            try:
                stepped = self._stepped(intake, walk, known, read[1], read[2])
            except Late:
                await self._answers.private(intake, render.late(walk, topic))
                return
            if await self._save(stepped, known, request=intake.id):
                return

    def _stepped(
        self, intake: Intake, walk: Walkthrough, known: Known, step: int, parts: tuple[str, ...]
    ) -> Walkthrough:
        """*walk* after the pressed button. Raises Late."""
        if intake.action == render.BACK:
            return triage.back(walk, step=step)
        if intake.action == render.SKIP:
            return triage.without_host(walk, step=step)
        if len(parts) != 2 or walk.question is None:
            raise Late
        proposed = hint(walk.question.topic, walk, known)
        return triage.answer(
            walk,
            step=step,
            topic=parts[0],
            choice=parts[1],
            by=intake.user,
            at=intake.received_at,
            suggested=proposed.choice if proposed is not None else None,
        )

    async def _host_given(self, intake: Intake) -> None:
        """The form was submitted: look at the host, and say what that suggests."""
        number, check = _read_form(intake.text)
        walk = await self._walk(intake, number)
        if walk is None or check is None:
            return
        if walk.command is not None:
            await self._answers.private(intake, render.late(walk, None))
            return
        thread_ts = walk.thread_ts or await self._walks.posted(walk.key)
        command = commands.written(check)
        past = await self._walks.recent(team=walk.team, channel=walk.channel, command=command, since=now() - RECENT)
        if past is None:
            past, _ = await self._look(intake, check, thread_ts=thread_ts)
        while True:
            try:
                named = triage.with_host(walk, command, past.id if past is not None else None)
            except Late:
                await self._answers.private(intake, render.late(walk, None))
                return
            if await self._save(named, await self._known(intake, named), request=intake.id):
                return
            again = await self._walk(intake, number)
            if again is None:
                return
            walk = again

    # ── siblings ────────────────────────────────────────────────────────────────

    async def _ask_siblings(self, intake: Intake) -> None:
        """A light look at the other names of the certificate, after a person confirmed it."""
        read = render.read_value(intake.text)
        walk = await self._walk(intake, read[0] if read else 0)
        if walk is None or read is None:
            return
        known = await self._known(intake, walk)
        names = siblings_to_ask(known.report)
        if not names or known.report is None:
            await self._answers.private(intake, render.nobody_to_ask())
            return
        try:
            walk = triage.asking(walk, step=read[1], request=intake.id)
        except Late:
            await self._answers.private(intake, render.late(walk, None))
            return
        if not await self._save(walk, known, request=None):
            await self._ask_siblings(intake)
            return
        try:
            target = known.report.target
            seen = await asyncio.gather(*(self._sibling(name, target) for name in names))
        except Exception:  # the supervisor tells it; the button is there again for another try
            await self._tell_siblings(intake, ())
            raise
        await self._tell_siblings(intake, tuple(seen))

    async def _tell_siblings(self, intake: Intake, seen: tuple[Sibling, ...]) -> None:
        read = render.read_value(intake.text)
        while read is not None:
            walk = await self._walk(intake, read[0])
            if walk is None:
                return
            try:
                told = triage.asked(walk, intake.id, seen)
            except Late:
                await self._answers.private(intake, render.late(walk, None))
                return
            if await self._save(told, await self._known(intake, told), request=intake.id):
                return

    async def _sibling(self, name: str, like: Target) -> Sibling:
        try:
            target = Target(host=name, port=like.port, server_name=name, starttls=like.starttls)
            seen = await self._checker(Check(target=target, light=True), lambda _: None)
        except UsageError as error:
            return Sibling(host=name, status=None, why=str(error))
        return Sibling(host=name, status=seen.status, cause=seen.cause)

    # ── saying it ───────────────────────────────────────────────────────────────

    async def _walk(self, intake: Intake, number: int) -> Walkthrough | None:
        """The walkthrough of a pressed button; None, and an answer that explains, when it is no longer known."""
        walk = await self._walks.load(number, team=intake.team, channel=intake.channel)
        if walk is None:
            await self._answers.private(intake, render.unknown())
        return walk

    async def _known(self, intake: Intake, walk: Walkthrough) -> Known:
        check = await self._newest(walk)
        if check is None:
            return Known(now=now())
        return Known(
            now=now(),
            check=check,
            last_good=await self._last_worked(check, seen_in=await self._quotable(intake)),
            elsewhere=await self._walks.failing_elsewhere(
                team=walk.team, channel=walk.channel, target=str(check.report.target), since=now() - _ELSEWHERE
            ),
        )

    async def _newest(self, walk: Walkthrough) -> PastCheck | None:
        """What its headline shows now: somebody may have run the check again meanwhile."""
        check = await self._history.check(walk.check) if walk.check is not None else None
        if check is None:
            return None
        newest = await self._history.newest_of(check.headline)
        return check if newest in {None, check.id} else await self._history.check(newest or 0)

    async def _content(self, walk: Walkthrough, known: Known) -> Content:
        target = _target(walk)
        question = walk.question
        proposed = hint(question.topic, walk, known) if question is not None else None
        outcome = await self._outcome(walk, known) if walk.is_concluded else None
        return render.shown(walk, target, known, proposed, outcome)

    async def _outcome(self, walk: Walkthrough, known: Known) -> render.Outcome:
        causes = weighed(walk.answers, known.report, walk.clues)
        found = known.report.findings if known.report is not None and causes else ()
        command = next((finding.next_command for finding in found if finding.code == causes[0].code), "")
        if not command:
            code = causes[0].code if causes else "reach.timeout"
            command = await asyncio.to_thread(_command, code, _target(walk))
        return render.Outcome(causes=causes, command=command)

    async def _save(self, walk: Walkthrough, known: Known, *, request: int | None) -> bool:
        note = self._note(walk, await self._content(walk, known))
        saved = await self._walks.save(walk, [note], request=request, now=now())
        self._answers.wake()
        return saved

    @staticmethod
    def _note(walk: Walkthrough, content: Content) -> Note:
        return Note(
            key=walk.key,
            kind="message",
            team=walk.team,
            channel=walk.channel,
            parent=walk.parent,
            thread_ts=walk.thread_ts,
            content=content,
        )


def _as_check(command: object) -> Check | None:
    return command if isinstance(command, Check) else None


def _target(walk: Walkthrough) -> Target | None:
    check = _as_check(commands.parse(walk.command)) if walk.command is not None else None
    return check.target if check is not None else None


def _command(code: str, target: Target | None) -> str:
    """In a thread of its own: the first one of a process brings in what error texts mean."""
    from probes.explain import advice

    return advice.command(code, target)


def told_here(found: alert_text.Heard) -> str:
    """What a shortcut keeps of the message it was used on: host and causes, and none of its words."""
    command = commands.written(Check(target=found.target)) if found.target is not None else None
    clues = [[clue.code, clue.likelihood, clue.raised_by, clue.library] for clue in found.clues]
    return json.dumps({"command": command, "clues": clues})


def _read_here(text: str) -> tuple[Check | None, tuple[Clue, ...]]:
    told = json.loads(text)
    check = _as_check(commands.parse(told["command"])) if told["command"] else None
    clues = tuple(
        Clue(code=code, likelihood=likelihood, raised_by=raised_by, library=library)
        for code, likelihood, raised_by, library in told["clues"]
    )
    return check, clues


def _read_form(text: str) -> tuple[int, Check | None]:
    number, _, command = text.partition(" ")
    return int(number), _as_check(commands.parse(command))
