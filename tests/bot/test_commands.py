"""The grammar: everything that is typed becomes a command or an answer that says what was read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot import commands
from bot.model import Check, Help, HistoryQuery, Misread
from probes.model import Endpoint, Target


def check(text: str) -> Check:
    command = commands.parse(text)
    assert isinstance(command, Check), command
    return command


def misread(text: str) -> str:
    command = commands.parse(text)
    assert isinstance(command, Misread), command
    return command.answer


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("check api.example.com", "api.example.com", 443),
        ("check api.example.com:8443", "api.example.com", 8443),
        ("CHECK API.Example.COM", "api.example.com", 443),
        ("check   api.example.com  ", "api.example.com", 443),
        ("check `api.example.com:8443`", "api.example.com", 8443),
        ("check “api.example.com”", "api.example.com", 443),
        ("check <http://api.example.com|api.example.com>", "api.example.com", 443),
        ("check <http://api.example.com|api.example.com>:8443", "api.example.com", 8443),
        ("check <http://api.example.com:8443|api.example.com:8443>", "api.example.com", 8443),
        ("check <https://api.example.com/health?a=1&amp;b=2>", "api.example.com", 443),
        ("check <http://api.example.com/health|api.example.com/health>", "api.example.com", 443),
        ("check https://api.example.com:9443/x", "api.example.com", 9443),
        ("check api.example.com 8443", "api.example.com", 8443),
        ("check [2001:db8::7]:8443", "2001:db8::7", 8443),
        ("check 192.0.2.7", "192.0.2.7", 443),
        ("check bücher.example", "xn--bcher-kva.example", 443),
    ],
)
def test_a_target_is_read_however_slack_wrote_it(typed: str, host: str, port: int) -> None:
    target = check(typed).target
    assert (target.host, target.port) == (host, port)


def test_every_option_of_check_is_read() -> None:
    read = check("check lb.example.com:25 --ip 192.0.2.7 --ip=2001:db8::7 --sni mail.example.com --starttls SMTP")
    assert read.addresses == ("192.0.2.7", "2001:db8::7")
    assert (read.target.server_name, read.target.starttls) == ("mail.example.com", "smtp")
    assert check("check a.example --origin 10.0.0.8").origin == Endpoint(address="10.0.0.8", port=443)
    assert check("check a.example --origin [2001:db8::8]:8443").origin == Endpoint(address="2001:db8::8", port=8443)


def test_a_dash_that_slack_made_of_two_hyphens_is_an_option_again() -> None:
    assert check("check 192.0.2.7 —sni api.example.com").target.server_name == "api.example.com"


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("check", "without a host"),
        ("check http://[", "http://["),
        ("check host:99999", "port must be a number from 1 to 65535"),
        ("check a.example b.example", "2 hosts"),
        ("check a.example --snl b.example", "Did you mean --sni?"),
        ("check a.example --sni", "--sni without a value"),
        ("check a.example --sni b.example --sni c.example", "twice"),
        ("check a.example --ip b.example", "must be an address"),
        ("check a.example --origin b.example", "must be an address"),
        ("check a.example --starttls gopher", "STARTTLS"),
        ("check 🔥🔥🔥", "🔥"),
        ("check \u202egnp.exe", "not a valid"),
        ("check 127.1", "not an address I understand"),
        ("chekc api.example.com", "Did you mean `/tls check api.example.com`?"),
        ("api.example.com", "`/tls check api.example.com`"),
        ("frobnicate", "not a command"),
        ("traige foo", "Did you mean `/tls triage foo`?"),
        ("digset now", "Did you mean `/tls digest now`"),
        ("check " + "a" * 10_000, "10,006 characters"),
    ],
)
def test_what_is_not_understood_is_quoted_and_answered_with_what_works(typed: str, part: str) -> None:
    answer = misread(typed)
    assert part in answer
    assert len(answer) < 800
    assert "\u202e" not in answer


def test_help_is_what_nothing_means() -> None:
    assert commands.parse("") == Help()
    assert commands.parse("  \u00a0 ") == Help()
    assert commands.parse("help check") == Help(word="check")


def test_history_takes_anything_or_nothing() -> None:
    assert commands.parse("history") == HistoryQuery()
    assert commands.parse("history <http://a.example.com|a.example.com>") == HistoryQuery(word="a.example.com")


def test_the_mention_before_a_command_is_taken_off() -> None:
    assert commands.without_mention("<@U1> check a.example", "U1") == "check a.example"
    assert commands.without_mention("<@U1|bot>  check a.example", "U1") == "check a.example"


_hosts = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9](\.[a-z][a-z0-9]{1,8}){1,3}", fullmatch=True)


@given(text=st.text(max_size=1500))
@example(text="check --")
@example(text="check <")
@example(text="<@U1>")
@example(text="check " + "[" * 500)
def test_parsing_never_raises_and_answers_stay_short(text: str) -> None:
    command = commands.parse(text)
    if isinstance(command, Misread):
        assert command.answer
        assert len(command.answer) < 1500


@given(
    host=_hosts,
    port=st.integers(1, 65535),
    sni=st.none() | _hosts,
    ips=st.lists(st.ip_addresses().map(str), max_size=3, unique=True),
)
def test_a_check_written_out_is_read_back(host: str, port: int, sni: str | None, ips: list[str]) -> None:
    asked = Check(target=Target.parse(f"{host}:{port}", sni=sni), addresses=tuple(ips))
    assert commands.parse(commands.written(asked)) == asked


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("check https://ada:s3cret@example.com:8443/x", "check https://example.com:8443/x"),
        ("check <https://ada:s3cret@example.com|https://ada:s3cret@example.com>", "check <https://example.com|https://example.com>"),
        ("check https://evil.example@127.0.0.1/", "check https://127.0.0.1/"),
        ("check https://example.com/@ada", "check https://example.com/@ada"),
        ("check ada@example.com", "check ada@example.com"),
    ],
)  # fmt: skip
def test_a_password_in_a_pasted_url_is_not_kept_and_the_host_stays(typed: str, kept: str) -> None:
    assert commands.without_secrets(typed) == kept
    assert commands.parse(typed) == commands.parse(kept)
