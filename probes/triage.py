"""The triage question "all clients, or one family?", answered from the evidence in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from probes.clients import CURRENT, FAMILIES, FAMILY, Family
from probes.model import ClientReport

BROWSERS = frozenset({"chrome", "firefox", "safari"})
_UNSENT = frozenset({"chain.incomplete", "chain.wrong-intermediate"})  # what fetching an issuer mends
_SHOWN = 4


def who_fails(clients: Iterable[ClientReport]) -> str:
    """Who fails and what they share, as a clause without a full stop. A family that was not judged counts nowhere."""
    judged = {client.name: client for client in clients if client.name in FAMILY}
    failing = [family for family in FAMILIES if family.name in judged and judged[family.name].outcome == "fail"]
    passing = [family for family in FAMILIES if family.name in judged and family not in failing]
    if not judged:
        return "no client could be judged"
    if not failing:
        return "every client passes"
    if not passing:
        return "every client fails"
    current = [family for family in failing if family.current]
    if not current:
        return f"only {_people(failing)} {_fail(failing)}, for {'its' if len(failing) == 1 else 'their'} age"
    spared = [family for family in passing if family.current]
    if not spared:
        return f"every current client fails; {_people(passing)} {_pass(passing)}"
    return _some(current, spared, judged)


def _some(failing: Sequence[Family], passing: Sequence[Family], judged: dict[str, ClientReport]) -> str:
    """Some current clients fail and some pass: by what do they differ?"""
    codes = {judged[family.name].code for family in failing}
    if codes <= _UNSENT and not any(family.aia for family in failing) and all(family.aia for family in passing):
        unmended = f"clients without AIA fetching fail ({_people(failing)})"
        return f"{unmended}; {_people(passing)}, which fetch what is missing, pass"
    if {family.name for family in failing} == BROWSERS:
        return "browsers fail; other current clients pass"
    if {family.name for family in passing} == BROWSERS:
        return "browsers pass; every other current client fails"
    if len(failing) == 1:
        return f"{failing[0].label} alone of {len(CURRENT)} current clients fails"
    if len(passing) <= len(failing):
        return f"every current client but {_people(passing)} fails"
    return f"{_people(failing)} fail; {len(passing)} other current clients pass"


def _people(families: Sequence[Family]) -> str:
    """ "curl", "curl and Go", "curl, Go, Java and 3 more"."""
    labels = [family.label for family in families]
    if len(labels) > _SHOWN:
        labels = [*labels[: _SHOWN - 1], f"{len(labels) - _SHOWN + 1} more"]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _fail(families: Sequence[Family]) -> str:
    return "fails" if len(families) == 1 else "fail"


def _pass(families: Sequence[Family]) -> str:
    return "passes" if len(families) == 1 else "pass"
