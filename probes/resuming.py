"""Which sessions are offered again, where, and how often; and what came of each. Pure.

Round one asks what everybody meets: each address its own session, once a version, and early data where a ticket
allows it; the next address around the ring another ticket of this one. What was refused is asked again with other
tickets before it means anything, what broke is asked again beside a fresh handshake of the same offer.
"""

from __future__ import annotations

from collections.abc import Iterable

from probes.clients import TLS12, TLS13
from probes.model import Completed, Dropped, Endpoint, Handshake, Offer, Stalled, Unreached
from probes.observed import SESSION_ID_LENGTH, Session
from probes.plan import COALESCING, EARLY, FRESH, MAX_PER_ADDRESS, RESUME
from probes.values import changed, value

ROUNDS = 3
TRIES = 3  # a session that was refused so often, each time another one, is not honoured
FAILURES = 2  # a resumed handshake that broke so often is broken
LOSSES = 3  # the same, where the server never said a word of TLS: connections are lost for other reasons, too
RETRY_LATER = 425  # Too Early (RFC 8470 section 5.2)


@value
class Question:
    """Does *place* honour what *home* handed out in *version*?"""

    home: Endpoint
    place: Endpoint
    version: int
    early: bool = False


@value
class Answer:
    """All tries of one question, sorted by how they went; `beside`: fresh handshakes there, for contrast."""

    question: Question
    honoured: tuple[Handshake, ...] = ()
    refused: tuple[Handshake, ...] = ()
    failed: tuple[Handshake, ...] = ()
    beside: tuple[Handshake, ...] = ()

    @property
    def tries(self) -> int:
        return len(self.honoured) + len(self.refused) + len(self.failed)

    @property
    def sessions(self) -> tuple[Session, ...]:
        shakes = (*self.honoured, *self.refused, *self.failed)
        return tuple(shake.offer.session for shake in shakes if shake.offer.session is not None)

    @property
    def by_ticket(self) -> bool:
        """Was it a real ticket each time, and no handle into the server's own cache?"""
        return bool(self.sessions) and not any(is_handle(session) for session in self.sessions)

    @property
    def breaks(self) -> bool:
        """It failed again and again, where the same offer passes without a session."""
        passed = any(isinstance(shake.outcome, Completed) for shake in self.beside)
        return len(self.failed) >= self.enough and passed and not self.honoured

    @property
    def enough(self) -> int:
        """How many failures mean something. Tickets with early data are few, and what they break hurts few."""
        return FAILURES if self.question.early or any(map(_spoke, self.failed)) else LOSSES


def _spoke(shake: Handshake) -> bool:
    return shake.version is not None or not isinstance(shake.outcome, Dropped | Stalled)


def is_handle(session: Session) -> bool:
    """Stands it for an entry of the server's own cache? Real tickets carry a secret and are longer."""
    return len(session.ticket) <= SESSION_ID_LENGTH


def is_asked_by(offer: Offer) -> bool:
    """Is it one of this module's own offers?"""
    return offer.purpose in {RESUME, EARLY, FRESH}


def sources(seen: Iterable[Handshake]) -> dict[Session, Handshake]:
    """Each session with the handshake that left it, in the order left."""
    left: dict[Session, Handshake] = {}
    for shake in seen:
        if shake.sessions and isinstance(shake.outcome, Completed):
            # RFC 8446 section 4.6.1: a lifetime of zero asks to discard the ticket; before, it says nothing.
            left.update({s: shake for s in shake.sessions if s.version < TLS13 or s.lifetime_s})
    return left


def answers(seen: tuple[Handshake, ...]) -> tuple[Answer, ...]:
    """What was asked so far, and what came of it."""
    if not any(is_asked_by(shake.offer) for shake in seen):
        return ()
    left = sources(seen)
    by_question: dict[Question, Answer] = {}
    for shake in seen:
        session = shake.offer.session
        if session is None or session not in left or isinstance(shake.outcome, Unreached):
            continue
        question = Question(
            home=left[session].endpoint,
            place=shake.endpoint,
            version=session.version,
            early=shake.offer.early_data,
        )
        known = by_question.get(question) or Answer(question=question, beside=_beside(shake, seen))
        by_question[question] = _counted(known, shake)
    return tuple(by_question.values())


def _counted(known: Answer, shake: Handshake) -> Answer:
    if not isinstance(shake.outcome, Completed):
        return changed(known, failed=(*known.failed, shake))
    if shake.resumed:
        return changed(known, honoured=(*known.honoured, shake))
    return changed(known, refused=(*known.refused, shake))


def _beside(tried: Handshake, seen: tuple[Handshake, ...]) -> tuple[Handshake, ...]:
    fresh = [shake for shake in seen if shake.offer.purpose == FRESH and shake.endpoint == tried.endpoint]
    return tuple(shake for shake in fresh if shake.offer == _fresh(tried.offer))


def next_offers(seen: tuple[Handshake, ...]) -> tuple[tuple[Endpoint, Offer], ...]:
    """What to ask next; () when all is said. *seen* is all that was seen so far, at every address."""
    stock = _Stock(seen)
    homes = tuple(dict.fromkeys(shake.endpoint for shake in stock.left.values()))
    known = answers(seen)
    wanted = _first(homes, stock) if not known else _again(known, stock, seen)
    room = {home: _room(home, seen) for home in homes}
    affordable = []
    for endpoint, offer in wanted:
        room[endpoint] -= 1
        if room[endpoint] >= 0:
            affordable.append((endpoint, offer))
    return tuple(affordable)


