"""Drives the product through its public interface, and says where a report and a label disagree.

In process by `probes.check.check`; by the `tls` command for what only a command can show.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from tests.endpoints.authority import Party, bundle
from tests.endpoints.bench import Bench
from tests.endpoints.cases import CURRENT, Case, Place
from tests.endpoints.schema import MODES, SCHEMA

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 10.0
SILENT_WITHIN_MS = 3500.0
AT_ONCE = 3
WAITING_AT_ONCE = 12
ONE_AT_A_TIME = frozenset({"openssl", "gnutls"})  # a short accept queue: the kernel retries a dropped SYN after 1 s
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One case's outcome: `wrong` are disagreements with the label, `flaws` breaches of the contract beside it."""

    case: Case
    report: Json | None
    wrong: tuple[str, ...]
    flaws: tuple[str, ...]

    @property
    def got(self) -> str:
        if self.report is None:
            return "no report"
        return f"{self.report['status']} {self.report['cause'] or '-'}"

    @property
    def false_alarm(self) -> bool:
        return self.case.healthy and self.report is not None and self.report["status"] != "ok"


def anchors(bench: Bench, place: Place) -> tuple[Party, ...]:
    return place.trust if place.trust is not None else bench.hierarchy.trusted


async def checked(bench: Bench, case: Case, place: Place) -> Json:
    """The report of an in-process check, as the JSON that `tls check --json` prints."""
    from probes.check import Options, check, default_trust
    from probes.codec import to_json
    from probes.model import Endpoint, Target, Trust
    from probes.pki.credential import read

    host = place.host or case.host
    shown = f"[{host}]" if ":" in host else host
    target = Target.parse(f"{shown}:{place.port}", sni=place.sni, starttls=place.starttls)
    added = tuple(party.der for party in anchors(bench, place))
    trust = Trust(default=(), default_name=None, added=added) if place.only else default_trust(added)
    overrides = {} if place.resolver or place.host else {(target.host, place.port): place.addresses}
    overrides.update({(name, place.port): addresses for name, addresses in place.also})
    identity = None
    if place.identity:
        identity = read("client", bundle(*place.identity), place.identity[0].key_pem, named="chain", key_named="key")
    options = Options(
        trust=trust,
        overrides=overrides,
        resolver=Endpoint(address=place.resolver[0], port=place.resolver[1]) if place.resolver else None,
        origin=Endpoint(address=place.origin[0], port=place.origin[1]) if place.origin else None,
        timeout_s=TIMEOUT_S,
        identity=identity,
    )
    report: Json = json.loads(json.dumps(to_json(await check(target, options))))
    return report


def arguments(bench: Bench, case: Case, place: Place) -> list[str]:
    """What follows `tls check` on the command line for this case."""
    host = place.host or case.host
    shown = f"[{host}]" if ":" in host else host
    words = [f"{shown}:{place.port}", "--json", "--only-ca-file" if place.only else "--ca-file"]
    words.append(str(bench.file(bundle(*anchors(bench, place)))))
    if place.resolver:
        words += ["--resolver", f"{place.resolver[0]}:{place.resolver[1]}"]
    elif not place.host:
        listed = ",".join(f"[{a}]" if ":" in a else a for a in place.addresses)
        words += ["--resolve", f"{host}:{place.port}:{listed}"]
    for name, addresses in place.also:
        words += ["--resolve", f"{name}:{place.port}:{','.join(addresses)}"]
    if place.sni:
        words += ["--sni", place.sni]
    if place.starttls:
        words += ["--starttls", place.starttls]
    if place.identity:
        words += ["--client-cert", str(bench.file(bundle(*place.identity) + place.identity[0].key_pem))]
    if place.origin:
        words += ["--origin", f"{place.origin[0]}:{place.origin[1]}"]
    return words


