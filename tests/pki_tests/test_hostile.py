"""Hostile DER: whatever the bytes, values come out and nothing is raised."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.pki import distinguished, verify
from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, Unreadable, parse
from probes.pki.judge import assess, chain_fault
from probes.pki.names import covers, explain, normalise_host
from probes.pki.views import BASELINE
from tests.pki_tests.issuing import AT, HOST, Issued, authority, root, rsa_key, server, store, tlv


@lru_cache(maxsize=1)
def samples() -> tuple[Issued, ...]:
    """Certificates that between them use every extension that is read."""
    constraints = x509.NameConstraints([x509.DNSName("example.com")], [x509.DirectoryName(root().x509.subject)])
    issuer = root()
    issuing = authority("Issuing", issuer, constraints=constraints, path_len=0)
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.example/crl")], None, None, None)
    more = [
        (x509.CRLDistributionPoints([point]), False),
        (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
        (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]), False),
    ]
    leaf = server(issuing, more=more, aia="http://ca.example/1.der", aki="issuer")
    return issuer, issuing, leaf, server(issuing, key=rsa_key(2048))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A certificate with some bytes changed, cut out or doubled."""
    data = bytearray(draw(st.sampled_from(samples())).der)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(("set", "flip", "cut", "double", "end"))):
            case "set":
                data[at] = draw(st.sampled_from((0, 1, 2, 0x30, 0x31, 0x7F, 0x80, 0x84, 0xA0, 0xFF)))
            case "flip":
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 8))]
            case "end":
                del data[at:]
        if not data:
            break
    return bytes(data)


def exercise(data: bytes) -> None:
    """Ask everything that can be asked of a certificate."""
    read = parse(data)
    if isinstance(read, Certificate):
        for name in (n for n in dir(type(read)) if not n.startswith("_")):
            getattr(read, name)
        assert len(read.subject) <= distinguished.LONGEST_TEXT
        explain(read, HOST)
        covers(read, "192.0.2.1")
    else:
        assert read.why
    issuer, issuing, leaf, _ = samples()
    for chain in ((data, issuing.der), (leaf.der, data), (leaf.der, issuing.der, data)):
        for anchors in (store(issuer), Anchors.from_ders([data], source="mutated")):
            chain_fault(assess(chain, HOST, anchors, AT, extra=(data,)))
        found = verify(chain, anchors=[issuer.der, data], host=HOST, at=AT, view=BASELINE)
        assert found.ok is not bool(found.reasons)


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_a_mutated_certificate_never_raises(data: bytes) -> None:
    exercise(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    exercise(data)
    distinguished.read(data)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_as_a_host_is_read_or_refused(text: str) -> None:
    normalise_host(text)
    covers(samples()[2].value, text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=2000))
def test_any_text_as_pem_is_a_store(text: str) -> None:
    framed = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
    assert Anchors.from_pem(framed, source="text").unreadable
    Anchors.from_pem(text, source="text")


def test_a_refused_extension_leaves_names_and_dates_readable() -> None:
    five_bytes = tlv(0x87, b"\xc0\x00\x02\x01\x00")
    listed = tlv(0x30, five_bytes, tlv(0x82, HOST.encode()), tlv(0x87, b"\xc0\x00\x02\x01"))
    san = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), listed)
    issuing = authority("Issuing", root())
    read = server(issuing, names=(), more=[(san, False)]).value
    assert read.defects and read.broken and covers(read, HOST) and read.is_valid(AT)
    assert read.subject == f"CN={HOST}" and [str(address) for address in read.ip_addresses] == ["192.0.2.1"]


def test_a_leaf_that_clients_cannot_parse_fails() -> None:
    top = root()
    twice = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x02\x82\x7f")
    facts = assess((server(top, names=(), more=[(twice, False)]).der,), HOST, store(top), AT)
    assert facts.paths[0].has("unreadable") and chain_fault(facts) == "chain.wrong-usage"


def test_what_only_strict_parsers_refuse_fails_nobody() -> None:
    top = root()
    explicit_false = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.19"), bytes.fromhex("3003010100"))
    leaf = server(top, ca=None, more=[(explicit_false, False)])
    assert leaf.value.defects and not leaf.value.broken and not leaf.value.is_ca
    assert chain_fault(assess((leaf.der,), HOST, store(top), AT)) is None


def test_an_extension_sent_twice_fails_everybody() -> None:
    top = root()
    leaf = server(top, more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x05\x00"), False)])
    tbs_twice = leaf.der.replace(bytes.fromhex("0603551d63"), bytes.fromhex("0603551d25"))
    assert getattr(parse(tbs_twice), "broken", False)


def test_a_cut_certificate_is_unreadable() -> None:
    read = parse(samples()[0].der[:50])
    assert isinstance(read, Unreadable) and "longer" in read.why
