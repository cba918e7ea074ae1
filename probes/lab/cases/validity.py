"""Mode 4: certificates out of their time, and clocks that are off."""

from datetime import timedelta

from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import serving, terms
from probes.lab.trust import LIFETIME


def _expired(site: Site) -> tuple[Service, ...]:
    return _aged(site, age=LIFETIME + timedelta(days=2))


def _expired_and_incomplete(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name, age=LIFETIME + timedelta(days=40))
    return (serving(terms(leaf, greeting="expired, and its intermediate is missing")),)


def _not_yet_valid(site: Site) -> tuple[Service, ...]:
    return _aged(site, age=timedelta(days=-3))


def _expiring(site: Site) -> tuple[Service, ...]:
    return _aged(site, age=LIFETIME - timedelta(days=8))


def _aged(site: Site, *, age: timedelta) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name, age=age)
    return (serving(terms(leaf, site.trust.issuing_r)),)


def _server_behind(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name)
    return (serving(terms(leaf, site.trust.issuing_r, clock=timedelta(hours=-7))),)


def _valid_by_its_own_clock(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name, age=timedelta(hours=-3))
    return (serving(terms(leaf, site.trust.issuing_r, clock=timedelta(hours=5))),)


SPECS = (
    Spec(
        name="expired.lab",
        mode=4,
        expected="validity.expired",
        status="broken",
        description="the certificate expired two days ago",
        build=_expired,
    ),
    Spec(
        name="expired-and-incomplete.lab",
        mode=4,
        expected="validity.expired",
        status="broken",
        description="expired, and the intermediate is missing too: the expiry is the cause",
        build=_expired_and_incomplete,
    ),
    Spec(
        name="not-yet-valid.lab",
        mode=4,
        expected="validity.not-yet-valid",
        status="broken",
        description="the certificate begins in three days",
        build=_not_yet_valid,
    ),
    Spec(
        name="expiring.lab",
        mode=4,
        expected="validity.expiring",
        status="warning",
        description="a 90-day certificate with 8 days left",
        build=_expiring,
    ),
    Spec(
        name="clock-skew.lab",
        mode=4,
        expected="validity.clock-skew",
        status="warning",
        description="the certificate is fine, but the server's clock is 7 hours behind",
        build=_server_behind,
    ),
    Spec(
        name="clock-ahead.lab",
        mode=4,
        expected="validity.clock-skew",
        status="warning",
        description="the certificate begins in 3 hours; by the server's clock, 5 hours ahead, it is valid",
        build=_valid_by_its_own_clock,
    ),
)
