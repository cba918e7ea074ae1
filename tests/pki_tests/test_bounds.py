"""Hostile meshes cost a bounded number of operations, and what is reachable in them is still found."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import pytest
from cryptography import x509

from probes.pki import constraints, verify
from probes.pki.certificate import Certificate
from probes.pki.paths import PATHS, SIGNATURES, STEPS, Found, search
from probes.pki.views import MODERN
from tests.pki_tests.issuing import AT, HOST, Issued, authority, root, server, store

PEERS = 9


@cache
def selves(same_name: bool) -> tuple[Issued, ...]:
    return tuple(root("Mesh" if same_name else f"Mesh {number}") for number in range(PEERS))


@cache
def mesh(same_name: bool) -> tuple[Issued, ...]:
    """Authorities that all signed each other, of one name or of several."""
    return tuple(cross(one, by) for by, one in permutations(selves(same_name), 2))


def cross(one: Issued, by: Issued) -> Issued:
    assert one.value.common_name
    return authority(one.value.common_name, by, key=one.key)


def looked(leaf: Issued, pool: tuple[Issued, ...], anchor: Issued) -> Found:
    return search(leaf.value, [each.value for each in pool], store(anchor), AT, view=MODERN)


def bounded(found: Found) -> bool:
    return found.signatures_checked <= SIGNATURES and len(found.paths) <= PATHS + 1


@pytest.mark.parametrize("same_name", [True, False])
def test_a_mesh_without_a_way_out_is_given_up(same_name: bool) -> None:
    found = looked(server(selves(same_name)[0]), mesh(same_name), root("Elsewhere"))
    assert bounded(found) and not found.paths[0].ok


@pytest.mark.parametrize("same_name", [True, False])
@pytest.mark.parametrize("exit_at", [0, 4, PEERS - 1])
def test_the_one_way_out_of_a_mesh_is_found(same_name: bool, exit_at: int) -> None:
    top = root("Top")
    out = cross(selves(same_name)[exit_at], top)
    found = looked(server(selves(same_name)[0]), (*mesh(same_name), out), top)
    assert bounded(found) and found.paths[0].ok


def test_copies_of_one_authority_are_one() -> None:
    own, other = selves(False)[:2]
    copies = tuple(cross(own, other) for _ in range(40))
    found = looked(server(own), copies, root("Elsewhere"))
    assert bounded(found) and not found.paths[0].ok and found.signatures_checked <= 3


def test_impostors_do_not_use_up_the_signatures() -> None:
    top = root()
    issuing = authority("Issuing", top)
    impostors = tuple(authority("Issuing", top) for _ in range(SIGNATURES + 8))
    found = looked(server(issuing), (*impostors, issuing), top)
    assert found.paths[0].ok and found.signatures_checked <= 4


def test_two_authorities_that_signed_each_other_end_in_one_dead_end() -> None:
    one, other = selves(False)[:2]
    found = looked(server(one), (cross(one, other), cross(other, one)), root("Elsewhere"))
    assert [fault.kind for fault in found.paths[0].faults] == ["issuer_missing"] and len(found.paths) == 1


@pytest.mark.parametrize(("number", "ok"), [(200, True), (600, False)])
def test_as_many_constraints_and_names_as_clients_compare(number: int, ok: bool) -> None:
    trees = [x509.DNSName("example.com"), *(x509.DNSName(f"t{each}.example.org") for each in range(number))]
    issuing = authority("Limited", root(), constraints=x509.NameConstraints(trees, None))
    leaf = server(issuing, HOST, *(f"t{each}.example.org" for each in range(number)))
    assert (number * number > constraints.TOO_MANY) is not ok
    found = verify([leaf.der, issuing.der], anchors=[root_of(issuing)], host=HOST, at=AT)
    assert ("name_constraint" in found.reasons) is not ok


def test_a_thousand_faults_of_one_kind_are_told_in_part() -> None:
    issuing = authority("Limited", root(), constraints=x509.NameConstraints([x509.DNSName("example.net")], None))
    leaf = server(issuing, *(f"t{each}.example.org" for each in range(1000)))
    said = list(constraints.complaints(issuing.value, (leaf.value,)))
    assert 0 < len(said) < 20


def test_steps_are_few_for_a_healthy_chain() -> None:
    top = root()
    issuing = authority("Issuing", top)
    found = looked(server(issuing), (issuing, top), top)
    assert found.signatures_checked <= 3 and STEPS > 3 and isinstance(found.paths[0].certificates[0], Certificate)


def root_of(issued: Issued) -> bytes:
    """A stand-in of the store: the authority itself, as an anchor."""
    return issued.der
