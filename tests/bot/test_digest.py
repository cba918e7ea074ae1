"""What a digest says: needs first, then changes, then the horizon; and one line where there is nothing to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from bot.digest import Digest, Item, Said, composed, curve_of, of_incidents, of_watches
from bot.digest_times import WORKDAYS, DigestCommand, DigestPlan, command_of
from bot.local.blocks import validate_message
from bot.model import Content, Incident
from bot.render import digest as render
from bot.render.figures import Horizon, Sparklines
from bot.render.watch import owner as mention
from bot.watched import Lookout, Pace, Watch
from probes.model import Target, UsageError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)


def watch(
    host: str, *, status: str | None = "ok", cause: str | None = None, days: float | None = 60, owner: str | None = None
) -> Watch:
    lookout = Lookout(
        id=sum(map(ord, host)),
        team="T1",
        target=Target.parse(host),
        status=status,  # type: ignore[arg-type]
        cause=cause,
        expires_at=NOW + timedelta(days=days) if days is not None else None,
    )
    return Watch(id=lookout.id, team="T1", channel="C1", lookout=lookout, owner=owner, added_at=BEFORE)


def incident(number: int = 7, **changes: object) -> Incident:
    known: dict[str, object] = {
        "id": number, "channel": "C1", "target": "api.example.com:443", "cause": "chain.incomplete", "state": "open",
        "opened_at": BEFORE, "root": "check:1",
    }  # fmt: skip
    return Incident(**known | changes)  # type: ignore[arg-type]


def of(*watches: Watch, said: tuple[Said, ...] = (), paces: dict[int, list[Pace]] | None = None) -> Digest:
    return composed(at=NOW, since=BEFORE, said=said, watches=watches, paces=paces or {})


def text_of(content: Content) -> str:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [str(each) if key == "text" and isinstance(each, str) else "\n".join(texts(each))
                    for key, each in value.items()]  # fmt: skip
        return [line for each in value for line in texts(each)] if isinstance(value, list | tuple) else []

    return "\n".join(texts(list(content.blocks)))


def test_nothing_to_say_is_one_line() -> None:
    said = render.said(of(watch("a.example"), watch("b.example", days=23)), zone="Europe/Berlin", links={})
    assert len(said.blocks) == 1
    line = text_of(said).strip()
    assert "\n" not in line
    assert "nothing needs you" in line
    assert "both work" in line
    assert "ends in 23 days: `b.example`" in line
    assert "Monday, 23 November" in line


def test_without_a_watch_the_one_line_says_how_to_begin() -> None:
    assert "/tls watch add" in text_of(render.said(of(), zone="UTC", links={}))


def test_a_channel_that_watches_domains_alone_does_watch() -> None:
    text = text_of(render.said(of(said=(Said(domains=2),)), zone="UTC", links={}))
    assert "nothing needs you. 2 domains watched in CT logs." in text
    busy = text_of(render.said(of(said=(of_incidents([incident()], []), Said(domains=1))), zone="UTC", links={}))
    assert "both work" not in busy and "no endpoint is watched" in busy


def test_what_needs_somebody_stands_before_what_changed() -> None:
    change = Item(weight="notice", subject="b.example", text="new address", key="drift:1")
    digest = of(watch("a.example"), said=(of_incidents([incident()], []), Said(changed=(change,))))
    said = render.said(digest, zone="UTC", links={"check:1": "https://x.example/archives/C1/p1"})
    text = text_of(said)
    assert (
        text.index("Needs somebody") < text.index("INC-7 open") < text.index("Changed since") < text.index("new addr")
    )
    assert "<https://x.example/archives/C1/p1|thread>" in text
    assert "nobody commands" in text
    assert said.text == "TLS digest: 1 thing needs somebody, 1 change"
    assert [block["type"] for block in said.blocks] == ["section", "section", "section", "context"]


def test_what_exceeds_the_first_lines_is_folded_away_and_counted() -> None:
    needs = tuple(Item(weight="warning", subject=f"h{n:03}.example", text="old") for n in range(30))
    rests = (Item(weight="notice", subject="late.example", text="snoozed"),)
    said = render.said(of(said=(Said(needs=needs, rests=rests, aside=("An aside.",)),)), zone="UTC", links={})
    fold = said.blocks[-1]
    assert fold["type"] == "container" and fold["default_collapsed"]
    lines = text_of(Content(text="", blocks=(fold,))).splitlines()
    assert [line for line in lines if "h009" in line] == [] and any("h010" in line for line in lines)
    assert any("late.example" in line for line in lines) and "An aside." in lines
    assert "… 20 more below" in text_of(replace(said, blocks=said.blocks[:-1]))
    assert all(block["type"] != "container" for block in said.classic)
    assert "21 lines more" in text_of(replace(said, blocks=said.classic))


def test_an_endpoint_has_one_line_with_all_that_is_said_of_it() -> None:
    expired = Item(weight="critical", subject="api.example.com", text="expired", owner="U7", key="lineage:1:1")
    digest = of(said=(of_incidents([incident()], []), Said(needs=(expired,))))
    links = {"check:1": "https://x.example/a", "lineage:1:1": "https://x.example/b"}
    said = render.said(digest, zone="UTC", links=links)
    [line] = [line for line in text_of(said).splitlines() if "api.example.com" in line]
    assert line == (
        "🔴 `api.example.com` INC-7 open: `chain.incomplete`, nobody commands; expired · <@U7> · "
        "<https://x.example/a|thread> · <https://x.example/b|thread>"
    )
    assert "1 thing needs somebody" in text_of(said)


def test_what_gets_worse_first_stands_first_and_an_open_question_before_it() -> None:
    def item(subject: str, days: float | None) -> Item:
        by = None if days is None else NOW + timedelta(days=days)
        return Item(weight="warning", subject=subject, text="x", by=by)

    digest = of(said=(Said(needs=(item("a", 30), item("b", 2), item("c", None), item("d", -1))),))
    assert [group[0].subject for group in digest.needs] == ["c", "d", "b", "a"]


def test_what_is_snoozed_needs_nobody() -> None:
    broken = replace(watch("c.example", status="broken", cause="reach.refused"), snoozed_until=NOW + timedelta(days=2))
    said = of_watches([broken], frozenset(), NOW)
    assert not said.needs
    assert "snoozed until <!date^1795593600^{date_short_pretty}|25 November>" in said.rests[0].text
    assert of_watches([broken], frozenset(), NOW + timedelta(days=3)).needs
    assert of(broken, said=(said,)).is_quiet


@pytest.mark.parametrize(
    "token", ["<@U0123456789>", "<!subteam^S0123>", "`a.b.c.d e`", "&amp;", ":tada:", "<https://x.example/p1|thread>"]
)
def test_a_line_is_never_cut_inside_of_a_mention_a_link_code_an_emoji_or_an_entity(token: str) -> None:
    for before in range(170, 225):
        item = Item(
            weight="notice", subject="a", text="x" * before + f" {token} is {token} at {token}", owner="U9", key="k"
        )
        said = render.said(of(said=(Said(needs=(item,)),)), zone="UTC", links={"k": "https://x/"})
        [line] = [line for line in text_of(said).splitlines() if "xxx" in line]
        assert line.endswith("… · <@U9> · <https://x/|thread>") or before < 200
        left = line.replace(token, "").removesuffix(" · <@U9> · <https://x/|thread>").replace("`a`", "")
        assert not set(left) & set("<>`&:|;@")


@pytest.mark.parametrize(
    ("days", "zone", "told"),
    [
        (0.5, "Asia/Tokyo", "x · ends <!date^1795464000^{date_short_pretty} {time}|2026-11-23 20:00 UTC> · <@U7>"),
        (13.7, "UTC", "x · ends 7 December · <@U7>"),
        (13.7, "Pacific/Apia", "x · ends 7 December · <@U7>"),
        (13.3, "Asia/Tokyo", "x · ends 7 December · <@U7>"),
        (-1, "UTC", "x · <@U7>"),
    ],
)
def test_when_a_certificate_ends_is_said_by_the_clock_of_the_channel(days: float, zone: str, told: str) -> None:
    item = Item(weight="warning", subject="a", text="x", owner="U7", by=NOW + timedelta(days=days))
    assert told in text_of(render.said(of(said=(Said(needs=(item,)),)), zone=zone, links={}))


@pytest.mark.parametrize(
    ("since", "zone", "told"),
    [
        (datetime(2026, 11, 23, 7, 0, tzinfo=UTC), "UTC", "since 07:00 UTC*"),
        (datetime(2026, 11, 22, 8, 0, tzinfo=UTC), "Europe/Berlin", "since Sunday 09:00*"),
        (datetime(2026, 11, 17, 8, 0, tzinfo=UTC), "UTC", "since Tuesday, 17 November*"),
        (datetime(2026, 11, 2, 8, 0, tzinfo=UTC), "UTC", "since Monday, 2 November*"),
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "Asia/Kolkata", "since 05:00*"),
    ],
)
def test_since_when_is_said_so_that_only_one_day_can_be_meant(since: datetime, zone: str, told: str) -> None:
    change = Item(weight="notice", subject="b.example", text="new address")
    digest = composed(at=NOW, since=since, said=(Said(changed=(change,)),), watches=(), paces={})
    assert told in text_of(render.said(digest, zone=zone, links={}))


def test_a_recovered_incident_needs_less_than_an_open_one() -> None:
    said = of_incidents([incident(1, state="recovered"), incident(2)], [incident(3, state="resolved")])
    digest = of(said=(of_incidents([incident(1, state="recovered", target="b:443"), incident(2)], []),))
    assert [group[0].weight for group in digest.needs] == ["critical", "notice"]
    assert "INC-3 resolved" in said.changed[0].text


def test_what_is_broken_without_an_incident_is_told_as_well_and_once() -> None:
    broken = watch("c.example", status="broken", cause="reach.refused", owner="U7")
    with_incident = watch("d.example", status="broken", cause="reach.refused")
    said = of_watches([broken, with_incident], frozenset({str(with_incident.target)}), NOW)
    assert [item.subject for item in said.needs] == [str(broken.target)]
    digest = of(broken, said=(said, said))
    assert len(digest.needs) == 1
    assert "<@U7>" in text_of(render.said(digest, zone="UTC", links={}))


def test_an_owner_may_be_a_group() -> None:
    assert mention("S0ONCALL") == "<!subteam^S0ONCALL>"


@pytest.mark.parametrize("number", [0, 1, 5, 60, 400])
def test_however_much_there_is_it_stays_within_slacks_limits(number: int) -> None:
    hostile = "`<!channel>`&" * 20
    items = tuple(
        Item(weight="warning", subject=f"{hostile}{n}", text=f"changed {n}", owner="U1", key=f"k{n}")
        for n in range(number)
    )
    digest = of(*(watch(f"h{n}.example", days=n) for n in range(number)), said=(Said(needs=items, changed=items),))
    said = render.said(digest, zone="UTC", links={f"k{n}": f"https://x.example/{n}" for n in range(number)})
    for blocks in (said.blocks, said.classic):
        assert not validate_message(said.text, list(blocks))
        assert "<!channel>" not in str(blocks)


def test_the_horizon_is_by_owner_and_ends_after_90_days() -> None:
    digest = of(watch("a.example", days=100), watch("b.example", days=5, owner="U1"), watch("c.example", days=-2))
    [figure] = render.figures_of(digest, {"U1": "Ada"})
    assert isinstance(figure, Horizon)
    assert [(lane.owner, [each.label for each in lane.expiries]) for lane in figure.lanes] == [
        ("no owner", ["c.example"]),
        ("Ada", ["b.example"]),
    ]
    assert figure.caption == "2 of 3: 1 expired, 1 within 7 days"


def test_every_owner_is_in_the_picture() -> None:
    digest = of(*(watch(f"h{n:02}.example", days=n, owner=f"U{n:02}") for n in range(1, 15)))
    [figure] = render.figures_of(digest, {})
    assert isinstance(figure, Horizon)
    assert [lane.owner for lane in figure.lanes][-2:] == ["U09", "5 others"]
    assert sum(len(lane.expiries) for lane in figure.lanes) == 14
    assert figure.caption == "14 of 14: 6 within 7 days, 14 within 30"


def days_of(*medians: float) -> list[Pace]:
    first = NOW.date() - timedelta(days=len(medians) - 1)
    return [
        Pace(day=first + timedelta(days=n), count=90, mean=ms, least=ms, most=ms, median=ms)
        for n, ms in enumerate(medians)
    ]


def test_a_curve_is_shown_only_where_it_tells_something() -> None:
    calm, slow = watch("calm.example"), watch("slow.example")
    paces = {calm.lookout.id: days_of(20, 21, 20, 22, 21), slow.lookout.id: days_of(20, 21, 20, 22, 90)}
    digest = of(calm, slow, paces=paces)
    [curves] = [each for each in render.figures_of(digest, {}) if isinstance(each, Sparklines)]
    assert [line.label for line in curves.lines] == ["slow.example"]
    assert curves.lines[0].note == "90 ms, usually 21 ms"
    assert curve_of("x", days_of(20, 21), NOW) is None


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("now", DigestCommand(act="now")),
        ("off", DigestCommand(act="off")),
        ("", DigestCommand(act="at")),
        ("at", DigestCommand(act="at")),
        (
            "at 09:00 Europe/Berlin weekdays",
            DigestCommand(act="at", plan=DigestPlan(at=time(9), zone="Europe/Berlin", weekdays=WORKDAYS)),
        ),
        ("09:00 UTC", DigestCommand(act="at", plan=DigestPlan(at=time(9), zone="UTC"))),
    ],
)
def test_a_command_is_read(words: str, command: DigestCommand) -> None:
    assert command_of(words.split()) == command


@pytest.mark.parametrize("words", ["yesterday", "now please", "at noon", "at 09:00"])
def test_what_is_no_command_is_told_with_what_would_work(words: str) -> None:
    with pytest.raises(UsageError, match="Europe/Berlin"):
        command_of(words.split())


def test_the_date_is_that_of_the_zone() -> None:
    late = composed(at=datetime(2026, 11, 22, 23, 30, tzinfo=UTC), since=BEFORE, said=(), watches=(), paces={})
    assert "Monday, 23 November" in text_of(render.said(late, zone="Asia/Tokyo", links={}))
    assert date(2026, 11, 23).weekday() == 0


def test_the_next_digest_is_named_by_its_own_day_and_no_second_clock() -> None:
    plan = DigestPlan(at=time(9), zone="Europe/Berlin", weekdays=WORKDAYS)
    text = render.planned(plan, NOW + timedelta(hours=1), "U1").text
    assert "*09:00 Europe/Berlin, weekdays*" in text and "The next one comes on Tuesday, 24 November." in text
    assert "<!date" not in text
