"""Servers of four makes with a TLS configuration given as text, on loopback, each for the length of one test."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probes.lab.issue import Issued
from tests import pki

NAME = "healthy.test"
MODULES = Path("/usr/lib/apache2/modules")
EC, EC_CA, ROOT = pki.chain()
RSA = pki.leaf(EC_CA, names=(NAME,), key_kind="rsa2048", owner="enumerated")


def missing(*programs: str) -> str | None:
    """The first of *programs* that is not installed."""
    return next((program for program in programs if shutil.which(program) is None), None)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def files(place: Path) -> None:
    """ec.pem and rsa.pem with chain and key in one, and each apart as ec.crt, ec.key, …"""
    for name, leaf in (("ec", EC), ("rsa", RSA)):
        _write(place, name, leaf)


def _write(place: Path, name: str, leaf: Issued) -> None:
    chain = leaf.pem + EC_CA.pem
    (place / f"{name}.crt").write_text(chain)
    (place / f"{name}.key").write_text(leaf.key_pem)
    (place / f"{name}.pem").write_text(chain + leaf.key_pem)
    (place / f"{name}.key").chmod(0o600)


@contextmanager
def running(*command: str, cwd: Path, port: int) -> Iterator[int]:
    """The server while it runs; it has begun when it accepts."""
    log = cwd / "output.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output, stdin=subprocess.PIPE)
    try:
        for _ in range(200):
            assert server.poll() is None, log.read_text(errors="replace")
            with socket.socket() as sock:
                sock.settimeout(0.2)
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
                try:
                    server.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
        else:
            raise AssertionError(f"{command[0]} never accepted: {log.read_text(errors='replace')}")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdin is not None:
            server.stdin.close()


@contextmanager
def nginx(place: Path, lines: str) -> Iterator[int]:
    port = free_port()
    (place / "nginx.conf").write_text(
        f"""
daemon off; master_process off; pid {place}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;
    uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;
    server {{
        listen 127.0.0.1:{port} ssl;
        {lines}
    }}
}}
"""
    )
    with running("nginx", "-c", str(place / "nginx.conf"), "-p", str(place), cwd=place, port=port) as ready:
        yield ready


@contextmanager
def haproxy(place: Path, options: str) -> Iterator[int]:
    port = free_port()
    (place / "haproxy.cfg").write_text(
        f"""
global
    maxconn 256
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen tls
    bind 127.0.0.1:{port} ssl {options}
"""
    )
    with running("haproxy", "-db", "-f", str(place / "haproxy.cfg"), cwd=place, port=port) as ready:
        yield ready


@contextmanager
def apache(place: Path, lines: str) -> Iterator[int]:
    port = free_port()
    loaded = "\n".join(
        f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in ("mpm_event", "authz_core", "ssl")
    )
    (place / "apache.conf").write_text(
        f"""
ServerRoot {place}
ServerName localhost
PidFile {place}/pid
ErrorLog {place}/error.log
DefaultRuntimeDir {place}
Listen 127.0.0.1:{port}
{loaded}
SSLEngine on
{lines}
"""
    )
    command = ("apache2", "-X", "-f", str(place / "apache.conf"))
    with running(*command, cwd=place, port=port) as ready:
        yield ready


@contextmanager
def openssl(place: Path, *options: str) -> Iterator[int]:
    port = free_port()
    command = ("openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", *options)
    with running(*command, cwd=place, port=port) as ready:
        yield ready


@contextmanager
def gnutls(place: Path, *options: str) -> Iterator[int]:
    port = free_port()
    command = ("gnutls-serv", "--http", "--quiet", f"--port={port}", *options)
    with running(*command, cwd=place, port=port) as ready:
        yield ready
