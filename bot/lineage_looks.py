"""What looks make of a lineage: what is served where, which certificate took the place of which, and whether one with
other names goes on with a lineage. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot import expiry
from bot.expiry import Certificates, Place, Replacement, Suggested, covers
from bot.lineages import Lineage
from probes.model import CertificateReport

KEPT_AFTER_DNS = timedelta(hours=24)  # an address that DNS names no more: some names show a few of many at a time
_LOOKED_AT_WITHIN = timedelta(hours=6)
_REMEMBERED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAt:
    """What a look of *watch* means to one lineage. `served`: the paths of its own certificates, by address; `silent`:
    addresses that showed no certificate, None where nothing was seen at all; `others`: leaves of other lineages, by
    address. An address in none of them has left DNS."""

    watch: int
    target: str
    served: Mapping[str, tuple[str, ...]]
    silent: tuple[str, ...] | None = ()
    others: Mapping[str, str] = field(default_factory=dict)
    at: datetime


def seen(lineage: Lineage, looks: Sequence[LookAt], certificates: Certificates) -> Lineage:
    """The lineage after all *looks*, oldest first, at the price of one pass over its places.

    A certificate at thousands of endpoints is one lineage: to go through all its places at each look would cost a sweep
    of n endpoints n² steps. Here each look meets the places of its own watch alone.
    """
    places: dict[int, list[Place]] = {}
    for place in lineage.places:
        places.setdefault(place.watch, []).append(place)
    left: dict[int, dict[str, datetime]] = {}
    for watch, address, since in lineage.left:
        left.setdefault(watch, {})[address] = since
    replaced, looked_at = list(lineage.replacements), lineage.looked_at
    for look in looks:
        before = places.get(look.watch, [])
        now_there = list(_places(before, left.setdefault(look.watch, {}), look, replaced, looked_at, certificates))
        _moved(replaced, before, now_there, certificates)
        places[look.watch] = now_there
        looked_at = _looked_at(looked_at, look.at)
    found = (one for own in places.values() for one in own)
    return _tidy(
        replace(
            lineage,
            places=tuple(sorted(found, key=lambda one: (one.target, one.address))),
            left=tuple(sorted((watch, address, at) for watch, own in left.items() for address, at in own.items())),
            replacements=tuple(replaced[-_REMEMBERED:]),
            looked_at=looked_at,
        )
    )


def _places(
    before: Iterable[Place],
    left: dict[str, datetime],
    look: LookAt,
    replaced: list[Replacement],
    looked_at: datetime | None,
    certificates: Certificates,
) -> Iterator[Place]:
    """Those of one watch after a look; what has left DNS is kept for a day."""
    known = {place.address: place for place in before}
    for address, path in look.served.items():
        left.pop(address, None)
        place = known.get(address)
        if place is None:
            yield Place(watch=look.watch, target=look.target, address=address, path=path, since=look.at)
            continue
        if path[0] != place.leaf:
            _succeed(replaced, place.leaf, path[0], looked_at, certificates, look.at)
        since = place.since if path[0] == place.leaf else look.at
        yield replace(place, target=look.target, path=path, since=since)
    for address, place in known.items():
        if address in look.served:
            continue
        if address in look.others:
            left.pop(address, None)
            _succeed(replaced, place.leaf, look.others[address], looked_at, certificates, look.at)
        elif look.silent is None or address in look.silent:
            left.pop(address, None)
            yield place
        elif abs(look.at - left.setdefault(address, look.at)) < KEPT_AFTER_DNS:
            yield place
        else:
            del left[address]


def _looked_at(before: datetime | None, now: datetime) -> datetime:
    """By the hours alone: a row that is the same is not written again."""
    return now if before is None or now - before >= _LOOKED_AT_WITHIN else before


def _succeed(
    replaced: list[Replacement],
    old: str,
    new: str,
    looked_at: datetime | None,
    certificates: Certificates,
    now: datetime,
) -> None:
    """Remember that *new* took the place of *old*; the first address at which it does says when."""
    before, after = expiry.validity(certificates.get(old)), expiry.validity(certificates.get(new))
    if before is None or after is None or any((each.old, each.new) == (old, new) for each in replaced):
        return
    if after[1] <= before[1] and after[0] <= before[0]:
        return  # an older one came back
    # While nobody looked, it was there from its own beginning on, at the earliest.
    at = min(now, max(looked_at or now, after[0]))
    share = expiry.share_left(certificates.get(old), at)
    replaced.append(Replacement(old=old, new=new, at=at, share=share if share is not None and share > 0 else None))


def _moved(
    replaced: list[Replacement], before: Iterable[Place], after: Iterable[Place], certificates: Certificates
) -> None:
    """A renewal that came with new addresses: the old certificate is nowhere any more."""
    since: dict[str, datetime] = {}
    for place in after:
        since[place.leaf] = min(place.since, since.get(place.leaf, place.since))
    for old in {each.leaf for each in before} - since.keys():
        if since and not any(each.old == old for each in replaced):
            new = max(since, key=lambda leaf: since[leaf])
            _succeed(replaced, old, new, since[new], certificates, since[new])


def _tidy(lineage: Lineage) -> Lineage:
    """Nothing is remembered of certificates that are gone, but for what was told of them."""
    served = {sha256 for place in lineage.places for sha256 in place.path}
    return replace(
        lineage,
        suggested=tuple(each for each in lineage.suggested if each.certificate in served),
        revoked=tuple(each for each in lineage.revoked if each in served),
        massed=tuple(each for each in lineage.massed if each in served),
    )


def dropped(lineage: Lineage, watch: int) -> Lineage:
    """Without the places of *watch*, which is no longer watched."""
    kept = tuple(each for each in lineage.places if each.watch != watch)
    return _tidy(replace(lineage, places=kept, left=tuple(each for each in lineage.left if each[0] != watch)))


def found_revoked(lineage: Lineage, leaves: Iterable[str]) -> Lineage:
    """A revocation stands until the certificate is replaced, though light looks do not see it."""
    served = {place.leaf for place in lineage.places}
    return replace(lineage, revoked=tuple(sorted({*lineage.revoked, *leaves} & served)))


def suggested(lineage: Lineage, news: Suggested) -> Lineage:
    """With what the CA says now of one of its certificates."""
    others = tuple(each for each in lineage.suggested if each.certificate != news.certificate)
    return replace(lineage, suggested=(*others, news))


# ── other names ─────────────────────────────────────────────────────────────────


def predecessor(
    lineages: Iterable[Lineage], watch: int, served: Mapping[str, tuple[str, ...]], certificates: Certificates
) -> tuple[Lineage, bool] | None:
    """Whose certificate gave way, at an address of *watch*, to a newer one with other names; and whether that one is
    good for all that it was good for: then the lineage goes on under its new names."""
    for lineage in lineages:
        for place in lineage.places:
            if place.watch != watch or place.address not in served:
                continue
            old, new = certificates.get(place.leaf), certificates.get(served[place.address][0])
            if old is not None and new is not None and _follows(old, new, place):
                return lineage, _serves_all(new, lineage, certificates)
    return None


def _follows(old: CertificateReport, new: CertificateReport, place: Place) -> bool:
    """It is newer, and made for the same purpose, not just what stands there by default."""
    before, after = expiry.validity(old), expiry.validity(new)
    if before is None or after is None or after[0] <= before[0]:
        return False
    names = {name.lower() for name in old.names} & {name.lower() for name in new.names}
    return bool(names) or (covers(old, place.host) and covers(new, place.host))


def _serves_all(new: CertificateReport, lineage: Lineage, certificates: Certificates) -> bool:
    hosts = {
        place.host
        for place in lineage.places
        if (leaf := certificates.get(place.leaf)) is not None and covers(leaf, place.host)
    }
    return all(covers(new, host) for host in hosts)


def heir(lineage: Lineage, look: LookAt, certificates: Certificates) -> tuple[Replacement, ...]:
    """What is known of earlier renewals where a part of *lineage* goes its own way from here on."""
    replaced = list(lineage.replacements)
    for place in lineage.places:
        if place.watch == look.watch and place.address in look.served:
            leaf = look.served[place.address][0]
            _succeed(replaced, place.leaf, leaf, lineage.looked_at, certificates, look.at)
    return tuple(replaced[-_REMEMBERED:])
