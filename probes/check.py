"""`check(target, options) -> Report`: resolve, survey, fetch what would repair, judge. One deadline for it all.

The far end's failures are values all the way; what raises here is the user's mistake
(`EgressRefused`) or our own.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from probes import plan
from probes.diagnose import judge
from probes.enumerate import enumerate_all
from probes.facts import Facts, anchors
from probes.glance import glance
from probes.model import (
    Endpoint,
    Evidence,
    Fetched,
    Gap,
    Handshake,
    Offer,
    Report,
    Resolution,
    ResolutionFailure,
    Target,
    Trust,
    UsageError,
)
from probes.net.clock import witnesses
from probes.net.dns_records import MAIL_PORTS, caa, tlsa
from probes.net.egress import Permit, refusal
from probes.net.fetch import fetch_issuer
from probes.net.h2 import Route, misdirections
from probes.net.handshake import begun
from probes.net.http import http3_port
from probes.net.http3 import knock
from probes.net.resolve import resolve
from probes.net.revocation import Inquiry
from probes.net.system import System
from probes.observed import Published, Quic
from probes.pki.certificate import Certificate
from probes.pki.credential import Credential
from probes.pki.judge import ChainFacts, assess
from probes.pki.revocation import names_sources, questions
from probes.pki.views import MODERN
from probes.report import report
from probes.rules.validity_expiring import is_due
from probes.survey import MAX_ADDRESSES, resume, sample, survey
from probes.values import changed, value

Override = tuple[str, ...] | ResolutionFailure
PATIENCE_S = 2.5  # an endpoint that is silent this long is judged so (catalogue, `--timeout`)
AS_CURRENT = frozenset({"modern", "small", "http", "alone"})  # the hellos whose chains current clients are shown
_AIA_ROUNDS = 3  # leaf's issuer, its issuer, and one more: longer chains are not seen in the wild
_PEM = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.S)


class EgressRefused(UsageError):
    """Policy forbids every address of the target."""


@value
class Options:
    """How to check. `permit` None permits everything (the command line); overrides are curl's `--resolve`."""

    trust: Trust
    permit: Permit | None = None
    overrides: Mapping[tuple[str, int], Override] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    resolver: Endpoint | None = None
    origin: Endpoint | None = None
    timeout_s: float = 10.0
    patience_s: float = PATIENCE_S
    identity: Credential | None = None  # shown to servers that ask for a client certificate
    ntp: Endpoint | None = None  # asked only when a clock is in doubt
    enumerate: bool = False  # all versions, suites and groups, not only what clients need
    http3: bool = False  # try QUIC as well
    light: bool = False  # three handshakes an address (`probes.glance`)


def ders(pem: str) -> tuple[bytes, ...]:
    """The certificates of a PEM bundle. Raises UsageError when it holds none."""
    try:
        found = tuple(base64.b64decode(body) for body in _PEM.findall(pem))
    except ValueError as error:
        raise UsageError(f"I read a PEM file whose base64 is broken: {error}.") from None
    if not found:
        raise UsageError("I read a file without a certificate. It must be PEM: “-----BEGIN CERTIFICATE-----”.")
    return found


@lru_cache(maxsize=1)
def _mozilla() -> tuple[tuple[bytes, ...], str]:
    import certifi

    return ders(Path(certifi.where()).read_text(encoding="ascii")), f"certifi {certifi.__version__}"


def default_trust(added: tuple[bytes, ...] = ()) -> Trust:
    """Mozilla's roots as certifi ships them, and *added* (DER) beside them."""
    roots, name = _mozilla()
    return Trust(default=roots, default_name=name, added=added)


async def check(target: Target, options: Options, *, on_progress: Callable[[str], None] | None = None) -> Report:
    """Look at *target* and name the cause, within `options.timeout_s`. Raises UsageError alone."""
    loop = asyncio.get_running_loop()
    started, taken_at = loop.time(), datetime.now(UTC)
    deadline = started + options.timeout_s
    tell = on_progress or (lambda _: None)
    tell(f"resolving {target.host}")
    resolution = await _resolution(target, options, deadline)
    endpoints, gaps = _permitted(target, resolution.addresses, options.permit)
    evidence = Evidence(
        target=target,
        taken_at=taken_at,
        trust=options.trust,
        resolution=resolution,
        origin=options.origin,
        identity=options.identity.identity if options.identity is not None else None,
        gaps=gaps,
    )
    facts = await _looked_at(evidence, endpoints, options, deadline, tell)
    tell("judging")
    return report(facts, judge(facts), elapsed_ms=(loop.time() - started) * 1000)


