"""The software itself: each program is started once for all endpoints, or once for each where it knows one only."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.software.spots import Spot

PROGRAMS = Path(__file__).parent / "programs"
WITHIN_S = 60
EACH_WITHIN_S = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program did at one endpoint; *said* is its own word, for the reader of a failed test."""

    passed: bool
    said: str


Outcomes = dict[str, Outcome]  # by the endpoint's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """A program that stands for a family. *ask* takes the endpoints and a PEM file of roots."""

    name: str
    family: str
    command: str
    ask: Callable[[Sequence[Spot], Path], Outcomes]
    needs: Callable[[], str | None] = lambda: None

    @property
    def missing(self) -> str | None:
        """Why it cannot be asked here, or None."""
        return f"{self.command} is not installed" if shutil.which(self.command) is None else self.needs()


def _run(words: Sequence[str], spots: Sequence[Spot], **more: object) -> Outcomes:
    """One process for all: lines "id host address port" in, lines "id ok" or "id WHAT IS WRONG" out."""
    lines = "\n".join(f"{spot.id} {spot.host} {spot.address} {spot.port}" for spot in spots)
    ran = subprocess.run(words, input=lines, capture_output=True, text=True, check=False, timeout=WITHIN_S, **more)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stderr[-2000:]
    answers = (line.partition(" ") for line in ran.stdout.splitlines())
    found = {id: Outcome(passed=said == "ok", said=said[:300]) for id, _, said in answers}
    assert set(found) == {spot.id for spot in spots}, (ran.stdout[-2000:], ran.stderr[-2000:])
    return found


def _each(ask: Callable[[Spot], Outcome], spots: Sequence[Spot]) -> Outcomes:
    with ThreadPoolExecutor(4) as pool:
        return dict(zip((spot.id for spot in spots), pool.map(ask, spots), strict=True))


def _node(spots: Sequence[Spot], roots: Path) -> Outcomes:
    return _run(["node", str(PROGRAMS / "client.mjs"), str(roots)], spots)


def _python(spots: Sequence[Spot], roots: Path) -> Outcomes:
    return _run([_python_with_requests() or "", str(PROGRAMS / "client.py"), str(roots)], spots)


@cache
def _python_with_requests() -> str | None:
    """An interpreter that has requests; the virtualenv's own has not."""
    for name in ("python3.11", "/usr/bin/python3", "python3"):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", "import requests"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def _java(spots: Sequence[Spot], roots: Path) -> Outcomes:
    with tempfile.TemporaryDirectory() as directory:
        hosts = Path(directory) / "hosts"
        hosts.write_text("".join(f"{spot.address} {spot.host}\n" for spot in spots if not spot.is_ip))
        options = [f"-Djdk.net.hosts.file={hosts}", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        return _run(["java", *options, str(PROGRAMS / "Client.java"), str(roots)], spots)


def _go(spots: Sequence[Spot], roots: Path) -> Outcomes:
    return _run(["go", "run", str(PROGRAMS / "client.go"), str(roots)], spots)


def _curl(spots: Sequence[Spot], roots: Path) -> Outcomes:
    def ask(spot: Spot) -> Outcome:
        words = ["curl", "-sS", "-o", "/dev/null", "--max-time", str(EACH_WITHIN_S), "--cacert", str(roots)]
        words += [] if spot.is_ip else ["--resolve", f"{spot.host}:{spot.port}:{spot.address}"]
        ran = subprocess.run([*words, f"https://{spot.host}:{spot.port}/"], capture_output=True, text=True, check=False)
        return Outcome(passed=ran.returncode == 0, said=f"{ran.returncode} {ran.stderr.strip()[:250]}")

    return _each(ask, spots)


def _openssl(spots: Sequence[Spot], roots: Path) -> Outcomes:
    def ask(spot: Spot) -> Outcome:
        words = ["openssl", "s_client", "-connect", f"{spot.address}:{spot.port}", "-CAfile", str(roots), "-brief"]
        words += ["-verify_return_error", "-verify_ip" if spot.is_ip else "-verify_hostname", spot.host]
        words += ["-noservername"] if spot.is_ip else ["-servername", spot.host]
        # A request, and reading on until the server closes: a refusal in TLS 1.3 comes after the handshake.
        ran = subprocess.run(
            [*words, "-ign_eof"],
            input="GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=EACH_WITHIN_S,
        )
        said = " ".join((ran.stderr + ran.stdout).split())
        return Outcome(passed=ran.returncode == 0 and "alert" not in ran.stderr, said=f"{ran.returncode} {said[-250:]}")

    return _each(ask, spots)


SOFTWARE: tuple[Software, ...] = (
    Software(name="curl", family="curl", command="curl", ask=_curl),
    # `openssl s_client` is held to curl's family: the same library, asked without curl around it.
    Software(name="openssl", family="curl", command="openssl", ask=_openssl),
    Software(
        name="python",
        family="python",
        command="python3",
        ask=_python,
        needs=lambda: None if _python_with_requests() else "no interpreter here has requests",
    ),
    Software(name="node", family="node", command="node", ask=_node),
    Software(name="java", family="java", command="java", ask=_java),
    Software(name="go", family="go", command="go", ask=_go),
)