def _room(endpoint: Endpoint, seen: tuple[Handshake, ...]) -> int:
    """Connections that are left at *endpoint*; those that `net.h2` may want are not touched, repeats come on top."""
    made = [shake for shake in seen if shake.endpoint == endpoint]
    kept = COALESCING if any(shake.alpn == "h2" for shake in made) else 0
    return MAX_PER_ADDRESS - kept - len(made)


Ask = tuple[Endpoint, Offer]


def _first(homes: tuple[Endpoint, ...], stock: _Stock) -> list[Ask]:
    wanted: list[Ask] = []
    for number, home in enumerate(homes):
        wanted += stock.ask(Question(home=home, place=home, version=TLS13))
        wanted += stock.ask(Question(home=home, place=home, version=TLS12))
        wanted += stock.ask(Question(home=home, place=home, version=TLS13, early=True))
        following = homes[(number + 1) % len(homes)]
        if following != home:
            newest = Question(home=home, place=following, version=TLS13)
            older = Question(home=home, place=following, version=TLS12)
            wanted += stock.ask(newest) or stock.ask(older)
    for home in homes:
        # Once more: of two back ends that take turns, one visit may meet the very one that gave the ticket.
        older, newest = (Question(home=home, place=home, version=version) for version in (TLS12, TLS13))
        wanted += stock.ask(older) or stock.ask(newest)
    return wanted


def _again(known: tuple[Answer, ...], stock: _Stock, seen: tuple[Handshake, ...]) -> list[Ask]:
    """More tries of what did not pass at once; a fresh handshake where nothing is left to try it with."""
    refusing = {answer.question.home for answer in known if answer.refused and _is_at_home(answer.question)}
    supplied = {shake.endpoint for shake in seen if shake.offer.purpose == FRESH}
    wanted: list[Ask] = []
    for answer in sorted(known, key=lambda each: not _is_at_home(each.question)):
        question = answer.question
        if not _is_at_home(question) and (question.home in refusing or not answer.by_ticket):
            continue  # what its own address does not honour, or keeps in its own cache, says nothing of another
        missing = _missing(answer)
        lacks_contrast = bool(answer.failed) and not answer.beside and not answer.honoured
        if lacks_contrast:  # first, for without it the failures mean nothing, however many there is room for
            contrast = (question.place, _fresh(answer.failed[0].offer))
            wanted += [contrast] if contrast not in wanted else []
        for _ in range(missing):
            wanted += stock.ask(question)
        if missing and not lacks_contrast and not wanted and question.home not in supplied:
            source = stock.left[answer.sessions[0]]
            wanted.append((question.home, _fresh(source.offer)))
    return wanted


def _is_at_home(question: Question) -> bool:
    return question.home == question.place


def _missing(answer: Answer) -> int:
    if answer.failed:
        return max(0, answer.enough - answer.tries)
    # Early data is a question of its own: whether the session resumes is asked without it.
    return max(0, TRIES - answer.tries) if answer.refused and not answer.question.early else 0


def _fresh(offer: Offer) -> Offer:
    return changed(offer, purpose=FRESH, session=None, early_data=False, ask_http=False)


class _Stock:
    """The sessions at hand. A ticket of TLS 1.3 is used once (RFC 8446 appendix C.4), an older one may be again."""

    def __init__(self, seen: tuple[Handshake, ...]) -> None:
        self.left = sources(seen)
        self._used = {shake.offer.session for shake in seen}

    def ask(self, question: Question) -> list[Ask]:
        """The question as an offer to make; [] when there is no session to ask it with."""
        session = self._take(question)
        return [] if session is None else [(question.place, self._offer(session, early=question.early))]

    def _take(self, question: Question) -> Session | None:
        fit = [session for session, source in self.left.items() if _fits(session, source, question)]
        unused = [session for session in fit if session not in self._used]
        # The exchange in HTTP/1.1 first, for its hello is small; but what may carry early data is kept for that.
        unused.sort(key=lambda session: self.left[session].offer.ask_http == bool(session.max_early_data))
        reusable = [session for session in fit if session.version < TLS13 and session.ticket]
        chosen = next(iter(unused), None) or next(iter(reusable), None)
        if chosen is not None:
            self._used.add(chosen)
        return chosen

    def _offer(self, session: Session, *, early: bool) -> Offer:
        """The very offer that the session came of: some servers resume for the same name, protocol and suite only."""
        source = self.left[session]
        offer = changed(
            source.offer,
            purpose=EARLY if early else RESUME,
            session=session,
            early_data=early,
            ask_http=False,
            until="finished",
            identify=False,
        )
        if source.hello_retry and source.group in offer.groups:
            # A server that forgets a ticket once it was shown would have forgotten it at the hello before the retry.
            return changed(offer, key_shares=(source.group,))
        return offer


def _fits(session: Session, source: Handshake, question: Question) -> bool:
    if source.endpoint != question.home or session.version != question.version:
        return False
    if question.early:
        return session.max_early_data > 0 and source.http is not None and session.alpn in {None, "http/1.1"}
    # What one server keeps to itself, another one cannot know; a ticket of TLS 1.3 promises nothing else by its form.
    return question.home == question.place or bool(session.ticket)
