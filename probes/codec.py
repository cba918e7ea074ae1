"""Report ↔ JSON, the schema of the catalogue, without loss. Pure.

Unknown fields are ignored on reading, so that an older program reads a newer report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from probes.model import (
    AlertReport,
    CertificateReport,
    ClientReport,
    EndpointReport,
    FindingReport,
    Gap,
    Http3Report,
    OfferedReport,
    Repair,
    Report,
    ResumptionReport,
    RevocationReport,
    Target,
)

JsonObject = dict[str, Any]


class SchemaError(ValueError):
    """The JSON is not a report of a schema this program knows."""


def iso(moment: datetime) -> str:
    """*moment* as the catalogue writes times: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The time an `iso` text names."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def to_json(report: Report) -> JsonObject:
    """The report as the catalogue specifies it; every value is a JSON type."""
    return {
        "schema": report.schema,
        "target": asdict(report.target),
        "started_at": iso(report.started_at),
        "elapsed_ms": report.elapsed_ms,
        "status": report.status,
        "cause": report.cause,
        "mode": report.mode,
        "summary": report.summary,
        "findings": [_listed(asdict(finding)) for finding in report.findings],
        "gaps": [_listed(asdict(gap)) for gap in report.gaps],
        "clients": [asdict(client) for client in report.clients],
        "endpoints": [_endpoint_json(endpoint) for endpoint in report.endpoints],
        "repairs": [asdict(repair) for repair in report.repairs],
    }


def _listed(fields: JsonObject) -> JsonObject:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _endpoint_json(endpoint: EndpointReport) -> JsonObject:
    fields = _listed(asdict(endpoint))
    fields["chain"] = [_listed(asdict(certificate)) for certificate in endpoint.chain]
    fields["other_chains"] = [[_listed(asdict(each)) for each in chain] for chain in endpoint.other_chains]
    fields["revocation"] = [_listed(asdict(source)) for source in endpoint.revocation]
    if endpoint.offered is not None:
        by_version = {version: list(suites) for version, suites in endpoint.offered.by_version.items()}
        fields["offered"] = {**_listed(asdict(endpoint.offered)), "by_version": by_version}
    if endpoint.alert is not None:
        alert = endpoint.alert
        fields["alert"] = {"from": alert.sender, "level": alert.level, "code": alert.code, "name": alert.name}
    return fields


def from_json(data: JsonObject) -> Report:
    """The report *data* holds. Raises SchemaError when it is none."""
    if data.get("schema") != 1:
        raise SchemaError(f"report schema {data.get('schema')!r} is not known; this program reads schema 1")
    try:
        return Report(
            target=Target(**_known(Target, data["target"])),
            started_at=moment(data["started_at"]),
            elapsed_ms=data["elapsed_ms"],
            status=data["status"],
            cause=data["cause"],
            mode=data["mode"],
            summary=data["summary"],
            findings=tuple(FindingReport(**_tupled(FindingReport, item)) for item in data["findings"]),
            gaps=tuple(Gap(**_tupled(Gap, item)) for item in data["gaps"]),
            clients=tuple(ClientReport(**_known(ClientReport, item)) for item in data["clients"]),
            endpoints=tuple(_endpoint(item) for item in data["endpoints"]),
            repairs=tuple(Repair(**_known(Repair, item)) for item in data.get("repairs", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(f"not a report: {error}") from error


def _endpoint(data: JsonObject) -> EndpointReport:
    fields = _tupled(EndpointReport, data)
    fields["revocation"] = tuple(
        RevocationReport(**_tupled(RevocationReport, item)) for item in data.get("revocation", ())
    )
    fields["resumption"] = {
        version: ResumptionReport(**_known(ResumptionReport, item))
        for version, item in data.get("resumption", {}).items()
    }
    if data.get("offered") is not None:
        by_version = {version: tuple(suites) for version, suites in data["offered"].get("by_version", {}).items()}
        fields["offered"] = OfferedReport(**{**_tupled(OfferedReport, data["offered"]), "by_version": by_version})
    fields["chain"] = _chain(data.get("chain", ()))
    fields["other_chains"] = tuple(map(_chain, data.get("other_chains", ())))
    if data.get("http3") is not None:
        fields["http3"] = Http3Report(**_known(Http3Report, data["http3"]))
    alert = data.get("alert")
    if alert is not None:
        fields["alert"] = AlertReport(
            sender=alert["from"], level=alert["level"], code=alert["code"], name=alert["name"]
        )
    return EndpointReport(**fields)


def _chain(items: Sequence[JsonObject]) -> tuple[CertificateReport, ...]:
    return tuple(CertificateReport(**_tupled(CertificateReport, item)) for item in items)


def _known(cls: type, data: JsonObject) -> JsonObject:
    names: tuple[str, ...] = tuple(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    return {name: data[name] for name in names if name in data}


def _tupled(cls: type, data: JsonObject) -> JsonObject:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in _known(cls, data).items()}
