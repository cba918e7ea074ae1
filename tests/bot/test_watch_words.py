"""What a person reads of floods, drift and expiry at night: each thing once, and no button that does nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.drift import Drift
from bot.drift_memory import Told
from bot.expiry import Concern, Place, Step
from bot.lineages import Lineage
from bot.model import Content
from bot.render import drift, expiry, watch
from bot.watched import Failing, Flood, Lookout, Tally, Watch
from probes.model import Target
from tests.bot.conftest import said
from tests.bot.year import BEGIN, certificate, day

WATCH = Watch(
    id=1, team="T", channel="C", lookout=Lookout(id=1, team="T", target=Target.parse("a.test")), owner="U1",
    added_by="U1", added_at=BEGIN,
)  # fmt: skip
LEAF = certificate(("a.test",), BEGIN, 90)


def text(content: Content) -> str:
    return said({"text": content.text, "blocks": list(content.blocks)})


def flood(**causes: int) -> Flood:
    """*causes*: how many have each, with _ for its dot."""
    every = [name.replace("_", ".") for name, count in causes.items() for _ in range(count)]
    members = {number: Failing(target=f"h{number}.test:443", cause=cause) for number, cause in enumerate(every)}
    return Flood(key="k", team="T", channel="C", began_at=BEGIN, members=members)


def test_a_flood_says_each_cause_once_in_words_with_its_hosts() -> None:
    told = text(watch.flood(flood(validity_expired=11, chain_incomplete=4), 15))
    assert "All 15 endpoints watched here fail together" in told
    assert told.count("`validity.expired`") == 1 and "*The certificate has expired*" in told
    assert "`h0.test`, `h1.test`" in told and ":443" not in told
    assert "12 of the 20 endpoints watched here" in text(watch.flood(flood(validity_expired=12), 20))


def test_a_flood_of_very_many_fits() -> None:
    told = text(watch.flood(flood(validity_expired=900), 1000))
    assert "and 885 more" in told and "`/tls watch list broken`" in told and len(told) < 2000


def test_a_flood_that_is_over_is_not_said_to_work_since_it_began() -> None:
    began = flood(validity_expired=10)
    over = {number: replace(each, is_over=True) for number, each in began.members.items()}
    told = text(watch.flood(replace(began, members=over), 10))
    assert "work again.* It began <!date^" in told


def test_a_flood_that_ebbs_counts_those_that_failed_and_not_all_that_is_watched() -> None:
    began = flood(validity_expired=12)
    some = {number: replace(each, is_over=number < 9) for number, each in began.members.items()}
    told = text(watch.flood(replace(began, members=some), 40))
    assert "*3 of the 12 endpoints that failed together still fail*, since" in told and "40" not in told


def test_the_end_of_a_sweep_in_a_notification() -> None:
    def told(tally: Tally) -> str:
        return watch.swept(tally, timedelta(seconds=2), ()).text

    assert told(Tally(total=3, ok=3)) == "Looked at 3 endpoints: all ok"
    assert told(Tally(total=3, ok=1, broken=2)) == "Looked at 3 endpoints: 🔴 2 broken, 🟢 1 ok"


# ── drift ───────────────────────────────────────────────────────────────────────


def changed(kind: str, said: str, *evidence: str, **more: Any) -> Told:
    of = Drift(kind=kind, key=kind, severity="warning", text=said, addresses=("192.0.2.1",), evidence=evidence)
    return Told(drift=of, message=1, at=BEGIN, **more)


def test_what_was_before_stands_beside_what_it_belongs_to_and_is_said_once() -> None:
    alpn = changed("alpn", "ALPN http/1.1 instead of h2", "before: h2")
    version = changed("versions", "TLSv1.3 no longer agreed", "before: TLSv1.2, TLSv1.3")
    told = text(drift.message(WATCH, [alpn, version], 1))
    assert "before: h2" not in told
    assert "• TLSv1.3 no longer agreed _(before: TLSv1.2, TLSv1.3)_" in told
    assert "before: TLSv1.2, TLSv1.3" in text(drift.message(WATCH, [version], 1))


def test_another_ca_says_until_when_in_utc_and_what_to_do_where_it_is_right() -> None:
    told = text(drift.message(WATCH, [changed("issuer", "another CA", "valid until 2027-03-01T11:47:00Z")], 1))
    assert "2027-03-01 11:47 UTC" in told and "T11:47" not in told and "`/tls watch add a.test --expect-ca" in told
    assert "--expect-ca" not in text(drift.message(WATCH, [changed("names", "names lost")], 1))


def test_what_went_back_says_since_when_and_what_it_was() -> None:
    over = changed("alpn", "ALPN no longer agreed", ended="back", ended_at=day(1))
    told = text(drift.message(WATCH, [over], 1))
    assert "is as it was before, since <!date^" in told and "What had changed: ALPN no longer agreed." in told


# ── expiry ──────────────────────────────────────────────────────────────────────


def root(step: Step, target: str = "a.test:443", **known: Any) -> Content:
    lineage = Lineage(id=1, team="T", channel="C", names=("a.test",), owner="U1", is_open=True, episode=1, **known)
    place = Place(watch=1, target=target, address="192.0.2.1", path=(LEAF.sha256,), since=BEGIN)
    concern = Concern(step=step, certificate=LEAF.sha256, not_after=day(90), places=(place,), of=1)
    return expiry.root(lineage, concern, {LEAF.sha256: LEAF})


def test_what_has_expired_cannot_be_snoozed_and_offers_it_no_more() -> None:
    assert expiry.SNOOZE in str(root("last").blocks) and expiry.ACKNOWLEDGE in str(root("last").blocks)
    assert expiry.SNOOZE not in str(root("expired").blocks) and expiry.ACKNOWLEDGE in str(root("expired").blocks)
    assert all(block["type"] != "actions" for block in root("expired", acknowledged_by="U2").blocks)


def test_the_small_print_does_not_name_the_host_again() -> None:
    assert text(root("sixth")).count("`a.test") == 1
    assert "`a.test:8443`" in text(root("sixth", "a.test:8443"))
