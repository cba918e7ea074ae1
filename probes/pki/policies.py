"""Certificate policies along a path (RFC 5280 sections 6.1.2 to 6.1.5), for clients that ask for none of their own.

All that matters then is whether some policy is valid from the anchor to the leaf, where a certificate on the way
demands one. A level of the policy tree is kept as what its nodes expect (RFC 9618: the tree itself may explode).
"""

from __future__ import annotations

from probes.pki.certificate import Certificate
from probes.pki.extensions import CERTIFICATE_POLICIES, Extensions

ANY_POLICY = "2.5.29.32.0"
_Level = dict[str, frozenset[str]]  # a valid policy, and what is expected of it one certificate below


def complaint(chain: tuple[Certificate, ...]) -> str | None:
    """Why the policies of a *chain* (leaf first, its last member the anchor) do not hold, or None."""
    below = chain[-2::-1]
    for each in below:
        # Where none of these is, nothing can fail: nearly everywhere.
        if each.extensions.require_explicit_policy is not None or each.extensions.policy_mappings:
            return _Walk(len(below)).along(below)
    return None


class _Walk:
    """The state variables of section 6.1.2, named as there."""

    def __init__(self, length: int) -> None:
        self.explicit_policy = self.policy_mapping = self.inhibit_any = length + 1
        self.valid: _Level = {ANY_POLICY: frozenset({ANY_POLICY})}

    def along(self, path: tuple[Certificate, ...]) -> str | None:
        for certificate in path:
            last = certificate is path[-1]
            self._meet(certificate, last=last)
            if not self.valid and not self.explicit_policy:
                return "a certificate above demands a policy, and none is valid down to here"
            if last:
                return self._wrap_up(certificate.extensions)
            if any(ANY_POLICY in pair for pair in certificate.extensions.policy_mappings):
                return "its policyMappings map anyPolicy"
            self._prepare(certificate)
        return None

    def _meet(self, certificate: Certificate, *, last: bool) -> None:
        """Section 6.1.3 d and e: what of the level above goes on."""
        extensions = certificate.extensions
        if CERTIFICATE_POLICIES not in extensions.present:
            self.valid = {}
            return
        expected = frozenset().union(*self.valid.values())
        found: _Level = {
            policy: frozenset({policy})
            for policy in extensions.policies
            if policy != ANY_POLICY and (policy in expected or ANY_POLICY in self.valid)
        }
        if ANY_POLICY in extensions.policies and (self.inhibit_any or (not last and certificate.is_self_issued)):
            for policy in expected:
                found.setdefault(policy, frozenset({policy}))
        self.valid = found

    def _prepare(self, certificate: Certificate) -> None:
        """Section 6.1.4 b and h to j."""
        extensions = certificate.extensions
        self._map(extensions.policy_mappings)
        if not certificate.is_self_issued:
            self.explicit_policy = max(self.explicit_policy - 1, 0)
            self.policy_mapping = max(self.policy_mapping - 1, 0)
            self.inhibit_any = max(self.inhibit_any - 1, 0)
        self.explicit_policy = _lower(self.explicit_policy, extensions.require_explicit_policy)
        self.policy_mapping = _lower(self.policy_mapping, extensions.inhibit_policy_mapping)
        self.inhibit_any = _lower(self.inhibit_any, extensions.inhibit_any_policy)

    def _map(self, mappings: tuple[tuple[str, str], ...]) -> None:
        targets: dict[str, set[str]] = {}
        for above, beneath in mappings:
            targets.setdefault(above, set()).add(beneath)
        for policy, expected in targets.items():
            if not self.policy_mapping:
                self.valid.pop(policy, None)
            elif policy in self.valid or ANY_POLICY in self.valid:
                self.valid[policy] = frozenset(expected)

    def _wrap_up(self, leaf: Extensions) -> str | None:
        """Section 6.1.5 a, b and g, where any policy will do."""
        demanded = self.explicit_policy <= 1 or leaf.require_explicit_policy == 0
        return "a certificate above demands a policy, and it has no valid one" if demanded and not self.valid else None


def _lower(value: int, bound: int | None) -> int:
    return value if bound is None else min(value, bound)
