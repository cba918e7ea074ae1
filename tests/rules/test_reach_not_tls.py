"""reach.not-tls: the peer answered, but not in TLS."""

from __future__ import annotations

import pytest

from probes.diagnose import judge
from probes.model import NotTls, Target
from tests.evidence import HTTP, alerted, dropped, facts, fires, healthy, malformed, silent


@pytest.mark.parametrize(
    ("protocol", "first"),
    [("HTTP", b"HTTP/1.1 400 Bad Request"), ("SSH", b"SSH-2.0-OpenSSH_9.6"), ("SMTP", b"220 mail.test ESMTP")],
)
def test_the_protocol_heard_instead_is_named_with_its_first_words(protocol: str, first: bytes) -> None:
    seen = facts(healthy(every=NotTls(protocol=protocol, first_bytes=first)))
    finding = fires("reach.not-tls", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert protocol in finding.explanation
    assert any(first.decode() in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_what_was_heard_once_outweighs_many_closes() -> None:
    seen = facts(healthy(every=dropped("fin"), modern=HTTP))
    fires("reach.not-tls", seen, severity="critical")
    assert silent("reach.closed", seen)


def test_malformed_tls_is_not_tls() -> None:
    finding = fires("reach.not-tls", facts(healthy(every=malformed("a record of 65535 bytes"))), severity="critical")
    assert any("65535" in line for line in finding.evidence)


def test_control_characters_of_a_banner_never_reach_the_evidence() -> None:
    hostile = NotTls(protocol="unknown", first_bytes=b"\x1b[2Jevil\r\n\x00")
    finding = fires("reach.not-tls", facts(healthy(every=hostile)), severity="critical")
    assert all(line.isprintable() for line in finding.evidence)


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.not-tls", facts())


def test_one_strange_answer_to_a_weak_hello_is_no_finding() -> None:
    seen = facts(healthy(weak=HTTP, legacy=malformed()))
    assert silent("reach.not-tls", seen)
    assert judge(seen).cause is None


def test_an_alert_is_tls() -> None:
    assert silent("reach.not-tls", facts(healthy(every=alerted(40))))


def test_a_proxy_is_told_from_a_web_server() -> None:
    proxy = NotTls(protocol="http", first_bytes=b"HTTP/1.1 407 Proxy Authentication Required\r\n")
    finding = fires("reach.not-tls", facts(healthy(every=proxy)), severity="critical")
    assert "CONNECT" in finding.explanation and "407" in finding.fix
    assert "--proxy" in finding.next_command
    plain = fires("reach.not-tls", facts(healthy(every=HTTP)), severity="critical")
    assert "proxy" not in plain.explanation


MAIL = Target.parse("healthy.test:25", starttls="smtp")
NO = NotTls(protocol="smtp", first_bytes=b"454 4.7.0 no\r\n", why="SMTP answered “454 4.7.0 no”: STARTTLS is refused")


def test_a_refused_starttls_is_told_in_the_servers_words_with_what_turns_it_on() -> None:
    finding = fires("reach.not-tls", facts(healthy(target=MAIL, every=NO), target=MAIL), severity="critical")
    assert "454 4.7.0 no" in finding.explanation and "smtpd_tls_security_level" in finding.fix
    assert "-starttls smtp" in finding.next_command


def test_tls_at_once_says_to_drop_starttls() -> None:
    at_once = NotTls(protocol="tls", first_bytes=b"\x15\x03\x01", why="this port speaks TLS from the first byte")
    finding = fires("reach.not-tls", facts(healthy(target=MAIL, every=at_once), target=MAIL), severity="critical")
    assert "Drop `--starttls`" in finding.fix and "-starttls" not in finding.next_command


def test_a_plain_check_of_a_mail_port_names_starttls() -> None:
    heard = NotTls(protocol="smtp", first_bytes=b"220 mail.test ESMTP\r\n")
    finding = fires("reach.not-tls", facts(healthy(every=heard)), severity="critical")
    assert "--starttls smtp" in finding.fix and "-starttls smtp" in finding.next_command
