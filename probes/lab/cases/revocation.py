"""Mode 6: revocation, as staples, OCSP responders and CRLs tell of it."""

from datetime import timedelta

from cryptography import x509

from probes.lab.issue import Issued
from probes.lab.spec import Service, Site, Spec
from probes.lab.status import DAY, Page, crl, ocsp_response, sources
from probes.lab.tls import serving, terms

_LASTING = 365 * DAY  # a lab may run for days: its answers must not grow old meanwhile
_SLOW_S = 2.6  # over the catalogue's two seconds, and over half the time a source is given
_CRL = "application/pkix-crl"


def _asked(
    site: Site, *, status: str = "good", delay_s: float = 0.0, http: int = 200, reason: x509.ReasonFlags | None = None
) -> tuple[Service, ...]:
    """A certificate that names a responder, which answers so."""
    url = site.web.publish(Page(body=b""))
    leaf = site.trust.leaf(site.name, more=sources(ocsp_urls=[url]))
    answer = _response(site, leaf, status=status, reason=reason)
    site.web.replace(
        url, Page(body=answer if http == 200 else b"Down for maintenance.\n", status=http, delay_s=delay_s)
    )
    return (serving(terms(leaf, site.trust.issuing_r)),)


def _response(
    site: Site,
    leaf: Issued,
    *,
    status: str = "good",
    age: timedelta = timedelta(hours=1),
    lasts: timedelta = _LASTING,
    reason: x509.ReasonFlags | None = None,
) -> bytes:
    return ocsp_response(
        leaf, site.trust.issuing_r, at=site.trust.now, status=status, age=age, lasts=lasts, reason=reason
    )


def _listed(
    site: Site, *, delay_s: float = 0.0, age: timedelta = timedelta(hours=1), lasts: timedelta = _LASTING
) -> tuple[Service, ...]:
    """A certificate that names a CRL alone, as most do by now."""
    body = crl(site.trust.issuing_r, at=site.trust.now, age=age, lasts=lasts)
    url = site.web.publish(Page(body=body, content_type=_CRL, delay_s=delay_s))
    leaf = site.trust.leaf(site.name, more=sources(crl_urls=[url]))
    return (serving(terms(leaf, site.trust.issuing_r)),)


def _revoked(site: Site) -> tuple[Service, ...]:
    return _asked(site, status="revoked", reason=x509.ReasonFlags.key_compromise)


def _ocsp_slow(site: Site) -> tuple[Service, ...]:
    return _asked(site, delay_s=_SLOW_S)


def _ocsp_unreachable(site: Site) -> tuple[Service, ...]:
    return _asked(site, http=503)


def _ocsp_unknown(site: Site) -> tuple[Service, ...]:
    return _asked(site, status="unknown")


def _crl_slow(site: Site) -> tuple[Service, ...]:
    return _listed(site, delay_s=_SLOW_S)


def _crl_stale(site: Site) -> tuple[Service, ...]:
    return _listed(site, age=9 * DAY, lasts=7 * DAY)


def _crl_only(site: Site) -> tuple[Service, ...]:
    return _listed(site)


def _must_staple(site: Site, *, stapled: bool) -> tuple[Service, ...]:
    url = site.web.publish(Page(body=b""))
    leaf = site.trust.leaf(site.name, more=sources(ocsp_urls=[url], must_staple=True))
    answer = _response(site, leaf)
    site.web.replace(url, Page(body=answer))
    return (serving(terms(leaf, site.trust.issuing_r, staple=answer if stapled else None)),)


def _staple_missing(site: Site) -> tuple[Service, ...]:
    return _must_staple(site, stapled=False)


def _stapled(site: Site) -> tuple[Service, ...]:
    return _must_staple(site, stapled=True)


def _staple_stale(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name)
    staple = _response(site, leaf, age=9 * DAY, lasts=7 * DAY)
    return (serving(terms(leaf, site.trust.issuing_r, staple=staple)),)


SPECS = (
    Spec(
        name="revoked.lab",
        mode=6,
        expected="revocation.revoked",
        status="broken",
        description="the certificate was revoked, says its OCSP responder: keyCompromise",
        build=_revoked,
    ),
    Spec(
        name="ocsp-slow.lab",
        mode=6,
        expected="revocation.ocsp-slow",
        status="warning",
        description=f"the OCSP responder takes {_SLOW_S} s to say that all is well",
        build=_ocsp_slow,
    ),
    Spec(
        name="ocsp-unreachable.lab",
        mode=6,
        expected="revocation.ocsp-unreachable",
        status="warning",
        description="the OCSP responder is down: HTTP 503",
        build=_ocsp_unreachable,
    ),
    Spec(
        name="ocsp-unknown.lab",
        mode=6,
        expected="revocation.ocsp-unreachable",
        status="warning",
        description="the OCSP responder does not know the certificate",
        build=_ocsp_unknown,
    ),
    Spec(
        name="crl-slow.lab",
        mode=6,
        expected="revocation.crl-slow",
        status="warning",
        description=f"the CRL takes {_SLOW_S} s to come",
        build=_crl_slow,
    ),
    Spec(
        name="crl-stale.lab",
        mode=6,
        expected="revocation.crl-unreachable",
        status="warning",
        description="the CRL should have been replaced two days ago",
        build=_crl_stale,
    ),
    Spec(
        name="staple-missing.lab",
        mode=6,
        expected="revocation.staple-missing",
        status="warning",
        description="a must-staple certificate without a staple: Firefox refuses it",
        build=_staple_missing,
    ),
    Spec(
        name="staple-stale.lab",
        mode=6,
        expected="revocation.staple-invalid",
        status="broken",
        description="the staple went out of date two days ago",
        build=_staple_stale,
    ),
    Spec(
        name="stapled.lab",
        mode=None,
        expected=None,
        status="ok",
        description="a must-staple certificate with its staple, and a responder that answers",
        build=_stapled,
    ),
    Spec(
        name="crl-only.lab",
        mode=None,
        expected=None,
        status="ok",
        description="a certificate without an OCSP responder, and a CRL that is fresh",
        build=_crl_only,
    ),
)
