"""Independent tools confirm the labels: what a case claims, openssl, gnutls-cli, curl or dig must show.

`python -m tests.endpoints.proofs [WORD]` prints every claim that is not shown.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.endpoints import third
from tests.endpoints.authority import bundle
from tests.endpoints.bench import Bench, missing
from tests.endpoints.cases import Case, Place, Proof
from tests.endpoints.matrix import CASES

GAVE_UP = "\nthe tool gave up\n"
PATIENCE_S = 3.5  # a silent endpoint is proved by a tool that waits in vain this long


def shown_identity(bench: Bench, place: Place) -> Path:
    """The client certificate, its chain and its key in one file."""
    assert place.identity
    return bench.file(bundle(*place.identity) + place.identity[0].key_pem)


def command(bench: Bench, case: Case, place: Place, proof: Proof, roots: Path) -> list[str]:
    """The command line of the tool that shows *proof* at this place."""
    address = place.addresses[proof.at]
    literal = f"[{address}]" if ":" in address else address
    host = place.host or case.host
    match proof.tool:
        case "dig":
            assert place.resolver
            server, port = place.resolver
            return ["dig", f"@{server}", "-p", str(port), "+time=2", "+tries=1", host, "A"]
        case "curl":
            trust = ["--cacert", str(roots), "--resolve", f"{host}:{place.port}:{literal}"]
            who = ["--cert", str(shown_identity(bench, place))] if place.identity else []
            args = [word.replace("{host}", host) for word in proof.args]
            url = f"https://{host}:{place.port}/"
            return ["curl", "-sS", "--noproxy", "*", "--max-time", "4", *trust, *who, *args, url]
        case "gnutls-cli":
            return ["gnutls-cli", "--x509cafile", str(roots), "--sni-hostname", host, "--verify-hostname", host,
                    "-p", str(place.port), address]  # fmt: skip
    name = place.sni or host if proof.server_name is None else proof.server_name
    line = ["openssl", "s_client", "-connect", f"{literal}:{place.port}"]
    line += ["-no-CAfile" if place.only else "-no-CApath", "-CAfile", str(roots)]
    if place.host:  # an IP literal: no SNI
        line += ["-noservername", "-verify_ip", place.host]
    else:
        line += ["-servername", name, "-verify_hostname", name] if name else ["-noservername"]
    if place.identity:
        whole = str(shown_identity(bench, place))
        line += ["-cert", whole, "-key", whole, "-cert_chain", whole]
    if place.starttls:
        line += ["-starttls", place.starttls, "-name", host]
    return [*line, *proof.args]


def run(line: list[str], patience_s: float) -> str:
    """All the tool printed; nothing more after its patience is over."""
    try:
        done = subprocess.run(
            line,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience_s,
        )
        return done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as stopped:
        return (stopped.stdout or b"").decode("utf-8", "replace") + GAVE_UP


def second_visits(bench: Bench, case: Case, place: Place) -> str:
    """What comes of s_client's session of the first address: a letter a visit, R(esumed), n(ew) or F(ailed).

    One visit to each address, or three to the only one; "-" when no session was given.
    """
    session = bench.file("", ".session")
    request = f"GET / HTTP/1.1\r\nHost: {case.host}\r\nConnection: close\r\n\r\n".encode()

    def visit(address: str, *words: str) -> str:
        line = ["openssl", "s_client", "-connect", f"{address}:{place.port}", "-servername", case.host, "-ign_eof"]
        done = subprocess.run(["timeout", "2", *line, *words], input=request, capture_output=True, check=False)
        return done.stdout.decode("utf-8", "replace")

    visit(place.addresses[0], "-sess_out", str(session))
    if not session.stat().st_size:
        return "-"
    letters = ""
    for address in place.addresses if place.addresses[1:] else place.addresses * 3:
        shown = visit(address, "-sess_in", str(session))
        # After a failure s_client goes on to print the session it was given: only an answer tells.
        letters += "F" if "HTTP/1." not in shown else "R" if "Reused, TLS" in shown else "n"
    return letters


def unproved(bench: Bench, case: Case, place: Place) -> list[str]:
    """What the tools do not show, one line each; empty when the label stands."""
    trust = place.trust if place.trust is not None else bench.hierarchy.trusted
    roots = bench.file(bundle(*trust))
    problems = []
    for proof in case.proofs:
        if proof.tool == "second-visit":
            if not re.search(proof.want, shown := second_visits(bench, case, place)):
                problems.append(f"{case.id}: wanted {proof.want!r} of second visits, got {shown!r}")
            continue
        line = command(bench, case, place, proof, roots)
        if shutil.which(line[0]) is None:
            continue
        shown = run(line, PATIENCE_S if case.waits else 2 * PATIENCE_S)
        if not re.search(proof.want, shown, re.DOTALL):
            telling = [text for text in shown.splitlines() if re.search("alert|rror|Verify|errno|Cipher is", text)]
            problems.append(f"{case.id}: wanted {proof.want!r} from {' '.join(line)}\n    got {telling[:6]}")
    return problems


def built(bench: Bench, cases: Iterable[Case]) -> dict[str, Place]:
    return {case.id: case.build(bench, case) for case in cases if missing(case.server) is None}


def main() -> int:
    words = sys.argv[1:]
    cases = [case for case in CASES.values() if not words or any(word in case.id for word in words)]
    if "third" in words:
        words.remove("third")
        cases = [CASES[id] for id in third.IDS if not words or any(word in id for word in words)]
    bench = Bench()
    try:
        places = built(bench, cases)
        bench.start()
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda case: unproved(bench, case, places[case.id]), [c for c in cases if c.id in places])
            problems = [line for lines in found for line in lines]
        problems += [f"ended by itself: {command}" for command in bench.ended()]
    finally:
        bench.close()
    print("\n".join(problems))
    print(f"{len(places)} endpoints, {sum(len(case.proofs) for case in cases)} proofs, {len(problems)} not shown")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
