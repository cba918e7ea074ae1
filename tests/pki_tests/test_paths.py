"""Path search: each fault, each way of searching, and its bounds."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from probes.pki.anchors import Anchors
from probes.pki.checks import FaultKind
from probes.pki.paths import DEPTH, PATHS, SIGNATURES, Found, Path, _Moment, _searched, paths, search
from probes.pki.views import MODERN, SERVER_ORDER, STRICT, TRUSTED_FIRST, View
from tests.pki_tests.issuing import (
    AT,
    CA_USAGE,
    CLIENT,
    DAY,
    Issued,
    authority,
    name,
    root,
    rsa_key,
    server,
    store,
    usage,
    version_one,
)


def found(
    leaf: Issued, pool: tuple[Issued, ...], anchors: Anchors, *, view: View = MODERN, at: datetime = AT
) -> tuple[Path, ...]:
    return paths(leaf.value, [each.value for each in pool], anchors, at, view=view)


def kinds(path: Path) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.depth) for fault in path.faults]


def test_a_good_path_ends_in_the_stores_own_certificate() -> None:
    old = root()
    new = root(key=old.key)
    issuing = authority("Issuing", old)
    (path,) = found(server(issuing), (issuing, old), store(new))
    assert path.ok and path.certificates[-1] == new.value and path.anchor and path.anchor.der == new.der


@pytest.mark.parametrize("view", [MODERN, TRUSTED_FIRST, SERVER_ORDER, STRICT], ids=lambda view: view.name)
def test_every_view_walks_the_plain_chain(view: View) -> None:
    top = root()
    issuing = authority("Issuing", top)
    leaf = server(issuing)
    for pool in ((issuing,), (issuing, top)):
        (path,) = found(leaf, pool, store(top), view=view)
        assert path.ok and len(path.certificates) == 3
    (path,) = found(leaf, (), store(top), view=view)
    assert kinds(path) == [("issuer_missing", 0)]
    (path,) = found(leaf, (issuing,), Anchors(), view=view)
    assert kinds(path) == [("issuer_missing", 1)]
    (path,) = found(leaf, (issuing, top), Anchors(), view=view)
    assert kinds(path) == [("self_signed_untrusted", 2)]
    (path,) = found(leaf, (authority("Issuing", top),), store(top), view=view)
    assert path.anchor is None
    (path,) = found(server(None), (), store(top), view=view)
    assert kinds(path) == [("self_signed_untrusted", 0)]
    (path,) = found(server(top), (), store(root()), view=view)
    assert path.anchor is None


def test_dates() -> None:
    top = root()
    issuing = authority("Issuing", top, start=AT - 10 * DAY, end=AT + 10 * DAY)
    leaf = server(issuing, start=AT - 5 * DAY, end=AT + 5 * DAY)
    for days, expected in (
        (0, []),
        (7, [("expired", 0)]),
        (12, [("expired", 0), ("expired", 1)]),
        (-7, [("not_yet_valid", 0)]),
        (-12, [("not_yet_valid", 0), ("not_yet_valid", 1)]),
    ):
        (path,) = found(leaf, (issuing,), store(top), at=AT + days * DAY)
        assert kinds(path) == expected and path.anchor
    assert found(leaf, (issuing,), store(top), at=AT + 7 * DAY)[0].issuer_faults == ()


def test_an_expired_anchor_counts_unless_the_view_ignores_it() -> None:
    top = root(end=AT - DAY)
    (path,) = found(server(top), (), store(top))
    assert kinds(path) == [("expired", 1)]
    assert found(server(top), (), store(top), view=View(name="old", ignores_anchor_expiry=True))[0].ok


def test_a_forged_issuer_is_a_bad_signature() -> None:
    top = root()
    true, false = authority("Issuing", top), authority("Issuing", top)
    (path,) = found(server(true), (false,), store(top))
    assert kinds(path) == [("bad_signature", 1)] and path.faults[0].certificate == false.value
    assert path.verified == path.certificates[:1]


def test_a_tampered_leaf_is_a_bad_signature() -> None:
    top = root()
    leaf = server(top)
    changed = leaf.der.replace(b"www.example.com", b"wwv.example.com")
    tampered = Issued(x509.load_der_x509_certificate(changed), leaf.key)
    assert kinds(found(tampered, (), store(top))[0]) == [("bad_signature", 1)]


def test_rights_of_issuers() -> None:
    top = root()
    leaf_usage = usage("digital_signature")
    for issuer, expected in (
        (authority("No Constraints", top, ca=None), "not_ca"),
        (authority("End Entity", top, ca=False, key_usage=leaf_usage), "not_ca"),
        (version_one(name("Version 1"), top, ec.generate_private_key(ec.SECP256R1())), "not_ca"),
        (authority("May Not Sign", top, key_usage=leaf_usage), "wrong_usage"),
        (authority("For Clients", top, eku=CLIENT), "wrong_usage"),
        (authority("Short Key", top, key=rsa_key(1024)), "weak_key"),
    ):
        (path,) = found(server(issuer), (issuer,), store(top))
        assert path.anchor and (expected, 1) in kinds(path), expected


def test_a_version_one_root_is_an_anchor() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    stub = Issued(root("Version 1", None, key=key).x509, key)
    old = version_one(name("Version 1"), stub, key)
    assert found(server(old), (), store(old))[0].ok


def test_path_length_counts_neither_leaf_nor_self_issued() -> None:
    top = root(path_len=1)
    one = authority("One", top)
    again = authority("One", one)
    two = authority("Two", one)
    assert found(server(one), (one,), store(top))[0].ok
    assert any(path.ok and len(path.certificates) == 4 for path in found(server(again), (again, one), store(top)))
    (path,) = found(server(two), (two, one), store(top))
    assert kinds(path) == [("path_length", 3)]


def test_weak_signatures_count_below_the_anchor_alone() -> None:
    top = root(key=rsa_key(2048), algorithm=hashes.MD5())
    leaf = server(top, algorithm=hashes.SHA1())
    (path,) = found(leaf, (), store(top))
    assert kinds(path) == [("weak_signature", 0)] and "SHA1" in path.faults[0].detail
    assert found(leaf, (), store(top), view=SERVER_ORDER)[0].ok


def test_name_constraints_of_each_form() -> None:
    def bound(constraints: x509.NameConstraints, **changes: object) -> list[tuple[FaultKind, int]]:
        top = root()
        issuing = authority("Bound", top, constraints=constraints)
        return kinds(found(server(issuing, **changes), (issuing,), store(top))[0])

    address = [x509.DNSName("www.example.com"), x509.IPAddress(ip_address("192.0.2.1"))]
    network = x509.IPAddress(ip_network("192.0.2.0/24"))
    elsewhere = x509.IPAddress(ip_network("198.51.100.0/24"))
    directory = x509.DirectoryName(name(None, "Example Trust"))
    violated = [("name_constraint", 1)]
    assert bound(x509.NameConstraints([x509.DNSName("example.com")], None)) == []
    assert bound(x509.NameConstraints([x509.DNSName(".example.com")], None)) == []
    assert bound(x509.NameConstraints([x509.DNSName("ample.com")], None)) == violated
    assert bound(x509.NameConstraints(None, [x509.DNSName("www.example.com")])) == violated
    assert bound(x509.NameConstraints([network], None), names=address) == []
    assert bound(x509.NameConstraints([elsewhere], None), names=address) == violated
    assert bound(x509.NameConstraints(None, [network]), names=address) == violated
    assert bound(x509.NameConstraints([directory], None)) == violated
    assert bound(x509.NameConstraints(None, [directory])) == []
    assert bound(x509.NameConstraints(None, [x509.DirectoryName(name("www.example.com"))])) == violated


def test_a_leaf_pinned_in_the_store_needs_no_issuer() -> None:
    leaf = server(authority("Nobody", None))
    assert found(leaf, (), store(leaf))[0].ok
    assert not found(leaf, (), store(leaf), view=TRUSTED_FIRST)[0].ok  # OpenSSL wants a self-signed one
    alone = server(None)
    assert found(alone, (), store(alone), view=TRUSTED_FIRST)[0].ok


def test_an_intermediate_in_the_store_is_an_anchor() -> None:
    top = root()
    issuing = authority("Issuing", top)
    leaf = server(issuing)
    assert found(leaf, (), store(issuing))[0].ok
    assert found(leaf, (issuing,), store(issuing))[0].ok
    assert kinds(found(leaf, (), store(issuing), view=TRUSTED_FIRST)[0]) == [("issuer_missing", 1)]
    assert found(leaf, (), store(issuing, top), view=TRUSTED_FIRST)[0].ok


def test_key_identifiers_that_differ_matter_to_openssl_alone() -> None:
    top = root()
    key = ec.generate_private_key(ec.SECP256R1())
    other = x509.SubjectKeyIdentifier.from_public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    issuing = authority("Issuing", top, key=key)
    leaf = server(issuing, aki=None, more=[(x509.AuthorityKeyIdentifier(other.digest, None, None), False)])
    assert found(leaf, (issuing,), store(top))[0].ok
    assert kinds(found(leaf, (issuing,), store(top), view=TRUSTED_FIRST)[0]) == [("issuer_missing", 0)]


def test_views_over_an_expired_cross_sign() -> None:
    """DST Root CA X3, 2021: the newer OpenSSL asks its store first, the old one follows what was sent."""
    old = root("Old Root", "Old", end=AT - DAY)
    new = root("New Root", "New")
    cross = authority("New Root", old, organisation="New", key=new.key)
    issuing = authority("New Issuing", new, organisation="New")
    leaf, pool, both = server(issuing), (issuing, cross), store(old, new)
    full = found(leaf, pool, both)
    assert full[0].ok and full[0].certificates[-1] == new.value
    assert [kinds(path) for path in full[1:]] == [[("expired", 3)]]
    assert found(leaf, pool, both, view=TRUSTED_FIRST)[0].ok
    assert kinds(found(leaf, pool, both, view=SERVER_ORDER)[0]) == [("expired", 3)]
    forgiving = View(name="android", search="server-order", ignores_anchor_expiry=True)
    assert found(leaf, pool, both, view=forgiving)[0].ok


def test_only_strict_clients_mind_the_order() -> None:
    top = root()
    upper = authority("Upper", top)
    lower = authority("Lower", upper)
    leaf = server(lower)
    for view in (MODERN, TRUSTED_FIRST, SERVER_ORDER):
        assert found(leaf, (upper, lower), store(top), view=view)[0].ok
    assert kinds(found(leaf, (upper, lower), store(top), view=STRICT)[0]) == [("issuer_missing", 0)]
    assert found(leaf, (lower, upper, top), store(top), view=STRICT)[0].ok


def mesh(width: int) -> tuple[list[Issued], Issued]:
    """CAs that all certify each other, and a leaf below the first."""
    tops = [root(f"Mesh {number}", "Mesh") for number in range(width)]
    crossed = [
        authority(f"Mesh {below}", tops[above], organisation="Mesh", key=tops[below].key, key_usage=CA_USAGE)
        for below in range(width)
        for above in range(width)
        if above != below
    ]
    return crossed, server(tops[0])


def bounded(result: Found) -> bool:
    return result.signatures_checked <= SIGNATURES and len(result.paths) <= PATHS + 1


@pytest.mark.parametrize("view", [MODERN, TRUSTED_FIRST, SERVER_ORDER, STRICT], ids=lambda view: view.name)
def test_a_mesh_of_cross_signs_is_bounded(view: View) -> None:
    crossed, leaf = mesh(7)
    result = search(leaf.value, [each.value for each in crossed], store(root()), AT, view=view)
    assert bounded(result) and result.paths and not any(path.ok for path in result.paths)
    assert all(len(path.certificates) <= DEPTH + 2 for path in result.paths)
    assert result.truncated or view is not MODERN


def test_a_mesh_with_a_way_out_is_left_by_it() -> None:
    crossed, leaf = mesh(6)
    trusted = root("Mesh 5", "Mesh", key=crossed[-1].key)
    result = search(leaf.value, [each.value for each in crossed], store(trusted), AT)
    assert bounded(result) and result.paths[0].ok


def test_namesakes_in_plenty_are_bounded() -> None:
    namesakes = [authority("Same", root("Same")) for _ in range(SIGNATURES + 20)]
    top = root()
    issuing = authority("Same", top)
    leaf = server(issuing)
    result = search(leaf.value, [each.value for each in (*namesakes, issuing)], store(top), AT)
    assert bounded(result) and result.paths[0].ok  # the key identifier finds the right one first
    result = search(leaf.value, [each.value for each in namesakes], store(top), AT)
    assert bounded(result) and not result.paths[0].ok


def test_a_ring_of_two_ends() -> None:
    one, two = root("One"), root("Two")
    crossed = (authority("One", two, key=one.key), authority("Two", one, key=two.key))
    (path,) = found(server(one), crossed, store(root()))
    assert kinds(path) == [("issuer_missing", 2)]


def test_a_chain_deeper_than_any_honest_one_is_cut() -> None:
    top = root()
    chain = [authority("Level 0", top)]
    for level in range(1, DEPTH + 2):
        chain.append(authority(f"Level {level}", chain[-1]))
    for view in (MODERN, TRUSTED_FIRST):
        path = found(server(chain[-1]), tuple(chain), store(top), view=view)[0]
        assert path.has("path_length") and not path.ok
    for view in (SERVER_ORDER, STRICT):
        assert not found(server(chain[-1]), tuple(reversed(chain)), store(top), view=view)[0].ok


@pytest.mark.parametrize("view", [MODERN, TRUSTED_FIRST, SERVER_ORDER, STRICT], ids=lambda view: view.name)
def test_what_is_remembered_of_one_moment_is_told_of_no_other(view: View) -> None:
    """Every date on the way counts: the leaf's, an issuer's, a store member's that leads on, the root's above it."""
    top = root(end=AT + 9 * DAY)
    held = authority("Held", top, end=AT + 7 * DAY)
    issuing = authority("Issuing", held, start=AT - 5 * DAY, end=AT + 5 * DAY)
    leaf = server(issuing, start=AT - 3 * DAY, end=AT + 3 * DAY)
    anchors = store(top, held)
    moments = [AT + (days + part) * DAY for days in (-5, -3, 0, 3, 5, 7, 9) for part in (-1e-5, 0, 1e-6, 1e-5)]
    for at in moments:
        fresh = _searched.__wrapped__(leaf.value, (issuing.value,), anchors, _Moment(at, ()), view)
        assert search(leaf.value, [issuing.value], anchors, at, view=view) == fresh
