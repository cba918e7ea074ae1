"""Which offers are worth making: a first wave that depends on no answer, then what the answers leave open. Pure.

One question, one offer; `purpose` names the question. The waves are sized so that a healthy
endpoint sees one wave of twelve and often nothing more, a broken one at most 24 connections.
"""

from __future__ import annotations

from functools import lru_cache

from probes.clients import (
    CURRENT_CIPHERS,
    CURRENT_GROUPS,
    CURRENT_SIGNATURES,
    FAMILIES,
    FAMILY,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    WEAK_CIPHERS,
    Family,
    covered_by,
    would_choose,
)
from probes.model import Alerted, Completed, Dropped, Handshake, Malformed, NotTls, Offer, Stalled, Target, Unreached
from probes.values import changed
from probes.wire.registry import SIGNATURE_SCHEMES

MAX_PER_ADDRESS = 26  # repeats come on top
_CROWD, _STARTTLS_CROWD = 12, 4
COALESCING = 5  # of these, where h2 is spoken: one connection that names share, and one each for four of them
SAMPLES = 6
SAMPLE, OLD_SAMPLE = "sample", "sample12"
LIKE = 8  # like handshakes, the first wave's among them: a back end in four shows with odds of 90 %
REPEATS = 4  # so many at most come on top
DOUBTS = 3  # so often is asked again what an old client met alone
IDLE = "idle"  # a whole handshake and then nothing: does the server, which asked for a certificate, hang up?
RESUME, EARLY, FRESH = "resume", "early-data", "resume-fresh"  # what `resuming` asks, after all of the others
ALIKE = ("modern", "small", "http", "split", "alone", "again", SAMPLE, "identity", "no-alpn")
ALIKE_BY_KEY = ("tls12", OLD_SAMPLE, "tls13", "identity12")
OLD_CLIENTS = {f"family:{name}": FAMILY[name] for name in ("openssl-1.0", "java-8")}  # of TLS 1.2, in every first wave
NO_APPLICATION_PROTOCOL = 120  # the one alert that naming http/1.1 alone may earn (RFC 7301 section 3.2)
_PQ, _X25519 = 0x11EC, 0x001D
_WEB = ("h2", "http/1.1")
_LARGE = 1700  # bytes: larger than one packet on any usual path, as a post-quantum hello of a browser is
IMPLICIT = "implicit"  # the purpose of a hello without STARTTLS, for a target with it
# A name nobody serves, under the top-level domain that never resolves (RFC 2606 section 2).
OTHER_NAME = "no-such-name.clienthello.invalid"

_CLASSIC_GROUPS = tuple(group for group in CURRENT_GROUPS if group != _PQ)
_TLS12_CIPHERS = tuple(cipher for cipher in CURRENT_CIPHERS if cipher >> 8 != 0x13)
_OLD_CIPHERS = tuple(dict.fromkeys((*FAMILY["openssl-1.0"].ciphers, *FAMILY["java-8"].ciphers)))
_OLD_SIGNATURES = FAMILY["openssl-1.0"].signature_algorithms
# What no current client offers, so that a server that wants nothing else still shows itself.
_ODD_CIPHERS = (
    *(0x1304, 0x1305, 0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF, 0xC09C, 0xC09D, 0xC09E, 0xC09F, 0xC0A0, 0xC0A1, 0xC0A2, 0xC0A3),
    *(0xC072, 0xC073, 0xC076, 0xC077, 0x00BA, 0x00C0, 0x00BE, 0x00C4, 0xC07A, 0xC07B, 0xC07C, 0xC07D, 0xC086, 0xC087),
    *(0xC08A, 0xC08B, 0xC050, 0xC051, 0xC052, 0xC053, 0xC05C, 0xC05D, 0xC060, 0xC061, 0x0041, 0x0084, 0x0045, 0x0088),
    *(0x0096, 0x009A, 0x0007, 0x0032, 0x0038, 0x0040, 0x006A, 0x00A2, 0x00A3, 0x0013, 0x0066),
    *(0x008A, 0x008B, 0x008C, 0x008D, 0x00A8, 0x00A9, 0x00AE, 0x00AF, 0xC035, 0xC036, 0xC037, 0xC038, 0xCCAB, 0xCCAC),
)
_ODD_GROUPS = (0x001A, 0x001B, 0x001C, 0x001F, 0x0020, 0x0021, 0x0016, 0x0018, 0x0015, 0x0013, 0x0009, 0x000A)
_ODD_SIGNATURES = (0x0203, 0x0201, 0x0303, 0x0301, 0x0402, 0x0202, 0x081A, 0x081B, 0x081C, 0x0904, 0x0905, 0x0906)


