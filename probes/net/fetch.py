"""What certificates name, fetched with distrust: issuers (RFC 5280 section 4.2.2.1), OCSP answers, CRLs.

The URL comes from the far end. So: http and https only, the address is resolved and checked before it is
connected to and then pinned, each redirect is checked anew, and size and time are capped. Over https the server's
certificate is not verified: what is fetched proves itself by having signed the certificate in question, or by being
signed by its issuer, and the chain under examination may be the very one the URL's host uses.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from probes.model import Endpoint, Fetched, UsageError, hostname, ip_literal
from probes.net.egress import Permit, never_fetched, refusal
from probes.net.resolve import Overrides, resolve
from probes.observed import Unanswered
from probes.values import value

if TYPE_CHECKING:
    import ssl

    import httpx

TOTAL_S = 2.0
CONNECT_S = 0.8  # so that a second address gets its chance
MAX_BODY = 256 * 1024
MAX_REDIRECTS = 3
MAX_ADDRESSES = 2  # tried in turn while the time lasts
MAX_CERTIFICATES = 32  # of one bundle
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}


class _Refused(Exception):
    """Why nothing was had, in words for a person, and in one for a program; `status` is HTTP's, where it said one."""

    def __init__(self, why: str, failure: Unanswered = "error", *, status: int | None = None) -> None:
        super().__init__(why)
        self.failure: Unanswered = failure
        self.status = status


@value
class Way:
    """How addresses are found and allowed, for every hop alike. *deadline* is loop time."""

    permit: Permit | None
    overrides: Overrides
    resolver: Endpoint | None
    deadline: float


@dataclass(slots=True, kw_only=True)
class Allowance:
    """Bytes that several fetches may bring together; each takes from it what it reads."""

    left: int


@value
class Asked:
    """What is sent, and how much may come back. With *content* it is a POST of that media type."""

    accept: str = "*/*"
    content: bytes | None = None
    content_type: str = ""
    max_body: int = MAX_BODY
    connect_s: float = CONNECT_S
    allowance: Allowance | None = None


@value
class Answer:
    """A body, or why there is none; `failure` is None exactly when there is one.

    `elapsed_ms` counts from the call: look-up, connection, answer, body. `received` counts the bytes of a body that
    did not come to its end in time.
    """

    body: bytes | None = field(default=None, repr=False)
    failure: Unanswered | None = None
    problem: str = ""
    status: int | None = None
    elapsed_ms: float
    received: int = 0


@dataclass(slots=True, kw_only=True)
class _Progress:
    """Bytes of the body so far: what is left to tell of when the time runs out."""

    received: int = 0


async def fetch_issuer(
    url: str, *, permit: Permit | None, overrides: Overrides, resolver: Endpoint | None, deadline: float
) -> Fetched:
    """The certificates at *url*: DER, PEM, or a certs-only PKCS#7 bundle in either coding. Never raises.

    Back within 2 s and by *deadline* (loop time). At most 256 KB and three redirects.
    """
    deadline = min(deadline, asyncio.get_running_loop().time() + TOTAL_S)
    answer = await fetch(url, Way(permit=permit, overrides=overrides, resolver=resolver, deadline=deadline), Asked())
    if answer.body is None:
        return Fetched(url=url, problem=answer.problem)
    certificates = certificates_in(answer.body)
    if not certificates:
        return Fetched(url=url, problem=f"the {len(answer.body)} bytes there are no certificate")
    return Fetched(url=url, certificates=certificates)


async def fetch(url: str, way: Way, asked: Asked) -> Answer:
    """What is at *url*, by a connection of its own. Never raises; back by the deadline of *way*."""
    loop = asyncio.get_running_loop()
    began, progress = loop.time(), _Progress()

    def answer(
        failure: Unanswered | None, problem: str = "", *, body: bytes | None = None, status: int | None = None
    ) -> Answer:
        elapsed = (loop.time() - began) * 1000
        received = 0 if body is not None else progress.received
        return Answer(body=body, failure=failure, problem=problem, status=status, elapsed_ms=elapsed, received=received)

    try:
        async with asyncio.timeout_at(way.deadline):
            return answer(None, body=await _body(url, way, asked, progress))
    except _Refused as refused:
        return answer(refused.failure, str(refused), status=refused.status)
    except TimeoutError:
        return answer("timeout", "no complete answer in time")
    # Strangers' URLs and bytes in foreign code: whatever it stumbles over is the far end's answer, not our end.
    except Exception as error:
        return answer("error", f"it cannot be fetched ({type(error).__name__})")


async def warm() -> None:
    """Import what fetching needs (0.1 to 0.3 s, once a process) beside the event loop: handshakes are being timed."""
    if "httpx" not in sys.modules:
        await asyncio.to_thread(_import_all)


def _import_all() -> None:
    importlib.import_module("httpx")
    importlib.import_module("anyio._backends._asyncio")  # what httpx's first request would import
    _trusting()


