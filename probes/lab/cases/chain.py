"""Mode 2: chains that some or all clients cannot follow to a root they trust."""

from probes.lab.issue import CLIENT_AUTH, Issued
from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import serving, terms


def _sent(leaf: Issued, *above: Issued) -> tuple[Service, ...]:
    return (serving(terms(leaf, *above)),)


def _no_intermediate(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name, issuer_url=site.issuer_url))


def _no_intermediate_no_aia(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name))


def _untrusted_root(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return _sent(trust.leaf(site.name, issuer=trust.other_issuing), trust.other_issuing, trust.other_root)


def _self_signed(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.self_signed(site.name))


def _expired_intermediate(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name), site.trust.issuing_r_expired)


def _cross_sign(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return _sent(trust.leaf(site.name), trust.issuing_r, trust.cross_sign)


def _wrong_intermediate(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name), site.trust.issuing_e)


def _stale_intermediate(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name), site.trust.issuing_r_before)


def _misordered(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return _sent(trust.leaf(site.name, issuer=trust.issuing_p), trust.policy, trust.issuing_p)


def _stray(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return _sent(trust.leaf(site.name), trust.issuing_r, trust.other_issuing)


def _root_sent(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return _sent(trust.leaf(site.name), trust.issuing_r, trust.root)


def _sha1(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name, signed_with="sha1"), site.trust.issuing_r)


def _short_key(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name, key="rsa1024"), site.trust.issuing_r)


def _wrong_usage(site: Site) -> tuple[Service, ...]:
    return _sent(site.trust.leaf(site.name, usages=(CLIENT_AUTH,)), site.trust.issuing_r)


SPECS = (
    Spec(
        name="no-intermediate.lab",
        mode=2,
        expected="chain.incomplete",
        status="broken",
        description="the intermediate is not sent; browsers can fetch it, curl and Go cannot",
        build=_no_intermediate,
    ),
    Spec(
        name="no-intermediate-no-aia.lab",
        mode=2,
        expected="chain.incomplete",
        status="broken",
        description="the intermediate is not sent, and the certificate does not say where to fetch it",
        build=_no_intermediate_no_aia,
    ),
    Spec(
        name="untrusted-root.lab",
        mode=2,
        expected="chain.untrusted",
        status="broken",
        description="a complete chain to a root that nobody trusts",
        build=_untrusted_root,
    ),
    Spec(
        name="self-signed.lab",
        mode=2,
        expected="chain.self-signed",
        status="broken",
        description="the certificate is its own issuer",
        build=_self_signed,
    ),
    Spec(
        name="expired-intermediate.lab",
        mode=2,
        expected="chain.expired-intermediate",
        status="broken",
        description="the leaf is fine, the intermediate that is sent expired two days ago",
        build=_expired_intermediate,
    ),
    Spec(
        name="cross-sign.lab",
        mode=2,
        expected="chain.cross-sign",
        status="warning",
        description="an expired cross-sign of the root is sent along: old clients follow it and fail",
        build=_cross_sign,
    ),
    Spec(
        name="wrong-intermediate.lab",
        mode=2,
        expected="chain.wrong-intermediate",
        status="broken",
        description="the intermediate sent is another one than the leaf's issuer",
        build=_wrong_intermediate,
    ),
    Spec(
        name="stale-intermediate.lab",
        mode=2,
        expected="chain.wrong-intermediate",
        status="broken",
        description="the intermediate sent has the right name, but the key before the last renewal",
        build=_stale_intermediate,
    ),
    Spec(
        name="misordered.lab",
        mode=2,
        expected="chain.misordered",
        status="warning",
        description="two intermediates in the wrong order",
        build=_misordered,
    ),
    Spec(
        name="sha1.lab",
        mode=2,
        expected="chain.weak",
        status="broken",
        description="the certificate is signed with SHA-1",
        build=_sha1,
    ),
    Spec(
        name="rsa-1024.lab",
        mode=2,
        expected="chain.weak",
        status="broken",
        description="an RSA key of 1024 bits",
        build=_short_key,
    ),
    Spec(
        name="wrong-usage.lab",
        mode=2,
        expected="chain.wrong-usage",
        status="broken",
        description="a client certificate (EKU clientAuth) on a server",
        build=_wrong_usage,
    ),
    Spec(
        name="root-sent.lab",
        mode=2,
        expected=None,
        status="ok",
        notice="chain.misordered",
        description="the root is sent along: harmless",
        build=_root_sent,
    ),
    Spec(
        name="stray.lab",
        mode=2,
        expected=None,
        status="ok",
        notice="chain.misordered",
        description="a stray certificate is sent after the right ones: harmless",
        build=_stray,
    ),
)
