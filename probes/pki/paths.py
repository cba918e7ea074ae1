"""Paths from a leaf to the store: every one of them, with the reasons why each fails.

A search is bounded by depth, paths, steps and signatures, so that no mesh of cross-signs costs more than some
milliseconds; what was cut is said (`Found.truncated`). Signatures are asked of `signatures`, which remembers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import assert_never

from probes.pki import distinguished
from probes.pki.anchors import Anchor, Anchors
from probes.pki.certificate import Certificate
from probes.pki.checks import Fault, FaultKind, faults
from probes.pki.signatures import signed_by
from probes.pki.views import MODERN, View
from probes.values import once, value

DEPTH = 8  # issuers above the leaf, the anchor included
PATHS = 32
STEPS = 256
SIGNATURES = 64


@dataclass(frozen=True, kw_only=True)  # no slots: what every family and rule asks again is found once
class Path:
    """Leaf first. With *anchor* the last certificate is the store's own; without, it is where the path ends.

    A certificate that did not make the signature below it stands last, with the fault bad_signature.
    """

    certificates: tuple[Certificate, ...]
    anchor: Anchor | None
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        return self.anchor is not None and not self.faults

    @once
    def issuer_faults(self) -> tuple[Fault, ...]:
        """The faults that are not merely the leaf's own dates."""
        return tuple(f for f in self.faults if f.depth > 0 or f.kind not in ("expired", "not_yet_valid"))

    def has(self, *kinds: FaultKind) -> bool:
        return any(fault.kind in kinds for fault in self.faults)

    @once
    def verified(self) -> tuple[Certificate, ...]:
        """The certificates whose signatures hold, leaf first."""
        return self.certificates[:-1] if self.has("bad_signature") else self.certificates


@value
class Found:
    """What a search found, and what it spent: distinct signatures asked for, and whether a bound cut it short."""

    paths: tuple[Path, ...]
    signatures_checked: int
    truncated: bool


def paths(
    leaf: Certificate, pool: Iterable[Certificate], anchors: Anchors, at: datetime, *, view: View = MODERN
) -> tuple[Path, ...]:
    """All paths of *leaf* over *pool* (in the order served) to *anchors* or to a dead end; good ones first.

    Searches other than "full" follow one path only, as their clients do. There is always at least one path.
    """
    return search(leaf, pool, anchors, at, view=view).paths


def search(
    leaf: Certificate, pool: Iterable[Certificate], anchors: Anchors, at: datetime, *, view: View = MODERN
) -> Found:
    """`paths`, with what the search spent."""
    pool = tuple(pool)
    # A moment matters only by which certificates it falls within, so that names of one chain share its searches.
    dated = tuple([_side(each, at) for each in _within_reach(leaf, pool, anchors)])
    return _searched(leaf, pool, anchors, _Moment(at, dated), view)


class _Moment:
    """A moment, equal to every other one at which the same certificates are in their time."""

    __slots__ = ("at", "sides")

    def __init__(self, at: datetime, sides: tuple[int, ...]) -> None:
        self.at, self.sides = at, sides

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Moment) and self.sides == other.sides

    def __hash__(self) -> int:
        return hash(self.sides)


def _side(certificate: Certificate, at: datetime) -> int:
    """Before the certificate's time, within it, or after it; notAfter means to the end of its second."""
    if at < certificate.not_before:
        return -1
    return 0 if at <= certificate.not_after or at.replace(microsecond=0) <= certificate.not_after else 1


