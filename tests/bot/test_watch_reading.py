"""`watch …` as typed, and files of targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import commands, imports
from bot.model import Misread
from bot.wanted import DELEGATED, OUTSIDE, SERVICE, WILDCARD
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
    [wanted, other] = found.wanted
    assert wanted.target == Target.parse("mail.test:25", starttls="smtp")
    assert (wanted.owner, wanted.labels) == ("U0ABC12", ("a", "b"))
    [problem] = found.problems
    assert (problem.line, problem.kind, other.owner) == (3, "in-part", None) and "“nobody”" in problem.why
    plain = imports.read("x.csv", b'a.test,8443,,"x,y"\n2001:db8::7,443\n')
    assert hosts(plain) == ["a.test:8443", "[2001:db8::7]:443"] and plain.wanted[0].labels == ("x", "y")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_whatever_a_spreadsheet_writes_is_read(encoding: str, end: str) -> None:
    text = end.join(
        ["sep=;", "Host name;Port;Tags;Expected CA;Note", "a.test;8443;Zürich|edge;Let's Encrypt|R10;x", ""]
    )
    found = imports.read("x.csv", text.encode(encoding))
    [wanted] = found.wanted
    assert (str(wanted.target), wanted.labels) == ("a.test:8443", ("Zürich", "edge"))
    assert wanted.expected_cas == ("Let's Encrypt", "R10") and found.unread == ("Note",) and found.problems == ()


def test_a_quotation_mark_that_is_not_closed_costs_its_own_line_alone() -> None:
    text = 'host,port,note\n"a.test,443,\nb.test,443,"two\nlines"\nc.test,443,x"\nd.test,443,\n'
    found = imports.read("x.csv", text.encode())
    assert [each.target.host for each in found.wanted] == ["a.test", "b.test", "c.test", "d.test"]
    assert [each.line for each in found.wanted] == [2, 3, 5, 6]


def test_an_export_of_dns_records_is_read_by_their_types() -> None:
    text = "Name,Type,TTL,Content\nwww.a.test,A,300,192.0.2.1\na.test,TXT,300,v=spf1\na.test,MX,300,mail.a.test\n"
    found = imports.read("x.csv", text.encode())
    assert (hosts(found), found.aside, found.unread) == (["www.a.test:443"], {"MX": 1, "TXT": 1}, ("TTL", "Content"))


def test_a_port_stands_with_the_host_or_beside_it() -> None:
    text = b"a.test:8443,8443\nb.test:8443,9443\nhttps://c.test/x,8443\n[2001:db8::7],443\nd.test,0\ne.test 25\n"
    found = imports.read("x.csv", text)
    assert hosts(found) == ["a.test:8443", "c.test:8443", "[2001:db8::7]:443"]
    assert [each.line for each in found.problems] == [2, 5, 6]
    assert hosts(imports.read("x.txt", b"smtp.test 25\nhttps://d.test/?a=1,2;3\n")) == ["smtp.test:25", "d.test:443"]


def test_a_title_is_no_host() -> None:
    assert hosts(imports.read("x.txt", b"hostname\na.test\nhostname.test\n")) == ["a.test:443", "hostname.test:443"]


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
    assert {(each.subject, each.why) for each in found.problems} == {
        ("*.example.com", WILDCARD),
        ("_acme-challenge.example.com", SERVICE),
        ("other.example.net", OUTSIDE),
    }
    assert found.aside == {"MX": 1, "NS": 1, "SOA": 1, "SRV": 1}
    assert [str(each) for each in found.offered] == ["mx.example.com:25"]


def test_a_zone_file_without_an_origin_takes_that_of_its_name() -> None:
    assert hosts(imports.read("example.org.zone", b"www IN A 192.0.2.1\n")) == ["www.example.org:443"]


def test_what_is_broken_in_a_zone_file_costs_its_own_record_alone() -> None:
    text = """$ORIGIN example.org.
