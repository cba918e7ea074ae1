"""Third matrix, STARTTLS: seven protocols, healthy and broken before, at and after the command that begins TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.endpoints import faults
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import Case, Place, Proof, Register
from tests.endpoints.faults import Handler
from tests.endpoints.third_serving import DAY, At, Build, chain_of, context, serve_tls

# Speaks until TLS may begin: whether it does.
Prelude = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "str"], Awaitable[bool]]
PROTOCOLS = ("smtp", "imap", "pop3", "ldap", "postgres", "mysql", "xmpp")
START_TLS_OID = b"1.3.6.1.4.1.1466.20037"


async def _say(writer: asyncio.StreamWriter, text: str | bytes) -> None:
    writer.write(text.encode() if isinstance(text, str) else text)
    await writer.drain()


async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    if mood == "late":  # a mail server that makes talkers give themselves away
        await asyncio.sleep(1.2)
    await _say(writer, "220-mx.matrix.test ESMTP\r\n220 ready\r\n" if mood == "wordy" else "220 mx ESMTP\r\n")
    while line := (await reader.readline()).strip().upper():
        if line.startswith(b"EHLO"):
            offers = "" if mood == "missing" else "250-STARTTLS\r\n"
            await _say(writer, f"250-mx.matrix.test\r\n250-SIZE 1000000\r\n{offers}250 8BITMIME\r\n")
        elif line == b"STARTTLS" and mood in {"refused", "missing"}:
            await _say(writer, "454 4.7.0 TLS not available\r\n" if mood == "refused" else "502 what?\r\n")
        elif line == b"STARTTLS":
            await _say(writer, "220 2.0.0 go ahead\r\n")
            return True
        elif line == b"QUIT":
            await _say(writer, "221 bye\r\n")
            return False
        else:
            await _say(writer, "250 fine\r\n")
    return False


async def imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    listed = "IMAP4rev1" if mood == "missing" else "IMAP4rev1 STARTTLS LOGINDISABLED"
    greeting = f"* OK [CAPABILITY {listed}] matrix\r\n" if mood == "wordy" else "* OK matrix\r\n"
    await _say(writer, greeting)
    while line := (await reader.readline()).decode("ascii", "replace").split():
        tag, word = line[0], line[1].upper() if line[1:] else ""
        if word == "CAPABILITY":
            await _say(writer, f"* CAPABILITY {listed}\r\n{tag} OK done\r\n")
        elif word == "STARTTLS" and mood in {"refused", "missing"}:
            await _say(writer, f"{tag} {'NO' if mood == 'refused' else 'BAD'} not here\r\n")
        elif word == "STARTTLS":
            await _say(writer, f"{tag} OK begin\r\n")
            return True
        elif word == "LOGOUT":
            await _say(writer, f"* BYE\r\n{tag} OK\r\n")
            return False
        else:
            await _say(writer, f"{tag} OK\r\n")
    return False


async def pop3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    await _say(writer, "+OK matrix\r\n")
    while line := (await reader.readline()).strip().upper():
        if line == b"CAPA":
            await _say(writer, f"+OK\r\nUSER\r\n{'' if mood == 'missing' else 'STLS' + chr(13) + chr(10)}.\r\n")
        elif line == b"STLS" and mood in {"refused", "missing"}:
            await _say(writer, "-ERR not now\r\n")
        elif line == b"STLS":
            await _say(writer, "+OK begin\r\n")
            return True
        elif line == b"QUIT":
            await _say(writer, "+OK\r\n")
            return False
        else:
            await _say(writer, "-ERR\r\n")
    return False


async def ldap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    """One LDAPMessage with an ExtendedRequest; RFC 4511 sections 4.12 and 4.14."""
    head = await reader.readexactly(2)
    body = await reader.readexactly(head[1])
    if START_TLS_OID not in body:
        return False
    number = body[2]
    result = 52 if mood == "refused" else 2 if mood == "missing" else 0
    await _say(writer, bytes([0x30, 12, 2, 1, number, 0x78, 7, 10, 1, result, 4, 0, 4, 0]))
    return result == 0


async def postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    if await reader.readexactly(8) != (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"):
        return False
    if mood == "missing":
        text = b"SFATAL\0C0A000\0Munsupported frontend protocol\0\0"
        await _say(writer, b"E" + (len(text) + 4).to_bytes(4, "big") + text)
        return False
    await _say(writer, b"N" if mood == "refused" else b"S")
    return mood != "refused"


async def mysql(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    if mood == "refused":
        text = b"\xff\x6a\x04Host 'x' is not allowed to connect to this MySQL server"
        await _say(writer, len(text).to_bytes(3, "little") + b"\0" + text)
        return False
    flags = 0x000FF7FF & ~0x0800 if mood == "missing" else 0x000FFFFF
    greeting = b"\x0a8.0.36\0" + (7).to_bytes(4, "little") + b"abcdefgh\0" + (flags & 0xFFFF).to_bytes(2, "little")
    greeting += b"\x21" + (2).to_bytes(2, "little") + (flags >> 16).to_bytes(2, "little") + b"\x15" + bytes(10)
    greeting += b"ijklmnopqrst\0mysql_native_password\0"
    await _say(writer, len(greeting).to_bytes(3, "little") + b"\0" + greeting)
    head = await reader.readexactly(4)
    asked = await reader.readexactly(int.from_bytes(head[:3], "little"))
    return mood != "missing" and len(asked) == 32 and bool(int.from_bytes(asked[:4], "little") & 0x0800)


async def xmpp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mood: str) -> bool:
    opening = await reader.readuntil(b">")
    if b"stream:stream" not in opening:
        opening += await reader.readuntil(b">")
    tls = "" if mood == "missing" else "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
    await _say(
        writer,
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        f" id='m1' from='matrix.test' version='1.0'><stream:features>{tls}<mechanisms"
        " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    )
    await reader.readuntil(b">")
    if mood in {"refused", "missing"}:
        await _say(writer, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
        return False
    await _say(writer, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    return True


SPEAKS: dict[str, Prelude] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ldap": ldap,
    "postgres": postgres,
    "mysql": mysql,
    "xmpp": xmpp,
}


def handler(protocol: str, inner: At, mood: str, then: Handler | None) -> Handler:
    """The prelude, then *then*, or all bytes to and from the TLS server *inner*.

    MySQL's client sends its hello without waiting: what came along with the last command is passed on as well.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await SPEAKS[protocol](reader, writer, mood):
            await reader.read()
        elif then:
            await then(reader, writer)
        else:
            await faults._relayed(*inner, b"", reader, writer)

    return serve


