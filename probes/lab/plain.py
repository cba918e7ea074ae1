"""Servers that do not speak TLS: what is found on a port that somebody took for a TLS port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from probes.lab.gate import Peer
from probes.lab.http import Requests, response


class _Greeting(asyncio.Protocol):
    """Speaks first, then finds every line wrong."""

    def __init__(self, greeting: bytes, complaint: bytes) -> None:
        self._greeting = greeting
        self._complaint = complaint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._greeting)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._complaint)
        self._transport.close()


class _Http(asyncio.Protocol):
    """HTTP/1.1 without TLS. *files* maps a path to its content type and body."""

    def __init__(self, files: Mapping[str, tuple[str, bytes]]) -> None:
        self._files = files
        self._requests = Requests()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        request = self._requests.receive(data)
        if request is None:
            return
        self._transport.write(response(request, now=datetime.now().astimezone(), files=self._files))
        self._transport.close()


def ssh() -> Peer:
    # RFC 4253 section 4.2: the server's identification may come before the client's
    return lambda: _Greeting(b"SSH-2.0-OpenSSH_9.9\r\n", b"Invalid SSH identification string.\r\n")


def smtp() -> Peer:
    return lambda: _Greeting(b"220 mail.lab ESMTP ready\r\n", b"500 5.5.2 Error: bad syntax\r\n")


def http(files: Mapping[str, tuple[str, bytes]] | None = None) -> Peer:
    return lambda: _Http(files or {})
