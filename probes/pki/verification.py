"""One question for outsiders: does a client of such a view accept this chain for this host, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, Unreadable, parse
from probes.pki.names import NameVerdict, explain
from probes.pki.paths import Path, search
from probes.pki.views import MODERN, View
from probes.values import value


@value
class Verification:
    """The answer.

    ok         some path holds, and the leaf covers the host (where one was asked for)
    reasons    codes of what is wrong, empty when ok: the faults of the best path (`checks.FaultKind`), or those of the
               name (`names.Reason`), or "unreadable_leaf" and "no_leaf"
    paths      every path looked at, best first; each with its faults, their certificates and particulars
    name       None without a host or a readable leaf
    truncated  a bound of the search was met: that no path holds may be due to it
    """

    ok: bool
    reasons: tuple[str, ...]
    paths: tuple[Path, ...] = ()
    name: NameVerdict | None = None
    truncated: bool = False


def verify(
    leaf_chain: Sequence[bytes],
    *,
    anchors: Sequence[bytes],
    host: str | None,
    at: datetime,
    view: View = MODERN,
) -> Verification:
    """Judge a chain of DER certificates as clients of *view* do; never raises for what is in the certificates.

    *leaf_chain*: the leaf first, then whatever else may serve as an issuer, in any order ("full" search) or in the
    order sent (the others). *anchors*: DER certificates that are believed, roots or not. *host*: a DNS name or an IP
    address; None leaves names out. *at*: aware. What is no certificate is passed over, unless it is the leaf.

    `views.MODERN` is what current clients agree on; `views.BASELINE` adds the profile of RFC 5280 and of the CA/Browser
    Forum, which conformance corpora expect; `dataclasses.replace` makes others (purpose, most_intermediates, …).
    """
    if not leaf_chain:
        return Verification(ok=False, reasons=("no_leaf",))
    leaf, *others = (parse(bytes(each)) for each in leaf_chain)
    if isinstance(leaf, Unreadable):
        return Verification(ok=False, reasons=("unreadable_leaf",))
    pool = tuple(each for each in others if isinstance(each, Certificate))
    found = search(leaf, pool, Anchors.from_ders(map(bytes, anchors), source="caller"), at, view=view)
    name = explain(leaf, host) if host is not None else None
    wrong = dict.fromkeys(fault.kind for fault in found.paths[0].faults)
    reasons: tuple[str, ...] = (*wrong, *((name.reason,) if name is not None and not name.covered else ()))
    return Verification(
        ok=found.paths[0].ok and (name is None or name.covered),
        reasons=reasons,
        paths=found.paths,
        name=name,
        truncated=found.truncated,
    )
