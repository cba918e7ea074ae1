"""`tls ct` as people and scripts meet it: what it prints, where, and with which exit status."""

from __future__ import annotations

import gc
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from probes.__main__ import main
from tests.ct import misbehaviour as does
from tests.ct.conftest import MakeLog
from tests.ct.following import WATCHED, Clock
from tests.ct.logserver import CtLog, Listed, log_list
from tests.ct.test_faults import grow


class Tls:
    """The command with its files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.state = folder / "ct.json"
        self.out = self.err = ""

    def listing(self, *listed: Listed) -> None:
        (self.folder / "logs.json").write_text(json.dumps(log_list(*listed)))

    def __call__(self, command: str, *more: str, state: bool = True) -> int:
        files = [] if command == "status" else ["--log-list", str(self.folder / "logs.json")]
        files += ["--state", str(self.state)] if state else []
        status = main(["ct", command, *files, *more])
        self.out, self.err = self._capsys.readouterr()
        return status

    def follow(self, *more: str) -> int:
        return self("follow", "--domain", WATCHED, "--once", "--rate", "0", "--from", "start", *more)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Tls]:
    thresholds = gc.get_threshold()
    yield Tls(tmp_path, capsys)
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


@pytest.fixture
def log(make_log: MakeLog) -> CtLog:
    return make_log()


@pytest.fixture
def clock() -> Clock:
    """Near to that of the command, which has the machine's."""
    import time

    clock = Clock()
    clock.seconds = time.time()
    return clock


