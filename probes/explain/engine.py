"""Error text → ranked causes: phrases and alerts are found, weighed against each other, and put into words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from probes.catalogue import CATALOGUE
from probes.explain import advice, chain_listing, hosts, vantage
from probes.explain.alerts import ONLY_SERVERS, Seen, alerts, certificate_request_unanswered, reading
from probes.explain.claims import (
    CERTIFICATE_WANTED,
    DEFAULT_CERTIFICATE,
    NAME,
    PLAIN,
    PRECISE,
    VAGUE,
    Causes,
    Claim,
    Said,
    Side,
)
from probes.explain.default_names import shows_default
from probes.explain.openssl_codes import spelled_out
from probes.explain.phrases import (
    apple,
    audits,
    browsers,
    edges,
    golang,
    harmless,
    jvm,
    languages,
    microsoft,
    openssl,
    products,
    reach,
    scripting,
    servers,
    small,
    words,
)
from probes.explain.text import canonical, find
from probes.model import Target
from probes.values import value
from probes.wire.registry import ALERTS, alert_name

PHRASES: tuple[Said, ...] = (
    *openssl.PHRASES,
    *golang.PHRASES,
    *jvm.PHRASES,
    *microsoft.PHRASES,
    *browsers.PHRASES,
    *apple.PHRASES,
    *scripting.PHRASES,
    *small.PHRASES,
    *servers.PHRASES,
    *edges.PHRASES,
    *reach.PHRASES,
    *products.PHRASES,
    *audits.PHRASES,
    *languages.PHRASES,
    *words.PHRASES,
    *harmless.PHRASES,
)
MOST = 5  # causes that are worth naming
_LEAST = 0.03
_FADING = 0.16  # how little a claim counts beside one that is a step more precise
_SEQUELS = frozenset({40, 42, 43, 44, 45, 46, 48, 50, 80, 90})  # sent after a reason that the text may name better
_TLS_WORDS = (
    "ssl", "tls", "x509", "https", "handshak", "certificate", "cert", "schannel", "pkix", "443", "wss:", "alpn",
    "clienthello",
    "client hello", "secure connection", "secure channel", "early data", "sni ", "0 rtt", "fatal alert",
    "alertreceived", "receivedfatalalert", "alert number", "bouncycastle", "handshake failure", "cloudflare",
    "invalid peer", "reused, tls",
    "verify error", "verify return code", "ocsp", "wolf ssl", "wolfssl", "gnutls", "amq96", "ssslerr",
    "ora 28", "ora 29",    "connection encryption", "ike ", "openssl", "crypto error",
)  # fmt: skip


@value
class Match:
    """One cause that a text points to. `likelihood` 0 to 1; all of a text's sum to at most 1."""

    code: str
    mode: int
    likelihood: float
    raised_by: Side
    library: str
    explanation: str
    next_command: str


@value
class Explanation:
    """What a text means: `matches`, most likely first; none when it names no TLS error known here.

    `target`: the endpoint that the text is about, where it names one.
    """

    matches: tuple[Match, ...]
    target: Target | None


@value
class _Hit:
    """A piece of evidence: a claim's phrase or an alert, where it stands, and what it points to."""

    begin: int
    end: int
    weight: int
    library: str
    says: str
    causes: Causes
    raised_by: Side
    key: str


def explain(text: str) -> Explanation:
    """The causes that *text* points to. Any text is taken; none raises."""
    read = spelled_out(canonical(text))
    side = vantage.speaker(read)
    is_tls = any(word in read for word in _TLS_WORDS)
    found = [*_phrase_hits(read, side, is_tls=is_tls), *(_alert_hits(read, side) if is_tls else ()), *_listed(read)]
    hits = [hit for hit in _outermost(found) if hit.causes]  # what is about other matters covered words, no more
    if not hits:
        return Explanation(matches=(), target=None)
    about = hosts.target(text)
    library = _library(hits, read)
    return Explanation(matches=tuple(_matches(hits, library, about)), target=about)


# ── evidence ────────────────────────────────────────────────────────────────────


def _phrase_hits(read: str, side: Side, *, is_tls: bool) -> Iterator[_Hit]:
    named = DEFAULT_CERTIFICATE if shows_default(read) else NAME
    for entry in PHRASES:
        if entry.within_tls and not is_tls:
            continue
        claim = named if entry.claim is NAME and side != "server" else entry.claim
        for pattern in entry.patterns:
            found = find(read, pattern)
            if found is not None:
                yield _phrase_hit(entry.library, claim, found, side)


def _phrase_hit(library: str, claim: Claim, place: tuple[int, int], side: Side) -> _Hit:
    judged_by_server = side == "server" and bool(claim.at_server)
    return _Hit(
        begin=place[0],
        end=place[1],
        weight=claim.weight,
        library=library,
        says=claim.says_at_server or claim.says if judged_by_server else claim.says,
        causes=claim.at_server if judged_by_server else claim.causes,
        raised_by=_raiser(claim, side),
        key=claim.says,
    )


