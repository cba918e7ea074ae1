"""How rules say things: commands quoted for a shell, times in words, handshakes in one line. Pure.

Text out of certificates goes into evidence as it is, shortened; whoever shows it escapes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime, timedelta

from probes.look import Look
from probes.model import (
    Alerted,
    Completed,
    Dropped,
    Endpoint,
    Handshake,
    Malformed,
    NotTls,
    Outcome,
    Stalled,
    Unreached,
    shown,
)
from probes.pki.certificate import Certificate
from probes.wire.registry import alert_meaning, alert_name, group_name, scheme_name, version_name
from probes.wire.suites import cipher_name

# `timeout`, since s_client waits for ever on a silent peer; `</dev/null`, since it waits for input on a good one.
_S_CLIENT = "timeout 10 openssl s_client"


def s_client(look: Look, *options: str, name: bool = True, starttls: str | None = None) -> str:
    """The openssl command that repeats the handshake with this address; *starttls*: "" for none, None for the target's."""
    words = ["-connect", _host_port(look.endpoint)]
    if name and look.server_name:
        words += ["-servername", look.server_name]
    elif not name or not look.server_name:
        words.append("-noservername")
    words += _starttls(look, starttls)
    return f"{_S_CLIENT} {shlex.join([*words, *options])} </dev/null"


def _starttls(look: Look, protocol: str | None) -> list[str]:
    target = look.evidence.target
    spoken = target.starttls if protocol is None else protocol
    domain = ["-xmpphost", target.host] if spoken == "xmpp" else []
    return ["-starttls", spoken, *domain] if spoken else []


def x509(look: Look, *show: str, takes: tuple[str, ...] = ()) -> str:
    """The command that prints *show* of the leaf that this address serves to a hello with the options *takes*."""
    return f"{s_client(look, *takes)} 2>/dev/null | openssl x509 -noout {shlex.join(show)}"


def _host_port(endpoint: Endpoint) -> str:
    return f"[{endpoint.address}]:{endpoint.port}" if ":" in endpoint.address else f"{endpoint.address}:{endpoint.port}"


def quoted(*words: str) -> str:
    return shlex.join(words)


def addresses(looks: Iterable[Look]) -> tuple[str, ...]:
    return tuple(look.address for look in looks)


def duration(span: timedelta) -> str:
    """A length of time in the largest unit that tells enough: "3 days", "1 hour", "40 seconds"."""
    seconds = abs(span.total_seconds())
    for size, unit in ((86400 * 365.25 * 2, "year"), (86400 * 2, "day"), (3600 * 2, "hour"), (60 * 2, "minute")):
        if seconds >= size:
            count = round(seconds / (size / 2))
            return f"{count} {unit}s"
    return f"{int(seconds)} seconds"


def date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def subject(certificate: Certificate) -> str:
    return shown(certificate.common_name or certificate.subject or "(no subject)", 100)


def issuer(certificate: Certificate) -> str:
    return shown(certificate.issuer or "(no issuer)", 120)