def test_a_match_is_shown_for_people(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    identity = grow(log, "api")
    assert tls.follow("--stats") == 0
    assert f"+ {WATCHED}: api.{WATCHED}\n" in tls.out
    assert f"TBS {identity}" in tls.out
    assert "by Example Trust" in tls.out
    assert "precertificate, logged" in tls.out
    assert "✓ sycamore (static): following, 31 of 31 entries verified" in tls.out


def test_a_match_is_shown_for_programs(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("rfc6962"))
    identity = grow(log, "api")
    assert tls.follow("--json", "--stats") == 0
    found, status = tls.lines
    assert (found["type"], found["tbs_sha256"], found["index"]) == ("issuance", identity, 15)
    assert found["matches"] == [{"domain": WATCHED, "name": f"api.{WATCHED}", "how": "name"}]
    assert found["certificate"]["ca"] == "Example Trust"
    assert (status["type"], status["verified"], status["behind"]) == ("status", 31, 0)
    assert tls.err == ""


def test_by_default_a_log_is_joined_at_its_end(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "old", 300)
    assert tls("follow", "--domain", WATCHED, "--once") == 0
    assert tls.out == ""
    assert "followed from entry 301 on" in tls.err
    new = grow(log, "new", 300)
    assert tls("follow", "--domain", WATCHED, "--once") == 0
    assert new in tls.out


def test_evidence_is_verified_by_another_who_has_the_list_alone(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 400)
    assert tls.follow("--json", "--evidence") == 0
    bundle = tls.folder / "bundle.json"
    bundle.write_text(tls.out)
    log.refuse()
    assert tls("verify", str(bundle), state=False) == 0
    assert "✓ sycamore (static): entry 200 is in the tree of 401 that it signed" in tls.out


@pytest.mark.parametrize("field", ["index", "leaf_input", "audit_path", "tbs_sha256", "head", "log"])
def test_evidence_that_was_tampered_with_does_not_hold(field: str, tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 400)
    tls.follow("--json", "--evidence")
    evidence = tls.lines[0]["evidence"]
    spoiled = {
        "index": 7,
        "leaf_input": evidence["leaf_input"].replace("A", "B", 3),
        "audit_path": evidence["audit_path"][::-1],
        "tbs_sha256": "0" * 64,
        "head": {**evidence["head"], "timestamp": 1},
        "log": {**evidence["log"], "key": evidence["log"]["key"].replace("A", "B", 1)},
    }
    bundle = tls.folder / "bundle.json"
    bundle.write_text(json.dumps({**evidence, field: spoiled[field]}))
    assert tls("verify", str(bundle), state=False) == 1
    assert tls.out.startswith("✗")


def test_evidence_of_a_log_that_the_list_does_not_have_does_not_hold(tls: Tls, log: CtLog, make_log: MakeLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api")
    tls.follow("--json", "--evidence")
    (tls.folder / "bundle.json").write_text(tls.out)
    tls.listing(make_log("other").listed("static"))
    assert tls("verify", str(tls.folder / "bundle.json"), state=False) == 1
    assert "not in the log list" in tls.out


def test_status_says_how_far_each_log_was_read(tls: Tls, log: CtLog, make_log: MakeLog) -> None:
    other = make_log("other")
    tls.listing(log.listed("static"), other.listed("rfc6962"))
    grow(log, "api")
    other.fill(5)
    tls.follow()
    assert tls("status") == 0
    assert "sycamore (static): following, 31 of 31 entries verified" in tls.out
    assert tls("status", "--json") == 0
    assert {row["log"]: row["verified"] for row in json.loads(tls.out)["logs"]} == {
        "sycamore (static)": 31,
        "other (rfc6962)": 5,
    }


def test_a_lie_is_critical_now_and_in_the_status(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api")
    tls.follow()
    log.history = log.history.forked(3)
    assert tls.follow() == 1
    assert "✗ split-view: " in tls.out
    assert tls("status") == 1
    assert tls("verify") == 1
    assert "does not extend" in tls.out


def test_a_state_that_holds_is_verified_against_the_log_as_it_is_now(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("rfc6962"))
    grow(log, "api", 300)
    tls.follow("--evidence")
    log.fill(300)
    assert tls("verify") == 0
    assert tls.out.splitlines() == ["✓ sycamore (rfc6962): 301 entries verified", "✓ 1 findings"]


def test_a_state_that_was_tampered_with_does_not_hold(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 300)
    tls.follow()
    stored = json.loads(tls.state.read_text())
    [position] = stored["positions"].values()
    position["verified_tree"]["subtrees"][0] = "00" * 32
    tls.state.write_text(json.dumps(stored))
    assert tls("verify") == 1
    assert "does not have the root" in tls.out


def test_when_no_log_can_be_read_it_did_not_run(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    log.misbehave("/", does.status(404))
    assert tls.follow() == 3
    assert "! sycamore (static): HTTP 404" in tls.err


def test_the_log_list_may_come_from_the_environment_and_over_http_from_this_machine(
    tls: Tls, log: CtLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(log, "api")
    log.files["logs.json"] = json.dumps(log_list(log.listed("static"))).encode()
    monkeypatch.setenv("CT_LOG_LIST", f"{log.url}logs.json")
    monkeypatch.setenv("CT_CONTACT", "ct@example.test")
    assert main(["ct", "follow", "--once", "--domain", WATCHED, "--state", str(tls.state)]) == 0
    assert log.agents == {"clienthello-ct/1 (+ct@example.test)"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--domain", "com"], "Watch a domain below it"),
        (["--domain", "no domain"], "A domain is wanted"),
        ([], "no domain is watched"),
        (["--domain", WATCHED, "--poll", "soon"], "I read --poll soon"),
        (["--domain", WATCHED, "--rate", "-1"], "I read --rate -1"),
        (["--domain", WATCHED, "--log-list", "http://192.0.2.1/logs.json"], "must come over https"),
        (["--domain", WATCHED, "--log-list", "/no/such/file"], "I cannot read the log list"),
        (["--domain", WATCHED, "--state", "/no/such/folder/state"], "Its directory must exist"),
        (["--domain", WATCHED, "--from", "middle"], "invalid choice"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(
    more: list[str], said: str, tls: Tls, log: CtLog, capsys: pytest.CaptureFixture[str]
) -> None:
    tls.listing(log.listed("static"))
    files = ["--log-list", str(tls.folder / "logs.json"), "--state", str(tls.state)]
    assert main(["ct", "follow", "--once", *files, *more]) == 2
    assert said in capsys.readouterr().err


def test_a_list_that_is_none_is_said(tls: Tls) -> None:
    (tls.folder / "logs.json").write_text("<html>")
    assert tls.follow() == 2
    assert "no log list" in tls.err


def test_a_state_that_is_none_did_not_run(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    tls.state.write_text("{")
    assert tls.follow() == 3
    assert "is no state" in tls.err


def test_a_missing_state_is_said(tls: Tls) -> None:
    assert tls("status") == 2
    assert "`tls ct follow --state` makes it" in tls.err


def test_a_log_that_never_answered_is_in_the_status_with_its_reason(tls: Tls, log: CtLog, make_log: MakeLog) -> None:
    bad = make_log("bad")
    tls.listing(log.listed("static"), bad.listed("static"))
    bad.misbehave("/", does.status(404))
    grow(log, "api")
    assert tls.follow("--json") == 0
    assert "! bad (static): HTTP 404" in tls.err
    assert tls("status") == 0
    first, second = tls.out.splitlines()
    assert first.startswith("! bad (static): new, 0 of 0 entries verified")
    assert "without its tree head: HTTP 404" in first
    assert second.startswith("· sycamore")
    assert tls("status", "--json") == 0
    assert [row["trouble"] and row["trouble"]["why"] for row in json.loads(tls.out)["logs"]] == ["HTTP 404", None]


def test_entries_that_are_kept_back_are_told_and_stay_in_the_status(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 300)
    log.misbehave("/tile/data/001", does.status(404))
    tls.follow()
    assert "! unreadable: sycamore (static): its entries from 256 on (tile/data/001) cannot be had since " in tls.out
    assert tls("status") == 0
    assert "told and not over: unreadable; since " in tls.out


def test_a_log_that_left_the_list_is_said(tls: Tls, log: CtLog, make_log: MakeLog) -> None:
    other = make_log("other")
    tls.listing(log.listed("static"), other.listed("static"))
    tls.follow()
    tls.listing(log.listed("static"))
    tls.follow()
    assert "other (static) is no longer listed; it is not followed any more" in tls.err
    assert tls("status") == 0
    assert "no longer listed in the log list" in "".join(line for line in tls.out.splitlines() if "other" in line)


@pytest.mark.parametrize("spoiled", ["leaf_hash", "raw", "raw of another head"])
def test_evidence_beside_the_proof_must_hold_as_well(spoiled: str, tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 400)
    tls.follow("--json", "--evidence")
    evidence = tls.lines[0]["evidence"]
    if spoiled == "leaf_hash":
        evidence["leaf_hash"] = evidence["audit_path"][0]
    else:
        received = b"{}" if spoiled == "raw" else b64decode(evidence["head"]["raw"]).replace(b"\n401\n", b"\n402\n")
        evidence["head"]["raw"] = b64encode(received).decode()
    (tls.folder / "bundle.json").write_text(json.dumps(evidence))
    assert tls("verify", str(tls.folder / "bundle.json"), state=False) == 1


def test_evidence_is_shown_under_the_name_that_the_list_has(tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api", 400)
    tls.follow("--json", "--evidence")
    evidence = tls.lines[0]["evidence"]
    evidence["log"]["description"] = "a well-known log"
    (tls.folder / "bundle.json").write_text(json.dumps(evidence))
    assert tls("verify", str(tls.folder / "bundle.json"), state=False) == 0
    assert tls.out.startswith("✓ sycamore (static): ")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("positions"),
        lambda state: state.update(positions=[]),
        lambda state: state.pop("findings_length"),
        lambda state: [each.update(tree={"size": "a"}) for each in state["positions"].values()],
        lambda state: [each["verified"].pop("timestamp") for each in state["positions"].values()],
    ],
)
def test_a_damaged_state_is_said(spoil: Callable[[Any], object], tls: Tls, log: CtLog) -> None:
    tls.listing(log.listed("static"))
    grow(log, "api")
    tls.follow()
    state = json.loads(tls.state.read_text())
    spoil(state)
    tls.state.write_text(json.dumps(state))
    for command in ("follow", "status", "verify"):
        assert (tls.follow() if command == "follow" else tls(command)) == 3
        assert "is damaged: " in tls.err
