"""Mode 5: client certificates that are demanded, in the handshake or after it, or merely asked for."""

from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import Demand, serving, terms


def _demanding(site: Site, clients: Demand, **changes: object) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name)
    authority = site.trust.root.certificate
    return (serving(terms(leaf, site.trust.issuing_r, clients=clients, clients_ca=authority, **changes)),)


def _in_tls13(site: Site) -> tuple[Service, ...]:
    return _demanding(site, "required")


def _in_tls12(site: Site) -> tuple[Service, ...]:
    return _demanding(site, "required", newest="TLSv1.2")


def _in_http(site: Site) -> tuple[Service, ...]:
    return _demanding(site, "required-in-http")


def _optional(site: Site) -> tuple[Service, ...]:
    return _demanding(site, "optional", greeting="a client certificate is welcome, and not needed")


SPECS = (
    Spec(
        name="client-certificate.lab",
        mode=5,
        expected="mtls.certificate-required",
        status="broken",
        description="a client certificate of the lab's CA is demanded (alert 116 after the handshake)",
        build=_in_tls13,
    ),
    Spec(
        name="client-certificate-tls12.lab",
        mode=5,
        expected="mtls.certificate-required",
        status="broken",
        description="the same in TLS 1.2: alert 40 within the handshake",
        build=_in_tls12,
    ),
    Spec(
        name="client-certificate-http.lab",
        mode=5,
        expected="mtls.certificate-required",
        status="broken",
        description="the handshake succeeds without a client certificate, and HTTP answers 400, as nginx does",
        build=_in_http,
    ),
    Spec(
        name="client-certificate-optional.lab",
        mode=None,
        expected=None,
        status="ok",
        description="a client certificate is asked for and not needed",
        build=_optional,
    ),
)
