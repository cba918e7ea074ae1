"""Where a repair goes: the endpoint's own values, checked or quoted, and how they get into lines and commands. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv6Address

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, ip_literal
from probes.pki.certificate import Certificate
from probes.values import value

_MOST_ADDRESSES = 8
_BLANK = re.compile(r"<([a-z_]+)>")
_SERVER_FIELDS = (
    ("nginx", re.compile(r"^(nginx|openresty|tengine|angie)\b", re.I)),
    ("apache", re.compile(r"^apache\b", re.I)),
    ("haproxy", re.compile(r"^haproxy\b", re.I)),
    ("envoy", re.compile(r"^(istio-)?envoy\b", re.I)),
    ("aws", re.compile(r"^(awselb|cloudfront|amazons3)\b", re.I)),
    ("cloudflare", re.compile(r"^cloudflare\b", re.I)),
)

# Forward secrecy and AEAD alone, for TLS 1.2; by the kind of key they need.
_SUITES = {
    "ec": ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    "rsa": ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"),
}


@value
class Fill:
    """The values that a template may name as `<name>`."""

    values: Mapping[str, str]

    def into(self, template: str) -> str:
        """*template* with every `<name>` replaced. A name that nobody knows is our own mistake (KeyError)."""
        return self.into_line(template).strip("\n")

    def into_line(self, template: str) -> str:
        return _BLANK.sub(lambda blank: self.values[blank.group(1)], template)


class Place:
    """The endpoint as repairs see it: the finding's addresses first, then the others."""

    def __init__(self, facts: Facts, cause: Finding) -> None:
        self.facts = facts
        self.cause = cause
        self.target = facts.evidence.target

    @property
    def name(self) -> str:
        """The name clients ask for, or the bare address; `Target.parse` let nothing else through."""
        return _unzoned(self.facts.reference)

    @property
    def stem(self) -> str:
        """The name as part of a file name."""
        return file_stem(self.name)

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """The addresses of the cause; all of them where it names none."""
        named = tuple(look for look in self.facts.looks if look.address in self.cause.addresses)
        if not named and self.facts.origin is not None and self.facts.origin.address in self.cause.addresses:
            return (self.facts.origin,)
        return named or self.facts.looks

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """The cause's own addresses, without zones; those the name has where nothing was reached."""
        known = tuple(look.address for look in self.looks) or self.facts.evidence.resolution.addresses
        return tuple(dict.fromkeys(map(_unzoned, known)))[:_MOST_ADDRESSES]

    @cached_property
    def every_address(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_unzoned(look.address) for look in self.facts.looks))[:_MOST_ADDRESSES]

    @cached_property
    def software(self) -> str | None:
        """Which of the servers we know lines for answered, where an HTTP header says so."""
        for look in (*self.looks, *self.facts.looks):
            for shake in look.handshakes:
                for field, said in shake.http.fields if shake.http else ():
                    found = next((kind for kind, known in _SERVER_FIELDS if known.match(said)), None)
                    if field == "server" and found is not None:
                        return found
        return None

    @property
    def leaf(self) -> Certificate | None:
        return next((look.leaf for look in self.looks if look.leaf is not None), None)

    @cached_property
    def fill(self) -> Fill:
        first = next(iter(self.addresses), self.name)
        origin = self.facts.evidence.origin
        suites = _suites(self.leaf)
        return Fill(
            values={
                "name": self.name,
                "bracketed": bracketed(self.name),
                # ServerName takes no IPv6 address; an alias does, and the address of the VirtualHost decides anyway.
                "apache_name": f"ServerName {self.name}"
                if bracketed(self.name) == self.name
                else f"ServerName localhost\n    ServerAlias {bracketed(self.name)}",
                "quoted": shlex.quote(self.name),
                "file": self.stem,
                "port": str(self.target.port),
                "upstream": re.sub(r"[^a-z0-9]+", "_", self.stem),
                "other": "ecdsa" if self.leaf is not None and self.leaf.key_kind == "rsa" else "rsa",
                "suites": ":".join(suites),
                "suites_listed": ", ".join(suites),
                "origin": bracketed(_unzoned(origin.address)) if origin else bracketed(first),
                "origin_port": str(origin.port if origin else self.target.port),
                "nginx_members": self._members("    server <at> max_fails=1 fail_timeout=10s;"),
                "haproxy_members": self._members(
                    "    server node<n> <at> ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt "
                    f"sni str({self.name}) verifyhost {self.name} check check-sni {self.name} inter 5s fall 2 rise 3"
                ),
                "apache_members": self._members("    BalancerMember https://<at> hcmethod=TCP hcinterval=5 retry=10"),
                "envoy_members": self._members(
                    '      - endpoint: {address: {socket_address: {address: "<ip>", port_value: <port>}}}'
                ),
            }
        )

    def _members(self, line: str) -> str:
        """*line* once for each address that the name has."""
        port = str(self.target.port)
        return "\n".join(
            Fill(
                values={"n": str(number), "ip": address, "port": port, "at": f"{bracketed(address)}:{port}"},
            ).into_line(line)
            for number, address in enumerate(self.every_address or (self.name,), 1)
        )


def _suites(leaf: Certificate | None) -> tuple[str, ...]:
    kind = leaf.key_kind if leaf is not None else ""
    return _SUITES.get(kind) or (*_SUITES["ec"], *_SUITES["rsa"])


def file_stem(name: str) -> str:
    """*name* as part of a file name: letters, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.-]", "_", name.lower())[:100].strip(".-_") or "endpoint"


def bracketed(name: str) -> str:
    """A name or address as it stands before `:PORT`."""
    return f"[{name}]" if isinstance(ip_literal(name), IPv6Address) else name


def _unzoned(address: str) -> str:
    """Without a zone: `fe80::1%eth0` means something on this machine alone."""
    return address.partition("%")[0]
