"""Names that look like a watched domain: for a digest line, never for an alarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from probes.ct.walk import Names

Why = Literal["confusable", "one edit", "another TLD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalike:
    """A name in a certificate that looks like *domain* without being it or below it."""

    name: str
    domain: str
    why: Why


class Lookalikes:
    """The watched domains, made ready for look-ups."""

    __slots__ = ("_domains",)

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = tuple(domains)

    def may_match(self, names: Iterable[bytes]) -> bool:
        """False only when `match` finds nothing."""
        return False

    def match(self, names: Names) -> tuple[Lookalike, ...]:
        """What looks like a watched domain among these names."""
        return ()


def lookalikes(domains: Iterable[str]) -> Lookalikes:
    """A matcher for one domain or many."""
    return Lookalikes([domains] if isinstance(domains, str) else domains)
