"""Repairs: the corrected chain is proved, lines are what real parsers take, commands are for this endpoint alone."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from OpenSSL import SSL

from probes.catalogue import CATALOGUE
from probes.check import Options, check
from probes.codec import from_json, to_json
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Endpoint, Fetched, Finding, HttpAnswer, Repair, Report, Resolution, Target, Trust
from probes.pki.certificate import Certificate, parse
from probes.repairs import SERVERS, lines, repairs
from probes.repairs.chain import holds, read, written
from probes.repairs.commands import proof
from probes.repairs.place import Place, file_stem
from tests.evidence import (
    ADDRESS,
    DAY,
    HEALTHY,
    OTHER,
    RSA,
    chain,
    ders,
    dropped,
    evidence,
    facts,
    healthy,
    issuing,
    root,
    serves,
    stalled,
    store,
)
from tests.net.peers import OpenSsl, openssl_context
from tests.net.peers import served as served_over
from tests.net.test_fetch import body, web
from tests.pki import NOW, Issued, authority, cross_sign, intermediate, leaf

URL = "http://ca.test/issuing.der"


def mended(seen: Facts) -> tuple[Repair, ...]:
    return repairs(seen, judge(seen))


def the(kind: str, found: tuple[Repair, ...]) -> Repair:
    return next(each for each in found if each.kind == kind)


def cause_of(seen: Facts) -> str | None:
    cause = judge(seen).cause
    return cause.code if cause else None


def serving(*served: Issued, fetched: tuple[Fetched, ...] = (), trust: Trust | None = None) -> Facts:
    shakes = healthy(server=replace(HEALTHY, chain=ders(*served)))
    return Facts(replace(evidence(shakes, trust=trust), fetched=fetched))


def found_for(code: str, *, target: str = "api.example.com:8443", addresses: tuple[str, ...] = (ADDRESS,)) -> Place:
    """A place with *code* for its cause, as a rule would hand it over."""
    asked = Target.parse(target)
    looks = [healthy(address, target=asked) for address in addresses]
    finding = Finding(
        code=code,
        severity="critical",
        explanation="",
        evidence=(),
        addresses=addresses,
        fix="",
        next_command="",
    )
    return Place(facts(*looks, target=asked), finding)


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


# ── lines for servers ───────────────────────────────────────────────────────────

NO_CONFIGURATION = {
    "revocation.revoked": "a revocation cannot be undone: a new certificate",
    "revocation.crl-slow": "the CA's own list",
    "revocation.crl-unreachable": "the CA's own list",
    "validity.clock-skew": "a clock, not a server's file",
}
NO_EARLY_DATA_THERE = {"apache", "envoy"}


@pytest.mark.parametrize("code", [code for code, entry in CATALOGUE.items() if entry.mode])
def test_every_code_that_a_configuration_mends_has_its_lines(code: str) -> None:
    having = {server for server, known in SERVERS.items() if code in known}
    if code in NO_CONFIGURATION:
        assert having == set()
        return
    wanted = {"nginx", "haproxy", "apache", "envoy"}
    assert having >= (wanted - NO_EARLY_DATA_THERE if code == "resumption.early-data" else wanted)


def test_lines_are_for_codes_of_the_catalogue_alone() -> None:
    assert {code for known in SERVERS.values() for code in known} <= set(CATALOGUE)


@pytest.mark.parametrize("code", sorted({code for known in SERVERS.values() for code in known}))
@pytest.mark.parametrize("target", ["api.example.com:8443", "192.0.2.7:443", "[2001:db8::7]:8443", "a_b.example"])
def test_every_blank_is_filled(code: str, target: str) -> None:
    for repair in lines(found_for(code, target=target)):
        assert not re.search(r"<[a-z_]+>", repair.text), repair.text


def test_the_software_that_answered_comes_first() -> None:
    def said(value: str) -> tuple[str, ...]:
        answer = HttpAnswer(status=200, date=None, skew_s=None, fields=(("server", value),))
        shakes = tuple(replace(shake, http=answer) for shake in healthy(server=replace(HEALTHY, chain=chain()[:1])))
        seen = facts(shakes)
        cause = judge(seen).cause
        assert cause is not None
        return tuple(each.kind for each in lines(Place(seen, cause)))

    assert said("Apache/2.4.62 (Debian)")[0] == "apache"
    assert said("awselb/2.0")[0] == "aws"
    assert said("cloudflare")[0] == "cloudflare"
    assert said("istio-envoy")[0] == "envoy"
    assert said("openresty/1.25")[0] == "nginx"
    assert said("Microsoft-IIS/10.0")[0] == "nginx"


def test_a_mail_server_gets_no_lines_for_a_web_server() -> None:
    place = found_for("validity.expired", target="mail.example.com:25")
    mail = Facts(replace(place.facts.evidence, target=replace(place.target, starttls="smtp")))
    found = repairs(mail, replace(judge(mail), cause=place.cause))
    assert {each.kind for each in found} == {"command"}
    assert "-starttls smtp" in found[-1].text and "--starttls smtp" in found[-1].text


def test_a_name_that_does_not_resolve_has_nothing_but_the_check_to_run_again() -> None:
    seen = facts(resolution=Resolution(addresses=(), source="DNS 192.0.2.53", failure="nxdomain"))
    assert cause_of(seen) == "reach.dns"
    [only] = mended(seen)
    assert only.kind == "command" and only.text.splitlines()[1:] == ["tls check healthy.test:443"]


def test_the_second_key_is_of_the_other_kind() -> None:
    place = found_for("negotiation.signature")
    assert "-rsa.key" in the("nginx", tuple(lines(place))).text
    rsa = Place(facts(healthy(server=RSA)), place.cause)
    assert "-ecdsa.key" in the("nginx", tuple(lines(rsa))).text


def test_suites_fit_the_key() -> None:
    place = found_for("negotiation.cipher")
    assert "ECDHE-ECDSA-AES128-GCM-SHA256" in the("nginx", tuple(lines(place))).text
    assert "ECDHE-RSA" not in the("nginx", tuple(lines(place))).text
    rsa = Place(facts(healthy(server=RSA)), place.cause)
    assert "ECDHE-RSA-AES128-GCM-SHA256" in the("nginx", tuple(lines(rsa))).text


# Real parsers. Each distinct snippet once; paths and ports are the test's own.


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def snippets(server: str) -> list[str]:
    """One code for each distinct template."""
    return list({template: code for code, template in SERVERS[server].items()}.values())


def lines_for(server: str, code: str, host: str = "api.example.com") -> str:
    place = found_for(code, target=f"{host}:{free_port()}", addresses=(ADDRESS, "2001:db8::9"))
    origin = Endpoint(address="192.0.2.99", port=8443)
    place = Place(Facts(replace(place.facts.evidence, origin=origin)), place.cause)
    return the(server, tuple(lines(place))).text


def asked(server: str) -> list[tuple[str, str]]:
    """Each template for a name, and some for address literals, which every parser reads in its own way."""
    literals = [(code, host) for code in ("chain.incomplete", "balancer.address-down") for host in LITERALS]
    return [*((code, "api.example.com") for code in snippets(server)), *literals]


LITERALS = ("192.0.2.7", "[2001:db8::7]")


def files(folder: Path, host: str) -> Path:
    """Everything the lines name, as files of *folder*."""
    stem = file_stem(host.strip("[]"))
    made, rsa = leaf(names=("api.example.com",)), leaf(names=("api.example.com",), key_kind="rsa2048", owner="rsa leaf")
    certs = folder / "certs"
    certs.mkdir()
    for name, each in ((stem, made), (f"{stem}-rsa", rsa)):
        (folder / f"{name}-chain.pem").write_text(each.pem + issuing().pem)
        (folder / f"{name}.key").write_text(each.key_pem)
    (folder / "client-ca.pem").write_text(root().pem)
    (certs / "ca-certificates.crt").write_text(root().pem)
    for name, size in (("ticket-current.key", 80), ("ticket-previous.key", 80), ("ticket-apache.key", 48)):
        (folder / name).write_bytes(os.urandom(size))
    return folder


def ran(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize(("code", "host"), asked("nginx"))
def test_nginx_takes_the_lines(code: str, host: str, tmp_path: Path) -> None:
    text = lines_for("nginx", code, host).replace("/etc/ssl", str(files(tmp_path, host)))
    configuration = f"""
