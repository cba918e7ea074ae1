"""What one address makes of client certificates: does it ask, does it demand, does it take ours, and if not, why. Pure.

Servers refuse in three ways: by alert (RFC 8446 section 6.2), in HTTP after a handshake that they completed (nginx),
and by hanging up without a word (load balancers). A hang-up counts only against an exchange that fared otherwise.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, TypeAlias

from probes.model import Alerted, CertificateRequest, Completed, Dropped, Handshake, HttpAnswer
from probes.observed import Identity
from probes.pki.identity import OF_THE_CA, Doubt, Kind, predict
from probes.plan import IDLE
from probes.values import value

Auth: TypeAlias = Literal["none", "optional", "required"]
Reason: TypeAlias = Kind | Literal["revoked", "untold"]
PLAIN = ("modern", "http", "alone", "again")  # made without a certificate of ours
OURS = ("identity", "identity-h2", "identity12", "identity12-h2")  # the exchange at the best version first

_UNKNOWN_CA, _EXPIRED, _REVOKED = 48, 45, 44
_SAYS: dict[int, Reason] = {_UNKNOWN_CA: "unknown-ca", _EXPIRED: "expired", _REVOKED: "revoked"}
_TLS13 = 0x0304
# What is awaited once our certificate, or none, has left.
_AFTER_OURS = frozenset({"application_data", "change_cipher_spec", "finished", "new_session_ticket"})


# ── what HTTP says of it ────────────────────────────────────────────────────────

HttpWord: TypeAlias = Literal["required", "rejected"]
_DENIALS, _UNSURE = frozenset({400, 403}), frozenset({401})
_CLIENT_ERRORS = frozenset({400, 401, 403, 421, 495, 496})  # 495 and 496 are nginx's own, as error_page may show them
_TELLING: tuple[tuple[HttpWord, re.Pattern[bytes]], ...] = (
    ("required", re.compile(rb"no required ssl certificate", re.I)),  # nginx 496 (and what is built on it)
    ("rejected", re.compile(rb"the ssl certificate error", re.I)),  # nginx 495
    ("required", re.compile(rb"\b403\.7\b|HTTP Error 403\.7", re.I)),  # IIS
    ("rejected", re.compile(rb"\b403\.1[367]\b", re.I)),  # IIS: revoked, untrusted, expired
    ("rejected", re.compile(rb"client certificate[^.<]{0,40}(?:untrusted|invalid|revoked|expired|not trusted)", re.I)),
    ("rejected", re.compile(rb"(?:untrusted|invalid|revoked|expired) client certificate", re.I)),
    (
        "required",
        re.compile(rb"client certificate[^.<]{0,40}(?:required|missing|not (?:provided|presented|sent))", re.I),
    ),
    (
        "required",
        re.compile(rb"(?:requires?|required|missing|no|without)(?: an?)?(?: valid)? client certificate", re.I),
    ),
)


def word_of(answer: HttpAnswer | None) -> HttpWord | None:
    """What an HTTP answer says of our client certificate; None when it says nothing of it.

    Products word this in their error pages alone: there is no status for it. A 403 without such words may have any
    reason.
    """
    if answer is None or answer.status not in _CLIENT_ERRORS:
        return None
    if answer.status in {495, 496}:
        return "rejected" if answer.status == 495 else "required"
    return next((word for word, pattern in _TELLING if pattern.search(answer.body)), None)


# ── without a certificate ───────────────────────────────────────────────────────


def requests(shakes: tuple[Handshake, ...]) -> tuple[CertificateRequest, ...]:
    """The CertificateRequests seen, each once."""
    return tuple(dict.fromkeys(s.certificate_request for s in shakes if s.certificate_request is not None))


def demanding(shakes: tuple[Handshake, ...]) -> tuple[Handshake, ...]:
    """The exchanges that were asked for a certificate and refused for lack of one; () where none is demanded."""
    asked = tuple(s for s in shakes if s.offer.purpose in PLAIN and s.offer.until == "finished" and _asked(s))
    told = tuple(s for s in asked if isinstance(s.outcome, Alerted) or word_of(s.http) is not None or denies(s.http))
    if told:
        return told
    # Hung up on, every time: one alone may have another reason (a service that is no HTTP, a flapping back end).
    if len(asked) > 1 and all(_hung_up(shake) for shake in asked):
        return asked
    idle = tuple(s for s in shakes if s.offer.purpose == IDLE and _asked(s) and _hung_up(s))
    if idle:
        return idle  # nothing was asked of it that it might not have understood
    # One that agreed to speak HTTP owes an answer to a request; none, twice, and it is the certificate that it missed.
    requested = tuple(s for s in asked if s.offer.ask_http and s.alpn == "http/1.1")
    return requested if len(requested) > 1 and all(map(_hung_up, requested)) else ()


def denies(answer: HttpAnswer | None) -> bool:
    """400 or 403 to as plain a request as can be, from a server that asked for a certificate, whatever its page."""
    # HTTP.sys says this 400 of a Host that it does not serve.
    return answer is not None and answer.status in _DENIALS and b"invalid hostname" not in answer.body.lower()


def forbidding(shakes: tuple[Handshake, ...]) -> HttpAnswer | None:
    """The answer of a server that asks for a certificate and, without one, forbids in words that do not say why."""
    answers = (s.http for s in shakes if s.offer.purpose in PLAIN and _asked(s) and s.http is not None)
    return next((each for each in answers if each.status in _UNSURE and word_of(each) is None), None)


def auth(shakes: tuple[Handshake, ...]) -> Auth | None:
    """Is a client certificate asked for, and is it demanded? None: no exchange went far enough to tell."""
    if demanding(shakes):
        return "required"
    if requests(shakes):
        return "optional" if any(_finished(shake) and _asked(shake) for shake in shakes) else None
    return "none" if any(shake.certificates for shake in shakes) else None


def _asked(shake: Handshake) -> bool:
    return shake.certificate_request is not None and bool(shake.certificates)


def _finished(shake: Handshake) -> bool:
    return shake.offer.until == "finished" and isinstance(shake.outcome, Completed)


def _hung_up(shake: Handshake) -> bool:
    return isinstance(shake.outcome, Dropped) and shake.outcome.awaiting in _AFTER_OURS


# ── with ours ───────────────────────────────────────────────────────────────────


@value
class Presented:
    """What came of offering our certificate at one address.

    `unasked`: the server never asked; `unsent`: asked, but our key signs by none of the schemes it takes, and it went
    on without; `untold`: no exchange tells. `reason` is why it was refused, and `told` says whether that is the
    server's word; otherwise it is our reading of the certificate, the first of `doubts`. `witnesses` are the refused
    exchanges.
    """

    outcome: Literal["accepted", "refused", "unasked", "unsent", "untold"]
    doubts: tuple[Doubt, ...] = ()
    reason: Reason = "untold"
    told: bool = False
    sent: bool = True
    witnesses: tuple[Handshake, ...] = ()
    request: CertificateRequest | None = None

    @property
    def code(self) -> str | None:
        """The catalogue's code where it was refused."""
        if self.outcome != "refused":
            return None
        return "mtls.unknown-ca" if self.reason in OF_THE_CA else "mtls.certificate-rejected"


