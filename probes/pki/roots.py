"""A chain that ends in nothing: is an intermediate missing whose issuer is trusted, or is the root unknown?

The certificates cannot prove it; what speaks for either side is weighed here, in order of its strength, and named.
"""

from __future__ import annotations

from typing import Literal

from probes.pki.anchors import Anchors, folded, organisations
from probes.pki.certificate import Certificate
from probes.pki.distinguished import Name
from probes.values import value

# Words that many CAs carry in their names, so that sharing them says nothing.
_COMMON_WORDS = frozenset(
    {"a", "and", "authority", "ca", "certificate", "certification", "class", "corp", "corporate", "ec", "ecc", "ecdsa"}
    | {"global", "inc", "intermediate", "internal", "issuing", "limited", "llc", "ltd", "of", "private", "public"}
    | {"root", "rsa", "server", "services", "sha256", "ssl", "sub", "subordinate", "test", "the", "tls", "trust"}
)


@value
class RootVerdict:
    """*complete*: the root itself was seen, so that nothing is guessed. *reasons*: phrases, strongest first."""

    kind: Literal["intermediate-missing", "root-unknown"]
    complete: bool
    reasons: tuple[str, ...]


def decide(top: Certificate, leaf: Certificate, anchors: Anchors, root: Certificate | None) -> RootVerdict:
    """Weigh what *top*, the highest certificate reached, says of its absent issuer. In this order:

    1. The root was seen and is not in the store: unknown, for certain.
    2. AKI authorityCertIssuer names the issuer's issuer (RFC 5280 section 4.2.1.1): an anchor means missing, the
       issuer itself means that the issuer is a root.
    3. The store has a CA of the issuer's very name, with another key: a root, re-keyed or forged.
    4. The issuer calls itself a root.
    5. The issuer's organisation is an anchor's, or its name is akin to an anchor that the user added.
    6. *top* is the leaf and says where to fetch its issuer: roots hardly ever issue leaves, so one is missing.
       An intermediate's AIA points to its root as often as not, and says nothing.
    7. Nothing speaks for a trusted root: unknown.
    """
    if root is not None:
        return _unknown(f"the chain leads to {root.subject}, which is not in the store", complete=True)
    issuer = top.issuer_name
    above = top.extensions.aki_issuer
    if above is not None and above.key == issuer.key:
        return _unknown(f"by the authority key identifier {issuer.text} issued itself: it is a root")
    if above is not None and _is_anchor(above, anchors):
        return _missing(f"by the authority key identifier {above.text} issued {issuer.text}, and is trusted")
    if _is_anchor(issuer, anchors):
        return _unknown(f"the store holds {issuer.text} with another key")
    if "root" in folded(issuer.common_name or "").split():
        return _unknown(f"the issuer, {issuer.text}, calls itself a root")
    kin = _kin(issuer, anchors)
    if kin:
        return _missing(kin)
    if top is leaf and top.ca_issuers:
        return _missing(f"the leaf says that its issuer can be fetched from {top.ca_issuers[0]}")
    return _unknown(f"nothing ties {issuer.text} to a root in the store")


def _kin(issuer: Name, anchors: Anchors) -> str | None:
    """Why the absent issuer looks like a relative of an anchor, or None."""
    organisation = folded(issuer.organisation or "")
    if organisation and organisation in organisations(anchors):
        return f"the issuer's organisation, {issuer.organisation}, has a root in the store"
    words = _words(issuer)
    for anchor in anchors.added:
        shared = words & _words(anchor.subject)
        if shared:
            return f"the issuer's name shares “{' '.join(sorted(shared))}” with {anchor.subject.text}, trusted here"
    return None


def _words(name: Name) -> frozenset[str]:
    words = folded(f"{name.common_name or ''} {name.organisation or ''}").split()
    return frozenset(word for word in words if len(word) > 1 and not word.isdigit()) - _COMMON_WORDS


def _is_anchor(name: Name, anchors: Anchors) -> bool:
    return any(member.subject.key == name.key for member in anchors.members)


def _missing(reason: str) -> RootVerdict:
    return RootVerdict(kind="intermediate-missing", complete=False, reasons=(reason,))


def _unknown(reason: str, *, complete: bool = False) -> RootVerdict:
    return RootVerdict(kind="root-unknown", complete=complete, reasons=(reason,))
