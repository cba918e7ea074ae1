"""The corrected chain: what the endpoint should send, built from what was seen or fetched, and proved. Pure.

Built: the leaf and its intermediates in order, the root left out. Proved: the very PEM is read back, and every client
family's habits of search, with the evidence's anchors and without AIA, find it sound for the name and the time.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace

from probes.clients import FAMILIES
from probes.facts import Facts, family_anchors
from probes.look import Chain, Look, leaf_of
from probes.model import Repair, shown
from probes.pki.certificate import Certificate, parse
from probes.pki.judge import assess, client_fault
from probes.pki.names import covers
from probes.pki.paths import search
from probes.pki.views import MODERN, SERVER_ORDER, STRICT
from probes.repairs.place import Place
from probes.rules.phrase import issuer, many, subject

# The codes that another selection of certificates mends, with no new certificate issued.
MENDED_BY_CHAIN = frozenset(
    {
        "chain.incomplete",
        "chain.wrong-intermediate",
        "chain.misordered",
        "chain.expired-intermediate",
        "chain.cross-sign",
    }
)
# The server's own certificate may only stand behind another, which every client then takes for it.
_MISPLACED = frozenset({"sni.name-mismatch", "sni.default-certificate"})
_BALANCED = frozenset({"balancer.certificate-differs", "balancer.intermittent", "balancer.origin-differs"})
_BLOCK = re.compile(r"^-----BEGIN CERTIFICATE-----$(.*?)^-----END CERTIFICATE-----$", re.S | re.M)
_MOST_CANDIDATES = 8
_VIEWS = tuple(dict.fromkeys((MODERN, STRICT, SERVER_ORDER, *(family.view for family in FAMILIES))))


def corrected_chain(place: Place) -> Repair | None:
    """The chain that mends the cause, as PEM; where it cannot be built, the reason; None where no chain mends it."""
    code = place.cause.code
    if code not in MENDED_BY_CHAIN | _BALANCED | _MISPLACED:
        return None
    wrong = next(_wrong(place), None)
    if wrong is None:
        return None
    look, served = wrong
    chain = _built(place.facts, look, served)
    if code in _BALANCED and not (chain and holds(place.facts, look, written(chain))):
        chain = _from_a_healthy_one(place) or chain
    if chain is None:
        return Repair(kind="chain", text=_why_not(place.facts, look, served))
    pem = written(chain)
    verified = holds(place.facts, look, pem)
    return Repair(kind="chain", text=_told(chain, served, verified=verified), pem=pem, verified=verified)


def written(chain: Iterable[Certificate]) -> str:
    """*chain* as PEM; a comment before each certificate says which it is."""
    return "\n".join(_block(number, each) for number, each in enumerate(chain, 1))


def read(pem: str) -> Chain:
    """The certificates of a PEM text, DER; what is no base64 is left out."""
    found = []
    for body in _BLOCK.findall(pem):
        try:
            found.append(base64.b64decode("".join(body.split()), validate=True))
        except (binascii.Error, ValueError):
            continue
    return tuple(found)


def holds(facts: Facts, look: Look, pem: str) -> bool:
    """Does *pem*, read back, satisfy every view: anchored, in order, for this name, at this time, without AIA?"""
    chain = read(pem)
    leaf = leaf_of(chain)
    if leaf is None or not covers(leaf, look.reference):
        return False
    if facts.time_fault(chain) is not None and facts.clock_excuse(look, chain) is None:
        return False
    for each in _VIEWS:
        view = each if look.signs else replace(each, wants_signing_usage=False)
        known = assess(chain, look.reference, facts.anchors, facts.now, view=view)
        if known.sound is None or not known.order.strict:
            return False
    return True


def _block(number: int, certificate: Certificate) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(certificate.der).decode("ascii"), 64))
    comment = f"# {number}. {_comment(subject(certificate))}, until {certificate.not_after:%Y-%m-%d}"
    return f"{comment}\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def _comment(text: str) -> str:
    """Foreign text for one line of a PEM file: ASCII, nothing that a reader could take for an armour line."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in shown(text, 64))
    return re.sub(r"-{2,}", "-", plain)


# ── which chain is wrong ────────────────────────────────────────────────────────