async def _listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1024)


def spoken(
    protocol: str,
    *,
    asked: str | None = None,
    mood: str = "",
    then: Handler | None = None,
    until: timedelta = 60 * DAY,
    alone: bool = False,
    name: str | None = None,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    self_made: bool = False,
    asks: ssl.VerifyMode = ssl.CERT_NONE,
    tickets: int = 2,
) -> Build:
    """A server of *protocol*, checked with `--starttls` *asked* (the same one unless it is given)."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        by = h.stranger_intermediate if self_made else h.intermediate
        leaf = h.leaf(name or case.host, by=by, since=-80 * DAY, until=until)
        tls = context(bench, (leaf,) if alone else (leaf, by), most=most, asks=asks, tickets=tickets)
        inner = serve_tls(bench, tls, _listens)
        place = bench.raw(handler(protocol, inner, mood, then))
        return Place(addresses=(place[0],), port=place[1], starttls=asked or protocol)

    return build


def everywhere(*protocols: str, moods: tuple[str, ...] = ("", ""), lapsed: tuple[bool, ...] = (False, False)) -> Build:
    """Several addresses that share their TLS side, ticket keys and all, where nothing is lapsed."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        leaf, old = h.leaf(case.host), h.leaf(case.host, until=-2 * DAY)
        inner = serve_tls(bench, context(bench, (leaf, h.intermediate)), _listens)
        late = serve_tls(bench, context(bench, (old, h.intermediate)), _listens)
        addresses, port = bench.places(len(protocols))
        for address, protocol, mood, over in zip(addresses, protocols, moods, lapsed, strict=True):
            bench.raw(handler(protocol, late if over else inner, mood, None), at=(address, port))
        return Place(addresses=tuple(addresses), port=port, starttls=protocols[0])

    return build


def asked_of(protocol: str, peer: Handler) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        place = bench.raw(peer)
        return Place(addresses=(place[0],), port=place[1], starttls=protocol)

    return build


def implicit(protocol: str) -> Build:
    """TLS from the first byte, as on port 465 or 993."""

    def build(bench: Bench, case: Case) -> Place:
        place = bench.nginx(Vhost(names=(case.host,), chains=(chain_of(bench, case),)))
        return Place(addresses=(place[0],), port=place[1], starttls=protocol)

    return build