daemon off; pid {tmp_path}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {tmp_path}/a; proxy_temp_path {tmp_path}/b; fastcgi_temp_path {tmp_path}/c;
    uwsgi_temp_path {tmp_path}/d; scgi_temp_path {tmp_path}/e;
{text}
}}
"""
    (tmp_path / "nginx.conf").write_text(configuration)
    ran("nginx", "-t", "-q", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), cwd=tmp_path)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
@pytest.mark.parametrize(("code", "host"), asked("haproxy"))
def test_haproxy_takes_the_lines(code: str, host: str, tmp_path: Path) -> None:
    made = files(tmp_path, host)
    own = file_stem(host.strip("[]"))
    both = {"ecdsa": own, "rsa": f"{own}-rsa"}
    (made / "haproxy").mkdir()
    for kind, stem in both.items():
        joined = (made / f"{stem}-chain.pem").read_text() + (made / f"{stem}.key").read_text()
        if code == "negotiation.signature":
            (made / "haproxy" / f"{own}.pem.{kind}").write_text(joined)
        elif kind == "ecdsa":
            (made / "haproxy" / f"{own}.pem").write_text(joined)
    # As the comment says: three lines of base64.
    (made / "ticket.keys").write_text("".join(shown_key() for _ in range(3)))
    text = lines_for("haproxy", code, host)
    for named, here in (
        ("/etc/haproxy/certs", made / "haproxy"),
        ("/etc/haproxy", made),
        ("/etc/ssl", made),
    ):
        text = text.replace(str(named), str(here))
    defaults = "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"
    # A file without a listener is refused for that alone.
    defaults += f"listen other\n    bind 127.0.0.1:{free_port()}\n"
    whole = f"{text}\n{defaults}" if text.startswith("global") else f"{defaults}{text}\n"
    (tmp_path / "haproxy.cfg").write_text(whole)
    ran("haproxy", "-c", "-q", "-f", str(tmp_path / "haproxy.cfg"), cwd=tmp_path)


def shown_key() -> str:
    return base64.b64encode(os.urandom(48)).decode() + "\n"


_MODULES = Path("/usr/lib/apache2/modules")
_NEEDED = (
    *("mpm_event", "authz_core", "alias", "socache_shmcb", "slotmem_shm", "watchdog", "ssl", "http2"),
    *("proxy", "proxy_http", "proxy_balancer", "proxy_hcheck", "lbmethod_byrequests"),
)


@pytest.mark.skipif(
    shutil.which("apache2") is None or not (_MODULES / "mod_ssl.so").exists(), reason="apache2 with mod_ssl is missing"
)
@pytest.mark.parametrize(("code", "host"), asked("apache"))
def test_apache_takes_the_lines(code: str, host: str, tmp_path: Path) -> None:
    text = lines_for("apache", code, host)
    for named, here in (("/etc/ssl", files(tmp_path, host)), ("/var/run/apache2", tmp_path)):
        text = text.replace(str(named), str(here))
    loaded = "\n".join(
        f"LoadModule {name}_module {_MODULES}/mod_{name}.so"
        for name in _NEEDED
        if (_MODULES / f"mod_{name}.so").exists()
    )
    configuration = f"""
