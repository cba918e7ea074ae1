"""What to look at next: for each code of the catalogue one sentence and one command. Data and shell quoting. Pure."""

from __future__ import annotations

import shlex

from probes.model import DEFAULT_PORT, Target

_CHECK = "tls check {target}"
_SHOW = "openssl s_client -connect {endpoint}{servername} -showcerts </dev/null"
_ALPN = "openssl s_client -connect {endpoint}{servername} -alpn h2,http/1.1 </dev/null"
_CLOCK = "date -u; timedatectl status"
_WITH_CERTIFICATE = "openssl s_client -connect {endpoint}{servername} -cert client.pem -key client.key </dev/null"
_READ_CERTIFICATE = "openssl x509 -in client.pem -noout -subject -issuer -dates -ext extendedKeyUsage"
_STAPLE = "openssl s_client -connect {endpoint}{servername} -status </dev/null"
_RESUME = "openssl s_client -connect {endpoint}{servername} -reconnect </dev/null"

# code: (sentence, command). {target} is HOST[:PORT], {endpoint} HOST:PORT, {servername} the option with the name.
_ADVICE: dict[str, tuple[str, str]] = {
    "reach.dns": (
        "Check the spelling, the record, and which resolver was asked.",
        _CHECK,
    ),
    "reach.refused": (
        "Check that the service runs, that it listens on this port, and that the port is the right one.",
        _CHECK,
    ),
    "reach.timeout": (
        "Look at firewalls and security groups between the two, and at the address itself.",
        _CHECK,
    ),
    "reach.unreachable": (
        "Look at routes, VPN and firewall rules from where the error was seen.",
        _CHECK,
    ),
    "reach.not-tls": (
        "Check port and scheme (http or https), and whether a proxy stands in between.",
        _CHECK,
    ),
    "reach.reset": (
        "Look for a firewall, a proxy or a crashing server that resets connections after the first packet.",
        _CHECK,
    ),
    "reach.closed": (
        "The server's log at that time says why it hung up; name, version and client certificate are the "
        "usual reasons.",
        _CHECK,
    ),
    "reach.stalled": (
        "Look for lost large packets (MTU), an overloaded server, or a middlebox that holds the handshake.",
        _CHECK,
    ),
    "reach.slow": (
        "Measure where the first byte waits; a loaded server or a look-up during the handshake is usual.",
        _CHECK,
    ),
    "reach.large-hello": (
        "Try once without the post-quantum key share; a device that reads one packet only is usual.",
        _CHECK,
    ),
    "sni.default-certificate": (
        "See which certificate comes for this name, and whether the name is routed on that server.",
        _CHECK,
    ),
    "sni.name-mismatch": (
        "Compare the name that was asked for with the names in the certificate.",
        _CHECK,
    ),
    "sni.unrecognized": (
        "Check that the server has a certificate and a virtual host for this very name.",
        _CHECK,
    ),
    "sni.required": (
        "Check that the client sends the server name (SNI): an address in the URL or an old library does not.",
        _CHECK,
    ),
    "chain.incomplete": (
        "See whether the server sends its intermediate; if not, put the full chain on the server.",
        _CHECK,
    ),
    "chain.untrusted": (
        "See which root the chain ends at; a private CA or an inspecting proxy must be in this client's store.",
        _CHECK,
    ),
    "chain.self-signed": (
        "Put a certificate from a CA on the server, or trust exactly this one on the client.",
        _CHECK,
    ),
    "chain.expired-intermediate": (
        "Look at the dates of every certificate the server sends, not of the first alone.",
        _CHECK,
    ),
    "chain.cross-sign": (
        "Compare the paths: one runs over an old or expired cross-sign that should no longer be sent.",
        _CHECK,
    ),
    "chain.wrong-intermediate": (
        "Compare the certificate's issuer with the intermediate that is sent after it.",
        _CHECK,
    ),
    "chain.misordered": (
        "Put the certificates in order: the server's own first, then each one's issuer.",
        _CHECK,
    ),
    "chain.weak": (
        "Look at key sizes and signature algorithms in the chain and have it issued anew.",
        _CHECK,
    ),
    "chain.wrong-usage": (
        "Look at key usage, extended key usage and basic constraints of the certificate.",
        _CHECK,
    ),
    "negotiation.protocol-version": (
        "Compare the versions that each side allows; TLS 1.2 and 1.3 should be on for both.",
        _CHECK,
    ),
    "negotiation.cipher": (
        "Compare the cipher suites of both sides, and whether they fit the certificate's key (RSA or ECDSA).",
        _CHECK,
    ),
    "negotiation.group": (
        "Compare the key-exchange groups (curves) that each side allows.",
        _CHECK,
    ),
    "negotiation.signature": (
        "Compare the signature algorithms of both sides with the certificate's key.",
        _CHECK,
    ),
    "negotiation.legacy-only": (
        "Update the server's TLS: it offers nothing that current clients accept.",
        _CHECK,
    ),
    "negotiation.modern-only": (
        "Allow TLS 1.2 beside 1.3 while such clients exist.",
        _CHECK,
    ),
    "negotiation.weak-offered": (
        "Turn the weak versions and suites off.",
        _CHECK,
    ),
    "negotiation.alpn": (
        "Check which application protocols (h2, http/1.1) each side offers.",
        _ALPN,
    ),
    "validity.expired": (
        "Check the dates, renew, and make sure that the server has loaded the new certificate.",
        _CHECK,
    ),
    "validity.not-yet-valid": (
        "Check notBefore against a clock you trust.",
        _CHECK,
    ),
    "validity.expiring": (
        "Renew it now, and see why the renewal has not run.",
        _CHECK,
    ),
    "validity.clock-skew": (
        "Compare the clock of the machine that complains with a good one before touching certificates.",
        _CLOCK,
    ),
    "mtls.certificate-required": (
        "Check that the client is configured with a certificate and key, and sends them here.",
        _WITH_CERTIFICATE,
    ),
    "mtls.unknown-ca": (
        "Compare the issuer of the client certificate with the CAs that the server accepts.",
        _WITH_CERTIFICATE,
    ),
    "mtls.certificate-rejected": (
        "Look at the client certificate's dates, usage and revocation, and at the server's log for its reason.",
        _READ_CERTIFICATE,
    ),
    "revocation.revoked": (
        "Ask the CA or whoever revoked it why, and issue a new one with a new key.",
        _STAPLE,
    ),
    "revocation.ocsp-slow": (
        "Measure the responder named in the certificate, and staple so that clients need not ask.",
        _STAPLE,
    ),
    "revocation.ocsp-unreachable": (
        "Check that the OCSP responder named in the certificate can be reached from there, through its proxy too.",
        _STAPLE,
    ),
    "revocation.crl-slow": (
        "Measure how long the CRL takes to fetch.",
        _SHOW,
    ),
    "revocation.crl-unreachable": (
        "Fetch the CRL named in the certificate from there and look at its nextUpdate.",
        _SHOW,
    ),
    "revocation.staple-missing": (
        "Turn OCSP stapling on, or have the certificate issued without must-staple.",
        _STAPLE,
    ),
    "revocation.staple-invalid": (
        "Look at the stapled response's dates and signer, and at why the server did not refresh it.",
        _STAPLE,
    ),
    "balancer.certificate-differs": (
        "Look at each address on its own.",
        _CHECK,
    ),
    "balancer.address-down": (
        "Look at each address on its own.",
        _CHECK,
    ),
    "balancer.configuration-differs": (
        "Look at each address on its own.",
        _CHECK,
    ),
    "balancer.intermittent": (
        "Repeat it: whether it fails always or sometimes tells a bad back end from a bad configuration.",
        _CHECK,
    ),
    "balancer.origin-differs": (
        "Check the origin itself, with the name the edge sends, beside the public address.",
        _CHECK,
    ),
    "resumption.tickets-not-shared": (
        "Check that all servers behind the name share their session ticket keys.",
        _RESUME,
    ),
    "resumption.broken": (
        "Try once with a fresh session, and once with a resumed one.",
        _RESUME,
    ),
    "resumption.early-data": (
        "Repeat the request without early data; the client must do so by itself (RFC 8470).",
        _CHECK,
    ),
    "resumption.coalescing": (
        "See which names share a certificate and an address, and whether each is served there.",
        _CHECK,
    ),
    "resumption.unsupported": (
        "Check that tickets or a session cache are on.",
        _RESUME,
    ),
}


def sentence(code: str) -> str:
    """What to look at when *code* is the cause."""
    return _ADVICE[code][0]


def command(code: str, target: Target | None) -> str:
    """The next command for *code*, quoted for a shell; `HOST` stands where the text named no host."""
    if target is None:
        return _ADVICE[code][1].format(target="HOST", endpoint="HOST:443", servername=" -servername HOST")
    host = f"[{target.host}]" if ":" in target.host else target.host
    endpoint = f"{host}:{target.port}"
    name = f" -servername {shlex.quote(target.server_name)}" if target.server_name else ""
    return _ADVICE[code][1].format(
        target=shlex.quote(host if target.port == DEFAULT_PORT else endpoint),
        endpoint=shlex.quote(endpoint),
        servername=name,
    )
