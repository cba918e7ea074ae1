"""The bench: places on loopback, configuration of each server software, processes started and ended.

One process a software where it can hold many endpoints (nginx, haproxy, apache, caddy, stunnel);
`openssl s_server` and `gnutls-serv` serve one each. Everything lives in one temporary directory.
Long, because each software wants its own configuration and its own way to be started.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.endpoints.authority import Hierarchy, Party, bundle
from tests.endpoints.faults import FullQueue, Handler, Loop

PROGRAMS = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "apache": "apache2",
    "caddy": "caddy",
    "stunnel": "stunnel4",
    "gnutls": "gnutls-serv",
    "openssl": "openssl",
}
START_WITHIN_S = 15.0
BELOW_EPHEMERAL = (20000, 32000)
APACHE_MODULES = Path("/usr/lib/apache2/modules")


def program(server: str) -> str | None:
    """The path of a server's program; Debian keeps daemons in sbin, off a user's PATH."""
    return shutil.which(PROGRAMS[server], path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def missing(server: str) -> str | None:
    """Why cases on *server* (or on several, `a+b`) cannot run here, or None."""
    lacking = [name for name in server.split("+") if name in PROGRAMS and program(name) is None]
    return f"{', '.join(lacking)} not installed" if lacking else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vhost:
    """One name-based host of an nginx listener: its names, its certificates, and further directives."""

    names: tuple[str, ...]
    chains: tuple[tuple[Party, ...], ...] = ()  # leaf first; more than one: dual certificates
    extra: str = ""


@dataclass(slots=True)
class _Spawned:
    process: subprocess.Popen[bytes]
    log: Path


class Bench:
    """Cases are built on it first (which writes configuration), then `start` runs all servers."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="endpoints-"))
        self.hierarchy = Hierarchy()
        self.loop = Loop()
        self._addresses = self._unique_addresses()
        self._files = itertools.count()
        self._nginx: dict[bool, list[str]] = {False: [], True: []}
        self._haproxy: list[str] = []
        self._apache: list[str] = []
        self._caddy: dict[str, Any] = {}
        self._caddy_certificates: list[dict[str, Any]] = []
        self._stunnel: list[str] = []
        self._commands: list[list[str]] = []
        self._expected: list[tuple[str, int]] = []
        self._spawned: list[_Spawned] = []
        self._queues: list[FullQueue] = []
        self._aia: tuple[str, int] | None = None
        # One fleet, one set of ticket keys: without it equal addresses refuse each other's sessions.
        key = os.urandom(80)
        self.ticket_key = self.file(key, ".key")
        self.apache_ticket_key = self.file(key[:48], ".key")
        self.haproxy_ticket_keys = self.file("\n".join([base64.b64encode(key).decode()] * 3) + "\n", ".keys")

    # ── places and files ──

    @staticmethod
    def _unique_addresses() -> itertools.chain[str]:
        """Addresses of 127/8 in a stretch picked at random, so that two runs at once do not meet."""
        high = random.SystemRandom().randrange(2, 250)
        return itertools.chain.from_iterable(
            (f"127.{high}.{third}.{last}" for last in range(1, 255)) for third in range(256)
        )

    def address(self) -> str:
        return next(self._addresses)

    def place(self, address: str | None = None) -> tuple[str, int]:
        """An address of its own and a port free on it."""
        address = address or self.address()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.bind((address, 0))
            return address, int(probe.getsockname()[1])

    def places(self, count: int) -> tuple[list[str], int]:
        """Several addresses that share one free port."""
        first, port = self.place()
        return [first, *(self.address() for _ in range(count - 1))], port

    def _port_everywhere(self) -> int:
        """A port free on all addresses, from below the range that `place` is served from by the kernel."""
        while True:
            port = random.SystemRandom().randrange(*BELOW_EPHEMERAL)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("", port))
                if ("0.0.0.0", port) not in self._expected:
                    return port

    def listens(self, address: str, port: int) -> None:
        """Startup is over when this one listens, too."""
        self._expected.append((address, port))

    def file(self, text: str | bytes, suffix: str = ".pem") -> Path:
        path = self.directory / f"f{next(self._files)}{suffix}"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def combined(self, *chain: Party) -> Path:
        return self.file(chain[0].key_pem + bundle(*chain))

    def issuer_url(self, issuer: Party) -> str:
        """A caIssuers URL under which nginx serves *issuer* as DER."""
        if self._aia is None:
            self._aia = address, port = self.place()
            (self.directory / "aia").mkdir()
            self._nginx[False].append(f"server {{ listen {address}:{port}; root {self.directory / 'aia'}; }}")
            self.listens(address, port)
        name = f"{next(self._files)}.cer"
        (self.directory / "aia" / name).write_bytes(issuer.der)
        return f"http://{self._aia[0]}:{self._aia[1]}/{name}"

    # ── servers ──

    def nginx(
        self,
        *vhosts: Vhost,
        at: tuple[str, int] | None = None,
        legacy: bool = False,
        protocols: str = "TLSv1.2 TLSv1.3",
        http2: bool = True,
        tls: bool = True,
    ) -> tuple[str, int]:
        """A listener with its vhosts, the first one the default. `legacy`: OpenSSL's security level 0."""
        address, port = at or self.place()
        shown = f"[{address}]" if ":" in address else address
        for number, vhost in enumerate(vhosts):
            flags = (" ssl" if tls else "") + (" http2" if http2 and tls else "")
            lines = [f"listen {shown}:{port}{flags}{'' if number else ' default_server'};"]
            lines.append(f"server_name {' '.join(vhost.names)};")
            if tls:
                lines.append(f"ssl_protocols {protocols};")
            for chain in vhost.chains:
                lines.append(f"ssl_certificate {self.file(bundle(*chain))};")
                lines.append(f"ssl_certificate_key {self.file(chain[0].key_pem)};")
            lines += [vhost.extra, 'location / { return 200 "fine\\n"; }']
            self._nginx[legacy].append("server { " + "\n  ".join(lines) + " }")
        self.listens(address, port)
        return address, port

    def haproxy(self, section: str, at: tuple[str, int] | None = None) -> tuple[str, int]:
        """A section of haproxy.cfg; `{bind}` in it becomes the place, `{id}` something unique."""
        address, port = at or self.place()
        text = section.replace("{bind}", f"{address}:{port}").replace("{id}", f"s{next(self._files)}")
        self._haproxy.append(text)
        self.listens(address, port)
        return address, port

    def haproxy_tls(self, *chain: Party, bind: str = "", at: tuple[str, int] | None = None) -> tuple[str, int]:
        """A haproxy that terminates TLS and answers HTTP by itself."""
        ssl = f"ssl crt {self.combined(*chain)} tls-ticket-keys {self.haproxy_ticket_keys}"
        return self.haproxy(
            f"frontend {{id}}\n mode http\n bind {{bind}} {ssl} {bind}\n"
            ' http-request return status 200 content-type text/plain string "fine"',
            at=at,
        )

    def apache(self, inside: str, *chain: Party, at: tuple[str, int] | None = None) -> tuple[str, int]:
        address, port = at or self.place()
        self._apache.append(f"Listen {address}:{port} https")
        self.apache_vhost((address, port), inside, *chain)
        self.listens(address, port)
        return address, port

    def apache_vhost(self, at: tuple[str, int], inside: str, *chain: Party) -> None:
        certificate = ""
        if chain:
            certificate = (
                f" SSLEngine on\n SSLCertificateFile {self.file(bundle(*chain))}\n"
                f" SSLCertificateKeyFile {self.file(chain[0].key_pem)}\n"
                f" SSLSessionTicketKeyFile {self.apache_ticket_key}\n"
            )
        self._apache.append(f"<VirtualHost {at[0]}:{at[1]}>\n{certificate} {inside}\n</VirtualHost>")

    def caddy(
        self,
        *chain: Party,
        at: tuple[str, int] | None = None,
        policy: dict[str, Any] | None = None,
        tls: bool = True,
        headers: dict[str, list[str]] | None = None,
    ) -> tuple[str, int]:
        """A caddy server; its certificate is chosen by name from all that caddy holds, as caddy does."""
        address, port = at or self.place()
        if chain:
            self._caddy_certificates.append(
                {"certificate": str(self.file(bundle(*chain))), "key": str(self.file(chain[0].key_pem))}
            )
        server: dict[str, Any] = {
            "listen": [f"{address}:{port}"],
            "automatic_https": {"disable": True},
            "routes": [{"handle": [{"handler": "static_response", "body": "fine", "headers": headers or {}}]}],
        }
        if tls:
            server["tls_connection_policies"] = [policy or {}]
        self._caddy[f"s{len(self._caddy)}"] = server
        self.listens(address, port)
        return address, port

    def stunnel(self, lines: str, *chain: Party, at: tuple[str, int] | None = None) -> tuple[str, int]:
        address, port = at or self.place()
        certificate = f"cert = {self.combined(*chain)}\n" if chain else ""
        self._stunnel.append(f"[s{len(self._stunnel)}]\naccept = {address}:{port}\n{certificate}{lines}\n")
        self.listens(address, port)
        return address, port

    def s_server(self, *args: str, chain: Sequence[Party] = (), at: tuple[str, int] | None = None) -> tuple[str, int]:
        """`openssl s_server`: one connection at a time. Without `-rev` among *args* it answers HTTP."""
        address, port = at or self.place()
        command = [program("openssl") or "openssl", "s_server", "-accept", f"{address}:{port}", "-quiet"]
        if chain:
            command += ["-cert", str(self.file(chain[0].pem)), "-key", str(self.file(chain[0].key_pem))]
        if chain[1:]:
            command += ["-cert_chain", str(self.file(bundle(*chain[1:])))]
        mode = [] if "-rev" in args else ["-www"]
        self._commands.append([*command, *mode, *args])
        self.listens(address, port)
        return address, port

    def gnutls(self, *args: str, chain: Sequence[Party] = (), asks: bool = False) -> tuple[str, int]:
        """gnutls-serv, which can listen on every address only; the port is free on all of them.

        *asks*: for a client certificate.
        """
        port = self._port_everywhere()
        command = [program("gnutls") or "gnutls-serv", "--port", str(port), "--quiet"]
        if not asks:
            command.append("--disable-client-cert")
        if not {"--echo"} & set(args):
            command.append("--http")
        if chain:
            command += ["--x509certfile", str(self.file(bundle(*chain)))]
            command += ["--x509keyfile", str(self.file(chain[0].key_pem))]
        self._commands.append([*command, *args])
        self.listens("0.0.0.0", port)
        return self.address(), port

    def raw(self, handler: Handler, at: tuple[str, int] | None = None, segment: int | None = None) -> tuple[str, int]:
        address, port = at or self.place()
        self.loop.serve(address, port, handler, segment=segment)
        return address, port

    def full_queue(self) -> tuple[str, int]:
        address = self.address()
        self._queues.append(FullQueue(address))
        return address, self._queues[-1].port

    # ── start and stop ──

    def start(self) -> None:
        """Start everything that was configured; back when every place listens. Raises with the logs if not."""
        try:
            self._start_nginx()
            self._start_haproxy()
            self._start_apache()
            self._start_caddy()
            self._start_stunnel()
            for command in self._commands:
                self._spawn(command)
            self._wait()
        except BaseException:
            self.close()
            raise

    def _start_nginx(self) -> None:
        for legacy, servers in self._nginx.items():
            if not servers:
                continue
            home = self.directory / f"nginx-{legacy}"
            home.mkdir()
            config = (
                "daemon off; master_process off; error_log stderr crit; pid nginx.pid;\n"
                "events { worker_connections 8192; }\n"
                f"http {{ access_log off; ssl_session_ticket_key {self.ticket_key};"
                " server_names_hash_bucket_size 256; server_names_hash_max_size 4096;"
                + "".join(
                    f" {kind}_temp_path {home}/t;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
                )
                + " limit_conn_zone $binary_remote_addr zone=few:1m;\n"
                + "\n".join(servers)
                + "\n}"
            )
            environment = {"OPENSSL_CONF": str(self._legacy_openssl())} if legacy else {}
            path = self.file(config, ".conf")
            command = [program("nginx") or "", "-e", "stderr", "-p", str(home), "-c", str(path)]
            self._spawn(command, environment)

    def _legacy_openssl(self) -> Path:
        return self.file(
            "openssl_conf = top\n[top]\nssl_conf = ssl\n[ssl]\nsystem_default = relaxed\n"
            "[relaxed]\nMinProtocol = TLSv1\nCipherString = ALL@SECLEVEL=0\n",
            ".cnf",
        )

    def _start_haproxy(self) -> None:
        if not self._haproxy:
            return
        # tune.ssl.default-dh-param: DHE suites are wanted by some cases.
        head = (
            "global\n maxconn 2000\n nbthread 1\n tune.ssl.default-dh-param 2048\n"
            "defaults\n timeout connect 2s\n timeout client 20s\n timeout server 20s\n timeout http-request 20s\n"
        )
        self._spawn([program("haproxy") or "", "-db", "-f", str(self.file(head + "\n".join(self._haproxy) + "\n"))])

    def _start_apache(self) -> None:
        if not self._apache:
            return
        modules = ["mpm_event", "authz_core", "socache_shmcb", "ssl", "headers", "http2"]
        loads = "".join(
            f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"
            for name in modules
            if (APACHE_MODULES / f"mod_{name}.so").exists()
        )
        root = self.directory / "apache"
        root.mkdir()
        (root / "index.html").write_text("fine\n")
        root.chmod(0o755)
        self.directory.chmod(0o711)
        config = (
            f"{loads}ServerRoot {root}\nPidFile {root}/pid\nServerName localhost\nErrorLog {root}/errors\n"
            f"DocumentRoot {root}\nLogLevel warn\nServerLimit 1\nStartServers 1\nThreadsPerChild 32\n"
            f"MaxRequestWorkers 32\nMutex file:{root}\nSSLSessionCache none\nDefaultRuntimeDir {root}\n"
            f"<IfModule unixd_module>\nUser nobody\n</IfModule>\n" + "\n".join(self._apache) + "\n"
        )
        self._spawn([program("apache") or "", "-D", "FOREGROUND", "-f", str(self.file(config, ".conf"))])

    def _start_caddy(self) -> None:
        if not self._caddy:
            return
        config = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "storage": {"module": "file_system", "root": str(self.directory / "caddy")},
            "apps": {
                "http": {"grace_period": "1ms", "servers": self._caddy},
                "tls": {"certificates": {"load_files": self._caddy_certificates}},
            },
        }
        path = self.file(json.dumps(config), ".json")
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory), "GOMAXPROCS": "2"}
        self._spawn([program("caddy") or "", "run", "--config", str(path)], home)

    def _start_stunnel(self) -> None:
        if not self._stunnel:
            return
        head = f"foreground = yes\npid = {self.directory}/stunnel.pid\ndebug = err\nsyslog = no\n"
        self._spawn([program("stunnel") or "", str(self.file(head + "\n".join(self._stunnel), ".conf"))])

    def _spawn(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        log = self.directory / f"log{len(self._spawned)}"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=self.directory,
                start_new_session=True,
            )
        self._spawned.append(_Spawned(process, log))

    def _wait(self) -> None:
        """Read the kernel's table of listeners: connecting would disturb servers that serve one at a time."""
        deadline = time.monotonic() + START_WITHIN_S
        wanted = set(self._expected)
        while wanted:
            wanted -= _listening()
            failed = [one for one in self._spawned if one.process.poll() is not None]
            if failed:
                raise RuntimeError(
                    "\n".join(f"{one.process.args!r} ended: {one.log.read_text()[-3000:]}" for one in failed)
                )
            if time.monotonic() > deadline:
                raise RuntimeError(f"not listening within {START_WITHIN_S} s: {sorted(wanted)[:5]}")
            if wanted:
                time.sleep(0.02)

    def ended(self) -> list[str]:
        """Servers that ended by themselves: what a check of their endpoints said then is worth nothing."""
        return [repr(one.process.args) for one in self._spawned if one.process.poll() is not None]

    def close(self) -> None:
        """End every process started here, and leave nothing behind. May be called twice."""
        for one in self._spawned:
            if one.process.poll() is None:
                one.process.terminate()
        for one in self._spawned:
            try:
                one.process.wait(3)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait(3)
        self._spawned.clear()
        for queue in self._queues:
            queue.close()
        self._queues.clear()
        if self.directory.exists():
            self.loop.close()
            shutil.rmtree(self.directory)


def _listening() -> set[tuple[str, int]]:
    """(address, port) of every TCP listener, from /proc/net/tcp and tcp6."""
    found: set[tuple[str, int]] = set()
    for table, width in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A":  # TCP_LISTEN
                continue
            packed, _, port = fields[1].partition(":")
            words = [bytes.fromhex(packed[i : i + 8])[::-1] for i in range(0, width * 2, 8)]
            family = socket.AF_INET if width == 4 else socket.AF_INET6
            address = socket.inet_ntop(family, b"".join(words))
            found.add(("0.0.0.0" if address == "::" else address, int(port, 16)))
    return found
