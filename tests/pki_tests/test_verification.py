"""The entry for outsiders: what it answers, and what it makes of torn certificates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from probes import pki
from probes.pki.views import BASELINE, MODERN
from tests.pki_tests.issuing import AT, CLIENT, HOST, Issued, authority, root, server, usage

TOP = root()
# Every client skips this extension, and a strict parser refuses the certificate for it.
TORN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.1"), b"malformed")


def answer(*served: Issued, anchors: tuple[Issued, ...] = (TOP,), host: str | None = HOST, **more: object) -> object:
    chain, held = [each.der for each in served], [each.der for each in anchors]
    return pki.verify(chain, anchors=held, host=host, at=AT, **more)  # type: ignore[arg-type]


def reasons(*served: Issued, **more: object) -> tuple[str, ...]:
    found = answer(*served, **more)  # type: ignore[arg-type]
    assert isinstance(found, pki.Verification) and found.ok is not bool(found.reasons)
    return found.reasons


def test_all_paths_and_the_name_are_told() -> None:
    found = answer(server(TOP))
    assert isinstance(found, pki.Verification) and found.ok and not found.truncated
    assert len(found.paths) == 1 and found.name is not None and found.name.by == HOST


def test_nothing_and_no_certificate_are_reasons() -> None:
    assert pki.verify([], anchors=[TOP.der], host=HOST, at=AT).reasons == ("no_leaf",)
    assert pki.verify([b"\x30\x00"], anchors=[TOP.der], host=HOST, at=AT).reasons == ("unreadable_leaf",)


def test_what_is_no_certificate_is_passed_over() -> None:
    issuing = authority("Issuing", TOP)
    found = pki.verify([server(issuing).der, b"", b"junk", issuing.der], anchors=[b"junk", TOP.der], host=HOST, at=AT)
    assert found.ok


def test_a_chain_fault_and_a_name_fault_are_both_told() -> None:
    assert reasons(server(root("Other")), host="other.example.org") == ("issuer_missing", "other-names")


@pytest.mark.parametrize("host", ["", "a..b", "*.example.com", "x" * 300])
def test_what_is_no_host_is_covered_by_nothing(host: str) -> None:
    assert reasons(server(TOP), host=host) == ("not-a-host",)


def test_an_unknown_name_of_the_package_is_none() -> None:
    with pytest.raises(AttributeError):
        pki.nothing  # noqa: B018


def test_an_intermediate_or_the_leaf_may_be_the_anchor() -> None:
    issuing = authority("Issuing", TOP)
    leaf = server(issuing)
    assert reasons(leaf, TOP, anchors=(issuing,)) == () == reasons(leaf, anchors=(leaf,))


def test_a_clients_certificate_is_judged_for_its_purpose() -> None:
    issuing = authority("Issuing", TOP, eku=CLIENT)
    leaf = server(issuing, eku=CLIENT)
    assert reasons(leaf, issuing) == ("wrong_usage",)
    assert reasons(leaf, issuing, host=None, view=replace(MODERN, purpose="client")) == ()


def test_no_more_intermediates_than_the_view_allows_but_for_a_rollover() -> None:
    upper = authority("Upper", TOP)
    rolled = authority("Upper", upper)
    lower = authority("Lower", upper)
    one = replace(MODERN, most_intermediates=1)
    assert reasons(server(lower), lower, upper, view=one) == ("path_length",)
    assert reasons(server(rolled), rolled, upper, view=one) == () == reasons(server(upper), upper, view=one)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eku": CLIENT}, "wrong_usage"),
        ({"key_usage": usage("crl_sign")}, "wrong_usage"),
        ({"ca": True}, "wrong_usage"),
    ],
)
def test_a_torn_extension_hides_no_other_of_a_leaf(changes: dict[str, object], reason: str) -> None:
    leaf = server(TOP, more=[(TORN, False)], **changes)
    assert leaf.value.defects and not leaf.value.broken
    assert reasons(leaf) == (reason,) and reasons(server(TOP, more=[(TORN, False)])) == ()


def test_a_torn_extension_hides_no_path_length() -> None:
    upper = authority("Upper", TOP, path_len=0, more=[(TORN, False)])
    lower = authority("Lower", upper)
    assert reasons(server(lower), lower, upper) == ("path_length",)
    assert reasons(server(upper), upper) == ()


@pytest.mark.parametrize("torn", [b"", b"\x05\x00", b"\x30\x05junk!", b"\x30\x04\xa0\x02\x30\x00"])
def test_name_constraints_that_cannot_be_read_are_not_taken_for_none(torn: bytes) -> None:
    constraints = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.30"), torn)
    issuing = authority("Issuing", TOP, more=[(constraints, True)])
    assert "name_constraint" in reasons(server(issuing), issuing)


def test_empty_name_constraints_limit_nothing() -> None:
    empty = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.30"), b"\x30\x00")
    issuing = authority("Issuing", TOP, more=[(empty, True)])
    assert reasons(server(issuing), issuing) == ()
    assert reasons(server(issuing), issuing, view=BASELINE) == ("profile",)
