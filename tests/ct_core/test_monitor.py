"""What a log's heads and entries mean: one claim a test, no network and no clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from probes.ct import merkle
from probes.ct.heads import TreeHead
from probes.ct.loglist import Log
from probes.ct.merkle import CompactTree, leaf_hash
from probes.ct.monitor import MOST_MALFORMED, Event, OutOfOrder, Position, Progress, Settled, start_at

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LOG = Log(
    description="Test 2026h2",
    operator="Test",
    log_id=b"\x01" * 32,
    key=b"",
    kind="static",
    url="https://log.test/",
    submission_url="https://log.test/",
    mmd_s=60,
)
LEAVES = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(700)]
OTHERS = [*LEAVES[:50], merkle.leaf_hash(b"forked"), *LEAVES[51:]]


def head(size: int, *, ago_s: float = 10, leaves: Sequence[bytes] = LEAVES) -> TreeHead:
    """A head of the tree of the first *size* leaves, signed some seconds ago."""
    timestamp = int((NOW - timedelta(seconds=ago_s)).timestamp() * 1000)
    root = merkle.root_from_hashes(leaves[:size])
    return TreeHead(size=size, root=root, timestamp_ms=timestamp, signature=b"s", raw=b"raw")


def read(progress: Progress, target: TreeHead, leaves: Sequence[bytes] = LEAVES) -> Settled:
    """Download up to the target in uneven batches, then settle."""
    while progress.downloaded < target.size:
        first = progress.downloaded
        progress.feed(first, leaves[first : min(first + 97, target.size)], newest_ms=first)
    return progress.settle(target, NOW)


def following(size: int = 100, *, log: Log = LOG, ago_s: float = 30) -> Progress:
    """A log read and verified up to *size*."""
    progress = Progress(log)
    target = head(size, ago_s=ago_s)
    assert progress.judge(target, NOW).target == target
    assert read(progress, target).verified
    return progress


def kinds(events: Sequence[Event]) -> list[str]:
    for event in events:
        json.dumps(event.evidence)
        assert event.text.startswith(LOG.description)
        assert event.severity in ("critical", "warning", "notice")
    return [event.kind for event in events]


def test_a_matching_root_moves_the_position() -> None:
    progress = following(100)
    assert progress.position.verified_size == 100
    target = head(600, ago_s=5)
    judged = progress.judge(target, NOW)
    assert judged.target == target
    assert not judged.events
    settled = read(progress, target)
    assert settled.verified
    assert not settled.events
    assert progress.position.verified == target


def test_downloaded_is_not_verified() -> None:
    progress = following(100)
    progress.judge(head(200, ago_s=5), NOW)
    progress.feed(100, LEAVES[100:150])
    assert progress.position.downloaded == 150
    assert progress.position.verified_size == 100


def test_a_stored_position_goes_on_where_it_was() -> None:
    progress = following(100)
    progress.judge(head(300, ago_s=5), NOW)
    progress.feed(100, LEAVES[100:177])
    stored = json.loads(json.dumps(progress.position.to_json()))
    assert Position.from_json(stored) == progress.position
    again = Progress(LOG, Position.from_json(stored))
    assert again.downloaded == 177
    assert read(again, head(300, ago_s=5)).verified


def test_entries_out_of_order_are_the_callers_fault() -> None:
    progress = following(100)
    for first in (99, 101, 0):
        with pytest.raises(OutOfOrder):
            progress.feed(first, LEAVES[first : first + 5])
    with pytest.raises(OutOfOrder):
        progress.settle(head(120), NOW)


@pytest.mark.parametrize(
    "spoiled",
    [
        [*LEAVES[:150], *LEAVES[151:]],
        [*LEAVES[:150], merkle.leaf_hash(b"other"), *LEAVES[151:]],
        [*LEAVES[:150], LEAVES[150], *LEAVES[150:]],
    ],
    ids=["dropped", "changed", "doubled"],
)
def test_a_mismatch_is_read_again_once_and_then_told(spoiled: list[bytes]) -> None:
    progress = following(100)
    target = head(300, ago_s=5)
    progress.judge(target, NOW)
    first = read(progress, target, spoiled)
    assert first.rewind
    assert not first.events
    assert progress.downloaded == 100
    # A crash in between does not make it forget that this was the second try.
    progress = Progress(LOG, Position.from_json(progress.position.to_json()))
    second = read(progress, target, spoiled)
    assert not second.verified
    assert kinds(second.events) == ["inconsistent"]
    assert second.events[0].severity == "critical"
    assert second.events[0].evidence["head"]["tree_size"] == 300
    assert second.events[0].evidence["verified_head"]["tree_size"] == 100
    assert progress.position.verified_size == 100
    assert progress.position.state == "inconsistent"
    # Names must still be seen: it reads on, and does not tell it twice.
    later = head(400, ago_s=1)
    assert progress.judge(later, NOW).target == later
    assert read(progress, later, spoiled).events == ()
    progress.again()
    assert progress.downloaded == 100
    assert kinds(read(progress, later).events) == ["resumed"]
    assert progress.position.verified == later


def test_a_mismatch_that_a_second_reading_heals_is_silent() -> None:
    progress = following(100)
    target = head(300, ago_s=5)
    progress.judge(target, NOW)
    assert read(progress, target, OTHERS[1:]).rewind
    settled = read(progress, target)
    assert settled.verified
    assert not settled.events


def test_equal_size_with_another_root_is_a_split_view() -> None:
    progress = following(100)
    events = progress.judge(head(100, ago_s=1, leaves=OTHERS), NOW).events
    assert kinds(events) == ["split-view"]
    heads = {events[0].evidence[each]["sha256_root_hash"] for each in ("head", "other_head")}
    assert len(heads) == 2
    assert progress.judge(head(100, ago_s=0.5, leaves=OTHERS), NOW).events == ()


def test_a_split_view_of_a_head_not_yet_downloaded_is_seen() -> None:
    progress = following(100)
    progress.judge(head(300, ago_s=5), NOW)
    assert kinds(progress.judge(head(300, ago_s=4, leaves=OTHERS), NOW).events) == ["split-view"]


def test_the_same_tree_signed_anew_only_moves_the_date() -> None:
    progress = following(100)
    judged = progress.judge(head(100, ago_s=1), NOW)
    assert judged.events == ()
    assert judged.target is None
    assert progress.position.verified == head(100, ago_s=1)
    progress.judge(head(100, ago_s=20), NOW)
    assert progress.position.verified == head(100, ago_s=1)


def test_a_smaller_tree_signed_later_is_shrunken() -> None:
    progress = following(100)
    judged = progress.judge(head(60, ago_s=1), NOW)
    assert kinds(judged.events) == ["shrunken"]
    assert judged.target is None
    assert progress.position.verified_size == 100


def test_a_promise_taken_back_before_it_was_read_is_shrunken_and_read_afresh() -> None:
    progress = following(100)
    progress.judge(head(300, ago_s=9), NOW)
    progress.feed(100, OTHERS[100:250])
    smaller = head(200, ago_s=5)
    judged = progress.judge(smaller, NOW)
    assert kinds(judged.events) == ["shrunken"]
    assert judged.rewound
    assert judged.target == smaller
    assert progress.downloaded == 100
    assert read(progress, smaller).verified


def test_a_larger_tree_signed_earlier_is_shrunken() -> None:
    progress = following(100, ago_s=10)
    judged = progress.judge(head(300, ago_s=50), NOW)
    assert kinds(judged.events) == ["shrunken"]
    assert judged.target is not None


def test_an_old_smaller_head_is_only_to_be_proved() -> None:
    progress = following(100)
    old = head(40, ago_s=3000)
    judged = progress.judge(old, NOW)
    assert judged.events == ()
    assert judged.prove is not None
    before, after = judged.prove
    assert (before, after.size) == (old, 100)
    assert progress.proved(before, after, merkle.consistency_proof(40, LEAVES[:100])) == ()
    assert progress.judge(old, NOW).prove is None


def test_an_old_head_of_another_tree_is_a_split_view() -> None:
    progress = following(100)
    old = head(60, ago_s=3000, leaves=OTHERS)
    judged = progress.judge(old, NOW)
    assert judged.prove is not None
    events = progress.proved(*judged.prove, merkle.consistency_proof(60, LEAVES[:100]))
    assert kinds(events) == ["split-view"]


def test_a_head_verified_before_is_known_again() -> None:
    progress = following(100, ago_s=60)
    read(progress, head(200, ago_s=30))
    judged = progress.judge(head(100, ago_s=60), NOW)
    assert judged.events == ()
    assert judged.prove is None
    assert kinds(progress.judge(head(100, ago_s=60, leaves=OTHERS), NOW).events) == ["split-view"]


def test_an_unsigned_head_is_told_once_and_its_end() -> None:
    progress = following(100)
    assert kinds(progress.unsigned("the signature of the tree head is wrong", head(120))) == ["bad-signature"]
    assert progress.unsigned("again") == ()
    assert kinds(progress.judge(head(120, ago_s=1), NOW).events) == ["resumed"]


def test_a_head_of_the_future_is_told_and_orders_nothing() -> None:
    progress = following(100)
    ahead = head(200, ago_s=-3600)
    judged = progress.judge(ahead, NOW)
    assert kinds(judged.events) == ["future-head"]
    assert judged.target == ahead
    assert read(progress, ahead).verified
    assert kinds(progress.judge(head(300, ago_s=1), NOW).events) == ["resumed"]
    assert progress.judge(head(300, ago_s=-200), NOW).events == ()


def test_a_stale_head_is_told_once_and_its_end() -> None:
    progress = following(100, ago_s=30)
    assert progress.watch_age(NOW) == ()
    later = NOW + timedelta(minutes=7)
    assert kinds(progress.watch_age(later)) == ["stale-head"]
    assert progress.watch_age(later) == ()
    progress.judge(head(100, ago_s=-400), later)
    assert kinds(progress.watch_age(later)) == ["resumed"]


def test_a_log_that_never_gave_a_head_is_stale_since_it_was_followed() -> None:
    progress = Progress(LOG)
    assert progress.watch_age(NOW) == ()
    assert progress.watch_age(NOW, since=NOW) == ()
    assert kinds(progress.watch_age(NOW, since=NOW - timedelta(hours=1))) == ["stale-head"]


def test_a_read_only_log_may_be_old() -> None:
    progress = following(100, log=replace(LOG, state="readonly"))
    assert progress.watch_age(NOW + timedelta(days=90)) == ()


def test_the_final_head_ends_it_without_an_alarm() -> None:
    log = replace(LOG, state="readonly", final=(200, head(200).root))
    progress = following(100, log=log)
    settled = read(progress, head(200))
    assert kinds(settled.events) == ["finished"]
    assert settled.events[0].severity == "notice"
    assert progress.position.state == "finished"
    assert progress.gone("retired") == ()
    assert progress.watch_age(NOW + timedelta(days=90)) == ()


def test_a_final_head_other_than_the_listed_one_is_inconsistent() -> None:
    log = replace(LOG, state="readonly", final=(200, b"\x07" * 32))
    progress = following(100, log=log)
    assert kinds(read(progress, head(200)).events) == ["inconsistent"]


def test_growth_beyond_the_final_head_is_inconsistent() -> None:
    log = replace(LOG, state="readonly", final=(200, head(200).root))
    progress = following(100, log=log)
    assert kinds(progress.judge(head(300, ago_s=1), NOW).events) == ["inconsistent"]


def test_a_log_gone_before_its_end_is_a_gap() -> None:
    progress = following(100)
    progress.judge(head(300, ago_s=5), NOW)
    events = progress.gone("404 for a day")
    assert kinds(events) == ["gap"]
    assert (events[0].evidence["from"], events[0].evidence["to"]) == (100, 300)
    assert progress.gone("404 for a day") == ()
    assert kinds(progress.judge(head(300, ago_s=4), NOW).events) == ["resumed"]


def test_a_log_gone_after_its_last_promise_was_read_is_no_gap() -> None:
    assert kinds(following(100).gone("retired")) == ["finished"]


def test_a_log_that_was_never_read_is_a_gap_of_unknown_size() -> None:
    assert kinds(Progress(LOG).gone("retired")) == ["gap"]


def test_lag_is_told_when_entries_wait_too_long() -> None:
    progress = following(100, ago_s=30)
    assert progress.watch_lag(NOW) == ()
    progress.judge(head(300, ago_s=5), NOW)
    lag = progress.lag(NOW)
    assert (lag.entries, lag.head_age) == (200, timedelta(seconds=30))
    assert progress.watch_lag(NOW) == ()
    later = NOW + timedelta(hours=2)
    assert kinds(progress.watch_lag(later)) == ["lagging"]
    assert progress.watch_lag(later) == ()
    read(progress, head(300, ago_s=5))
    assert kinds(progress.watch_lag(later)) == ["resumed"]


def test_a_start_at_the_end_is_visible_and_verified() -> None:
    tree = CompactTree()
    tree.extend(LEAVES[:100])
    position = start_at(LOG, tree, head(100))
    assert position.first == 100
    progress = Progress(LOG, position)
    assert read(progress, head(300, ago_s=5)).verified
    with pytest.raises(ValueError, match="not the tree"):
        start_at(LOG, tree, head(100, leaves=OTHERS))


def test_a_malformed_entry_names_log_and_index() -> None:
    [event] = following().malformed([(17, "malformed: your names cannot be excluded", b"leaf")], NOW)
    assert event.kind == "malformed-entry"
    assert (event.evidence["index"], event.evidence["leaf"]) == (17, b"leaf".hex())
    assert "entry 17" in event.text


def test_of_a_malformed_entry_that_is_large_its_hash_is_kept() -> None:
    [event] = following().malformed([(17, "malformed", bytes(1 << 20))], NOW)
    assert event.evidence["leaf_hash"] == leaf_hash(bytes(1 << 20)).hex()
    assert "leaf" not in event.evidence


def odd(*indices: int) -> list[tuple[int, str, bytes]]:
    return [(index, "malformed", b"") for index in indices]


def test_malformed_entries_beyond_a_number_are_counted_and_told_again_after_a_day_with_few() -> None:
    progress, day = following(), timedelta(days=1)
    events = progress.malformed(odd(*range(MOST_MALFORMED + 30)), NOW)
    assert kinds(events) == ["malformed-entry"] * MOST_MALFORMED + ["malformed-many"]
    assert progress.malformed(odd(*range(20, MOST_MALFORMED + 31)), NOW) == ()  # most of them were read before
    progress = Progress(LOG, Position.from_json(json.loads(json.dumps(progress.position.to_json()))))
    assert progress.malformed(odd(500), NOW, more=9, upto=600) == ()
    assert progress.position.malformed.more == 31 + 10
    assert progress.watch_malformed(NOW + day / 2) == ()
    assert progress.watch_malformed(NOW + day) == ()  # a day of many, which is over
    assert kinds(progress.malformed(odd(700), NOW + day)) == ["malformed-entry"]
    [over] = progress.watch_malformed(NOW + 2 * day)
    assert over.kind == "resumed" and "41 were counted alone" in over.text
    assert progress.watch_malformed(NOW + 4 * day) == ()
    assert kinds(progress.malformed(odd(*range(800, 900)), NOW + 4 * day))[-1] == "malformed-many"


def test_a_log_that_was_full_of_malformed_entries_and_has_none_any_more_is_over_it() -> None:
    progress, day = following(), timedelta(days=1)
    progress.malformed(odd(*range(MOST_MALFORMED + 1)), NOW)
    assert progress.watch_malformed(NOW + day) == ()
    assert kinds(progress.watch_malformed(NOW + 2 * day)) == ["resumed"]


def test_what_is_read_again_and_malformed_now_is_told_within_the_same_bound() -> None:
    progress = following()
    progress.malformed(odd(900), NOW)
    events = progress.malformed(odd(*range(200)), NOW)
    assert kinds(events) == ["malformed-entry"] * (MOST_MALFORMED - 1)
    assert progress.position.malformed.told == 1


@pytest.mark.parametrize(("root", "kind"), [(head(100).root, "finished"), (b"\x07" * 32, "inconsistent")])
def test_a_final_head_that_is_listed_after_the_log_was_read_is_held_against_what_was_read(
    root: bytes, kind: str
) -> None:
    log = replace(LOG, state="readonly", final=(100, root))
    progress = Progress(log, following(100).position)
    assert kinds(progress.judge(head(100, ago_s=5), NOW).events) == [kind]
    assert progress.judge(head(100, ago_s=4), NOW).events == ()


def test_what_cannot_be_had_is_told_when_it_lasts_and_once() -> None:
    progress, hour = following(100), timedelta(hours=1)
    later, more = NOW + timedelta(minutes=59), NOW + timedelta(minutes=61)
    assert progress.failed("its entries from 100 on", "HTTP 404", NOW, limit=hour, meaning="names are in them") == ()
    assert progress.failed("its entries from 100 on", "HTTP 404", later, limit=hour, meaning="names are in them") == ()
    progress = Progress(LOG, Position.from_json(json.loads(json.dumps(progress.position.to_json()))))  # a restart
    [event] = progress.failed("its entries from 100 on", "HTTP 500", more, limit=hour, meaning="names are in them")
    assert (event.kind, event.evidence["downloaded"]) == ("unreadable", 100)
    assert (
        "its entries from 100 on cannot be had since 2026-11-22 12:00 UTC (HTTP 500): names are in them" in event.text
    )
    assert progress.failed("its entries from 100 on", "HTTP 404", more, limit=hour, meaning="names are in them") == ()
    assert kinds(progress.failed("its entries from 356 on", "HTTP 404", more, limit=hour, meaning="x")) == ["resumed"]
    assert progress.position.trouble is not None
    assert progress.went_well() == ()
    assert progress.position.trouble is None


def test_while_the_head_itself_is_missing_what_was_missing_before_is_not_called_there() -> None:
    progress, later = following(100), NOW + timedelta(hours=1)
    entries, limit = "its entries from 100 on", timedelta(minutes=10)
    progress.failed(entries, "HTTP 404", NOW, limit=limit, meaning="names are in them")
    assert kinds(progress.failed(entries, "HTTP 404", later, limit=limit, meaning="names")) == ["unreadable"]
    for _ in range(3):
        assert progress.failed("its tree head", "HTTP 503", later, limit=limit) == ()
        assert progress.failed(entries, "HTTP 404", later + limit, limit=limit, meaning="names") == ()
    assert kinds(progress.went_well()) == ["resumed"]


def test_a_head_that_cannot_be_had_is_remembered_and_not_told_as_unreadable() -> None:
    progress = following(100)
    for hours in range(5):
        assert progress.failed("its tree head", "HTTP 500", NOW + timedelta(hours=hours), limit=timedelta()) == ()
    assert progress.position.trouble is not None
    assert progress.position.trouble.since_ms == int(NOW.timestamp() * 1000)


def test_a_state_from_before_troubles_were_kept_is_read() -> None:
    stored = following(100).position.to_json()
    del stored["trouble"]
    assert Position.from_json(stored) == following(100).position
