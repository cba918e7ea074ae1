"""`python -m tests.endpoints.score [WORD …] [--out FILE]`: the table of expected and given verdicts.

Words pick the cases whose id contains one of them; `third` picks the third matrix.
Exit status 1 when a verdict is wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path

from tests.endpoints import third
from tests.endpoints.bench import Bench, missing
from tests.endpoints.cases import Case, Place
from tests.endpoints.matrix import CASES
from tests.endpoints.proofs import built
from tests.endpoints.runner import Verdict, all_reports, judged


def scored(cases: list[Case]) -> tuple[list[Verdict], dict[str, str]]:
    """A verdict for each case, and the failures of the product itself by case id."""
    bench = Bench()
    try:
        places: dict[str, Place] = built(bench, cases)
        bench.start()
        ready = [case for case in cases if case.id in places]
        reports = asyncio.run(all_reports(bench, ready, places))
        for command in bench.ended():
            print(f"A SERVER ENDED BY ITSELF: {command}", file=sys.stderr)
    finally:
        bench.close()
    crashes = {id: repr(result) for id, result in reports.items() if isinstance(result, Exception)}
    verdicts = [judged(case, None if isinstance(result := reports[case.id], Exception) else result) for case in ready]
    return verdicts, crashes


def table(verdicts: list[Verdict], crashes: dict[str, str], skipped: dict[str, str]) -> str:
    lines = [f"{'endpoint':48} {'expected':44} {'got':44} ok"]
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for verdict in verdicts:
        case = verdict.case
        expected = "|".join(sorted(str(code or "-") for code in case.causes))
        totals[case.family][0] += not verdict.wrong
        totals[case.family][1] += 1
        mark = "ok" if not verdict.wrong else "WRONG"
        lines.append(f"{case.id:48} {expected:44} {verdict.got:44} {mark}{' +flaws' if verdict.flaws else ''}")
    lines.append("")
    for family, (right, all_of_it) in sorted(totals.items()):
        lines.append(f"{family:12} {right:4} of {all_of_it:4}  {100 * right / all_of_it:5.1f} %")
    right = sum(not verdict.wrong for verdict in verdicts)
    alarms = [verdict.case.id for verdict in verdicts if verdict.false_alarm]
    lines.append(f"{'all':12} {right:4} of {len(verdicts):4}  {100 * right / max(1, len(verdicts)):5.1f} %")
    lines.append(f"false alarms: {len(alarms)} {' '.join(alarms)}")
    lines += [f"skipped {id}: {why}" for id, why in skipped.items()]
    lines += [f"the product raised on {id}: {error}" for id, error in crashes.items()]
    return "\n".join(lines)


def details(verdicts: list[Verdict]) -> str:
    """The evidence for each mismatch and each flaw."""
    lines = []
    for verdict in verdicts:
        if not verdict.wrong and not verdict.flaws:
            continue
        lines.append(f"\n### {verdict.case.id} — {'; '.join((*verdict.wrong, *verdict.flaws))}")
        if verdict.report is None or not verdict.wrong:
            continue
        lines.append(f"summary: {verdict.report['summary']}")
        for finding in verdict.report["findings"]:
            lines.append(f"- {finding['severity']} {finding['code']} at {','.join(finding['addresses'])}")
            lines += [f"    {text}" for text in finding["evidence"][:6]]
    return "\n".join(lines)


def main() -> int:
    words = sys.argv[1:]
    out = None
    if "--out" in words:
        place = words.index("--out")
        out = Path(words[place + 1])
        del words[place : place + 2]
    cases = [case for case in CASES.values() if not words or any(word in case.id for word in words)]
    if "third" in words:
        words.remove("third")
        cases = [CASES[id] for id in third.IDS if not words or any(word in id for word in words)]
    skipped = {case.id: why for case in cases if (why := missing(case.server))}
    verdicts, crashes = scored(cases)
    text = table(verdicts, crashes, skipped)
    print(text)
    if out:
        out.write_text(f"```\n{text}\n```\n{details(verdicts)}\n")
        reports = {verdict.case.id: verdict.report for verdict in verdicts}
        out.with_suffix(".json").write_text(json.dumps(reports, indent=1))
    return 1 if any(verdict.wrong for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
