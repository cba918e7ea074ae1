"""How answers, findings and error texts weigh the causes, and what each cause would look like if it were true. Data.

Weights are log-likelihood ratios in nats, by judgement: +1 makes a cause 2.7 times as likely, −1 as much less. An
answer "don't know" weighs nothing. A cause without a row of its own is weighed by the first row of its failure mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bot.triage import UNKNOWN, Answer, Clue
from probes.catalogue import CATALOGUE
from probes.model import Report, Severity

_COLUMNS: Final = (
    ("hosts", "one"), ("hosts", "some"), ("hosts", "many"),
    ("deploy", "new"), ("deploy", "steady"),
    ("clients", "all"), ("clients", "family"), ("clients", "containers"), ("clients", "mtls"),
    ("stage", "before"), ("stage", "after"),
)  # fmt: skip

#                                     hosts             deploy      clients                 stage
#                                 one   some  many   new   steady  all  famil contn mtls   before after
_TABLE: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "sni.name-mismatch":        (0.6, -1.0, -0.3,   1.2, -1.0,   0.5, -0.8, -1.0, -1.0,  -1.5,  0.7),
        "sni.unrecognized":         (0.8, -0.8, -0.5,   1.2, -0.8,   0.2, -0.3, -0.8, -1.0,   0.9, -1.5),
        "chain.incomplete":         (0.4, -0.8, -0.2,   0.9, -0.6,  -1.2,  1.7,  0.2, -1.0,  -2.0,  1.0),
        "chain.untrusted":          (0.0, -0.8,  0.4,   0.2, -0.2,  -0.3,  0.6,  0.7, -0.6,  -2.0,  0.9),
        "negotiation.cipher":       (0.3, -0.5,  0.0,   0.6, -0.4,  -0.2,  1.3, -0.4, -1.0,   1.8, -2.0),
        "validity.expired":         (0.3, -0.6,  0.2,  -1.2,  1.3,   1.4, -1.0, -0.6, -0.6,  -2.0,  0.9),
        "validity.clock-skew":      (-0.6, -0.4,  0.9, -0.3,  0.4,  -1.2, -0.4,  2.8, -0.6,  -1.5,  0.6),
        "mtls.certificate-required": (0.3, -0.5, -0.2,  0.7, -0.4,  -0.2,  0.0, -0.3,  3.0,  -1.5,  0.7),
        "mtls.certificate-rejected": (0.1, -0.5,  0.1, -0.4,  0.5,  -0.8,  0.0, -0.3,  2.8,  -1.5,  0.8),
        "revocation.ocsp-unreachable": (-0.6, 0.3, 1.3, -0.9, 1.0,  -0.4,  1.0,  0.3, -1.0,  -1.2,  0.5),
        "balancer.certificate-differs": (-1.2, 2.8, -0.8, 0.5, -0.1,  0.3, -0.8, -0.6, -0.8, -1.0,  0.6),
        "balancer.address-down":    (-1.2,  2.6, -0.8, -0.1,  0.3,   0.4, -1.0, -0.6, -0.8,   1.2, -1.2),
        "resumption.broken":        (-0.4,  1.5, -0.8,  1.0, -0.5,  -0.8,  1.6, -0.6, -0.6,   0.5, -0.2),
        "reach.timeout":            (0.0,  -0.6,  1.0, -0.1,  0.2,   0.7, -1.4,  0.1, -1.2,   1.5, -3.0),
        "reach.reset":              (0.0,  -0.3,  0.3,  0.1,  0.1,   0.2,  0.1,  0.0, -1.0,   1.4, -3.0),
    }
)  # fmt: skip

_PRIOR: Final[Mapping[str, float]] = MappingProxyType({"chain.incomplete": 0.3, "validity.expired": 0.4})
_AS_CAUSE: Final[Mapping[Severity, float]] = MappingProxyType({"critical": 5.0, "warning": 4.0, "notice": 0.5})
_BESIDE: Final[Mapping[Severity, float]] = MappingProxyType({"critical": 1.5, "warning": 0.8, "notice": 0.1})
# A check that finds nothing speaks against what it would have seen from here, not against what lies with others.
_WOULD_BE_SEEN: Final = -4.0
_UNSEEN_FROM_HERE: Final = frozenset({"validity.clock-skew", "balancer.intermittent", "chain.untrusted"})
_UNSEEN_FAMILIES: Final = frozenset({"mtls", "revocation", "resumption"})
# Who confirms what the probes suggest adds little to what the report or the text has said already.
_CONFIRMED: Final = 0.3
_FAINTEST: Final = 0.05  # an error text's likelihood that says nothing either way


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A cause, and how likely it is among those that were weighed (0 to 1)."""

    code: str
    likelihood: float


