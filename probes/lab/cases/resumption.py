"""Mode 8: the second visit. A session that is refused, breaks, can be replayed, or leads to the wrong place."""

from probes.lab.gate import Peer, by_name
from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import serving, terms

_SHOP, _STATIC = "shop.lab", "static.shop.lab"


def _good(site: Site, **changes: object) -> Peer:
    return serving(terms(site.trust.leaf(site.name), site.trust.issuing_r, **changes))


def _keys_of_their_own(site: Site) -> tuple[Service, ...]:
    alike = terms(site.trust.leaf(site.name), site.trust.issuing_r)
    return serving(alike), serving(alike)  # each server draws ticket keys of its own


def _without_context(site: Site) -> tuple[Service, ...]:
    clients = {"clients": "optional", "clients_ca": site.trust.root.certificate}
    return (_good(site, session_context=b"", **clients),)


def _early(site: Site) -> tuple[Service, ...]:
    return (_good(site, early_data=16_384),)


def _two_names(site: Site) -> tuple[Service, ...]:
    both = serving(terms(site.trust.leaf(_SHOP, _STATIC), site.trust.issuing_r))
    alone = serving(terms(site.trust.leaf(_STATIC), site.trust.issuing_r))
    return (by_name({_STATIC: alone}, otherwise=both),)


def _never(site: Site) -> tuple[Service, ...]:
    return (_good(site, resumes=False),)


SPECS = (
    Spec(
        name="own-ticket-keys.lab",
        mode=8,
        expected="resumption.tickets-not-shared",
        status="warning",
        description="two equal addresses that seal session tickets with different keys",
        build=_keys_of_their_own,
        addresses=2,
    ),
    Spec(
        name="second-visit.lab",
        mode=8,
        expected="resumption.broken",
        status="broken",
        description="the first visit passes, the second one breaks off: no session id context",
        build=_without_context,
    ),
    Spec(
        name="early-data.lab",
        mode=8,
        expected="resumption.early-data",
        status="warning",
        description="requests are answered in 0-RTT early data, which anyone can send again",
        build=_early,
    ),
    Spec(
        name=_SHOP,
        mode=8,
        expected="resumption.coalescing",
        status="warning",
        description="the certificate covers static.shop.lab as well, which gets another one by itself",
        build=_two_names,
        also=(_STATIC,),
    ),
    Spec(
        name="no-resumption.lab",
        mode=8,
        expected=None,
        status="ok",
        description="every connection pays a full handshake: sessions are never resumed",
        build=_never,
        notice="resumption.unsupported",
    ),
)
