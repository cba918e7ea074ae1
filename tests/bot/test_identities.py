"""Client identities in Slack: added in a form, sealed, bound to hosts, used by name, and never shown again."""

from __future__ import annotations

import logging
import pickle
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import commands
from bot.identities import FieldError, covers, host_patterns, identity_name
from bot.model import Check, IdentityCommand, Misread
from bot.prober import Prober
from bot.render import identities as render
from bot.render.imports import WATCH_IMPORT
from bot.sealing import Seal, WrongKey
from probes.check import Options
from probes.lab import start
from probes.model import Endpoint, Target, Trust
from probes.pki.credential import read
from tests.bot.conftest import Desk, Json, said
from tests.pki import CLIENT_AUTH, NOW, Issued, authority, leaf
from tests.rules.identities import client, client_issuer, good

SECRET = "a secret key of more than thirty-two characters"
PATTERNS = "*.internal.example.com\napi.example.com"
OURS = good()


def pem(chain: tuple[Issued, ...]) -> str:
    return "".join(each.pem for each in chain)


def filled(chain: tuple[Issued, ...], **changed: str) -> Json:
    """What a person fills in."""
    values = {
        render.NAME: "payments",
        render.PATTERNS: PATTERNS,
        render.CERTIFICATE: chain[0].pem,
        render.FURTHER: pem(chain[1:]),
        render.KEY: chain[0].key_pem,
        render.KEY_REST: "",
    } | changed
    return {name: {name: {"value": value or None}} for name, value in values.items()}


@pytest.fixture
async def safe(idle_desk: Desk) -> Desk:
    """A desk whose bot may keep secrets."""
    await idle_desk.start(secret_key=SECRET)
    return idle_desk


async def added(desk: Desk, chain: tuple[Issued, ...] = OURS, key: str = "", rest: str = "") -> str:
    """Add an identity; what the bot answers."""
    await desk.tls("identity add")
    await desk.workspace.submit_view(
        values=filled(chain, **{render.KEY: key or chain[0].key_pem, render.KEY_REST: rest})
    )
    return said((await desk.whisper("Stored the client identity")).message)


async def refused(desk: Desk, **changed: str) -> dict[str, str]:
    """What stands under the fields of the form."""
    await desk.tls("identity add")
    delivery = await desk.workspace.submit_view(values=filled(OURS, **changed))
    assert delivery.response is not None and delivery.response["response_action"] == "errors"
    errors: dict[str, str] = delivery.response["errors"]
    return errors


# ── the form ────────────────────────────────────────────────────────────────────


async def test_an_identity_is_added_listed_used_and_removed(safe: Desk) -> None:
    answer = await added(safe)
    assert "`payments`" in answer and "`*.internal.example.com`" in answer and "days left" in answer
    assert "CN=client" in answer and "CN=Clients CA" in answer

    await safe.tls("identity list")
    listed = said((await safe.whisper("1 client identity")).message)
    assert "`payments`" in listed and "CN=client" in listed

    await safe.tls("check db.internal.example.com --identity payments")
    await safe.headline("is broken")
    [asked] = safe.checker.asked
    assert asked.credential is not None and asked.credential.chain == tuple(each.der for each in OURS)
    assert asked.credential.signer().key.public_key() == OURS[0].key.public_key()

    await safe.tls("identity remove payments")
    await safe.whisper("Removed the client identity")
    await safe.tls("identity list")
    await safe.whisper("No client identity is stored")


async def test_a_file_of_watches_names_identities_that_there_are_and_that_cover_the_host(safe: Desk) -> None:
    await added(safe)
    ws = safe.workspace
    text = "host,identity\na.internal.example.com,Payments\nb.elsewhere.test,payments\n"
    await ws.upload(ws.me, ws.incidents, "x.csv", text.encode(), comment=f"<@{ws.bot}> watch import")
    preview = await ws.wait_for(lambda: next((m for m in safe.bot_messages() if "to watch?" in m["text"]), None))
    assert preview is not None and "line 3: The identity payments is bound to" in said(preview)
    await ws.act(ws.me, action_id=WATCH_IMPORT, channel=ws.incidents, message_ts=preview["ts"])
    await ws.wait_for(lambda: any("1 more endpoint watched here" in m["text"] for m in safe.bot_messages()))
    with sqlite3.connect(safe.database) as database:
        found = database.execute("select host, identity from lookouts").fetchall()
    assert found == [("a.internal.example.com", "payments")]