@lru_cache(maxsize=1)
def _trusting() -> ssl.SSLContext:
    """Verifies nobody (why: see the top); shared, since making one costs more than the rest of a small fetch."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _body(url: str, way: Way, asked: Asked, progress: _Progress) -> bytes:
    import httpx  # 100 ms to import: only those who fetch pay

    transport = httpx.AsyncHTTPTransport(verify=_trusting(), trust_env=False, retries=0)
    # Time is limited from outside: what httpx limits is each operation alone.
    timeout = httpx.Timeout(None, connect=asked.connect_s)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await _one_hop(client, url, way, asked, progress)
            if isinstance(answer, bytes):
                return answer
            url = answer
    raise _Refused(f"more than {MAX_REDIRECTS} redirects")


async def _one_hop(client: httpx.AsyncClient, url: str, way: Way, asked: Asked, progress: _Progress) -> bytes | str:
    """The body at *url*, or the URL it redirects to."""
    import httpx

    place, host, port = _place(url)
    addresses = await _addresses(host, port, way)
    headers = {"Host": _host_header(place, host), "Accept": asked.accept, "Accept-Encoding": "identity"}
    if asked.content is not None:
        headers["Content-Type"] = asked.content_type
    problem = ""
    failure: Unanswered = "unreachable"
    for address in addresses:
        request = client.build_request(
            "GET" if asked.content is None else "POST",
            place.copy_with(host=address),
            content=asked.content,
            headers=headers,
            extensions={"sni_hostname": host},
        )
        try:
            answer = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            problem = f"cannot connect to {Endpoint(address=address, port=port)} ({type(error).__name__})"
            failure = "timeout" if isinstance(error, httpx.ConnectTimeout) else "unreachable"
            continue
        except httpx.HTTPError as error:
            raise _Refused(f"HTTP failed at {address} ({type(error).__name__})", "unreachable") from None
        try:
            return await _read(answer, place, asked, progress)
        except httpx.HTTPError as error:
            raise _Refused(f"HTTP failed midway at {address} ({type(error).__name__})", "unreachable") from None
        finally:
            await answer.aclose()
    raise _Refused(problem, failure)


def _place(url: str) -> tuple[httpx.URL, str, int]:
    import httpx

    try:
        place = httpx.URL(url)
        host = place.raw_host.decode("ascii")
        if place.scheme not in _PORTS:
            raise _Refused(f"only http and https are fetched, not “{place.scheme[:20]}”")
        name = host if ip_literal(host) else hostname(host)
    except (httpx.InvalidURL, UsageError, ValueError):
        raise _Refused("not a URL that can be fetched") from None
    bare = place.copy_with(username=None, password=None, fragment=None)
    port = place.port or _PORTS[place.scheme]
    if not 0 < port <= 65535:  # httpx lets it through, and the socket raises what is no OSError
        raise _Refused("not a URL that can be fetched")
    return bare, name, port


def _host_header(place: httpx.URL, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{place.port}" if place.port else shown


async def _addresses(host: str, port: int, way: Way) -> tuple[str, ...]:
    found = await resolve(host, port, overrides=way.overrides, resolver=way.resolver, deadline=way.deadline)
    if found.failure is not None:
        failure: Unanswered = "timeout" if found.failure == "timeout" else "unreachable"
        raise _Refused(f"{host} does not resolve ({found.failure})", failure)
    refused: list[str] = []
    allowed: list[str] = []
    for address in found.addresses:
        why = "never fetched from" if never_fetched(address) else refusal(way.permit, address, port)
        if why is None:
            allowed.append(address)
        else:
            refused.append(f"{address}: {why}")
    if not allowed:
        raise _Refused("egress refused, " + "; ".join(refused[:3]), "refused")
    return tuple(allowed[:MAX_ADDRESSES])


async def _read(answer: httpx.Response, place: httpx.URL, asked: Asked, progress: _Progress) -> bytes | str:
    import httpx

    if answer.status_code in _REDIRECTS:
        try:
            return str(place.join(answer.headers.get("Location", "")))
        except (httpx.InvalidURL, ValueError):
            raise _Refused("redirected to something that is no URL") from None
    if answer.status_code != 200:
        raise _Refused(f"HTTP {answer.status_code}", status=answer.status_code)
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise _Refused("answered with a compressed body nobody asked for")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        progress.received = len(body)
        if len(body) > asked.max_body:
            raise _Refused(f"larger than {asked.max_body // 1024} KB")
        if asked.allowance is not None:
            asked.allowance.left -= len(piece)
            if asked.allowance.left < 0:
                raise _Refused("this check has read as much as it may hold", "refused")
    return bytes(body)


def certificates_in(body: bytes) -> tuple[bytes, ...]:
    """The certificates *body* holds, as DER, without repeats; empty when it is none of the four forms."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
    from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates

    def from_der(data: bytes) -> list[Certificate]:
        return [load_der_x509_certificate(data)]

    for load in (
        from_der,
        load_pem_x509_certificates,
        pkcs7.load_der_pkcs7_certificates,
        pkcs7.load_pem_pkcs7_certificates,
    ):
        try:
            found = load(body)
        except (ValueError, UnsupportedAlgorithm):
            continue
        ders = dict.fromkeys(certificate.public_bytes(Encoding.DER) for certificate in found[:MAX_CERTIFICATES])
        return tuple(ders)
    return ()
