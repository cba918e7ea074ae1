"""Mode 6 over certificates as values: whom to ask about a chain, what the answers amount to, what they say of clocks.

`questions` names the sources, `judge` and `judge_staple` read the answers, `not_earlier_than` makes witnesses of
them. Pure: `probes.net.revocation` asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from probes.observed import StatusKind
from probes.pki.certificate import Certificate, parse
from probes.pki.crl import judge_crl
from probes.pki.judge import ChainFacts
from probes.pki.ocsp import judge_ocsp
from probes.pki.paths import Path
from probes.pki.status import Status
from probes.values import value

MAX_URLS = 3  # of one kind, asked for one certificate


@value
class Question:
    """One source to ask about one certificate; the answer is checked against its issuer."""

    kind: StatusKind
    url: str
    certificate: Certificate
    issuer: Certificate


@value
class Unasked:
    """A certificate that names sources, none of which can be asked; why, as a phrase."""

    certificate: Certificate
    why: str


@value
class Sources:
    """Whom to ask about the certificates of one chain."""

    questions: tuple[Question, ...] = ()
    unasked: tuple[Unasked, ...] = ()


def names_sources(chain: tuple[bytes, ...]) -> bool:
    """Does any certificate of the chain (DER) name an OCSP responder or a CRL at all? Cheap: most of it is cached."""
    certificates = (parse(each) for each in chain)
    return any(isinstance(each, Certificate) and (each.ocsp_urls or each.crl_urls) for each in certificates)


def questions(known: ChainFacts) -> Sources:
    """The sources of every certificate on the path that clients take, but for the anchor: nobody asks about that."""
    path = path_taken(known)
    if path is None:
        return Sources()
    asked: list[Question] = []
    unasked: list[Unasked] = []
    for certificate, issuer in pairwise(path.verified):
        reachable = _reachable(certificate)
        if reachable and known.at > certificate.not_after:
            # RFC 5280 section 3.3: an entry may go from the CRL once the certificate has expired.
            unasked.append(Unasked(certificate=certificate, why="it has expired, and authorities forget what expired"))
        elif reachable:
            asked += (Question(kind=k, url=u, certificate=certificate, issuer=issuer) for k, u in reachable)
        elif certificate.crl_urls or certificate.ocsp_urls:
            unasked.append(Unasked(certificate=certificate, why="it names no source that can be had over HTTP"))
    top = path.verified[-1]
    if path.anchor is None and not top.is_self_issued and _reachable(top):
        why = f"its issuer, {top.issuer}, was neither sent nor found: no answer could be checked"
        unasked.append(Unasked(certificate=top, why=why))
    return Sources(questions=tuple(asked), unasked=tuple(unasked))


def path_taken(known: ChainFacts) -> Path | None:
    """The path whose certificates count: one that holds, else one that reaches the store, else the longest."""
    if known.sound is not None:
        return known.sound
    every = (*known.paths, *known.repaired)
    return max(every, key=lambda path: (path.anchor is not None, len(path.verified)), default=None)


def issuer_of(certificate: Certificate, known: ChainFacts) -> Certificate | None:
    """The certificate that issued this one, on the path that counts."""
    path = path_taken(known)
    above = dict(pairwise(path.verified)) if path else {}
    return above.get(certificate)


def _reachable(certificate: Certificate) -> list[tuple[StatusKind, str]]:
    """What can be asked over HTTP; LDAP, which CAs inside a domain name beside it, cannot."""
    found: list[tuple[StatusKind, str]] = []
    found += (("ocsp", url) for url in _http(certificate.ocsp_urls))
    found += (("crl", url) for url in _http(certificate.crl_urls))
    return found


def _http(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for url in urls if url.lower().startswith(("http://", "https://"))))[:MAX_URLS]


def judge(kind: StatusKind, body: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> Status:
    """What the answer of a responder or distribution point says of *certificate*. Never raises."""
    if kind == "ocsp":
        return judge_ocsp(body, certificate, issuer, at)
    return judge_crl(body, certificate, issuer, at)


def judge_staple(staple: bytes, leaf: Certificate, issuer: Certificate | None, at: datetime) -> Status:
    """What a stapled response (RFC 6066 section 8) is worth. Never raises."""
    return judge_ocsp(staple, leaf, issuer, at)


def not_earlier_than(answers: Iterable[Status]) -> tuple[datetime, ...]:
    """Lower bounds for "now": nobody signs producedAt or thisUpdate ahead of time. Only verified answers testify."""
    return tuple(
        moment
        for answer in answers
        if answer.verified
        for moment in (answer.produced_at, answer.this_update)
        if moment is not None
    )
