"""chain.weak: a signature or key that current clients refuse."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, RSA, ders, facts, fires, healthy, root, silent, store
from tests.pki import authority, intermediate, leaf

RSA_CA = intermediate(root(), "RSA CA", key_kind="rsa2048")


def test_a_short_rsa_key_is_refused_by_current_clients() -> None:
    short = leaf(RSA_CA, key_kind="rsa1024", owner="short")
    seen = facts(healthy(server=replace(RSA, chain=ders(short, RSA_CA))))
    finding = fires("chain.weak", seen, severity="critical")
    assert finding.stops_all and "1024" in finding.explanation
    assert {"chrome", "curl", "rustls"} <= set(finding.fails_for) and not {"openssl-1.0", "go"} & set(finding.fails_for)
    assert judge(seen).cause == finding


def test_a_sha1_signature_is_refused_by_current_clients() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(RSA_CA, signed_with="sha1"), RSA_CA))))
    finding = fires("chain.weak", seen, severity="critical")
    assert "sha1" in finding.explanation.lower().replace("-", "")
    assert judge(seen).cause == finding


def test_the_signature_of_the_root_itself_is_never_judged() -> None:
    old = authority("SHA-1 Root", key_kind="rsa2048", signed_with="sha1")
    ca = intermediate(old, "Its CA")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(ca), ca, old))), trust=store(old))
    assert silent("chain.weak", seen) and judge(seen).status == "ok"


def test_two_thousand_bits_are_enough() -> None:
    assert silent("chain.weak", facts(healthy(server=RSA)))


def test_a_weak_chain_of_an_unknown_root_is_untrusted_first() -> None:
    foreign = authority("Foreign Root", key_kind="rsa2048")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(foreign, signed_with="sha1"), foreign))))
    assert silent("chain.weak", seen)
    fires("chain.untrusted", seen, severity="critical")
