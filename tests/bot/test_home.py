"""The App Home, the welcome, the first command: what is said once is said once, and what is private stays so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.local.blocks import validate_view
from bot.model import Incident
from bot.render import help
from bot.render import home as render
from bot.render import incident as room
from tests.bot import reports
from tests.bot.conftest import Desk, said

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def an_incident(number: int = 1, **changed: Any) -> Incident:
    incident = Incident(
        id=number, channel="C1", target="api.example.com:443", cause="chain.incomplete", state="open", opened_at=NOW
    )
    return replace(incident, **changed)


def a_home(**changed: Any) -> render.Home:
    home = render.Home(user="U1", is_new=False, incidents=(), renewals=(), settings=(), now=NOW)
    return replace(home, **changed)


def shown_to(desk: Desk, user: str | None = None) -> str:
    view = desk.workspace.modals.homes.get(user or desk.workspace.me)
    return said(view) if view else ""


async def home_shows(desk: Desk, text: str, *, user: str | None = None) -> str:
    found = await desk.workspace.wait_for(lambda: text in shown_to(desk, user) and shown_to(desk, user))
    return str(found)


# ── the view ────────────────────────────────────────────────────────────────────


def test_the_fullest_home_is_one_that_slack_takes() -> None:
    crowd = [
        render.Shown(
            incident=an_incident(n, commander="U1" if n % 2 else None), link="https://x.example/archives/C1/p1"
        )
        for n in range(300)
    ]
    renewals = [render.Renewal(target="h" * 253 + ":443", expires_at=NOW + timedelta(days=n)) for n in range(300)]
    home = a_home(is_new=True, incidents=crowd, renewals=renewals, settings=("x" * 200,) * 40)
    assert validate_view(render.view(home)) == []


def test_a_calm_home_says_so_and_is_short() -> None:
    view = render.view(a_home())
    assert "None." in said(view)
    assert len(view["blocks"]) <= 6
    assert validate_view(view) == []


def test_who_is_in_command_finds_that_first() -> None:
    mine, other = an_incident(1, commander="U1"), an_incident(2, target="www.example.com:443")
    text = said(render.view(a_home(incidents=[render.Shown(incident=each) for each in (other, mine)])))
    assert text.index("You are in command") < text.index("INC-1") < text.index("Open incidents") < text.index("INC-2")


def test_the_same_facts_a_minute_later_are_the_same_view_to_publish() -> None:
    home = a_home(incidents=[render.Shown(incident=an_incident())])
    later = replace(home, now=NOW + timedelta(minutes=1))
    assert render.lasting(render.view(home)) == render.lasting(render.view(later))
    resolved = replace(home, incidents=())
    assert render.lasting(render.view(home)) != render.lasting(render.view(resolved))


def test_what_a_host_is_called_formats_and_pings_nothing() -> None:
    odd = an_incident(target="<!channel>`*x*:443", cause="a`b")
    assert "<!channel>" not in said(render.view(a_home(incidents=[render.Shown(incident=odd)])))


# ── published ───────────────────────────────────────────────────────────────────


async def test_a_newcomer_is_taught_and_who_has_asked_is_not(desk: Desk) -> None:
    await desk.workspace.open_home()
    assert "/tls explain" in await home_shows(desk, "Why does this TLS handshake fail?")
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    await home_shows(desk, "INC-1")
    assert "/tls explain" not in shown_to(desk)


async def test_an_open_home_follows_what_happens(desk: Desk) -> None:
    await desk.workspace.open_home()
    await home_shows(desk, "None.")
    await desk.tls("check api.example.com:8443")
    text = await home_shows(desk, "INC-1")
    assert "api.example.com:8443" in text
    assert "/archives/" in text
    assert "62 days" in text or "left" in text
    root = await desk.headline("is broken")
    await desk.workspace.click(root, room.COMMAND_TAKEN)
    await home_shows(desk, "You are in command")
    await desk.settled()
    root = await desk.headline("is broken")
    await desk.workspace.click(root, room.RESOLVE)
    assert "INC-1" not in await home_shows(desk, "None.")


async def test_an_equal_view_is_not_published_again(desk: Desk) -> None:
    await desk.workspace.open_home()
    await home_shows(desk, "None.")
    before = len(desk.workspace.calls_of("views.publish"))
    await desk.tls("explain x509: certificate has expired")
    await desk.settled()
    await desk.tls("check api.example.com")  # something that does change it: what came before is through by then
    await home_shows(desk, "INC-1")
    assert len(desk.workspace.calls_of("views.publish")) <= before + 2  # the newcomer's lines go, the incident comes


async def test_a_private_channel_is_shown_to_its_members_alone(desk: Desk) -> None:
    ws = desk.workspace
    secret = ws.team.add_channel("war-room", {ws.me, ws.bot}, is_private=True).id
    await desk.tls("check secret.example.com", channel=secret)
    await ws.wait_for(lambda: any("is broken" in message["text"] for message in desk.bot_messages(secret)))
    await desk.tls("check open.example.com")
    await desk.headline("open.example.com is broken")
    await desk.settled()
    await ws.open_home()
    mine = await home_shows(desk, "open.example.com")
    await ws.open_home(ws.other)
    theirs = await home_shows(desk, "open.example.com", user=ws.other)
    assert "secret.example.com" in mine
    assert "secret.example.com" not in theirs
    assert "war-room" not in theirs


async def test_what_was_asked_in_a_direct_message_is_for_that_person(desk: Desk) -> None:
    ws = desk.workspace
    await ws.say(ws.me, ws.dm, "check quiet.example.com")
    await ws.wait_for(lambda: any("is broken" in message["text"] for message in desk.bot_messages(ws.dm)))
    await desk.settled()
    await ws.open_home(ws.other)
    assert "quiet.example.com" not in await home_shows(desk, "Open incidents", user=ws.other)
    await ws.open_home()
    assert "quiet.example.com" in await home_shows(desk, "Open incidents")


async def test_an_opening_that_slack_refuses_to_show_is_over_all_the_same(desk: Desk) -> None:
    desk.workspace.faults.answer("views.publish", error="not_enabled")
    await desk.workspace.open_home()
    await desk.worked_off()
    await desk.workspace.open_home()
    await home_shows(desk, "None.")


async def test_help_on_the_home_opens_over_it(desk: Desk) -> None:
    ws = desk.workspace
    await ws.open_home()
    await home_shows(desk, "None.")
    await ws.act(ws.me, action_id=help.HELP, view_id=ws.modals.homes[ws.me]["id"])
    view = ws.view()
    assert view is not None
    assert "/tls explain" in said(view)


# ── said once ───────────────────────────────────────────────────────────────────


async def test_a_channel_is_welcomed_once_however_often_the_bot_comes(desk: Desk) -> None:
    ws = desk.workspace
    fresh = ws.team.add_channel("payments", {ws.me}).id
    await ws.join(ws.bot, fresh)
    await ws.wait_for(lambda: desk.bot_messages(fresh))
    [welcome] = desk.bot_messages(fresh)
    assert "/tls check api.example.com" in said(welcome)
    assert sum(len(block["elements"]) for block in welcome["blocks"] if block["type"] == "actions") == 2
    await ws.remove_member(ws.bot, fresh)
    await ws.join(ws.bot, fresh)
    await ws.join(ws.other, fresh)
    await desk.settled()
    assert len(desk.bot_messages(fresh)) == 1


async def test_a_welcome_delivered_twice_is_one(desk: Desk) -> None:
    ws = desk.workspace
    fresh = ws.team.add_channel("payments", {ws.me, ws.bot}).id
    event = {"type": "member_joined_channel", "user": ws.bot, "channel": fresh, "team": ws.team.id}
    for number in ("Ev1", "Ev1", "Ev2"):
        body = {"type": "event_callback", "event_id": number, "team_id": ws.team.id, "event": event}
        ws.courier.event(body | {"authorizations": [{"team_id": ws.team.id, "user_id": ws.bot, "is_bot": True}]})
    await ws.wait_for(lambda: desk.bot_messages(fresh))
    await desk.settled()
    assert len(desk.bot_messages(fresh)) == 1


async def test_where_the_bot_may_not_speak_it_does_not_welcome(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(allowed_channels=frozenset({ws.incidents}))
    fresh = ws.team.add_channel("payments", {ws.me}).id
    await ws.join(ws.bot, fresh)
    await idle_desk.settled()
    assert idle_desk.bot_messages(fresh) == []


async def test_the_first_command_gets_a_line_more_and_the_second_does_not(desk: Desk) -> None:
    await desk.tls("help")
    await desk.whisper("First time?")
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    await desk.tls("help check", user=desk.workspace.other)
    await desk.settled()
    greetings = [each.user for each in desk.workspace.whispers() if "First time?" in said(each.message)]
    assert sorted(greetings) == sorted([desk.workspace.me, desk.workspace.other])


async def test_a_digest_that_is_set_stands_on_the_home(desk: Desk) -> None:
    await desk.workspace.open_home()
    await home_shows(desk, "None of your channels has one")
    await desk.tls("digest at 09:00 Europe/Berlin")
    text = await home_shows(desk, "09:00 Europe/Berlin, ")
    assert f"<#{desk.workspace.incidents}>" in text


async def test_days_left_are_those_of_the_newest_check(desk: Desk) -> None:
    ends = (datetime.now(UTC) + timedelta(days=5, hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    desk.checker.answer = lambda check: reports.healthy(
        str(check.target), endpoints=(reports.endpoint(chain=(reports.leaf(not_after=ends),)),)
    )
    await desk.tls("check soon.example.com")
    await desk.headline("soon.example.com is healthy")
    await desk.workspace.open_home()
    assert "🔴 `soon.example.com` 5 days left" in await home_shows(desk, "Certificates that end first")
