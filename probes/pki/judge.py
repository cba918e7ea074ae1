"""What the rules ask of a chain: facts, and which of the catalogue's chain faults it is.

`assess` gathers, `chain_fault` decides. Pure: certificates fetched elsewhere (AIA) and the time are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from probes.pki import roots
from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, Unreadable, parse
from probes.pki.names import NameVerdict, explain
from probes.pki.order import Order, leaf_position, order_of
from probes.pki.paths import Found, Path, search
from probes.pki.roots import RootVerdict
from probes.pki.signatures import signed_by
from probes.pki.views import MODERN, SERVER_ORDER, STRICT, View
from probes.values import once, value

ChainCode = Literal[
    "chain.incomplete",
    "chain.untrusted",
    "chain.self-signed",
    "chain.expired-intermediate",
    "chain.cross-sign",
    "chain.wrong-intermediate",
    "chain.misordered",
    "chain.weak",
    "chain.wrong-usage",
]


@value
class Missing:
    """The issuer that the server should have sent: its name, key identifier, and where *wanted_by* says it is."""

    subject: str
    subject_der: bytes
    key_identifier: bytes | None
    ca_issuers: tuple[str, ...]
    wanted_by: Certificate


@dataclass(frozen=True, kw_only=True)  # no slots: what every family and rule asks again is found once
class ChainFacts:
    """A served chain, looked at from all sides.

    served            as sent, first is the leaf whatever it is
    leaf              None when nothing was sent or the first certificate is unreadable
    name              whether the leaf covers the host asked for; None without host or leaf
    paths             over the served certificates alone, good ones first
    repaired          over the served and the extra ones; equal to *paths* without extras
    completes_with    the extra certificates of the best repaired path, when the served ones reach no anchor
    reaches_anchor    whether that repaired path (or a served one) ends in the store
    missing           the issuer wanted at the top of the best served path without anchor; None when one is reached
    top               the highest certificate that can be reached from the leaf by signatures, extras included
    wrong_issuers     served CA certificates that were meant to have issued the leaf (or one above it) and did not
    order             see Order
    root              with no anchor reached: is an intermediate missing, or is the root unknown, and why
    old_clients       the paths that clients take that follow the server's order (SERVER_ORDER, STRICT)
    truncated         a bound of the path search was met: absence of a path proves nothing
    """

    served: tuple[Certificate | Unreadable, ...]
    leaf: Certificate | None
    host: str | None
    name: NameVerdict | None
    at: datetime
    paths: tuple[Path, ...]
    repaired: tuple[Path, ...]
    completes_with: tuple[Certificate, ...]
    reaches_anchor: bool
    missing: Missing | None
    top: Certificate | None
    wrong_issuers: tuple[Certificate, ...]
    order: Order
    root: RootVerdict | None
    old_clients: tuple[Path, ...]
    truncated: bool

    @once
    def best(self) -> Path | None:
        """The best path over the served certificates."""
        return self.paths[0] if self.paths else None

    @property
    def ok(self) -> bool:
        """Some path over the served certificates holds (the name is another matter)."""
        return any(path.ok for path in self.paths)

    @once
    def sound(self) -> Path | None:
        """A served path that holds but for the leaf's own dates, which the validity.* codes speak of."""
        return next((path for path in self.paths if path.anchor and not path.issuer_faults), None)

    @property
    def leaf_self_signed(self) -> bool:
        return self.leaf is not None and self.leaf.is_self_signed

    @property
    def leaf_is_anchor(self) -> bool:
        """The store holds the leaf itself (a pinned self-signed certificate)."""
        return any(path.anchor and len(path.certificates) == 1 for path in self.paths)

    @property
    def unreadable(self) -> tuple[tuple[int, str], ...]:
        """Position and reason of everything served that is no certificate."""
        return tuple((at, each.why) for at, each in enumerate(self.served) if isinstance(each, Unreadable))


@lru_cache(maxsize=512)
def assess(
    chain: tuple[bytes, ...],
    host: str | None,
    anchors: Anchors,
    at: datetime,
    *,
    extra: tuple[bytes, ...] = (),
    view: View = MODERN,
) -> ChainFacts:
    """Look at a chain as served (DER, leaf first). *extra*: certificates had by AIA or seen elsewhere."""
    known = _nameless(chain, anchors, at, extra, view)
    leaf = known.leaf
    if leaf is None or host is None:
        return replace(known, host=host)
    # A CA as the leaf is told from one sent in the wrong place by the names of the others.
    order = replace(known.order, leaf_position=leaf_position(leaf, known.served, host)) if leaf.is_ca else known.order
    return replace(known, host=host, name=explain(leaf, host), order=order)


