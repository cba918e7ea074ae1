"""Repairs: commands and capture recipes are for this endpoint alone, and run."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from probes.catalogue import CATALOGUE
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Endpoint, Resolution, Target
from probes.repairs import repairs
from probes.repairs.commands import proof
from probes.repairs.place import Place
from tests.evidence import (
    ADDRESS,
    dropped,
    evidence,
    facts,
    healthy,
    issuing,
    root,
    stalled,
    store,
)
from tests.mending import cause_of, found_for, mended, ran, serving, the
from tests.pki import leaf

# ── commands ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_cause_has_a_proof_for_its_own_endpoint(code: str) -> None:
    text = proof(found_for(code, target="api.example.com:8443", addresses=(ADDRESS, "2001:db8::9"))).text
    commands = [line for line in text.splitlines() if not line.startswith("#")]
    assert commands[-1] == "tls check api.example.com:8443"
    for line in commands:
        shlex.split(line)
    if code != "reach.dns":
        assert f"-connect {ADDRESS}:8443" in text and "[2001:db8::9]:8443" in text
        assert "-verify_return_error" in text


def test_a_proof_repeats_the_options_of_the_check() -> None:
    asked = Target.parse("10.0.0.5:8443", sni="api.example.com")
    seen = evidence(
        healthy("10.0.0.5", target=asked),
        target=asked,
        trust=store(added=(root(),)),
        origin=Endpoint(address="192.0.2.99", port=443),
        resolution=Resolution(addresses=("10.0.0.5",), source="--resolve"),
    )
    place = Place(Facts(seen), found_for("chain.untrusted").cause)
    text = proof(place).text
    assert "-servername api.example.com" in text and "-CAfile CA.pem" in text
    last = shlex.split(text.splitlines()[-1])
    assert last[:3] == ["tls", "check", "10.0.0.5:8443"]
    for option, value in (
        ("--sni", "api.example.com"),
        ("--origin", "192.0.2.99:443"),
        ("--ca-file", "CA.pem"),
        ("--resolve", "10.0.0.5:8443:10.0.0.5"),
    ):
        assert last[last.index(option) + 1] == value


def test_a_revoked_certificate_is_issued_anew_and_configured_nowhere() -> None:
    place = found_for("revocation.revoked")
    diagnosis = replace(judge(place.facts), cause=place.cause)
    found = repairs(place.facts, diagnosis)
    assert [each.kind for each in found] == ["command", "command"]
    assert "openssl req -new" in found[0].text and "subjectAltName=DNS:api.example.com" in found[0].text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("target", ["api.example.com", "192.0.2.7"])
def test_the_request_for_a_new_certificate_can_be_made(target: str, tmp_path: Path) -> None:
    place = found_for("chain.weak", target=target)
    found = repairs(place.facts, replace(judge(place.facts), cause=place.cause))
    command = the("command", found).text.splitlines()[-1]
    ran(*shlex.split(command), cwd=tmp_path)
    assert (tmp_path / f"{target}.csr").exists()


# ── the capture recipe ──────────────────────────────────────────────────────────

HIDDEN = (
    "reach.reset",
    "reach.closed",
    "reach.stalled",
    "reach.timeout",
    "reach.large-hello",
    "reach.slow",
    "resumption.broken",
    "balancer.intermittent",
)


@pytest.mark.parametrize("code", HIDDEN)
def test_what_the_probes_cannot_see_gets_a_recipe_for_this_endpoint(code: str) -> None:
    place = found_for(code, target="api.example.com:8443", addresses=(ADDRESS, "2001:db8::9"))
    recipe = the("capture", repairs(place.facts, replace(judge(place.facts), cause=place.cause))).text
    assert f"tcp port 8443 and (host {ADDRESS} or host 2001:db8::9)" in recipe
    assert "-C 20 -W 5 -w api.example.com-8443.pcap" in recipe
    assert "SSLKEYLOGFILE=api.example.com-8443.keys curl" in recipe
    assert f"--resolve api.example.com:8443:{ADDRESS}" in recipe
    assert "--resolve 'api.example.com:8443:[2001:db8::9]'" in recipe
    assert "both ends" in recipe.casefold()
    for line in recipe.splitlines():
        if not line.startswith("#"):
            shlex.split(line)


def test_what_is_plain_to_see_needs_no_capture() -> None:
    assert "capture" not in {each.kind for each in mended(serving(leaf(issuing())))}


def test_a_reset_is_told_by_who_sent_it() -> None:
    seen = facts(healthy(every=dropped("rst")))
    assert cause_of(seen) == "reach.reset"
    assert "Who sends the RST?" in the("capture", mended(seen)).text


def test_an_address_literal_is_asked_without_a_name() -> None:
    asked = Target.parse("[2001:db8::7]:8443")
    seen = facts(healthy("2001:db8::7", target=asked, every=stalled()), target=asked)
    recipe = the("capture", mended(seen)).text
    assert "--resolve" not in recipe and "https://[2001:db8::7]:8443/" in recipe.replace("'", "")
    assert "host 2001:db8::7" in recipe


def test_starttls_is_tried_with_openssl() -> None:
    asked = replace(Target.parse("mail.example.com:25"), starttls="smtp")
    seen = facts(healthy(target=asked, every=dropped("fin")), target=asked)
    recipe = the("capture", mended(seen)).text
    assert "-starttls smtp" in recipe and "-keylogfile" in recipe and "curl" not in recipe


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("addresses", [(ADDRESS,), ("2001:db8::9",), (ADDRESS, "2001:db8::9")])
def test_tcpdump_takes_the_filter(addresses: tuple[str, ...], tmp_path: Path) -> None:
    place = found_for("reach.reset", addresses=addresses)
    recipe = the("capture", repairs(place.facts, replace(judge(place.facts), cause=place.cause))).text
    words = shlex.split(next(line for line in recipe.splitlines() if "tcpdump" in line))
    ran("tcpdump", "-d", "-y", "EN10MB", words[-1], cwd=tmp_path)
