"""The commands around a repair: issue anew, set the clock, prove that it holds, capture what no probe sees. Pure.

All are quoted for a shell, whatever the certificates contain; addresses, ports and names are the endpoint's own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from probes.model import Repair
from probes.repairs.place import Place, bracketed

_MOST_ENDPOINTS = 4

# ── anew ────────────────────────────────────────────────────────────────────────

_RENEW = "sudo certbot renew --cert-name {name} --force-renewal --deploy-hook 'systemctl reload nginx'"
_ISSUE = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {file}.key -out {file}.csr "
    "-subj {subject} -addext {san}"
)

_ANEW = {
    "validity.expired": (
        "# Renew, and reload what serves it (a renewed file that nobody reloads is the usual reason):",
        _RENEW,
    ),
    "validity.expiring": ("# Renew, and reload what serves it:", _RENEW),
    "chain.self-signed": ("# A key and a request for a CA that the clients trust:", _ISSUE),
    "chain.weak": ("# A new key and a request; have it signed with SHA-256 or better:", _ISSUE),
    "chain.wrong-usage": ("# A request for a server profile (extended key usage serverAuth):", _ISSUE),
    "sni.name-mismatch": ("# A request that names the host:", _ISSUE),
    "revocation.revoked": (
        "# The revocation cannot be undone. A new key, for the old one may be known, and a request:",
        _ISSUE,
    ),
    "validity.clock-skew": (
        "# On the machine whose clock is off (the evidence says which):",
        "timedatectl; sudo timedatectl set-ntp true; chronyc tracking || ntpq -p",
    ),
    "mtls.certificate-rejected": (
        "# What the client presents: dates, usages (clientAuth), issuer:",
        "openssl x509 -in client.pem -noout -subject -issuer -dates -ext keyUsage,extendedKeyUsage",
    ),
    "mtls.unknown-ca": (
        "# Does the client's chain end at a CA that the server was given?",
        "openssl verify -CAfile client-ca.pem -untrusted client.pem client.pem",
    ),
}


def anew(place: Place) -> Iterator[Repair]:
    """What is done once, before or beside the configuration: a new certificate, a clock set."""
    found = _ANEW.get(place.cause.code)
    if found is None:
        return
    said, command = found
    name = place.name
    kind = "IP" if place.target.is_ip and name == place.target.host.partition("%")[0] else "DNS"
    filled = command.format(
        name=shlex.quote(name),
        file=place.stem,
        subject=shlex.quote(f"/CN={name}"[:68]),
        san=shlex.quote(f"subjectAltName={kind}:{name}"),
    )
    yield Repair(kind="command", text=f"{said}\n{filled}")


# ── the proof ───────────────────────────────────────────────────────────────────

# What s_client has to ask for beside the certificate, so that its success means this repair.
_ASKED = {
    "reach.large-hello": ("-groups", "X25519MLKEM768"),
    "negotiation.legacy-only": ("-tls1_2",),
    "negotiation.modern-only": ("-tls1_2",),
    "negotiation.protocol-version": ("-tls1_2",),
    "negotiation.alpn": ("-alpn", "h2,http/1.1"),
    "revocation.staple-missing": ("-status",),
    "revocation.staple-invalid": ("-status",),
    "revocation.ocsp-slow": ("-status",),
    "revocation.ocsp-unreachable": ("-status",),
    "revocation.revoked": ("-crl_check", "-crl_download"),
    "resumption.unsupported": ("-reconnect", "-tls1_2"),
}
_NO_HANDSHAKE = frozenset({"reach.dns"})


def proof(place: Place) -> Repair:
    """The commands that succeed exactly when the cause is mended: the handshake by hand, and this check once more."""
    lines = ["# Proves the repair: every command ends with status 0, the last one says so in words."]
    if place.cause.code not in _NO_HANDSHAKE:
        if place.cause.code.startswith("resumption.") and place.cause.code not in _ASKED:
            lines += _resumed(place)
        else:
            lines += [_handshake(place, address) for address in place.addresses[:_MOST_ENDPOINTS]]
    lines.append(check_again(place))
    return Repair(kind="command", text="\n".join(lines))


def _handshake(place: Place, address: str, *more: str) -> str:
    words = ["timeout", "10", "openssl", "s_client", "-connect", f"{bracketed(address)}:{place.target.port}"]
    words += _name(place)
    if place.target.starttls is not None:
        words += ["-starttls", place.target.starttls]
    words += ["-verify_return_error", *_expected(place), *_trusted(place), *_identity(place)]
    words += [*_ASKED.get(place.cause.code, ()), *more]
    return f"{shlex.join(words)} </dev/null"


def _name(place: Place) -> tuple[str, ...]:
    return ("-servername", place.target.server_name) if place.target.server_name else ("-noservername",)


def _expected(place: Place) -> tuple[str, ...]:
    is_ip = place.target.server_name is None
    return ("-verify_ip" if is_ip else "-verify_hostname", place.name)


def _trusted(place: Place) -> tuple[str, ...]:
    """CA.pem: the file that the check was given; no evidence knows its name."""
    trust = place.facts.evidence.trust
    if not trust.added:
        return ()
    return (
        ("-CAfile", "CA.pem") if trust.default_name is not None else ("-no-CApath", "-no-CAstore", "-CAfile", "CA.pem")
    )


def _identity(place: Place) -> tuple[str, ...]:
    presents = place.facts.evidence.identity is not None or place.cause.code.startswith("mtls.")
    return ("-cert", "client.pem", "-key", "client.key", "-cert_chain", "client.pem") if presents else ()


def _resumed(place: Place) -> list[str]:
    """A session of one connection, offered at each address: the proof says "Reused"."""
    addresses = place.addresses[:_MOST_ENDPOINTS]
    first = _handshake(place, addresses[0], "-tls1_2", "-sess_out", "session.pem") if addresses else ""
    again = [
        f"{_handshake(place, address, '-tls1_2', '-sess_in', 'session.pem')} | grep '^Reused'" for address in addresses
    ]
    return [first, *again] if first else []


def check_again(place: Place) -> str:
    """`tls check` with the options of this check, as far as its evidence tells them."""
    evidence, target = place.facts.evidence, place.target
    words = ["tls", "check", str(target)]
    if evidence.resolution.source in {"--resolve", "--ip"}:
        listed = ",".join(map(bracketed, evidence.resolution.addresses))
        words += ["--resolve", f"{bracketed(target.host)}:{target.port}:{listed}"]
    if target.server_name is not None and target.server_name != target.host:
        words += ["--sni", target.server_name]
    if target.starttls is not None:
        words += ["--starttls", target.starttls]
    if evidence.origin is not None:
        words += ["--origin", str(evidence.origin)]
    if evidence.trust.added:
        words += ["--ca-file" if evidence.trust.default_name is not None else "--only-ca-file", "CA.pem"]
    if evidence.identity is not None:
        words += ["--client-cert", "client.pem", "--client-key", "client.key"]
    return shlex.join(words)


# ── the capture ─────────────────────────────────────────────────────────────────

_LOOK_FOR = {
    "reach.reset": "Who sends the RST? If the server's own capture shows none, a firewall or proxy between made it: compare TTLs.",
    "reach.closed": "Who sends the first FIN, and after how many bytes? Seen only on the client's side, a box between closed it.",
    "reach.stalled": "Does the ClientHello reach the server whole? Does its answer leave, and is it sent again (retransmissions)?",
    "reach.timeout": "Does the SYN reach the server? Does a SYN-ACK leave it? ICMP answers name the hop that refuses.",
    "reach.large-hello": "Do both segments of the ClientHello arrive? A second one that is missing, or ICMP “fragmentation needed”, is an MTU hole; both there and a reset is software.",
    "reach.slow": "Where does the time pass: before the ACK of the ClientHello (network), or between ACK and ServerHello (server, key store, upstream)?",
    "resumption.broken": "In the second connection: pre_shared_key or a session ticket in the ClientHello, and what answers it?",
    "balancer.intermittent": "Compare a connection that passed with one that failed: TTL and TCP options tell which back end answered.",
}  # fmt: skip


def capture(place: Place) -> Repair | None:
    """How to record what probes cannot see, at both ends, for these very addresses; None where nothing is hidden."""
    look_for = _LOOK_FOR.get(place.cause.code)
    if look_for is None or not place.addresses:
        return None
    port, stem = place.target.port, f"{place.stem}-{place.target.port}"
    hosts = " or ".join(f"host {address}" for address in place.addresses)
    lines = [
        "# 1. At both ends at once, client and server, before the next try; Ctrl-C after it. Keeps the last 5 × 20 MB.",
        f"sudo tcpdump -i any -nn -s 0 -Z root -C 20 -W 5 -w {stem}.pcap "
        f"'(tcp port {port} and ({hosts})) or icmp or icmp6'",
        "# 2. Meanwhile on the client: the failing connection, its secrets kept (a test client's own, no server key).",
        *(_try(place, address, f"{stem}.keys") for address in place.addresses[:_MOST_ENDPOINTS]),
        f"# 3. {look_for}",
        f"tshark -r {stem}.pcap0 -o tls.keylog_file:{stem}.keys "
        "-Y 'tls.handshake or tls.alert_message or tcp.flags.reset == 1 or tcp.analysis.flags or icmp or icmpv6'",
    ]
    return Repair(kind="capture", text="\n".join(lines))


def _try(place: Place, address: str, keys: str) -> str:
    if place.target.starttls is not None:
        return _handshake(place, address, "-keylogfile", keys)
    port, name = place.target.port, place.name
    words = ["curl", "-v", "--max-time", "15", "-o", "/dev/null"]
    if place.target.server_name is not None:
        words += ["--resolve", f"{name}:{port}:{bracketed(address)}"]
    if place.cause.code == "reach.large-hello":
        words += ["--curves", "X25519MLKEM768:X25519"]
    return f"SSLKEYLOGFILE={keys} {shlex.join([*words, f'https://{bracketed(name)}:{port}/'])}"
