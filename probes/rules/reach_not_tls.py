"""The peer answers, but not in TLS: another protocol, STARTTLS refused, or STARTTLS asked for where TLS is at once. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, NotTls, Rule
from probes.plan import completed
from probes.rules.obstructed import Obstructed, obstructed
from probes.rules.phrase import heard_instead, plain_command, protocols, quoted, s_client, where
from probes.wire.starttls import NAMES, starttls_of

_TURN_ON = {
    "smtp": "Turn STARTTLS on (Postfix: `smtpd_tls_security_level = may` with certificate and key; Exim: `tls_advertise_hosts`), or take the filter off that hides it.",
    "imap": "Turn STARTTLS on (Dovecot: `ssl = yes` with certificate and key), or use the port of IMAP over TLS (993).",
    "pop3": "Turn STLS on (Dovecot: `ssl = yes` with certificate and key), or use the port of POP3 over TLS (995).",
    "ldap": "Give the server its certificate and key (OpenLDAP: `olcTLSCertificateFile`, `olcTLSCertificateKeyFile`), or use the port of LDAP over TLS (636).",
    "postgres": "Set `ssl = on` with `ssl_cert_file` and `ssl_key_file` in postgresql.conf, and reload.",
    "mysql": "Give the server `ssl_cert` and `ssl_key` (and no `skip_ssl`), and restart.",
    "xmpp": "Turn STARTTLS on for this domain (Prosody: module `tls` and a certificate; ejabberd: `starttls: true`).",
}


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.not-tls"):
        look = found.looks[0]
        if facts.evidence.target.starttls is not None:
            yield _with_starttls(found, look, facts.evidence.target.starttls)
        else:
            yield _without(found, look)


def _is_proxy(look: Look) -> bool:
    """Does an HTTP proxy answer? It says 407, or its name stands in the status line (RFC 9110 section 15.5.8)."""
    heard = (shake.outcome.first_bytes for shake in look.handshakes if isinstance(shake.outcome, NotTls))
    lines = [first.partition(b"\n")[0].lower() for first in heard]
    return any(line.startswith(b"http/") and (b" 407" in line or b"proxy" in line) for line in lines)


def _at_a_proxy(found: Obstructed, look: Look) -> Finding:
    """Whoever was to be reached lies behind it: TLS comes after CONNECT (RFC 9110 section 9.3.6)."""
    place = f"http://{look.endpoint}"
    host = f"[{look.reference}]" if ":" in look.reference else look.reference
    return found.finding(
        explanation=f"An HTTP proxy answers at port {look.endpoint.port} of {found.place}, and TLS goes through it only after CONNECT.",
        fix="Point clients' proxy setting here and let them CONNECT, or connect past the proxy. A proxy that refuses CONNECT wants credentials (407), or the host and port in its rules (403, 405).",
        next_command=quoted("curl", "-sv", "--max-time", "5", "--proxy", place, f"https://{host}/"),
    )


def _without(found: Obstructed, look: Look) -> Finding:
    if _is_proxy(look):
        return _at_a_proxy(found, look)
    heard = next(filter(None, map(starttls_of, heard_instead(found.looks))), None)
    begins = "A protocol that begins in clear needs STARTTLS."
    if heard is not None:
        begins = f"{NAMES[heard]} begins in clear: check it with `--starttls {heard}`."
    return found.finding(
        explanation=f"Port {look.endpoint.port} of {found.place} answers, but not in TLS: {protocols(found.looks)}.",
        fix=f"Point clients at the TLS port, or turn TLS on for this listener (nginx: `listen … ssl`; HAProxy: `bind … ssl crt`). {begins}",
        next_command=plain_command(look) if heard is None else s_client(look, starttls=heard),
    )


def _with_starttls(found: Obstructed, look: Look, protocol: str) -> Finding:
    outcomes = [shake.outcome for each in found.looks for shake in each.handshakes]
    why = next((each.why for each in outcomes if isinstance(each, NotTls) and each.why), None)
    said = [each for each in outcomes if isinstance(each, NotTls)]
    implicit = completed(look.implicit) or any(each.protocol == "tls" for each in said)
    if implicit:
        return found.finding(
            explanation=f"Port {look.endpoint.port} of {where(found.looks)} speaks TLS from the first byte, without STARTTLS.",
            fix="Drop `--starttls` here; clients must be set to TLS at once (“SSL/TLS”, not “STARTTLS”) for this port.",
            next_command=s_client(look, starttls=""),
        )
    other = next((name for each in said if (name := starttls_of(each.protocol)) not in {None, protocol}), None)
    return found.finding(
        explanation=f"TLS cannot begin at port {look.endpoint.port} of {found.place}: {why or protocols(found.looks)}.",
        fix=_TURN_ON[protocol] if other is None else f"Ask in the protocol that the port speaks: `--starttls {other}`.",
        next_command=s_client(look) if other is None else s_client(look, starttls=other),
    )


RULE = Rule(code="reach.not-tls", source="RFC 8446 section 5.1; RFC 3207 section 4", check=check)
