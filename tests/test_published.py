"""CAA and TLSA records against certificates: who may issue, and what mail servers that check DANE would do."""

from __future__ import annotations

import hashlib

import pytest

from probes.observed import Published
from probes.pki.certificate import Certificate, parse
from probes.published import caa_line, dane_mismatch, matches
from tests import pki

LEAF, CA, ROOT = pki.chain()
CHAIN = (LEAF.der, CA.der)


def read(der: bytes) -> Certificate:
    parsed = parse(der)
    assert isinstance(parsed, Certificate)
    return parsed


def issued_by(organisation: str, *names: str) -> Certificate:
    ca = pki.intermediate(ROOT, organisation)
    return read(pki.leaf(ca, names=names or ("healthy.test",)).der)


def caa(*records: str, **more: object) -> Published:
    return Published(kind="CAA", name="healthy.test", records=records, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (('0 issue "letsencrypt.org"',), "the issuer seen among them"),
        (('0 issue "letsencrypt.org; validationmethods=dns-01"',), "the issuer seen among them"),
        (('0 issue "LetsEncrypt.org"', '0 issue "digicert.com"'), "the issuer seen among them"),
        (('0 issue "digicert.com"',), "digicert.com alone, and not letsencrypt.org"),
        (('0 issue ";"',), "allows nobody to issue"),
        (('0 iodef "mailto:a@healthy.test"',), "no limit on issuing"),
        ((), "every authority may issue"),
        (('128 tbs "x"', '0 issue "letsencrypt.org"'), "critical property “tbs”"),
        (('0 issue "letsencrypt.org"', '0 issuewild ";"'), "the issuer seen among them"),
    ],
)
def test_caa_is_read_for_the_issuer_seen(records: tuple[str, ...], said: str) -> None:
    assert said in caa_line(caa(*records), issued_by("Let's Encrypt R12"))


def test_a_wildcard_certificate_is_ruled_by_issuewild() -> None:
    wild = issued_by("Let's Encrypt R12", "*.healthy.test")
    assert "allows nobody" in caa_line(caa('0 issue "letsencrypt.org"', '0 issuewild ";"'), wild)
    assert "among them" in caa_line(caa('0 issue "letsencrypt.org"'), wild)


def test_an_issuer_without_a_known_domain_is_not_accused() -> None:
    line = caa_line(caa('0 issue "digicert.com"'), issued_by("Corporate CA"))
    assert line.endswith("allows digicert.com")


def test_a_look_up_that_fails_stops_authorities() -> None:
    assert "refuse to issue" in caa_line(caa(failure="SERVFAIL"), read(LEAF.der))
    assert "DNSSEC does not validate" in caa_line(caa(failure="x", dnssec="bogus"), read(LEAF.der))


def digest(data: bytes, matching: int) -> str:
    return {0: data.hex(), 1: hashlib.sha256(data).hexdigest(), 2: hashlib.sha512(data).hexdigest()}[matching]


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
def test_every_selector_and_matching_type_is_compared(selector: int, matching: int) -> None:
    def record(usage: int, der: bytes) -> str:
        return f"{usage} {selector} {matching} {digest(der if selector == 0 else read(der).spki, matching)}"

    assert matches(record(3, LEAF.der), CHAIN) is True
    assert matches(record(3, CA.der), CHAIN) is False  # 3 is about the leaf alone
    assert matches(record(2, CA.der), CHAIN) is True
    assert matches(record(2, ROOT.der), CHAIN) is False  # not sent, so not to be matched
    assert matches(record(3, LEAF.der).upper(), CHAIN) is True


@pytest.mark.parametrize("record", ["0 1 1 ab", "1 1 1 ab", "3 7 1 ab", "3 1 9 ab", "3 1", "", "x y z ab"])
def test_what_mail_cannot_use_decides_nothing(record: str) -> None:
    assert matches(record, CHAIN) is None
    assert dane_mismatch(Published(kind="TLSA", name="_25._tcp.a.test", records=(record,)), CHAIN) is None


def test_a_hex_value_in_pieces_is_one_value() -> None:
    whole = digest(read(LEAF.der).spki, 1)
    assert matches(f"3 1 1 {whole[:20]} {whole[20:]}", CHAIN) is True


def test_one_record_that_matches_is_enough() -> None:
    good = f"3 1 1 {digest(read(LEAF.der).spki, 1)}"
    found = Published(kind="TLSA", name="_25._tcp.a.test", records=("3 1 1 " + "00" * 32, good), dnssec="secure")
    assert dane_mismatch(found, CHAIN) is None


@pytest.mark.parametrize(("dnssec", "said"), [("secure", "do not deliver"), ("insecure", "nobody heeds it yet")])
def test_records_that_match_nothing_are_told_with_their_weight(dnssec: str, said: str) -> None:
    record = "2 1 1 " + "00" * 32
    found = Published(kind="TLSA", name="_25._tcp.a.test", records=(record,), dnssec=dnssec)  # type: ignore[arg-type]
    line = dane_mismatch(found, CHAIN)
    assert line is not None and said in line and "2 1 1 0000000000000000…" in line


def test_bogus_records_defer_mail() -> None:
    found = Published(kind="TLSA", name="_25._tcp.a.test", failure="SERVFAIL", dnssec="bogus")
    assert "defer" in (dane_mismatch(found, CHAIN) or "")