def by_command(*words: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """`tls check …` as a person runs it: the console script of the virtualenv, else the module."""
    script = Path(sys.executable).parent / "tls"
    start = [str(script)] if script.exists() else [sys.executable, "-m", "probes"]
    return subprocess.run(
        [*start, "check", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


def judged(case: Case, report: Json | None) -> Verdict:
    if report is None:
        return Verdict(case=case, report=None, wrong=("no report",), flaws=())
    return Verdict(case=case, report=report, wrong=tuple(_wrong(case, report)), flaws=tuple(_flaws(case, report)))


def _wrong(case: Case, report: Json) -> Iterable[str]:
    if report["cause"] not in case.causes:
        yield f"cause {report['cause']}, not {' or '.join(sorted(str(code) for code in case.causes))}"
    elif report["status"] not in case.status:
        yield f"status {report['status']}, not {' or '.join(sorted(case.status))}"


def _flaws(case: Case, report: Json) -> Iterable[str]:
    for error in sorted(_VALIDATOR.iter_errors(report), key=str):
        yield f"schema: {error.json_path}: {error.message[:120]}"
    codes = {finding["code"] for finding in report["findings"]}
    for code in sorted(case.findings - codes):
        yield f"finding {code} is not listed"
    yield from _inconsistent(report)
    outcomes = {client["name"]: client["outcome"] for client in report["clients"]}
    wanted = {**dict.fromkeys(case.passes, "pass"), **dict.fromkeys(case.fails, "fail")}
    # A family that is not judged must be named in the gaps; being left out is no mistake by itself.
    wrong = sorted(f"{name} {outcomes[name]}" for name, want in wanted.items() if outcomes.get(name, want) != want)
    if wrong:
        yield f"clients: {', '.join(wrong)}"
    if report["cause"] in case.causes and report["cause"] and not report["cause"].startswith("balancer."):
        listed = next(finding["fails_for"] for finding in report["findings"] if finding["code"] == report["cause"])
        # An old family may have failed for its age before it came to this.
        if lacking := sorted((set(case.fails) & set(CURRENT) & set(outcomes)) - set(listed)):
            yield f"fails_for of {report['cause']} lacks {', '.join(lacking)}"
    if len(set(CURRENT) & set(outcomes)) < 8 and report["cause"] not in {"reach.dns", "balancer.intermittent"}:
        yield f"clients: only {len(outcomes)} families judged"
    if case.silent and report["elapsed_ms"] > SILENT_WITHIN_MS:
        yield f"silent endpoint took {report['elapsed_ms']:.0f} ms"


def _inconsistent(report: Json) -> Iterable[str]:
    """What the catalogue says about a report's parts among each other."""
    weighty = [finding for finding in report["findings"] if finding["severity"] != "notice"]
    status = "ok"
    if weighty:
        status = "broken" if any(finding["severity"] == "critical" for finding in weighty) else "warning"
    if report["status"] != status:
        yield f"status {report['status']} with findings that make it {status}"
    if (report["cause"] is None) != (status == "ok"):
        yield f"cause {report['cause']} with status {report['status']}"
    if report["cause"] and report["cause"] not in {finding["code"] for finding in weighty}:
        yield f"cause {report['cause']} is not among the weighty findings"
    if report["cause"] and report["mode"] != MODES[report["cause"].partition(".")[0]]:
        yield f"mode {report['mode']} for {report['cause']}"
    for finding in report["findings"]:
        if finding["mode"] != MODES[finding["code"].partition(".")[0]]:
            yield f"mode {finding['mode']} for {finding['code']}"
        listed = {endpoint["address"] for endpoint in report["endpoints"]}
        # The origin's address may be named: it was given, and is no address of the name.
        if finding["code"] != "balancer.origin-differs" and not set(finding["addresses"]) <= listed:
            yield f"{finding['code']}: addresses {finding['addresses']} are no endpoints of the report"
    # The catalogue calls a missing staple a warning, although Firefox, which reads the demand, refuses it.
    failing = [
        client["name"]
        for client in report["clients"]
        if client["outcome"] == "fail" and client["code"] != "revocation.staple-missing"
    ]
    if set(failing) & set(CURRENT) and report["status"] != "broken":
        yield f"status {report['status']} though {', '.join(failing)} fail"
    for client in report["clients"]:
        if (client["outcome"] == "fail") != bool(client["code"]):
            yield f"client {client['name']}: {client['outcome']} with code {client['code']}"
            break


async def all_reports(bench: Bench, cases: Sequence[Case], places: dict[str, Place]) -> dict[str, Json | Exception]:
    """Every case once: those that wait all at the same time, the others a few at once."""
    few = asyncio.Semaphore(AT_ONCE)
    found: dict[str, Json | Exception] = {}

    async def one(case: Case, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                found[case.id] = await asyncio.wait_for(checked(bench, case, places[case.id]), 2 * TIMEOUT_S)
            except Exception as error:  # the product must not raise: scored, not hidden
                found[case.id] = error

    waiting = asyncio.Semaphore(WAITING_AT_ONCE)
    slow = [case for case in cases if case.waits or case.server in ONE_AT_A_TIME]
    await asyncio.gather(*(one(case, waiting) for case in slow))
    await asyncio.gather(*(one(case, few) for case in cases if case not in slow))
    return found
