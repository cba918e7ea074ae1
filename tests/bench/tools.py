"""The commands that are compared, each as a person would run it against the server under test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.bench.ground import NAME, Ground

Words: TypeAlias = Callable[[Ground, str, int], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`words(ground, address, port)` is the command line; `does` says what a run of it finds out.

    What takes a minute is run `once` where others are run in every round.
    """

    name: str
    does: str
    version: str
    words: Words
    once: bool = False


def tls() -> list[str]:
    """`tls` of this virtual environment, else the module."""
    script = Path(sys.executable).parent / "tls"
    return [str(script)] if script.exists() else [sys.executable, "-m", "probes"]


def tls_check(ground: Ground, address: str, port: int) -> list[str]:
    place = ["--resolve", f"{NAME}:{port}:{address}", "--ca-file", str(ground.root_file)]
    return [*tls(), "check", f"{NAME}:{port}", *place, "--json"]


def s_client(ground: Ground, address: str, port: int) -> list[str]:
    where = ["-connect", f"{address}:{port}", "-servername", NAME]
    return ["openssl", "s_client", *where, "-CAfile", str(ground.root_file), "-verify_return_error", "-brief"]


def _curl(ground: Ground, address: str, port: int) -> list[str]:
    place = ["--resolve", f"{NAME}:{port}:{address}", "--cacert", str(ground.root_file)]
    return ["curl", "-s", "-o", os.devnull, "--noproxy", "*", *place, f"https://{NAME}:{port}/"]


def _sslscan(ground: Ground, address: str, port: int) -> list[str]:
    return ["sslscan", "--no-colour", f"--sni-name={NAME}", f"{address}:{port}"]


def _sslyze(program: str) -> Words:
    def words(ground: Ground, address: str, port: int) -> list[str]:
        return [program, "--sni", NAME, f"{address}:{port}"]

    return words


def _testssl(program: str) -> Words:
    def words(ground: Ground, address: str, port: int) -> list[str]:
        quiet = ["--color", "0", "--quiet", "--warnings", "off", "--ip", address, "--add-ca", str(ground.root_file)]
        return [program, *quiet, f"{NAME}:{port}"]

    return words


def _testssl_version(program: str | None) -> str:
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    said = re.search(r"testssl\S*\s+(?:version\s+)?(\d[\w.]*)", done.stdout)
    return f"testssl.sh {said[1]}" if said else "testssl.sh"


def rivals() -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The tools that are here, and a line for each that is not.

    sslyze and testssl.sh are run when they are on PATH, or the variables SSLYZE and TESTSSL name their programs.
    They are no dependencies: their licences are the AGPL and the GPL.
    """
    found: list[Tool] = []
    lacking: list[str] = []

    def add(name: str, does: str, program: str | None, version: str, words: Words, *, once: bool = False) -> None:
        if program is None:
            lacking.append(f"{name}: not installed")
        else:
            found.append(Tool(name=name, does=does, version=version, words=words, once=once))

    openssl, curl, scan = shutil.which("openssl"), shutil.which("curl"), shutil.which("sslscan")
    add("openssl s_client", "one handshake", openssl, " ".join(first_line("openssl", "version").split()[:2]), s_client)
    add("curl", "one request", curl, " ".join(first_line("curl", "--version").split()[:2]), _curl)
    scan_version = "sslscan " + first_line("sslscan", "--version").split("\t")[-1].strip()
    add("sslscan", "versions, suites, groups, certificate", scan, scan_version, _sslscan)
    lyze = os.environ.get("SSLYZE") or shutil.which("sslyze")
    add("sslyze", "all its default commands", lyze, _sslyze_version(lyze), _sslyze(lyze or ""))
    script = os.environ.get("TESTSSL") or shutil.which("testssl.sh") or shutil.which("testssl")
    add("testssl.sh", "all its default checks", script, _testssl_version(script), _testssl(script or ""), once=True)
    return tuple(found), tuple(lacking)


def first_line(*words: str) -> str:
    """The first line that *words* prints, without escape sequences; empty where it cannot run."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return next((line.strip() for line in plain.splitlines() if line.strip()), "")


def _sslyze_version(program: str | None) -> str:
    if program is None:
        return ""
    # It has no --version; its distribution knows.
    python = Path(program).resolve().parent / "python"
    ask = "from importlib.metadata import version; print(version('sslyze'))"
    return f"sslyze {first_line(str(python), '-c', ask) if python.exists() else ''}".strip()
