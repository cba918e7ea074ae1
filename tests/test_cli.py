"""The `tls` command: exit status, what it prints, and what it says to every mistake. Real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from socket import socket
from threading import Thread

import jsonschema  # type: ignore[import-untyped]
import pytest

from probes.__main__ import CRITICAL, NOT_RUN, OK, USAGE, main
from probes.codec import from_json
from probes.lab import Case, Lab, start
from tests.endpoints.schema import SCHEMA


@dataclass(frozen=True)
class Served:
    """The lab as the command line meets it: a name, its addresses, and a root to trust."""

    cases: dict[str, Case]
    ca_file: str

    def argv(self, name: str, *more: str) -> list[str]:
        case = self.cases[name]
        resolve = [f"--resolve={case.name}:{case.port}:{','.join(case.addresses)}"] if case.addresses else []
        return ["check", case.target, *resolve, "--ca-file", self.ca_file, *more]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The lab in a thread of its own: `main` runs an event loop itself."""
    loop = asyncio.new_event_loop()
    running: SimpleQueue[Lab | BaseException] = SimpleQueue()
    over = asyncio.Event()

    async def serve() -> None:
        try:
            async with await start(port=0) as each:
                running.put(each)
                await over.wait()
        except BaseException as error:
            running.put(error)
            raise

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started = running.get(timeout=60)
    try:
        assert isinstance(started, Lab), started
        pem = tmp_path_factory.mktemp("lab") / "root.pem"
        pem.write_text(started.root_pem, encoding="ascii")
        yield Served({case.name: case for case in started.cases}, str(pem))
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=30)
        loop.close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRUST_FILE", "RESOLVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")


