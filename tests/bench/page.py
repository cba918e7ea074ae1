"""BENCHMARKS.md from the results of a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tests.bench.results import Aim, Cell, Results, Section, Spread

Row: TypeAlias = tuple[str, ...]
BUSY_LOAD = 1.0

_NOT_MEASURED = (
    "Real networks: every connection stays on this machine's loopback. The 50 ms path is a proxy that delays bytes; "
    "it loses none and has no bandwidth limit.",
    "DNS: addresses are given, as with `--resolve`. A look-up adds its own time.",
    "IPv6, and names with more than one address.",
    "The server's own CPU, which shares the cores with the program that is measured.",
)


def page(results: Results) -> str:
    """The whole file, in Markdown."""
    parts = [_head(results), _aims(results), *(_section(section) for section in results.sections), _rest(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: Results) -> str:
    machine = results.machine
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; every number below is from one run on one machine. Unless a column says otherwise, "
        "a cell is the median, with the least and the most in brackets. Tools that are compared run against the same "
        "server in the same run, in an order drawn anew each round.",
        "",
        f"- Date: {machine.date}",
        f"- Machine: {machine.cores} cores, {machine.processor}, {machine.system}",
        f"- Server under test: {results.server}",
        f"- Software: {', '.join(machine.software)}",
    ]
    if machine.load > BUSY_LOAD:
        lines.append(
            f"- **The machine was not idle: load average {machine.load:.1f} on {machine.cores} cores before the run. "
            "Times are longer than on an idle machine, and spread more.**"
        )
    if results.quick:
        lines.append("- **Quick run: few repeats.** For orientation alone.")
    return "\n".join(lines)


def _aims(results: Results) -> str:
    aims = [aim for section in results.sections for aim in section.aims]
    if not aims:
        return ""
    missed = sum(not aim.met for aim in aims)
    verdict = "All aims are met." if not missed else f"{missed} of {len(aims)} aims are **not met**."
    rows = [(aim.what, _with_unit(aim.measured, aim), _limit(aim), _met(aim)) for aim in aims]
    return f"## Aims\n\n{verdict}\n\n" + table(("aim", "measured", "limit", ""), rows)


def _limit(aim: Aim) -> str:
    return f"{'≥' if aim.at_least else '≤'} {_with_unit(aim.limit, aim)}"


def _met(aim: Aim) -> str:
    return "met" if aim.met else "**not met**"


def _with_unit(value: float, aim: Aim) -> str:
    return f"{number(value)} {aim.unit}".rstrip()


def _section(section: Section) -> str:
    parts = [f"## {section.title}", section.method, table(section.columns, section.rows)]
    parts += [f"{note}" for note in section.notes]
    return "\n\n".join(parts)


def _rest(results: Results) -> str:
    parts = []
    if results.skipped:
        parts.append("## Skipped in this run\n\n" + "\n".join(f"- {line}" for line in results.skipped))
    parts.append("## Not measured\n\n" + "\n".join(f"- {line}" for line in _NOT_MEASURED))
    return "\n\n".join(parts)


def table(columns: Row, rows: Sequence[Sequence[Cell]]) -> str:
    """A Markdown table whose columns line up in a terminal, too."""
    shown: list[Row] = [columns, *(tuple(cell(each) for each in row) for row in rows)]
    widths = [max(len(row[at]) for row in shown) for at in range(len(columns))]
    padded = ([text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in shown)
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def cell(value: Cell) -> str:
    if isinstance(value, Spread):
        if len(value.samples) == 1:
            return number(value.median)
        return f"{number(value.median)} ({number(value.least)}–{number(value.most)})"
    if isinstance(value, str):
        return value.replace("|", "\\|")
    return number(value)


def number(value: float) -> str:
    """Three figures or so: more would claim a precision that no run has."""
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
