"""What has changed at an endpoint since it was last good: which of it is drift, and how grave. Pure.

A look is compared with one of its own kind. What is expected is no drift: a renewal that is right, addresses that
rotate by habit. When a drift is believed, and that it is told once, is the matter of `bot.drift_memory`.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from bot.expiry import Certificates, authority, covers, expired_extras, is_meant, step_by_time
from bot.sighting import Served, Sighting
from bot.watched import Pace

Severity: TypeAlias = Literal["critical", "warning", "notice"]
_HABIT = 2  # earlier renewals that agree, before a key is expected to be new, or the same
_DAYS = 7  # of handshake times, before there is a history to be off
_LOOKS = 12  # of a day, before its median says anything
_SLOWER_MS = 25.0
_ORDER: tuple[Severity, ...] = ("critical", "warning", "notice")
FLAPPY = frozenset({"staple-lost", "resumption-broken", "tickets-unshared", "suites-gone", "address-gone"})  # by nature
EVENTS = frozenset({"key-kept", "key-changed"})  # they happen and are over: there is no going back of them
# What a light look can see as well. ALPN and versions it sees in hellos of its own.
SEEN_LIGHT = frozenset({"address-new", "address-gone", "issuer", "names", "chain-shortened", "extra"})
_OLD_VERSIONS = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"})
_WEAK = re.compile(r"RC4|RC2|DES|NULL|EXPORT|anon|MD5")
_DEMANDS = {"none": "not asked for", "optional": "asked for", "required": "demanded"}
# The one thread of the certificate tells these (`bot.lineages`), and `bot.watch` tells the rest of what is broken.
_OF_LINEAGES = frozenset({"validity.expired", "revocation.revoked"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing that is otherwise. `key` is the same as long as it is the same thing; `text` says what is now, and the
    evidence what was before. `addresses`: where, all in *text* where that is everywhere."""

    kind: str
    key: str
    severity: Severity
    text: str
    addresses: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is usual there. `addresses`: those in use, as accepted; `expected`: CAs, as people wrote them; `keys`: of
    the newest renewals, by leaf, was the key kept?"""

    addresses: frozenset[str] | None = None
    expected: tuple[str, ...] = ()
    addresses_rotate: bool = False
    authorities: frozenset[str] = frozenset()
    keys: tuple[tuple[str, bool], ...] = ()

    def expects(self, issuer: str) -> bool:
        return any(is_meant(each, issuer) for each in self.expected)


# ── the comparison ──────────────────────────────────────────────────────────────


def drifts(
    good: Sighting,
    new: Sighting,
    certificates: Certificates,
    habits: Habits | None = None,
    *,
    now: datetime,
) -> tuple[Drift, ...]:
    """What differs in *new* from the last *good* look of its kind, gravest first; what is expected is left out."""
    habits = habits or Habits()
    found = [*_verdict(good, new), *_addresses(good, new, habits)]
    before = {each.address: each for each in good.served}
    pairs = [(before[each.address], each) for each in new.served if each.address in before]
    found += _certificates(good, new, pairs, certificates, habits)
    known = {each.key for each in found}
    found += [each for each in _unexpected(new, certificates, habits) if each.key not in known]
    merged: dict[str, list[tuple[Drift, str]]] = {}
    for was, is_now in pairs:
        for drift in _settings(was, is_now):
            merged.setdefault(drift.key, []).append((drift, is_now.address))
    for each in merged.values():
        found.append(replace(each[0][0], addresses=tuple(sorted(address for _, address in each))))
    found += _extras(new, certificates, now)
    found += _second(new, certificates, now)
    return tuple(sorted(found, key=lambda each: (_ORDER.index(each.severity), each.key)))


def _verdict(good: Sighting, new: Sighting) -> Iterator[Drift]:
    if new.status != "broken" or good.status == "broken" or new.cause is None:
        return
    codes = {code for code, severity, _ in new.findings if severity == "critical"}
    if new.cause in _OF_LINEAGES or (
        new.cause.startswith("balancer.") and codes - {new.cause} <= _OF_LINEAGES and codes - {new.cause}
    ):
        return
    fails = f"fails for {', '.join(new.fails_for[:6])}" if new.fails_for else ""
    addresses = next((where for code, _, where in new.findings if code == new.cause), ())
    yield Drift(
        kind="broken",
        key=f"broken:{new.cause}",
        severity="critical",
        text=f"broken: {new.cause}",
        addresses=addresses,
        evidence=(fails,) if fails else (),
    )


def _addresses(good: Sighting, new: Sighting, habits: Habits) -> Iterator[Drift]:
    """New and gone ones; nothing where the name resolved to none: that is a verdict."""
    if habits.addresses_rotate or not new.served:
        return
    known = habits.addresses if habits.addresses is not None else frozenset(each.address for each in good.served)
    seen = frozenset(each.address for each in new.served)
    for address in sorted(seen - known):
        yield Drift(
            kind="address-new",
            key=f"address-new:{address}",
            severity="notice",
            text="new address",
            addresses=(address,),
        )
    for address in sorted(known - seen):
        yield Drift(
            kind="address-gone",
            key=f"address-gone:{address}",
            severity="notice",
            text="address no longer in DNS",
            addresses=(address,),
        )


def _certificates(
    good: Sighting,
    new: Sighting,
    pairs: Sequence[tuple[Served, Served]],
    certificates: Certificates,
    habits: Habits,
) -> Iterator[Drift]:
    changes: dict[tuple[str, str], list[str]] = {}
    shorter: dict[tuple[int, int], list[str]] = {}
    chain_faults = {code for code, _, _ in new.findings if code.startswith("chain.")}
    chain_faults -= {code for code, _, _ in good.findings}
    for was, is_now in pairs:
        if not was.chain or not is_now.chain:
            continue
        if was.chain[0] != is_now.chain[0]:
            changes.setdefault((was.chain[0], is_now.chain[0]), []).append(is_now.address)
        # With a new leaf another chain may be right: then a finding says whether it is.
        is_shorter = len(is_now.chain) < len(was.chain)
        if is_shorter and (was.chain[0] == is_now.chain[0] or chain_faults):
            shorter.setdefault((len(was.chain), len(is_now.chain)), []).append(is_now.address)
    for (was_long, is_long), addresses in shorter.items():
        yield Drift(
            kind="chain-shortened",
            key="chain-shortened",
            severity="warning",
            text=f"{is_long} certificates sent instead of {was_long}" if is_long > 1 else "only the leaf is sent",
            addresses=tuple(sorted(addresses)),
            evidence=(f"before: {was_long} certificates",),
        )
    for (old, fresh), addresses in changes.items():
        before, after = certificates.get(old), certificates.get(fresh)
        if before is None or after is None:
            continue
        where = tuple(sorted(addresses))
        issuer, usual = authority(after.issuer), {authority(before.issuer), *habits.authorities}
        if issuer not in usual and not habits.expects(after.issuer):
            yield Drift(
                kind="issuer",
                key=f"issuer:{issuer}",
                severity="warning",
                text=f"certificate from another CA: {issuer} instead of {authority(before.issuer)}",
                addresses=where,
                evidence=(f"issuer: {after.issuer}", f"valid until {after.not_after}", f"SHA-256 {fresh[:16]}…"),
            )
        lost = {name.lower() for name in before.names if not covers(after, name.lower())}
        if lost:
            shown = sorted(lost)
            more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
            yield Drift(
                kind="names",
                key=f"names:{','.join(shown[:8])}",
                severity="warning",
                text=f"certificate no longer covers {', '.join(shown[:4])}{more}",
                addresses=where,
                evidence=(f"SHA-256 {fresh[:16]}…",),
            )
        yield from _key(before.spki_sha256, after.spki_sha256, fresh, where, habits)


def _unexpected(new: Sighting, certificates: Certificates, habits: Habits) -> Iterator[Drift]:
    """A CA that nobody expects, though it may have been there from the beginning."""
    leaves = ((certificates.get(each.chain[0]), each.address) for each in new.served if each.chain)
    issuers = ((leaf.issuer, address) for leaf, address in leaves if leaf is not None and habits.expected)
    for issuer, addresses in _where(issuers).items():
        if not habits.expects(issuer) and authority(issuer) not in habits.authorities:
            yield Drift(
                kind="issuer",
                key=f"issuer:{authority(issuer)}",
                severity="warning",
                text=f"certificate from {authority(issuer)}; expected is {' or '.join(habits.expected[:3])}",
                addresses=addresses,
                evidence=(f"issuer: {issuer}",),
            )


def _key(was: str, is_now: str, leaf: str, addresses: tuple[str, ...], habits: Habits) -> Iterator[Drift]:
    """A habit is broken: a key that was always new was kept, or one always kept (it may be pinned) is new."""
    habit = [kept for each, kept in habits.keys if each != leaf]
    if not was or not is_now or len(habit) < _HABIT:
        return
    kept = was == is_now
    if kept and not any(habit):
        yield Drift(
            kind="key-kept",
            key=f"key-kept:{leaf[:16]}",
            severity="notice",
            text="renewed with the old key, unlike before",
            addresses=addresses,
            evidence=(f"SPKI SHA-256 {is_now[:16]}…",),
        )
    elif not kept and all(habit):
        yield Drift(
            kind="key-changed",
            key=f"key-changed:{leaf[:16]}",
            severity="warning",
            text="new key, where every renewal before kept it: what pins the key fails",
            addresses=addresses,
            evidence=(f"SPKI SHA-256 {is_now[:16]}… instead of {was[:16]}…",),
        )


def _settings(was: Served, is_now: Served) -> Iterator[Drift]:
    """What one address agrees to, asks for and gives; what either look left out is not compared."""
    if was.failed_stage is not None or is_now.failed_stage is not None:
        return
    yield from _versions(was, is_now)
    yield from _suites(was, is_now)
    if was.alpn != is_now.alpn:
        gone = was.alpn is not None
        yield Drift(
            kind="alpn",
            key=f"alpn:{is_now.alpn}",
            severity="warning" if gone else "notice",
            text=f"ALPN {is_now.alpn or 'no longer agreed'}"
            + (f" instead of {was.alpn}" if gone and is_now.alpn else ""),
            evidence=(f"before: {was.alpn or 'none'}",),
        )
    if was.client_auth is not None and is_now.client_auth is not None and was.client_auth != is_now.client_auth:
        is_grave = "required" in (was.client_auth, is_now.client_auth)
        yield Drift(
            kind="client-auth",
            key=f"client-auth:{is_now.client_auth}",
            severity="warning" if is_grave else "notice",
            text=f"client certificates are {_DEMANDS.get(is_now.client_auth, is_now.client_auth)}",
            evidence=(f"before: {_DEMANDS.get(was.client_auth, was.client_auth)}",),
        )
    for kind, before, after, text in (
        ("staple-lost", was.staple, is_now.staple, "no OCSP staple any more"),
        ("resumption-broken", was.resumes, is_now.resumes, "sessions are not resumed any more"),
        (
            "tickets-unshared",
            was.resumes_elsewhere,
            is_now.resumes_elsewhere,
            "addresses share no ticket keys any more",
        ),
    ):
        if before is True and after is False:
            yield Drift(kind=kind, key=kind, severity="warning", text=text)


def _versions(was: Served, is_now: Served) -> Iterator[Drift]:
    if was.versions is not None and is_now.versions is not None:
        gone = [each for each in was.versions if each not in is_now.versions]
        come = [each for each in is_now.versions if each not in was.versions and each in _OLD_VERSIONS]
        if gone:
            only_old = all(each in _OLD_VERSIONS for each in gone)
            yield Drift(
                kind="versions-gone",
                key=f"versions-gone:{','.join(gone)}",
                severity="notice" if only_old else "warning",
                text=f"{', '.join(gone)} no longer agreed",
                evidence=(f"before: {', '.join(was.versions)}",),
            )
        if come:
            yield Drift(
                kind="versions-weak",
                key=f"versions-weak:{','.join(come)}",
                severity="warning",
                text=f"{', '.join(come)} agreed now",
                evidence=(f"before: {', '.join(was.versions)}",),
            )
    elif was.version and is_now.version and is_now.version < was.version and was.version.startswith("TLS"):
        yield Drift(
            kind="version",
            key=f"version:{is_now.version}",
            severity="warning",
            text=f"current clients get {is_now.version} instead of {was.version}",
        )


def _suites(was: Served, is_now: Served) -> Iterator[Drift]:
    if was.suites is None or is_now.suites is None:
        return
    weak = [each for each in is_now.suites if each not in was.suites and _WEAK.search(each)]
    gone = [each for each in was.suites if each not in is_now.suites and not _WEAK.search(each)]
    if weak:
        yield Drift(
            kind="suites-weak",
            key=f"suites-weak:{','.join(weak[:8])}",
            severity="warning",
            text=f"weak suites agreed now: {', '.join(weak[:4])}",
        )
    if gone:
        yield Drift(
            kind="suites-gone",
            key=f"suites-gone:{','.join(gone[:8])}",
            severity="notice",
            text=f"suites no longer agreed: {', '.join(gone[:4])}"
            + (f" and {len(gone) - 4} more" if len(gone) > 4 else ""),
        )


def _extras(new: Sighting, certificates: Certificates, now: datetime) -> Iterator[Drift]:
    sent = ((extra, each.address) for each in new.served for extra in expired_extras(each.chain, certificates, now))
    for extra, addresses in _where(sent).items():
        yield Drift(
            kind="extra",
            key=f"extra:{extra[:16]}",
            severity="notice",
            text="an expired certificate is sent that nothing needs",
            addresses=addresses,
            evidence=(f"{certificates[extra].subject}, until {certificates[extra].not_after}",),
        )


def _second(new: Sighting, certificates: Certificates, now: datetime) -> Iterator[Drift]:
    """Certificates for another kind of key, which the thread of the usual one knows nothing of."""
    shown = ((chain[0], each.address) for each in new.served for chain in each.others if chain[0] in certificates)
    for leaf, addresses in _where(shown).items():
        step = step_by_time(certificates[leaf], now)
        if step is None:
            continue
        ends = certificates[leaf].not_after[:10]
        yield Drift(
            kind="second-certificate",
            key=f"second-certificate:{leaf[:16]}",
            severity="warning",
            text=f"the second certificate, for older clients, {'ended' if step == 'expired' else 'ends'} on {ends}",
            addresses=addresses,
            evidence=(f"{certificates[leaf].subject}, SHA-256 {leaf[:16]}",),
        )


def _where(found: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The addresses of each thing that was found at one."""
    at: dict[str, list[str]] = {}
    for thing, address in found:
        at.setdefault(thing, []).append(address)
    return {thing: tuple(sorted(addresses)) for thing, addresses in at.items()}


def slower(paces: Sequence[Pace]) -> Drift | None:
    """Is the newest day off the history of the days before it? By median and MAD, so that no odd day moves the line.

    A day is a whole one: what is slow at noon each day is in each day's median alike.
    """
    whole = statistics.median(pace.count for pace in paces) if paces else 0
    days = [pace for pace in paces if pace.count >= max(whole / 2, _LOOKS)]
    if len(days) <= _DAYS or days[-1] is not paces[-1]:
        return None
    history = [pace.median for pace in days[:-1]]
    usual = statistics.median(history)
    deviation = 1.4826 * statistics.median(abs(each - usual) for each in history)  # as a standard deviation
    last = days[-1].median
    if last <= usual + max(5 * deviation, usual / 2, _SLOWER_MS):
        return None
    return Drift(
        kind="slower",
        key="slower",
        severity="warning",
        text=f"handshakes take {last:.0f} ms instead of {usual:.0f} ms",
        evidence=(
            f"median of {days[-1].day:%Y-%m-%d}",
            f"{len(history)} days before it: {min(history):.0f} to {max(history):.0f} ms",
        ),
    )