@lru_cache(maxsize=256)
def _nameless(
    chain: tuple[bytes, ...], anchors: Anchors, at: datetime, extra: tuple[bytes, ...], view: View
) -> ChainFacts:
    """What can be said whatever the host: the same for all names that one certificate serves."""
    served = tuple(parse(each) for each in chain)
    certificates = tuple(each for each in served if isinstance(each, Certificate))
    leaf = served[0] if served and isinstance(served[0], Certificate) else None
    if leaf is None:
        return _nothing(served, at)
    pool = certificates[1:]
    extras = tuple(each for each in map(parse, extra) if isinstance(each, Certificate) and each not in certificates)
    direct = search(leaf, pool, anchors, at, view=view)
    wider = search(leaf, (*pool, *extras), anchors, at, view=view) if extras else direct
    reached, repaired = _furthest(direct), _furthest(wider)
    anchored = reached.anchor is not None
    return ChainFacts(
        served=served,
        leaf=leaf,
        host=None,
        name=None,
        at=at,
        paths=direct.paths,
        repaired=wider.paths,
        completes_with=() if anchored else tuple(each for each in repaired.verified if each in extras),
        reaches_anchor=repaired.anchor is not None,
        missing=None if anchored else _missing(reached),
        top=repaired.verified[-1],
        wrong_issuers=() if anchored else _wrong_issuers(leaf, pool, direct, wider, anchors),
        order=order_of(leaf, certificates, direct),
        root=None
        if repaired.anchor
        else roots.decide(repaired.verified[-1], leaf, anchors, _untrusted_root(wider.paths)),
        old_clients=_old_clients(certificates, anchors, at),
        truncated=direct.truncated or wider.truncated,
    )


@lru_cache(maxsize=128)
def _old_clients(certificates: tuple[Certificate, ...], anchors: Anchors, at: datetime) -> tuple[Path, ...]:
    """The paths of clients that follow the server's order: the same in whatever view the chain is assessed."""
    leaf, *pool = certificates
    return tuple(search(leaf, pool, anchors, at, view=each).paths[0] for each in (SERVER_ORDER, STRICT))


def chain_fault(facts: ChainFacts) -> ChainCode | None:
    """Which chain fault it is, or None. In this order, the first that is true:

    1. No readable leaf: None; that is a gap, not a chain.
    2. The leaf stands behind its own issuer, or the first certificate is a CA and a later one is the server's:
       misordered, whatever the rest, since every client takes the first as the leaf.
    3. Some served path holds. The leaf's own dates never count here: they are the validity.* rules'.
       a. A client that follows the server's order runs into an issuer outside its dates: cross-sign.
       b. Wrong order, strays, duplicates: misordered (a root sent along is none of these, and harmless).
       c. Otherwise None.
    4. The leaf's own key signed it: self-signed. Nothing else in the chain matters to any client.
    5. A served path reaches the store and fails. Of the path that fails least: an issuer outside its dates (a root
       of the store, too): expired-intermediate; rights, constraints, syntax: wrong-usage; strength: weak. Name
       constraints are wrong-usage: the CA is trusted, but not for this. Dates first, since they fail for everyone.
    6. No served path reaches the store:
       a. With the extra certificates one does: wrong-intermediate when the server sent another in its place,
          else incomplete (rule 4 of the ranking: never untrusted).
       b. A path is complete, to a root outside the store: untrusted. Sending other intermediates mends nothing.
       c. Certificates were sent as issuers that are not: wrong-intermediate.
       d. Otherwise the issuer is unknown: incomplete or untrusted by the evidence in `facts.root`.
    """
    if facts.leaf is None:
        return None
    if facts.order.leaf_position > 0:
        return "chain.misordered"
    if facts.sound:
        return _fault_beside_a_sound_path(facts)
    if facts.leaf_self_signed:
        return "chain.self-signed"
    if facts.best and facts.best.anchor:
        return _fault_of_anchored(facts.best)
    if facts.reaches_anchor:
        return "chain.wrong-intermediate" if facts.wrong_issuers else "chain.incomplete"
    if facts.root and facts.root.kind == "root-unknown" and facts.root.complete:
        return "chain.untrusted"
    if facts.wrong_issuers:
        return "chain.wrong-intermediate"
    return "chain.untrusted" if facts.root and facts.root.kind == "root-unknown" else "chain.incomplete"


