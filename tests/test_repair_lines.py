"""Repairs: lines for servers are what the servers' own parsers take, filled in for this endpoint alone."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.catalogue import CATALOGUE
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Endpoint, HttpAnswer, Resolution
from probes.pki.certificate import Certificate, parse
from probes.repairs import SERVERS, lines, repairs
from probes.repairs.chain import read, written
from probes.repairs.place import Place, file_stem
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    RSA,
    chain,
    facts,
    healthy,
    issuing,
    root,
)
from tests.mending import cause_of, found_for, mended, ran, the
from tests.pki import leaf

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
