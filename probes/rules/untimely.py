"""What the two rules about a leaf out of its time share: where it is served, and the lines that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from probes.clients import CURRENT
from probes.facts import Facts
from probes.look import Chain, Look, leaf_of
from probes.model import Severity
from probes.pki.certificate import Certificate
from probes.rules.obstructed import Obstructed
from probes.rules.phrase import date, issuer, subject, x509
from probes.rules.renewal import renewal_lines
from probes.values import value


def _key_name(leaf: Certificate) -> str:
    return {"rsa": "RSA", "ec": "ECDSA"}.get(leaf.key_kind, leaf.key_kind)


def _takes(leaf: Certificate) -> tuple[str, ...]:
    """The options with which s_client is shown a certificate with this kind of key."""
    return ("-tls1_2", "-cipher", "aRSA" if leaf.key_kind == "rsa" else "aECDSA")


@value
class Untimely(Obstructed):
    """The addresses that serve a leaf out of its time in one way, and the first such leaf.

    `is_second`: only what takes no certificate with the usual kind of key is shown it.
    """

    leaf: Certificate
    is_second: bool = False

    @property
    def subject(self) -> str:
        """What a sentence about it begins with."""
        if self.is_second:
            return f"The second certificate of {self.place}, for clients that take {_key_name(self.leaf)} keys alone,"
        return f"The certificate of {self.place}"

    @property
    def next_command(self) -> str:
        return x509(self.looks[0], "-subject", "-dates", takes=_takes(self.leaf) if self.is_second else ())

    @property
    def severity(self) -> Severity:
        is_current = any(family.name in self.fails_for for family in CURRENT)
        return "critical" if is_current or not self.is_second else "warning"

    @property
    def stops_all(self) -> bool:
        return not self.is_second


def untimely(facts: Facts, code: str) -> Iterator[Untimely]:
    """At most one: all addresses where a leaf has the fault *code*, and no server's clock says that it has not."""
    usual = _leaves(facts, code, lambda look: (chain for chain, _ in look.chains))
    leaves = usual or _leaves(facts, code, lambda look: look.second_chains)
    if not leaves:
        return
    looks = tuple(leaves)
    lines = [f"taken at {date(facts.now)} by this prober's clock"]
    for look, leaf in list(leaves.items())[:4]:
        lines += _lines(facts, look, leaf)
    lines += renewal_lines(facts, leaves[looks[0]])
    yield Untimely(
        code=code,
        looks=looks,
        leaf=leaves[looks[0]],
        fails_for=facts.fails_for(code, looks),
        evidence=tuple(lines),
        is_second=not usual,
    )


def _leaves(facts: Facts, code: str, chains: Callable[[Look], Iterable[Chain]]) -> dict[Look, Certificate]:
    leaves: dict[Look, Certificate] = {}
    for look in facts.looks:
        for chain in chains(look):
            leaf = leaf_of(chain)
            if leaf is not None and facts.time_fault(chain) == code and facts.clock_excuse(look, chain) is None:
                leaves.setdefault(look, leaf)
    return leaves


def _lines(facts: Facts, look: Look, leaf: Certificate) -> Iterator[str]:
    yield (
        f"{look.address}: {subject(leaf)}, issued by {issuer(leaf)}, "
        f"valid {date(leaf.not_before)} to {date(leaf.not_after)}, SHA-256 {leaf.sha256[:16]}…"
    )
    if facts.skews(look):
        yield f"{look.address}: the server's own clock (HTTP Date) is off, but by it the certificate is no better"
    elif any(shake.http is not None and shake.http.skew_s is not None for shake in look.handshakes):
        yield f"{look.address}: the server's own clock (HTTP Date) agrees"
