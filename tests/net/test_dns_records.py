"""CAA and TLSA from a real name server on loopback, and checks in which they explain what is wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta

import dns.flags
import dns.message
import dns.rrset
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from probes.check import Options, check
from probes.lab.issue import Issued
from probes.model import Report, Target, Trust
from probes.net.dns_records import caa, published, tlsa
from tests import pki
from tests.net.dns_server import DnsServer, addresses, kind_of, name_of, rcode, truncated
from tests.net.peers import OpenSsl, openssl_context, served
from tests.net.speakers import Speaker
from tests.wire.test_starttls import TALKS

Query = dns.message.QueryMessage
LEAF, CA, ROOT = pki.chain()
NAME = "healthy.test"
TRUST = Trust(default=(), default_name=None, added=(ROOT.der,))
LETS_ENCRYPT = '0 issue "letsencrypt.org"'


def zone(*, secure: bool = False, **by_name: str | list[str]) -> Callable[[Query, str], bytes]:
    """Answers of CAA or TLSA records by owner name (`_` for `.`), with AD when *secure*; an RCODE in capitals."""

    def reply(query: Query, _: str) -> bytes:
        held = by_name.get(name_of(query).replace(".", "_"))
        if isinstance(held, str):
            return rcode(query, held)
        answer = dns.message.make_response(query)
        if held and kind_of(query) in {"CAA", "TLSA"}:
            answer.answer.append(dns.rrset.from_text_list(name_of(query) + ".", 60, "IN", kind_of(query), held))
        answer.flags |= dns.flags.AD if secure else 0
        return answer.to_wire(max_size=65535)

    return reply


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_the_names_own_records_come_before_its_parents() -> None:
    async with DnsServer(zone(api_healthy_test=[LETS_ENCRYPT], test=['0 issue "other.test"'])) as server:
        found = await caa("api.healthy.test", (server.endpoint,), soon())
    assert (found.name, found.records) == ("api.healthy.test", (LETS_ENCRYPT,))
    assert sorted(name for name, _, _ in server.asked) == ["api.healthy.test", "healthy.test", "test"]


async def test_without_records_of_its_own_the_closest_parent_holds() -> None:
    async with DnsServer(zone(healthy_test=[LETS_ENCRYPT], test=['0 issue ";"'])) as server:
        found = await caa("api.healthy.test", (server.endpoint,), soon())
    assert found.name == "healthy.test"


async def test_no_records_anywhere_is_no_failure() -> None:
    async with DnsServer(zone()) as server:
        found = await caa("api.healthy.test", (server.endpoint,), soon())
    assert (found.name, found.records, found.failure, found.dnssec) == ("api.healthy.test", (), None, "insecure")


async def test_a_level_that_fails_ends_the_climb() -> None:
    async with DnsServer(zone(api_healthy_test="SERVFAIL", healthy_test=[LETS_ENCRYPT])) as server:
        found = await caa("api.healthy.test", (server.endpoint,), soon())
    assert (found.name, found.failure) == ("api.healthy.test", "SERVFAIL")


async def test_what_answers_only_unchecked_is_bogus() -> None:
    good = zone(healthy_test=[LETS_ENCRYPT])

    def reply(query: Query, transport: str) -> bytes:
        return good(query, transport) if query.flags & dns.flags.CD else rcode(query, "SERVFAIL")

    async with DnsServer(reply) as server:
        found = await published("CAA", "healthy.test", (server.endpoint,), soon())
    assert found.dnssec == "bogus" and found.records == (LETS_ENCRYPT,) and found.failure is not None


async def test_a_validated_answer_is_secure() -> None:
    record = "3 1 1 " + "ab" * 32
    async with DnsServer(zone(secure=True, _25__tcp_healthy_test=[record])) as server:
        found = await tlsa("healthy.test", 25, (server.endpoint,), soon())
    assert (found.dnssec, found.records) == ("secure", (record,))
    assert server.asked == [("_25._tcp.healthy.test", "TLSA", "udp")]


async def test_an_answer_that_does_not_fit_is_asked_for_over_tcp() -> None:
    whole = zone(healthy_test=[f'0 issue "ca{number}.test"' for number in range(30)])

    def reply(query: Query, transport: str) -> bytes:
        return truncated(query) if transport == "udp" else whole(query, transport)

    async with DnsServer(reply) as server:
        found = await published("CAA", "healthy.test", (server.endpoint,), soon())
    assert len(found.records) == 30


async def test_silence_ends_in_time() -> None:
    loop = asyncio.get_running_loop()
    async with DnsServer(lambda _query, _: None) as server:
        began = loop.time()
        found = await published("CAA", "healthy.test", (server.endpoint,), soon(0.2))
    assert found.failure is not None and "in time" in found.failure
    assert loop.time() - began < 1


async def test_the_next_server_is_asked_when_one_fails() -> None:
    async with (
        DnsServer(lambda query, _: rcode(query, "SERVFAIL")) as broken,
        DnsServer(zone(healthy_test=[LETS_ENCRYPT])) as good,
    ):
        found = await published("CAA", "healthy.test", (broken.endpoint, good.endpoint), soon())
    assert found.records == (LETS_ENCRYPT,)


@pytest.mark.parametrize("wire", [b"", b"\0" * 12, b"\xff" * 40])
async def test_nonsense_is_no_answer(wire: bytes) -> None:
    async with DnsServer(lambda query, _: wire) as server:
        found = await published("CAA", "healthy.test", (server.endpoint,), soon(0.2))
    assert found.failure is not None


async def test_no_name_server_is_a_failure_and_no_crash() -> None:
    assert (await published("CAA", "healthy.test", (), soon())).failure is not None


# ── whole checks ────────────────────────────────────────────────────────────────


async def checked(
    leaf: Issued, records: Callable[[Query, str], bytes], *, starttls: str | None = None
) -> tuple[Report, list[str]]:
    """A check of a name that DNS knows, and the kinds of records that were asked for."""
    context = openssl_context(leaf, CA)

    def reply(query: Query, transport: str) -> bytes:
        if kind_of(query) in {"A", "AAAA"}:
            return addresses(query, A=["127.0.0.1"])
        return records(query, transport)

    def accept() -> asyncio.Protocol:
        return OpenSsl(context) if starttls is None else Speaker(TALKS[starttls], greets=True, context=context)

    async with DnsServer(reply) as server, served(accept) as endpoint:
        target = Target(host=NAME, port=endpoint.port, server_name=NAME, starttls=starttls)
        report = await check(target, Options(trust=TRUST, resolver=server.endpoint))
    return report, sorted({kind for _, kind, _ in server.asked} - {"A", "AAAA"})


def old(days: int) -> Issued:
    return pki.leaf(
        CA, names=(NAME,), not_before=pki.NOW - timedelta(days=90), not_after=pki.NOW + timedelta(days=days)
    )


async def test_a_healthy_check_asks_for_nothing_more() -> None:
    report, asked = await checked(LEAF, zone())
    assert report.cause is None and asked == []


async def test_an_expired_certificate_whose_zone_forbids_renewal_says_so() -> None:
    report, asked = await checked(old(-2), zone(healthy_test=['0 issue ";"']))
    assert report.cause == "validity.expired" and asked == ["CAA"]
    assert any("allows nobody to issue" in line for line in report.findings[0].evidence)


async def test_an_expiring_certificate_whose_caa_fails_says_so() -> None:
    report, _ = await checked(old(3), zone(healthy_test="SERVFAIL"))
    assert report.cause == "validity.expiring"
    assert any("CAA" in line and "SERVFAIL" in line for line in report.findings[0].evidence)


def fingerprint(leaf: Issued) -> str:
    spki = leaf.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(spki).hexdigest()}"


@pytest.mark.parametrize("matching", [True, False])
async def test_mail_that_dane_would_stop_is_remarked(matching: bool) -> None:
    record = fingerprint(LEAF) if matching else fingerprint(CA)

    def reply(query: Query, transport: str) -> bytes:
        return zone(secure=True, **{name_of(query).replace(".", "_"): [record]})(query, transport)

    report, asked = await checked(LEAF, reply, starttls="smtp")
    assert report.status == "ok" and asked == ["TLSA"]
    remarks = [gap.why for gap in report.gaps if gap.what == "dane"]
    assert [("matches no certificate" in why) for why in remarks] == ([] if matching else [True])


async def test_an_address_given_by_hand_asks_no_dns() -> None:
    async with DnsServer(zone()) as server, served(lambda: OpenSsl(openssl_context(old(-2), CA))) as endpoint:
        target = Target(host=NAME, port=endpoint.port, server_name=NAME)
        options = Options(trust=TRUST, resolver=server.endpoint, addresses=("127.0.0.1",))
        report = await check(target, options)
    assert report.cause == "validity.expired" and server.asked == []
