"""Revocation for tests of rules: certificates that name sources, and what those sources said. Healthy by default.

facts_of(ocsp(body=None, failure="timeout"))      # one address, its responder silent
facts_of(staple=response(age=9 * DAY))            # a stale staple
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from probes.facts import Facts
from probes.lab.status import DAY, crl, ocsp_response, sources
from probes.model import Handshake
from probes.observed import StatusAnswer, StatusKind, Unanswered
from tests.evidence import ADDRESS, HEALTHY, ders, evidence, healthy, issuing, root
from tests.pki import NOW, Issued, intermediate, leaf

OCSP_URL, CRL_URL, ROOT_CRL_URL = "http://ocsp.test/r", "http://crl.test/ca.crl", "http://crl.test/root.crl"
QUICK = (80.0, 90.0, 110.0)

LEAF = leaf(issuing(), more=sources(ocsp_urls=[OCSP_URL], crl_urls=[CRL_URL]))
MUST_STAPLE = leaf(issuing(), more=sources(ocsp_urls=[OCSP_URL], must_staple=True))
LISTED_CA = intermediate(root(), "Listed CA", more=sources(crl_urls=[ROOT_CRL_URL]))


def response(about: Issued = LEAF, issuer: Issued | None = None, **changes: object) -> bytes:
    return ocsp_response(about, issuer or issuing(), at=NOW, **changes)  # type: ignore[arg-type]


def listing(issuer: Issued | None = None, **changes: object) -> bytes:
    return crl(issuer or issuing(), at=NOW, **changes)  # type: ignore[arg-type]


def said(
    kind: StatusKind,
    body: bytes | None = None,
    *,
    failure: Unanswered | None = None,
    detail: str = "",
    url: str | None = None,
    about: Issued = LEAF,
    issuer: Issued | None = None,
    samples: Sequence[float | None] | None = None,
    received: int = 0,
) -> StatusAnswer:
    """What one source said; good and quick unless told otherwise."""
    issuer = issuer or issuing()
    if body is None and failure is None:
        body = response(about, issuer) if kind == "ocsp" else listing(issuer)
    return StatusAnswer(
        kind=kind,
        url=url or (OCSP_URL if kind == "ocsp" else CRL_URL),
        certificate=about.der,
        issuer=issuer.der,
        samples_ms=tuple(samples if samples is not None else QUICK if failure is None else (None,) * 3),
        body=body,
        failure=failure,
        detail=detail,
        received=received,
    )


OCSP_GOOD, CRL_GOOD = said("ocsp"), said("crl")


def at(
    address: str = ADDRESS,
    *,
    chain: tuple[Issued, ...] | None = None,
    staple: bytes | None = None,
    skew: timedelta | None = timedelta(0),
) -> tuple[Handshake, ...]:
    """What is seen at *address*, where *chain* is served, with *staple*."""
    served = ders(*(chain or (LEAF, issuing())))

    def stapled(shake: Handshake) -> Handshake:
        return replace(shake, staple=staple if shake.certificates else None)

    return healthy(address, server=replace(HEALTHY, chain=served, skew=skew), every=stapled)


def facts_of(
    *answers: StatusAnswer,
    looks: tuple[tuple[Handshake, ...], ...] = (),
    chain: tuple[Issued, ...] | None = None,
    staple: bytes | None = None,
    skew: timedelta | None = timedelta(0),
) -> Facts:
    """Facts of *looks* (one address that serves *chain* with *staple*) and of what sources answered."""
    seen = looks or (at(chain=chain, staple=staple, skew=skew),)
    return Facts(replace(evidence(*seen), statuses=answers))


__all__ = [
    "CRL_GOOD",
    "CRL_URL",
    "DAY",
    "LEAF",
    "LISTED_CA",
    "MUST_STAPLE",
    "OCSP_GOOD",
    "OCSP_URL",
    "ROOT_CRL_URL",
    "at",
    "facts_of",
    "listing",
    "response",
    "said",
]
