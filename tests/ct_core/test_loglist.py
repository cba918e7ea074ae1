"""The list of logs: what is followed and why, and that no entry of it spoils the others."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.ct.loglist import BadList, changes, parse_log_list, watchable

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SINCE = "2026-01-01T00:00:00Z"


def entry(name: str, state: str = "usable", **changed: Any) -> dict[str, Any]:
    key = name.encode()
    said: dict[str, Any] = {"timestamp": SINCE}
    if state == "readonly":
        said["final_tree_head"] = {"tree_size": 77, "sha256_root_hash": b64encode(b"\x07" * 32).decode()}
    return {
        "description": name,
        "log_id": b64encode(sha256(key).digest()).decode(),
        "key": b64encode(key).decode(),
        "url": f"https://{name}.test/2026h2/",
        "mmd": 86400,
        "state": {state: said},
        "temporal_interval": {"start_inclusive": "2026-07-01T00:00:00Z", "end_exclusive": "2027-01-01T00:00:00Z"},
        **changed,
    }


def tiled(name: str, **changed: Any) -> dict[str, Any]:
    made = entry(name, **changed)
    del made["url"]
    return made | {
        "submission_url": f"https://{name}.test/2026h2/",
        "monitoring_url": f"https://mon.{name}.test",
        "mmd": 60,
    }


def listed(*logs: Any, tiled_logs: Any = (), **changed: Any) -> bytes:
    operator = {"name": "Operator", "email": [], "logs": list(logs), "tiled_logs": list(tiled_logs)}
    return json.dumps({"version": "80.1", "log_list_timestamp": SINCE, "operators": [operator], **changed}).encode()


def test_both_kinds_of_log() -> None:
    read = parse_log_list(listed(entry("old"), tiled_logs=[tiled("new")]))
    assert (read.version, read.timestamp, read.problems) == ("80.1", datetime(2026, 1, 1, tzinfo=UTC), ())
    old, new = read.logs
    assert (old.kind, old.url, old.origin, old.mmd_s) == ("rfc6962", "https://old.test/2026h2/", "", 86400)
    assert (new.kind, new.url, new.origin) == ("static", "https://mon.new.test/", "new.test/2026h2")
    assert new.submission_url == "https://new.test/2026h2/"
    assert (old.state, old.operator, old.log_type) == ("usable", "Operator", "prod")
    assert (old.start, old.end) == (datetime(2026, 7, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert read.by_id()[sha256(b"new").digest()] == new


BAD = {
    "another key": entry("bogus", key=b64encode(b"another").decode()),
    "no key": {key: value for key, value in entry("bogus").items() if key != "key"},
    "no base64": entry("bogus", log_id="*"),
    "no address": entry("bogus", url=7),
    "an address of another kind": entry("bogus", url="file:///etc/passwd"),
    "an address with a line feed": entry("bogus", url="https://x.test/\nHost: y"),
    "a delay that is none": entry("bogus", mmd="soon"),
    "a state that is none": entry("bogus") | {"state": 7},
    "a final head that is none": entry("bogus") | {"state": {"readonly": {"final_tree_head": {"tree_size": "x"}}}},
    "no object": "bogus",
    "null": None,
}


@pytest.mark.parametrize("case", BAD)
def test_a_placeholder_is_a_problem_and_nothing_more(case: str) -> None:
    read = parse_log_list(listed(entry("first"), BAD[case], entry("last")))
    assert [log.description for log in read.logs] == ["first", "last"]
    assert len(read.problems) == 1
    assert "passed over" in read.problems[0]


def test_a_log_listed_twice_is_taken_once() -> None:
    read = parse_log_list(listed(entry("one"), entry("one", url="https://other.test/")))
    assert [log.url for log in read.logs] == ["https://one.test/2026h2/"]
    assert "listed twice" in read.problems[0]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"<html>", b'{"operators": 5}', b"null", b"[" * 100000])
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(BadList):
        parse_log_list(raw)


@pytest.mark.parametrize(
    ("state", "follow", "reason"),
    [
        ("pending", False, "no browser"), ("qualified", True, "qualified"), ("usable", True, "usable"),
        ("readonly", True, "final head of 77"), ("retired", False, "retired since 2026-01-01"),
        ("rejected", False, "rejected since 2026-01-01"), ("imaginary", False, "no known state"),
    ],
)  # fmt: skip
def test_which_logs_are_followed(state: str, follow: bool, reason: str) -> None:
    (one,) = watchable(parse_log_list(listed(entry("one", state))), NOW)
    assert one.follow is follow
    assert reason in one.reason


def test_a_closed_shard_is_still_followed() -> None:
    (one,) = watchable(parse_log_list(listed(entry("one"))), datetime(2027, 6, 1, tzinfo=UTC))
    assert one.follow
    assert "closed for new certificates since 2027-01-01" in one.reason


def test_changes_in_words() -> None:
    old = parse_log_list(listed(entry("stays"), entry("ends"), entry("goes"), entry("moves")))
    new = parse_log_list(
        listed(
            entry("stays"), entry("ends", "readonly"), entry("moves", url="https://moved.test/", mmd=60), entry("comes")
        )
    )
    assert changes(old, new) == (
        "comes: new, usable",
        "goes: no longer listed",
        "ends: usable became readonly, final head at 77 entries",
        "moves: address https://moves.test/2026h2/ became https://moved.test/, "
        "submission address https://moves.test/2026h2/ became https://moved.test/, maximum merge delay 86400 became 60",
    )
    assert changes(new, new) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(entry("x"))), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([*sorted(tiled("x")), "url"]), JSON)
@settings(deadline=None)
def test_no_value_of_any_field_spoils_the_list(field: str, value: object) -> None:
    read = parse_log_list(listed(entry("x") | {field: value}, entry("last"), tiled_logs=[tiled("y") | {field: value}]))
    assert "last" in [log.description for log in read.logs]
    watchable(read, NOW)