def modern(target: Target) -> Offer:
    """All that current clients offer, as browsers send it: post-quantum share, larger than one packet."""
    return Offer(
        purpose="modern",
        server_name=target.server_name,
        versions=(TLS13, TLS12),
        ciphers=CURRENT_CIPHERS,
        groups=CURRENT_GROUPS,
        signature_algorithms=CURRENT_SIGNATURES,
        key_shares=(_PQ, _X25519),
        alpn=_WEB if target.starttls is None else (),
        pad_to=_LARGE,
        until="finished",
        starttls=target.starttls,
        domain=target.host if target.starttls else None,
    )


def small(target: Target) -> Offer:
    """The same in one packet, without post-quantum groups."""
    return changed(
        modern(target), purpose="small", groups=_CLASSIC_GROUPS, key_shares=(_X25519,), pad_to=0, until="certificate"
    )


def crowd(target: Target) -> int:
    """Connections to one address at a time: mail servers count theirs, and each may cost them a process."""
    return _CROWD if target.starttls is None else _STARTTLS_CROWD


@lru_cache(maxsize=64)  # who is checked again is asked the same
def first(target: Target, *, identify: bool = False) -> tuple[Offer, ...]:
    """The wave that depends on no answer; *identify*: there is a client certificate, and it is shown beside the rest.

    Behind STARTTLS a few go ahead: whether it is offered at all, and how fast, is known from them.
    """
    wave = _first(target, identify=identify)
    return wave if target.starttls is None else tuple(offer for offer in wave if not offer.split)[:_STARTTLS_CROWD]


def _first(target: Target, *, identify: bool) -> tuple[Offer, ...]:
    base = small(target)
    # To the end, for the session that it leaves; in TLS 1.3 the exchange that is asked for the clock leaves tickets.
    tls12 = changed(base, purpose="tls12", versions=(TLS12,), ciphers=_TLS12_CIPHERS, key_shares=(), until="finished")
    # The clock is asked in the one exchange that is finished in HTTP/1.1, beside the others.
    is_web = target.starttls is None
    clock = changed(base, purpose="http", alpn=("http/1.1",) if is_web else (), until="finished", ask_http=is_web)
    return (
        modern(target),
        base,
        clock,
        changed(base, purpose="split", split=True),
        # Like hellos stand side by side: of two, three or four back ends that take turns each meets one of either kind.
        tls12,
        _family(target, FAMILY["openssl-1.0"]),
        _family(target, FAMILY["java-8"]),
        changed(base, purpose="no-sni", server_name=None),
        changed(base, purpose="other-name", server_name=OTHER_NAME),
        changed(_old(target), purpose="legacy", versions=(TLS11, TLS10)),
        _family(target, FAMILY["embedded-tls1.0"]),
        changed(
            _old(target), purpose="weak", versions=(TLS12, TLS11, TLS10), ciphers=WEAK_CIPHERS, until="server_hello"
        ),
        *(_identified(clock) if identify else ()),
    )


def _identified(clock: Offer) -> tuple[Offer, ...]:
    """The clock's exchange with our certificate: at the best version, and in TLS 1.2, where refusals come earlier."""
    tls12 = changed(clock, purpose="identity12", versions=(TLS12,), ciphers=_TLS12_CIPHERS, key_shares=())
    return (changed(clock, purpose="identity", identify=True), changed(tls12, identify=True))


