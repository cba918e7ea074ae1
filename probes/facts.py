"""What the evidence amounts to, over all addresses and family by family: the ground the rules stand on. Pure.

`Facts.verdict` says whether a family gets through at an address, and if not, by which code: here and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

from probes.clients import CURRENT, FAMILIES, TLS13, WEAK_CIPHERS, Family
from probes.look import Chain, Look, leaf_of
from probes.model import Dropped, Endpoint, Evidence, Handshake, Malformed, Stalled, Trust, Unreached
from probes.name_habits import accepts
from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate
from probes.pki.judge import ChainFacts, assess, chain_fault, client_fault
from probes.pki.names import covers
from probes.pki.paths import search
from probes.pki.views import MODERN, View
from probes.plan import completed
from probes.resuming import is_asked_by
from probes.standing import Standings
from probes.stores import former, held, lacks
from probes.values import once, value

QUANTUM = 0x11EC  # X25519MLKEM768
CLOCK_TOLERANCE_S = 300.0  # our own limit: what NTP keeps in step never comes near it


@lru_cache(maxsize=8)
def _added(roots: tuple[bytes, ...]) -> Anchors:
    return Anchors.from_ders(roots, source="the CA file given", added=True)


@lru_cache(maxsize=8)
def anchors(trust: Trust) -> Anchors:
    """The store a check is judged by: the default one, where it counts, and what was added."""
    default = Anchors.from_ders(trust.default, source=trust.default_name or "default store")
    return default | _added(trust.added)


@lru_cache(maxsize=32)
def family_anchors(family: str, trust: Trust) -> Anchors:
    """The store *family* judges by: the default one without what it lacks, and what was added, which all trust."""
    whole = anchors(trust)
    own = held(family, whole)
    # A root that is in both is labelled as the default store's, and may be among what was left out.
    return whole if own is whole else own | _added(trust.added)


@value
class Verdict:
    """One family at one address: `code` None means that it gets through."""

    code: str | None


_PASSES = Verdict(code=None)


class Facts:
    """The evidence of one check, seen from where rules stand."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.anchors = anchors(evidence.trust)
        self.now = evidence.taken_at
        # Certificates know no parts of a second, so that checks within one share what they found out about a chain.
        self._second = evidence.taken_at.replace(microsecond=0)
        self.fetched: Chain = tuple(der for fetched in evidence.fetched for der in fetched.certificates)
        by_endpoint: dict[Endpoint, list[Handshake]] = {}
        for shake in evidence.handshakes:
            if is_asked_by(shake.offer):
                continue  # what a session came to says nothing of a client that has none: its rules read it themselves
            by_endpoint.setdefault(shake.endpoint, []).append(shake)
        looks = [Look(endpoint, tuple(shakes), evidence) for endpoint, shakes in by_endpoint.items()]
        self.origin = next((look for look in looks if look.endpoint == evidence.origin), None)
        self.all_looks = tuple(look for look in looks if look.endpoint != evidence.origin)
        self.looks = tuple(look for look in self.all_looks if not look.is_gap)
        # By the look itself, not by its endpoint, whose hash is written in Python: verdicts are asked for sixty times.
        self._assessed: dict[tuple[Look, Chain], ChainFacts] = {}
        self._family_faults: dict[tuple[Chain, str, View, bool, Anchors], str | None] = {}
        self._common: dict[tuple[Look, Chain], tuple[str | None, str | None]] = {}
        self._verdicts: dict[Look, dict[str, Verdict | None]] = {}
        self._failing: dict[Look, dict[str, list[Family]]] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that could be looked at."""
        return tuple(look.address for look in self.looks)

    @property
    def everyone(self) -> tuple[str, ...]:
        return tuple(family.name for family in FAMILIES)

    @property
    def reference(self) -> str:
        """The identity that clients expect: the name they send, else the address they were given."""
        return self.evidence.target.server_name or self.evidence.target.host

    # certificates ------------------------------------------------------------------

    def chain(self, look: Look, chain: Chain) -> ChainFacts:
        """What *chain* amounts to for current clients; what was fetched counts as known."""
        known = self._assessed.get((look, chain))
        if known is None:
            known = assess(chain, look.reference, self.anchors, self._second, extra=self.fetched, view=look.view)
            self._assessed[look, chain] = known
        return known

    def chain_fault(self, look: Look, chain: Chain) -> str | None:
        """The chain.* code that is true of *chain* for current clients, or None."""
        return chain_fault(self.chain(look, chain))

    def _family_chain_fault(self, family: Family, look: Look, chain: Chain) -> str | None:
        view = family.view if look.signs else replace(family.view, wants_signing_usage=False)
        known = self.chain(look, chain)
        end = known.sound.anchor if known.sound is not None else None
        holds = end is not None and not lacks(family.name, end)
        # MODERN is as strict as any family, so a path that it finds sound is sound for each that searches as widely.
        if holds and view.search == MODERN.search:
            return None
        store = self.anchors if holds else self._store_of(family, known)
        if store != self.anchors and _leads_to(store, known, view):
            return None
        # What every store minds is said first; the family's own lack only where nothing else is wrong.
        fault = self._client_fault(look, chain, view, family.aia, self.anchors)
        return fault if store == self.anchors or known.leaf is None else fault or "chain.untrusted"

    def _store_of(self, family: Family, known: ChainFacts) -> Anchors:
        """The family's own store; an empty one where nothing of it is within reach, for a store is read whole."""
        return family_anchors(family.name, self.evidence.trust) if self._within_reach(family, known) else Anchors()

    def _within_reach(self, family: Family, known: ChainFacts) -> bool:
        """Could any root of the family's own store end a path? Asked first, for a store is read whole or not at all."""
        if known.sound is None:
            return known.leaf is not None
        ends = (path.anchor for path in known.repaired if path.anchor is not None)
        if any(not lacks(family.name, end) for end in ends) or self.evidence.trust.added:
            return True
        issuers = (each.issuer_der for each in known.served if isinstance(each, Certificate))
        return any(former(family.name).named(issuer) for issuer in issuers)

    def _below_added(self, family: Family, look: Look, chain: Chain) -> bool:
        """Does the family, laxer below roots that were added to its store, pass by one of those?"""
        added = self.evidence.trust.added
        if family.view_of_added is None or not added:
            return False
        return self._client_fault(look, chain, family.view_of_added, family.aia, _added(added)) is None

    def _client_fault(self, look: Look, chain: Chain, view: View, aia: bool, store: Anchors) -> str | None:
        key = (chain, look.reference, view, aia, store)
        if key not in self._family_faults:
            self._family_faults[key] = client_fault(
                chain, look.reference, store, self._second, view=view, extra=self.fetched, aia=aia
            )
        return self._family_faults[key]

    def name_fault(self, look: Look, chain: Chain) -> str | None:
        """sni.* when the leaf of *chain* does not cover what was asked for: the default, or a wrong one of its own."""
        leaf = leaf_of(chain)
        if leaf is None or covers(leaf, look.reference):
            return None
        if look.server_name is None:
            return "sni.name-mismatch"
        others = tuple(shake.certificates[0] for shake in look.tries("other-name", "no-sni") if shake.certificates)
        unknown = tuple(shake.certificates[0] for shake in look.tries("other-name") if shake.certificates)
        # A server that serves unknown names something, and serves this name the same, does not know this name.
        same = chain[0] in (unknown or others)
        return "sni.default-certificate" if same and unknown else "sni.name-mismatch"

    def time_fault(self, chain: Chain) -> str | None:
        """validity.* of the leaf by this prober's clock."""
        leaf = leaf_of(chain)
        if leaf is None:
            return None
        if self.now > leaf.not_after:
            return "validity.expired"
        return "validity.not-yet-valid" if self.now < leaf.not_before else None

    def certificate_fault(self, look: Look, chain: Chain) -> str | None:
        """The first thing wrong with *chain* for current clients, in the catalogue's ranking."""
        fault = self.name_fault(look, chain) or self.time_fault(chain) or self.severe_chain_fault(look, chain)
        revoked = fault is None and self.standings.is_revoked(look, self.chain(look, chain))
        return "revocation.revoked" if revoked else fault

    def severe_chain_fault(self, look: Look, chain: Chain) -> str | None:
        fault = self.chain_fault(look, chain)
        return fault if fault not in {"chain.cross-sign", "chain.misordered"} else None

    def fault(self, look: Look) -> str | None:
        """The first thing at this address by which a current client fails now, or None."""
        if look.obstacle is not None:
            return look.obstacle.code
        for chain, _ in look.chains:
            fault = self.certificate_fault(look, chain)
            if fault is not None and not self.clock_excuse(look, chain):
                return fault
        verdicts = (self.verdict(family, look) for family in CURRENT)
        return next((verdict.code for verdict in verdicts if verdict is not None and verdict.code is not None), None)

    # clients -----------------------------------------------------------------------

    def verdict(self, family: Family, look: Look) -> Verdict | None:
        """Does *family* get through at this address? None: it cannot be told."""
        known = self._verdicts.get(look)
        if known is None:
            known = self._verdicts[look] = {}
        if family.name not in known:
            known[family.name] = self._verdict_of(family, look)
        return known[family.name]

    def failing(self, look: Look, code: str) -> list[Family]:
        """The current families that fail at this address with *code*."""
        by_code = self._failing.get(look)
        if by_code is None:
            by_code = self._failing[look] = {}
            for family in CURRENT:
                verdict = self.verdict(family, look)
                if verdict is not None and verdict.code is not None:
                    by_code.setdefault(verdict.code, []).append(family)
        return by_code.get(code, [])

    def _verdict_of(self, family: Family, look: Look) -> Verdict | None:
        seen = look.told.decides(family, look.server_name)
        # What stops the others stops none whose rare suite was chosen.
        through = completed(seen) and seen is not None and seen.cipher in family.rare_ciphers
        if look.obstacle is not None and (family.current or look.obstacle.code.startswith("reach.")) and not through:
            return Verdict(code=look.obstacle.code)
        if look.quantum_fault is not None and QUANTUM in family.groups:
            return Verdict(code=look.quantum_fault)
        if seen is None:
            return None
        if not completed(seen):
            return self._refused(family, look, seen)
        verdict = self._by_certificate(family, look, seen.certificates or look.chain)
        if verdict is None or verdict.code is not None:
            return verdict
        if family.alpn == ("http/1.1",) and look.refuses_http1:
            return Verdict(code="negotiation.alpn")
        if look.client_auth_fault is not None:
            return Verdict(code=look.client_auth_fault)
        return verdict

    def _refused(self, family: Family, look: Look, seen: Handshake) -> Verdict | None:
        if isinstance(seen.outcome, Unreached | Malformed) or look.outages:
            return None
        if not family.sends_server_name and look.server_name is not None and not look.passed("no-sni"):
            return Verdict(code="sni.required")
        if not look.versions & set(family.versions):
            modern = bool(look.versions) and min(look.versions) == TLS13
            return Verdict(code="negotiation.modern-only" if modern else "negotiation.protocol-version")
        missing = self._missing_for(family, look)
        if missing is None and look.shed and isinstance(seen.outcome, Dropped | Stalled):
            return None  # it sheds hellos that it takes a moment later, and this one was asked once
        return Verdict(code=missing or "negotiation.cipher")

    def _missing_for(self, family: Family, look: Look) -> str | None:
        """Which part the family lacks: the first of which it has nothing that the server ever chose."""
        shared = [shake for shake in look.agreed if shake.version in family.versions]
        newest = max((shake.version or 0 for shake in shared), default=0)
        chosen = [shake for shake in shared if shake.version == newest]
        for code, offered, seen in (
            ("negotiation.cipher", family.ciphers, {shake.cipher for shake in chosen}),
            ("negotiation.group", family.groups, {shake.group for shake in chosen}),
            ("negotiation.signature", family.signature_algorithms, {shake.signature_scheme for shake in chosen}),
        ):
            known = seen - {None}
            if known and not known & set(offered):
                return code
        return None

    def _by_certificate(self, family: Family, look: Look, chain: Chain) -> Verdict | None:
        if not chain:
            return _PASSES if look.shown is None and look.works else None
        name, time = self._common_faults(look, chain)
        leaf = leaf_of(chain)
        if name is not None and not (leaf is not None and accepts(leaf, look.reference, family.names)):
            return Verdict(code="sni.required" if not family.sends_server_name and look.chain != chain else name)
        if time is not None:
            return Verdict(code=time)
        fault = self._family_chain_fault(family, look, chain)
        if fault is not None and self._below_added(family, look, chain):
            fault = None
        fault = fault or self.standings.client_fault(family, look, self.chain(look, chain))
        return Verdict(code=fault) if fault is not None else _PASSES

    def _common_faults(self, look: Look, chain: Chain) -> tuple[str | None, str | None]:
        """Name and time (unless a clock excuses it), the same for every family, so found out once."""
        key = (look, chain)
        if key not in self._common:
            time = self.time_fault(chain)
            self._common[key] = (
                self.name_fault(look, chain),
                None if time is not None and self.clock_excuse(look, chain) else time,
            )
        return self._common[key]

    def fails_for(self, code: str, looks: tuple[Look, ...]) -> tuple[str, ...]:
        """The families that fail with *code* at any of *looks*."""
        return tuple(
            family.name
            for family in FAMILIES
            if any((verdict := self.verdict(family, look)) is not None and verdict.code == code for look in looks)
        )

    @once
    def standings(self) -> Standings:
        """What staples, OCSP responders and CRLs said."""
        return Standings(self.evidence)

    # clocks ------------------------------------------------------------------------

    def skews(self, look: Look) -> tuple[float, ...]:
        """Seconds by which the server's HTTP Date is ahead of this prober's clock, where it is off beyond tolerance."""
        seen = (shake.http.skew_s for shake in look.handshakes if shake.http and shake.http.skew_s is not None)
        cached = {shake.http.age_s for shake in look.handshakes if shake.http}
        return () if any(cached - {None, 0}) else tuple(skew for skew in seen if abs(skew) > CLOCK_TOLERANCE_S)

    def clock_excuse(self, look: Look, chain: Chain) -> float | None:
        """The skew by which a certificate out of its time by our clock is in its time by the server's."""
        leaf = leaf_of(chain)
        if leaf is None or self.time_fault(chain) is None or self.own_clock_holds(look):
            return None
        for skew in (*self.own_skews, *self.skews(look)):
            theirs = self.now.timestamp() + skew
            if leaf.not_before.timestamp() <= theirs <= leaf.not_after.timestamp():
                return skew
        behind = self.signed_skew(look, chain)
        return behind if behind and leaf.not_before <= self.now + timedelta(seconds=behind) <= leaf.not_after else None

    @property
    def own_skews(self) -> tuple[float, ...]:
        """Seconds by which NTP is ahead of this prober's clock, where it is off beyond tolerance."""
        told = (each.skew_s for each in self.evidence.clocks if each.skew_s is not None)
        return tuple(skew for skew in told if abs(skew) > CLOCK_TOLERANCE_S)

    def own_clock_holds(self, look: Look) -> bool:
        """Do witnesses beside *look* agree with this prober's clock: NTP, or as many other addresses as disagree?"""
        if any(each.skew_s is not None and abs(each.skew_s) <= CLOCK_TOLERANCE_S for each in self.evidence.clocks):
            return True
        off = [other for other in self.looks if self.skews(other)]
        agree = [other for other in self.looks if other not in off and self._tells_time(other)]
        return look in off and len(agree) >= len(off)

    @staticmethod
    def _tells_time(look: Look) -> bool:
        return any(shake.http is not None and shake.http.date is not None for shake in look.handshakes)

    def signed_skew(self, look: Look, chain: Chain) -> float:
        """Seconds by which this prober's clock is behind at least, by what an authority signed; 0 within tolerance."""
        behind = self.standings.behind_s(look, self.chain(look, chain))
        return behind if behind > CLOCK_TOLERANCE_S else 0.0


def _leads_to(store: Anchors, known: ChainFacts, view: View) -> bool:
    """Does a path hold from the leaf to *store*, by what was served?"""
    if known.leaf is None:
        return False
    pool = (each for each in known.served[1:] if isinstance(each, Certificate))
    found = search(known.leaf, pool, store, known.at, view=view).paths
    return any(path.anchor is not None and not path.issuer_faults for path in found)


def is_weak(cipher: int | None) -> bool:
    return cipher in WEAK_CIPHERS