# verdicts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("healthy.lab", OK),
        ("expired.lab", CRITICAL),
        ("expiring.lab", OK),
        ("no-intermediate.lab", CRITICAL),
        ("refused.lab", CRITICAL),
        ("plain-http.lab", CRITICAL),
    ],
)
def test_the_exit_status_says_whether_anything_is_critical(
    lab: Served, name: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(lab.argv(name)) == status
    said = capsys.readouterr()
    assert said.err == ""
    case = lab.cases[name]
    first = said.out.splitlines()[0]
    assert case.target in first and case.status in first
    assert case.expected is None or case.expected in first


@pytest.mark.parametrize("name", ["healthy.lab", "expired.lab", "refused.lab", "one-expired.lab", "address-down.lab"])
def test_json_is_the_catalogue_s_report_and_nothing_else(
    lab: Served, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name not in lab.cases:
        pytest.skip("this machine has one loopback address")
    main(lab.argv(name, "--json"))
    said = capsys.readouterr()
    data = json.loads(said.out)
    jsonschema.validate(data, SCHEMA)
    assert said.err == ""
    case = lab.cases[name]
    assert (data["cause"], data["status"]) == (case.expected, case.status)
    assert from_json(data).target.port == case.port


def test_a_person_reads_verdict_evidence_fix_and_command(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    main(lab.argv("expired.lab"))
    out = capsys.readouterr().out
    assert out.index("validity.expired") < out.index("fix:") < out.index("next:")
    assert "fails for: every current client" in out
    assert "\x1b" not in out  # piped: plain text
    assert "RFC 5280" in out


def test_what_could_not_be_looked_at_is_said(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """Its responder takes longer than this check has: neither good nor slow, but not looked at."""
    main(lab.argv("ocsp-slow.lab", "--timeout", "1.2"))
    assert "not looked at: revocation" in capsys.readouterr().out


def test_only_ca_file_leaves_every_other_root_out(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    argv = lab.argv("healthy.lab", "--json")
    argv[argv.index("--ca-file")] = "--only-ca-file"
    assert main(argv) == OK
    assert json.loads(capsys.readouterr().out)["status"] == "ok"


def test_without_the_root_the_same_server_is_untrusted(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    argv = lab.argv("healthy.lab", "--json")
    del argv[argv.index("--ca-file") : argv.index("--ca-file") + 2]
    assert main(argv) == CRITICAL
    assert json.loads(capsys.readouterr().out)["cause"] in {"chain.untrusted", "chain.incomplete"}


def test_the_environment_names_a_trust_file(
    lab: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = lab.argv("healthy.lab", "--json")
    del argv[argv.index("--ca-file") : argv.index("--ca-file") + 2]
    monkeypatch.setenv("TRUST_FILE", lab.ca_file)
    assert main(argv) == OK
    assert json.loads(capsys.readouterr().out)["cause"] is None


def test_another_name_may_be_sent(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    main(lab.argv("healthy.lab", "--sni", "elsewhere.lab", "--json"))
    data = json.loads(capsys.readouterr().out)
    assert data["target"]["server_name"] == "elsewhere.lab"
    assert data["cause"].startswith("sni.")


def test_an_origin_is_compared(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    case = lab.cases.get("origin-differs.lab")
    if case is None or case.origin is None:
        pytest.skip("this machine has one loopback address")
    main(lab.argv(case.name, "--origin", case.origin, "--json"))
    assert json.loads(capsys.readouterr().out)["cause"] == "balancer.origin-differs"


def test_a_silent_endpoint_is_judged_within_the_time_given(lab: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(lab.argv("silent.lab", "--timeout", "0.2", "--json")) == CRITICAL
    data = json.loads(capsys.readouterr().out)
    assert data["cause"] == "reach.stalled"
    assert [each["failed_stage"] for each in data["endpoints"]] == ["hello"]


def test_a_check_that_could_not_look_anywhere_did_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A zone that is no interface of this machine: nothing leaves it, nothing is claimed."""
    status = main(["check", "[fe80::1%nosuchif]:443", "--json", "--timeout", "2"])
    data = json.loads(capsys.readouterr().out)
    assert (status, data["cause"]) == (NOT_RUN, None)
    assert any("fe80::1%nosuchif" in gap["addresses"] for gap in data["gaps"])


def test_a_name_that_does_not_resolve_is_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 6761 section 6.4: .invalid is never asked for."""
    assert main(["check", "nowhere.invalid", "--json"]) == CRITICAL
    assert json.loads(capsys.readouterr().out)["cause"] == "reach.dns"


def test_the_corrected_chain_is_written_to_a_new_file(
    lab: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chain.pem"
    assert main(lab.argv("no-intermediate.lab", "--json", "--chain-out", str(path))) == CRITICAL
    said = capsys.readouterr()
    [chain] = [each for each in json.loads(said.out)["repairs"] if each["kind"] == "chain"]
    assert path.read_text(encoding="ascii") == chain["pem"] and chain["verified"]
    assert str(path) in said.err


def test_a_file_that_is_there_is_never_overwritten(
    lab: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chain.pem"
    path.write_text("mine")
    assert main(lab.argv("no-intermediate.lab", "--chain-out", str(path))) == USAGE
    assert path.read_text() == "mine" and "must be a new file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["healthy.lab", "no-intermediate-no-aia.lab"])
def test_without_a_chain_nothing_is_written_and_the_reason_is_said(
    lab: Served, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chain.pem"
    main(lab.argv(name, "--chain-out", str(path)))
    assert not path.exists() and "was not written" in capsys.readouterr().err


def test_a_person_reads_the_lines_for_one_server_and_asks_for_all(
    lab: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    main(lab.argv("no-intermediate.lab"))
    short = capsys.readouterr().out
    assert "ssl_certificate " in short and "SSLCertificateFile" not in short and "--repairs shows" in short
    main(lab.argv("no-intermediate.lab", "--repairs"))
    whole = capsys.readouterr().out
    for part in ("SSLCertificateFile", "bind :", "aws acm", "-----BEGIN CERTIFICATE-----", "-verify_return_error"):
        assert part in whole


# mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES: tuple[tuple[str, ...], ...] = (
    ("http://[",),
    ("a" * 10_000,),
    ("😀😀😀",),
    ("host:99999",),
    ("host:https",),
    ("",),
    ("   ",),
    ("\u202eelgoog.test",),
    ("a\x1b[2J.test",),
    ("127.1",),
    ("0x7f.1",),
    ("2130706433",),
    ("ftp://a.test",),
    ("[fe80::1%²]:443",),
    ("[fe80::1%\x1b[31m]",),
    ("[fe80::1%99999999999999999]:443",),
    ("a.invalid", "--ca-file", "/nonexistent/root.pem"),
    ("a.invalid", "--ca-file", "/"),
    ("a.invalid", "--only-ca-file", "/nonexistent/\x1b[31m.pem"),
    ("a.invalid", "--ca-file", __file__),
    ("a.invalid", "--ca-file", "x.pem", "--only-ca-file", "y.pem"),
    ("a.invalid", "--resolve", "nonsense"),
    ("a.invalid", "--resolve", "a.invalid:443"),
    ("a.invalid", "--resolve", "a.invalid:443:"),
    ("a.invalid", "--resolve", "a.invalid:0:127.0.0.1"),
    ("a.invalid", "--resolve", "a.invalid:99999999999999999999:127.0.0.1"),
    ("a.invalid", "--resolve", "a.invalid:443:not-an-address"),
    ("a.invalid", "--resolve", "a.invalid:443:127.0.0.1,,"),
    ("a.invalid", "--resolve", "\u202e:443:127.0.0.1"),
    ("a.invalid", "--resolve", "[::1]:x:127.0.0.1"),
    ("a.invalid", "--timeout", "0"),
    ("a.invalid", "--timeout", "-1"),
    ("a.invalid", "--timeout", "nan"),
    ("a.invalid", "--timeout", "inf"),
    ("a.invalid", "--timeout", "1e9"),
    ("a.invalid", "--timeout", "soon"),
    ("a.invalid", "--origin", "origin.test"),
    ("a.invalid", "--origin", "192.0.2.7:0"),
    ("a.invalid", "--origin", "[::1"),
    ("a.invalid", "--origin", ""),
    ("a.invalid", "--resolver", "dns.test"),
    ("a.invalid", "--resolver", "192.0.2.53:domain"),
    ("a.invalid", "--sni", "no name"),
    ("a.invalid", "--sni", "\u202e"),
    ("a.invalid", "--bogus"),
    ("a.invalid", "--time", "5"),
    ("a.invalid", "b.invalid"),
    (),
)


@pytest.mark.parametrize("arguments", MISTAKES, ids=lambda each: ascii(" ".join(each))[:40])
def test_a_mistake_is_answered_in_one_line_that_helps(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments]) == USAGE
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tls: ") and lines[0].isprintable()
    assert len(lines[0]) < 500 and "Traceback" not in lines[0]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("host:99999",), "1 to 65535"),
        (("127.1",), "192.0.2.7"),
        (("a.invalid", "--timeout", "soon"), "seconds"),
        (("a.invalid", "--resolve", "nonsense"), "HOST:PORT:ADDR"),
        (("a.invalid", "--origin", "origin.test"), "IP address"),
        (("a.invalid", "--ca-file", "/nonexistent/root.pem"), "No such file"),
        (("a.invalid", "--ca-file", "x", "--only-ca-file", "y"), "one of them"),
        (("a.invalid", "--bogus"), "--help"),
        (("http://[",), "example.com:8443"),
    ],
)
def test_what_was_read_and_what_would_work_are_said(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", *arguments])
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["chekc", "a.invalid"], ["\x1b[2J"], ["--json"], ["check", "--", "--json"]])
def test_an_unknown_command_is_answered_likewise(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == USAGE
    said = capsys.readouterr().err
    assert said.startswith("tls: ") and len(said.splitlines()) == 1 and said.strip().isprintable()


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == USAGE
    assert "tls check api.example.com" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["--help"], ["check", "--help"]])
def test_help_is_no_mistake(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 0 and "usage: tls" in capsys.readouterr().out


# as a program --------------------------------------------------------------------------------------------------------


def program(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "probes", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("name", "status"), [("healthy.lab", OK), ("expired.lab", CRITICAL)])
def test_as_a_program_it_exits_by_the_verdict_without_a_warning(lab: Served, name: str, status: int) -> None:
    done = program(*lab.argv(name, "--json"))
    assert (done.returncode, done.stderr) == (status, "")
    jsonschema.validate(json.loads(done.stdout), SCHEMA)


@pytest.mark.parametrize("target", ["http://[", "host:99999", "", "\u202etest", "a" * 10_000, "\udcff.test"])
def test_as_a_program_a_mistake_is_one_line_and_exit_2(target: str) -> None:
    done = program("check", target)
    assert done.returncode == USAGE and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_the_console_script_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("tls")
    if not script.exists():
        pytest.skip("the project is not installed here")
    done = subprocess.run([script, "check", "host:99999"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == USAGE and done.stderr.startswith("tls: I read “host:99999”")


def test_a_reader_that_goes_away_is_no_error(lab: Served) -> None:
    command = [sys.executable, "-W", "error", "-m", "probes", *lab.argv("expired.lab")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as running:
        assert running.stdout and running.stderr
        running.stdout.close()
        assert b"Traceback" not in running.stderr.read()


def test_an_endpoint_that_nobody_serves_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket()) as held:
        held.bind(("127.0.0.1", 0))  # held, so that nobody else listens there; never listening
        port = held.getsockname()[1]
        assert main(["check", f"127.0.0.1:{port}", "--json"]) == CRITICAL
    assert json.loads(capsys.readouterr().out)["cause"] == "reach.refused"