def register(to: Register) -> None:
    nothing = Proof(want="no peer certificate|didn't found|errno|CONNECTED|tool gave up")
    not_tls, stalled = "reach.not-tls", "reach.stalled"
    for protocol in PROTOCOLS:
        to.add(f"healthy/starttls-{protocol}", "none", spoken(protocol))
        for mood in ("refused", "missing"):
            to.add(f"reach/starttls-{protocol}-{mood}", "none", spoken(protocol, mood=mood), not_tls, proof=nothing)
        to.add(f"validity/starttls-{protocol}-lapsed", "none", spoken(protocol, until=-2 * DAY), "validity.expired",
            proof="code: 10")  # fmt: skip
    for protocol in ("smtp", "imap"):
        to.add(f"healthy/starttls-{protocol}-wordy", "none", spoken(protocol, mood="wordy"))
        old = ssl.TLSVersion.TLSv1_2
        to.add(f"healthy/starttls-{protocol}-tls1.2", "none", spoken(protocol, most=old))
    to.add("healthy/starttls-smtp-late-banner", "none", spoken("smtp", mood="late"), waits=True)
    to.add("healthy/starttls-smtp-asks-for-certificates", "none", spoken("smtp", asks=ssl.CERT_OPTIONAL))
    to.add("healthy/starttls-postgres-asks-for-certificates", "none", spoken("postgres", asks=ssl.CERT_OPTIONAL))
    to.add("healthy/starttls-smtp-no-tickets", "none", spoken("smtp", tickets=0))
    to.add("healthy/starttls-imap-two-addresses", "none", everywhere("imap", "imap"))
    to.add("balancer/starttls-imap-one-refuses", "none", everywhere("imap", "imap", moods=("", "refused")),
        "balancer.address-down", proof=Proof(want="no peer certificate|CONNECTED|the tool gave up", at=1))  # fmt: skip
    to.add("balancer/starttls-smtp-one-lapsed", "none", everywhere("smtp", "smtp", lapsed=(False, True)),
        "balancer.certificate-differs", proof=Proof(want="code: 10", at=1))  # fmt: skip
    to.add("chain/starttls-smtp-incomplete", "none", spoken("smtp", alone=True), "chain.incomplete", proof="code: 2")
    to.add(
        "chain/starttls-ldap-private", "none", spoken("ldap", self_made=True), "chain.untrusted", proof="code: (19|20)"
    )
    to.add("sni/starttls-imap-another-name", "none", spoken("imap", name="mail.elsewhere.test"),
        ("sni.name-mismatch", "sni.default-certificate"), why="one certificate for every name",
        proof="code: 62")  # fmt: skip
    to.add("reach/starttls-smtp-then-reset", "none", spoken("smtp", then=faults.resets), "reach.reset", proof=nothing)
    to.add("reach/starttls-imap-then-closed", "none", spoken("imap", then=faults.closes), "reach.closed", proof=nothing)
    to.add("reach/starttls-postgres-then-closed", "none", spoken("postgres", then=faults.closes), "reach.closed",
        proof=nothing)  # fmt: skip
    to.add("reach/starttls-smtp-then-silent", "none", spoken("smtp", then=faults.is_silent), stalled, proof=nothing,
        silent=True)  # fmt: skip
    to.add("reach/starttls-postgres-then-silent", "none", spoken("postgres", then=faults.is_silent), stalled,
        proof=nothing, silent=True)  # fmt: skip
    for protocol in ("smtp", "mysql", "ldap", "postgres"):
        build = asked_of(protocol, faults.is_silent)
        to.add(f"reach/starttls-{protocol}-silent", "none", build, stalled, proof=nothing, silent=True)
    for asked, spoken_there in (("smtp", "imap"), ("imap", "pop3"), ("pop3", "smtp")):
        to.add(f"reach/starttls-{asked}-to-{spoken_there}", "none", spoken(spoken_there, asked=asked), not_tls,
            proof=nothing)  # fmt: skip
    to.add("reach/starttls-smtp-to-ssh", "none", asked_of("smtp", faults.greets(b"SSH-2.0-OpenSSH_9.2\r\n")), not_tls,
        proof=nothing)  # fmt: skip
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    to.add("reach/starttls-postgres-to-http", "none", asked_of("postgres", _after_any(page)), not_tls, proof=nothing)
    for protocol in ("smtp", "imap"):
        to.add(f"reach/starttls-{protocol}-implicit-tls", "nginx", implicit(protocol), (stalled, not_tls),
            why="the server waits for a hello, the client for a banner: silence, or TLS where text was due",
            proof=nothing, silent=True)  # fmt: skip
    to.add("reach/starttls-smtp-refused-by-tcp", "none", lambda bench, case: _nobody(bench), "reach.refused",
        proof="errno=111|refused")  # fmt: skip


def _nobody(bench: Bench) -> Place:
    place = bench.place()
    return Place(addresses=(place[0],), port=place[1], starttls="smtp")


def _after_any(answer: bytes) -> Handler:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        await _say(writer, answer)

    return answers