def presented(
    shakes: tuple[Handshake, ...], identity: Identity, now: datetime, known: tuple[bytes, ...] = ()
) -> Presented:
    """What the exchanges with *identity* among *shakes* came to; *known* as `predict` takes its anchors."""
    tries = tuple(s for purpose in OURS for s in shakes if s.offer.purpose == purpose and s.certificates)
    if not tries:
        return Presented(outcome="untold")
    seen = tries[0]
    request = next(iter(requests((seen, *tries))), None)
    doubts = predict(identity.chain, request, now, known)
    if request is None:
        return Presented(outcome="unasked", doubts=doubts)
    seen = seen if seen.certificate_request is not None else next(s for s in tries if s.certificate_request is not None)
    sent = _sent(seen, doubts)
    plain = tuple(shake for shake in shakes if shake.offer.purpose in PLAIN)
    if not _refused(seen, plain):
        finished = isinstance(seen.outcome, Completed)
        outcome: Literal["accepted", "unsent", "untold"] = (
            "untold" if not finished else "accepted" if sent else "unsent"
        )
        return Presented(outcome=outcome, doubts=doubts, sent=sent, request=request)
    witnesses = tuple(shake for shake in tries if _refused(shake, plain))
    reason, told = _reason(seen, doubts, sent=sent)
    return Presented(
        outcome="refused", doubts=doubts, reason=reason, told=told, sent=sent, witnesses=witnesses, request=request
    )


def _sent(shake: Handshake, doubts: tuple[Doubt, ...]) -> bool:
    """Did our certificate leave? Where an alert cut the handshake short before it was complete, our own rules tell."""
    if shake.identified:
        return True
    if isinstance(shake.outcome, Completed) or (shake.version or 0) >= _TLS13:
        return False
    able = all(doubt.kind != "unsupported-signature" for doubt in doubts)
    return able and shake.signature_ok is not False and shake.group is not None


def _refused(shake: Handshake, plain: tuple[Handshake, ...]) -> bool:
    if not _asked(shake):
        return False
    if isinstance(shake.outcome, Alerted) or word_of(shake.http) is not None:
        return True
    # A service that is no HTTP hangs up on our question: then it does so without a certificate as well, but not when
    # nothing is asked.
    elsewise = any(_hung_up(s) for s in plain) and any(_asked(s) and _finished(s) for s in plain)
    return _hung_up(shake) and not (elsewise and shake.offer.ask_http)


def _reason(shake: Handshake, doubts: tuple[Doubt, ...], *, sent: bool) -> tuple[Reason, bool]:
    """Why, and whether the server said so. What it leaves open is decided by the certificate's own facts."""
    kinds = [doubt.kind for doubt in doubts]
    if not sent and "unsupported-signature" in kinds:
        return "unsupported-signature", False
    said = _SAYS.get(shake.outcome.code) if isinstance(shake.outcome, Alerted) else None
    if said == "expired" and "not-yet-valid" in kinds and "expired" not in kinds:
        return "not-yet-valid", True  # Go's TLS stack says 45 for both ends of the validity
    if said == "unknown-ca":
        return next((kind for kind in kinds if kind in OF_THE_CA), "unknown-ca"), True
    if said is not None:
        return said, True
    return (kinds[0] if kinds else "untold"), False
