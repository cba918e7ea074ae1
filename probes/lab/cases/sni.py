"""Mode 1: the server name and what the server makes of it."""

from probes.lab.gate import Peer, alerting, by_name, resetting
from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import serving, terms

_DEFAULT = "default.hosting.lab"


def _host(site: Site, name: str) -> Peer:
    return serving(terms(site.trust.leaf(name), site.trust.issuing_r))


def _default_certificate(site: Site) -> tuple[Service, ...]:
    return (_host(site, _DEFAULT),)


def _wrong_host(site: Site) -> tuple[Service, ...]:
    return (by_name({site.name: _host(site, "right-host.lab")}, otherwise=_host(site, _DEFAULT)),)


def _unrecognized(site: Site) -> tuple[Service, ...]:
    return (by_name({None: _host(site, _DEFAULT)}, otherwise=alerting(112)),)


def _internal_error(site: Site) -> tuple[Service, ...]:
    return (by_name({None: _host(site, _DEFAULT)}, otherwise=alerting(80)),)


def _name_resets(site: Site) -> tuple[Service, ...]:
    return (by_name({site.name: resetting()}, otherwise=_host(site, _DEFAULT)),)


def _required(site: Site) -> tuple[Service, ...]:
    return (by_name({site.name: _host(site, site.name)}, otherwise=alerting(40)),)


def _other_without_name(site: Site) -> tuple[Service, ...]:
    return (by_name({site.name: _host(site, site.name)}, otherwise=_host(site, _DEFAULT)),)


SPECS = (
    Spec(
        name="default-certificate.lab",
        mode=1,
        expected="sni.default-certificate",
        status="broken",
        description="the name is not set up: it gets the server's default certificate",
        build=_default_certificate,
    ),
    Spec(
        name="wrong-host.lab",
        mode=1,
        expected="sni.name-mismatch",
        status="broken",
        description="the certificate chosen for this name is for right-host.lab",
        build=_wrong_host,
    ),
    Spec(
        name="unrecognized-name.lab",
        mode=1,
        expected="sni.unrecognized",
        status="broken",
        description="the server does not know the name, and says so (alert 112)",
        build=_unrecognized,
    ),
    Spec(
        name="name-internal-error.lab",
        mode=1,
        expected="sni.unrecognized",
        status="broken",
        description="the server has no certificate for the name and answers internal_error (alert 80)",
        build=_internal_error,
    ),
    Spec(
        name="name-resets.lab",
        mode=1,
        expected="sni.unrecognized",
        status="broken",
        description="a box resets handshakes for this name alone",
        build=_name_resets,
    ),
    Spec(
        name="sni-required.lab",
        mode=1,
        expected=None,
        status="ok",
        notice="sni.required",
        description="clients that send no server name are turned away (alert 40)",
        build=_required,
    ),
    Spec(
        name="sni-default.lab",
        mode=1,
        expected=None,
        status="ok",
        notice="sni.required",
        description="clients that send no server name get another certificate",
        build=_other_without_name,
    ),
)
