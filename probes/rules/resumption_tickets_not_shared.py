"""A ticket is refused that the same address, or another one of the name, handed out. Every refusal costs a full handshake."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.resuming import FAILURES, TRIES, Answer
from probes.rules.phrase import listed
from probes.rules.resumed import Resuming, count, key_name, resume_command, resuming

_SHARE = (
    "Seal tickets with the same keys at every back end and rotate them together (nginx `ssl_session_ticket_key FILE;`, "
    "HAProxy `tls-ticket-keys FILE`, Apache `SSLSessionTicketKeyFile FILE`), or turn tickets off "
    "(nginx `ssl_session_tickets off;`) and keep a session cache."
)
_BOUND = (
    "The tickets are sealed with the same key and still refused: OpenSSL servers bind sessions to a context as well "
    "(nginx derives it from the certificates of the listener). Serve the same certificates everywhere, or set the same "
    "session id context."
)


def check(facts: Facts) -> Iterator[Finding]:
    known = resuming(facts)
    astray = [answer for each in known for answer in _refused(each)]
    if not astray:
        return
    places = dict.fromkeys(place for answer in astray for place in (answer.question.home, answer.question.place))
    looks = {look.endpoint: look for look in facts.looks}
    first = astray[0].question
    names = _key_names(known)
    yield Finding(
        code="resumption.tickets-not-shared",
        severity="warning",
        explanation=f"{_claim(astray)} Returning clients pay a full handshake each time that happens.",
        evidence=(*map(count, astray[:6]), *names[:4]),
        addresses=tuple(look.address for endpoint, look in looks.items() if endpoint in places),
        fix=_BOUND if _same_keys(known, astray) else _SHARE,
        next_command=resume_command(looks[first.home], looks[first.place], first.version),
    )


def _refused(each: Resuming) -> Iterator[Answer]:
    """Real tickets only: what one server keeps in its own cache is not meant to be known by another."""
    here = each.here
    if here is not None and here.by_ticket and here.refused and here.tries >= TRIES and not here.failed:
        yield here
        return  # where its own address does not honour it, what another one does tells nothing more
    honours = here is not None and here.honoured
    for answer in each.elsewhere:
        # Two refusals, or one beside a success: a single one may have had a reason of its own.
        firm = len(answer.refused) >= FAILURES or (answer.refused and answer.honoured)
        if honours and answer.by_ticket and firm and not answer.failed:
            yield answer


def _claim(astray: list[Answer]) -> str:
    own = [answer for answer in astray if answer.question.home == answer.question.place]
    if not own:
        pairs = listed(
            dict.fromkeys(f"{each.question.place.address} from {each.question.home.address}" for each in astray), 4
        )
        return f"Session tickets of one address are refused at another: {pairs}."
    where = listed(dict.fromkeys(answer.question.home.address for answer in own))
    if any(answer.honoured for answer in own):
        return f"{where} honours its own session tickets only now and then, as back ends with different keys do."
    return f"{where} gives session tickets and never honours them."


def _same_keys(known: tuple[Resuming, ...], astray: list[Answer]) -> bool:
    """Do the addresses at issue name one and the same key?"""
    places = {place for answer in astray for place in (answer.question.home, answer.question.place)}
    names = {_name_at(look, known) for look in dict.fromkeys(each.look for each in known) if look.endpoint in places}
    return len(places) > 1 and len(names) == 1 and None not in names


def _name_at(look: Look, known: tuple[Resuming, ...]) -> str | None:
    return key_name(tuple(session for each in known if each.look is look for session in each.sessions))


def _key_names(known: tuple[Resuming, ...]) -> list[str]:
    named = {look: _name_at(look, known) for look in dict.fromkeys(each.look for each in known)}
    return [f"{look.address}: tickets begin with key name {name}" for look, name in named.items() if name]


RULE = Rule(code="resumption.tickets-not-shared", source="RFC 5077 section 3.2; RFC 8446 section 4.6.1", check=check)
