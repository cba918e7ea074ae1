"""The conversation in clear that comes before the ClientHello where TLS begins by command (STARTTLS), without I/O.

One generator a protocol (`talk_text`, `talk_binary`): it yields what is to be sent and reads what the far end said,
until it tells whether TLS may begin. `Prelude` drives it: bytes in, bytes out, an end. Nothing that comes raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from probes.values import value
from probes.wire.records import looks_like_tls
from probes.wire.talk import NAMES, Refused, Said, Talk, greets_first, starttls_of, stranger
from probes.wire.talk_binary import ldap, mysql, postgres
from probes.wire.talk_text import imap, pop3, smtp, xmpp

__all__ = ["NAMES", "End", "Prelude", "Ready", "Refused", "greets_first", "starttls_of"]

MAX_CLEAR = 1 << 15  # bytes of the far end; no greeting with its capabilities comes near it


@value
class Ready:
    """TLS may begin."""


End: TypeAlias = Ready | Refused


class Prelude:
    """One conversation. Send `outgoing()` whenever it has something; `receive` tells the end, once it is there."""

    def __init__(self, protocol: str, domain: str) -> None:
        """*protocol* is one of NAMES; *domain* is the service's own name, which XMPP asks for (RFC 6120 4.3.1)."""
        self.protocol = protocol
        self._said = Said(protocol)
        self._outgoing = bytearray()
        self._ended: End | None = None
        self._talk = _TALKS[protocol](self._said, domain)
        self._step()

    @property
    def awaiting(self) -> str:
        """What is due next, in words."""
        article = "the" if self._said.awaiting != "capabilities" else "its"
        return f"{article} {NAMES[self.protocol]} {self._said.awaiting}"

    @property
    def heard(self) -> bool:
        return self._said.total > 0

    def outgoing(self) -> bytes:
        """Take what is to be sent; b"" when there is nothing."""
        waiting = bytes(self._outgoing)
        self._outgoing.clear()
        return waiting

    def receive(self, data: bytes) -> End | None:
        """Take in the next bytes; the end of the conversation once they tell it."""
        if self._ended is not None:
            return self._ended
        first = not self.heard
        self._said.feed(data)
        if first and looks_like_tls(data):
            return self._refuse("tls", "this port speaks TLS from the first byte: check it without STARTTLS", data)
        if self._said.total > MAX_CLEAR:
            return self._refuse(self.protocol, f"over {MAX_CLEAR // 1024} KB came before TLS", data)
        self._step()
        return self._ended

    def eof(self) -> End | None:
        """No more will come: what was said and not understood is judged as it is. None: nothing was said."""
        left = self._said.left
        if self._ended is None and left:
            return self._refuse(*stranger(self.protocol, left), left)
        return self._ended

    def _refuse(self, protocol: str, why: str, said: bytes) -> End:
        self._ended = Refused(protocol=protocol, why=why, said=said[:256])
        return self._ended

    def _step(self) -> None:
        try:
            self._outgoing += next(self._talk)
        except StopIteration as stop:
            last: Refused | bytes = stop.value
            self._ended = last if isinstance(last, Refused) else self._may_begin(last)

    def _may_begin(self, last: bytes) -> End:
        # CVE-2021-23222 and its kin: what stands in clear behind the go-ahead would be taken for protected data.
        left = self._said.left
        if not left:
            self._outgoing += last
            return Ready()
        blame = "somebody injects them, or the server is broken"
        why = f"{len(left)} bytes came in clear behind the go-ahead, before TLS: {blame}"
        return Refused(protocol=self.protocol, why=why, said=left[:256])


_TALKS: dict[str, Callable[[Said, str], Talk]] = {
    "smtp": smtp,
    "imap": imap,
    "pop3": pop3,
    "ldap": ldap,
    "postgres": postgres,
    "mysql": mysql,
    "xmpp": xmpp,
}
