"""Expected or not: by what a channel said, and by what it sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import commands
from bot.ct_grammar import CtCommand
from bot.issuances import Guard, Issued, Known, Name, judged
from bot.model import Misread
from bot.plain import plain, typed

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
GUARD = Guard(team="T", channel="C", domain="example.test", added_at=NOW)
ISSUED = Issued(
    tbs="aa" * 32,
    issuer="CN=R11,O=Let’s Encrypt,C=US",
    ca="Let’s Encrypt",
    spki="bb" * 32,
    names=("api.example.test",),
    matches=(Name(domain="example.test", name="api.example.test"),),
    found_at=NOW,
    logged_at=NOW,
)
LE = "let's encrypt"


def is_expected(issued: Issued = ISSUED, guard: Guard = GUARD, **known: Any) -> bool:
    return judged(issued, [guard], {"example.test": Known(**known)}, ("letsencrypt.org",)).is_expected


def test_nothing_known_is_nothing_expected() -> None:
    assert not is_expected()


@pytest.mark.parametrize("where", ["served_cas", "filled_cas", "approved_cas"])
def test_a_known_ca_is_expected(where: str) -> None:
    known: dict[str, Any] = {where: frozenset({LE})}
    assert is_expected(**known)


@pytest.mark.parametrize("where", ["served_keys", "filled_keys", "approved_keys"])
def test_a_known_key_is_expected(where: str) -> None:
    known: dict[str, Any] = {where: frozenset({"bb" * 32}), "served_cas": frozenset({"another"})}
    assert is_expected(**known)


@pytest.mark.parametrize("written", ["Let's Encrypt", "let’s encrypt", "ENCRYPT", "letsencrypt.org", "R11"])
def test_a_ca_is_expected_by_any_of_its_names(written: str) -> None:
    assert is_expected(guard=replace(GUARD, expected_cas=(written,)))


def test_who_names_cas_expects_no_other_even_with_a_key_that_is_served() -> None:
    guard = replace(GUARD, expected_cas=("DigiCert",))
    assert not is_expected(guard=guard, served_cas=frozenset({LE}), served_keys=frozenset({"bb" * 32}))
    assert is_expected(guard=guard, approved_cas=frozenset({LE}))
    assert is_expected(guard=guard, approved_keys=frozenset({"bb" * 32}))


def test_a_ca_certificate_and_odd_names_are_never_expected() -> None:
    assert not is_expected(replace(ISSUED, is_ca=True), approved_cas=frozenset({LE}))
    odd = replace(ISSUED, matches=(Name(domain="example.test", name="api.example.test\0.evil.test", how="odd"),))
    assert not is_expected(odd, approved_cas=frozenset({LE}))
    assert is_expected(odd, approved_certificates=frozenset({"aa" * 32}))


def test_each_domain_must_expect_it() -> None:
    other = replace(GUARD, domain="other.test")
    issued = replace(ISSUED, matches=(*ISSUED.matches, Name(domain="other.test", name="other.test")))
    known = {"example.test": Known(approved_cas=frozenset({LE}))}
    assert not judged(issued, [GUARD, other], known).is_expected


def test_an_unreadable_issuer_is_no_known_one() -> None:
    assert not is_expected(replace(ISSUED, ca="", spki=""), served_cas=frozenset({""}), served_keys=frozenset({""}))


def test_it_survives_being_written_down() -> None:
    assert typed(Issued, plain(ISSUED)) == ISSUED


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ct", CtCommand(act="list")),
        ("ct watch example.com", CtCommand(act="watch", domain="example.com")),
        ("ct watch <http://example.com|example.com>", CtCommand(act="watch", domain="example.com")),
        ("ct watch *.Example.com", CtCommand(act="watch", domain="example.com")),
        (
            "ct watch example.com —expect-ca “Let’s Encrypt” --ca digicert.com --backfill --no-lookalikes",
            CtCommand(
                act="watch",
                domain="example.com",
                expected_cas=("Let's Encrypt", "digicert.com"),
                backfill=True,
                lookalikes=False,
            ),
        ),
        ("ct remove example.com", CtCommand(act="remove", domain="example.com")),
        ("ct status", CtCommand(act="status")),
    ],
)
def test_what_is_understood(text: str, command: CtCommand) -> None:
    assert commands.parse(text) == command


@pytest.mark.parametrize(
    "text",
    ["ct watch", "ct watch com", "ct watch co.uk", "ct watch a.com b.com", "ct watch a.com --expect-ca",
     "ct wacth a.com",
     "ct watch a.com --from start", "ct example.com", "ct remove", "ct watch a.com --expect-ca " + "x" * 101],
)  # fmt: skip
def test_what_is_not_understood_says_what_would_work(text: str) -> None:
    answer = commands.parse(text)
    assert isinstance(answer, Misread) and any(word in answer.answer for word in ("ct", "Watch a", "Watch your own"))
