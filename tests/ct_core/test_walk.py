"""The walk: it agrees with cryptography where both read, never raises, and misses no name in what others refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.ct.description import describe
from probes.ct.entries import identity_of
from probes.ct.walk import Names, hopped, names_of
from probes.ct.watchset import WatchSet
from tests.bench.ct import certificates

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SCT_LIST = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), b"\x04\x06\x00\x04\x00\x02ab")
WATCH = WatchSet.compile(["watched.example"])


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element in DER."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    count = (len(body).bit_length() + 7) // 8
    return bytes((tag, 0x80 | count)) + len(body).to_bytes(count, "big") + body


def ber(tag: int, *parts: bytes) -> bytes:
    """One element with a length longer than need be."""
    body = b"".join(parts)
    return bytes((tag, 0x84)) + len(body).to_bytes(4, "big") + body


def name(*common: bytes, tag: int = 0x0C) -> bytes:
    return tlv(0x30, *(tlv(0x31, tlv(0x30, b"\x06\x03\x55\x04\x03", tlv(tag, each))) for each in common))


def san(*names: bytes, tag: int = 0x82, head: bytes = b"\x06\x03\x55\x1d\x11") -> bytes:
    return tlv(0x30, head, tlv(0x04, tlv(0x30, *(tlv(tag, each) for each in names))))


ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
VALIDITY = tlv(0x30, tlv(0x17, b"261101000000Z"), tlv(0x17, b"270101000000Z"))
SPKI = tlv(0x30, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"), tlv(0x03, b"\x00\x04" + b"\x11" * 64))
KEY_USAGE = bytes.fromhex("300e0603551d0f0101ff040403020780")
WANTED = b"www.watched.example"


def tbs(
    *extensions: bytes,
    serial: bytes = b"\x02\x01\x05",
    subject: bytes = b"\x30\x00",
    version: bytes = b"\xa0\x03\x02\x01\x02",
    frame: Callable[..., bytes] = tlv,
) -> bytes:
    listed = tlv(0xA3, tlv(0x30, *extensions)) if extensions else b""
    return frame(0x30, version, serial, ALGORITHM, name(b"CA"), VALIDITY, subject, SPKI, listed)


def certificate(signed: bytes) -> bytes:
    return tlv(0x30, signed, ALGORITHM, tlv(0x03, b"\x00" + b"\x30\x06\x02\x01\x01\x02\x01\x01"))


def built(*names: x509.GeneralName, common: tuple[str, ...] = (), scts: bool = False) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test CA, Inc.")]))
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common]))
        .serial_number(0x1234)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .public_key(key().public_key())
        .add_extension(x509.BasicConstraints(False, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not common)
    if scts:
        builder = builder.add_extension(SCT_LIST, critical=False)
    return builder.sign(key(), SHA256())


def both(signed: bytes) -> list[Names]:
    return [names_of(signed, True), names_of(certificate(signed))]


def test_the_usual_names_are_read_as_they_stand() -> None:
    names = (
        x509.DNSName("Example.COM"), x509.IPAddress(ip_address("192.0.2.1")), x509.DNSName("*.example.com"),
        x509.IPAddress(ip_address("2001:db8::1")), x509.RFC822Name("a@example.com"),
    )  # fmt: skip
    made = built(*names, common=("example.com", "second.example.com"))
    for read in (names_of(made.public_bytes(Encoding.DER)), names_of(made.tbs_certificate_bytes, True)):
        assert read.dns == (b"Example.COM", b"*.example.com")
        assert read.ips == (ip_address("192.0.2.1").packed, ip_address("2001:db8::1").packed)
        assert read.cns == (b"example.com", b"second.example.com")
        assert read.problems == ()


LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63)
HOST = st.lists(LABEL, min_size=1, max_size=3).map(".".join)


@given(st.lists(HOST, max_size=30), st.lists(HOST.filter(lambda host: len(host) <= 64), max_size=2), st.booleans())
@settings(deadline=None, max_examples=60)
def test_it_agrees_with_cryptography(hosts: list[str], common: list[str], scts: bool) -> None:
    made = built(*map(x509.DNSName, hosts), common=tuple(common), scts=scts)
    for data, is_tbs in ((made.public_bytes(Encoding.DER), False), (made.tbs_certificate_bytes, True)):
        read = names_of(data, is_tbs)
        assert read == Names(tuple(each.encode() for each in hosts), (), tuple(each.encode() for each in common))
        quick = hopped(b"before" + data + b"after", 6, 6 + len(data), is_tbs)
        assert quick is None or set(quick) == {*read.dns, *read.cns}


def test_certificates_of_the_usual_build_take_the_fast_way() -> None:
    made = certificates(60, 5)
    taken = [hopped(each.tbs, 0, len(each.tbs), each.is_precert) for each in made]
    assert all(quick is not None for quick in taken)
    assert all(
        set(each.names) <= {name.decode() for name in quick or ()} for each, quick in zip(made, taken, strict=True)
    )


@given(st.data())
@settings(deadline=None, max_examples=400)
def test_no_bytes_make_it_raise_and_the_fast_way_misses_no_name(data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(certificates(60, 5)))
    spoiled = bytearray(made.tbs)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        match data.draw(st.sampled_from(("flip", "cut", "double", "insert"))):
            case "flip":
                spoiled[at] = data.draw(st.integers(0, 255))
            case "cut":
                del spoiled[at : at + data.draw(st.integers(1, 4))]
            case "double":
                spoiled[at:at] = spoiled[at : at + 40]
            case "insert":
                spoiled[at:at] = data.draw(st.binary(max_size=4))
        if not spoiled:
            return
    raw = bytes(spoiled)
    walked, quick = names_of(raw, made.is_precert), hopped(raw, 0, len(raw), made.is_precert)
    describe(raw, made.is_precert)
    identity_of(raw, is_tbs=made.is_precert)
    if quick is not None and not walked.problems:
        assert {*walked.dns, *walked.cns} <= set(quick)
        assert not walked.ips


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_malformed_and_never_raises(noise: bytes, is_tbs: bool) -> None:
    assert names_of(noise, is_tbs).problems or noise[:1] == b"\x30"
    describe(noise, is_tbs)
    identity_of(noise, is_tbs=is_tbs)


ODD = {
    "negative serial": tbs(san(WANTED), serial=b"\x02\x01\x85"),
    "empty serial": tbs(san(WANTED), serial=b"\x02\x00"),
    "serial of 40 bytes": tbs(san(WANTED), serial=tlv(2, b"\x11" * 40)),
    "version 1 with extensions": tbs(san(WANTED), version=b""),
    "version 9": tbs(san(WANTED), version=b"\xa0\x03\x02\x01\x09"),
    "long lengths": tbs(ber(0x30, b"\x06\x03\x55\x1d\x11", ber(0x04, ber(0x30, ber(0x82, WANTED)))), frame=ber),
    "identifier of long length": tbs(san(WANTED, head=b"\x06\x81\x03\x55\x1d\x11"), KEY_USAGE),
    "second subjectAltName": tbs(san(b"harmless.test"), KEY_USAGE, san(WANTED)),
    "first subjectAltName": tbs(san(WANTED), KEY_USAGE, san(b"harmless.test")),
    "in 200 names": tbs(san(*(b"host%d.test" % each for each in range(200)), WANTED)),
    "behind a long name": tbs(san(b"a" * 300, WANTED)),
    "behind a name with a tag's byte": tbs(san(b"a\x82b.test", WANTED)),
    "behind bad UTF-8": tbs(san(b"\xff\xfe.test", WANTED)),
    "as a wildcard": tbs(san(b"*.watched.example")),
    "upper case and a dot": tbs(san(b"WWW.Watched.EXAMPLE.")),
    "critical": tbs(tlv(0x30, b"\x06\x03\x55\x1d\x11\x01\x01\xff", tlv(0x04, tlv(0x30, tlv(0x82, WANTED))))),
    "criticality FALSE spelled out": tbs(
        tlv(0x30, b"\x06\x03\x55\x1d\x11\x01\x01\x00", tlv(0x04, tlv(0x30, tlv(0x82, WANTED))))
    ),
    "common name alone": tbs(subject=name(WANTED)),
    "second common name": tbs(subject=name(b"harmless.test", WANTED)),
    "common name in UTF-16": tbs(subject=name("www.watched.example".encode("utf-16-be"), tag=0x1E)),
    "common name in UTF-32": tbs(subject=name("www.watched.example".encode("utf-32-be"), tag=0x1C)),
    "common name of long length": tbs(
        san(b"harmless.test"), subject=ber(0x30, ber(0x31, ber(0x30, b"\x06\x81\x03\x55\x04\x03", ber(0x0C, WANTED))))
    ),
    "unique identifiers": tbs(san(WANTED)).replace(SPKI, SPKI + b"\x81\x02\x00\x01"),
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case in ODD if case != "unique identifiers"])
def test_odd_certificates_yield_their_names(case: str) -> None:
    for read in both(ODD[case]):
        assert WATCH.match(read), read
        assert not read.problems


BROKEN = {
    "indefinite length": b"\x30\x80" + tbs(san(WANTED))[2:] + b"\x00\x00",
    "cut in the middle of a later extension": tbs(san(WANTED), KEY_USAGE)[:-7],
    "cut inside the name": tbs(san(b"watched.example" + b"x" * 20))[:-20],
    "extensions that are too short": tbs(san(WANTED), KEY_USAGE).replace(KEY_USAGE, KEY_USAGE[:4]),
    "bytes behind it": tbs(san(WANTED)) + b"\x00",
    "a common name and then nonsense": tbs(subject=name(WANTED), version=b"\x05"),
    "names with an impossible length": tbs(tlv(0x30, b"\x06\x03\x55\x1d\x11", tlv(4, b"\x30\x89" + tlv(0x82, WANTED)))),
    "letters alone": b"\x00\x01www\x00.\x00w\x00watched.example\xff",
    "letters of 16 bits": b"\x00" + "watched.example".encode("utf-16-be"),
    "unique identifiers": ODD["unique identifiers"],
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_certificates_say_so_and_still_yield_the_watched_name(case: str) -> None:
    for raw, is_tbs in ((BROKEN[case], True), (certificate(BROKEN[case]), False)):
        read = names_of(raw, is_tbs)
        assert read.problems
        assert "your names cannot be excluded" in read.problems[0]
        assert WATCH.match(read) or WATCH.inside(raw)


def test_an_identifier_inside_another_extension_is_no_name() -> None:
    inner = tlv(0x30, b"\x06\x03\x2a\x03\x04", tlv(0x04, san(WANTED)))
    for read in both(tbs(inner, KEY_USAGE)):
        assert read.dns == ()
        assert not read.problems


def test_one_issuance_has_one_identity() -> None:
    final = built(x509.DNSName("example.com"), scts=True)
    precert = built(x509.DNSName("example.com"))
    data = final.public_bytes(Encoding.DER)
    wanted = sha256(final.tbs_precertificate_bytes).digest()
    assert wanted == sha256(precert.tbs_certificate_bytes).digest()
    assert identity_of(data, is_tbs=False) == wanted
    assert identity_of(precert.tbs_certificate_bytes, is_tbs=True) == wanted
    assert identity_of(built(x509.DNSName("example.org")).tbs_certificate_bytes, is_tbs=True) != wanted


@given(st.integers(0, 12))
@settings(deadline=None, max_examples=13)
def test_identity_is_that_of_cryptography_whatever_the_lengths(names: int) -> None:
    final = built(*(x509.DNSName(f"host-{each}.example.com") for each in range(names)), scts=True)
    assert (
        identity_of(final.public_bytes(Encoding.DER), is_tbs=False) == sha256(final.tbs_precertificate_bytes).digest()
    )


def test_poison_is_no_part_of_the_identity() -> None:
    poison = bytes.fromhex("3013060a2b06010401d6790204030101ff04020500")
    assert identity_of(tbs(san(WANTED), poison), is_tbs=True) == identity_of(tbs(san(WANTED)), is_tbs=True)
    assert identity_of(certificate(tbs(poison, san(WANTED))), is_tbs=False) == identity_of(
        tbs(san(WANTED)), is_tbs=True
    )


def test_facts_for_people() -> None:
    made = built(x509.DNSName("example.com"), x509.IPAddress(ip_address("192.0.2.1")), common=("example.com",))
    spki = sha256(made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    for facts in (describe(made.public_bytes(Encoding.DER)), describe(made.tbs_certificate_bytes, True)):
        assert facts.names == ("example.com", "192.0.2.1")
        assert facts.ca == "Test CA, Inc."
        assert facts.issuer == r"O=Test CA\, Inc."
        assert facts.serial == "1234"
        assert (facts.not_before, facts.not_after) == (NOW, NOW + timedelta(days=90))
        assert facts.spki_sha256 == spki
        assert facts.problems == ()
        assert not facts.is_ca


def test_facts_of_odd_certificates_say_what_is_odd() -> None:
    assert "serial number is not positive" in describe(ODD["negative serial"], True).problems[0]
    assert any("stands in it twice" in each for each in describe(ODD["second subjectAltName"], True).problems)
    broken = describe(BROKEN["cut in the middle of a later extension"], True)
    assert "www.watched.example" in broken.names
    assert broken.problems