async def _resolution(target: Target, options: Options, deadline: float) -> Resolution:
    if options.addresses:
        return Resolution(addresses=options.addresses, source="--ip")
    return await resolve(
        target.host, target.port, overrides=options.overrides, resolver=options.resolver, deadline=deadline
    )


def _permitted(
    target: Target, addresses: tuple[str, ...], permit: Permit | None
) -> tuple[tuple[Endpoint, ...], tuple[Gap, ...]]:
    """The endpoints that may be connected to, and a gap for each that may not."""
    endpoints = tuple(Endpoint(address=address, port=target.port) for address in dict.fromkeys(addresses))
    refused = {e: why for e in endpoints if (why := refusal(permit, e.address, e.port)) is not None}
    if endpoints and len(refused) == len(endpoints):
        first = next(iter(refused))
        raise EgressRefused(
            f"I did not connect to {target}: {refused[first]}. Whoever runs this bot can allow it with EGRESS_ALLOW."
        )
    gaps = tuple(Gap(what="address", why=f"not probed: {why}", addresses=(e.address,)) for e, why in refused.items())
    return tuple(e for e in endpoints if e not in refused), gaps


async def _looked_at(
    evidence: Evidence,
    endpoints: tuple[Endpoint, ...],
    options: Options,
    deadline: float,
    tell: Callable[[str], None],
) -> Facts:
    """Everything there is to see; revocation is asked from the first chain on, beside the handshakes."""
    async with asyncio.TaskGroup() as group:
        inquiry = Inquiry(
            group,
            permit=options.permit,
            overrides=options.overrides,
            resolver=options.resolver,
            deadline=deadline,
        )
        if endpoints:
            tell(f"probing {len(endpoints)} address{'es' if len(endpoints) > 1 else ''}")
            evidence = await _surveyed(evidence, endpoints, options, deadline, tell, inquiry)
        facts = await _with_issuers(Facts(evidence), options, deadline, tell)
        facts = facts if options.light else await _with_statuses(facts, inquiry, tell)
    return await _with_records(await _with_clocks(facts, options, deadline), options, deadline)


async def _with_records(facts: Facts, options: Options, deadline: float) -> Facts:
    """CAA where a renewal is overdue, TLSA for mail. Only names that DNS gave are asked about in DNS."""
    target, resolution = facts.evidence.target, facts.evidence.resolution
    if target.is_ip or options.light or not resolution.source.startswith("DNS ") or not facts.looks:
        return facts
    servers = (options.resolver,) if options.resolver else System.read().nameservers
    leaves = [look.leaf for look in facts.looks if look.leaf is not None]
    asked: list[Awaitable[Published]] = []
    if any(facts.now > leaf.not_after or is_due(leaf, facts.now) or leaf.is_self_issued for leaf in leaves):
        asked.append(caa(target.server_name or target.host, servers, deadline))
    if leaves and (target.starttls == "smtp" or target.port in MAIL_PORTS):
        asked.append(tlsa(target.host, target.port, servers, deadline))
    found = await asyncio.gather(*asked)
    return Facts(changed(facts.evidence, published=tuple(found))) if found else facts


async def _with_clocks(facts: Facts, options: Options, deadline: float) -> Facts:
    """Ask about this prober's own clock where it and the far end, or a certificate, do not agree."""
    doubted = any(facts.skews(look) or (look.chain and facts.time_fault(look.chain)) for look in facts.looks)
    if not doubted:
        return facts
    clocks = await witnesses(options.ntp, permit=options.permit, deadline=deadline)
    return Facts(changed(facts.evidence, clocks=clocks)) if clocks else facts


