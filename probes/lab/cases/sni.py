"""Mode 1: the server name and what the server makes of it."""

from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import serving, terms


def _default_certificate(site: Site) -> tuple[Service, ...]:
    return (serving(terms(site.trust.leaf("default.hosting.lab"), site.trust.issuing_r)),)


SPECS = (
    Spec(
        name="default-certificate.lab",
        mode=1,
        expected="sni.default-certificate",
        status="broken",
        description="the name is not set up: every name gets the default certificate",
        build=_default_certificate,
    ),
)
