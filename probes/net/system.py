"""What this machine says about names: its name servers (resolv.conf) and its hosts file. Files in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from probes.model import Endpoint, ip_literal
from probes.values import value

DNS_PORT = 53
MAX_NAMESERVERS = 3  # resolv.conf(5), MAXNS
DEFAULT_ATTEMPTS = 2  # resolv.conf(5), RES_DFLRETRY
MAX_NDOTS, MAX_ATTEMPTS = 15, 5  # resolv.conf(5) caps them silently; so do we


@value
class System:
    """How this machine resolves names. Empty `nameservers` means it was not told of any.

    `timeout` and `rotate` are ignored: a check has less time than the system grants, and wants the same answer twice.
    """

    nameservers: tuple[Endpoint, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    attempts: int = DEFAULT_ATTEMPTS
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @classmethod
    def read(cls, resolv_conf: Path = Path("/etc/resolv.conf"), hosts: Path = Path("/etc/hosts")) -> System:
        """The two files as they are now. One that is missing or unreadable counts as empty."""
        return cls.parse(_text(resolv_conf), _text(hosts))

    @classmethod
    def parse(cls, resolv_conf: str, hosts: str = "") -> System:
        """Read resolv.conf(5) and hosts(5) text. Lines that make no sense are skipped, as the C library does."""
        nameservers: list[Endpoint] = []
        search: tuple[str, ...] = ()
        options: dict[str, int] = {}
        for line in resolv_conf.splitlines():
            words = line.split("#")[0].split(";")[0].split()
            match words:
                case ["nameserver", address, *_] if found := _nameserver(address):
                    nameservers.append(found)
                case ["search" | "domain", *domains]:  # the last one wins, resolv.conf(5)
                    search = tuple(name for domain in domains if (name := domain.strip(".").lower()))
                case ["options", *given]:
                    options.update(_options(given))
                case _:
                    pass
        return cls(
            nameservers=tuple(nameservers[:MAX_NAMESERVERS]),
            search=search,
            ndots=min(options.get("ndots", 1), MAX_NDOTS),
            attempts=min(max(options.get("attempts", DEFAULT_ATTEMPTS), 1), MAX_ATTEMPTS),
            hosts=_hosts(hosts),
        )

    def candidates(self, host: str) -> tuple[str, ...]:
        """The names to ask for, in turn: a name with fewer than ndots dots is tried below the search domains first."""
        below = tuple(f"{host}.{domain}" for domain in self.search if len(host) + len(domain) < 253)
        return (host, *below) if host.count(".") >= self.ndots else (*below, host)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _nameserver(text: str) -> Endpoint | None:
    """`192.0.2.53`, `fe80::1%eth0`, and the forms with a port: `[2001:db8::53]:5353`, `192.0.2.53:5353`."""
    if ip_literal(text):
        return Endpoint(address=text, port=DNS_PORT)
    address, colon, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if colon and ip_literal(address) and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return Endpoint(address=address, port=int(port))
    bare = text.removeprefix("[").removesuffix("]")
    return Endpoint(address=bare, port=DNS_PORT) if ip_literal(bare) else None


def _options(words: list[str]) -> dict[str, int]:
    pairs = (word.partition(":") for word in words)
    return {name: int(value) for name, _, value in pairs if value.isascii() and value.isdigit() and len(value) < 6}


def _hosts(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.split("#")[0].split() or [""]
        if ip_literal(address):
            for name in names:
                key = name.rstrip(".").lower()
                found[key] = tuple(dict.fromkeys((*found.get(key, ()), address)))
    return found
