"""Facts and a diagnosis → the report of the catalogue. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Literal

from probes.catalogue import CATALOGUE
from probes.clients import FAMILIES, Family
from probes.codec import iso
from probes.facts import Facts
from probes.glance import GAP
from probes.look import Look
from probes.model import (
    Alerted,
    AlertReport,
    CertificateReport,
    ClientReport,
    Diagnosis,
    EndpointReport,
    Finding,
    FindingReport,
    Gap,
    Handshake,
    Http3Report,
    OfferedReport,
    Outcome,
    Repair,
    Report,
    ResumptionReport,
    RevocationReport,
    Stage,
    Stalled,
    shown,
)
from probes.mtls import forbidding
from probes.pki.certificate import Certificate, parse
from probes.pki.der import Malformed, logged_tbs
from probes.pki.identity import accepted_names
from probes.pki.revocation import names_sources
from probes.resuming import Answer
from probes.rules import RULES
from probes.rules.renewal import dane_lines
from probes.rules.resumed import Resuming, key_name, resuming
from probes.standing import Source
from probes.wire.registry import alert_name, group_name, version_name
from probes.wire.suites import cipher_name

_SOURCE = {rule.code: rule.source for rule in RULES}
_MAX_NAMES = 100


def report(facts: Facts, diagnosis: Diagnosis, *, elapsed_ms: float) -> Report:
    """The report of one check; *elapsed_ms* is the check's wall time."""
    cause = diagnosis.cause
    clients, unjudged = _clients(facts)
    resumed = resuming(facts)
    return Report(
        target=facts.evidence.target,
        started_at=facts.evidence.taken_at,
        elapsed_ms=round(elapsed_ms, 1),
        status=diagnosis.status,
        cause=cause.code if cause else None,
        mode=CATALOGUE[cause.code].mode if cause else None,
        summary=diagnosis.summary,
        findings=tuple(map(_finding, diagnosis.findings)),
        gaps=(
            *facts.evidence.gaps,
            *_unlooked(facts),
            *_shed(facts),
            *_unreadable(facts),
            *_without_http3(facts),
            *_dane(facts),
            *(() if facts.evidence.light else _unasked(facts)),
            *_unidentified(facts),
            *_forbidden(facts),
            *((GAP,) if facts.evidence.light else unjudged),
            *(() if facts.evidence.light else _unresumed(resumed)),
        ),
        clients=clients,
        endpoints=tuple(_endpoint(facts, look, resumed) for look in facts.all_looks),
        repairs=_repairs(facts, diagnosis),
    )


def _repairs(facts: Facts, diagnosis: Diagnosis) -> tuple[Repair, ...]:
    if diagnosis.cause is None:
        return ()
    from probes.repairs import repairs  # a healthy endpoint's check is over before this would be read

    return repairs(facts, diagnosis)


def _finding(finding: Finding) -> FindingReport:
    entry = CATALOGUE[finding.code]
    return FindingReport(
        code=finding.code,
        mode=entry.mode,
        severity=finding.severity,
        title=entry.title,
        explanation=finding.explanation,
        evidence=finding.evidence,
        addresses=finding.addresses,
        fails_for=finding.fails_for,
        fix=finding.fix,
        next_command=finding.next_command,
        source=_SOURCE[finding.code],
    )


def _unlooked(facts: Facts) -> tuple[Gap, ...]:
    """Addresses that this prober itself could not reach: its own gap, never the target's fault."""
    return tuple(
        Gap(what="address", why=f"not probed: {_detail(look)}", addresses=(look.address,))
        for look in facts.all_looks
        if look.is_gap
    )


def _unreadable(facts: Facts) -> tuple[Gap, ...]:
    return tuple(
        Gap(
            what="certificate",
            why="the first certificate sent cannot be read, even tolerantly",
            addresses=(look.address,),
        )
        for look in facts.looks
        if look.chain and look.leaf is None
    )


def _unasked(facts: Facts) -> tuple[Gap, ...]:
    """The revocation sources that were not asked, or whose answers cannot be judged here."""
    chains = tuple(facts.chain(look, chain) for look in facts.looks for chain, _ in look.chains if names_sources(chain))
    return facts.standings.gaps(chains)