def _listed(read: str) -> Iterator[_Hit]:
    found = chain_listing.misfit(read)
    if found is not None:
        begin, end, claim = found
        yield _Hit(
            begin=begin,
            end=end,
            weight=PRECISE + 1,  # the listing shows what the verify errors beside it only lack
            library="openssl",
            says=claim.says,
            causes=claim.causes,
            raised_by="client",
            key=claim.says,
        )


def _raiser(claim: Claim, side: Side) -> Side:
    if claim.raised_by != "unknown":
        return claim.raised_by
    if side == "unknown" and claim.at_server:
        return "client"  # who judges a certificate is the client, unless the text shows a server doing it
    return side


def _alert_hits(read: str, side: Side) -> Iterator[_Hit]:
    for seen in alerts(read):
        sender = _sender(seen, side)
        unanswered = sender != "client" and certificate_request_unanswered(read, seen.number)
        yield _Hit(
            begin=seen.begin,
            end=seen.end,
            weight=PRECISE if unanswered or seen.number not in _SEQUELS else PLAIN,
            library="",
            says=_alert_words(seen, sender),
            causes=CERTIFICATE_WANTED.causes if unanswered else reading(seen.number, sender),
            raised_by=sender,
            key=f"alert {seen.number} {sender}",
        )


def _sender(seen: Seen, side: Side) -> Side:
    if seen.sender != "unknown":
        return seen.sender
    if seen.number in ONLY_SERVERS:
        return "server"
    if side == "unknown":
        return "unknown"
    if seen.way == "sent":
        return side
    return "server" if side == "client" else "client"


def _alert_words(seen: Seen, sender: Side) -> str:
    who = {"client": "The client sent", "server": "The server sent", "unknown": "One side sent"}[sender]
    return f"{who} the TLS alert {alert_name(seen.number)} ({seen.number}): {_lowered(ALERTS[seen.number].meaning)}"


def _lowered(sentence: str) -> str:
    first, space, rest = sentence.partition(" ")
    return sentence if first.isupper() and len(first) > 1 else f"{first[:1].lower()}{first[1:]}{space}{rest}"


def _outermost(hits: Sequence[_Hit]) -> list[_Hit]:
    """*hits* without those whose words are part of another hit's longer words.

    Vague words cover nothing that is more precise than they are.
    """
    ordered = sorted(hits, key=lambda hit: (hit.begin, -hit.end))
    kept: list[_Hit] = []
    reached: dict[int, int] = {}  # by weight: how far the words of that weight go so far
    for hit in ordered:
        covered = any(end >= hit.end and (weight > VAGUE or weight >= hit.weight) for weight, end in reached.items())
        if not covered or any((hit.begin, hit.end) == (other.begin, other.end) for other in kept[-8:]):
            kept.append(hit)
        reached[hit.weight] = max(reached.get(hit.weight, -1), hit.end)
    return kept


def _library(hits: Sequence[_Hit], read: str) -> str:
    """The library of the most precise evidence; where that has none of its own, what the text around it tells."""
    named = [hit for hit in hits if hit.library]
    found = vantage.library(read)
    if not named:
        return found
    best = max(named, key=lambda hit: (hit.weight, hit.end - hit.begin))
    if best.weight < max(hit.weight for hit in hits) and found != "unknown":
        return found
    return best.library


# ── ranking ─────────────────────────────────────────────────────────────────────


def _matches(hits: Sequence[_Hit], library: str, about: Target | None) -> Iterator[Match]:
    top = max(hit.weight for hit in hits)
    pieces = {hit.key: hit for hit in sorted(hits, key=lambda hit: hit.begin, reverse=True)}  # the first of its kind
    counts = {key: _FADING ** (top - hit.weight) for key, hit in pieces.items()}
    whole = sum(counts.values())
    likelihoods: dict[str, float] = {}
    strongest: dict[str, tuple[float, _Hit]] = {}
    for key, hit in pieces.items():
        for code, weight in hit.causes:
            share = weight * counts[key] / whole
            likelihoods[code] = likelihoods.get(code, 0.0) + share
            if code not in strongest or share > strongest[code][0]:
                strongest[code] = (share, hit)
    for code in _ranked(likelihoods):
        hit = strongest[code][1]
        yield Match(
            code=code,
            mode=CATALOGUE[code].mode,
            likelihood=min(1.0, round(likelihoods[code], 2)),
            raised_by=_raised(hit.raised_by, code),
            library=library,
            explanation=f"{hit.says} {advice.sentence(code)}",
            next_command=advice.command(code, about),
        )


def _ranked(likelihoods: dict[str, float]) -> Iterable[str]:
    ordered = sorted(likelihoods, key=lambda code: (-likelihoods[code], code))
    return [code for code in ordered if likelihoods[code] >= _LEAST][:MOST] or ordered[:1]


def _raised(side: Side, code: str) -> Side:
    """Who raised it; where the text leaves it open, what the cause itself implies."""
    if side != "unknown":
        return side
    if code.startswith("mtls."):
        return "server"
    if code.startswith(("chain.", "validity.", "revocation.", "reach.")) or code in {
        "sni.name-mismatch",
        "sni.default-certificate",
    }:
        return "client"
    return "unknown"
