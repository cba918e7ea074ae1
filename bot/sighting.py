"""What one look at an endpoint saw, small enough to keep for years: two looks that saw the same are equal. Pure.

Times and random things stay out of a `Sighting`: how long a handshake took is kept beside it (`Look.ms`), and a ticket
key's name, which rotates, only as whether the addresses share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from probes.model import CertificateReport, EndpointReport, Report, Stage, Status

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["light", "full"]
_STAGES = ("finished", "certificate", "hello")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One address, as it was seen. `chain`: SHA-256 of each certificate as sent, leaf first, in hex.

    None is "not looked at", never "no": a light look leaves out what is None there.
    """

    address: str
    failed_stage: Stage | None
    chain: tuple[str, ...] = ()
    others: tuple[tuple[str, ...], ...] = ()  # chains for another kind of key, which a full look sees alone
    version: str | None = None
    alpn: str | None = None
    client_auth: str | None = None
    staple: bool | None = None
    resumes: bool | None = None  # a session is honoured at the same address, in each version that offers one
    resumes_elsewhere: bool | None = None
    versions: tuple[str, ...] | None = None  # agreed to, oldest first
    suites: tuple[str, ...] | None = None

    @property
    def digests(self) -> frozenset[str]:
        """Of every certificate that was shown."""
        return frozenset(self.chain).union(*self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A whole look. `served` is sorted by address; `fails_for`: client families that do not get through."""

    kind: Kind
    status: Status
    cause: str | None
    served: tuple[Served, ...]
    findings: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # code, severity, addresses
    fails_for: tuple[str, ...] = ()


def sighting_of(report: Report, *, kind: Kind) -> Sighting:
    """What *report* saw, without what changes from look to look by itself."""
    return Sighting(
        kind=kind,
        status=report.status,
        cause=report.cause,
        served=tuple(sorted((_served(one, kind) for one in report.endpoints), key=lambda one: one.address)),
        findings=tuple(sorted((one.code, one.severity, tuple(sorted(one.addresses))) for one in report.findings)),
        fails_for=tuple(client.name for client in report.clients if client.outcome == "fail"),
    )


def handshake_ms(report: Report) -> dict[str, float]:
    """How long the reference handshake took at each address, without DNS: until it was finished or, where it was not
    taken so far (a light look's), until the last stage that it reached. Compare looks of one kind alone."""
    times = {}
    for endpoint in report.endpoints:
        reached = [took for stage in _STAGES if (took := endpoint.timing_ms.get(stage)) is not None]
        if reached:
            times[endpoint.address] = round(reached[0] - (endpoint.timing_ms.get("dns") or 0.0), 1)
    return times


def to_json(sighting: Sighting) -> Json:
    """As it is stored: what is None or empty is left out."""
    plain = asdict(sighting)
    plain["served"] = [{name: each for name, each in one.items() if each not in (None, ())} for one in plain["served"]]
    return plain


def from_json(plain: Json) -> Sighting:
    return Sighting(
        kind=plain["kind"],
        status=plain["status"],
        cause=plain["cause"],
        served=tuple(_served_of(one) for one in plain["served"]),
        findings=tuple((code, severity, tuple(addresses)) for code, severity, addresses in plain["findings"]),
        fails_for=tuple(plain["fails_for"]),
    )


def as_it_was(seen: Sighting, certificates: Mapping[str, CertificateReport], now: Report) -> Report:
    """The report of that look, as far as it is remembered. What is not is taken as it is *now*, so that comparing the
    two tells what was seen to be different, and nothing else."""
    known = {one.address: one for one in now.endpoints}
    return replace(
        now,
        status=seen.status,
        cause=seen.cause,
        mode=None,
        summary="",
        findings=(),
        clients=(),
        repairs=(),
        endpoints=tuple(_as_it_was(one, certificates, known.get(one.address)) for one in seen.served),
    )


def _as_it_was(
    one: Served, certificates: Mapping[str, CertificateReport], now: EndpointReport | None
) -> EndpointReport:
    blank = EndpointReport(address=one.address, connected=True, failed_stage=None, timing_ms={})
    chain = tuple(certificates[digest] for digest in one.chain if digest in certificates)
    is_whole = bool(chain) and len(chain) == len(one.chain)
    known = now or blank
    return replace(
        known,
        connected=one.failed_stage != "tcp",
        failed_stage=one.failed_stage,
        alert=None,
        version=one.version or known.version,
        alpn=one.alpn or known.alpn,
        chain=chain if is_whole else known.chain,
        agreed_versions=one.versions if one.versions is not None else known.agreed_versions,
    )


def _served_of(plain: Json) -> Served:
    fields: Json = {"failed_stage": None} | plain
    for name in ("chain", "versions", "suites"):
        if name in fields:
            fields[name] = tuple(fields[name])
    fields["others"] = tuple(map(tuple, fields.get("others", ())))
    return Served(**fields)


def _served(endpoint: EndpointReport, kind: Kind) -> Served:
    is_full = kind == "full"
    tried = [one for one in endpoint.resumption.values() if one.offered]
    here = [one.honoured for one in tried if one.honoured is not None]
    there = [one.honoured_elsewhere for one in tried if one.honoured_elsewhere is not None]
    offered = endpoint.offered
    return Served(
        address=endpoint.address,
        failed_stage=endpoint.failed_stage,
        chain=tuple(certificate.sha256 for certificate in endpoint.chain),
        others=tuple(tuple(each.sha256 for each in chain) for chain in endpoint.other_chains) if is_full else (),
        version=endpoint.version,
        alpn=endpoint.alpn,
        client_auth=endpoint.client_auth,
        staple=any(one.kind == "staple" for one in endpoint.revocation) if is_full and endpoint.chain else None,
        resumes=all(here) if here else None,
        resumes_elsewhere=all(there) if there else None,
        versions=(offered.versions if offered is not None else endpoint.agreed_versions) if is_full else None,
        suites=(offered.suites if offered is not None else endpoint.agreed_suites) if is_full else None,
    )