def _shed(facts: Facts) -> tuple[Gap, ...]:
    """A limit on simultaneous connections is no fault, but whoever reads the evidence should know of it."""
    return tuple(
        Gap(
            what="simultaneous connections",
            why=f"{look.shed} of a crowd of handshakes were dropped; asked more quietly the address answers",
            addresses=(look.address,),
        )
        for look in facts.looks
        if look.shed
    )


def _forbidden(facts: Facts) -> tuple[Gap, ...]:
    """A server that asks for a certificate and answers 403 may mean just that, or something else altogether."""
    if facts.evidence.identity is not None:
        return ()
    said = {look: answer for look in facts.looks if (answer := forbidding(look.handshakes)) is not None}
    return tuple(
        Gap(
            what="client certificate",
            why=f"asked for; without one the answer is HTTP {answer.status}: --client-cert tells if it is demanded",
            addresses=(look.address,),
        )
        for look, answer in said.items()
    )


_UNIDENTIFIED = {
    "unasked": "it was not asked for: the server takes none",
    "unsent": "it was asked for and not sent: its key signs by none of the schemes the server takes",
    "untold": "no handshake went far enough to show it",
}


def _unidentified(facts: Facts) -> tuple[Gap, ...]:
    """Where the client certificate that was given did not come to the test."""
    identity = facts.evidence.identity
    if identity is None:
        return ()
    by_reason: dict[str, list[str]] = {}
    for look in facts.looks:
        if look.presented is not None and look.presented.outcome in _UNIDENTIFIED:
            by_reason.setdefault(_UNIDENTIFIED[look.presented.outcome], []).append(look.address)
    what = f"client certificate {shown(identity.label)}"
    return tuple(Gap(what=what, why=why, addresses=tuple(at)) for why, at in by_reason.items())


def _dane(facts: Facts) -> tuple[Gap, ...]:
    """Mail that DANE stops is no failure of a handshake seen here, but nobody should have to find out by bounces."""
    by_reason: dict[str, list[str]] = {}
    for look in facts.looks:
        for line in dane_lines(facts, look.chain):
            by_reason.setdefault(line, []).append(look.address)
    return tuple(Gap(what="dane", why=why, addresses=tuple(at)) for why, at in by_reason.items())


def _without_http3(facts: Facts) -> tuple[Gap, ...]:
    """Asked for, HTTP/3 did not come about: browsers fall back to TCP, so it is no fault."""
    by_reason: dict[str, list[str]] = {}
    for seen in facts.evidence.quic:
        if seen.outcome != "completed":
            by_reason.setdefault(seen.detail or seen.outcome, []).append(seen.address)
    return tuple(Gap(what="http3", why=why, addresses=tuple(at)) for why, at in by_reason.items())


def _detail(look: Look) -> str:
    return getattr(look.handshakes[0].outcome, "detail", "") or "this prober cannot reach it"


# ── clients ─────────────────────────────────────────────────────────────────────


def _clients(facts: Facts) -> tuple[tuple[ClientReport, ...], tuple[Gap, ...]]:
    if facts.evidence.resolution.failure is not None:
        return tuple(ClientReport(name=f.name, outcome="fail", code="reach.dns") for f in FAMILIES), ()
    looks = _tried_by_clients(facts)
    judged = {family.name: _client(facts, family, looks) for family in FAMILIES}
    unknown = [name for name, client in judged.items() if client is None]
    gaps: tuple[Gap, ...] = ()
    if unknown and facts.looks:
        gaps = (Gap(what=f"clients: {', '.join(unknown)}", why="no handshake tells how they would fare"),)
    return tuple(client for client in judged.values() if client is not None), gaps


def _client(facts: Facts, family: Family, looks: tuple[Look, ...]) -> ClientReport | None:
    """Over all addresses: one that fails is enough, but an address that refuses TCP is passed over for the next."""
    verdicts = [verdict for look in looks if (verdict := facts.verdict(family, look)) is not None]
    if not verdicts:
        return None
    failed = next((verdict.code for verdict in verdicts if verdict.code is not None), None)
    return _fares(family.name, failed)


@lru_cache(maxsize=1024)
def _fares(name: str, code: str | None) -> ClientReport:
    return ClientReport(name=name, outcome="fail" if code else "pass", code=code)


