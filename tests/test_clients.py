"""The families as data: what they offer exists, and each current one passes where it should."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.clients import (
    CURRENT,
    CURRENT_CIPHERS,
    CURRENT_GROUPS,
    CURRENT_SIGNATURES,
    FAMILIES,
    FAMILY,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    WEAK_CIPHERS,
    Family,
    admits,
    covered_by,
)
from probes.facts import Verdict
from probes.model import Endpoint
from probes.wire.registry import GREASE, GROUPS, SIGNATURE_SCHEMES, VERSIONS, suite
from tests.evidence import ADDRESS, HEALTHY, RSA, Server, default_chain, ders, facts, healthy, serves, store
from tests.pki import CLIENT_AUTH, KeyKind, authority, intermediate, leaf

ENDPOINT = Endpoint(address=ADDRESS, port=443)
OLD = {"android-7", "openssl-1.0", "java-8", "embedded-tls1.0"}

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
each_current = pytest.mark.parametrize("family", CURRENT, ids=lambda family: family.name)

SERVERS = {
    "TLS 1.2 with RSA": replace(RSA, versions=(TLS12,)),
    "TLS 1.2 with ECDSA": replace(HEALTHY, versions=(TLS12,)),
    "TLS 1.3 with RSA": replace(RSA, versions=(TLS13,)),
    "TLS 1.3 with ECDSA": replace(HEALTHY, versions=(TLS13,)),
    "both with P-384": replace(HEALTHY, key_kind="p384"),
    "P-256 as its only group": replace(HEALTHY, groups=(0x0017,)),
    "X25519 as its only group": replace(HEALTHY, groups=(0x001D,)),
    "ChaCha20 preferred": replace(HEALTHY, ciphers=(0x1303, 0xCCA9, *HEALTHY.ciphers)),
    "AES-256 preferred": replace(RSA, ciphers=(0x1302, 0xC030, *RSA.ciphers)),
    "ALPN ignored": replace(HEALTHY, alpn=()),
    "HTTP/1.1 alone": replace(HEALTHY, alpn=("http/1.1",)),
}


@each_family
def test_every_code_point_is_registered_and_none_is_grease(family: Family) -> None:
    offered = (*family.versions, *family.ciphers, *family.groups, *family.signature_algorithms)
    assert not set(offered) & set(GREASE)
    assert set(family.versions) <= set(VERSIONS)
    assert [hex(code) for code in family.ciphers if suite(code) is None] == []
    assert [hex(code) for code in family.groups if code not in GROUPS] == []
    assert [hex(code) for code in family.signature_algorithms if code not in SIGNATURE_SCHEMES] == []


@each_family
def test_nothing_is_offered_twice_and_versions_descend(family: Family) -> None:
    for offered in (family.versions, family.ciphers, family.groups, family.signature_algorithms, family.alpn):
        assert len(set(offered)) == len(offered)
    assert list(family.versions) == sorted(family.versions, reverse=True)


@each_family
def test_every_suite_belongs_to_a_version_that_is_offered(family: Family) -> None:
    has_tls13 = [code for code in family.ciphers if code >> 8 == 0x13]
    assert bool(has_tls13) == (TLS13 in family.versions)


def test_the_old_families_are_those_of_the_catalogue() -> None:
    assert {family.name for family in FAMILIES if not family.current} == OLD
    assert {TLS10, TLS11} & {v for family in CURRENT for v in family.versions} == set()


def test_what_current_clients_offer_is_what_any_of_them_offers() -> None:
    for union, rows in (
        (CURRENT_CIPHERS, [f.ciphers for f in CURRENT]),
        (CURRENT_GROUPS, [f.groups for f in CURRENT]),
        (CURRENT_SIGNATURES, [f.signature_algorithms for f in CURRENT]),
    ):
        assert set(union) == {member for row in rows for member in row} and len(set(union)) == len(union)


def test_no_current_client_offers_what_is_weak() -> None:
    assert not set(WEAK_CIPHERS) & set(CURRENT_CIPHERS)
    assert all(suite(code) is not None for code in WEAK_CIPHERS)


@each_current
@pytest.mark.parametrize("name", SERVERS)
def test_a_current_family_passes_a_healthy_server(family: Family, name: str) -> None:
    """By its own hello, and by what other hellos tell of the server."""
    shake = SERVERS[name].handshake(ENDPOINT, family.offer("healthy.test"))
    assert shake.certificates, shake.outcome
    seen = facts(healthy(server=SERVERS[name]))
    assert seen.verdict(family, seen.looks[0]) == Verdict(code=None)


@each_family
@pytest.mark.parametrize("name", SERVERS)
def test_what_the_check_infers_is_what_the_family_s_own_hello_would_have_met(family: Family, name: str) -> None:
    """No family is judged by proxy otherwise than by its own hello."""
    server = SERVERS[name]
    own = server.handshake(ENDPOINT, family.offer("healthy.test"))
    seen = facts(healthy(server=server))
    verdict = seen.verdict(family, seen.looks[0])
    assert verdict is not None
    assert (verdict.code is None) == bool(own.certificates), (verdict, own.outcome)


KEYS: tuple[KeyKind, ...] = ("rsa2048", "p256", "p384", "p521")


@st.composite
def servers(draw: st.DrawFn) -> Server:
    """Any server, however oddly configured."""

    def part(of: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.sampled_from(of), min_size=1, unique=True)))

    return Server(
        key_kind=draw(st.sampled_from(KEYS)),
        versions=part((TLS13, TLS12, TLS11, TLS10)),
        ciphers=part((*CURRENT_CIPHERS, *WEAK_CIPHERS[:8], 0x0041)),
        groups=part((*CURRENT_GROUPS, 0x001A)),
        alpn=draw(st.sampled_from([(), ("h2", "http/1.1"), ("http/1.1",)])),
    )


@given(servers())
@settings(deadline=None, max_examples=400)
def test_no_family_is_judged_otherwise_than_its_own_hello_would_be(server: Server) -> None:
    """The check asks for few of the hellos; what it infers for the rest must be what they would have met."""
    seen = facts(healthy(server=server))
    [look] = seen.looks
    for family in FAMILIES:
        verdict = seen.verdict(family, look)
        own = server.handshake(ENDPOINT, family.offer("healthy.test"))
        if verdict is not None:
            assert (verdict.code is None) == bool(own.certificates), (family.name, verdict, own.outcome)


def test_the_embedded_family_sends_neither_a_name_nor_an_extension() -> None:
    offer = FAMILY["embedded-tls1.0"].offer("healthy.test")
    assert offer.server_name is None and not offer.extensions and offer.key_shares == ()


def test_a_family_without_a_name_judges_the_default_certificate() -> None:
    server = replace(RSA, versions=(TLS12, TLS10), default=default_chain())
    seen = facts(healthy(server=server))
    assert seen.verdict(FAMILY["embedded-tls1.0"], seen.looks[0]) == Verdict(code="sni.required")


# admits and covered_by ----------------------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize("server", [HEALTHY, RSA], ids=["ECDSA", "RSA"])
def test_a_family_s_own_choice_is_admitted_by_its_offer(family: Family, server: Server) -> None:
    offer = replace(family.offer("healthy.test"), until="finished")
    shake = replace(server, versions=(TLS13, TLS12, TLS11, TLS10)).handshake(ENDPOINT, offer)
    if shake.certificates:
        assert admits(offer, shake)


def test_a_choice_outside_the_offer_is_not_admitted() -> None:
    rustls = replace(FAMILY["rustls"].offer("healthy.test"), until="finished")
    shake = HEALTHY.handshake(ENDPOINT, rustls)
    for changed in (
        replace(shake, version=TLS11),
        replace(shake, cipher=0x1304),
        replace(shake, group=0x001E),
        replace(shake, signature_scheme=0x0301),
        replace(shake, signature_scheme=None),
        replace(shake, version=None),
    ):
        assert not admits(rustls, changed)


def test_a_finite_field_group_before_tls13_is_the_server_s_own_choice() -> None:
    java = FAMILY["java-8"].offer("healthy.test")
    shake = replace(RSA, versions=(TLS12,)).handshake(ENDPOINT, java)
    assert admits(java, replace(shake, cipher=0x0033, group=0x0100))


def test_an_offer_covers_itself_and_a_narrower_one_but_not_a_wider_one() -> None:
    chrome, curl = FAMILY["chrome"].offer("x.test"), FAMILY["curl"].offer("x.test")
    assert covered_by(chrome, chrome)
    assert covered_by(replace(chrome, ciphers=chrome.ciphers[:3]), chrome)
    assert not covered_by(replace(chrome, versions=(TLS13, TLS12, TLS10)), chrome)
    assert not covered_by(curl, chrome)


NAMELESS = leaf(names=(), subject="healthy.test")
TAKES_COMMON_NAME = {"curl", "node", "java", "dotnet", *OLD}


@each_family
def test_a_name_in_the_subject_alone_is_read_by_some(family: Family) -> None:
    """Without a subjectAltName curl, Node and Java read the common name; browsers, Go and requests do not."""
    seen = facts(healthy(every=serves(ders(NAMELESS, intermediate()))))
    verdict = seen.verdict(family, seen.looks[0])
    if family.name in TAKES_COMMON_NAME - {"embedded-tls1.0"}:
        assert verdict is None or verdict.code is None or not verdict.code.startswith("sni.")
    elif family.current:
        assert verdict == Verdict(code="sni.default-certificate")


def test_java_minds_neither_the_age_of_an_anchor_nor_rsa_above_1024() -> None:
    view = FAMILY["java"].view
    assert view.ignores_anchor_expiry and view.min_rsa_bits == 1024


# what families do beside the hello ----------------------------------------------------------------------------------


def test_only_firefox_wants_the_staple_that_a_certificate_promises() -> None:
    assert {family.name for family in FAMILIES if family.wants_staple} == {"firefox"}


def test_nobody_stops_because_a_responder_is_silent() -> None:
    assert {family.name for family in FAMILIES if family.checks_revocation == "soft"} == {"firefox", "safari"}
    assert not [family.name for family in FAMILIES if family.checks_revocation == "hard"]


@each_family
def test_a_rare_suite_is_offered_by_the_family_and_by_no_plain_probe(family: Family) -> None:
    rare = set(family.rare_ciphers)
    assert rare <= set(family.offer("healthy.test").ciphers)
    assert not rare & set(family.ciphers) and not rare & set(CURRENT_CIPHERS)
    assert all(suite(code) is not None for code in rare)


def test_a_server_of_rare_suites_alone_is_node_s() -> None:
    """Where all others fail, Node is not swept along."""
    server = replace(RSA, versions=(TLS12,), ciphers=(0xC060, 0xC09E))
    seen = facts(healthy(server=server))
    assert seen.verdict(FAMILY["node"], seen.looks[0]) == Verdict(code=None)
    for name in ("chrome", "curl", "java", "python", "go"):
        assert seen.verdict(FAMILY[name], seen.looks[0]) == Verdict(code="negotiation.cipher")


def test_java_takes_sha1_below_a_root_that_was_added_and_not_below_its_own() -> None:
    old_ca = authority("SHA-1 Root", key_kind="rsa2048")
    signed = leaf(old_ca, signed_with="sha1", key_kind="rsa2048")
    shakes = healthy(server=RSA, every=serves(ders(signed)))
    below_added = facts(shakes, trust=store(added=(old_ca,)))
    below_default = facts(shakes, trust=store(old_ca))
    assert below_added.verdict(FAMILY["java"], below_added.looks[0]) == Verdict(code=None)
    assert below_default.verdict(FAMILY["java"], below_default.looks[0]) == Verdict(code="chain.weak")
    for name in ("go", "curl", "chrome"):
        assert below_added.verdict(FAMILY[name], below_added.looks[0]) == Verdict(code="chain.weak")


@pytest.mark.parametrize("family", ["java", "curl", "go"])
def test_java_alone_does_not_nest_usages(family: str) -> None:
    ca = intermediate(usages=(CLIENT_AUTH,))
    seen = facts(healthy(every=serves(ders(leaf(ca), ca))))
    passes = family == "java"
    assert seen.verdict(FAMILY[family], seen.looks[0]) == Verdict(code=None if passes else "chain.wrong-usage")
