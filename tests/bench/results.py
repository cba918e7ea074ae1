"""What was measured, as values. Pure: nothing here runs, waits or reads a clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Samples of one quantity, in the unit that its column or aim names. Never empty."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def least(self) -> float:
        return min(self.samples)

    @property
    def most(self) -> float:
        return max(self.samples)

    @property
    def mean(self) -> float:
        return math.fsum(self.samples) / len(self.samples)

    def percentile(self, share: float) -> float:
        """The nearest-rank percentile: the smallest sample that *share* (0 to 1) of all do not exceed."""
        ordered = sorted(self.samples)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(samples: list[float]) -> Spread:
    return Spread(samples=tuple(samples))


Cell: TypeAlias = str | float | Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A promise and what was measured for it, both in `unit`.

    Met when the measurement is not above the limit; with `at_least`, when it is not below.
    """

    what: str
    limit: float
    measured: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One benchmark: how it was done, its table, its aims, and what a reader should know beside them."""

    name: str
    title: str
    method: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    aims: tuple[Aim, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and when. `load` is the one-minute load average before the first benchmark."""

    date: str
    system: str
    cores: int
    processor: str
    load: float
    software: tuple[str, ...]  # name and version, of everything that took part


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole run."""

    machine: Machine
    server: str
    quick: bool
    sections: tuple[Section, ...]
    skipped: tuple[str, ...] = ()  # what, and why