def client_fault(
    chain: tuple[bytes, ...],
    host: str | None,
    anchors: Anchors,
    at: datetime,
    *,
    view: View,
    extra: tuple[bytes, ...] = (),
    aia: bool = False,
) -> ChainCode | None:
    """Why clients of one family fail over this chain, or None when they pass. Names and the leaf's dates aside.

    *aia*: they have the *extra* certificates, too; otherwise those only tell what is wrong with the chain. What is
    wrong is said as the full search sees it; the family's own search speaks only where that finds nothing. A chain
    over which only clients of the family's habits fail is cross-sign (dates) or misordered.
    """
    own = assess(chain, host, anchors, at, extra=extra, view=view)
    candidates = own.repaired if aia else own.paths
    if any(path.anchor and not path.issuer_faults for path in candidates):
        return None
    return chain_fault(assess(chain, host, anchors, at, extra=extra)) or chain_fault(own)


def issued_by(child: Certificate, issuer: Certificate) -> bool:
    """The names fit and the signature holds; rights are another matter."""
    return child.issuer_name.key == issuer.subject_name.key and signed_by(child.der, issuer.spki)


def _fault_beside_a_sound_path(facts: ChainFacts) -> ChainCode | None:
    if any(fault.depth > 0 and fault.kind in _DATES for path in facts.old_clients for fault in path.faults):
        return "chain.cross-sign"
    if not facts.order.in_order or facts.order.strays or facts.order.duplicates:
        return "chain.misordered"
    return None


_DATES = ("expired", "not_yet_valid")
_RIGHTS = (
    "wrong_usage",
    "not_ca",
    "path_length",
    "name_constraint",
    "unknown_critical_extension",
    "unreadable",
    "policy",
    "profile",
)


def _fault_of_anchored(path: Path) -> ChainCode:
    kinds = {fault.kind for fault in path.issuer_faults}
    if kinds.intersection(_DATES):
        return "chain.expired-intermediate"
    if kinds.intersection(_RIGHTS):
        return "chain.wrong-usage"
    return "chain.weak"


def _furthest(found: Found) -> Path:
    """The best path to the store; without any, one to a complete root, else that with the most signatures that hold."""
    best = found.paths[0]
    if best.anchor:
        return best
    return max(found.paths, key=lambda path: (path.has("self_signed_untrusted"), len(path.verified)))


def _untrusted_root(paths: tuple[Path, ...]) -> Certificate | None:
    """The self-signed root outside the store that a path leads to, if one does."""
    return next(
        (fault.certificate for path in paths for fault in path.faults if fault.kind == "self_signed_untrusted"), None
    )


def _missing(path: Path) -> Missing | None:
    top = path.verified[-1]
    if path.has("self_signed_untrusted"):
        return None
    return Missing(
        subject=top.issuer,
        subject_der=top.issuer_der,
        key_identifier=top.extensions.aki,
        ca_issuers=top.ca_issuers,
        wanted_by=top,
    )


def _wrong_issuers(
    leaf: Certificate, pool: tuple[Certificate, ...], direct: Found, wider: Found, anchors: Anchors
) -> tuple[Certificate, ...]:
    """What was sent in the place of the missing issuer.

    Of the right name, with another key; or, when nothing sent issued the leaf, any CA that is not a root: a root sent
    along with the intermediate forgotten is a chain with a hole, not one with a wrong member.
    """
    impostors = [
        fault.certificate
        for path in direct.paths
        for fault in path.faults
        if fault.kind == "bad_signature" and fault.certificate in pool
    ]
    if not any(issued_by(leaf, each) for each in pool):
        used = {each.identity for path in wider.paths for each in path.verified}
        impostors += (
            each
            for each in pool
            if each.is_ca and not each.is_self_issued and each.identity not in used
            if not _stands_above(each, leaf, anchors)
        )
    return tuple(dict.fromkeys(impostors))


def _stands_above(authority: Certificate, leaf: Certificate, anchors: Anchors) -> bool:
    """A CA that may well be the missing issuer's own issuer: trusted itself, or named by the leaf's AKI."""
    named = leaf.extensions.aki_issuer
    return bool(anchors.holding(authority)) or (named is not None and named.key == authority.subject_name.key)


def _nothing(served: tuple[Certificate | Unreadable, ...], at: datetime) -> ChainFacts:
    return ChainFacts(
        served=served,
        leaf=None,
        host=None,
        name=None,
        at=at,
        paths=(),
        repaired=(),
        completes_with=(),
        reaches_anchor=False,
        missing=None,
        top=None,
        wrong_issuers=(),
        order=Order(),
        root=None,
        old_clients=(),
        truncated=False,
    )
