"""`tls ct follow|status|verify`: the edge around `probes.ct_follow`. Findings go to stdout, progress to stderr."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from probes.ct.heads import BadHead, verify_head
from probes.ct.loglist import BadList, Log, LogList
from probes.ct.lookalikes import lookalikes
from probes.ct.merkle import BadTree, CompactTree, verify_consistency
from probes.ct.position import Event, Position
from probes.ct.watchset import BadWatch, WatchSet
from probes.ct_evidence import BadEvidence, problems, read_bundle
from probes.ct_follow import Habits, ListChange, Status, Told, follow, stale, wanted
from probes.ct_lines import MARK, as_line, as_text, status_json, status_text, stored_json
from probes.ct_store import BadState, FileStore
from probes.model import UsageError, shown
from probes.net.ctlist import log_list
from probes.net.ctlog import client
from probes.net.logfetch import Manners, Unavailable
from probes.sweep import loop_factory

if TYPE_CHECKING:
    from random import Random

OK, CRITICAL, NOT_RUN = 0, 1, 3
_WORST_FIRST = ("critical", "warning", "notice")
_READ = ("", "usable", "qualified")


def run(args: Namespace) -> int:
    """Run the subcommand; returns the exit status. Raises UsageError."""
    gc.collect()
    gc.freeze()
    gc.enable()  # following lives long
    gc.set_threshold(20_000, 20, 50)  # what a tile is made of has no cycles, and there is much of it
    try:
        if args.ct_command == "status":
            return _status(args)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_verify(args) if args.ct_command == "verify" else _follow(args))
    except BadState as damaged:
        print(f"tls: {damaged}", file=sys.stderr)
        return NOT_RUN
    except Unavailable as missing:
        print(f"tls: the log list cannot be had: {missing}", file=sys.stderr)
        return NOT_RUN


async def _follow(args: Namespace) -> int:
    manners = _manners(args)
    watch = _watch(args.domain, args.domains_file)
    rng = SystemRandom()
    listed = await _list(args.log_list, manners, rng)
    with _opened(Path(args.state), for_writing=True) as store:
        followed = {bytes.fromhex(each) for each, held in store.positions.items() if held.state != "finished"}
        logs = wanted(listed, _now(), following=followed)
        if not logs:
            raise UsageError(f"{shown(args.log_list)} lists no log to follow: all are pending, retired or rejected")
        unlisted = await store.know(logs, listed)

        async def reload() -> LogList:
            newer = await log_list(args.log_list, manners, rng)
            await store.know(wanted(newer, _now()), newer)
            return newer

        habits = Habits(from_start=args.start == "start", once=args.once, prove=args.evidence, poll_s=args.poll)
        with _teller(args) as teller:
            for problem in listed.problems:
                teller(ListChange(text=problem))
            for name in unlisted:
                teller(ListChange(text=f"{name} is no longer listed; it is not followed any more"))
            if (old := stale(listed, _now())) is not None:
                teller(ListChange(text=old))
            await follow(
                logs,
                watch,
                store,
                teller,
                manners=manners,
                now=_now,
                rng=rng,
                habits=habits,
                lookalikes=lookalikes(watch.domains) if args.lookalikes else None,
                listed=listed,
                reload=reload,
            )
        return teller.verdict


class _Teller:
    """Prints what is told, and remembers how it went."""

    def __init__(self, *, as_json: bool, stats: bool, live: Callable[[str], None] | None) -> None:
        self._as_json, self._stats, self._live = as_json, stats, live
        self._statuses: dict[bytes, Status] = {}
        self._critical = False

    def __call__(self, told: Told) -> None:
        if isinstance(told, Status):
            self._statuses[told.log.log_id] = told
            if self._live is not None:
                self._live(self._progress())
            if told.note and not self._as_json:
                print(f"· {told.log.description}: {told.note}", file=sys.stderr)
            return
        if isinstance(told, ListChange) and not self._as_json:
            print(f"· log list: {shown(told.text, 300)}", file=sys.stderr)
            return
        self._critical |= isinstance(told, Event) and told.severity == "critical"
        print(json.dumps(as_line(told, _now()), ensure_ascii=False) if self._as_json else as_text(told), flush=True)

    @property
    def verdict(self) -> int:
        if self._critical:
            return CRITICAL
        return NOT_RUN if all(each.trouble for each in self._statuses.values()) else OK

    def close(self) -> None:
        """What is owed at the end: troubles to a person, with --stats the state of each log."""
        for each in self._statuses.values():
            if self._stats:
                print(json.dumps(status_json(each)) if self._as_json else status_text(each))
            elif each.trouble:
                print(f"! {each.log.description}: {shown(each.trouble, 300)}", file=sys.stderr)

    def _progress(self) -> str:
        said = self._statuses.values()
        behind = sum(max(each.promised - each.downloaded, 0) for each in said)
        read = sum(each.downloaded - each.first for each in said)
        failing = sum(bool(each.trouble) for each in said)
        return f"{len(said)} logs, {read:,} entries read, {behind:,} to go" + (f", {failing} failing" * bool(failing))


@contextmanager
def _teller(args: Namespace) -> Iterator[_Teller]:
    if args.json or not sys.stderr.isatty():
        with closing(_Teller(as_json=args.json, stats=args.stats, live=None)) as teller:
            yield teller
        return
    from probes.terminal import progress

    with progress() as tell, closing(_Teller(as_json=False, stats=args.stats, live=tell)) as teller:
        yield teller


def _status(args: Namespace) -> int:
    """What the state says, without asking any log."""
    path = Path(args.state)
    _refuse_missing(path)
    store = FileStore(path, _now)
    store.open(for_writing=False)
    known = {log_id: Position(log_id=log_id) for log_id in store.names} | store.positions
    rows = [stored_json(position, store.names.get(position.log_id, {})) for position in known.values()]
    rows.sort(key=lambda row: (_WORST_FIRST.index(row["severity"]), row["log"]))
    if args.json:
        print(json.dumps({"schema": 1, "logs": rows}, ensure_ascii=False, indent=2))
    else:
        for row in rows:
            behind = f", {row['behind']:,} behind" if row["behind"] else ""
            told = f"; told and not over: {', '.join(row['raised'])}" if row["raised"] else ""
            stuck = row["trouble"]
            told += f"; since {stuck['since']} without {shown(stuck['what'], 200)}: {stuck['why']}" if stuck else ""
            told += f"; {row['listed']} in the log list" if row["listed"] not in _READ else ""
            print(
                f"{MARK[row['severity']]} {shown(row['log'], 100)}: {row['state']}, {row['verified']:,} of "
                f"{row['promised']:,} entries verified{behind}, newest entry {row['newest_entry'] or 'unknown'}"
                f"{shown(told, 600)}"
            )
        print(f"{sum(1 for each in store.findings() if each['type'] == 'issuance')} issuances found", file=sys.stderr)
    return CRITICAL if any(row["severity"] == "critical" for row in rows) else OK


async def _verify(args: Namespace) -> int:
    """A bundle against a log list; or a state against itself, its findings, and the logs as they are now."""
    manners = _manners(args)
    rng = SystemRandom()
    listed = await _list(args.log_list, manners, rng)
    if args.bundle is not None:
        return _verify_bundle(args, listed)
    if args.state is None:
        raise UsageError("give --state FILE, or the file of an evidence bundle")
    path = Path(args.state)
    _refuse_missing(path)
    store = FileStore(path, _now)
    store.open(for_writing=False)
    known = listed.by_id()
    lines = []
    for position in store.positions.values():
        log = known.get(bytes.fromhex(position.log_id))
        name = store.names.get(position.log_id, {}).get("description", position.log_id)
        wrong, unknown = await _verify_position(position, log, manners, rng)
        lines.append({"log": name, "verified": position.verified_size, "wrong": wrong, "unknown": unknown})
    count, damaged = _verify_findings(store, listed)
    lines.append({"log": "", "findings": count, "wrong": damaged, "unknown": []})
    _print_checks(lines, as_json=args.json)
    if any(line["wrong"] for line in lines):
        return CRITICAL
    return NOT_RUN if lines[:-1] and all(line["unknown"] for line in lines[:-1]) else OK


async def _verify_position(
    position: Position, log: Log | None, manners: Manners, rng: Random
) -> tuple[list[str], list[str]]:
    """What is wrong, and what could not be looked at."""
    head = position.verified
    if head is None:
        return [], ["nothing of it is verified yet"]
    wrong = []
    tree = CompactTree.from_json(position.verified_tree)
    if tree.size != head.size or tree.root() != head.root:
        wrong.append("the stored tree does not have the root of the stored head")
    if log is None:
        return wrong, ["it is not in the log list: its signature cannot be checked"]
    try:
        verify_head(head, log)
    except BadHead as bad:
        wrong.append(f"the stored head: {bad}")
    reader = client(log, manners, rng=rng)
    try:
        now = await reader.head()
        verify_head(now, log)
        old, new = sorted((head, now), key=lambda each: each.size)
        proof = await reader.consistency(old.size, new)
        if not verify_consistency(old.size, old.root, new.size, new.root, proof):
            wrong.append(f"its tree of {new.size} does not extend the one of {old.size}")
    except (BadHead, BadTree) as bad:
        wrong.append(f"its head now: {bad}")
    except Unavailable as missing:
        return wrong, [f"it could not be asked: {missing}"]
    finally:
        await reader.aclose()
    return wrong, []


def _verify_findings(store: FileStore, listed: LogList) -> tuple[int, list[str]]:
    """How many findings there are, and which do not hold by what is stored of them."""
    from base64 import b64decode

    from probes.ct.entries import read_leaf, tbs_identity

    count, wrong = 0, []
    for line in store.findings():
        if line["type"] == "event":
            continue
        count += 1
        try:
            entry = read_leaf(b64decode(line["leaf_input"]), index=line["index"])
            if tbs_identity(entry).hex() != line["tbs_sha256"]:
                wrong.append(f"finding {count}: the entry is of another certificate")
            if line["evidence"] is not None:
                bundle = read_bundle(json.dumps(line["evidence"]))
                wrong += [f"finding {count}: {each}" for each in problems(bundle, listed.logs)]
        except (BadEvidence, ValueError, KeyError, TypeError) as bad:
            wrong.append(f"finding {count}: {bad}")
    return count, wrong


def _verify_bundle(args: Namespace, listed: LogList) -> int:
    try:
        text = sys.stdin.read() if args.bundle == "-" else Path(args.bundle).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"I cannot read {shown(args.bundle)}: {error}") from None
    try:
        bundle = read_bundle(text)
        wrong = list(problems(bundle, listed.logs))
    except BadEvidence as bad:
        _print_checks([{"log": args.bundle, "wrong": [str(bad)], "unknown": []}], as_json=args.json)
        return CRITICAL
    log = listed.by_id().get(bundle.log_id)  # the bundle may call it anything
    name = log.description if log else bundle.log
    line = {"log": name, "index": bundle.index, "size": bundle.head.size, "wrong": wrong, "unknown": []}
    _print_checks([line], as_json=args.json)
    return CRITICAL if wrong else OK


def _print_checks(lines: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": 1, "checks": lines}, ensure_ascii=False, indent=2))
        return
    for line in lines:
        mark = "✗" if line["wrong"] else "?" if line["unknown"] else "✓"
        if "findings" in line:
            what = f"{line['findings']} findings"
        elif "index" in line:
            what = f"{line['log']}: entry {line['index']} is in the tree of {line['size']} that it signed"
        elif "verified" in line:
            what = f"{line['log']}: {line['verified']:,} entries verified"
        else:
            what = line["log"]
        said = "; ".join((*line["wrong"], *line["unknown"]))
        print(f"{mark} {shown(what, 200)}" + (f": {shown(said, 600)}" if said else ""))


async def _list(source: str | None, manners: Manners, rng: Random) -> LogList:
    if not source:
        raise UsageError("--log-list FILE|URL is needed, or CT_LOG_LIST in the environment")
    try:
        return await log_list(source, manners, rng)
    except BadList as bad:
        raise UsageError(f"{shown(source)}: {bad}") from None


def _watch(domains: list[str], file: str | None) -> WatchSet:
    wanted_domains = list(domains)
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"I cannot read {shown(file)}: {error}") from None
        wanted_domains += [text for line in lines if (text := line.partition("#")[0].strip())]
    if not wanted_domains:
        raise UsageError("no domain is watched: give --domain example.com, or --domains FILE with one a line")
    try:
        return WatchSet.compile(wanted_domains)
    except BadWatch as bad:
        raise UsageError(str(bad)) from None


@contextmanager
def _opened(path: Path, *, for_writing: bool) -> Iterator[FileStore]:
    if not path.absolute().parent.is_dir():
        raise UsageError(f"I read --state {shown(str(path))}. Its directory must exist")
    store = FileStore(path, _now)
    try:
        store.open(for_writing=for_writing)
        yield store
    except PermissionError as error:
        raise UsageError(f"I cannot use --state {shown(str(path))}: {error.strerror}") from None
    finally:
        store.close()


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no state {shown(str(path))}; `tls ct follow --state` makes it")


def _manners(args: Namespace) -> Manners:
    return Manners(contact=args.contact or "", per_second=args.rate or None)


def _now() -> datetime:
    return datetime.now(UTC)