@lru_cache(maxsize=256)
def _within_reach(leaf: Certificate, pool: tuple[Certificate, ...], anchors: Anchors) -> tuple[Certificate, ...]:
    """Every certificate whose dates a search may ask for: what was sent, and the anchors above, for some lead on."""
    found = dict.fromkeys((leaf, *pool))
    waiting = list(found)
    while waiting:
        each = waiting.pop()
        above = (a.certificate for name in (each.subject_der, each.issuer_der) for a in anchors.named(name))
        new = [anchor for anchor in above if anchor not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return tuple(found)


@lru_cache(maxsize=512)
def _searched(leaf: Certificate, pool: tuple[Certificate, ...], anchors: Anchors, moment: _Moment, view: View) -> Found:
    builder = _Builder(leaf, pool, anchors, moment.at, view)
    match view.search:
        case "full":
            builder.full()
        case "first-issuer":
            builder.trusted_first()
        case "server-order":
            builder.server_order()
        case "strict":
            builder.strict()
        case _ as never:
            assert_never(never)
    ordered = sorted(builder.found, key=lambda path: (path.anchor is None, len(path.issuer_faults), len(path.faults)))
    return Found(paths=tuple(ordered), signatures_checked=len(builder.asked), truncated=builder.truncated)


Chain = tuple[Certificate, ...]


class _Builder:
    """One search under way."""

    def __init__(
        self, leaf: Certificate, pool: Iterable[Certificate], anchors: Anchors, at: datetime, view: View
    ) -> None:
        self.leaf, self.anchors, self.at, self.view = leaf, anchors, at, view
        self.pool = tuple({each.der: each for each in pool if each.der != leaf.der}.values())
        self.by_subject: dict[distinguished.Key, list[Certificate]] = {}
        for each in self.pool:
            self.by_subject.setdefault(each.subject_name.key, []).append(each)
        self.found: list[Path] = []
        self.asked: set[tuple[bytes, bytes]] = set()
        self.signers: dict[bytes, bytes] = {}
        self.loops: list[Chain] = []
        self.steps = 0
        self.truncated = False

    # The full search ---------------------------------------------------------------------------------------------

    def full(self) -> None:
        pinned = self._pinned()
        if pinned:
            self._finish((self.leaf,), pinned)
            if self.leaf.is_self_issued:
                return
        self._extend((self.leaf,))
        if not self.found:
            self._no_issuer(self.loops[0] if self.loops else (self.leaf,), [])

    def _extend(self, chain: Chain) -> None:
        """Record every way on from the end of *chain*, whose signatures hold."""
        self.steps += 1
        if self.steps > STEPS or len(self.found) >= PATHS:
            self.truncated = True
            return
        top = chain[-1]
        if self._is_root(top):
            self._stop(chain)
            return
        if self._loops(chain):
            self.loops.append(chain)
            return
        roots, named = self._candidates(chain)
        if len(chain) > DEPTH:
            self.truncated = True
            self._dead_end(chain, "path_length", f"more than {DEPTH} issuers above the leaf")
            return
        led_on = False
        for anchor in roots:
            if self._signs(top, anchor.certificate):
                led_on = True
                self._finish((*chain, anchor.certificate), anchor)
        # Each is followed to its end before the next one's signature is paid for: the likely path is found in budget.
        for issuer in named:
            if self._signs(top, issuer):
                led_on = True
                self._extend((*chain, issuer))
        if not led_on:
            self._no_issuer(chain, [*(anchor.certificate for anchor in roots), *named])

    def _loops(self, chain: Chain) -> bool:
        """Whether whoever issued the end of *chain* is in it already: nothing new is to be found that way."""
        top = chain[-1]
        wanted = top.issuer_name.key
        for each in chain[:-1]:
            named = each.subject_name.key == wanted and not _key_identifiers_differ(top, each)
            if named and self._signs(top, each):
                return True
        return False

    def _candidates(self, chain: Chain) -> tuple[list[Anchor], list[Certificate]]:
        """Who bears the issuer's name: anchors that end a path, and certificates that lead on; the likely first."""
        top = chain[-1]
        seen = {each.identity for each in chain}
        anchors, led_on = self._anchors_named(top)
        ended = {(anchor.subject.key, anchor.spki) for anchor in anchors}
        pooled = [
            each
            for each in (*led_on, *self._pool_named(top))
            # The served copy of a root in the store is that root; its cross-signed copies lead on to another.
            if each.identity not in seen and not (each.is_self_issued and each.identity in ended)
        ]
        if len(pooled) > 1:
            pooled.sort(
                key=lambda each: (
                    _key_identifiers_differ(top, each),
                    not each.is_valid(self.at),
                    self.distances.get(each.der, len(self.pool) + 1),
                )
            )
        return anchors, pooled

    @once
    def distances(self) -> dict[bytes, int]:
        """How many steps each certificate of the pool is from the store, by names and key identifiers alone."""
        waiting: dict[distinguished.Key, list[Certificate]] = {}
        near: list[Certificate] = []
        for each in self.pool:
            if self.anchors.named(each.issuer_der):
                near.append(each)
            else:
                waiting.setdefault(each.issuer_name.key, []).append(each)
        distances = {each.der: 1 for each in near}
        # The list grows while it is walked: breadth first.
        for issuer in near:
            below = waiting.get(issuer.subject_name.key, [])
            reached = [each for each in below if not _key_identifiers_differ(each, issuer)]
            if reached:
                waiting[issuer.subject_name.key] = [each for each in below if _key_identifiers_differ(each, issuer)]
                near += reached
                distances.update((each.der, distances[issuer.der] + 1) for each in reached)
        return distances

    # Searches of one path ----------------------------------------------------------------------------------------

    def trusted_first(self) -> None:
        chain: Chain = (self.leaf,)
        pinned = self._pinned()
        if pinned:
            self._finish(chain, pinned)
            return
        while True:
            anchors, led_on = self._anchors_named(chain[-1])
            if anchors:
                self._end_at(chain, anchors[0])
                return
            onward = self._onward(chain, led_on)
            if onward is None:
                return
            chain = onward

    def server_order(self) -> None:
        chain: Chain = (self.leaf,)
        pinned = self._pinned()
        if pinned:
            self._finish(chain, pinned)
            return
        while not self._is_root(chain[-1]) and len(chain) <= DEPTH:
            following = self._first_named(chain, ())
            if following is None:
                break
            if not self._signs(chain[-1], following):
                self._no_issuer(chain, [following])
                return
            chain = (*chain, following)
        # A root that the server sent is dropped, and the store is asked for its own copy.
        below = chain[:-1] if len(chain) > 1 and self._is_root(chain[-1]) else chain
        anchors, _ = self._anchors_named(below[-1])
        if anchors:
            self._end_at(below, anchors[0])
        else:
            self._stop(chain)

    def strict(self) -> None:
        chain: Chain = (self.leaf,)
        pinned = self._pinned()
        if pinned:
            self._finish(chain, pinned)
            return
        for following in (*self.pool[:DEPTH], None):
            anchors, _ = self._anchors_named(chain[-1])
            issuing = [anchor for anchor in anchors if self._signs(chain[-1], anchor.certificate)]
            if issuing:
                self._finish((*chain, issuing[0].certificate), issuing[0])
                return
            if following is None:
                break
            if following.subject_name.key != chain[-1].issuer_name.key or not self._signs(chain[-1], following):
                self._dead_end(chain, "issuer_missing", f"the next certificate sent is {following.subject}")
                return
            chain = (*chain, following)
        self._stop(chain)

    def _stop(self, chain: Chain) -> None:
        if self._is_root(chain[-1]):
            self._dead_end(chain, "self_signed_untrusted", "it is a root that is not in the store")
        else:
            self._no_issuer(chain, [])

    def _onward(self, chain: Chain, led_on: tuple[Certificate, ...]) -> Chain | None:
        """The chain with its one next issuer; None when it ends here, which is recorded."""
        top = chain[-1]
        if self._is_root(top):
            self._stop(chain)
            return None
        following = self._first_named(chain, led_on)
        if following is None:
            self._no_issuer(chain, [])
            return None
        if not self._signs(top, following):
            self._no_issuer(chain, [following])
            return None
        if len(chain) > DEPTH:
            self._dead_end(chain, "path_length", f"more than {DEPTH} issuers above the leaf")
            return None
        return (*chain, following)

    def _first_named(self, chain: Chain, led_on: tuple[Certificate, ...]) -> Certificate | None:
        """What OpenSSL takes: the first of the right name and key identifier, preferably one within its dates."""
        top = chain[-1]
        named = [each for each in (*led_on, *self._pool_named(top)) if each not in chain]
        return next((each for each in named if each.is_valid(self.at)), named[0] if named else None)

    # What all searches share -------------------------------------------------------------------------------------

    def _pinned(self) -> Anchor | None:
        """The leaf itself in the store, byte for byte: whoever put it there trusts this server."""
        return next((a for a in self.anchors.holding(self.leaf) if a.der == self.leaf.der and self._ends(a)), None)

    def _is_root(self, certificate: Certificate) -> bool:
        return certificate.is_self_issued and self._signs(certificate, certificate)

    def _ends(self, anchor: Anchor) -> bool:
        return self.view.partial_chain or anchor.certificate.is_self_issued

    def _anchors_named(self, child: Certificate) -> tuple[list[Anchor], tuple[Certificate, ...]]:
        """The anchors of the issuer's name, fitting ones first; and store members that only lead on in this view."""
        named = self.anchors.named(child.issuer_der)
        if self.view.minds_key_identifiers:
            named = tuple(each for each in named if not _key_identifiers_differ(child, each.certificate))
        ending = [each for each in named if self._ends(each)]
        ending.sort(
            key=lambda each: (
                _key_identifiers_differ(child, each.certificate),
                not each.certificate.is_valid(self.at),
            )
        )
        return ending, tuple(each.certificate for each in named if not self._ends(each))

    def _pool_named(self, child: Certificate) -> tuple[Certificate, ...]:
        named = self.by_subject.get(child.issuer_name.key, ())
        minds = self.view.minds_key_identifiers
        return tuple(each for each in named if not (minds and _key_identifiers_differ(child, each)))

    def _signs(self, child: Certificate, issuer: Certificate) -> bool:
        # One key made a signature: once it is known, no other need be asked.
        signer = self.signers.get(child.der)
        if signer is not None:
            return signer == issuer.spki
        pair = (child.der, issuer.spki)
        if pair not in self.asked:
            if len(self.asked) >= SIGNATURES:
                self.truncated = True
                return False
            self.asked.add(pair)
        signed = signed_by(child.der, issuer.spki)
        if signed:
            self.signers[child.der] = issuer.spki
        return signed

    def _end_at(self, chain: Chain, anchor: Anchor) -> None:
        if self._signs(chain[-1], anchor.certificate):
            self._finish((*chain, anchor.certificate), anchor)
        else:
            self._no_issuer(chain, [anchor.certificate])

    def _finish(self, chain: Chain, anchor: Anchor) -> None:
        self.found.append(
            Path(certificates=chain, anchor=anchor, faults=faults(chain, anchored=True, at=self.at, view=self.view))
        )

    def _no_issuer(self, chain: Chain, named: list[Certificate]) -> None:
        """A dead end: nobody of the issuer's name, or none of those made the signature."""
        top = chain[-1]
        impostors = [each for each in named if (top.der, each.spki) in self.asked]
        if not impostors:
            unasked = " (of that name, more were sent than are looked at)" if named else ""
            self._dead_end(chain, "issuer_missing", f"its issuer is {top.issuer}{unasked}")
        for impostor in impostors[: max(1, PATHS - len(self.found))]:
            faults_ = (
                *faults(chain, anchored=False, at=self.at, view=self.view),
                Fault(
                    kind="bad_signature",
                    certificate=impostor,
                    depth=len(chain),
                    detail=f"it bears the issuer's name, but its key did not sign {top.subject}",
                ),
            )
            self.found.append(Path(certificates=(*chain, impostor), anchor=None, faults=faults_))

    def _dead_end(self, chain: Chain, kind: FaultKind, detail: str) -> None:
        last = Fault(kind=kind, certificate=chain[-1], depth=len(chain) - 1, detail=detail)
        found = faults(chain, anchored=False, at=self.at, view=self.view)
        self.found.append(Path(certificates=chain, anchor=None, faults=(*found, last)))


def _key_identifiers_differ(child: Certificate, issuer: Certificate) -> bool:
    wanted, has = child.extensions.aki, issuer.extensions.ski
    return wanted is not None and has is not None and wanted != has