async def _surveyed(
    evidence: Evidence,
    endpoints: tuple[Endpoint, ...],
    options: Options,
    deadline: float,
    tell: Callable[[str], None],
    inquiry: Inquiry,
) -> Evidence:
    signer = options.identity.signer() if options.identity is not None else None

    def one(endpoint: Endpoint, offer: Offer, crowd: int) -> Awaitable[Handshake]:
        return begun(
            endpoint,
            offer,
            permit=options.permit,
            deadline=deadline,
            patience_s=options.patience_s,
            crowd=crowd,
            identity=signer,
            then=None if options.light or offer.purpose not in AS_CURRENT else ask,
        )

    def ask(seen: Handshake) -> None:
        _ask_about(seen, evidence, inquiry)

    origin = options.origin
    asked = endpoints if origin is None or origin in endpoints else (*endpoints, origin)
    if options.light:
        return changed(evidence, light=True, handshakes=await glance(evidence.target, asked, shake=one))
    seen = await survey(evidence.target, asked, shake=one, on_progress=tell, identify=signer is not None)
    at_addresses = tuple(each for each in seen.handshakes if each.endpoint in endpoints)
    half = max(1, plan.crowd(evidence.target) // 2)  # two of a kind share what an address bears
    repeated, resumed, misdirected = await asyncio.gather(
        sample(evidence.target, at_addresses, shake=one, at_once=half),
        resume(at_addresses, shake=one, at_once=half),
        misdirections(at_addresses, _route(evidence, options, deadline)),
    )
    evidence = changed(
        evidence,
        handshakes=(*seen.handshakes, *repeated, *resumed),
        misdirections=misdirected,
        gaps=(*evidence.gaps, *seen.gaps),
    )
    if options.http3:
        tell("trying HTTP/3")
        evidence = changed(evidence, quic=await _knocked(evidence, endpoints, options, deadline))
    if not options.enumerate:
        return evidence
    tell("enumerating versions, suites and groups")
    found, gaps = await enumerate_all(evidence.target, at_addresses, shake=one)
    return changed(evidence, enumerated=found, gaps=(*evidence.gaps, *gaps))


def _route(evidence: Evidence, options: Options, deadline: float) -> Route:
    return Route(
        target=evidence.target,
        resolution=evidence.resolution,
        overrides=options.overrides,
        resolver=options.resolver,
        permit=options.permit,
        deadline=deadline,
    )


async def _knocked(
    evidence: Evidence, endpoints: tuple[Endpoint, ...], options: Options, deadline: float
) -> tuple[Quic, ...]:
    """QUIC at the port that Alt-Svc names at each address, else at the target's own."""
    return tuple(
        await asyncio.gather(
            *(
                knock(
                    changed(each, port=http3_port(evidence.handshakes, each) or each.port),
                    evidence.target.server_name,
                    permit=options.permit,
                    deadline=deadline,
                    patience_s=options.patience_s,
                )
                for each in endpoints[:MAX_ADDRESSES]
            )
        )
    )


def _ask_about(seen: Handshake, evidence: Evidence, inquiry: Inquiry) -> None:
    """Ask about a chain as soon as it is here, if it says whom to ask."""
    if not names_sources(seen.certificates):
        return
    host = evidence.target.server_name or evidence.target.host
    store = anchors(evidence.trust)
    second = evidence.taken_at.replace(microsecond=0)
    inquiry.ask(questions(assess(seen.certificates, host, store, second, extra=(), view=MODERN)).questions)


async def _with_statuses(facts: Facts, inquiry: Inquiry, tell: Callable[[str], None]) -> Facts:
    """The answers of all sources; those of chains whose issuer had to be fetched are asked only now."""
    for look in facts.looks:
        for chain, _ in look.chains:
            if names_sources(chain):
                inquiry.ask(questions(facts.chain(look, chain)).questions)
    if inquiry.asking:
        tell("waiting for OCSP responders and CRLs")
    answers = await inquiry.answers()
    return Facts(changed(facts.evidence, statuses=answers)) if answers else facts


async def _with_issuers(facts: Facts, options: Options, deadline: float, tell: Callable[[str], None]) -> Facts:
    """Fetch the issuers that no chain brings, only to tell what would repair it (RFC 5280 section 4.2.2.1)."""
    tried: set[str] = set()
    for _ in range(_AIA_ROUNDS):
        urls = _wanted(facts) - tried
        if not urls:
            break
        tell("fetching missing issuers")
        tried |= urls
        fetched: list[Fetched] = await asyncio.gather(
            *(
                fetch_issuer(
                    url,
                    permit=options.permit,
                    overrides=options.overrides,
                    resolver=options.resolver,
                    deadline=deadline,
                )
                for url in sorted(urls)[:4]
            )
        )
        evidence = facts.evidence
        facts = Facts(changed(evidence, fetched=(*evidence.fetched, *fetched)))
    return facts


def _wanted(facts: Facts) -> set[str]:
    """The caIssuers URLs of the certificates whose issuer is still missing, or was sent and is out of its time."""
    looks = [*facts.looks, *([facts.origin] if facts.origin else [])]
    known = [facts.chain(look, chain) for look in looks for chain, _ in look.chains]
    below = (_below_the_gap(each) for each in known if not each.leaf_self_signed)
    return {url for certificate in below if certificate is not None for url in certificate.ca_issuers[:2]}


def _below_the_gap(known: ChainFacts) -> Certificate | None:
    """The certificate whose issuer would complete the chain."""
    if not known.reaches_anchor:
        return known.top
    best = known.best
    if best is None or known.sound is not None:
        return None
    outdated = (fault.depth for fault in best.faults if fault.depth > 0 and fault.kind in {"expired", "not_yet_valid"})
    lowest = min(outdated, default=None)
    return None if lowest is None else best.certificates[lowest - 1]
