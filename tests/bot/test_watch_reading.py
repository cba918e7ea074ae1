"""`watch …` as typed, and files of targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import commands, imports
from bot.model import Misread
from bot.watched import WatchCommand
from probes.model import Target, UsageError


def read(text: str) -> WatchCommand:
    command = commands.parse(text)
    assert isinstance(command, WatchCommand), command
    return command


def test_everything_that_can_be_said_of_a_watch() -> None:
    command = read(
        "watch add <http://mail.example.com|mail.example.com>:25 --starttls SMTP --owner <@U0ABC12|ada> --label a,b "
        "--label c —identity Payments --expect-ca “Let's Encrypt” --expect-ca DigiCert"
    )
    assert command.target == Target.parse("mail.example.com:25", starttls="smtp")
    assert (command.owner, command.labels, command.identity) == ("U0ABC12", ("a", "b", "c"), "payments")
    assert command.expected_cas == ("Let's Encrypt", "DigiCert")


def test_a_user_group_is_an_owner() -> None:
    assert read("watch add a.test --owner <!subteam^S0GROUP1|@edge>").owner == "S0GROUP1"


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("watch", "list"),
        ("watch list", "list"),
        ("watch add", "add"),
        ("watch import", "import"),
        ("watch sweep", "sweep"),
    ],
)
def test_words_alone(text: str, act: str) -> None:
    assert read(text).act == act


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("3d", 72), ("2 weeks", 336), ("90d", 2160)])
def test_how_long_it_is_snoozed(text: str, hours: int) -> None:
    assert read(f"watch snooze a.example.com {text}").snooze_s == hours * 3600


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("watch remove", "without a host"),
        ("watch remove a.test b.test", "2 hosts"),
        ("watch snooze a.test", "without a host and a time"),
        ("watch snooze a.test 0d", "I read the time"),
        ("watch snooze a.test 13w", "90 days at most"),
        ("watch add a.test --owner bob", "Mention me instead"),
        ("watch add a.test --lable x", "Did you mean --label"),
        ("watch add a.test --sni", "without a value"),
        ("watch frobnicate", "which it does not know"),
        ("watch import hosts.txt", "takes no words but a file"),
        (f"watch add a.test --label {'x' * 41}", "40 characters"),
    ],
)
def test_what_is_wrong_is_quoted(text: str, told: str) -> None:
    answer = commands.parse(text)
    assert isinstance(answer, Misread) and told in answer.answer


# ── files ───────────────────────────────────────────────────────────────────────


def hosts(found: imports.Found) -> list[str]:
    return [str(each.target) for each in found.wanted]


def test_one_host_a_line() -> None:
    found = imports.read(
        "hosts.txt", b"\xef\xbb\xbfa.test # comment\n\n# all comment\nB.test:8443\na.test\nnot a host\n"
    )
    assert (found.form, hosts(found), found.repeats) == ("lines", ["a.test:443", "b.test:8443"], 1)
    [problem] = found.problems
    assert problem.line == 6 and "I read" in problem.why


def test_csv_with_a_header_in_any_order_and_without_one() -> None:
    found = imports.read("x.csv", b"Owner;Name;STARTTLS;Labels\nU0ABC12;mail.test:25;smtp;a|b\nnobody;x.test;;\n")
    [wanted] = found.wanted
    assert wanted.target == Target.parse("mail.test:25", starttls="smtp")
    assert (wanted.owner, wanted.labels) == ("U0ABC12", ("a", "b"))
    assert found.problems[0].line == 3
    plain = imports.read("x.csv", b'a.test,8443,,"x,y"\n2001:db8::7,443\n')
    assert hosts(plain) == ["a.test:8443", "[2001:db8::7]:443"] and plain.wanted[0].labels == ("x", "y")


ZONE = b"""$ORIGIN example.com.
@ 3600 IN SOA ns1 admin 1 7200 3600 1209600 3600
  IN NS ns1
  IN A 192.0.2.1
ns1 IN A 192.0.2.2
www 300 IN CNAME @
v6 IN AAAA 2001:db8::1
* IN A 192.0.2.9
_sip._tcp IN SRV 0 0 5060 sip
_acme-challenge IN CNAME x.other.net.
mail IN MX 10 mx
$ORIGIN sub.example.com.
api IN A 192.0.2.3
other.example.net. IN A 192.0.2.4
"""


def test_a_zone_file_gives_the_names_of_its_address_records() -> None:
    found = imports.read("anything.txt", ZONE)
    assert found.form == "zone"
    assert sorted(hosts(found)) == [
        f"{name}:443"
        for name in ("api.sub.example.com", "example.com", "ns1.example.com", "v6.example.com", "www.example.com")
    ]
    assert {problem.why.split()[0] for problem in found.problems} == {"*.example.com", "_acme-challenge.example.com"}
    assert all(problem.is_meant for problem in found.problems)


def test_a_zone_file_without_an_origin_takes_that_of_its_name() -> None:
    assert hosts(imports.read("example.org.zone", b"www IN A 192.0.2.1\n")) == ["www.example.org:443"]


def test_a_broken_zone_file_says_where() -> None:
    with pytest.raises(UsageError, match=r"Line 2: no zone file from here on"):
        imports.read("example.org.zone", b"www IN A 192.0.2.1\nbad IN A not-an-address\n")


@pytest.mark.parametrize("filler", ["\n", " ", "\t", "a ", "1 ", "\r\n", "x\n"])
def test_what_kind_of_file_it_is_is_found_out_at_once(filler: str) -> None:
    assert imports.form_of("x.txt", filler * 20_000) in {"lines", "csv"}


def test_one_line_of_a_zone_file_is_not_thousands_of_names() -> None:
    with pytest.raises(UsageError, match=r"Line 1: no zone file from here on"):
        imports.read("example.org.zone", b"$GENERATE 1-3000 host$ A 192.0.2.1\n")


def test_a_file_of_too_many_lines_is_not_read() -> None:
    with pytest.raises(UsageError, match="more than 20,000 lines"):
        imports.read("hosts.txt", b"a.test\n" * 20_001)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\x00\x01\x02", bytes(range(128, 256)) * 20])
def test_a_file_without_a_target_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(UsageError, match="I read"):
        imports.read("x.txt", data)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode), st.sampled_from(["a.txt", "a.csv", "a.b.zone"]))
def test_no_bytes_break_the_reader(data: bytes, name: str) -> None:
    try:
        found = imports.read(name, data)
    except UsageError:
        return
    assert found.wanted