def many(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(items: Iterable[str], limit: int = 6) -> str:
    """ "a, b and 3 more"."""
    all_items = list(items)
    if len(all_items) <= limit:
        return ", ".join(all_items)
    return f"{', '.join(all_items[:limit])} and {len(all_items) - limit} more"


def where(looks: tuple[Look, ...]) -> str:
    return listed(look.address for look in looks)


_MESSAGES = {
    "server_hello": "the ServerHello",
    "encrypted_extensions": "the EncryptedExtensions",
    "certificate": "the Certificate",
    "certificate_verify": "the CertificateVerify",
    "server_key_exchange": "the ServerKeyExchange",
    "server_hello_done": "the ServerHelloDone",
    "finished": "the Finished",
    "application_data": "application data",
}


def message(awaiting: str) -> str:
    """The awaited handshake message in words."""
    return _MESSAGES.get(awaiting, awaiting.replace("_", " "))


def ending(outcome: Outcome) -> str:
    """How a connection ended, in words with values."""
    match outcome:
        case Completed():
            return "handshake agreed"
        case Unreached(kind=kind, detail=detail):
            return f"no connection: {kind}" + (f" ({shown(detail, 80)})" if detail else "")
        case Alerted(code=code, encrypted=encrypted, awaiting=awaiting):
            sealed = "encrypted " if encrypted else ""
            return f"{sealed}alert {code} {alert_name(code)} instead of {message(awaiting)}: {alert_meaning(code)}"
        case Dropped(kind=kind, received=received, awaiting=awaiting):
            how = "TCP reset" if kind == "rst" else "orderly close (FIN)"
            since = f" after {received} bytes of TLS" if received or awaiting in _MESSAGES else ""
            return f"{how}{since}, instead of {message(awaiting)}"
        case Stalled(received=received, awaiting=awaiting):
            since = f" after {received} bytes of TLS" if received or awaiting in _MESSAGES else ""
            return f"silence{since}, waiting for {message(awaiting)}"
        case NotTls(why=why) if why:
            return shown(why, 250)
        case NotTls(protocol=protocol, first_bytes=first):
            text = shown(first[:60].decode("latin-1").strip(), 60)
            return f"the answer is {protocol}, not TLS: “{text}”"
        case Malformed(why=why, awaiting=awaiting):
            return f"malformed TLS instead of {message(awaiting)}: {shown(why, 100)}"


_QUESTIONS = {
    "modern": "a browser's hello (post-quantum, over one packet)",
    "small": "the same hello in one packet",
    "http": "a hello for HTTP/1.1",
    "alone": "one hello alone",
    "again": "the same small hello again",
    "sample": "the same small hello once more",
    "sample12": "TLS 1.2 alone once more",
    "idle": "a whole handshake, then nothing",
    "split": "a small hello in two segments",
    "padded": "a padded hello without post-quantum groups",
    "quantum": "a hello with a post-quantum share",
    "tls13": "TLS 1.3 alone",
    "tls12": "TLS 1.2 alone",
    "legacy": "TLS 1.1 and 1.0",
    "weak": "weak suites alone",
    "no-sni": "no server name",
    "other-name": "another server name",
    "no-alpn": "no ALPN",
    "implicit": "a hello without STARTTLS",
    "everything": "every version, suite and group there is",
    "tls12-everything": "every suite of TLS 1.2",
    "identity": "our client certificate",
    "identity-h2": "our client certificate, in HTTP/2",
    "identity12": "our client certificate, in TLS 1.2",
    "identity12-h2": "our client certificate, in TLS 1.2 and HTTP/2",
}


def question(shake: Handshake) -> str:
    """What the offer asked, in words."""
    purpose = shake.offer.purpose
    return _QUESTIONS.get(purpose, f"the hello of {purpose.removeprefix('family:')}")


def line(shake: Handshake, *, at: bool = False) -> str:
    """One handshake as one line of evidence."""
    place = f"{shake.endpoint.address}: " if at else ""
    said = ending(shake.outcome)
    if shake.version is not None and isinstance(shake.outcome, Completed):
        said = f"{version_name(shake.version)} agreed"
    return f"{place}{question(shake)} → {said}"


def lines(shakes: Iterable[Handshake], *, at: bool = False, limit: int = 3) -> tuple[str, ...]:
    """The first *limit* distinct lines."""
    return tuple(dict.fromkeys(line(shake, at=at) for shake in shakes))[:limit]


def protocols(looks: Iterable[Look]) -> str:
    """The protocols heard instead of TLS."""
    heard = heard_instead(looks)
    return f"it speaks {listed(dict.fromkeys(heard))}" if heard else "what it sends is not valid TLS"


def heard_instead(looks: Iterable[Look]) -> tuple[str, ...]:
    """The protocols heard instead of TLS, each once."""
    said = [s.outcome.protocol for look in looks for s in look.handshakes if isinstance(s.outcome, NotTls)]
    return tuple(dict.fromkeys(said))


def due_before_tls(looks: Iterable[Look]) -> str | None:
    """The part of the conversation before TLS that never came, in words; None where TLS had begun."""
    ended = [s.outcome for look in looks for s in look.handshakes if isinstance(s.outcome, Dropped | Stalled)]
    return next((each.awaiting for each in ended if each.awaiting not in _MESSAGES and " " in each.awaiting), None)


def plain_command(look: Look) -> str:
    """The command that shows what a port speaks when it is not TLS."""
    heard = {s.outcome.protocol for s in look.handshakes if isinstance(s.outcome, NotTls)}
    if any("HTTP" in protocol.upper() for protocol in heard):
        return quoted("curl", "-sv", "--max-time", "5", f"http://{_host_port(look.endpoint)}/")
    return f"{quoted('timeout', '5', 'nc', look.address, str(look.endpoint.port))} </dev/null"


def stalled_at(looks: Iterable[Look]) -> str:
    """Where the silence began."""
    stalls = [s.outcome for look in looks for s in look.handshakes if isinstance(s.outcome, Stalled)]
    midway = [stall for stall in stalls if stall.received]
    due = due_before_tls(looks)
    if due is not None and not midway:
        return f"it accepts the connection, but {due} never comes, which precedes TLS here"
    if midway:
        return f"its flight stops after {midway[0].received} bytes, before {message(midway[0].awaiting)}"
    return "it accepts the connection and the ClientHello, and answers nothing"


def newest(looks: Iterable[Look]) -> str:
    """The newest version that any of them agreed to."""
    return version_name(max((version for look in looks for version in look.versions), default=0x0300))


def wants(looks: Iterable[Look]) -> str:
    """What the server chose once everything was offered: " (it chose …)", or nothing where it never chose."""
    for look in looks:
        for seen in look.obstacle.contrast if look.obstacle else ():
            return f" (offered everything, it chose {choice(seen)})"
    return ""


def choice(seen: Handshake) -> str:
    """Version, suite, group and signature scheme that the server chose."""
    parts = [version_name(seen.version)] if seen.version is not None else []
    parts += [cipher_name(seen.cipher)] if seen.cipher is not None else []
    parts += [group_name(seen.group)] if seen.group is not None else []
    parts += [scheme_name(seen.signature_scheme)] if seen.signature_scheme is not None else []
    return ", ".join(parts)


_ROTATION = timedelta(days=1)  # a certificate newer than this that stands beside another: a deployment under way


def rotation(leaves: Iterable[Certificate | None], now: datetime) -> tuple[str, ...]:
    """One line when certificates for the same names differ in age and the newest is fresh: back ends not reloaded yet."""
    known = sorted({leaf for leaf in leaves if leaf is not None}, key=lambda leaf: leaf.not_before)
    if len(known) < 2 or set(known[0].dns_names) != set(known[-1].dns_names):
        return ()
    age = now - known[-1].not_before
    if not timedelta(0) <= age <= _ROTATION or known[0].not_before == known[-1].not_before:
        return ()
    return (
        f"the newest certificate began {duration(age)} ago, the one beside it {duration(now - known[0].not_before)} ago: "
        "a rotation is under way, or stopped half-way",
    )


def odds(samples: int, share: float) -> str:
    """With what chance *samples* connections meet a back end that takes *share* of them, in words: "94 %"."""
    return f"{min(100 * (1 - (1 - share) ** samples), 99.9):.3g} %"


_NIST_GROUPS = frozenset((0x0017, 0x0018, 0x0019, *range(0x0100, 0x0105)))  # P-256 to P-521, FFDHE (SP 800-56A rev. 3)
_OUTSIDE = frozenset((0x001D, 0x001E))  # X25519, X448


def fips(looks: Iterable[Look]) -> tuple[str, ...]:
    """A line when the server keeps to what FIPS 140 allows although more was offered, or to what it does not allow."""
    for look in looks:
        agreed = [shake for shake in look.agreed if shake.group is not None and shake.cipher is not None]
        groups = {shake.group for shake in agreed if shake.group is not None}
        suites = [cipher_name(shake.cipher) for shake in agreed if shake.cipher is not None]
        wider = any(_OUTSIDE & set(shake.offer.groups) for shake in agreed)
        if agreed and groups <= _NIST_GROUPS and wider and all("_AES_" in suite for suite in suites):
            return (
                f"{look.address} keeps to NIST curves and AES though more was offered, as a server in FIPS mode does: "
                "a client needs P-256, P-384 or P-521 (or FFDHE) and AES-GCM",
            )
        if agreed and (groups <= _OUTSIDE or all("CHACHA20" in suite for suite in suites)):
            return (f"{look.address} took nothing that a client in FIPS mode may offer (NIST curves, AES)",)
    return ()


def names(look: Look) -> str:
    """The names that the leaf shown here covers, shortened."""
    leaf = look.leaf
    if leaf is None:
        return "nobody"
    covered = [*leaf.dns_names, *map(str, leaf.ip_addresses)]
    return shown(listed(covered, 3), 120) if covered else f"{subject(leaf)} (no subjectAltName)"
