"""Names to addresses, against a real name server on loopback."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.model import Endpoint, Resolution
from probes.net.nameserver import MAX_ADDRESSES, _Question
from probes.net.resolve import Override, resolve
from probes.net.system import System
from tests.net.dns_server import DnsServer, addresses, kind_of, name_of, rcode, records, truncated

NOWHERE = System()  # no name server, no hosts file
Query = dns.message.QueryMessage


async def look_up(
    host: str,
    *,
    resolver: Endpoint | None = None,
    overrides: Mapping[tuple[str, int], Override] | None = None,
    system: System = NOWHERE,
    seconds: float = 5,
) -> Resolution:
    deadline = asyncio.get_running_loop().time() + seconds
    return await resolve(host, 443, overrides=overrides or {}, resolver=resolver, deadline=deadline, system=system)


@pytest.mark.parametrize("literal", ["192.0.2.7", "2001:db8::7"])
async def test_a_literal_is_its_own_address(literal: str) -> None:
    found = await look_up(literal)
    assert (found.addresses, found.source, found.failure) == ((literal,), "literal", None)


async def test_an_override_holds_for_its_port_alone() -> None:
    overrides: dict[tuple[str, int], Override] = {("a.invalid", 443): ("127.0.0.1",), ("b.invalid", 8443): ("::1",)}
    assert (await look_up("A.invalid", overrides=overrides)).addresses == ("127.0.0.1",)
    assert (await look_up("b.invalid", overrides=overrides)).failure == "nxdomain"


async def test_an_override_can_be_a_failure() -> None:
    found = await look_up("a.test", overrides={("a.test", 443): "servfail"})
    assert (found.addresses, found.failure, found.source) == ((), "servfail", "--resolve")


async def test_localhost_and_invalid_are_never_asked_for() -> None:
    async with DnsServer(lambda query, _: addresses(query, A=["192.0.2.1"])) as server:
        inside = await look_up("db.localhost", resolver=server.endpoint)
        outside = await look_up("x.invalid", resolver=server.endpoint)
    assert inside.addresses == ("127.0.0.1", "::1")
    assert outside.failure == "nxdomain"
    assert server.asked == []


async def test_localhost_is_what_the_hosts_file_calls_so_if_loopback() -> None:
    system = System.parse("", "127.0.0.1 localhost\n192.0.2.66 localhost\n")
    assert (await look_up("localhost", system=system)).addresses == ("127.0.0.1",)


async def test_the_hosts_file_counts_unless_a_resolver_is_named() -> None:
    async with DnsServer(lambda query, _: addresses(query, A=["192.0.2.1"])) as server:
        system = System.parse("", "192.0.2.9  api.test API2.test # one\n2001:db8::9 api.test\nnonsense\n")
        by_file = await look_up("api.test", system=system)
        by_dns = await look_up("api.test", system=system, resolver=server.endpoint)
    assert (by_file.addresses, by_file.source) == (("192.0.2.9", "2001:db8::9"), "hosts file")
    assert (await look_up("api2.test", system=system)).addresses == ("192.0.2.9",)
    assert by_dns.addresses == ("192.0.2.1",)


async def test_both_families_are_asked_and_ipv4_stands_first() -> None:
    async with DnsServer(
        lambda query, _: addresses(query, A=["192.0.2.1", "192.0.2.2"], AAAA=["2001:db8::1"])
    ) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert found.source == f"DNS {server.endpoint}"
    assert sorted(server.asked) == [("api.test", "A", "udp"), ("api.test", "AAAA", "udp")]
    assert found.failure is None
    assert found.elapsed_ms > 0


@pytest.mark.parametrize(
    ("code", "failure"), [("NXDOMAIN", "nxdomain"), ("SERVFAIL", "servfail"), ("REFUSED", "refused")]
)
async def test_refusals_of_a_server_are_told_apart(code: str, failure: str) -> None:
    async with DnsServer(lambda query, _: rcode(query, code)) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.failure == failure
    assert f"A: {code} from {server.endpoint}" in found.detail
    assert f"AAAA: {code} from {server.endpoint}" in found.detail


async def test_a_name_without_addresses_is_no_nxdomain() -> None:
    async with DnsServer(lambda query, _: addresses(query)) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.failure == "no-data"
    assert f"A: no A record from {server.endpoint}" in found.detail


async def test_silence_is_a_timeout_within_the_deadline() -> None:
    async with DnsServer(lambda _query, _: None) as server:
        found = await look_up("api.test", resolver=server.endpoint, seconds=0.2)
    assert found.failure == "timeout"
    assert 150 < found.elapsed_ms < 1500
    assert f"A: no answer in time from {server.endpoint}" in found.detail


async def test_no_name_server_there_is_a_timeout_that_says_so() -> None:
    async with DnsServer(lambda _query, _: None) as server:
        gone = server.endpoint
    found = await look_up("api.test", resolver=gone)
    assert found.failure == "timeout"
    assert any("refused" in line for line in found.detail)
    assert found.elapsed_ms < 2400


async def test_one_family_may_fail_beside_the_other() -> None:
    def reply(query: Query, _: str) -> bytes:
        return addresses(query, A=["192.0.2.1"]) if kind_of(query) == "A" else rcode(query, "SERVFAIL")

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert (found.addresses, found.failure) == (("192.0.2.1",), None)
    assert f"AAAA: SERVFAIL from {server.endpoint}" in found.detail


async def test_a_silent_family_does_not_hold_up_the_other() -> None:
    def reply(query: Query, _: str) -> bytes | None:
        return addresses(query, A=["192.0.2.1"]) if kind_of(query) == "A" else None

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert (found.addresses, found.failure) == (("192.0.2.1",), None)
    assert "AAAA: no answer in time" in found.detail
    assert found.elapsed_ms < 2400


async def test_an_exhausted_deadline_is_a_timeout() -> None:
    assert (await look_up("127.1", seconds=-1)).failure == "timeout"
    async with DnsServer(lambda query, _: addresses(query, A=["192.0.2.1"])) as server:
        assert (await look_up("api.test", resolver=server.endpoint, seconds=-1)).failure == "timeout"


async def test_a_referral_is_no_answer() -> None:
    def reply(query: Query, _: str) -> bytes:
        delegated = dns.message.make_response(query)
        delegated.authority.append(dns.rrset.from_text("test.", 60, "IN", "NS", "ns.test."))
        return delegated.to_wire()

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.failure == "servfail"
    assert f"A: a referral instead of an answer from {server.endpoint}" in found.detail


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 0xFFFF))
def test_no_answer_breaks_the_reader(body: bytes, flags: int) -> None:
    query = dns.message.make_query("api.test", "A", id=4711)
    question = _Question("api.test", "A")
    question._query = query
    server = Endpoint(address="192.0.2.53", port=53)
    head = struct.pack("!HHHHHH", 4711, (flags | 0x8000) & ~0x0200, 1, 2, 0, 0)
    verdict = question._judge(server, head + query.to_wire()[12:26] + body)
    assert verdict is None or verdict.failure is not None or verdict.addresses


async def test_a_failure_beside_no_data_is_the_failure() -> None:
    def reply(query: Query, _: str) -> bytes:
        return addresses(query) if kind_of(query) == "A" else rcode(query, "SERVFAIL")

    async with DnsServer(reply) as server:
        assert (await look_up("api.test", resolver=server.endpoint)).failure == "servfail"


async def test_a_lost_question_is_sent_again() -> None:
    seen: dict[str, int] = {}

    def reply(query: Query, _: str) -> bytes | None:
        seen[kind_of(query)] = seen.get(kind_of(query), 0) + 1
        return addresses(query, A=["192.0.2.1"]) if seen[kind_of(query)] > 1 else None

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == ("192.0.2.1",)
    assert found.elapsed_ms > 700


async def test_the_next_server_is_asked_when_one_fails() -> None:
    async with (
        DnsServer(lambda query, _: rcode(query, "SERVFAIL")) as broken,
        DnsServer(lambda query, _: addresses(query, A=["192.0.2.1"])) as good,
    ):
        system = System(nameservers=(broken.endpoint, good.endpoint))
        found = await look_up("api.test", system=system)
    assert (found.addresses, found.source) == (("192.0.2.1",), f"DNS {good.endpoint}")
    assert f"A: SERVFAIL from {broken.endpoint}" in found.detail


async def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    many = [f"192.0.2.{last}" for last in range(1, 51)]

    def reply(query: Query, transport: str) -> bytes:
        return truncated(query) if transport == "udp" else addresses(query, A=many)

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == tuple(many)
    assert ("api.test", "A", "tcp") in server.asked


async def test_a_truncation_that_tcp_cannot_mend_is_malformed() -> None:
    async with DnsServer(lambda query, transport: truncated(query) if transport == "udp" else None) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.failure == "malformed"


async def test_aliases_are_followed_inside_the_answer() -> None:
    def reply(query: Query, _: str) -> bytes:
        if kind_of(query) == "AAAA":
            return records(query, "api.test. 60 IN CNAME edge.test.")
        return records(query, "api.test. 60 IN CNAME edge.test.", "edge.test. 60 IN A 192.0.2.1")

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == ("192.0.2.1",)
    assert f"AAAA: no AAAA record (alias of edge.test) from {server.endpoint}" in found.detail


async def test_an_alias_to_itself_is_malformed() -> None:
    async with DnsServer(lambda query, _: records(query, "api.test. 60 IN CNAME api.test.")) as server:
        assert (await look_up("api.test", resolver=server.endpoint)).failure == "malformed"


def _header(query: Query, answers: int) -> bytes:
    return struct.pack("!HHHHHH", query.id, 0x8180, 1, answers, 0, 0) + query.to_wire()[12 : 12 + 10 + 4]


@pytest.mark.parametrize(
    "body",
    [
        b"",  # an answer is announced and absent
        b"\xc0\x1a" * 4,  # a pointer to itself
        b"\x3f" + b"a" * 20,  # a label longer than the message
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\xff\xff\x01",  # a length beyond the end
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03abc",  # an A record of three bytes
    ],
)
async def test_hostile_bytes_are_malformed(body: bytes) -> None:
    async with DnsServer(lambda query, _: _header(query, 1) + body) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.failure == "malformed"


async def test_answers_with_another_id_or_question_are_ignored() -> None:
    def other_id(query: Query, _: str) -> bytes:
        return ((query.id + 1) & 0xFFFF).to_bytes(2) + addresses(query, A=["192.0.2.66"])[2:]

    def other_question(query: Query, _: str) -> bytes:
        asked = dns.message.make_query("evil.test", kind_of(query), id=query.id)
        return addresses(asked, A=["192.0.2.66"], AAAA=["2001:db8::66"])

    for reply in (other_id, other_question):
        async with DnsServer(reply) as server:
            found = await look_up("api.test", resolver=server.endpoint, seconds=0.2)
        assert (found.addresses, found.failure) == ((), "timeout")


async def test_a_server_that_knows_no_edns_is_asked_without() -> None:
    def reply(query: Query, _: str) -> bytes:
        return rcode(query, "FORMERR") if query.edns >= 0 else addresses(query, A=["192.0.2.1"])

    async with DnsServer(reply) as server:
        assert (await look_up("api.test", resolver=server.endpoint)).addresses == ("192.0.2.1",)


async def test_a_flood_of_addresses_is_cut() -> None:
    many = [f"10.0.{high}.{low}" for high in range(8) for low in range(200)]

    def reply(query: Query, transport: str) -> bytes:
        return truncated(query) if transport == "udp" else addresses(query, A=many)

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert len(found.addresses) == MAX_ADDRESSES


async def test_short_names_are_tried_below_the_search_domains() -> None:
    def reply(query: Query, _: str) -> bytes:
        if name_of(query) == "api.corp.test":
            return addresses(query, A=["192.0.2.1"])
        return rcode(query, "NXDOMAIN")

    async with DnsServer(reply) as server:
        system = System(nameservers=(server.endpoint,), search=("lab.test", "corp.test"))
        found = await look_up("api", system=system)
        asked = [name for name, kind, _ in server.asked if kind == "A"]
        dotted = await look_up("x.test", system=system)
    assert found.addresses == ("192.0.2.1",)
    assert asked == ["api.lab.test", "api.corp.test"]
    assert dotted.failure == "nxdomain"


async def test_a_named_resolver_is_asked_for_exactly_the_name() -> None:
    async with DnsServer(lambda query, _: rcode(query, "NXDOMAIN")) as server:
        system = System(nameservers=(server.endpoint,), search=("corp.test",))
        found = await look_up("api", system=system, resolver=server.endpoint)
    assert found.failure == "nxdomain"
    assert {name for name, _, _ in server.asked} == {"api"}


async def test_without_a_name_server_the_c_library_is_asked() -> None:
    found = await look_up("127.1")  # only the C library reads this notation, and it asks nobody for it
    assert (found.addresses, found.source) == (("127.0.0.1",), "getaddrinfo")


async def test_a_short_name_that_dns_denies_is_left_to_the_c_library() -> None:
    async with DnsServer(lambda query, _: rcode(query, "NXDOMAIN")) as server:
        found = await look_up("2130706433", system=System(nameservers=(server.endpoint,)))
    assert (found.addresses, found.source) == (("127.0.0.1",), "getaddrinfo")
    assert ("2130706433", "A", "udp") in server.asked


def test_resolv_conf_is_read_as_the_manual_says() -> None:
    text = """
