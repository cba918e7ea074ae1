"""The order of a served chain (RFC 8446 section 4.4.2: leaf first, each certificate should certify the one before)."""

from __future__ import annotations

from probes.pki.certificate import Certificate, Unreadable
from probes.pki.names import covers
from probes.pki.paths import Found, Path
from probes.pki.signatures import signed_by
from probes.values import value


@value
class Order:
    """How the certificates sent lie.

    strict         each one certifies the one before it, to the end
    in_order       what is needed comes in the order needed, perhaps with others between
    strays         sent, readable, and on no path from the leaf (a trusted or self-signed root of the path is none)
    duplicates     sent more than once
    root_sent      the self-signed root of the path, sent along: bytes wasted, no harm
    leaf_position  where the server's own certificate lies: 0, unless the first one is a CA and a later one is meant
    """

    strict: bool = True
    in_order: bool = True
    strays: tuple[Certificate, ...] = ()
    duplicates: tuple[Certificate, ...] = ()
    root_sent: Certificate | None = None
    leaf_position: int = 0


def order_of(leaf: Certificate, served: tuple[Certificate, ...], found: Found) -> Order:
    """Compare what was sent (readable ones, leaf first) with the paths found over it.

    When a bound cut the search short, nothing is called a stray: it may have its place on a path not seen.
    """
    paths = found.paths
    distinct = tuple(dict.fromkeys(served))
    identities = {each.identity for path in paths for each in path.verified}
    strays = () if found.truncated else tuple(each for each in distinct[1:] if each.identity not in identities)
    return Order(
        strict=len(distinct) == len(served) and all(map(_follows, served, served[1:])),
        in_order=_in_order(distinct, paths),
        strays=strays,
        duplicates=tuple(each for each in distinct if served.count(each) > 1),
        root_sent=next((each for each in distinct[1:] if each.is_self_signed and each not in strays), None),
        leaf_position=leaf_position(leaf, distinct, None),
    )


def _follows(below: Certificate, above: Certificate) -> bool:
    return below.issuer_name.key == above.subject_name.key and signed_by(below.der, above.spki)


def _in_order(served: tuple[Certificate, ...], paths: tuple[Path, ...]) -> bool:
    """Along the best path, positions rise. Two certificates of one authority share a place: either may come first."""
    if not paths:
        return True
    places: dict[object, int] = {}
    for position, each in enumerate(served):
        places.setdefault(each.identity, position)
    along = [places[each.identity] for each in paths[0].verified if each.identity in places]
    return along == sorted(along)


def leaf_position(leaf: Certificate, served: tuple[Certificate | Unreadable, ...], host: str | None) -> int:
    """Where the server's own certificate lies among the readable and distinct ones; *host*: by its names, too."""
    if not leaf.is_ca or (host is not None and covers(leaf, host)):
        return 0
    readable = dict.fromkeys(each for each in served if isinstance(each, Certificate))
    for position, each in enumerate(readable):
        if position and not each.is_ca and (covers(each, host) if host is not None else _follows(each, leaf)):
            return position
    return 0
