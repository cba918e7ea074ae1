"""Report → JSON → Report loses nothing, and the JSON is what the catalogue says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.catalogue import CATALOGUE
from probes.clients import FAMILIES
from probes.codec import SchemaError, from_json, iso, moment, to_json
from probes.model import (
    AlertReport,
    CertificateReport,
    ClientReport,
    EndpointReport,
    FindingReport,
    Gap,
    Report,
    Status,
    Target,
)
from tests.endpoints.schema import SCHEMA

texts = st.text(min_size=1, max_size=40)
codes = st.sampled_from(sorted(CATALOGUE))
names = st.sampled_from([family.name for family in FAMILIES])
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda m: m.replace(microsecond=0, tzinfo=UTC))
addresses = st.ip_addresses().map(str)
ms = st.none() | st.floats(0, 1e7)
maybe = st.none() | texts


def some(of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=most).map(tuple)


targets = st.builds(
    Target, host=texts, port=st.integers(1, 65535), server_name=maybe, starttls=st.none() | st.just("smtp")
)
certificates = st.builds(
    CertificateReport,
    subject=st.text(max_size=40),
    issuer=st.text(max_size=40),
    not_before=moments.map(iso),
    not_after=moments.map(iso),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    names=some(texts),
    spki_sha256=texts,
    serial=texts,
    authority_key_id=st.text(max_size=40),
    tbs_sha256=texts,
)
alerts = st.builds(
    AlertReport,
    sender=st.sampled_from(["server", "client"]),
    level=st.sampled_from(["warning", "fatal"]),
    code=st.integers(0, 255),
    name=texts,
)
endpoints = st.builds(
    EndpointReport,
    address=addresses,
    connected=st.booleans(),
    failed_stage=st.sampled_from(["tcp", "hello", "negotiation", "certificate", "client-auth", "finished", None]),
    timing_ms=st.fixed_dictionaries(dict.fromkeys(("dns", "tcp", "hello", "certificate", "finished"), ms)),
    version=maybe,
    cipher=maybe,
    group=maybe,
    alpn=maybe,
    alert=st.none() | alerts,
    chain=some(certificates),
    agreed_versions=some(texts),
    agreed_suites=some(texts),
)
findings = st.builds(
    FindingReport,
    code=codes,
    mode=st.integers(0, 8),
    severity=st.sampled_from(["critical", "warning", "notice"]),
    title=texts,
    explanation=texts,
    evidence=st.lists(texts, min_size=1, max_size=3).map(tuple),
    addresses=some(addresses),
    fails_for=some(names),
    fix=texts,
    next_command=texts,
    source=texts,
)
verdicts = st.one_of(
    st.builds(ClientReport, name=names, outcome=st.just("pass"), code=st.none()),
    st.builds(ClientReport, name=names, outcome=st.just("fail"), code=codes),
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    status: Status = draw(st.sampled_from(get_args(Status)))
    cause = None if status == "ok" else draw(codes)
    return Report(
        target=draw(targets),
        started_at=draw(moments),
        elapsed_ms=draw(st.floats(0, 1e6)),
        status=status,
        cause=cause,
        mode=CATALOGUE[cause].mode if cause else None,
        summary=draw(texts),
        findings=draw(some(findings)),
        gaps=draw(some(st.builds(Gap, what=texts, why=texts, addresses=some(addresses)))),
        clients=draw(some(verdicts)),
        endpoints=draw(some(endpoints)),
    )


@settings(deadline=None)
@given(reports())
def test_nothing_is_lost_on_the_way_through_json(report: Report) -> None:
    assert from_json(json.loads(json.dumps(to_json(report)))) == report


@settings(deadline=None)
@given(reports())
def test_the_json_is_the_catalogue_s(report: Report) -> None:
    jsonschema.validate(to_json(report), SCHEMA)


@settings(deadline=None)
@given(reports())
def test_fields_of_a_later_version_are_read_over(report: Report) -> None:
    data = to_json(report)
    data["followed_up"] = [{"kind": "text", "text": "…", "verified": True}]
    for each in (*data["findings"], *data["endpoints"], *data["clients"], *data["gaps"], data["target"]):
        each["added_later"] = {"nested": [1, 2]}
    assert from_json(json.loads(json.dumps(data))) == report


@settings(deadline=None)
@given(reports(), st.data())
def test_a_report_with_a_part_missing_is_refused_and_nothing_worse(report: Report, data: st.DataObject) -> None:
    torn = to_json(report)
    key = data.draw(st.sampled_from([k for k in torn if k not in {"schema", "repairs"}]))
    del torn[key]
    with pytest.raises(SchemaError):
        from_json(torn)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(list(SCHEMA["required"])),
        st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)),
    )
)
def test_json_that_is_no_report_is_refused_and_nothing_worse(data: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        from_json({**data, "schema": 1})


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema_is_refused_with_its_number(schema: object) -> None:
    with pytest.raises(SchemaError, match="schema"):
        from_json({"schema": schema})


@settings(deadline=None)
@given(moments)
def test_times_are_written_in_utc_to_the_second(when: datetime) -> None:
    assert moment(iso(when)) == when and iso(when).endswith("Z")