def _tried_by_clients(facts: Facts) -> tuple[Look, ...]:
    return tuple(look for look in facts.looks if look.connected) or facts.looks


# ── endpoints ───────────────────────────────────────────────────────────────────


def _endpoint(facts: Facts, look: Look, resumed: tuple[Resuming, ...]) -> EndpointReport:
    seen = look.best or next(iter(look.current), None) or look.handshakes[0]
    fault = facts.fault(look)
    return EndpointReport(
        address=look.address,
        connected=look.connected,
        failed_stage=_failed_stage(look, fault),
        timing_ms=_timing(facts, seen),
        version=version_name(seen.version) if seen.version is not None else None,
        cipher=cipher_name(seen.cipher) if seen.cipher is not None else None,
        group=group_name(seen.group) if seen.group is not None else None,
        alpn=seen.alpn,
        alert=_alert(look),
        chain=tuple(_certificate(der) for der in look.chain),
        other_chains=tuple(tuple(_certificate(der) for der in chain) for chain in look.second_chains),
        offered=_offered(facts, look),
        http3=_http3(facts, look),
        agreed_versions=tuple(map(version_name, sorted({each.version for each in look.agreed if each.version}))),
        agreed_suites=tuple(sorted({cipher_name(each.cipher) for each in look.agreed if each.cipher is not None})),
        revocation=_revocation(facts, look),
        resumption=_resumption(tuple(each for each in resumed if each.look is look)),
        samples=len(look.samples),
        client_auth=look.client_auth,
        ca_names=tuple(dict.fromkeys(name for asked in look.certificate_requests for name in accepted_names(asked))),
    )


def _resumption(resumed: tuple[Resuming, ...]) -> dict[str, ResumptionReport]:
    """Version by version; tickets of all versions are sealed with the same keys."""
    name = key_name(tuple(session for each in resumed for session in each.sessions))
    return {
        version_name(each.version): ResumptionReport(
            offered=bool(each.sessions),
            honoured=_honours((each.here,)),
            lifetime_s=max((session.lifetime_s for session in each.sessions), default=0) or None,
            max_early_data=max((session.max_early_data for session in each.sessions), default=0) or None,
            key_name=name,
            honoured_elsewhere=_honours(each.elsewhere),
        )
        for each in resumed
    }


def _honours(tried: tuple[Answer | None, ...]) -> bool | None:
    """Every time; None: not tried."""
    told = [answer for answer in tried if answer is not None]
    return all(not answer.refused and not answer.failed for answer in told) if told else None


def _unresumed(resumed: tuple[Resuming, ...]) -> tuple[Gap, ...]:
    """Sessions that no connection was left for to try them."""
    at = tuple(dict.fromkeys(each.look.address for each in resumed if each.sessions and each.here is None))
    return (Gap(what="resumption", why="sessions were given and not tried", addresses=at),) if at else ()


def _revocation(facts: Facts, look: Look) -> tuple[RevocationReport, ...]:
    """Every source of revocation status there is here; a staple that the certificate demands and lacks, too."""
    found: dict[Source, None] = {}
    bare: list[RevocationReport] = []
    for chain, _ in look.chains:
        known = facts.chain(look, chain)
        found.update(dict.fromkeys((*facts.standings.staples(look, known), *facts.standings.asked(known))))
        if known.leaf is not None and facts.standings.unstapled(look, known):
            bare.append(_sourced("staple", "missing", known.leaf))
    told = (_sourced(each.kind, each.outcome, each.certificate, each.url, each.samples_ms) for each in found)
    return (*bare, *told)


def _sourced(
    kind: Literal["staple", "ocsp", "crl"],
    outcome: str,
    certificate: Certificate,
    url: str = "",
    samples_ms: tuple[float | None, ...] = (),
) -> RevocationReport:
    return RevocationReport(
        kind=kind, url=shown(url, 400), samples_ms=samples_ms, outcome=outcome, certificate=certificate.sha256
    )


