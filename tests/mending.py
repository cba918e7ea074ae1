"""Endpoints that are to be mended, for the tests of repairs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Fetched, Finding, Repair, Target, Trust
from probes.repairs import repairs
from probes.repairs.place import Place
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    ders,
    evidence,
    facts,
    healthy,
)
from tests.pki import Issued

URL = "http://ca.test/issuing.der"


def mended(seen: Facts) -> tuple[Repair, ...]:
    return repairs(seen, judge(seen))


def the(kind: str, found: tuple[Repair, ...]) -> Repair:
    return next(each for each in found if each.kind == kind)


def cause_of(seen: Facts) -> str | None:
    cause = judge(seen).cause
    return cause.code if cause else None


def serving(*served: Issued, fetched: tuple[Fetched, ...] = (), trust: Trust | None = None) -> Facts:
    shakes = healthy(server=replace(HEALTHY, chain=ders(*served)))
    return Facts(replace(evidence(shakes, trust=trust), fetched=fetched))


def found_for(code: str, *, target: str = "api.example.com:8443", addresses: tuple[str, ...] = (ADDRESS,)) -> Place:
    """A place with *code* for its cause, as a rule would hand it over."""
    asked = Target.parse(target)
    looks = [healthy(address, target=asked) for address in addresses]
    finding = Finding(
        code=code,
        severity="critical",
        explanation="",
        evidence=(),
        addresses=addresses,
        fix="",
        next_command="",
    )
    return Place(facts(*looks, target=asked), finding)


def ran(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
