"""The path search against two independent verifiers: cryptography's, and OpenSSL's through pyOpenSSL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import crypto

from probes.pki.names import covers
from probes.pki.paths import paths
from probes.pki.views import TRUSTED_FIRST
from tests.pki_tests.issuing import (
    AT,
    CLIENT,
    DAY,
    HOST,
    Issued,
    authority,
    root,
    rsa_key,
    server,
    store,
    usage,
)


@dataclass(frozen=True)
class Case:
    """A chain as served, and the store."""

    chain: tuple[Issued, ...]
    anchors: tuple[Issued, ...]


@lru_cache(maxsize=1)
def cases() -> dict[str, Case]:
    """Named chains, healthy and not."""
    top, other = root(), root("Other Root", "Other")
    issuing = authority("Issuing", top)
    upper = authority("Upper", top)
    lower = authority("Lower", upper)
    leaf = server(issuing)
    expired = authority("Issuing", top, key=issuing.key, end=AT - DAY)
    cross_old = root("Old", "Old", end=AT - DAY)
    new = root("New", "New")
    cross = authority("New", cross_old, organisation="New", key=new.key)
    below_new = authority("Below New", new, organisation="New")
    short = root("Short", path_len=0)
    below_short = authority("Below Short", short)
    bound = authority("Bound", top, constraints=x509.NameConstraints([x509.DNSName("example.org")], None))
    free = authority("Free", top, constraints=x509.NameConstraints([x509.DNSName("example.com")], None))
    clients = authority("Clients", top, eku=CLIENT)
    entity = authority("Entity", top, ca=False, key_usage=usage("digital_signature"))
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return {
        "plain": Case((leaf, issuing), (top,)),
        "root sent": Case((leaf, issuing, top), (top,)),
        "two levels": Case((server(lower), lower, upper), (top,)),
        "misordered": Case((server(lower), upper, lower), (top,)),
        "stray": Case((leaf, authority("Stray", other), issuing), (top,)),
        "missing": Case((leaf,), (top,)),
        "wrong root": Case((leaf, issuing, top), (other,)),
        "expired leaf": Case((server(issuing, end=AT - DAY), issuing), (top,)),
        "early leaf": Case((server(issuing, start=AT + DAY), issuing), (top,)),
        "expired intermediate": Case((leaf, expired), (top,)),
        "expired and fresh": Case((leaf, expired, issuing), (top,)),
        "rekeyed": Case((leaf, authority("Issuing", top)), (top,)),
        "rekeyed and true": Case((leaf, authority("Issuing", top), issuing), (top,)),
        "cross-sign": Case((server(below_new), below_new, cross), (cross_old, new)),
        "cross-sign, old store": Case((server(below_new), below_new, cross), (cross_old,)),
        "path length": Case((server(below_short), below_short), (short,)),
        "constrained away": Case((server(bound), bound), (top,)),
        "constrained here": Case((server(free), free), (top,)),
        "clients' CA": Case((server(clients), clients), (top,)),
        "client leaf": Case((server(issuing, eku=CLIENT), issuing), (top,)),
        "no CA": Case((server(entity), entity), (top,)),
        "strange": Case((server(issuing, more=[(strange, True)]), issuing), (top,)),
        "short key": Case((server(issuing, key=rsa_key(1024)), issuing), (top,)),
        "self-signed": Case((server(None),), (top,)),
    }


def ours(case: Case, at: datetime) -> bool:
    leaf, *pool = (each.value for each in case.chain)
    return paths(leaf, pool, store(*case.anchors), at)[0].ok


def by_cryptography(case: Case, at: datetime) -> bool:
    leaf, *pool = (each.x509 for each in case.chain)
    trusted = Store([each.x509 for each in case.anchors])
    verifier = PolicyBuilder().store(trusted).time(at).build_server_verifier(x509.DNSName(HOST))
    try:
        verifier.verify(leaf, pool)
    except VerificationError:
        return False
    return True


def by_openssl(case: Case, at: datetime) -> bool:
    trusted = crypto.X509Store()
    for each in case.anchors:
        trusted.add_cert(crypto.X509.from_cryptography(each.x509))
    trusted.set_time(at)
    leaf, *pool = (crypto.X509.from_cryptography(each.x509) for each in case.chain)
    try:
        crypto.X509StoreContext(trusted, leaf, pool).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True


# cryptography 50 takes RSA keys from 1024 bits on; browsers want 2048.
@pytest.mark.parametrize("label", sorted(cases().keys() - {"short key"}))
def test_cryptography_agrees(label: str) -> None:
    case = cases()[label]
    assert covers(case.chain[0].value, HOST)
    assert ours(case, AT) is by_cryptography(case, AT)


# OpenSSL is not told here what the certificate is for, nor how strong a key must be: it does not look.
PURPOSE_BLIND = {"clients' CA", "client leaf", "short key"}


@pytest.mark.parametrize("label", sorted(cases().keys() - PURPOSE_BLIND))
def test_openssl_agrees(label: str) -> None:
    case = cases()[label]
    leaf, *pool = (each.value for each in case.chain)
    assert paths(leaf, pool, store(*case.anchors), AT, view=TRUSTED_FIRST)[0].ok is by_openssl(case, AT)


@st.composite
def generated(draw: st.DrawFn) -> tuple[Case, datetime]:
    """A hierarchy with random dates, path lengths and roles; some of it served in random order, some of it trusted."""
    keys: list[Issued] = [root(f"Root {number}", end=AT + draw(days) * DAY) for number in range(2)]
    for number in range(draw(st.integers(1, 4))):
        issuer = draw(st.sampled_from(keys))
        common_name = f"CA {draw(st.integers(0, number))}"
        # Self-issued CAs do not count towards path lengths (RFC 5280 section 6.1.4 l); cryptography counts them.
        if common_name == issuer.value.common_name:
            common_name = f"CA {number} alone"
        end, path_len = AT + draw(days) * DAY, draw(st.sampled_from((None, None, 0, 1)))
        keys.append(authority(common_name, issuer, end=end, path_len=path_len))
    leaf = server(keys[-1], end=AT + draw(days) * DAY)
    served = draw(st.permutations(draw(st.lists(st.sampled_from(keys), unique=True))))
    trusted = draw(st.lists(st.sampled_from(keys[:2]), min_size=1, unique=True))
    return Case((leaf, *served), tuple(trusted)), AT + draw(st.integers(0, 20)) * DAY


days = st.integers(5, 400)


@settings(max_examples=150, deadline=None)
@given(generated())
def test_generated_hierarchies_are_judged_alike(drawn: tuple[Case, datetime]) -> None:
    case, at = drawn
    assert ours(case, at) is by_cryptography(case, at)
