"""How each address resumes, version by version: what the resumption rules and the report share. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from weakref import WeakKeyDictionary

from probes.clients import TLS12, TLS13
from probes.facts import Facts
from probes.look import Look
from probes.model import Completed
from probes.observed import Session
from probes.resuming import TRIES, Answer, answers, is_handle, sources
from probes.rules.phrase import ending, s_client
from probes.values import value
from probes.wire.registry import version_name

_KEY_NAME = 16  # octets; the form that RFC 5077 section 4 recommends begins with the name of the key


@value
class Resuming:
    """One version at one address: what it handed out, and what became of it here and elsewhere."""

    look: Look
    version: int
    sessions: tuple[Session, ...]
    here: Answer | None  # None: not tried
    elsewhere: tuple[Answer, ...]
    early: Answer | None

    @property
    def lacks(self) -> bool:
        """Nothing of this version is ever resumed here: nothing is given, or a handle that is forgotten at once."""
        if not self.sessions:
            return True
        given_up = self.here is not None and len(self.here.refused) == self.here.tries >= TRIES
        return given_up and all(map(is_handle, self.sessions))


# Four rules and the report read the same answers; they go with the facts that they were read from.
_READ: WeakKeyDictionary[Facts, tuple[Resuming, ...]] = WeakKeyDictionary()


def resuming(facts: Facts) -> tuple[Resuming, ...]:
    """Every address that was seen to finish a handshake, each of its versions, the newest first."""
    if facts not in _READ:
        _READ[facts] = _resuming(facts)
    return _READ[facts]


def _resuming(facts: Facts) -> tuple[Resuming, ...]:
    handshakes = facts.evidence.handshakes
    left = sources(handshakes)
    known = answers(handshakes)
    found: list[Resuming] = []
    for look in facts.looks:
        for version in _finished(look):
            ours = [each for each in known if each.question.home == look.endpoint and each.question.version == version]
            plain = [each for each in ours if not each.question.early]
            found.append(
                Resuming(
                    look=look,
                    version=version,
                    sessions=tuple(
                        session
                        for session, source in left.items()
                        if source.endpoint == look.endpoint and session.version == version
                    ),
                    here=next((each for each in plain if each.question.place == look.endpoint), None),
                    elsewhere=tuple(each for each in plain if each.question.place != look.endpoint),
                    early=next((each for each in ours if each.question.early), None),
                )
            )
    return tuple(found)


def _finished(look: Look) -> list[int]:
    """The versions in which a handshake went to its end, so that a session could have been given."""
    ended = {
        shake.version
        for shake in look.named
        if shake.finished_ok and isinstance(shake.outcome, Completed) and shake.version is not None
    }
    return [version for version in (TLS13, TLS12) if version in ended]


def key_name(sessions: tuple[Session, ...]) -> str | None:
    """What the tickets begin with alike, where that can be the name of the key that seals them; hexadecimal."""
    tickets = {session.ticket for session in sessions if session.ticket and not is_handle(session)}
    prefixes = Counter(ticket[:_KEY_NAME] for ticket in tickets)
    shared = [prefix for prefix, count in prefixes.items() if count > 1]
    return shared[0].hex() if shared else None


def count(answer: Answer) -> str:
    """As in "192.0.2.7 honours 0 of 3 TLS 1.3 tickets from 192.0.2.8"."""
    question = answer.question
    whose = "of its own" if question.home == question.place else f"from {question.home.address}"
    noun = "ticket" if answer.by_ticket else "session"
    plural = "" if answer.tries == 1 else "s"
    kind = f"{version_name(question.version)} {noun}{plural}"
    return f"{question.place.address} honours {len(answer.honoured)} of {answer.tries} {kind} {whose}"


def contrast(answer: Answer) -> tuple[str, ...]:
    """How the resumed handshakes ended, and how a fresh one beside them did."""
    place, version = answer.question.place.address, version_name(answer.question.version)
    what = "with early data" if answer.question.early else "resumed"
    ends = dict.fromkeys(ending(shake.outcome) for shake in answer.failed)
    fresh = sum(1 for shake in answer.beside if isinstance(shake.outcome, Completed))
    return (
        *(f"{place}: {version} {what} → {end}" for end in ends),
        f"{place}: {len(answer.failed)} of {answer.tries} {what} fail; fresh, {fresh} of {len(answer.beside)} pass",
    )


def resume_command(home: Look, place: Look, version: int, *options: str) -> str:
    """Take a session at *home*, offer it at *place*, and show whether it was "Reused"."""
    flag = "-tls1_3" if version == TLS13 else "-tls1_2"
    # A ticket of TLS 1.3 comes after the handshake: s_client is to stay for it, and is ended soon.
    take = s_client(home, flag, "-sess_out", "session.pem", "-ign_eof").replace("timeout 10", "timeout 2", 1)
    offer = s_client(place, flag, "-sess_in", "session.pem", *options)
    return f"{take}; {offer} | grep -E {shlex.quote('^(New|Reused|Early data)')}"