# a comment
domain old.test
search corp.test. Lab.test ; two
nameserver 192.0.2.53
nameserver fe80::1%eth0
nameserver [2001:db8::53]:5353
nameserver 192.0.2.54
nameserver nonsense
options ndots:99 timeout:1 attempts:9 rotate edns0 junk:x
"""
    system = System.parse(text)
    assert system.nameservers == (
        Endpoint(address="192.0.2.53", port=53),
        Endpoint(address="fe80::1%eth0", port=53),
        Endpoint(address="2001:db8::53", port=5353),
    )
    assert system.search == ("corp.test", "lab.test")
    assert (system.ndots, system.attempts) == (15, 5)
    assert System.parse("") == replace(system, nameservers=(), search=(), ndots=1, attempts=2)
    assert system.candidates("api.test")[-1] == "api.test"
    assert replace(system, ndots=1).candidates("api.test")[0] == "api.test"


async def test_one_servfail_is_asked_about_again_at_the_same_server() -> None:
    seen: dict[str, int] = {}

    def reply(query: Query, _: str) -> bytes:
        seen[kind_of(query)] = seen.get(kind_of(query), 0) + 1
        return addresses(query, A=["192.0.2.1"]) if seen[kind_of(query)] > 1 else rcode(query, "SERVFAIL")

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == ("192.0.2.1",)
    assert seen == {"A": 2, "AAAA": 2}
    assert found.elapsed_ms < 700  # at once, not after the pause for silence


async def test_the_chain_of_aliases_is_told() -> None:
    def reply(query: Query, _: str) -> bytes:
        lines = ["api.test. 60 IN CNAME www.b.test.", "www.b.test. 60 IN CNAME c.test."]
        return records(query, *lines, *(["c.test. 60 IN A 192.0.2.1"] if kind_of(query) == "A" else []))

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert found.addresses == ("192.0.2.1",) and found.aliases == ("www.b.test", "c.test")


async def test_an_alias_of_nothing_keeps_its_chain() -> None:
    def reply(query: Query, _: str) -> bytes:
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text("api.test.", 60, "IN", "CNAME", "gone.test."))
        answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert (found.failure, found.aliases) == ("nxdomain", ("gone.test",))


async def test_what_only_an_unchecked_question_gets_is_bogus() -> None:
    def reply(query: Query, _: str) -> bytes:
        if query.flags & dns.flags.CD:
            return addresses(query, A=["192.0.2.1"])
        return rcode(query, "SERVFAIL")

    async with DnsServer(reply) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert (found.addresses, found.failure, found.dnssec) == ((), "servfail", "bogus")
    assert any("checking disabled it answers: A: 192.0.2.1" in line for line in found.detail)


async def test_servfail_whatever_is_asked_is_not_called_bogus() -> None:
    async with DnsServer(lambda query, _: rcode(query, "SERVFAIL")) as server:
        found = await look_up("api.test", resolver=server.endpoint)
    assert (found.failure, found.dnssec) == ("servfail", "unknown")


@pytest.mark.parametrize(("says_so", "dnssec"), [(True, "secure"), (False, "unknown")])
async def test_a_resolver_that_validated_is_quoted(says_so: bool, dnssec: str) -> None:
    def reply(query: Query, _: str) -> bytes:
        assert query.flags & dns.flags.AD  # asked for: RFC 6840 section 5.7
        answer = dns.message.from_wire(addresses(query, A=["192.0.2.1"]))
        answer.flags |= dns.flags.AD if says_so else 0
        return answer.to_wire()

    async with DnsServer(reply) as server:
        assert (await look_up("api.test", resolver=server.endpoint)).dnssec == dnssec