bad IN A not-an-address
open ( A 192.0.2.1
txt TXT "not closed
$INCLUDE other.zone
$GENERATE 1-3000 host$ A 192.0.2.1
 nothing
www A 192.0.2.1
"""
    found = imports.read("x.txt", text.encode())
    assert hosts(found) == ["www.example.org:443"]
    assert [(each.line, each.kind) for each in found.problems] == [(line, "wrong") for line in (2, 3, 4, 5, 6, 7)]
    whys = [each.why for each in found.problems]
    for part, why in zip(
        ("no IPv4", "parenthesis", "quotation", "other.zone, too", "$GENERATE", "no record"), whys, strict=True
    ):
        assert part in why


def test_a_zone_file_is_read_as_name_servers_read_it() -> None:
    text = """; a comment
$TTL 1h
@ IN SOA ns1.example.com. admin (
    1 ; serial (
    2h 15m 30d 1h )
\tNS\tns1
\tIN A 192.0.2.1
www 1h IN A 192.0.2.2
   AAAA 2001:db8::2
mail IN 300 A 192.0.2.3
TXT A 192.0.2.4
note TXT "a ; b ( c" "d \\" e"
absolute.example.com. A 192.0.2.5
chaos CH TXT "x"
$ORIGIN deep
a A 192.0.2.6
"""
    found = imports.read("example.com.zone", text.encode())
    assert hosts(found) == [
        f"{name}:443"
        for name in (
            "example.com", "www.example.com", "mail.example.com", "txt.example.com", "absolute.example.com",
            "a.deep.example.com",
        )
    ]  # fmt: skip
    assert found.problems == () and found.aside == {"CH TXT": 1, "NS": 1, "SOA": 1, "TXT": 1}


def test_what_another_zone_answers_for_is_not_watched_by_its_glue() -> None:
    text = """$ORIGIN example.com.
@ SOA ns1 admin 1 2 3 4 5
@ NS ns1
ns1 A 192.0.2.1
sub NS ns.sub
ns.sub A 192.0.2.2
"""
    found = imports.read("x.txt", text.encode())
    assert hosts(found) == ["ns1.example.com:443"]
    assert [(each.subject, each.why) for each in found.problems] == [("ns.sub.example.com", DELEGATED)]


def test_a_part_of_a_zone_without_its_soa_is_read_too() -> None:
    found = imports.read(
        "dig.txt", b"; <<>> DiG\nexample.com. 300 IN NS ns.example.com.\nexample.com. 9 IN A 192.0.2.1\n"
    )
    assert (found.form, hosts(found)) == ("zone", ["example.com:443"])


def test_services_that_a_zone_names_are_offered() -> None:
    text = """$ORIGIN example.com.
@ MX 10 mail
@ MX 20 mx.elsewhere.net.
www A 192.0.2.1
_443._tcp.www TLSA 3 1 1 ab
_25._tcp.mail TLSA 3 1 1 ab
_ldap._tcp SRV 0 0 389 ldap
_sip._udp SRV 0 0 5060 sip
_sips._tcp SRV 0 0 5061 sip
_imaps._tcp SRV 0 0 0 .
"""
    found = imports.read("x.txt", text.encode())
    assert found.offered == (
        Target.parse("mail.example.com:25", starttls="smtp"),
        Target.parse("ldap.example.com:389", starttls="ldap"),
        Target.parse("sip.example.com:5061"),
    )


def test_names_that_are_no_servers_are_left_out_of_every_kind_of_file() -> None:
    names = ["_dmarc.example.com", "_acme-challenge.www.example.com", "_443._tcp.www.example.com", "*.example.com"]
    for name, text in (
        ("a.txt", "\n".join([*names, "my_host.example.com"])),
        ("a.csv", "\n".join(["host,port", *(f"{each},443" for each in names), "my_host.example.com,443"])),
        ("a.zone", "\n".join(f"{each}. CNAME x.example.net." for each in [*names, "my_host.example.com"])),
    ):
        found = imports.read(name, text.encode())
        assert hosts(found) == ["my_host.example.com:443"], name
        assert [(each.subject, each.kind) for each in found.problems] == [(each, "no-server") for each in names]


@pytest.mark.parametrize("filler", ["\n", " ", "\t", "a ", "1 ", "\r\n", "x\n"])
def test_what_kind_of_file_it_is_is_found_out_at_once(filler: str) -> None:
    assert imports.form_of("x.txt", (filler * 20_000).splitlines()) in {"lines", "csv"}


def test_one_line_of_a_zone_file_is_not_thousands_of_names() -> None:
    with pytest.raises(UsageError, match=r"Line 1: \$GENERATE stands for many records"):
        imports.read("example.org.zone", b"$GENERATE 1-3000 host$ A 192.0.2.1\n")


def test_a_file_of_too_many_lines_is_not_read() -> None:
    with pytest.raises(UsageError, match="more than 20,000 lines"):
        imports.read("hosts.txt", b"a.test\n" * 20_001)


@pytest.mark.parametrize(
    "data", [b"", b"# nothing\n", b"\x00\x01\x02", bytes(range(128, 256)) * 20, b"PK\x03\x04xlsx", b"%PDF-1.7\x00\x01"]
)
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
