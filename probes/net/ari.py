"""Asks CAs for renewal information (RFC 9773): two GETs, by permission, never in haste; a failure is an answer.

The CA's server is verified, other than where certificates are fetched: what it says is believed as it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from probes import ari
from probes.model import Endpoint, UsageError, hostname, ip_literal
from probes.net.egress import Permit, never_fetched, refusal
from probes.net.resolve import Overrides, resolve
from probes.values import value

if TYPE_CHECKING:
    import httpx

TOTAL_S = 10.0  # a question, with look-up and connection
DIRECTORY_KEPT = timedelta(days=1)
_MAX_BODY = 64 * 1024
_MAX_ADDRESSES = 2


class _Failed(Exception):
    """Why there is no answer, in words; `retry_after` where the server sent one."""

    def __init__(self, why: str, retry_after: str | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@value
class Told:
    """What a CA says of one certificate. `window` None: nothing, and `problem` says why; not before `ask_again_at`."""

    window: ari.Window | None
    ask_again_at: datetime
    problem: str = ""


@value
class _Directory:
    url: str | None
    until: datetime


class RenewalInformation:
    """Asks the CAs whose directories are known. One at a time for each CA: it is a guest there."""

    def __init__(
        self,
        *,
        permit: Permit | None,
        directories: Mapping[str, str] = ari.DIRECTORIES,
        context: ssl.SSLContext | None = None,
        overrides: Overrides | None = None,
        resolver: Endpoint | None = None,
    ) -> None:
        self._permit = permit
        self._known = directories
        self._context = context
        self._overrides: Overrides = overrides or {}
        self._resolver = resolver
        self._directories: dict[str, _Directory] = {}
        self._quiet_until: dict[str, datetime] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def offered_by(self, organisation: str) -> bool:
        """Whether a CA of that name can be asked at all."""
        return ari.directory_of(organisation, self._known) is not None

    async def ask(self, organisation: str, key_id: bytes, serial: int, now: datetime) -> Told:
        """What the CA *organisation* suggests for one certificate. Never raises for what the far end does."""
        directory = ari.directory_of(organisation, self._known)
        if directory is None:
            return Told(
                window=None, ask_again_at=now + ari.LATEST, problem=f"no ACME directory of {organisation} is known"
            )
        async with self._turns.setdefault(directory, asyncio.Lock()):
            quiet_until = self._quiet_until.get(directory)
            if quiet_until is not None and now < quiet_until:
                return Told(window=None, ask_again_at=quiet_until, problem="the CA asked for a pause")
            try:
                async with asyncio.timeout(TOTAL_S):
                    return await self._answer(directory, ari.certificate_id(key_id, serial), now)
            except _Failed as failed:
                again = ari.asked_again_at(failed.retry_after, now)
                if failed.retry_after is not None:
                    self._quiet_until[directory] = again
                return Told(window=None, ask_again_at=again, problem=str(failed))
            except (ari.Malformed, ValueError) as wrong:
                return Told(window=None, ask_again_at=now + ari.AFTER_FAILURE, problem=str(wrong))
            except TimeoutError:
                return Told(window=None, ask_again_at=now + ari.AFTER_FAILURE, problem="no complete answer in time")

    async def _answer(self, directory: str, certificate: str, now: datetime) -> Told:
        url = await self._renewal_info(directory, now)
        if url is None:
            return Told(window=None, ask_again_at=now + ari.LATEST, problem="the CA does not offer renewal information")
        body, retry_after = await self._get(f"{url}/{certificate}")
        return Told(window=ari.window(body), ask_again_at=ari.asked_again_at(retry_after, now))

    async def _renewal_info(self, directory: str, now: datetime) -> str | None:
        kept = self._directories.get(directory)
        if kept is None or kept.until <= now or kept.until > now + DIRECTORY_KEPT:
            body, _ = await self._get(directory)
            kept = _Directory(url=ari.renewal_info_url(body), until=now + DIRECTORY_KEPT)
            self._directories[directory] = kept
        return kept.url

    # ── one GET ─────────────────────────────────────────────────────────────────

    async def _get(self, url: str) -> tuple[bytes, str | None]:
        """The body at *url* and its Retry-After; redirects are not followed, for neither CA needs one."""
        import httpx  # 100 ms to import: only those who ask pay

        place, host, port = _place(url)
        if self._context is None:
            self._context = await asyncio.to_thread(httpx.create_ssl_context)
        transport = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, retries=0)
        problem = ""
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=TOTAL_S) as client:
            for address in await self._addresses(host, port):
                request = client.build_request(
                    "GET",
                    place.copy_with(host=address),
                    headers={
                        "Host": place.netloc.decode("ascii"),
                        "Accept": "application/json",
                        "Accept-Encoding": "identity",
                    },
                    extensions={"sni_hostname": host},
                )
                try:
                    answer = await client.send(request, stream=True)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    problem = f"cannot connect to {host} at {address} ({type(error).__name__})"
                    continue
                except httpx.HTTPError as error:
                    raise _Failed(f"HTTP failed at {host} ({type(error).__name__})") from None
                with contextlib.suppress(httpx.HTTPError):
                    try:
                        return await _read(answer, host)
                    finally:
                        await answer.aclose()
                raise _Failed(f"HTTP failed midway at {host}")
        raise _Failed(problem)

    async def _addresses(self, host: str, port: int) -> tuple[str, ...]:
        deadline = asyncio.get_running_loop().time() + TOTAL_S
        found = await resolve(host, port, overrides=self._overrides, resolver=self._resolver, deadline=deadline)
        if found.failure is not None:
            raise _Failed(f"{host} does not resolve ({found.failure})")
        allowed = [
            address
            for address in found.addresses
            if not never_fetched(address) and refusal(self._permit, address, port) is None
        ]
        if not allowed:
            raise _Failed(f"egress refused: none of the addresses of {host} may be connected to")
        return tuple(allowed[:_MAX_ADDRESSES])


async def _read(answer: httpx.Response, host: str) -> tuple[bytes, str | None]:
    retry_after = answer.headers.get("Retry-After")
    if answer.status_code != 200:
        raise _Failed(f"{host} answered HTTP {answer.status_code}", retry_after)
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _MAX_BODY:
            raise _Failed(f"{host} answered more than {_MAX_BODY // 1024} KB")
    return bytes(body), retry_after


def _place(url: str) -> tuple[httpx.URL, str, int]:
    import httpx

    try:
        place = httpx.URL(url)
        host = place.raw_host.decode("ascii")
        if place.scheme != "https":  # RFC 8555 section 6.1
            raise _Failed("an ACME server is asked over https alone")
        name = host if ip_literal(host) else hostname(host)
    except (httpx.InvalidURL, UsageError, ValueError):
        raise _Failed("not a URL that can be asked") from None
    port = place.port or 443
    if not 0 < port <= 65535:
        raise _Failed("not a URL that can be asked")
    return place.copy_with(username=None, password=None, fragment=None), name, port
