"""Debian's certspotter 0.16, run once over one RFC 6962 log: what it matched, and what that cost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("certspotter")
MISSING = "Debian's certspotter is not installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """*identities*: hex TBS hashes of what matched. *cpu_s*: user and system time of the process and its children."""

    identities: frozenset[str]
    verified: int
    cpu_s: float
    wall_s: float


def run(folder: Path, log_list: dict[str, Any], domains: Sequence[str]) -> Run:
    """Read the log of *log_list* from its start to its end, with state written and matches saved."""
    assert PROGRAM is not None
    (folder / "logs.json").write_text(json.dumps(log_list))
    (folder / "watchlist").write_text("".join(f".{domain}\n" for domain in domains))
    state = folder / "certspotter"
    began = time.monotonic()
    files = ["-logs", str(folder / "logs.json"), "-state_dir", str(state), "-watchlist", str(folder / "watchlist")]
    with subprocess.Popen(
        [PROGRAM, *files, "-verbose", "-stdout"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "saving state in defer" in line:
                break
        else:
            raise RuntimeError("certspotter ended: " + "".join(said))
        while not _is_kept(state):  # it says so before it does it, and nothing after
            time.sleep(0.005)
        wall_s = time.monotonic() - began
        # Not through Popen, which may reap it: wait4 tells what it cost.
        os.kill(process.pid, signal.SIGTERM)
        process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    [position] = state.glob("logs/*/state.json")
    return Run(
        identities=frozenset(json.loads(each.read_text())["tbs_sha256"] for each in state.glob("certs/*/*.v1.json")),
        verified=json.loads(position.read_text())["verified_position"]["size"],
        cpu_s=used.ru_utime + used.ru_stime,
        wall_s=wall_s,
    )


def _is_kept(state: Path) -> bool:
    """Whether everything downloaded is verified and written (files are replaced whole)."""
    positions = [json.loads(each.read_text()) for each in state.glob("logs/*/state.json")]
    return bool(positions) and all(
        each["verified_position"]["size"] == each["download_position"]["size"] > 0 for each in positions
    )