async def test_the_key_is_in_no_answer_no_log_and_not_readable_in_the_file(
    safe: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")
    await added(safe)
    await safe.tls("check api.example.com --identity payments")
    await safe.headline("is broken")
    await safe.tls("identity list")
    await safe.whisper("1 client identity")
    await safe.settled()
    key = OURS[0].key_pem
    body = key.splitlines()[1]
    secret = read("x", pem(OURS), key, named="c", key_named="k").key
    await safe.stop()
    stored = b"".join(path.read_bytes() for path in safe.database.parent.glob("bot.db*"))
    assert secret not in stored and body.encode() not in stored and b"PRIVATE KEY" not in stored
    assert body not in caplog.text
    shown_to_people = [said(m) for m in safe.bot_messages()] + [said(w.message) for w in safe.workspace.whispers()]
    assert all(body not in text for text in shown_to_people)
    assert body not in repr(safe.checker.asked)


async def test_what_is_wrong_stands_under_its_field_and_nothing_is_stored(safe: Desk) -> None:
    other = leaf(names=("other.test",), owner="other")
    assert "is not that of the certificate" in (await refused(safe, **{render.KEY: other.key_pem}))["key"]
    assert "covers too much" in (await refused(safe, **{render.PATTERNS: "*"}))["patterns"]
    assert "covers too much" in (await refused(safe, **{render.PATTERNS: "*.com"}))["patterns"]
    assert "I read “Robot 7”" in (await refused(safe, **{render.NAME: "Robot 7"}))["name"]
    assert "not PEM" in (await refused(safe, **{render.CERTIFICATE: "hello", render.FURTHER: ""}))["certificate"]
    await safe.tls("identity list")
    await safe.whisper("No client identity is stored")


async def test_a_name_is_taken_once(safe: Desk) -> None:
    await added(safe)
    assert "There is an identity payments already" in (await refused(safe))["name"]


async def test_a_certificate_that_will_be_refused_is_stored_with_a_warning(safe: Desk) -> None:
    stale = client(client_issuer(), not_before=NOW - timedelta(days=90), not_after=NOW - timedelta(days=2))
    answer = await added(safe, stale)
    assert "it expired on" in answer and "expired 2 days ago" in answer


async def test_a_long_key_goes_on_in_a_second_field(safe: Desk) -> None:
    chain = client(client_issuer(), key_kind="rsa2048")
    key = chain[0].key_pem
    await added(safe, chain, key[: len(key) // 2], key[len(key) // 2 :])


async def test_a_mention_gets_a_button_that_opens_the_form(safe: Desk) -> None:
    await safe.workspace.mention(safe.workspace.me, safe.workspace.incidents, "identity add")
    offered = await safe.whisper("added in a form")
    workspace = safe.workspace
    await workspace.act(workspace.me, action_id=render.ADD, channel=workspace.incidents, ephemeral_id=offered.id)
    await safe.workspace.submit_view(values=filled(OURS))
    await safe.whisper("Stored the client identity")


async def test_a_form_that_does_not_open_leaves_a_button(safe: Desk) -> None:
    safe.workspace.faults.answer("views.open", error="internal_error")
    await safe.tls("identity add")
    await safe.whisper("added in a form")


async def test_without_a_secret_key_nothing_is_kept(desk: Desk) -> None:
    await desk.tls("identity add")
    await desk.whisper("SECRET_KEY is not set")
    assert desk.workspace.calls_of("views.open") == []


# ── who may ─────────────────────────────────────────────────────────────────────


async def test_only_members_of_the_admin_groups_change_identities(idle_desk: Desk) -> None:
    workspace = idle_desk.workspace
    stranger = next(user for user in workspace.team.users.values() if not user.is_bot and user.id != workspace.me).id
    workspace.team.usergroups["S0ADMINS"] = [workspace.me]
    await idle_desk.start(secret_key=SECRET, admin_usergroups=frozenset({"S0ADMINS"}))
    await added(idle_desk)
    await idle_desk.tls("identity remove payments", user=stranger)
    await idle_desk.tls("identity add", user=stranger)

    def answers() -> list[Any]:
        found = [w for w in workspace.whispers(stranger) if "members of my operator's user groups" in said(w.message)]
        return found if len(found) == 2 else []

    await workspace.wait_for(answers)
    await idle_desk.tls("identity remove payments")
    await idle_desk.whisper("Removed the client identity")


async def test_a_group_that_slack_does_not_know_lets_nobody_in(idle_desk: Desk) -> None:
    await idle_desk.start(secret_key=SECRET, admin_usergroups=frozenset({"S0NOWHERE"}))
    await idle_desk.tls("identity add")
    await idle_desk.whisper("could not ask Slack who belongs to ADMIN_USERGROUPS")


# ── where it is shown ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "check other.example.com --identity payments",
        "check internal.example.com --identity payments",  # the pattern covers what is below
        "check evil-internal.example.com --identity payments",
        "check api.example.com --sni other.example.com --identity payments",
        "check api.example.com --ip 192.0.2.7 --identity payments",
        "check api.example.com --origin 192.0.2.7 --identity payments",
        "check 192.0.2.7 --identity payments",
    ],
)
async def test_it_is_shown_to_no_host_outside_its_patterns(safe: Desk, text: str) -> None:
    await added(safe)
    await safe.tls(text)

    def declined() -> list[Json]:
        return [m for m in safe.bot_messages() if "is bound to" in said(m) and "does not cover" in said(m)]

    await safe.workspace.wait_for(declined)
    assert safe.checker.asked == []


async def test_an_unknown_name_is_answered_with_those_there_are(safe: Desk) -> None:
    await added(safe)
    await safe.tls("check api.example.com --identity nobody")
    await safe.workspace.wait_for(lambda: [m for m in safe.bot_messages() if "Stored are: payments" in said(m)])
    assert safe.checker.asked == []


async def test_run_again_shows_it_again(safe: Desk) -> None:
    from bot.render import report

    await added(safe)
    await safe.tls("check api.example.com --identity payments")
    headline = await safe.headline("is broken")
    await safe.replies(headline, 2)
    await safe.workspace.click(headline, report.AGAIN)
    await safe.replies(headline, 3)
    assert [check.credential is not None for check in safe.checker.asked] == [True, True]


async def test_another_secret_key_does_not_open_it(safe: Desk) -> None:
    await added(safe)
    await safe.stop()
    await safe.start(secret_key=SECRET[::-1])
    await safe.tls("check api.example.com --identity payments")
    await safe.workspace.wait_for(lambda: [m for m in safe.bot_messages() if "another SECRET_KEY" in said(m)])


async def test_patterns_widened_in_the_file_do_not_open_it(safe: Desk) -> None:
    await added(safe)
    await safe.stop()
    with sqlite3.connect(safe.database) as file:
        file.execute("update identities set patterns = '[\"other.example.com\"]'")
    file.close()
    await safe.start(secret_key=SECRET)
    await safe.tls("check other.example.com --identity payments")
    await safe.workspace.wait_for(lambda: [m for m in safe.bot_messages() if "or changed since" in said(m)])
    assert safe.checker.asked == []


async def test_the_prober_shows_it_to_a_real_server(tmp_path: Path) -> None:
    """Through the worker's pipe, to a server of the lab that demands a certificate of the lab's CA."""
    async with await start(port=0) as lab:
        case = lab.case("client-certificate.lab")
        root = lab.trust.root
        ours = leaf(root, names=(), subject="robot", usages=(CLIENT_AUTH,))
        theirs = leaf(authority("Strange Root"), names=(), subject="robot", usages=(CLIENT_AUTH,))
        trust = Trust(default=(), default_name=None, added=(root.der,))
        target = Target(host=case.name, port=case.port, server_name=case.name)
        async with Prober(Options(trust=trust)) as prober:
            without = await prober(Check(target=target, addresses=case.addresses))
            good_one = read("robot", ours.pem, ours.key_pem, named="c", key_named="k")
            accepted = await prober(Check(target=target, addresses=case.addresses, credential=good_one))
            bad_one = read("robot", theirs.pem, theirs.key_pem, named="c", key_named="k")
            rejected = await prober(Check(target=target, addresses=case.addresses, credential=bad_one))
    assert (without.cause, accepted.cause, rejected.cause) == ("mtls.certificate-required", None, "mtls.unknown-ca")


# ── words ───────────────────────────────────────────────────────────────────────


def test_the_grammar() -> None:
    assert commands.parse("identity add") == IdentityCommand(act="add")
    assert commands.parse("identity list") == commands.parse("identity") == IdentityCommand(act="list")
    assert commands.parse("identity remove Payments") == IdentityCommand(act="remove", name="payments")
    assert isinstance(commands.parse("identity remove"), Misread)
    assert isinstance(commands.parse("identity show payments"), Misread)
    asked = commands.parse("check api.example.com —identity payments --origin 192.0.2.7")
    assert isinstance(asked, Check) and asked.identity == "payments"
    assert asked.origin == Endpoint(address="192.0.2.7", port=443)
    assert commands.parse(commands.written(asked)) == asked


def test_a_pasted_key_is_not_kept() -> None:
    key = OURS[0].key_pem
    assert key.splitlines()[1] not in commands.without_secrets(f"identity add payments {key} more")
    assert commands.without_secrets("identity list") == "identity list"


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "aexample.com", False),
        ("*.example.com", ".example.com", False),
        ("api.example.com", "API.example.com", True),
        ("api.example.com", "b.api.example.com", False),
        ("192.0.2.7", "192.0.2.7", True),
    ],
)
def test_patterns_cover_what_they_say(pattern: str, host: str, covered: bool) -> None:
    assert covers((pattern,), host) is covered


