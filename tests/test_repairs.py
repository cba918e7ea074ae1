"""Repairs: the corrected chain is proved, and served it makes the endpoint healthy."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from OpenSSL import SSL

from probes.check import Options, check
from probes.codec import from_json, to_json
from probes.model import Fetched, Report, Target
from probes.pki.certificate import Certificate, parse
from probes.repairs.chain import holds, read, written
from tests.evidence import (
    DAY,
    HEALTHY,
    OTHER,
    ders,
    facts,
    healthy,
    issuing,
    root,
    serves,
    store,
)
from tests.mending import URL, cause_of, found_for, mended, serving, the
from tests.net.peers import OpenSsl, openssl_context
from tests.net.peers import served as served_over
from tests.net.test_fetch import body, web
from tests.pki import NOW, authority, cross_sign, intermediate, leaf

# ── the corrected chain ─────────────────────────────────────────────────────────


def test_a_healthy_endpoint_needs_no_repair() -> None:
    assert mended(facts()) == ()


def test_a_missing_intermediate_that_aia_brought_completes_the_chain() -> None:
    served = leaf(issuing(), issuer_url=URL)
    seen = serving(served, fetched=(Fetched(url=URL, certificates=(issuing().der,)),))
    assert cause_of(seen) == "chain.incomplete"
    repair = the("chain", mended(seen))
    assert repair.verified
    assert read(repair.pem) == ders(served, issuing())
    assert "Test Issuing CA" in repair.text


def test_the_chain_comes_first_and_the_proof_is_among_the_commands() -> None:
    seen = serving(leaf(issuing(), issuer_url=URL), fetched=(Fetched(url=URL, certificates=(issuing().der,)),))
    kinds = [each.kind for each in mended(seen)]
    assert kinds == ["chain", "nginx", "haproxy", "envoy", "apache", "aws", "cloudflare", "command"]


@pytest.mark.parametrize(
    ("fetched", "reason"),
    [
        ((Fetched(url=URL, problem="404 Not Found"),), "404 Not Found"),
        ((Fetched(url=URL, problem="egress refused"),), "egress refused"),
        ((Fetched(url=URL, certificates=(authority("Stray").der,)),), "leads to no trusted root"),
    ],
)
def test_a_chain_that_cannot_be_built_says_why(fetched: tuple[Fetched, ...], reason: str) -> None:
    repair = the("chain", mended(serving(leaf(issuing(), issuer_url=URL), fetched=fetched)))
    assert repair.pem == "" and not repair.verified
    assert reason in repair.text


def test_a_certificate_without_an_aia_url_says_so() -> None:
    repair = the("chain", mended(serving(leaf(issuing()))))
    assert repair.pem == "" and "names no caIssuers URL" in repair.text


def test_what_aia_brought_counts_only_with_its_signature() -> None:
    impostor = intermediate(root(), owner="somebody else")  # the name of the issuer, another key
    seen = serving(leaf(issuing(), issuer_url=URL), fetched=(Fetched(url=URL, certificates=(impostor.der,)),))
    repair = the("chain", mended(seen))
    assert repair.pem == "" and not repair.verified


def test_a_wrong_intermediate_is_replaced_by_the_right_one() -> None:
    wrong = intermediate(root(), "Test Other CA")
    served = leaf(issuing(), issuer_url=URL)
    seen = serving(served, wrong, fetched=(Fetched(url=URL, certificates=(issuing().der,)),))
    assert cause_of(seen) == "chain.wrong-intermediate"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, issuing())


def test_a_misordered_chain_is_put_in_order_without_root_and_strays() -> None:
    middle = intermediate(root(), "Test Middle CA", path_length=1)
    low = intermediate(middle, "Test Low CA")
    served, stray = leaf(low), authority("Stray")
    seen = serving(served, middle, stray, root(), low)
    assert cause_of(seen) == "chain.misordered"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, low, middle)


def test_a_leaf_that_stands_behind_its_issuer_comes_first() -> None:
    served = leaf(issuing())
    seen = serving(issuing(), served)
    assert cause_of(seen) == "sni.default-certificate"  # the CA's certificate does not cover the name
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, issuing())


def test_a_certificate_for_another_name_has_no_chain_to_mend() -> None:
    seen = serving(leaf(issuing(), names=("elsewhere.test",)), issuing())
    assert (cause_of(seen) or "").startswith("sni.")
    assert "chain" not in {each.kind for each in mended(seen)}


def test_an_expired_intermediate_is_replaced_by_its_renewal() -> None:
    old = intermediate(root(), not_before=NOW - 400 * DAY, not_after=NOW - 2 * DAY)
    served = leaf(issuing(), issuer_url=URL)
    seen = serving(served, old, fetched=(Fetched(url=URL, certificates=(issuing().der,)),))
    assert cause_of(seen) == "chain.expired-intermediate"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, issuing())


def test_without_a_renewal_in_sight_an_expired_intermediate_stays_unmended() -> None:
    old = intermediate(root(), not_before=NOW - 400 * DAY, not_after=NOW - 2 * DAY)
    repair = the("chain", mended(serving(leaf(old), old)))
    assert repair.pem == "" and "your CA's delivery" in repair.text


def test_an_expired_cross_sign_is_left_out() -> None:
    young = authority("Test Young Root")
    bad = cross_sign(young, authority("Test Old Root"), not_before=NOW - 900 * DAY, not_after=NOW - 3 * DAY)
    ca = intermediate(young, "Test Young CA")
    served = leaf(ca)
    seen = serving(served, ca, bad, trust=store(young))
    assert cause_of(seen) == "chain.cross-sign"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, ca)


def test_another_address_lends_its_chain() -> None:
    served = leaf(issuing())
    bare = healthy(OTHER, server=replace(HEALTHY, chain=ders(served)))
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(served, issuing()))), bare)
    assert cause_of(seen) == "balancer.certificate-differs"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(served, issuing())
    assert "private key" not in repair.text


def test_an_address_with_an_old_certificate_gets_the_healthy_one_and_is_told_of_its_key() -> None:
    new = leaf(issuing())
    old = leaf(issuing(), owner="old", not_before=NOW - 200 * DAY, not_after=NOW - DAY)
    stale = healthy(OTHER, server=replace(HEALTHY, chain=ders(old, issuing())))
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(new, issuing()))), stale)
    assert cause_of(seen) == "balancer.certificate-differs"
    repair = the("chain", mended(seen))
    assert repair.verified and read(repair.pem) == ders(new, issuing())
    assert "private key" in repair.text


def test_one_address_that_flaps_is_mended_by_its_own_better_chain() -> None:
    served = leaf(issuing())
    both = healthy(
        server=replace(HEALTHY, chain=ders(served, issuing())),
        small=serves(ders(served)),
    )
    seen = facts(both)
    assert cause_of(seen) == "balancer.intermittent"
    found = mended(seen)
    assert read(the("chain", found).pem) == ders(served, issuing())
    assert the("capture", found).text


def test_a_chain_that_fails_for_its_name_is_not_called_verified() -> None:
    elsewhere = leaf(issuing(), names=("elsewhere.test",))
    place = found_for("chain.incomplete", target="healthy.test")
    certificates = [parse(der) for der in ders(elsewhere, issuing())]
    pem = written(each for each in certificates if isinstance(each, Certificate))
    assert not holds(place.facts, place.looks[0], pem)


def test_hostile_names_do_not_reach_the_comments_of_a_pem() -> None:
    evil = "x\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\x1b[2J"
    ca = intermediate(root(), evil[:60])
    served = leaf(ca, issuer_url=URL)
    repair = the("chain", mended(serving(served, fetched=(Fetched(url=URL, certificates=(ca.der,)),))))
    assert repair.verified and len(read(repair.pem)) == 2
    assert repair.pem.count("-----BEGIN") == 2 and "\x1b" not in repair.pem and repair.pem.isascii()
    comments = [line for line in repair.pem.splitlines() if line.startswith("#")]
    assert len(comments) == 2 and not any("--" in line for line in comments)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_agrees_with_the_proof(tmp_path: Path) -> None:
    served = leaf(issuing(), issuer_url=URL)
    repair = the("chain", mended(serving(served, fetched=(Fetched(url=URL, certificates=(issuing().der,)),))))
    (tmp_path / "chain.pem").write_text(repair.pem)
    (tmp_path / "root.pem").write_text(root().pem)
    arguments = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", "healthy.test", "-no-CApath"]
    verified = subprocess.run(
        ["openssl", "verify", *arguments, "-CAfile", "root.pem", "-untrusted", "chain.pem", "chain.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr


# ── the whole way, on real sockets ──────────────────────────────────────────────


async def test_a_chain_built_over_aia_makes_the_endpoint_healthy_once_it_is_served() -> None:
    async with web(body(issuing().der)) as port:
        served = leaf(issuing(), issuer_url=f"http://127.0.0.1:{port}/issuing.der")
        broken = await checked_over(openssl_context(served))
        assert broken.cause == "chain.incomplete"
        chain_repair = the("chain", broken.repairs)
        assert chain_repair.verified and read(chain_repair.pem) == ders(served, issuing())
        assert from_json(json.loads(json.dumps(to_json(broken)))).repairs == broken.repairs

        leaf_der, *above = read(chain_repair.pem)
        assert leaf_der == served.der
        context = openssl_context(served)
        for der in above:
            context.add_extra_chain_cert(x509.load_der_x509_certificate(der))
        mended_report = await checked_over(context)
        assert (mended_report.status, mended_report.repairs) == ("ok", ())


async def test_an_aia_that_policy_refuses_is_the_reason_that_there_is_no_chain() -> None:
    async with web(body(issuing().der)) as port:
        served = leaf(issuing(), issuer_url=f"http://127.0.0.1:{port}/issuing.der")
        seen = await checked_over(openssl_context(served), closed=port)
        repair = the("chain", seen.repairs)
        assert repair.pem == "" and f"127.0.0.1:{port}" in repair.text


async def checked_over(context: SSL.Context, *, closed: int | None = None) -> Report:
    """A check of healthy.test as *context* serves it; connections to port *closed* are against the policy."""

    def permit(_address: str, port: int) -> str | None:
        return "not here" if port == closed else None

    async with served_over(lambda: OpenSsl(context, b"HTTP/1.1 200 OK\r\n\r\n")) as endpoint:
        options = Options(
            trust=store(), permit=permit, overrides={("healthy.test", endpoint.port): (endpoint.address,)}
        )
        return await check(Target.parse(f"healthy.test:{endpoint.port}"), options)


async def test_the_renewal_of_an_expired_intermediate_is_fetched_over_aia() -> None:
    old = intermediate(root(), not_before=NOW - 400 * DAY, not_after=NOW - 2 * DAY)
    async with web(body(issuing().der)) as port:
        served = leaf(issuing(), issuer_url=f"http://127.0.0.1:{port}/issuing.der")
        seen = await checked_over(openssl_context(served, old))
    assert seen.cause == "chain.expired-intermediate"
    repair = the("chain", seen.repairs)
    assert repair.verified and read(repair.pem) == ders(served, issuing())
    outcomes = {client.name: client.code for client in seen.clients}
    assert outcomes["go"] == "chain.expired-intermediate" and outcomes["chrome"] is None
