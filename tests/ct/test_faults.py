"""Each way in which a log can fail or lie is noticed, stops no other log, and hides no watched name for good.

Long: a test for each fault, all over one log server and one watcher.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace

import pytest

from probes.ct.monitor import MOST_MALFORMED
from probes.ct.position import Position
from probes.ct_evidence import problems, read_bundle
from tests.ct import misbehaviour as does
from tests.ct.certificates import odd
from tests.ct.conftest import MakeLog
from tests.ct.following import QUICK, WATCHED, Clock, Watcher, parsed
from tests.ct.logserver import CtLog, Protocol
from tests.ct.misbehaviour import Reaction
from tests.ct.tree import Entry

PROTOCOLS: tuple[Protocol, ...] = ("rfc6962", "static")
IMPATIENT = replace(QUICK, total_s=0.4)
both = pytest.mark.parametrize("protocol", PROTOCOLS)


def grow(log: CtLog, name: str, count: int = 30) -> str:
    """*count* entries with one for *name* in their middle; its identity."""
    log.fill(count // 2)
    pair = log.authority.issue(f"{name}.{WATCHED}")
    log.submit(pair)
    log.fill(count - count // 2)
    return pair.identity


@both
async def test_an_honest_log_is_read_whole_and_each_match_is_told_once(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    wanted = [grow(log, f"n{number}", 300) for number in range(3)]
    first = await watcher.look(log.listed(protocol))
    again = await watcher.look(log.listed(protocol))
    wanted.append(grow(log, "later"))
    third = await watcher.look(log.listed(protocol))
    assert (first.identities, again.identities, third.identities) == (wanted[:3], [], wanted[3:])
    assert all(found.verified for found in first.found)
    assert watcher.heard.events == []
    assert third.last["sycamore"].verified == len(log.history.entries)


@both
async def test_followed_from_its_end_a_log_is_proved_without_its_old_entries(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "old", 700)
    joined = await watcher.look(log.listed(protocol), from_start=False)
    new = grow(log, "new", 300)
    later = await watcher.look(log.listed(protocol), from_start=False)
    assert joined.identities == []
    assert "has the root that it signed" in " ".join(status.note for status in joined.told if hasattr(status, "note"))
    assert later.identities == [new]
    assert later.last["sycamore"].first == 701
    if protocol == "static":
        assert not any("/tile/data/000" in path for path in log.requests)


@both
async def test_a_precertificate_and_its_certificate_in_two_logs_are_one_issuance(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    one, other = make_log("one"), make_log("two")
    pair = one.authority.issue(f"both.{WATCHED}")
    one.submit(pair)
    one.submit(pair, final=True)
    other.submit(pair, final=True)
    heard = await watcher.look(one.listed(protocol), other.listed(protocol))
    assert heard.identities == [pair.identity]
    assert [line["type"] for line in watcher.findings()].count("seen") == 2


@both
async def test_a_wrong_signature_is_told_once_and_nothing_is_believed_meanwhile(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    log.bad_signature = True
    wanted = grow(log, "a")
    lied = await watcher.look(log.listed(protocol))
    assert lied.kinds == ["bad-signature"]
    assert "does not hold" in lied.troubles["sycamore"]
    assert (await watcher.look(log.listed(protocol))).told_of_nothing()
    log.behave()
    healed = await watcher.look(log.listed(protocol))
    assert (healed.kinds, healed.identities) == (["resumed"], [wanted])


async def test_a_head_that_is_none_is_kept_as_it_was_received(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    grow(log, "a")
    fault = log.misbehave("checkpoint", lambda honest: replace(honest, body=honest.body.replace(b"\n31\n", b"\n031\n")))
    [event] = (await watcher.look(log.listed("static"))).events
    assert fault.met
    assert event.kind == "bad-signature"
    assert b"\n031\n" in b64decode(event.evidence["received"])


@both
async def test_a_rotated_key_is_a_wrong_signature(protocol: Protocol, make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    grow(log, "a")
    log.rotate_key()
    assert (await watcher.look(log.listed(protocol))).kinds == ["bad-signature"]


@both
async def test_two_trees_of_one_size_are_a_split_view_with_both_heads(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "a")
    await watcher.look(log.listed(protocol))
    log.history = log.history.forked(3)
    [event] = (await watcher.look(log.listed(protocol))).events
    assert event.kind == "split-view"
    assert event.evidence["head"]["sha256_root_hash"] != event.evidence["other_head"]["sha256_root_hash"]
    assert event.evidence["head"]["tree_size"] == event.evidence["other_head"]["tree_size"]


@both
async def test_a_log_that_rewrote_its_past_and_grew_is_inconsistent_and_its_new_names_are_told_all_the_same(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "a", 300)
    await watcher.look(log.listed(protocol))
    log.history = log.history.forked(3)
    wanted = grow(log, "b", 300)
    heard = await watcher.look(log.listed(protocol))
    assert heard.kinds == ["inconsistent"]
    assert heard.identities == [wanted]
    assert not heard.found[0].verified


@both
async def test_a_shrunken_tree_is_told(protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock) -> None:
    log = make_log()
    grow(log, "a")
    await watcher.look(log.listed(protocol))
    clock.move(seconds=30)
    log.size = 10
    assert "shrunken" in (await watcher.look(log.listed(protocol))).kinds


@both
async def test_an_older_head_is_no_lie(protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock) -> None:
    log = make_log()
    grow(log, "a", 200)
    before = int(clock() * 1000)
    clock.move(seconds=30)
    grow(log, "b", 200)
    await watcher.look(log.listed(protocol))
    log.size, log.head_time_ms = 201, before
    heard = await watcher.look(log.listed(protocol))
    assert heard.events == []
    assert any("consistency" in path or "/tile/0/" in path for path in log.requests[-6:])  # it had to prove it


@both
async def test_an_older_head_of_another_tree_is_a_split_view(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    grow(log, "a", 200)
    before = int(clock() * 1000)
    clock.move(seconds=30)
    grow(log, "b", 200)
    await watcher.look(log.listed(protocol))
    log.history = log.history.forked(5)
    log.size, log.head_time_ms = 201, before
    assert (await watcher.look(log.listed(protocol))).kinds == ["split-view"]


@both
async def test_a_flipped_entry_is_inconsistent_and_when_put_right_everything_is_verified(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    wanted = grow(log, "a", 400)
    log.flipped = {7}
    lied = await watcher.look(log.listed(protocol))
    assert lied.kinds == ["inconsistent"]
    assert lied.identities == [wanted]
    assert lied.last["sycamore"].verified == 0
    log.behave()
    healed = await watcher.look(log.listed(protocol))
    assert healed.kinds == ["resumed"]
    assert healed.identities == []  # told before, though not verified
    assert healed.last["sycamore"].verified == 401


@both
async def test_a_flip_on_the_way_is_downloaded_once_more_without_alarm(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    wanted = grow(log, "a", 400)
    where = "/tile/data/000" if protocol == "static" else "get-entries?start=0"
    flips = log.misbehave(where, _flip(log, where), times=1)
    heard = await watcher.look(log.listed(protocol))
    assert flips.met == 1
    assert (heard.kinds, heard.identities) == ([], [wanted])
    assert heard.last["sycamore"].verified == 401


def _flip(log: CtLog, where: str) -> Reaction:
    """The answer as it is when entry 7 is flipped."""

    def react(_: does.Answer) -> does.Answer:
        log.flipped = {7}
        try:
            return log.honest(log.requests[-1])
        finally:
            log.flipped = set()

    return react


async def test_an_entry_left_out_is_noticed_by_the_root(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "a", 400)
    log.dropped = {9}
    heard = await watcher.look(log.listed("rfc6962"))
    # The last entry is missing at the end: the log answers that it has no such entry.
    assert heard.troubles or heard.kinds == ["inconsistent"]
    log.behave()
    assert (await watcher.look(log.listed("rfc6962"))).identities == ([] if heard.identities else [wanted])
    assert watcher.announced() == [wanted]


async def test_an_entry_left_out_of_a_tile_is_noticed_by_its_index(
    make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    wanted = grow(log, "a", 400)
    log.dropped = {9}
    heard = await watcher.look(log.listed("static"))
    assert "data tile" in heard.troubles["sycamore"]
    log.behave()
    assert (await watcher.look(log.listed("static"))).identities == [wanted]


@both
async def test_short_answers_are_asked_for_again_and_never_taken_for_the_end(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log(batch=7)
    wanted = [grow(log, name, 200) for name in "abc"]
    heard = await watcher.look(log.listed(protocol))
    assert heard.identities == wanted
    assert heard.last["sycamore"].verified == 603


async def test_an_entry_of_an_unknown_kind_hides_none_behind_it(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    log.fill(3)
    kinds = {
        "type": (10, b"\x7f\xff"),  # log_entry_type
        "version": (0, b"\x07"),
    }
    hidden = log.authority.issue(f"hidden.{WATCHED}").certificate
    leaf = Entry(body=hidden, timestamp_ms=1).leaf(0)
    for at, said in kinds.values():
        log.add_leaf(leaf[:at] + said + leaf[at + len(said) :])
    log.add_leaf(b"")
    log.add_leaf(b"\0\0\0")
    wanted = grow(log, "a")
    heard = await watcher.look(log.listed("rfc6962"), prove=True)
    assert heard.kinds == ["malformed-entry"] * 4
    assert [event.evidence["index"] for event in heard.events] == [3, 4, 5, 6]
    assert "entry 3 has type 7fff" in heard.events[0].text
    assert heard.last["sycamore"].verified == 38
    *strange, found = heard.found
    assert [each.issuance.matches[0].name for each in strange] == [f"hidden.{WATCHED}"] * 2
    assert found.issuance.tbs_sha256 == wanted
    assert strange[0].bundle is not None
    assert problems(read_bundle(json.dumps(strange[0].bundle.to_json())), parsed(log.listed("rfc6962")).logs) == ()


async def test_an_empty_certificate_hides_no_tile(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    log.fill(3)
    log.add(b"")
    wanted = grow(log, "a")
    heard = await watcher.look(log.listed("static"))
    assert (heard.kinds, heard.identities) == (["malformed-entry"], [wanted])


@both
async def test_a_proof_that_is_kept_back_is_told_and_delays_no_entry(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    grow(log, "a", 200)
    before = int(clock() * 1000)
    clock.move(seconds=30)
    grow(log, "b", 200)
    await watcher.look(log.listed(protocol))
    log.misbehave("/tile/0/" if protocol == "static" else "get-sth-consistency", does.status(404))
    log.size, log.head_time_ms = 201, before
    [event] = (await watcher.look(log.listed(protocol))).events
    assert event.kind == "unreadable"
    assert "the proof that its tree of 402 entries extends the older one of 201" in event.text
    assert event.evidence["other_head"]["tree_size"] == 201


PASSING: dict[str, Reaction] = {
    "429": does.too_many(),
    "429 with Retry-After": does.too_many("0"),
    "500": does.status(500),
    "HTML": does.html(),
    "HTML 503": does.html(503),
    "connection reset": does.reset,
    "body cut": does.cut(),
    "short body": does.short_body(),
    "garbage": does.garbage,
    "truncated gzip": does.truncated_gzip,
    "silence": does.hang,
}


@both
@pytest.mark.parametrize("fault", PASSING)
async def test_what_passes_is_got_over(fault: str, protocol: Protocol, make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "a", 300)
    watcher.manners = IMPATIENT
    where = {"static": ("checkpoint", "/tile/data/"), "rfc6962": ("get-sth", "get-entries")}[protocol]
    faults = [log.misbehave(each, PASSING[fault], times=2) for each in where]
    heard = await watcher.look(log.listed(protocol))
    assert [each.met for each in faults] == [2, 2]
    assert (heard.kinds, heard.identities, heard.troubles) == ([], [wanted], {})


@both
@pytest.mark.parametrize("fault", [*PASSING, "redirect", "bomb", "endless", "drip", "404"])
async def test_what_does_not_pass_is_said_and_the_other_log_goes_on(
    fault: str, protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    lasting = {
        "redirect": does.redirect("http://127.0.0.1:9/"),
        "bomb": does.bomb(200),
        "endless": does.endless(40),
        "drip": does.drip(),
        "404": does.status(404),
    }
    bad, good = make_log("bad"), make_log("good")
    hidden, wanted = grow(bad, "a", 300), grow(good, "b", 300)
    watcher.manners = IMPATIENT if fault in {"drip", "silence"} else QUICK
    bad.misbehave("/tile/" if protocol == "static" else "get-entries", (PASSING | lasting)[fault])
    heard = await watcher.look(bad.listed(protocol), good.listed(protocol))
    assert heard.identities == [wanted]
    assert list(heard.troubles) == ["bad"]
    assert heard.last["bad"].verified == 0
    assert not any("127.0.0.1:9" in path for path in bad.requests)
    bad.behave()
    assert (await watcher.look(bad.listed(protocol), good.listed(protocol))).identities == [hidden]


async def test_gzip_that_nobody_announced_is_unpacked(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "a", 300)
    fault = log.misbehave("/", does.unannounced_gzip)
    heard = await watcher.look(log.listed("static"))
    assert fault.met == 3  # the checkpoint and both data tiles
    assert (heard.identities, heard.troubles) == ([wanted], {})


async def test_gzip_of_several_members_is_unpacked(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "a", 300)
    fault = log.misbehave("/", does.gzip_members)
    heard = await watcher.look(log.listed("rfc6962"))
    assert fault.met > 2
    assert (heard.identities, heard.troubles) == ([wanted], {})


async def test_a_partial_tile_that_vanished_is_read_from_the_full_one(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "a", 100)
    log.size = 101
    grow(log, "b", 300)  # the tile is full by now, and the head seen is an older one
    log.partial_tiles = False
    heard = await watcher.look(log.listed("static"))
    assert heard.identities == [wanted]
    assert heard.last["sycamore"].verified == 101
    assert any(path.endswith("/tile/data/000.p/101") for path in log.requests)


@both
async def test_a_head_from_the_future_is_told_and_read(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    wanted = grow(log, "a")
    log.head_time_ms = int((clock() + 7200) * 1000)
    heard = await watcher.look(log.listed(protocol))
    assert (heard.kinds, heard.identities) == (["future-head"], [wanted])
    log.head_time_ms = None
    assert (await watcher.look(log.listed(protocol))).kinds == ["resumed"]


@both
async def test_a_head_that_is_never_renewed_is_told(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    grow(log, "a")
    log.head_time_ms = int(clock() * 1000)
    await watcher.look(log.listed(protocol))
    clock.move(days=3)
    assert (await watcher.look(log.listed(protocol))).kinds == ["stale-head"]
    assert (await watcher.look(log.listed(protocol))).kinds == []
    log.head_time_ms = None
    assert (await watcher.look(log.listed(protocol))).kinds == ["resumed"]


@both
async def test_a_log_that_cannot_be_read_on_lags_and_catches_up(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    grow(log, "a")
    await watcher.look(log.listed(protocol))
    log.misbehave("/tile/data/" if protocol == "static" else "get-entries", does.status(500))
    wanted = grow(log, "b")
    clock.move(days=3)
    log.head_time_ms = int(clock() * 1000)
    heard = await watcher.look(log.listed(protocol))
    assert "lagging" in heard.kinds
    lag = heard.last["sycamore"].lag
    assert lag is not None
    assert lag.entries == 31
    log.behave()
    healed = await watcher.look(log.listed(protocol))
    assert (healed.identities, "resumed" in healed.kinds) == ([wanted], True)


@both
async def test_a_read_only_log_is_read_to_its_final_head_and_ends_quietly(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    wanted = grow(log, "a", 300)
    log.head_time_ms = int(clock() * 1000)
    final = log.listed(protocol, "readonly", final_size=301)
    heard = await watcher.look(final)
    assert (heard.kinds, heard.identities) == (["finished"], [wanted])
    clock.move(days=90)
    assert (await watcher.look(final)).kinds == []
    log.misbehave("/", does.status(404))
    assert (await watcher.look(log.listed(protocol, "retired"))).kinds == []


@both
async def test_a_log_that_becomes_read_only_after_it_was_read_is_finished(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "a", 300)
    await watcher.look(log.listed(protocol))
    final = log.listed(protocol, "readonly", final_size=301)
    heard = await watcher.look(final)
    assert (heard.kinds, heard.last["sycamore"].state) == (["finished"], "finished")
    assert (await watcher.look(final)).kinds == []


@both
async def test_a_read_only_log_that_keeps_its_end_back_is_told(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "a", 300)
    wanted = grow(log, "b", 29)
    final = log.listed(protocol, "readonly", final_size=331)
    log.size = 301
    [event] = (await watcher.look(final)).events
    assert event.kind == "unreadable"
    assert "its entries from 301 to 330" in event.text and "cannot be excluded" in event.text
    assert (await watcher.look(final)).kinds == []
    log.size = None
    heard = await watcher.look(final)
    assert heard.identities == [wanted]
    assert heard.kinds == ["finished", "resumed"]


@both
async def test_a_log_that_ends_before_it_was_read_is_a_gap(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    grow(log, "a", 300)
    await watcher.look(log.listed(protocol))
    log.fill(50)
    final = log.listed(protocol, "readonly", final_size=351)
    log.misbehave("/", does.status(410))
    [event] = (await watcher.look(final)).events
    assert event.kind == "gap"
    assert (event.evidence["from"], event.evidence["to"]) == (301, 351)


@both
async def test_a_port_that_is_closed_is_said_and_after_it_nothing_is_missing(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    bad, good = make_log("bad"), make_log("good")
    first = grow(bad, "a", 300)
    assert (await watcher.look(bad.listed(protocol), good.listed(protocol))).identities == [first]
    bad.refuse()
    missed, seen = grow(bad, "b", 300), grow(good, "c", 300)
    heard = await watcher.look(bad.listed(protocol), good.listed(protocol))
    assert heard.identities == [seen]
    assert "refused" in heard.troubles["bad"]
    bad.accept()
    assert (await watcher.look(bad.listed(protocol), good.listed(protocol))).identities == [missed]


@both
async def test_certificates_that_strict_parsers_refuse_are_seen(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    strange = log.authority.issue(f"strange.{WATCHED}", f"plain.{WATCHED}")
    log.fill(5)
    log.add(odd(strange), chain=log.authority.chain)
    log.fill(5)
    heard = await watcher.look(log.listed(protocol))
    assert len(heard.found) == 1
    assert f"plain.{WATCHED}" in {match.name for match in heard.found[0].issuance.matches}


@both
@pytest.mark.parametrize("body", [b"\x00", b"\x30\x82", b"\xff" * 700, b"\x30\x80" + b"\0" * 50, b"<html>" * 40])
async def test_what_is_no_certificate_is_told_and_the_next_ones_are_read(
    body: bytes, protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    log.fill(3)
    log.add(body)
    log.add(body, issuer_key_hash=bytes(32), precertificate=body)
    wanted = grow(log, "a")
    heard = await watcher.look(log.listed(protocol))
    assert heard.kinds == ["malformed-entry"] * 2
    assert [event.evidence["index"] for event in heard.events] == [3, 4]
    assert heard.identities == [wanted]
    assert (await watcher.look(log.listed(protocol))).kinds == []


@both
async def test_a_log_full_of_malformed_entries_fills_neither_disk_nor_memory_and_hides_no_name(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    for number in range(MOST_MALFORMED + 20):
        log.add(b"\x30\x82" + number.to_bytes(2))
    wanted = grow(log, "a")
    heard = await watcher.look(log.listed(protocol))
    assert heard.kinds == ["malformed-entry"] * MOST_MALFORMED + ["malformed-many"]
    assert heard.identities == [wanted]
    for number in range(300):
        log.add(b"\x30\x82" + number.to_bytes(2))
    wanted = grow(log, "b")
    heard = await watcher.look(log.listed(protocol))
    assert (heard.kinds, heard.identities) == ([], [wanted])
    [position] = json.loads(watcher.path.read_text())["positions"].values()
    assert Position.from_json(position).malformed.more == 320
    for _ in range(2):
        clock.move(days=1, minutes=1)
        log.fill(1)
        heard = await watcher.look(log.listed(protocol))
    assert heard.kinds == ["resumed"]
    assert "320 were counted alone" in heard.events[0].text


@both
async def test_a_malformed_certificate_that_holds_a_watched_name_in_its_bytes_is_a_match(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher
) -> None:
    log = make_log()
    pair = log.authority.issue(f"broken.{WATCHED}")
    log.add(pair.certificate[:-40], chain=log.authority.chain)
    heard = await watcher.look(log.listed(protocol))
    assert [match.domain for found in heard.found for match in found.issuance.matches][:1] == [WATCHED]
    assert heard.kinds == ["malformed-entry"]
