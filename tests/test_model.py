"""`Target.parse` is the only door for what people type: it opens for targets and answers everything else in a line."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes.model import MAX_HOST_LENGTH, STARTTLS_PROTOCOLS, Endpoint, Target, UsageError, hostname, shown

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=0, max_size=4).map(lambda parts: ".".join([*parts, "test"]))
ports = st.integers(1, 65535)


@settings(deadline=None)
@given(st.text())
@example("http://[")
@example("a" * 10_000)
@example("[::1")
@example("\u202eevil.test")
@example("😀.test")
@example("xn--a.test")
@example("a.test:99999")
@example("")
@example("\x00")
@example("::")
@example("fe80::1%eth0")
@example("[fe80::1%eth\x07]:443")
def test_any_text_is_a_target_or_the_user_s_mistake(text: str) -> None:
    try:
        target = Target.parse(text)
    except UsageError as error:
        _is_said_well(str(error))
    else:
        assert target.host and 1 <= target.port <= 65535 and len(target.host) <= MAX_HOST_LENGTH + 50
        assert target.host.isprintable() and " " not in target.host


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co"]), min_size=1), hosts)
def test_control_and_direction_characters_are_never_echoed(hostile: str, host: str) -> None:
    for text in (hostile, f"{hostile}{host}", f"{host}{hostile}:443", f"{host}:{hostile}", f"https://{host}{hostile}"):
        try:
            target = Target.parse(text)
        except UsageError as error:
            _is_said_well(str(error))
        else:
            assert target.host.isascii() and target.host.isprintable()


def _is_said_well(message: str) -> None:
    """One line, capped, nothing that steers a terminal; what was read and what would work."""
    assert message.isprintable() and len(message) < 400
    assert "I read “" in message


@settings(deadline=None)
@given(hosts, ports)
def test_a_name_with_a_port_reads_back_as_written(host: str, port: int) -> None:
    target = Target.parse(f"{host}:{port}")
    assert (target.host, target.port, target.server_name) == (host, port, host)
    assert Target.parse(str(target)) == target


@settings(deadline=None)
@given(st.ip_addresses(), ports)
def test_an_address_reads_back_as_written_and_sends_no_name(address: object, port: int) -> None:
    text = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    target = Target.parse(text)
    assert (target.host, target.port, target.server_name, target.is_ip) == (str(address), port, None, True)
    assert Target.parse(str(target)) == target


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_an_ipv6_address_needs_no_brackets_without_a_port(address: object) -> None:
    assert Target.parse(str(address)) == Target.parse(f"[{address}]") == Target.parse(f"[{address}]:443")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("Example.COM", "example.com", 443),
        ("example.com.", "example.com", 443),
        ("  example.com  ", "example.com", 443),
        ("https://example.com/path?q=1#x", "example.com", 443),
        ("https://example.com:8443/", "example.com", 8443),
        ("http://example.com", "example.com", 80),
        ("HTTPS://example.com", "example.com", 443),
        ("https://user:secret@example.com/", "example.com", 443),
        ("https://[2001:db8::7]:8443/x", "2001:db8::7", 8443),
        ("bücher.example", "xn--bcher-kva.example", 443),
        ("BÜCHER.example:8443", "xn--bcher-kva.example", 8443),
        ("例え.jp", "xn--r8jz45g.jp", 443),
        ("_dmarc.example.com", "_dmarc.example.com", 443),
        ("localhost", "localhost", 443),
        ("2001:DB8::0007", "2001:db8::7", 443),
        ("1.2.3.4.example", "1.2.3.4.example", 443),
    ],
)
def test_what_people_paste_is_understood(text: str, host: str, port: int) -> None:
    target = Target.parse(text)
    assert (target.host, target.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.0x1", "1.2.3", "192.0.2.07"),
        *("127.0.0.1.", "１２７.1", "①②⑦.1", "0x7f.0x1", "foo.0x", "foo.0xabc"),
    ],
)
def test_an_address_in_an_old_notation_is_refused(text: str) -> None:
    """A resolver would read it as an address, around every check of addresses."""
    try:
        target = Target.parse(text)
    except UsageError as error:
        _is_said_well(str(error))
    else:
        pytest.fail(f"{text} became {target.host}")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "..", "a..b", "-a.test", "a-.test", "a b.test", "a/b", "a.test/path", "ftp://a.test", "://a"),
        *(
            "a.test:",
            "a.test:0",
            "a.test:65536",
            "a.test:99999",
            "a.test:-1",
            "a.test:https",
            "a.test:４４３",
            "a.test:1:2",
        ),
        *("http://[", "[::1", "::1]", "[a.test]", "[127.0.0.1]", "[::1]x", "[::1]443", "[]:443", "https://"),
        *("a" * 64 + ".test", "a." * 130 + "test", "*.test", "a,b.test", "a;rm -rf.test", "$(id).test", "a'b.test"),
        *("😀" * 100, "a\x00.test", "a\n.test", "\u202eevil.test", "xn--.test", "a\u200d.test"),
    ],
)
def test_what_is_no_target_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Target.parse(text)
    _is_said_well(str(caught.value))


def test_the_name_to_send_may_be_another_than_the_host() -> None:
    target = Target.parse("192.0.2.7:8443", sni="API.Example.com.")
    assert (target.host, target.server_name) == ("192.0.2.7", "api.example.com")
    with pytest.raises(UsageError):
        Target.parse("a.test", sni="no name")


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
def test_known_starttls_protocols_are_kept(protocol: str) -> None:
    assert Target.parse("a.test:25", starttls=protocol).starttls == protocol


def test_an_unknown_starttls_protocol_is_refused_with_those_that_work() -> None:
    with pytest.raises(UsageError, match="smtp, imap"):
        Target.parse("a.test", starttls="gopher\x1b")


@settings(deadline=None)
@given(hosts)
def test_a_name_is_its_own_normal_form(host: str) -> None:
    assert hostname(hostname(host)) == hostname(host) == hostname(host.upper())


@settings(deadline=None)
@given(st.text(), st.integers(1, 100))
def test_what_is_quoted_back_is_one_printable_line(text: str, limit: int) -> None:
    quoted = shown(text, limit)
    assert quoted.isprintable() and len(quoted) <= limit


@settings(deadline=None)
@given(st.ip_addresses(), ports)
def test_an_endpoint_is_written_as_tools_read_it(address: object, port: int) -> None:
    written = str(Endpoint(address=str(address), port=port))
    assert Target.parse(written).host == str(ip_address(str(address)))


@pytest.mark.parametrize("zone", ["²", "\x1b[31m", "<!channel>", "`id`", "a b", "", "x" * 16, "eth0%25", "\u202e"])
def test_a_zone_is_the_name_of_an_interface(zone: str) -> None:
    """`ipaddress` takes any text after the percent sign; it would reach terminals, channels and sockets."""
    for text in (f"fe80::1%{zone}", f"[fe80::1%{zone}]:443"):
        with pytest.raises(UsageError) as caught:
            Target.parse(text)
        _is_said_well(str(caught.value))


@pytest.mark.parametrize("zone", ["eth0", "2", "wlp3s0.100", "br-1a2b3c"])
def test_a_usual_zone_is_kept(zone: str) -> None:
    assert Target.parse(f"[fe80::1%{zone}]:443").host == f"fe80::1%{zone}"
