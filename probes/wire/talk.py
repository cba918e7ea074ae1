"""What every conversation before TLS is made of: what the far end said, and why TLS cannot begin. See `starttls`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, TypeAlias

from probes.values import value
from probes.wire.foreign import foreign_protocol

MAX_LINES = 200  # of one reply

NAMES = {
    "smtp": "SMTP",
    "imap": "IMAP",
    "pop3": "POP3",
    "ldap": "LDAP",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "xmpp": "XMPP",
}
FROM_FOREIGN = {**{name: name for name in NAMES}, "postgresql": "postgres"}
GREETS = frozenset({"smtp", "imap", "pop3", "mysql"})

Awaited: TypeAlias = Literal["greeting", "capabilities", "go-ahead"]


@value
class Refused:
    """TLS cannot begin. `protocol` is what the far end speaks, `why` a clause for people, `said` its words."""

    protocol: str
    why: str
    said: bytes


def starttls_of(protocol: str) -> str | None:
    """The STARTTLS protocol that a foreign protocol's name (`foreign_protocol`) stands for, where it has one."""
    return FROM_FOREIGN.get(protocol.lower())


def greets_first(protocol: str) -> bool:
    """Does the server speak first? Then silence may also mean that it waits for a ClientHello."""
    return protocol in GREETS


class Said:
    """What the far end said and nobody has read yet."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.awaiting: Awaited = "greeting" if greets_first(protocol) else "capabilities"
        self.total = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self.total += len(data)
        self._buffer += data

    @property
    def left(self) -> bytes:
        return bytes(self._buffer)

    def line(self) -> bytes | None:
        """The next whole line without its end, or None."""
        end = self._buffer.find(b"\n")
        return None if end < 0 else self.take(end + 1).rstrip(b"\r\n")

    def take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


Talk: TypeAlias = Generator[bytes, None, Refused | bytes]
"""Yields what to send (b"": only read on); resumed when more was said. Returns why TLS cannot begin, or the last bytes
to send before it (usually none)."""


def text(said: bytes, limit: int = 120) -> str:
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said.decode("utf-8", "replace"))
    return plain.strip()[:limit]


def stranger(protocol: str, said: bytes) -> tuple[str, str]:
    """What to call a far end whose words are not *protocol*'s, and why that ends the matter."""
    heard = foreign_protocol(said)
    name = NAMES[protocol]
    if heard is None or FROM_FOREIGN.get(heard) == protocol:
        return heard or "unknown", f"what it says is not {name}: “{text(said)}”"
    other = FROM_FOREIGN.get(heard)
    advice = f"; check it with STARTTLS {other}" if other else ""
    return heard, f"this port speaks {NAMES.get(other or '', heard.upper())}, not {name}{advice}: “{text(said)}”"


def odd(said: Said, words: bytes) -> Refused:
    protocol, why = stranger(said.protocol, words)
    return Refused(protocol=protocol, why=why, said=words[:256])


def refused(said: Said, words: bytes, why: str) -> Refused:
    return Refused(
        protocol=said.protocol, why=f"{NAMES[said.protocol]} answered “{text(words)}”: {why}", said=words[:256]
    )