@pytest.mark.parametrize(
    "text", ["", "*", "*.*", "*.com", "a.*.example.com", "http://x y", "\n".join("abcdefghijklmnopqrstu")]
)
def test_patterns_that_bind_nothing_are_refused(text: str) -> None:
    with pytest.raises(FieldError):
        host_patterns(text)


def test_patterns_and_names_are_brought_to_one_form() -> None:
    assert host_patterns(" *.Example.com \n\n[2001:DB8::1], api.example.com.") == (
        "*.example.com",
        "2001:db8::1",
        "api.example.com",
    )
    assert identity_name(" Payments-Prod ") == "payments-prod"


def test_a_seal_opens_with_the_same_key_for_the_same_thing_alone() -> None:
    seal = Seal(SECRET)
    sealed = seal.close(b"key", about=("T1", "payments"))
    assert seal.open(sealed, about=("T1", "payments")) == b"key"
    assert seal.close(b"key", about=("T1", "payments")) != sealed
    for other, about, changed in (
        (Seal(SECRET + "x"), ("T1", "payments"), sealed),
        (seal, ("T2", "payments"), sealed),
        (seal, ("T1", "billing"), sealed),
        (seal, ("T1", "payments"), sealed[:-1] + bytes((sealed[-1] ^ 1,))),
        (seal, ("T1", "payments"), b""),
        (seal, ("T1", "payments"), sealed[:20]),
    ):
        with pytest.raises(WrongKey):
            other.open(changed, about=about)
    assert SECRET not in repr(seal)


def test_a_check_with_a_credential_travels_to_the_worker() -> None:
    credential = read("x", pem(OURS), OURS[0].key_pem, named="c", key_named="k")
    check = Check(target=Target.parse("api.example.com"), identity="x").with_credential(credential)
    assert pickle.loads(pickle.dumps(check)) == check