def weighed(answers: Iterable[Answer], report: Report | None, clues: Iterable[Clue]) -> tuple[Weighed, ...]:
    """The causes, likeliest first; none when there is nothing to go on."""
    given = [answer for answer in answers if answer.choice != UNKNOWN]
    texts = [clue for clue in clues if clue.code in CATALOGUE]
    if not given and not texts and report is None:
        return ()
    scores = {code: _by_answers(code, given) + _PRIOR.get(code, 0.0) for code in _candidates(report, texts)}
    for clue in texts:
        scores[clue.code] += max(0.0, math.log(max(clue.likelihood, _FAINTEST) / _FAINTEST))
    for code in scores:
        scores[code] += _by_report(code, report)
    top = max(scores.values())
    masses = {code: math.exp(score - top) for code, score in scores.items()}
    whole = sum(masses.values())
    ordered = sorted(masses, key=lambda code: -masses[code])  # stable: ties keep the table's order
    return tuple(Weighed(code=code, likelihood=masses[code] / whole) for code in ordered)


def _candidates(report: Report | None, clues: Iterable[Clue]) -> tuple[str, ...]:
    found = [finding.code for finding in report.findings if finding.code in CATALOGUE] if report is not None else []
    return tuple(dict.fromkeys([*_TABLE, *found, *(clue.code for clue in clues)]))


def _by_answers(code: str, answers: Iterable[Answer]) -> float:
    row = dict(zip(_COLUMNS, _TABLE[_stand_in(code)], strict=True))
    return sum(row.get((answer.topic, answer.choice), 0.0) * _trust(answer) for answer in answers)


def _trust(answer: Answer) -> float:
    return _CONFIRMED if answer.choice == answer.suggested else 1.0


def _stand_in(code: str) -> str:
    """*code* itself, or the first row of its failure mode."""
    if code in _TABLE:
        return code
    mode = CATALOGUE[code].mode
    return next(row for row in _TABLE if CATALOGUE[row].mode == mode)


def _by_report(code: str, report: Report | None) -> float:
    if report is None:
        return 0.0
    finding = next((finding for finding in report.findings if finding.code == code), None)
    if finding is not None:
        return _AS_CAUSE[finding.severity] if code == report.cause else _BESIDE[finding.severity]
    is_beyond = code in _UNSEEN_FROM_HERE or code.partition(".")[0] in _UNSEEN_FAMILIES
    return 0.0 if report.cause is not None or is_beyond else _WOULD_BE_SEEN


# ── what would settle it ────────────────────────────────────────────────────────

# By code, or by failure mode where a code has none: (what proves it, what refutes it).
_SETTLED: Final[Mapping[str | int, tuple[str, str]]] = MappingProxyType(
    {
        0: (
            "The same failure from the place where it was seen, before any TLS record comes back; a capture there "
            "shows which side ends it.",
            "A ServerHello comes back from there: then the network is not it.",
        ),
        1: (
            "The certificate shown with the name sent does not cover it, and another name at the same address gets "
            "its own certificate.",
            "The certificate's names include the host that the client asked for, at every address.",
        ),
        2: (
            "A client without the missing pieces (curl, Go, Java) fails where a browser passes, and passes once the "
            "whole chain is sent.",
            "`openssl s_client -showcerts` shows a chain that ends below a root of the failing client's own store.",
        ),
        3: (
            "Alert 40 or 70 comes before the ServerHello, and the same client passes when it may offer one version or "
            "suite that the server has.",
            "A ServerHello comes back to the failing client's own hello.",
        ),
        4: (
            "The failing moment lies outside notBefore to notAfter, by a clock that can be trusted.",
            "The certificate in use is within its dates, and both clocks agree.",
        ),
        5: (
            "The server's CertificateRequest comes, and the handshake breaks after the client's Certificate; with a "
            "certificate of a named CA it passes.",
            "The same request without any client certificate passes, or no CertificateRequest is sent.",
        ),
        6: (
            "With revocation checks off, or with the responder reachable, the same client passes at once.",
            "The responder answers within a second from the failing client's network.",
        ),
        7: (
            "The addresses answer differently when each is asked alone (`--ip`).",
            "Every address, asked ten times alone, gives the same certificate and the same result.",
        ),
        8: (
            "A fresh handshake passes and one that resumes fails; with tickets off in the client it always passes.",
            "It also fails on the first connection of a client that has just started.",
        ),
        "validity.clock-skew": (
            "`date -u` inside the failing container or VM differs from a trusted clock, and the certificate is valid "
            "by the latter.",
            "Both clocks agree to the second.",
        ),
        "sni.unrecognized": (
            "Alert 112 comes for this name alone; another name at the same address passes.",
            "Other names fail in the same way at this address.",
        ),
        "chain.untrusted": (
            "The chain is complete, and its root is missing in the failing client's store (image, JRE, corporate CA).",
            "The root's fingerprint is in that store.",
        ),
        "balancer.address-down": (
            "Asked alone, one address fails each time and the others pass.",
            "All addresses pass, asked alone.",
        ),
        "validity.expired": (
            "notAfter of the certificate served now lies in the past; a renewal and a reload mend it.",
            "The certificate served is within its dates at every address.",
        ),
    }
)


def settled_by(code: str) -> tuple[str, str]:
    """What would prove that *code* is the cause, and what would refute it."""
    return _SETTLED.get(code) or _SETTLED[CATALOGUE[code].mode]