def _identified_elsewise(seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """Where naming http/1.1 alone is refused (gRPC servers), the certificate is shown in HTTP/2."""
    return tuple(
        changed(shake.offer, purpose=f"{shake.offer.purpose}-h2", alpn=("h2",), ask_http=False)
        for shake in seen
        if shake.offer.identify
        and "h2" not in shake.offer.alpn
        and isinstance(shake.outcome, Alerted)
        and shake.outcome.code == NO_APPLICATION_PROTOCOL
    )


def _left_waiting(target: Target, seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """A request was met by hanging up where a certificate was asked for: would the server have done so anyway?"""
    hung_up = [
        shake
        for shake in seen
        if shake.offer.ask_http and shake.certificate_request is not None and isinstance(shake.outcome, Dropped)
    ]
    return (changed(modern(target), purpose=IDLE, alpn=()),) if hung_up else ()


def _family(target: Target, family: Family) -> Offer:
    offer = family.offer(target.server_name)
    if target.starttls is None:
        return offer
    return changed(offer, alpn=(), starttls=target.starttls, domain=target.host)


def keeps_sessions(offer: Offer) -> bool:
    """Is it worth a round trip, once such an exchange is finished, to see which tickets come?"""
    return offer.purpose in {"modern", RESUME, FRESH}


def _old(target: Target) -> Offer:
    return changed(
        small(target),
        ciphers=_OLD_CIPHERS,
        groups=(*FAMILY["openssl-1.0"].groups, _X25519),
        signature_algorithms=_OLD_SIGNATURES,
        key_shares=(),
        alpn=(),
    )


def everything(target: Target) -> Offer:
    """All this prober can name, TLS 1.3 down to 1.0: what it cures tells what was missing."""
    return changed(
        small(target),
        purpose="everything",
        versions=(TLS13, TLS12, TLS11, TLS10),
        ciphers=tuple(dict.fromkeys((*CURRENT_CIPHERS, *_OLD_CIPHERS, *_ODD_CIPHERS, *WEAK_CIPHERS))),
        groups=tuple(dict.fromkeys((*CURRENT_GROUPS, *FAMILY["openssl-1.0"].groups, *_ODD_GROUPS))),
        signature_algorithms=tuple(dict.fromkeys((*CURRENT_SIGNATURES, *_OLD_SIGNATURES, *_ODD_SIGNATURES))),
        alpn=(),
    )


def following(target: Target, seen: tuple[Handshake, ...], *, identify: bool = False) -> tuple[Offer, ...]:
    """What the answers of one address leave open; empty when nothing does."""
    if not any(_spoke_tls(shake) for shake in seen):
        return _second_look(target, seen)
    if all(isinstance(shake.outcome, Stalled) for shake in seen if should_work(shake.offer) and not shake.offer.split):
        return ()  # silence midway, whatever is offered: asking again would only double the wait
    asked = {shake.offer.purpose for shake in seen}
    if target.starttls is not None:
        waiting = tuple(offer for offer in _first(target, identify=identify) if offer.purpose not in asked)
        if waiting:
            return waiting
    new = (
        *_identified_elsewise(seen),
        *_left_waiting(target, seen),
        *_why_modern_fails(target, seen),
        *_undecided_families(target, seen),
    )
    fresh = tuple(dict.fromkeys(offer for offer in new if offer.purpose not in asked))
    offers = (*_repeats(seen), *fresh, *_samples(target, seen, asked))
    return offers[: max(0, MAX_PER_ADDRESS - len(seen))]


def sampling(target: Target, seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """More of the same, for an address that works, until so many like handshakes stand side by side that a back end
    unlike the others shows in one; and again what speaks against the rest.

    As current clients are and in TLS 1.2 by turns: where two back ends take turns, each kind meets both.
    """
    made = {shake.offer.purpose: shake for shake in seen if shake.certificates and completed(shake)}
    contradicted = "tls12" not in made and any(shake.version == TLS12 for shake in made.values())
    if contradicted:
        made.update({shake.offer.purpose: shake for shake in seen if shake.offer.purpose == "tls12"})
    likes = tuple(
        changed(made[purpose].offer, purpose=sample, until="certificate", ask_http=False)
        for purpose, sample in (("small", SAMPLE), ("tls12", OLD_SAMPLE))
        if purpose in made
    )
    if not likes:
        return ()
    doubted = _doubted(seen)
    most = REPEATS if target.starttls is None else REPEATS // 2  # mail servers count connections
    missing = most if contradicted else min(most, LIKE - len(alike(seen)))
    wanted = (*doubted, *(likes[(number + 1) // 2 % len(likes)] for number in range(missing)))
    return wanted[: max(0, MAX_PER_ADDRESS - len(seen))]


def alike(seen: tuple[Handshake, ...]) -> tuple[Handshake, ...]:
    """The handshakes that one server alone would have answered with one and the same chain.

    Hellos of current clients; and those of TLS 1.2 and of old clients where they met that chain: another one may
    rightly be chosen for what they offer (`_doubted` asks).
    """
    shown = [shake for shake in seen if shake.certificates and completed(shake)]
    current = [shake for shake in shown if shake.offer.purpose in ALIKE]
    chains = {shake.certificates for shake in current}
    older = (shake for shake in shown if shake.offer.purpose in (*ALIKE_BY_KEY, *OLD_CLIENTS))
    return (*current, *(shake for shake in older if shake.certificates in chains))


def _doubted(seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """The hellos of old clients that met what no like one did: another chain, or a refusal though they offer the suite
    that TLS 1.2 was answered with. Asked again they tell a server's choice from another back end.
    """
    chains = {shake.certificates for shake in alike(seen)}
    chosen = {shake.cipher for shake in seen if shake.version == TLS12 and completed(shake)}
    doubted = []
    for shake in seen:
        family = OLD_CLIENTS.get(shake.offer.purpose)
        if family is None:
            continue
        if completed(shake):
            odd = bool(shake.certificates) and bool(chains) and shake.certificates not in chains
        else:
            odd = not chosen.isdisjoint(family.ciphers)
        doubted += [shake.offer] * DOUBTS if odd else []
    return tuple(doubted)


def _samples(target: Target, seen: tuple[Handshake, ...], asked: set[str]) -> tuple[Offer, ...]:
    """Offers that should all work worked in part: is that the endpoint, or was it the crowd? Ask on, more quietly."""
    plain = [shake for shake in seen if shake.offer.purpose in {"small", "http", "tls12", "modern", SAMPLE, OLD_SAMPLE}]
    mixed = any(completed(shake) for shake in plain) and any(
        not completed(shake) and shake.offer.purpose != "modern" and (_broke_off(shake) or _refused_oddly(shake))
        for shake in plain
    )
    again = changed(small(target), purpose="again")
    return (again,) * SAMPLES if mixed and "again" not in asked else ()


def _broke_off(shake: Handshake) -> bool:
    return isinstance(shake.outcome, Dropped | Stalled | Unreached | Malformed | NotTls)


def _refused_oddly(shake: Handshake) -> bool:
    """An alert to a hello beside which others passed, for no reason of its own: its versions and suites are theirs."""
    if not isinstance(shake.outcome, Alerted) or shake.offer.purpose not in {"small", "http"}:
        return False
    return shake.outcome.code != NO_APPLICATION_PROTOCOL


def _spoke_tls(shake: Handshake) -> bool:
    return shake.version is not None or isinstance(shake.outcome, Alerted | Completed)


def _second_look(target: Target, seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """Nobody spoke TLS. Once more and alone, where that is quick: twelve at once may have been too many."""
    quick = all(
        isinstance(shake.outcome, Dropped) or (isinstance(shake.outcome, Unreached) and shake.outcome.kind == "refused")
        for shake in seen
    )
    if not seen or not quick or any(shake.offer.purpose in {"alone", IMPLICIT} for shake in seen):
        return ()
    alone = changed(small(target), purpose="alone")
    if target.starttls is None or all(isinstance(shake.outcome, Unreached) for shake in seen):
        return (alone,)
    # What speaks TLS from the first byte hangs up on a request in clear without a word.
    return (alone, changed(alone, purpose=IMPLICIT, starttls=None, domain=None))


def _repeats(seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """The offers that broke off where others got through: a fact of the offer, of the moment, or of one back end?"""
    return tuple(shake.offer for shake in seen if _wants_repeat(shake, seen))


def _wants_repeat(shake: Handshake, seen: tuple[Handshake, ...]) -> bool:
    if not _broke_off(shake) or not should_work(shake.offer):
        return False
    return sum(1 for other in seen if other.offer == shake.offer) < 2


def should_work(offer: Offer) -> bool:
    """Old and weak offers are refused in any way a server likes; only what should work is worth a second try."""
    return offer.purpose in {"modern", "small", "http", "tls12", "split"}


def _by_purpose(seen: tuple[Handshake, ...]) -> dict[str, Handshake]:
    return {shake.offer.purpose: shake for shake in seen}


def completed(shake: Handshake | None) -> bool:
    """Did the far end agree and show its certificate (or go as far as the offer went)?

    What ends later, such as a demand for a client certificate, is no fault of the offer. A choice of what
    was never offered is no agreement: clients refuse it (RFC 8446 section 4.1.3).
    """
    if shake is None or isinstance(shake.outcome, Malformed):
        return False
    return isinstance(shake.outcome, Completed) or bool(shake.certificates)


def _why_modern_fails(target: Target, seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    """Vary one thing at a time around the offers of current clients that failed."""
    by = _by_purpose(seen)
    base = small(target)
    offers: list[Offer] = []
    if not completed(by.get("modern")) and completed(by.get("small")):
        large = changed(base, purpose="padded", pad_to=_LARGE, until="server_hello")
        quantum = changed(base, purpose="quantum", groups=CURRENT_GROUPS, key_shares=(_PQ, _X25519))
        offers += [large, changed(quantum, until="server_hello")]
    if not completed(by.get("small")):
        offers += [
            everything(target),
            *((changed(base, purpose="no-alpn", alpn=()),) if base.alpn else ()),
            changed(base, purpose="tls13", versions=(TLS13,)),
            changed(everything(target), purpose="tls12-everything", versions=(TLS12,)),
        ]
    elif by["small"].version == TLS12:
        offers.append(changed(base, purpose="tls13", versions=(TLS13,), until="server_hello"))
    return tuple(offers)


def _undecided_families(target: Target, seen: tuple[Handshake, ...]) -> tuple[Offer, ...]:
    told = Told(seen)
    return tuple(_family(target, family) for family in FAMILIES if told.decides(family, target.server_name) is None)


def decided(family: Family, server_name: str | None, seen: tuple[Handshake, ...]) -> Handshake | None:
    """The handshake that tells how this endpoint answers *family*'s hello, or None while none does."""
    return Told(seen).decides(family, server_name)


def _signed_by(shake: Handshake) -> str | None:
    """The kind of key that was used; None where that is not known, as of signatures before TLS 1.2."""
    if shake.signature_scheme is None:
        return "rsa" if shake.group is None and shake.certificates else None
    known = SIGNATURE_SCHEMES.get(shake.signature_scheme)
    return known.key.removesuffix("-pss") if known else None


class Told:
    """The handshakes of one address, sorted once for the question that is asked of them family by family."""

    def __init__(self, seen: tuple[Handshake, ...]) -> None:
        self._last = {shake.offer.purpose: shake for shake in seen}
        self._named: dict[str | None, list[Handshake]] = {}
        for shake in seen:
            self._named.setdefault(shake.offer.server_name, []).append(shake)
        self._choices: dict[str | None, list[tuple[int, Handshake]]] = {}
        self._kinds: dict[str | None, frozenset[str]] = {}

    def decides(self, family: Family, server_name: str | None) -> Handshake | None:
        """What `decided` says.

        Its own hello tells; else a choice that its hello admits; else a wider offer that found nothing in common.
        """
        # The name decides nothing below, and one offer does for all names of a sweep.
        offer, newest = family.nameless, family.newest
        own = self._last.get(offer.purpose)
        if own is not None:
            return own
        name = server_name if family.sends_server_name else None
        # What came of TLS 1.2 alone says nothing of a hello that offers 1.3 as well: the server would take 1.3.
        alike = (shake for offered, shake in self._chosen(name) if offered >= newest and would_choose(family, shake))
        first = next(alike, None)
        if first is not None:
            # With certificates for two kinds of key, which of them it gets is for its own order of suites to decide.
            is_open = len(self._keys(name)) > 1 and any(_signed_by(each) != _signed_by(first) for each in alike)
            return None if is_open else first
        for shake in self._named.get(name, ()):
            if isinstance(shake.outcome, Alerted) and shake.version is None and covered_by(offer, shake.offer):
                return shake
        return None

    def _keys(self, name: str | None) -> frozenset[str]:
        """The kinds of key that were used for *name*."""
        if name not in self._kinds:
            kinds = (_signed_by(shake) for _, shake in self._chosen(name))
            self._kinds[name] = frozenset(kind for kind in kinds if kind is not None)
        return self._kinds[name]

    def _chosen(self, name: str | None) -> list[tuple[int, Handshake]]:
        """The handshakes with *name* that show a whole choice, each with the newest version it offered."""
        if name not in self._choices:
            self._choices[name] = [
                (max(shake.offer.versions), shake)
                for shake in self._named.get(name, ())
                # An exchange left at the ServerHello does not tell the group and signature of TLS 1.2.
                if shake.version is not None
                and shake.offer.until != "server_hello"
                and not isinstance(shake.outcome, Malformed)
            ]
        return self._choices[name]