def _wrong(place: Place) -> Iterator[tuple[Look, Chain]]:
    """The chains that show the fault, the cause's own addresses first."""
    facts = place.facts
    wanted = {place.cause.code} if place.cause.code in MENDED_BY_CHAIN else MENDED_BY_CHAIN
    looks = (*place.looks, *facts.looks, *([facts.origin] if facts.origin else []))
    for look in looks:
        for chain, _ in look.chains:
            fault = facts.chain_fault(look, chain)
            if place.cause.code in _MISPLACED:
                fault = fault if facts.chain(look, chain).order.leaf_position else None
            if fault in wanted:
                yield look, chain
    if place.cause.code == "balancer.certificate-differs":
        for look in looks:
            for chain, _ in look.chains:
                if facts.certificate_fault(look, chain) is not None:
                    yield look, chain


# ── building ────────────────────────────────────────────────────────────────────


def _seen(facts: Facts) -> tuple[Certificate, ...]:
    """Every certificate that was served anywhere, or fetched."""
    served = (der for look in facts.all_looks for chain, _ in look.chains for der in chain)
    origin = (der for chain, _ in facts.origin.chains for der in chain) if facts.origin else ()
    parsed = map(parse, dict.fromkeys((*served, *origin, *facts.fetched)))
    return tuple(each for each in parsed if isinstance(each, Certificate))


def _built(facts: Facts, look: Look, served: Chain) -> tuple[Certificate, ...] | None:
    """The best chain for the leaf of *served* out of all that was seen."""
    position = facts.chain(look, served).order.leaf_position
    leaf = parse(served[position])
    if not isinstance(leaf, Certificate):
        return None
    found = search(leaf, _seen(facts), facts.anchors, facts.now, view=look.view)
    candidates: dict[tuple[bytes, ...], tuple[Certificate, ...]] = {}
    for path in found.paths:
        if path.anchor is not None and not path.issuer_faults:
            below = path.certificates[:-1] or path.certificates
            candidates.setdefault(tuple(each.der for each in below), below)
    best = [chain for chain in list(candidates.values())[:_MOST_CANDIDATES] if holds(facts, look, written(chain))]
    if len(best) > 1:
        best.sort(key=lambda chain: (-_reached(facts, look, chain), len(chain)))
    return next(iter(best), None) or next(iter(candidates.values()), None)


def _reached(facts: Facts, look: Look, chain: tuple[Certificate, ...]) -> int:
    """How many families the chain serves, each with its own store."""
    ders = tuple(each.der for each in chain)
    return sum(
        client_fault(
            ders, look.reference, family_anchors(family.name, facts.evidence.trust), facts.now, view=family.view
        )
        is None
        for family in FAMILIES
    )


def _from_a_healthy_one(place: Place) -> tuple[Certificate, ...] | None:
    """The chain that another address serves to everyone's satisfaction: its leaf needs its own key."""
    facts = place.facts
    for look in facts.looks:
        for chain, _ in look.chains:
            if facts.certificate_fault(look, chain) is None and facts.chain_fault(look, chain) is None:
                return _built(facts, look, chain)
    return None


# ── saying it ───────────────────────────────────────────────────────────────────


def _told(chain: tuple[Certificate, ...], served: Chain, *, verified: bool) -> str:
    lines = [f"{number}. {subject(each)}, issued by {issuer(each)}" for number, each in enumerate(chain, 1)]
    if chain[0].der not in served:
        lines.append("The leaf is the one that the healthy addresses serve: copy its private key along with it.")
    proof = "read back: every client family accepts it, without AIA" if verified else "not proved"
    return "\n".join([f"{many(len(chain), 'certificate')}, root left out; {proof}:", *lines])


def _why_not(facts: Facts, look: Look, served: Chain) -> str:
    """Why no chain could be built: what AIA said, or that nobody said where to look."""
    known = facts.chain(look, served)
    wanted = known.missing
    reasons = [f"{shown(each.url, 100)}: {shown(each.problem, 150)}" for each in facts.evidence.fetched if each.problem]
    if not reasons and wanted is not None and not wanted.ca_issuers:
        reasons = [f"“{subject(wanted.wanted_by)}” names no caIssuers URL"]
    if not reasons and any(each.certificates for each in facts.evidence.fetched):
        reasons = ["what AIA brought leads to no trusted root"]
    if not reasons:
        reasons = ["no other intermediate was seen at any address"]
    return "The corrected chain could not be built here: " + "; ".join(reasons) + ". Take it from your CA's delivery."
