"""Which chain fault a served chain has: one test per decision of `chain_fault`, so a long module."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from probes.pki.anchors import Anchors
from probes.pki.judge import ChainFacts, assess, chain_fault, client_fault
from probes.pki.views import MODERN, SERVER_ORDER, STRICT, TRUSTED_FIRST, View
from tests.pki_tests.issuing import (
    AT,
    CLIENT,
    DAY,
    HOST,
    SERVER,
    Issued,
    authority,
    issue,
    name,
    root,
    rsa_key,
    server,
    store,
    usage,
    version_one,
)


@dataclass(frozen=True)
class Pki:
    """Root, intermediate and leaf of one CA, and the store that holds the root."""

    root: Issued
    issuing: Issued
    leaf: Issued
    anchors: Anchors


@pytest.fixture(scope="module")
def pki() -> Pki:
    top = root()
    issuing = authority("Example Issuing CA", top)
    return Pki(top, issuing, server(issuing), store(top))


def judged(anchors: Anchors, *chain: Issued, extra: tuple[Issued, ...] = (), host: str | None = HOST) -> ChainFacts:
    return assess(tuple(each.der for each in chain), host, anchors, AT, extra=tuple(each.der for each in extra))


def fault(anchors: Anchors, *chain: Issued, extra: tuple[Issued, ...] = ()) -> str | None:
    return chain_fault(judged(anchors, *chain, extra=extra))


def test_a_complete_chain_has_no_fault(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.leaf, pki.issuing)
    assert facts.ok and facts.order.strict and chain_fault(facts) is None
    assert facts.missing is None and facts.root is None and facts.completes_with == ()


def test_the_root_sent_along_is_harmless(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.leaf, pki.issuing, pki.root)
    assert chain_fault(facts) is None
    assert facts.order.root_sent == pki.root.value and not facts.order.strays


def test_nothing_readable_is_no_chain_fault(pki: Pki) -> None:
    facts = assess((b"\x30\x03abc",), HOST, pki.anchors, AT)
    assert chain_fault(facts) is None and facts.leaf is None and facts.unreadable[0][0] == 0
    assert chain_fault(assess((), HOST, pki.anchors, AT)) is None


def test_rubbish_behind_the_leaf_is_as_good_as_nothing(pki: Pki) -> None:
    facts = assess((pki.leaf.der, b"\x30\x03abc"), HOST, pki.anchors, AT, extra=(pki.issuing.der,))
    assert chain_fault(facts) == "chain.incomplete" and [at for at, _ in facts.unreadable] == [1]


def test_an_expired_leaf_is_no_chain_fault(pki: Pki) -> None:
    facts = judged(pki.anchors, server(pki.issuing, end=AT - DAY), pki.issuing)
    assert chain_fault(facts) is None and not facts.ok and facts.sound


# Missing intermediates ----------------------------------------------------------------------------------------------


def test_an_intermediate_found_by_aia_makes_it_incomplete(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.leaf, extra=(pki.issuing,))
    assert chain_fault(facts) == "chain.incomplete"
    assert facts.completes_with == (pki.issuing.value,) and facts.reaches_anchor
    assert facts.missing and facts.missing.subject == pki.issuing.value.subject
    assert facts.missing.key_identifier == pki.issuing.value.extensions.ski


def test_two_missing_intermediates_are_both_named() -> None:
    top = root()
    upper = authority("Upper CA", top)
    lower = authority("Lower CA", upper)
    facts = judged(store(top), server(lower), extra=(upper, lower))
    assert chain_fault(facts) == "chain.incomplete"
    assert facts.completes_with == (lower.value, upper.value)


def test_aia_that_cannot_be_fetched_still_says_incomplete() -> None:
    elsewhere = authority("Issuing 7", root("Unheard", "Elsewhere"), organisation="Elsewhere")
    leaf = server(elsewhere, aia="http://ca.example/7.der")
    facts = judged(store(root()), leaf)
    assert chain_fault(facts) == "chain.incomplete"
    assert facts.missing and facts.missing.ca_issuers == ("http://ca.example/7.der",)


def test_aia_that_leads_to_an_unknown_root_says_untrusted() -> None:
    private = root("Private Root", "Elsewhere")
    issuing = authority("Issuing 7", private, organisation="Elsewhere")
    leaf = server(issuing, aia="http://ca.example/7.der")
    facts = judged(store(root()), leaf, extra=(issuing, private))
    assert chain_fault(facts) == "chain.untrusted"
    assert facts.root and facts.root.complete and not facts.reaches_anchor


def test_the_organisation_of_an_anchor_says_incomplete(pki: Pki) -> None:
    assert fault(pki.anchors, pki.leaf) == "chain.incomplete"


def test_aki_naming_an_anchor_as_the_issuers_issuer_says_incomplete() -> None:
    top = root("Anchor One", "One")
    issuing = authority("Two Issuing", top, organisation="Two")
    assert fault(store(top), server(issuing, aki="issuer")) == "chain.incomplete"


def test_aki_naming_the_issuer_as_its_own_issuer_says_untrusted() -> None:
    private = root("Two Authority", "Example Trust")
    assert fault(store(root()), server(private, aki="issuer")) == "chain.untrusted"


def test_an_issuer_that_calls_itself_root_is_untrusted() -> None:
    assert fault(store(root()), server(root("Example Root G2"))) == "chain.untrusted"


def test_an_unheard_issuer_without_aia_is_untrusted() -> None:
    assert (
        fault(store(root()), server(authority("Corp 1", root("R", "Corp"), organisation="Corp"))) == "chain.untrusted"
    )


def test_a_relative_of_an_added_anchor_is_missing() -> None:
    private = root("Hooli Internal Root", None)
    issuing = authority("Hooli Issuing 3", private, organisation=None)
    assert fault(store(root()) | store(private, added=True), server(issuing)) == "chain.incomplete"
    assert fault(store(root()) | store(private), server(issuing)) == "chain.untrusted"


def test_the_trusted_root_sent_without_the_intermediate_is_incomplete(pki: Pki) -> None:
    assert fault(pki.anchors, pki.leaf, pki.root) == "chain.incomplete"
    assert fault(pki.anchors, pki.leaf, pki.root, extra=(pki.issuing,)) == "chain.incomplete"


def test_the_upper_intermediate_sent_without_the_lower_is_incomplete_once_proved() -> None:
    top = root()
    upper = authority("Upper CA", top)
    lower = authority("Lower CA", upper)
    assert fault(store(top), server(lower), upper, extra=(lower,)) == "chain.incomplete"


# Unknown roots ------------------------------------------------------------------------------------------------------


def test_a_complete_chain_to_an_unknown_root_is_untrusted(pki: Pki) -> None:
    private = root("Private Root", "Elsewhere")
    issuing = authority("Private Issuing", private, organisation="Elsewhere")
    assert fault(pki.anchors, server(issuing), issuing, private) == "chain.untrusted"


def test_a_private_chain_without_its_root_is_untrusted(pki: Pki) -> None:
    private = root("Private Root", "Elsewhere")
    issuing = authority("Private Issuing", private, organisation="Elsewhere")
    assert fault(pki.anchors, server(issuing), issuing) == "chain.untrusted"


def test_a_namesake_of_an_anchor_with_another_key_is_untrusted(pki: Pki) -> None:
    forged = root()
    facts = judged(pki.anchors, server(forged))
    assert chain_fault(facts) == "chain.untrusted" and facts.paths[0].has("bad_signature")
    assert facts.root and "another key" in facts.root.reasons[0]


# The leaf itself ----------------------------------------------------------------------------------------------------


def test_a_leaf_that_signed_itself_is_self_signed(pki: Pki) -> None:
    assert fault(pki.anchors, server(None)) == "chain.self-signed"
    assert fault(pki.anchors, server(None), pki.issuing) == "chain.self-signed"
    assert fault(pki.anchors, server(None, ca=True, key_usage=None)) == "chain.self-signed"


def test_a_pinned_self_signed_leaf_is_trusted(pki: Pki) -> None:
    for leaf in (server(None), server(None, ca=True, key_usage=None, eku=None)):
        facts = judged(store(leaf, added=True), leaf)
        assert facts.ok and facts.leaf_is_anchor and chain_fault(facts) is None


def test_a_pinned_leaf_does_not_make_its_chain_strays(pki: Pki) -> None:
    assert fault(pki.anchors | store(pki.leaf), pki.leaf, pki.issuing) is None
    assert fault(store(pki.leaf), pki.leaf, pki.issuing) is None


def test_a_leaf_named_as_its_issuer_is_not_self_signed() -> None:
    top = root(HOST, None)
    assert fault(store(root()), server(top), top) == "chain.untrusted"
    assert fault(store(top), server(top)) is None


def test_a_ca_in_the_place_of_the_leaf_is_misordered_when_the_leaf_follows(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.issuing, pki.leaf)
    assert chain_fault(facts) == "chain.misordered" and facts.order.leaf_position == 1


def test_a_ca_as_server_is_wrong_usage(pki: Pki) -> None:
    leaf = server(pki.issuing, ca=True, key_usage=usage("digital_signature", "key_cert_sign"))
    assert fault(pki.anchors, leaf, pki.issuing) == "chain.wrong-usage"


# Wrong, stray and misplaced certificates ----------------------------------------------------------------------------


def test_an_issuer_of_the_right_name_and_another_key_is_wrong(pki: Pki) -> None:
    rekeyed = authority("Example Issuing CA", pki.root)
    for extra in ((), (pki.issuing,)):
        facts = judged(pki.anchors, pki.leaf, rekeyed, extra=extra)
        assert chain_fault(facts) == "chain.wrong-intermediate"
        assert facts.wrong_issuers == (rekeyed.value,)


def test_an_unrelated_intermediate_is_wrong(pki: Pki) -> None:
    other = authority("Example Issuing CA 9", pki.root)
    for extra in ((), (pki.issuing,)):
        assert fault(pki.anchors, pki.leaf, other, extra=extra) == "chain.wrong-intermediate"
    assert fault(pki.anchors, pki.leaf, other, pki.root) == "chain.wrong-intermediate"


def test_two_intermediates_swapped_are_misordered() -> None:
    top = root()
    upper = authority("Upper CA", top)
    lower = authority("Lower CA", upper)
    facts = judged(store(top), server(lower), upper, lower)
    assert chain_fault(facts) == "chain.misordered"
    assert not facts.order.in_order and not facts.order.strays


def test_a_stray_is_misordered_though_in_order(pki: Pki) -> None:
    stray = authority("Stray", root("Other", "Other"))
    facts = judged(pki.anchors, pki.leaf, pki.issuing, stray)
    assert chain_fault(facts) == "chain.misordered"
    assert facts.order.in_order and facts.order.strays == (stray.value,)


def test_a_certificate_sent_twice_is_misordered(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.leaf, pki.leaf, pki.issuing)
    assert chain_fault(facts) == "chain.misordered" and facts.order.duplicates == (pki.leaf.value,)
    assert facts.order.in_order


# Dates of issuers ---------------------------------------------------------------------------------------------------


def test_an_expired_intermediate_alone_is_expired(pki: Pki) -> None:
    expired = authority("Example Issuing CA", pki.root, key=pki.issuing.key, end=AT - DAY)
    assert fault(pki.anchors, pki.leaf, expired) == "chain.expired-intermediate"
    assert fault(pki.anchors, pki.leaf, expired, extra=(pki.issuing,)) == "chain.expired-intermediate"


def test_an_intermediate_of_tomorrow_is_outside_its_dates_too(pki: Pki) -> None:
    early = authority("Example Issuing CA", pki.root, key=pki.issuing.key, start=AT + DAY)
    assert fault(pki.anchors, pki.leaf, early) == "chain.expired-intermediate"


def test_an_expired_root_in_the_store_is_an_expired_issuer() -> None:
    top = root(end=AT - DAY)
    issuing = authority("Issuing", top)
    facts = judged(store(top), server(issuing), issuing)
    assert chain_fault(facts) == "chain.expired-intermediate"


def test_a_reissued_root_in_the_store_heals_the_expired_one_sent() -> None:
    old = root(end=AT - DAY)
    new = root(key=old.key)
    issuing = authority("Issuing", old)
    assert fault(store(new), server(issuing), issuing, old) is None
    assert fault(store(old, new), server(issuing), issuing) is None


@pytest.fixture(scope="module")
def crossed() -> tuple[Issued, Issued, Issued, Issued, Issued]:
    """As with DST Root CA X3 in 2021: old root, new root, the new root crossed by the old, intermediate, leaf."""
    old = root("Old Root", "Old", end=AT - DAY)
    new = root("New Root", "New")
    cross = authority("New Root", old, organisation="New", key=new.key)
    issuing = authority("New Issuing", new, organisation="New")
    return old, new, cross, issuing, server(issuing)


def test_a_cross_sign_by_an_expired_root_fails_some(crossed: tuple[Issued, ...]) -> None:
    old, new, cross, issuing, leaf = crossed
    facts = judged(store(old, new), leaf, issuing, cross)
    assert chain_fault(facts) == "chain.cross-sign" and facts.ok
    assert len(facts.paths) == 2 and facts.paths[1].has("expired")


def test_a_cross_sign_by_the_expired_root_alone_fails_all(crossed: tuple[Issued, ...]) -> None:
    old, _, cross, issuing, leaf = crossed
    assert fault(store(old), leaf, issuing, cross) == "chain.expired-intermediate"


def test_an_expired_cross_sign_whose_root_is_gone_fails_some(crossed: tuple[Issued, ...]) -> None:
    old, new, _, issuing, leaf = crossed
    stale = authority("New Root", old, organisation="New", key=new.key, end=AT - DAY)
    assert fault(store(new), leaf, issuing, stale) == "chain.cross-sign"


def test_a_valid_cross_sign_to_a_root_not_in_the_store_is_healthy(crossed: tuple[Issued, ...]) -> None:
    _, new, cross, issuing, leaf = crossed
    facts = judged(store(new), leaf, issuing, cross)
    assert chain_fault(facts) is None and facts.ok and not facts.order.strays


def test_a_cross_sign_needed_to_reach_the_store_is_healthy() -> None:
    old, new = root("Old Root", "Old"), root("New Root", "New")
    cross = authority("New Root", old, organisation="New", key=new.key)
    issuing = authority("New Issuing", new, organisation="New")
    assert fault(store(old), server(issuing), issuing, cross) is None


# Strength and rights ------------------------------------------------------------------------------------------------


def test_weak_leaf_keys_and_signatures(pki: Pki) -> None:
    assert fault(pki.anchors, server(pki.issuing, key=rsa_key(1024)), pki.issuing) == "chain.weak"
    issuing = authority("RSA Issuing", pki.root, key=rsa_key(2048))
    assert fault(pki.anchors, server(issuing), issuing) is None
    for algorithm in (hashes.SHA1(), hashes.MD5()):
        assert fault(pki.anchors, server(issuing, algorithm=algorithm), issuing) == "chain.weak"


def test_a_sha1_intermediate_is_weak_and_a_sha1_root_is_not() -> None:
    top = root(key=rsa_key(2048), algorithm=hashes.SHA1())
    weak = authority("Issuing", top, algorithm=hashes.SHA1())
    fine = authority("Issuing", top)
    assert fault(store(top), server(weak), weak) == "chain.weak"
    assert fault(store(top), server(fine), fine, top) is None


def test_extended_key_usage_must_allow_servers(pki: Pki) -> None:
    assert fault(pki.anchors, server(pki.issuing, eku=CLIENT), pki.issuing) == "chain.wrong-usage"
    assert fault(pki.anchors, server(pki.issuing, eku=None), pki.issuing) is None
    anything = (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)
    assert fault(pki.anchors, server(pki.issuing, eku=anything), pki.issuing) is None
    assert fault(pki.anchors, server(pki.issuing, eku=(*CLIENT, *SERVER)), pki.issuing) is None


def test_an_intermediate_for_clients_may_not_issue_for_servers(pki: Pki) -> None:
    issuing = authority("Client CA", pki.root, eku=CLIENT)
    assert fault(pki.anchors, server(issuing), issuing) == "chain.wrong-usage"


def test_key_usage_must_allow_signing(pki: Pki) -> None:
    assert fault(pki.anchors, server(pki.issuing, key_usage=None), pki.issuing) is None
    both = usage("digital_signature", "key_encipherment")
    assert fault(pki.anchors, server(pki.issuing, key_usage=both), pki.issuing) is None
    for wrong in (usage("key_cert_sign"), usage("key_encipherment"), usage("content_commitment")):
        assert fault(pki.anchors, server(pki.issuing, key_usage=wrong), pki.issuing) == "chain.wrong-usage"


def test_violated_name_constraints_are_wrong_usage(pki: Pki) -> None:
    for constraints in (
        x509.NameConstraints([x509.DNSName("example.org")], None),
        x509.NameConstraints(None, [x509.DNSName("example.com")]),
    ):
        issuing = authority("Bound CA", pki.root, constraints=constraints)
        assert fault(pki.anchors, server(issuing), issuing) == "chain.wrong-usage"
    issuing = authority("Bound CA", pki.root, constraints=x509.NameConstraints([x509.DNSName("example.com")], None))
    assert fault(pki.anchors, server(issuing), issuing) is None


def test_issuers_that_are_no_cas_are_wrong_usage(pki: Pki) -> None:
    first = ec.generate_private_key(ec.SECP256R1())
    for issuer in (
        authority("No Basic Constraints", pki.root, ca=None),
        authority("Not a CA", pki.root, ca=False, key_usage=usage("digital_signature")),
        version_one(name("Version 1"), pki.root, first),
    ):
        assert fault(pki.anchors, server(issuer), issuer) == "chain.wrong-usage"


def test_a_critical_extension_nobody_knows_is_wrong_usage(pki: Pki) -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert fault(pki.anchors, server(pki.issuing, more=[(strange, True)]), pki.issuing) == "chain.wrong-usage"
    assert fault(pki.anchors, server(pki.issuing, more=[(strange, False)]), pki.issuing) is None


def test_dates_come_before_strength(pki: Pki) -> None:
    expired = authority("Example Issuing CA", pki.root, key=pki.issuing.key, end=AT - DAY)
    assert fault(pki.anchors, server(pki.issuing, key=rsa_key(1024)), expired) == "chain.expired-intermediate"


def test_missing_comes_before_strength(pki: Pki) -> None:
    assert fault(pki.anchors, server(pki.issuing, key=rsa_key(1024)), extra=(pki.issuing,)) == "chain.incomplete"


def test_the_name_is_judged_beside_the_chain(pki: Pki) -> None:
    facts = judged(pki.anchors, pki.leaf, pki.issuing, host="other.example.com")
    assert facts.ok and facts.name and not facts.name.covered
    assert judged(pki.anchors, pki.leaf, pki.issuing, host=None).name is None


def test_an_end_entity_signing_itself_into_an_issued_place() -> None:
    lone = issue(name("Lone"), None, ca=None)
    assert fault(store(root()), lone) == "chain.self-signed"


# Families of clients ------------------------------------------------------------------------------------------------


def for_clients(
    view: View, anchors: Anchors, *chain: Issued, extra: tuple[Issued, ...] = (), aia: bool = False
) -> str | None:
    ders = tuple(each.der for each in chain)
    return client_fault(ders, HOST, anchors, AT, view=view, extra=tuple(each.der for each in extra), aia=aia)


def test_who_fetches_issuers_passes_where_others_fail(pki: Pki) -> None:
    assert for_clients(MODERN, pki.anchors, pki.leaf, extra=(pki.issuing,), aia=True) is None
    assert for_clients(MODERN, pki.anchors, pki.leaf, extra=(pki.issuing,)) == "chain.incomplete"
    assert for_clients(MODERN, pki.anchors, pki.leaf, aia=True) == "chain.incomplete"


def test_families_over_a_cross_sign(crossed: tuple[Issued, ...]) -> None:
    old, new, cross, issuing, leaf = crossed
    chain = (leaf, issuing, cross)
    assert for_clients(MODERN, store(old, new), *chain) is None
    assert for_clients(TRUSTED_FIRST, store(old, new), *chain) is None
    assert for_clients(SERVER_ORDER, store(old, new), *chain) == "chain.cross-sign"


def test_only_strict_clients_fail_over_the_wrong_order() -> None:
    top = root()
    upper = authority("Upper CA", top)
    lower = authority("Lower CA", upper)
    chain = (server(lower), upper, lower)
    assert for_clients(MODERN, store(top), *chain) is None
    assert for_clients(STRICT, store(top), *chain) == "chain.misordered"


def test_an_expired_leaf_is_no_familys_chain_fault(pki: Pki) -> None:
    assert for_clients(MODERN, pki.anchors, server(pki.issuing, end=AT - DAY), pki.issuing) is None


def test_families_differ_over_a_leaf_that_may_not_sign(pki: Pki) -> None:
    leaf = server(pki.issuing, key=rsa_key(2048), key_usage=usage("key_encipherment"))
    assert for_clients(MODERN, pki.anchors, leaf, pki.issuing) == "chain.wrong-usage"
    assert for_clients(TRUSTED_FIRST, pki.anchors, leaf, pki.issuing) is None