def _offered(facts: Facts, look: Look) -> OfferedReport | None:
    """What was enumerated here, by name."""
    place = (look.endpoint.address, look.endpoint.port)
    found = next((each for each in facts.evidence.enumerated if (each.address, each.port) == place), None)
    if found is None:
        return None
    by_version = {version_name(version): tuple(map(cipher_name, suites)) for version, suites in found.suites}
    return OfferedReport(
        versions=tuple(map(version_name, found.versions)),
        suites=tuple(dict.fromkeys(name for names in by_version.values() for name in names)),
        groups=tuple(map(group_name, found.groups)),
        by_version=by_version,
        server_order=found.server_order,
    )


def _http3(facts: Facts, look: Look) -> Http3Report | None:
    seen = next((each for each in facts.evidence.quic if each.address == look.address), None)
    if seen is None:
        return None
    return Http3Report(
        outcome=seen.outcome,
        port=seen.port,
        detail=seen.detail,
        alpn=seen.alpn,
        elapsed_ms=seen.elapsed_ms,
        same_certificate=seen.certificates[0] == look.chain[0] if seen.certificates and look.chain else None,
    )


def _timing(facts: Facts, seen: Handshake) -> dict[str, float | None]:
    """Milliseconds since the check of this address began, DNS included; None: that stage was not reached."""
    dns = facts.evidence.resolution.elapsed_ms
    timing = seen.timing
    stages = {
        "tcp": timing.tcp,
        "hello": timing.server_hello if timing.server_hello is not None else timing.first_byte,
        "certificate": timing.certificate,
        "finished": timing.finished,
    }
    later = {name: None if value is None else round(dns + value, 1) for name, value in stages.items()}
    return {"dns": round(dns, 1), **later}


_STAGES: dict[str, Stage] = {
    "reach.dns": "tcp",
    "reach.refused": "tcp",
    "reach.timeout": "tcp",
    "reach.unreachable": "tcp",
    "sni.unrecognized": "hello",
    "reach": "hello",
    "negotiation": "negotiation",
    "mtls": "client-auth",
}


def _failed_stage(look: Look, fault: str | None) -> Stage | None:
    if look.is_gap:
        return "tcp"
    if fault is None:
        return None
    if fault == "reach.stalled" and look.obstacle is not None:
        return _stalled_stage(look.obstacle.witnesses[-1].outcome)
    return _STAGES.get(fault) or _STAGES.get(fault.partition(".")[0]) or "certificate"


def _stalled_stage(outcome: Outcome) -> Stage:
    if not isinstance(outcome, Stalled) or outcome.awaiting == "server_hello":
        return "hello"
    return "finished" if outcome.awaiting == "finished" else "certificate"


def _refused_for_identity(look: Look) -> tuple[Handshake, ...]:
    """The exchanges that ended over the client certificate: ours where one was shown, else for lack of one."""
    ours = look.presented.witnesses if look.presented is not None else ()
    return ours or (look.refused_without_certificate if look.client_auth_fault else ())


def _alert(look: Look) -> AlertReport | None:
    failed = look.obstacle.witnesses if look.obstacle else _refused_for_identity(look)
    for shake in failed:
        if isinstance(shake.outcome, Alerted):
            code, level = shake.outcome.code, shake.outcome.level
            return AlertReport(
                sender="server", level="fatal" if level == 2 else "warning", code=code, name=alert_name(code)
            )
    return None


@lru_cache(maxsize=1024)  # the intermediates of a sweep are always the same few; leaves come again with each look
def _certificate(der: bytes) -> CertificateReport:
    parsed = parse(der)
    if not isinstance(parsed, Certificate):
        digest = hashlib.sha256(der).hexdigest()
        return CertificateReport(subject="(unreadable)", issuer="", not_before="", not_after="", sha256=digest)
    named = [*parsed.dns_names, *map(str, parsed.ip_addresses)]
    try:
        tbs = hashlib.sha256(logged_tbs(der)).hexdigest()
    except Malformed:
        tbs = ""
    return CertificateReport(
        subject=shown(parsed.subject, 400),
        issuer=shown(parsed.issuer, 400),
        not_before=iso(parsed.not_before),
        not_after=iso(parsed.not_after),
        sha256=parsed.sha256,
        names=tuple(shown(name, 255) for name in named[:_MAX_NAMES]),
        spki_sha256=parsed.spki_sha256,
        serial=f"{parsed.serial:x}",
        authority_key_id=(parsed.extensions.aki or b"").hex(),
        tbs_sha256=tbs,
    )
