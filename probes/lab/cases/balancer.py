"""Mode 7: addresses behind one name, or backends behind one address, that are not alike."""

from dataclasses import replace
from datetime import timedelta

from probes.lab.gate import Peer, in_turn, resetting
from probes.lab.spec import Deaf, Service, Site, Spec
from probes.lab.tls import serving, terms
from probes.lab.trust import LIFETIME


def _good(site: Site, **changes: object) -> Peer:
    return serving(terms(site.trust.leaf(site.name), site.trust.issuing_r, **changes))


def _expired(site: Site) -> Peer:
    leaf = site.trust.leaf(site.name, age=LIFETIME + timedelta(days=1))
    return serving(terms(leaf, site.trust.issuing_r))


def _pair(first: Service, second: Service) -> tuple[Service, ...]:
    return first, second


def _one_expired(site: Site) -> tuple[Service, ...]:
    return _pair(_good(site), _expired(site))


def _one_incomplete(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name)
    return _pair(serving(terms(leaf, site.trust.issuing_r)), serving(terms(leaf)))


def _both_right(site: Site) -> tuple[Service, ...]:
    return _pair(_good(site), _good(site))


def _one_down(site: Site) -> tuple[Service, ...]:
    good = _good(site)
    return good, good, Deaf.REFUSING


def _one_resetting(site: Site) -> tuple[Service, ...]:
    return _pair(_good(site), resetting())


def _one_old(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name)
    modern = terms(leaf, site.trust.issuing_r)
    return _pair(serving(modern), serving(replace(modern, newest="TLSv1.2", alpn=(b"http/1.1",))))


def _sometimes_reset(site: Site) -> tuple[Service, ...]:
    good = _good(site)
    return (in_turn((good, good, resetting())),)


def _sometimes_expired(site: Site) -> tuple[Service, ...]:
    return (in_turn((_good(site), _expired(site))),)


def _other_origin(site: Site) -> tuple[Service, ...]:
    return _pair(_good(site), _good(site, newest="TLSv1.2"))


SPECS = (
    Spec(
        name="one-expired.lab",
        mode=7,
        expected="balancer.certificate-differs",
        status="broken",
        description="two addresses: one still serves the certificate that expired yesterday",
        build=_one_expired,
        addresses=2,
    ),
    Spec(
        name="one-incomplete.lab",
        mode=7,
        expected="balancer.certificate-differs",
        status="broken",
        description="two addresses: one does not send the intermediate",
        build=_one_incomplete,
        addresses=2,
    ),
    Spec(
        name="certificates-differ.lab",
        mode=7,
        expected="balancer.certificate-differs",
        status="warning",
        description="two addresses with different certificates, each of them right",
        build=_both_right,
        addresses=2,
    ),
    Spec(
        name="address-down.lab",
        mode=7,
        expected="balancer.address-down",
        status="broken",
        description="three addresses: one refuses connections",
        build=_one_down,
        addresses=3,
    ),
    Spec(
        name="address-resets.lab",
        mode=7,
        expected="balancer.address-down",
        status="broken",
        description="two addresses: one resets every handshake",
        build=_one_resetting,
        addresses=2,
    ),
    Spec(
        name="configuration-differs.lab",
        mode=7,
        expected="balancer.configuration-differs",
        status="warning",
        description="two addresses: one speaks neither TLS 1.3 nor HTTP/2",
        build=_one_old,
        addresses=2,
    ),
    Spec(
        name="intermittent.lab",
        mode=7,
        expected="balancer.intermittent",
        status="broken",
        description="every third connection is reset",
        build=_sometimes_reset,
    ),
    Spec(
        name="intermittent-certificate.lab",
        mode=7,
        expected="balancer.intermittent",
        status="broken",
        description="two backends behind one address: one serves an expired certificate",
        build=_sometimes_expired,
    ),
    Spec(
        name="origin-differs.lab",
        mode=7,
        expected="balancer.origin-differs",
        status="warning",
        description="the origin behind the balancer has another certificate and no TLS 1.3",
        build=_other_origin,
        addresses=2,
        origin=True,
    ),
)
