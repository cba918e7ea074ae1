"""Would a server take this client certificate? Foreseen from its own facts and from what the server asked for. Pure.

What a server then says is its word; these doubts are our reading, and a caller keeps the two apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from probes.model import CertificateRequest, shown
from probes.pki.certificate import Certificate, parse
from probes.pki.distinguished import Name, read
from probes.pki.extensions import ANY_USAGE, CLIENT_AUTH
from probes.pki.signatures import signed_by
from probes.values import value
from probes.wire.octets import WireError
from probes.wire.registry import SIGNATURE_SCHEMES, scheme_name
from probes.wire.signatures import public_key

Kind: TypeAlias = Literal[
    "unreadable",
    "expired",
    "not-yet-valid",
    "wrong-usage",
    "unsupported-signature",
    "missing-intermediate",  # known: what was sent does not lead to an accepted CA, one more certificate would
    "issuer-not-sent",  # what was sent ends below a CA that is not accepted and was not sent: which of both, unknown
    "unknown-ca",
]
OF_THE_CA: frozenset[Kind] = frozenset({"missing-intermediate", "issuer-not-sent", "unknown-ca"})
_MOST_STEPS = 8  # certificates above the leaf
_MOST_NAMES = 4  # accepted CAs in one sentence


@value
class Doubt:
    """One reason why the certificate would be refused; `says` is a clause with values, without a full stop."""

    kind: Kind
    says: str


def predict(
    identity_chain: tuple[bytes, ...],
    request: CertificateRequest | None,
    now: datetime,
    anchors: tuple[bytes, ...] = (),
) -> tuple[Doubt, ...]:
    """Why a server that asked with *request* would refuse *identity_chain* (DER, leaf first); () when nothing says so.

    *anchors* are certificates that are known beside the chain (roots, intermediates): they only tell whether a CA that
    was not sent is a missing intermediate. Without *request* nothing is said of the CA and of signatures.
    """
    chain = tuple(each for der in identity_chain if isinstance(each := parse(der), Certificate))
    if not chain or len(chain) != len(identity_chain):
        return (Doubt(kind="unreadable", says="a certificate of the chain cannot be read"),)
    known = tuple(each for der in anchors if isinstance(each := parse(der), Certificate))
    doubts = [*_of_time(chain, now), *_of_usage(chain)]
    if request is not None:
        doubts += [*_of_signature(chain[0], request), *_of_authority(chain, request, known)]
    return tuple(doubts)


def accepted_names(request: CertificateRequest | None) -> tuple[str, ...]:
    """The CA names of *request* as RFC 4514 text; () where none were sent: any CA, or the server does not say."""
    return (
        () if request is None else tuple(shown(read(name).text or "(an empty name)", 200) for name in request.ca_names)
    )


# ── time and usage ──────────────────────────────────────────────────────────────


def _of_time(chain: tuple[Certificate, ...], now: datetime) -> list[Doubt]:
    doubts: list[Doubt] = []
    for place, each in enumerate(chain):
        what = "it" if place == 0 else f"the CA certificate “{_subject(each)}” sent with it"
        if now > each.not_after:
            ago = f"{each.not_after:%Y-%m-%d %H:%M} UTC, {_span(now - each.not_after)} ago"
            doubts.append(Doubt(kind="expired", says=f"{what} expired on {ago}"))
        elif now < each.not_before:
            ahead = f"{each.not_before:%Y-%m-%d %H:%M} UTC, {_span(each.not_before - now)} from now"
            doubts.append(Doubt(kind="not-yet-valid", says=f"{what} is valid only from {ahead}"))
    return doubts


def _of_usage(chain: tuple[Certificate, ...]) -> list[Doubt]:
    """RFC 5280 section 4.2.1.12 for the leaf; OpenSSL, Go and NSS hold that of an issuer against it, too."""
    doubts: list[Doubt] = []
    for place, each in enumerate(chain):
        if each.eku is None or {CLIENT_AUTH, ANY_USAGE} & set(each.eku):
            continue
        listed = ", ".join(each.eku_names or ()) or "nothing"
        what = "its extended key usage" if place == 0 else f"the extended key usage of its CA “{_subject(each)}”"
        doubts.append(Doubt(kind="wrong-usage", says=f"{what} allows {listed}, without clientAuth"))
    usage = chain[0].key_usage
    if usage is not None and "digitalSignature" not in usage:
        doubts.append(Doubt(kind="wrong-usage", says="its key usage lacks digitalSignature"))
    return doubts


def _span(span: timedelta) -> str:
    days, hours = span.days, span.seconds // 3600
    if days:
        return f"{days} day{'s' if days != 1 else ''}"
    return f"{hours} h" if hours else f"{span.seconds // 60} min"


# ── what the server asked for ───────────────────────────────────────────────────


def _of_signature(leaf: Certificate, request: CertificateRequest) -> list[Doubt]:
    """RFC 8446 section 4.4.2.3: the key must be able to sign by one of the schemes asked for."""
    if not request.signature_algorithms:
        return []
    try:
        key = public_key(leaf.der)
    except WireError:
        return [Doubt(kind="unsupported-signature", says="its key is of a kind that this program cannot sign with")]
    schemes = [SIGNATURE_SCHEMES[code] for code in request.signature_algorithms if code in SIGNATURE_SCHEMES]
    if any(scheme.key == key.family and scheme.curve in (None, key.curve) for scheme in schemes):
        return []
    kind = f"{key.family} on {key.curve}" if key.curve else key.family
    names = ", ".join(scheme_name(code) for code in request.signature_algorithms[:6])
    return [
        Doubt(kind="unsupported-signature", says=f"its key ({kind}) can sign by none of the schemes asked for: {names}")
    ]


def _of_authority(
    chain: tuple[Certificate, ...], request: CertificateRequest, known: tuple[Certificate, ...]
) -> list[Doubt]:
    """Does the chain lead to a CA of the list (RFC 8446 section 4.2.4, RFC 5246 section 7.4.4)? No list, no doubt."""
    accepted = {read(name).key for name in request.ca_names}
    if not accepted:
        return []
    sent = _climb(chain[0], chain[1:], accepted)
    if sent.led:
        return []
    top = sent.top
    names = accepted_names(request)
    listed = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    listed += f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    if top.is_self_issued:
        yours = "is its own issuer" if top is chain[0] else f"leads to the root “{_subject(top)}”"
        return [Doubt(kind="unknown-ca", says=f"the server accepts {listed}; yours {yours}")]
    further = _climb(top, known, accepted)
    lacking = f"the server accepts {listed}; yours is issued by “{shown(top.issuer, 200)}”"
    if further.led and further.passed:
        missing = ", ".join(f"“{_subject(each)}”" for each in further.passed)
        return [
            Doubt(kind="missing-intermediate", says=f"{lacking}, and the chain sent lacks the intermediate {missing}")
        ]
    if further.passed and further.top.is_self_issued:
        return [Doubt(kind="unknown-ca", says=f"{lacking}, which leads to “{_subject(further.top)}”")]
    return [
        Doubt(
            kind="issuer-not-sent",
            says=f"{lacking}, and the chain sent lacks that CA's certificate: an intermediate that is missing, "
            "or a CA that is not accepted",
        )
    ]


@value
class _Climb:
    led: bool  # to an accepted CA
    top: Certificate
    passed: tuple[Certificate, ...]


def _climb(start: Certificate, among: tuple[Certificate, ...], accepted: set[tuple[object, ...]]) -> _Climb:
    """From *start* upwards over *among*, by name and signature, until a CA that is accepted or no issuer is left."""
    at, passed = start, list[Certificate]()
    for _ in range(_MOST_STEPS):
        if at.issuer_name.key in accepted or at.subject_name.key in accepted:
            return _Climb(led=True, top=at, passed=tuple(passed))
        above = next((each for each in among if each is not at and _issued(at, each)), None)
        if above is None or above in passed or at.is_self_issued:
            break
        at = above
        passed.append(above)
    return _Climb(led=False, top=at, passed=tuple(passed))


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    name: Name = certificate.issuer_name
    return name.key == issuer.subject_name.key and signed_by(certificate.der, issuer.spki)


def _subject(certificate: Certificate) -> str:
    return shown(certificate.subject or "(no subject)", 120)
