"""Certificate policies: OpenSSL, told to check them, agrees on every path."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.pki import verify
from probes.pki.views import MODERN, TRUSTED_FIRST, View
from tests.pki_tests.issuing import AT, HOST, Issued, authority, root, server, tlv

ONE, TWO, ANY = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "2.5.29.32.0"


@dataclass(frozen=True)
class Step:
    """What a certificate says of policies."""

    policies: tuple[str, ...] = ()
    mapped: tuple[tuple[str, str], ...] = ()
    demand: int | None = None
    no_mapping: int | None = None
    no_any: int | None = None
    rollover: bool = False  # of its issuer's name: self-issued

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        said: list[tuple[x509.ExtensionType, bool]] = []
        if self.policies:
            listed = [x509.PolicyInformation(x509.ObjectIdentifier(each), None) for each in self.policies]
            said.append((x509.CertificatePolicies(listed), False))
        if self.mapped:
            pairs = tlv(0x30, *(tlv(0x30, oid(above), oid(below)) for above, below in self.mapped))
            said.append((x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), pairs), True))
        if self.demand is not None or self.no_mapping is not None:
            said.append((x509.PolicyConstraints(self.demand, self.no_mapping), True))
        if self.no_any is not None:
            said.append((x509.InhibitAnyPolicy(self.no_any), True))
        return said


def oid(text: str) -> bytes:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(text), None)]).public_bytes()[4:]


TOP = root()


def issued(steps: tuple[Step, ...]) -> tuple[Issued, ...]:
    """A chain, leaf first, without the root; the last step is the leaf."""
    chain: list[Issued] = [TOP]
    for number, step in enumerate(steps[:-1]):
        above = chain[-1].value.common_name if step.rollover else None
        chain.append(authority(above or f"CA {number}", chain[-1], more=step.extensions()))
    chain.append(server(chain[-1], more=steps[-1].extensions()))
    return tuple(reversed(chain[1:]))


def ours(chain: tuple[Issued, ...], view: View = MODERN) -> bool:
    return verify([each.der for each in chain], anchors=[TOP.der], host=HOST, at=AT, view=view).ok


def by_openssl(chain: tuple[Issued, ...]) -> bool:
    """The program, since pyOpenSSL cannot say that any policy will do."""
    with TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("anchor", "issuers", "leaf")}
        files["anchor"].write_text(TOP.pem)
        files["issuers"].write_text("".join(each.pem for each in chain[1:]))
        files["leaf"].write_text(chain[0].pem)
        options = ["-policy_check", "-policy", ANY, "-attime", str(int(AT.timestamp())), "-no-CApath", "-no-CAstore"]
        known = ["-CAfile", str(files["anchor"]), "-untrusted", str(files["issuers"])]
        command = ["openssl", "verify", *options, *known, str(files["leaf"])]
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


DEMANDING = Step(policies=(ONE,), demand=0)
CASES: dict[str, tuple[tuple[Step, ...], bool]] = {
    "none demanded": ((Step(policies=(ONE,)), Step()), True),
    "demanded and there": ((DEMANDING, Step(policies=(ONE,))), True),
    "demanded and absent": ((DEMANDING, Step()), False),
    "demanded and another": ((DEMANDING, Step(policies=(TWO,))), False),
    "any will do": ((Step(policies=(ANY,), demand=0), Step(policies=(TWO,))), True),
    "any forbidden": ((Step(policies=(ONE,), demand=0, no_any=0), Step(policies=(ANY,))), False),
    "any allowed": ((DEMANDING, Step(policies=(ANY,))), True),
    "demanded later than here": ((Step(policies=(ONE,), demand=3), Step()), True),
    "mapped": ((Step(policies=(ONE,), mapped=((ONE, TWO),), demand=0), Step(policies=(TWO,))), True),
    "mapped away": ((Step(policies=(ONE,), mapped=((ONE, TWO),), demand=0), Step(policies=(ONE,))), False),
    "mapped, and mapping forbidden": (
        (
            Step(policies=(ONE,), demand=0, no_mapping=0),
            Step(policies=(ONE,), mapped=((ONE, TWO),)),
            Step(policies=(TWO,)),
        ),
        False,
    ),
    "any mapped": ((Step(policies=(ANY,), mapped=((ANY, TWO),)), Step(policies=(TWO,))), False),
}


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program here")


@pytest.mark.parametrize("label", CASES)
def test_policies_hold_or_not(label: str) -> None:
    steps, holds = CASES[label]
    assert ours(issued(steps)) is holds


@needs_openssl
@pytest.mark.parametrize("label", CASES)
def test_openssl_agrees(label: str) -> None:
    steps, holds = CASES[label]
    assert by_openssl(issued(steps)) is holds


def test_openssl_by_default_does_not_ask() -> None:
    assert ours(issued((DEMANDING, Step())), TRUSTED_FIRST)


few = st.sampled_from((None, None, 0, 1))
some = st.lists(st.sampled_from((ONE, TWO, ANY)), max_size=3, unique=True).map(tuple)
pairs = st.lists(st.tuples(st.sampled_from((ONE, TWO)), st.sampled_from((ONE, TWO))), max_size=2, unique=True)
# OpenSSL maps below an anyPolicy that is inhibited (section 6.1.3 d 2 would have dropped it): not drawn.
authorities = st.builds(
    Step,
    policies=some,
    mapped=pairs.map(tuple),
    demand=few,
    no_mapping=few,
    no_any=few,
    rollover=st.booleans(),
).filter(lambda step: not (step.mapped and ANY in step.policies))


@needs_openssl
@settings(max_examples=60, deadline=None)
@given(st.lists(authorities, min_size=1, max_size=3), some)
def test_generated_policies_are_judged_as_openssl_judges_them(above: list[Step], last: tuple[str, ...]) -> None:
    chain = issued((*above, Step(policies=last)))
    assert ours(chain) is by_openssl(chain)
