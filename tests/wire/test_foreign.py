"""Peers that speak something else are named, promptly and whatever the cuts."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire import events
from probes.wire.client import ClientHandshake
from probes.wire.foreign import foreign_protocol
from probes.wire.hello import Hello, draw_secrets

GREETINGS: list[tuple[str | None, bytes]] = [
    ("http", b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html>"),
    ("http", b"HTTP/1.0 502 Bad Gateway\r\n"),
    ("http2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"),
    ("html", b"<html>\r\n<head><title>400 The plain HTTP request was sent"),
    ("html", b"<!DOCTYPE HTML PUBLIC>\n"),
    ("ssh", b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("ssh", b"Invalid SSH identification string.\r\n"),
    ("smtp", b"220 mail.example.com ESMTP Postfix\r\n"),
    ("smtp", b"554 5.7.1 No SMTP service here\r\n"),
    ("ftp", b"220 (vsFTPd 3.0.5)\r\n"),
    ("ftp", b"220 ProFTPD Server ready.\r\n"),
    ("ftp", b"220-FileZilla Server 1.8\r\n"),
    ("imap", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n"),
    ("imap", b"* BAD Error in IMAP command\r\n"),
    ("pop3", b"+OK Dovecot ready.\r\n"),
    ("pop3", b"-ERR Unknown command.\r\n"),
    ("redis", b"-ERR unknown command '\\x16\\x03\\x01', with args beginning with: \r\n"),
    ("redis", b"-NOAUTH Authentication required.\r\n"),
    ("nntp", b"200 news.example.com InterNetNews NNRP server ready (posting ok)\r\n"),
    ("mysql", b"\x4a\x00\x00\x00\x0a8.0.36\x00\x0b\x00\x00\x00"),
    ("mysql", b"\x45\x00\x00\x00\xff\x6a\x04Host '10.0.0.1' is not allowed"),
    ("postgresql", b"E\x00\x00\x00\x8dSFATAL\x00VFATAL\x00C0A000\x00"),
    ("postgresql", b"EFATAL:  unsupported frontend protocol\n\x00"),
    ("postgresql", b"N"),
    ("amqp", b"AMQP\x00\x00\x09\x01"),
    ("amqp", b"AMQP\x03\x01\x00\x00"),
    ("ldap", b"\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x02\x04\x00\x04\x00"),
    ("proxy", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
    ("irc", b":irc.example.com NOTICE * :*** Looking up your hostname\r\n"),
    ("vnc", b"RFB 003.008\n"),
    ("rdp", b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00"),
    ("telnet", b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23"),
    ("xmpp", b"<?xml version='1.0'?><stream:stream id='1'>\n"),
    ("memcached", b"ERROR\r\n"),
    ("sslv2", b"\x80\x03\x00\x00\x01"),
    ("sslv2", b"\x83\x05\x04\x00\x01\x00\x02\x02\xd0"),
    ("socks", b"\x05\xff"),
    (None, b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    (None, b"hello there, who are you?\r\n"),
]


def told(pieces: list[bytes]) -> list[events.Event]:
    hello = Hello(versions=())
    client = ClientHandshake(hello, draw_secrets(hello, os.urandom))
    client.start()
    return [event for piece in pieces for event in client.receive(piece)] + client.expire()


@pytest.mark.parametrize(("protocol", "greeting"), GREETINGS)
def test_the_protocol_is_named(protocol: str | None, greeting: bytes) -> None:
    (event,) = told([greeting])
    assert isinstance(event, events.NotTls)
    assert event.protocol == protocol
    assert greeting.startswith(event.first_bytes)
    assert told([greeting[at : at + 1] for at in range(len(greeting))]) == [event]


@pytest.mark.parametrize("greeting", [greeting for _, greeting in GREETINGS if b"\n" in greeting])
def test_a_whole_line_is_enough(greeting: bytes) -> None:
    hello = Hello(versions=())
    client = ClientHandshake(hello, draw_secrets(hello, os.urandom))
    client.start()
    assert client.receive(greeting)
    assert client.done


@given(st.binary(max_size=600))
def test_naming_never_fails_and_never_takes_tls_for_something_else(noise: bytes) -> None:
    foreign_protocol(noise)
    assert foreign_protocol(b"\x16\x03\x03" + noise) is None
    assert foreign_protocol(b"\x15\x03\x01" + noise) is None
