"""The conversations before TLS, as scripts: what each server says, what it is answered, and how that ends."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.model import STARTTLS_PROTOCOLS
from probes.wire.starttls import MAX_CLEAR, NAMES, Prelude, Ready, Refused

SMTP = [
    b"220-mail.test ESMTP\r\n220 at your service\r\n",
    b"250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
    b"220 go\r\n",
]
IMAP = [b"* OK [CAPABILITY IMAP4rev2 STARTTLS] ready\r\n", b"* CAPABILITY IMAP4rev2\r\na1 OK begin\r\n"]
POP3 = [b"+OK ready <1.2@mail.test>\r\n", b"+OK begin TLS\r\n"]
LDAP_OK = bytes.fromhex("300c02010178070a010004000400")
POSTGRES = [b"S"]
FEATURES = (
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
)
STREAM = b"<?xml version='1.0'?><stream:stream from='chat.test' id='1' version='1.0' xmlns='jabber:client'>"
XMPP = [STREAM + FEATURES, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"]


def mysql_greeting(*, tls: bool = True, version: bytes = b"8.4.3") -> bytes:
    flags = 0xF7FF | (0x0800 if tls else 0)
    body = (
        b"\x0a" + version + b"\0" + bytes(4) + b"12345678\0" + flags.to_bytes(2, "little") + b"\xff\x02\0" + bytes(16)
    )
    return len(body).to_bytes(3, "little") + b"\0" + body


TALKS = {
    "smtp": SMTP,
    "imap": IMAP,
    "pop3": POP3,
    "ldap": [LDAP_OK],
    "postgres": POSTGRES,
    "mysql": [mysql_greeting()],
    "xmpp": XMPP,
}


@dataclass
class Held:
    end: Ready | Refused | None
    sent: list[bytes]


def hold(protocol: str, *said: bytes, domain: str = "chat.test") -> Held:
    """Let the far end say each of *said* in turn, and take what it is answered."""
    talk = Prelude(protocol, domain)
    sent = [talk.outgoing()]
    end = None
    for words in said:
        end = talk.receive(words)
        sent.append(talk.outgoing())
    return Held(end, [each for each in sent if each])


def refusal(protocol: str, *said: bytes) -> Refused:
    end = hold(protocol, *said).end
    assert isinstance(end, Refused), end
    return end


def test_every_protocol_of_the_grammar_has_its_conversation() -> None:
    assert set(NAMES) == set(STARTTLS_PROTOCOLS) == set(TALKS)


@pytest.mark.parametrize("protocol", TALKS)
def test_a_server_that_offers_tls_leads_to_it(protocol: str) -> None:
    assert hold(protocol, *TALKS[protocol]).end == Ready()


@pytest.mark.parametrize(
    ("protocol", "asked"),
    [
        ("smtp", [b"EHLO clienthello.invalid\r\n", b"STARTTLS\r\n"]),
        ("imap", [b"a1 STARTTLS\r\n"]),
        ("pop3", [b"STLS\r\n"]),
        ("ldap", [bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"]),
        ("postgres", [bytes.fromhex("0000000804d2162f")]),
    ],
)
def test_the_words_are_those_of_the_standard(protocol: str, asked: list[bytes]) -> None:
    assert hold(protocol, *TALKS[protocol]).sent == asked


def test_mysql_is_answered_with_an_ssl_request_of_the_next_sequence() -> None:
    [request] = hold("mysql", mysql_greeting()).sent
    assert request[:4] == b"\x20\0\0\x01" and len(request) == 36
    flags = int.from_bytes(request[4:8], "little")
    assert flags & 0x0800 and flags & 0x0200  # CLIENT_SSL, CLIENT_PROTOCOL_41
    assert request[13:] == bytes(23)


def test_xmpp_names_the_domain_and_asks_with_the_namespace_of_tls() -> None:
    header, ask = hold("xmpp", *XMPP, domain="chat.test").sent
    assert b"to='chat.test'" in header and b"version='1.0'" in header
    assert ask == b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


def test_a_domain_cannot_leave_its_attribute() -> None:
    header = Prelude("xmpp", "a'/><evil x='").outgoing()
    assert header.count(b"'") == 10 and b"evil x" not in header


@given(data=st.data(), protocol=st.sampled_from(sorted(TALKS)))
def test_cutting_what_is_said_anywhere_changes_nothing(data: st.DataObject, protocol: str) -> None:
    whole = Prelude(protocol, "chat.test")
    cut = Prelude(protocol, "chat.test")
    ends, sent = [], [whole.outgoing(), cut.outgoing()]
    for words in TALKS[protocol]:
        ends.append(whole.receive(words))
        sent[0] += whole.outgoing()
        at = data.draw(st.integers(0, len(words)))
        for piece in filter(None, (words[:at], words[at:])):
            end = cut.receive(piece)
        ends.append(end)
        sent[1] += cut.outgoing()
        assert ends[-1] == ends[-2]
    assert sent[0] == sent[1]


@given(protocol=st.sampled_from(sorted(TALKS)), pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_no_bytes_raise_and_an_end_stays_the_end(protocol: str, pieces: list[bytes]) -> None:
    talk = Prelude(protocol, "chat.test")
    end = None
    for piece in pieces:
        told = talk.receive(piece)
        assert end is None or told == end
        end = told
    assert talk.eof() == end or end is None
    assert talk.awaiting


@given(
    protocol=st.sampled_from(sorted(TALKS)), at=st.integers(0, 400), octet=st.integers(0, 255), step=st.integers(0, 2)
)
def test_one_wrong_octet_never_raises(protocol: str, at: int, octet: int, step: int) -> None:
    talk = Prelude(protocol, "chat.test")
    for number, words in enumerate(TALKS[protocol]):
        broken = bytearray(words)
        if number == step:
            broken[at % len(broken)] = octet
        talk.receive(bytes(broken))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([b"554 go away\r\n"], "before STARTTLS could be asked for"),
        ([b"421 too many\r\n"], "before STARTTLS could be asked for"),
        ([SMTP[0], b"502 unknown\r\n"], "EHLO is refused"),
        ([SMTP[0], b"250-mail.test\r\n250-SIZE 1000\r\n250 HELP\r\n"], "not offered: EHLO lists SIZE, HELP"),
        ([SMTP[0], b"250-mail.test\r\n250-XXXXXXXA\r\n250 HELP\r\n"], "a firewall on the path has blanked"),
        (
            [*SMTP[:2], b"454 4.7.0 TLS not available\r\n"],
            "454 4.7.0 TLS not available”: STARTTLS is refused for the moment",
        ),
        ([*SMTP[:2], b"530 5.7.0 first things first\r\n"], "until something else"),
        ([*SMTP[:2], b"502 5.5.1 no\r\n"], "502 5.5.1 no”: STARTTLS is not offered"),
        ([b"220 files.test FTP server ready\r\n"], "this port speaks FTP, not SMTP"),
    ],
)
def test_smtp_says_no_in_many_ways(said: list[bytes], why: str) -> None:
    assert why in refusal("smtp", *said).why


@pytest.mark.parametrize(
    ("protocol", "said", "why"),
    [
        ("imap", [b"* BYE overloaded\r\n"], "goodbye"),
        ("imap", [b"* PREAUTH logged in\r\n"], "not allowed"),
        ("imap", [b"* OK ready\r\n", b"a1 BAD what\r\n"], "“a1 BAD what”: STARTTLS is refused"),
        ("imap", [b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", b"a1 NO\r\n"], "not among the capabilities"),
        ("pop3", [b"-ERR locked\r\n"], "turns the connection away"),
        ("pop3", [b"+OK hi\r\n", b"-ERR unknown command\r\n"], "“-ERR unknown command”"),
        (
            "ldap",
            [bytes.fromhex("301302010178 0e0a0102 0400 0407") + b"no TLS!"],
            "result 2 (“no TLS!”): protocolError",
        ),
        ("ldap", [bytes.fromhex("3084000000 10 020101 7884 00000007 0a0134 0400 0400")], "unavailable"),
        ("postgres", [b"N"], "ssl = off"),
        ("postgres", [b"E\0\0\0\x26SFATAL\0C53300\0Mtoo many clients now\0\0"], "“too many clients now”"),
        ("mysql", [b"\x1b\0\0\0\xff\x69\x04Host is not allowed here"], "error 1129: “Host is not allowed here”"),
        ("mysql", [mysql_greeting(tls=False)], "lacks CLIENT_SSL"),
        ("xmpp", [STREAM + b"<stream:features><mechanisms/></stream:features>"], "not offered"),
        ("xmpp", [STREAM + b"<stream:features/>"], "not offered"),
        (
            "xmpp",
            [XMPP[0], b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"],
            "STARTTLS is refused",
        ),
        (
            "xmpp",
            [STREAM + b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"],
            "host-unknown (it does not serve “chat.test”)",
        ),
    ],
)
def test_each_protocol_has_its_own_no(protocol: str, said: list[bytes], why: str) -> None:
    assert why in refusal(protocol, *said).why


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "postgres", "xmpp", "mysql", "ldap"])
def test_bytes_behind_the_go_ahead_are_a_fault(protocol: str) -> None:
    *before, last = TALKS[protocol]
    end = refusal(protocol, *before, last + b"250 injected\r\n")
    assert "in clear behind the go-ahead" in end.why and end.said == b"250 injected\r\n"


@pytest.mark.parametrize("protocol", TALKS)
def test_tls_at_once_is_recognised(protocol: str) -> None:
    end = refusal(protocol, b"\x15\x03\x01\x00\x02\x02\x46")
    assert end.protocol == "tls" and "without STARTTLS" in end.why


@pytest.mark.parametrize(
    ("asked", "said", "speaks"),
    [
        ("smtp", b"* OK IMAP ready\r\n", "imap"),
        ("imap", b"220 mail.test ESMTP\r\n", "smtp"),
        ("pop3", b"220 mail.test ESMTP\r\n", "smtp"),
        ("mysql", b"220 mail.test ESMTP\r\n", "smtp"),
        ("xmpp", b"+OK POP3 ready\r\n", "pop3"),
        ("ldap", b"* OK IMAP ready\r\n", "imap"),
        ("smtp", b"SSH-2.0-OpenSSH_9.6\r\n", "ssh"),
        ("postgres", b"HTTP/1.1 400 Bad Request\r\n", "http"),
    ],
)
def test_another_protocol_is_named(asked: str, said: bytes, speaks: str) -> None:
    end = refusal(asked, said)
    assert end.protocol == speaks
    assert ("check it with STARTTLS" in end.why) == (speaks in NAMES)


def test_an_endless_greeting_ends() -> None:
    talk = Prelude("smtp", "a.test")
    end = None
    for _ in range(MAX_CLEAR // 1024 + 2):
        end = talk.receive(b"220-" + b"x" * 1018 + b"\r\n") or end
    assert isinstance(end, Refused)


def test_half_a_greeting_is_judged_when_no_more_comes() -> None:
    talk = Prelude("smtp", "a.test")
    assert talk.receive(b"SSH-2.0-OpenSSH_9.6") is None
    end = talk.eof()
    assert isinstance(end, Refused) and end.protocol == "ssh"


def test_silence_is_no_end() -> None:
    talk = Prelude("imap", "a.test")
    assert talk.eof() is None and not talk.heard and talk.awaiting == "the IMAP greeting"
