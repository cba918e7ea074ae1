"""Servers that speak in clear before TLS: a script for each protocol, and OpenSSL behind it. Loopback only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from OpenSSL import SSL

from tests.net.peers import OpenSsl


class Speaker(asyncio.Protocol):
    """Says *script* line by line: its first part on connecting when *greets*, each other one when something comes.

    With a *context*, TLS follows the last part; without, there is silence. `heard` is what came before TLS.
    """

    def __init__(
        self, script: Sequence[bytes], *, greets: bool, context: SSL.Context | None, greeting_delay_s: float = 0.0
    ) -> None:
        self._script = list(script)
        self._greets, self._delay_s = greets, greeting_delay_s
        self._tls = OpenSsl(context) if context is not None else None
        self._late: asyncio.TimerHandle | None = None
        self.heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._tls is not None:
            self._tls.connection_made(transport)
        if self._greets and self._delay_s:
            self._late = asyncio.get_running_loop().call_later(self._delay_s, self._say)
        elif self._greets:
            self._say()

    def data_received(self, data: bytes) -> None:
        if self._script:
            self.heard += data
            self._say()
            return
        # MySQL's request has no answer: the hello may come in the same segment.
        if self._tls is not None:
            self._tls.data_received(
                data[data.index(b"\x16\x03") :] if data[:1] != b"\x16" and b"\x16\x03" in data else data
            )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()

    def _say(self) -> None:
        self._transport.write(self._script.pop(0))
