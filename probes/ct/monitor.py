"""One step of following a log: positions and signed heads in, the next position and events out. Pure: *now* is given.

Downloaded is not yet verified. Every entry is appended to a compact tree; its root must be the root of a signed head
before the position moves there. What does not fit is downloaded once more, and then told with both heads as evidence.
Long: every rule of what a log may do and what is told of it, over one position.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from probes.ct.heads import TreeHead
from probes.ct.loglist import Log
from probes.ct.merkle import CompactTree, leaf_hash, verify_consistency
from probes.ct.position import SEVERITIES, Event, Judged, Kind, Lag, Malformed, Position, Settled, State, Trouble

__all__ = [
    "CLOCK_SKEW",
    "LAG_LIMIT",
    "SEVERITIES",
    "Event",
    "Judged",
    "Kind",
    "Lag",
    "OutOfOrder",
    "Position",
    "Progress",
    "Settled",
    "State",
    "start_at",
]

CLOCK_SKEW = timedelta(minutes=5)
LAG_LIMIT = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_REMEMBERED_HEADS = 8
_REMEMBERED_ALARMS = 64
MOST_MALFORMED = 50  # entries of one log that are told one by one in a day; a log can be full of them
_MALFORMED_FOR = timedelta(days=1)
_SHOWN_LEAF = 64 << 10  # bytes of a malformed entry that are kept as evidence; more can be had by its index


class OutOfOrder(ValueError):
    """Leaf hashes that do not follow the ones downloaded: a fault of the caller."""


def start_at(log: Log, tree: CompactTree, head: TreeHead) -> Position:
    """A position at *head* without the entries before it: *tree* is the compact tree of its size, ValueError unless
    its root is the head's. The head's signature was verified."""
    if tree.size != head.size or tree.root() != head.root:
        raise ValueError("this is not the tree of that head")
    stored = tree.to_json()
    return Position(
        log_id=log.log_id.hex(),
        tree=stored,
        verified=head,
        verified_tree=stored,
        promised=head,
        state="following",
        newest_head_ms=head.timestamp_ms,
        first=head.size,
    )


class Progress:
    """One log while it is followed: a position that moves. It holds no connection and knows no clock.

    `judge` each new head whose signature holds, `feed` it the leaf hashes up to the target, then `settle`. Store
    `position` only when everything told of so far is stored.
    """

    def __init__(self, log: Log, position: Position | None = None) -> None:
        self.log = log
        self._position = position or Position(log_id=log.log_id.hex())
        self._tree = CompactTree.from_json(self._position.tree)

    @property
    def position(self) -> Position:
        """As it is now, ready to be stored."""
        return replace(self._position, tree=self._tree.to_json())

    @property
    def downloaded(self) -> int:
        """The index of the next entry to read."""
        return self._tree.size

    def judge(self, head: TreeHead, now: datetime) -> Judged:
        """What a head says beside those before it. Its signature was verified (verify_head).

        An older and smaller head is no lie by itself, only an old answer: the log is asked to prove that it once was
        its tree. A smaller tree signed later, or a larger one signed earlier, cannot be of one append-only log.
        """
        events = [*self._over("bad-signature", "its tree heads are signed again"), *self._dated(head, now)]
        events += self._beyond_final(head)
        before = self._position.promised
        self._position = replace(
            self._position,
            promised=head if before is None or _ranks(before) < _ranks(head) else before,
            newest_head_ms=max(self._position.newest_head_ms, min(head.timestamp_ms, _ms(now))),
            state="following" if self._position.state == "gone" else self._position.state,
        )
        events += self._over("gap", "it answers again")
        events += (event for other in self._known(before) for event in self._compared(other, head, now))
        verified = self._position.verified
        if verified and head.size == verified.size and head.root == verified.root:
            self._position = replace(self._position, verified=max(verified, head, key=_timestamp))
            return Judged(events=(*events, *self._at_final()))
        shrunk = before is not None and head.size < before.size and head.timestamp_ms > before.timestamp_ms
        if head.size < self._tree.size:
            if shrunk and head.size > self._position.verified_size:
                # What was downloaded beyond may have been replaced since: read again from what is certain.
                self._rewind("following")
                return Judged(events=tuple(events), target=head, rewound=True)
            return Judged(events=tuple(events), target=self._waiting(), prove=self._provable(head))
        target = head if head.size > self._position.verified_size else None
        return Judged(events=tuple(events), target=target, prove=None if target else self._provable(head))

    def unsigned(self, reason: str, head: TreeHead | None = None, raw: bytes = b"") -> tuple[Event, ...]:
        """A head that cannot be read or that the log did not sign (BadHead); told once until one is right again.

        *raw*: what was received, where no head could be made of it.
        """
        evidence = {"reason": reason, "head": head.to_json() if head else None, "received": b64encode(raw).decode()}
        return self._once(
            "bad-signature", self._event("bad-signature", f"its tree head does not hold: {reason}", evidence)
        )

    def feed(self, first_index: int, leaf_hashes: Sequence[bytes], *, newest_ms: int = 0) -> None:
        """Take the leaf hashes of the next entries, in order; OutOfOrder when they are not the next."""
        if first_index != self._tree.size:
            raise OutOfOrder(f"entries from {first_index} on do not follow {self._tree.size} downloaded")
        self._tree.extend(leaf_hashes)
        if newest_ms > self._position.newest_ms:
            self._position = replace(self._position, newest_ms=newest_ms)

    def settle(self, target: TreeHead, now: datetime) -> Settled:
        """Compare the root of what was downloaded with *target*'s, whose size must be reached exactly.

        The first mismatch rewinds to the last verified head, for the fault may lie on the way. The second is told;
        reading then goes on from where it is, for names must still be seen, until a head matches or `again`.
        """
        if self._tree.size != target.size:
            raise OutOfOrder(f"{self._tree.size} entries are downloaded, and the head is of {target.size}")
        computed = self._tree.root()
        if computed == target.root:
            return Settled(events=self._verified(target), verified=True)
        if self._position.state in ("new", "following"):
            self._rewind("rewound")
            return Settled(rewind=True)
        self._position = replace(self._position, state="inconsistent")
        since = self._position.verified_size
        text = (
            f"its entries {since} to {target.size - 1}, downloaded twice, do not have the root that it signed: an "
            f"entry was changed or left out, or the log shows different trees to different people"
        )
        evidence = {
            "verified_head": self._position.verified.to_json() if self._position.verified else None,
            "head": target.to_json(),
            "computed_root": computed.hex(),
        }
        return Settled(events=self._once("inconsistent", self._event("inconsistent", text, evidence)))

    def again(self) -> None:
        """Go back to the last verified head: for another try with an inconsistent log."""
        self._rewind("inconsistent" if self._position.state == "inconsistent" else "following")

    def proved(self, old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> tuple[Event, ...]:
        """The answer to Judged.prove: a consistency proof from *old* to *new*."""
        if verify_consistency(old.size, old.root, new.size, new.root, proof):
            self._position = replace(self._position, heads=_remembered((*self._position.heads, old)))
            return ()
        text = f"its tree of {new.size} entries does not extend the one of {old.size} that it signed before"
        evidence = {"head": new.to_json(), "other_head": old.to_json(), "proof": [each.hex() for each in proof]}
        key = f"split-view {old.size} {old.root.hex()}"
        return self._once(key, self._event("split-view", text, evidence))

    def lag(self, now: datetime) -> Lag:
        """How far behind the largest signed head seen."""
        verified, promised = self._position.verified, self._position.promised
        return Lag(
            entries=max((promised.size if promised else 0) - self._position.verified_size, 0),
            head_age=now - _instant(verified.timestamp_ms) if verified else None,
            entry_age=now - _instant(self._position.newest_ms) if self._position.newest_ms else None,
        )

    def failed(
        self, what: str, why: str, now: datetime, *, limit: timedelta, meaning: str = "", head: TreeHead | None = None
    ) -> tuple[Event, ...]:
        """A look failed at *what*. With a *meaning*, `unreadable`, once, when it has failed there for *limit*; *head*:
        the signed one that it could not be held against, if not the promised one. Without one, nothing further was
        asked for: what failed before is no nearer."""
        before = self._position.trouble
        if before is not None and not meaning:
            return ()
        events: tuple[Event, ...] = ()
        if before is None or before.what != what:
            events = self._over("unreadable", f"{before.what if before else 'what was missing'} is there now")
            self._position = replace(self._position, trouble=Trouble(what=what, why=why, since_ms=_ms(now)))
        trouble = self._position.trouble
        assert trouble is not None  # it was set a line ago, or before
        since = _instant(trouble.since_ms)
        if not meaning or now - since < limit:
            return events
        text = f"{what} cannot be had since {since:%Y-%m-%d %H:%M} UTC ({why}): {meaning}"
        evidence = {"what": what, "why": why, "since": since.isoformat(), "downloaded": self._tree.size}
        promised = self._position.promised
        evidence["head"] = promised and promised.to_json()
        evidence["other_head"] = head and head.to_json()
        return events + self._once("unreadable", self._event("unreadable", text, evidence))

    def went_well(self) -> tuple[Event, ...]:
        """A look came to its end."""
        before = self._position.trouble
        self._position = replace(self._position, trouble=None)
        return self._over("unreadable", f"{before.what if before else 'what was missing'} is there now")

    def watch_lag(self, now: datetime, *, limit: timedelta = LAG_LIMIT) -> tuple[Event, ...]:
        """`lagging`, once, when entries wait and what was read last is older than *limit*; `resumed` after."""
        lag = self.lag(now)
        age = lag.head_age if lag.head_age is not None else lag.entry_age
        if not lag.entries:
            return self._over("lagging", "every entry is read")
        if age is None or age <= limit + timedelta(seconds=self.log.mmd_s):
            return self._over("lagging", "reading has caught up") if age is not None else ()
        text = f"{lag.entries} entries wait to be read; what was read last is {_span(age)} old"
        evidence = {"entries": lag.entries, "age_s": int(age.total_seconds()), "verified": self._position.verified_size}
        return self._once("lagging", self._event("lagging", text, evidence))

    def watch_age(self, now: datetime, *, since: datetime | None = None) -> tuple[Event, ...]:
        """`stale-head`, once, when the newest head is older than the maximum merge delay; `resumed` after.

        A log that takes no more certificates signs no more heads: its age is its right. *since*: when following began,
        for a log that never gave a head at all.
        """
        if self._position.state in ("finished", "gone") or self.log.state in ("readonly", "retired", "rejected"):
            return ()
        newest = _instant(self._position.newest_head_ms) if self._position.newest_head_ms else since
        if newest is None:
            return ()
        age = now - newest
        if age <= timedelta(seconds=self.log.mmd_s) + CLOCK_SKEW:
            return self._over("stale-head", "its tree heads are new again")
        promise = _span(timedelta(seconds=self.log.mmd_s))
        text = f"its newest tree head is {_span(age)} old; it promises a new one within {promise}"
        if not self._position.newest_head_ms:
            text = f"it has given no tree head that holds for {_span(age)}"
        promised = self._position.promised
        evidence = {"age_s": int(age.total_seconds()), "mmd_s": self.log.mmd_s, "head": promised and promised.to_json()}
        return self._once("stale-head", self._event("stale-head", text, evidence))

    def gone(self, reason: str) -> tuple[Event, ...]:
        """The log answers no more, for good, or is retired: a `gap` unless it was read to its end."""
        if self._position.state in ("finished", "gone"):
            return ()
        promised, read = self._position.promised, self._position.verified_size
        end = self.log.final[0] if self.log.final else promised.size if promised else None
        if end is not None and read >= end:
            return self._finished(f"{reason}; all {read} entries were read")
        self._position = replace(self._position, state="gone")
        upto = "an unknown end" if end is None else str(end - 1)
        text = f"it is gone ({reason}) before it was read to its end: the entries {read} to {upto} are not verified"
        evidence = {"from": read, "to": end, "downloaded": self._tree.size, "head": promised and promised.to_json()}
        return self._once("gap", self._event("gap", text, evidence))

    @property
    def malformed_upto(self) -> int:
        """Behind which entry none was told or counted as malformed yet."""
        return self._position.malformed.upto

    def malformed(
        self, entries: Iterable[tuple[int, str, bytes]], now: datetime, *, more: int = 0, upto: int = 0
    ) -> tuple[Event, ...]:
        """Entries whose names cannot be excluded: index, problem and leaf. MOST_MALFORMED of a day are told one by one;
        then `malformed-many`, once, and the others are counted until a day has fewer. *more* that nobody told before,
        up to *upto*, are counted alone."""
        events: list[Event] = []
        count = self._position.malformed
        for index, problem, leaf in entries:
            is_new = index >= count.upto
            if (count.told if is_new else count.told + len(events)) < MOST_MALFORMED:
                count = replace(count, told=count.told + is_new)
                events.append(self._malformed(index, problem, leaf))
            else:
                more += is_new
            upto = max(upto, index + 1)
            count = replace(count, upto=max(count.upto, index + 1))
        if upto:
            count = replace(
                count, more=count.more + more, upto=max(count.upto, upto), since_ms=count.since_ms or _ms(now)
            )
        self._position = replace(self._position, malformed=count)
        return (*events, *(self._many(upto - 1) if more else ()))

    def watch_malformed(self, now: datetime) -> tuple[Event, ...]:
        """A day after the first malformed entry they are told one by one again; `resumed`, and how many were not, when
        it had few of them."""
        count = self._position.malformed
        if not count.since_ms or now - _instant(count.since_ms) < _MALFORMED_FOR:
            return ()
        if count.told >= MOST_MALFORMED:
            self._position = replace(self._position, malformed=replace(count, since_ms=_ms(now), told=0))
            return ()
        self._position = replace(self._position, malformed=Malformed(upto=count.upto))
        return self._over("malformed-many", f"few of its entries are malformed now; {count.more} were counted alone")

    def _malformed(self, index: int, problem: str, leaf: bytes) -> Event:
        evidence = {"index": index, "bytes": len(leaf), "leaf_hash": leaf_hash(leaf).hex()}
        if len(leaf) <= _SHOWN_LEAF:
            evidence["leaf"] = leaf.hex()
        return self._event("malformed-entry", f"entry {index}: {problem}", evidence)

    def _many(self, index: int) -> tuple[Event, ...]:
        text = (
            f"more than {MOST_MALFORMED} of its entries in a day, now up to {index}, are malformed: the others are "
            "only counted, and your names in them cannot be excluded"
        )
        evidence = {
            "upto": index,
            "told": MOST_MALFORMED,
            "head": promised.to_json() if (promised := self._position.promised) else None,
        }
        return self._once("malformed-many", self._event("malformed-many", text, evidence))

    def _verified(self, head: TreeHead) -> tuple[Event, ...]:
        """The downloaded tree is *head*'s: the position moves there."""
        before = self._position
        heads = (*before.heads, before.verified) if before.verified else before.heads
        stored = self._tree.to_json()
        self._position = replace(
            before,
            tree=stored,
            verified=head,
            verified_tree=stored,
            heads=_remembered(heads),
            state="finished" if before.state == "finished" else "following",
        )
        events = self._over("inconsistent", f"its {head.size} entries have the root that it signed")
        return events + self._at_final()

    def _at_final(self) -> tuple[Event, ...]:
        """What the final head of the log list, which may come long after the log was read, says of the verified one."""
        final, head = self.log.final, self._position.verified
        if not final or not head:
            return ()
        if head.size == final[0] and head.root != final[1]:
            text = f"its tree of {head.size} entries is not the final one of the log list"
            evidence = {"head": head.to_json(), "final_root": final[1].hex()}
            return self._once("final-root", self._event("inconsistent", text, evidence))
        if head.size >= final[0] and self._position.state != "finished":
            return self._finished(f"it is read-only, and all {head.size} entries were read and verified")
        return ()

    def _finished(self, text: str) -> tuple[Event, ...]:
        self._position = replace(self._position, state="finished")
        verified = self._position.verified
        return self._once("finished", self._event("finished", text, {"head": verified and verified.to_json()}))

    def _dated(self, head: TreeHead, now: datetime) -> tuple[Event, ...]:
        ahead = _instant(head.timestamp_ms) - now
        if ahead <= CLOCK_SKEW:
            return self._over("future-head", "its tree heads are dated rightly again")
        text = f"its tree head is dated {_span(ahead)} after now: its clock is wrong, or ours"
        evidence = {"head": head.to_json(), "now": now.isoformat()}
        return self._once("future-head", self._event("future-head", text, evidence))

    def _beyond_final(self, head: TreeHead) -> tuple[Event, ...]:
        final = self.log.final
        if not final or head.size <= final[0]:
            return ()
        text = f"it signed a tree of {head.size} entries, and the log list says that it ended at {final[0]}"
        return self._once(
            "beyond-final", self._event("inconsistent", text, {"head": head.to_json(), "final": final[0]})
        )

    def _known(self, promised: TreeHead | None) -> tuple[TreeHead, ...]:
        """The signed heads that another is compared with, each once, the largest promise first."""
        known = (promised, self._position.verified, *reversed(self._position.heads))
        return tuple({(each.size, each.root): each for each in reversed(known) if each}.values())[::-1]

    def _compared(self, other: TreeHead, head: TreeHead, now: datetime) -> tuple[Event, ...]:
        """What *head* and *other* prove about the log by themselves."""
        evidence = {"head": head.to_json(), "other_head": other.to_json()}
        if head.size == other.size:
            if head.root == other.root:
                return ()
            text = f"it signed two different trees of {head.size} entries: a split view"
            key = f"split-view {head.size} {head.root.hex()}"
            return self._once(key, self._event("split-view", text, evidence))
        earlier, later = sorted((head, other), key=_timestamp)
        if earlier.timestamp_ms == later.timestamp_ms or earlier.size < later.size:
            return ()
        if _instant(later.timestamp_ms) > now + CLOCK_SKEW:
            return ()  # its date is a fault of its own (future-head), and orders nothing
        text = f"it signed {earlier.size} entries first and only {later.size} later: entries were taken away"
        key = f"shrunken {later.size} {later.root.hex()}"
        return self._once(key, self._event("shrunken", text, evidence))

    def _waiting(self) -> TreeHead | None:
        """The promise that is still to be verified."""
        promised = self._position.promised
        return promised if promised and promised.size > self._position.verified_size else None

    def _provable(self, head: TreeHead) -> tuple[TreeHead, TreeHead] | None:
        """The question whether an older, smaller head was this log's, unless the answer is known."""
        verified = self._position.verified
        if not verified or not 0 < head.size < verified.size:
            return None
        known = any(each.size == head.size for each in self._position.heads)
        return None if known else (head, verified)

    def _rewind(self, state: State) -> None:
        self._tree = CompactTree.from_json(self._position.verified_tree)
        self._position = replace(self._position, state=state)

    def _once(self, key: str, event: Event) -> tuple[Event, ...]:
        """The event, unless *key* was raised and is not over."""
        raised = self._position.raised
        if key in raised:
            return ()
        self._position = replace(self._position, raised=(*raised, key)[-_REMEMBERED_ALARMS:])
        return (event,)

    def _over(self, key: str, text: str) -> tuple[Event, ...]:
        """`resumed`, when *key* was raised."""
        raised = self._position.raised
        if key not in raised:
            return ()
        self._position = replace(self._position, raised=tuple(each for each in raised if each != key))
        return (self._event("resumed", f"{text} (was: {key})", {"was": key}),)

    def _event(self, kind: Kind, text: str, evidence: dict[str, Any]) -> Event:
        return Event(
            kind=kind,
            log_id=self._position.log_id,
            log=self.log.description,
            text=f"{self.log.description}: {text}",
            evidence={"log_id": self._position.log_id, "url": self.log.url, **evidence},
        )


def _remembered(heads: tuple[TreeHead, ...]) -> tuple[TreeHead, ...]:
    return heads[-_REMEMBERED_HEADS:]


def _ranks(head: TreeHead) -> tuple[int, int]:
    return head.size, head.timestamp_ms


def _timestamp(head: TreeHead) -> int:
    return head.timestamp_ms


def _instant(timestamp_ms: int) -> datetime:
    """The instant of an RFC 6962 timestamp; what lies beyond the year 9999 is taken as its end."""
    try:
        return _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return _LAST


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def _span(length: timedelta) -> str:
    """A time for people, in its largest fitting unit."""
    seconds = int(length.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