ServerRoot {tmp_path}
ServerName localhost
PidFile {tmp_path}/pid
ErrorLog {tmp_path}/error.log
Listen 127.0.0.1:{free_port()}
{loaded}
{text}
"""
    (tmp_path / "apache.conf").write_text(configuration)
    ran("apache2", "-t", "-f", str(tmp_path / "apache.conf"), cwd=tmp_path)


@pytest.mark.parametrize("code", sorted(SERVERS["envoy"]))
def test_envoy_s_lines_are_yaml_of_the_right_shape(code: str) -> None:
    parsed = yaml.safe_load(lines_for("envoy", code))
    assert isinstance(parsed, dict)
    known = {"transport_socket", "listener_filters", "filter_chains", "default_filter_chain", "clusters"}
    known |= {"virtual_hosts", "listener_filters_timeout", "continue_on_listener_filters_timeout"}
    assert set(parsed) <= known
    for typed in _typed(parsed):
        assert typed["@type"].startswith("type.googleapis.com/envoy.")
        for certificate in typed.get("common_tls_context", {}).get("tls_certificates", ()):
            assert certificate["certificate_chain"]["filename"].startswith("/etc/ssl/")
            assert certificate["private_key"]["filename"].endswith(".key")
    for cluster in parsed.get("clusters", ()):
        members = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        places = [each["endpoint"]["address"]["socket_address"] for each in members]
        assert [place["address"] for place in places] == [ADDRESS, "2001:db8::9"]


def _typed(value: object) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if "@type" in value else []
        return own + [each for item in value.values() for each in _typed(item)]
    if isinstance(value, list):
        return [each for item in value for each in _typed(item)]
    return []


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("server", ["aws", "cloudflare"])
def test_commands_for_clouds_are_shell(server: str) -> None:
    for code in snippets(server):
        ran("bash", "-n", "-c", lines_for(server, code), cwd=Path("/"))


@pytest.mark.skipif(not all(map(shutil.which, ("awk", "openssl", "bash"))), reason="awk, openssl or bash is missing")
def test_the_chain_is_split_for_acm_as_the_lines_say(tmp_path: Path) -> None:
    made = (leaf(issuing()), issuing())
    certificates = [parsed_of(each.der) for each in made]
    (tmp_path / "api.example.com-chain.pem").write_text(written(certificates))
    wanted = ("openssl x509", "awk")
    splitting = [line for line in lines_for("aws", "chain.incomplete").splitlines() if line.startswith(wanted)]
    ran("bash", "-ec", "\n".join(splitting), cwd=tmp_path)
    assert read((tmp_path / "leaf.pem").read_text()) == (made[0].der,)
    assert read((tmp_path / "rest.pem").read_text()) == (made[1].der,)
    assert "#" not in (tmp_path / "rest.pem").read_text()


def parsed_of(der: bytes) -> Certificate:
    parsed = parse(der)
    assert isinstance(parsed, Certificate)
    return parsed


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
