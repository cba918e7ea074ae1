"""`/tls check` from the slash to the thread, against the local workspace over Socket Mode."""

from __future__ import annotations

import pytest

from bot.render import words
from probes.model import UsageError
from tests.bot import reports
from tests.bot.conftest import Desk, said


async def test_a_check_becomes_a_headline_and_a_thread(desk: Desk) -> None:
    delivery = await desk.tls("check api.example.com")
    assert delivery.is_acked
    headline = await desk.headline("is broken")
    assert "`api.example.com`* is broken: the certificate expired 3 days ago" in said(headline)
    why, remedy = await desk.replies(headline, 2)
    assert "notAfter is 2026-11-18" in said(why)
    assert "192.0.2.7" in str(why["blocks"])
    assert "Renew the certificate" in said(remedy)
    assert "openssl s_client" in said(remedy)
    assert "openssl s_client" not in said(why)


async def test_the_headline_says_checking_until_the_verdict_is_there(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking api.example.com")
    desk.checker.gate.set()
    changed = await desk.headline("is broken")
    assert changed["ts"] == headline["ts"]
    await desk.settled()
    assert len(desk.workspace.calls_of("chat.postMessage")) == 3


async def test_a_check_that_takes_long_says_how_far_it_is_with_one_edit(desk: Desk) -> None:
    desk.checker.tells = ("resolving", "probing 3 addresses", "2 of 3 addresses probed")
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking")
    await desk.workspace.wait_for(lambda: "api.example.com`* … 2 of 3 addresses probed" in said(headline))
    assert len(desk.workspace.calls_of("chat.update")) == 1
    desk.checker.gate.set()
    await desk.headline("is broken")
    await desk.settled()
    assert len(desk.workspace.calls_of("chat.update")) == 2


async def test_a_quick_check_spends_no_edit_on_progress(desk: Desk) -> None:
    desk.checker.tells = ("resolving", "judging")
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    await desk.settled()
    assert len(desk.workspace.calls_of("chat.update")) <= 1  # none when the verdict was there before the post


async def test_every_post_comes_without_unfurling_and_with_text(desk: Desk) -> None:
    await desk.tls("check api.example.com")
    await desk.replies(await desk.headline("is broken"), 2)
    for call in desk.workspace.calls_of("chat.postMessage"):
        assert str(call.args["unfurl_links"]).lower() in {"false", "0"}
        assert str(call.args["unfurl_media"]).lower() in {"false", "0"}
        assert call.args["text"]


async def test_a_certificate_named_channel_pings_nobody(desk: Desk) -> None:
    hostile = reports.broken(
        summary="The certificate is for <!channel>.",
        findings=(reports.finding(explanation="It names <!channel> & `<@U1>`.", evidence=("CN=<!channel>",)),),
    )
    desk.checker.answer = hostile
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    why, _ = await desk.replies(headline, 2)
    for message in (headline, why):
        assert "<!channel>" not in said(message)
        assert "&lt;!channel&gt;" in said(message)


async def test_a_refused_target_is_said_to_be_refused(desk: Desk) -> None:
    desk.checker.answer = UsageError("169.254.169.254 is a cloud metadata address; this bot does not connect there.")
    await desk.tls("check metadata.example.com")
    headline = await desk.headline("was not checked")
    assert "cloud metadata" in said(headline)
    await desk.settled()
    assert len(desk.bot_messages()) == 1


async def test_our_own_fault_becomes_visible_with_an_error_id(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.checker.answer = RuntimeError("boom")
    await desk.tls("check api.example.com")
    headline = await desk.headline("could not be checked")
    error_id = headline["text"].partition("error id ")[2].rstrip(")")
    assert error_id
    assert any(error_id in record.getMessage() for record in caplog.records)
    assert "boom" not in said(headline)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "Why does this TLS handshake fail?"),
        ("help", "Why does this TLS handshake fail?"),
        ("help check", "--starttls smtp"),
        ("help nonsense", "no help about `nonsense`"),
        ("check", "without a host"),
        ("check http://[", "I read “http://[”"),
        ("check host:99999", "port must be a number"),
        ("check " + "x" * 10_000, "10,006 characters"),
        ("check 🦄", "I read “🦄”"),
        ("check \u202eevil", "I read"),
        ("check <!channel>", "I read"),
        ("chekc a.example", "Did you mean `/tls check a.example`?"),
    ],
)
async def test_what_cannot_be_done_is_answered_at_once_and_privately(desk: Desk, text: str, part: str) -> None:
    delivery = await desk.tls(text)
    assert delivery.is_acked
    whisper = await desk.whisper(part)
    assert "<!" not in said(whisper.message)
    await desk.settled()
    assert desk.bot_messages() == []
    assert desk.workspace.notices == []


async def test_a_healthy_endpoint_is_green(desk: Desk) -> None:
    desk.checker.answer = reports.healthy()
    await desk.tls("check api.example.com")
    headline = await desk.headline("is healthy")
    assert "🟢" in said(headline)
    await desk.settled()
    assert len(await desk.replies(headline, 1)) == 1


async def test_an_address_literal_is_checked(desk: Desk) -> None:
    await desk.tls("check [2001:db8::7]:8443")
    await desk.headline("[2001:db8::7]:8443 is broken")
    assert desk.checker.asked[0].target.server_name is None


async def test_a_second_failure_of_the_same_kind_stays_one_incident(desk: Desk) -> None:
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.settled()
    await desk.tls("check api.example.com")
    await desk.replies(headline, 3)
    await desk.settled()
    await desk.tls("history")
    whisper = await desk.whisper("*Incidents*")
    assert said(whisper.message).count("open for") == 1
    assert "2 checks" in said(whisper.message)


async def test_a_channel_that_is_not_allowed_gets_a_reason(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(allowed_channels=frozenset({ws.general}))
    await idle_desk.tls("check api.example.com", channel=ws.incidents)
    await idle_desk.whisper(f"<#{ws.general}>")
    assert idle_desk.checker.asked == []


async def test_one_person_cannot_ask_without_end(idle_desk: Desk) -> None:
    await idle_desk.start(most_a_minute=4)
    for _ in range(5):
        await idle_desk.tls("help")
    await idle_desk.whisper("your 4th request")
    await idle_desk.tls("help check", user=idle_desk.workspace.other)
    assert any("--starttls" in said(w.message) for w in idle_desk.workspace.whispers(idle_desk.workspace.other))


async def test_one_channel_cannot_ask_without_end(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(most_a_minute=4)
    third = ws.team.add_user("third", "Third Person").id
    ws.team.channels[ws.incidents].members.add(third)
    people = [ws.me, ws.other, third]
    for person in people:
        for _ in range(4):
            await idle_desk.tls("help", user=person)
    await ws.wait_for(lambda: any("This channel asked 10 times" in said(w.message) for w in ws.whispers(third)))


async def test_a_channel_without_the_bot_gets_an_invitation(desk: Desk) -> None:
    ws = desk.workspace
    room = ws.team.add_channel("war-room", {ws.me})
    await desk.tls("check api.example.com", channel=room.id)
    whisper = await desk.whisper("/invite")
    assert f"<@{ws.bot}>" in said(whisper.message)
    await desk.settled()
    assert ws.messages(room.id) == []


async def test_the_words_for_a_family_are_known_for_all_of_them() -> None:
    from probes.clients import FAMILIES

    assert {family.name for family in FAMILIES} == set(words.FAMILIES)
