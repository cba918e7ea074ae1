"""Issuer certificates named by a certificate (RFC 5280 section 4.2.2.1), fetched with distrust.

The URL comes from the far end. So: http and https only, the address is resolved and checked before it is
connected to and then pinned, each redirect is checked anew, and size and time are capped. Over https the server's
certificate is not verified: what is fetched proves itself by having signed the certificate in question, and the
chain under examination may be the very one the URL's host uses.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.model import Endpoint, Fetched, UsageError, hostname, ip_literal
from probes.net.egress import Permit, never_fetched, refusal
from probes.net.resolve import Overrides, resolve

if TYPE_CHECKING:
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
    """Why there is no certificate, in words for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How addresses are found and allowed, for every hop alike."""

    permit: Permit | None
    overrides: Overrides
    resolver: Endpoint | None
    deadline: float


async def fetch_issuer(
    url: str, *, permit: Permit | None, overrides: Overrides, resolver: Endpoint | None, deadline: float
) -> Fetched:
    """The certificates at *url*: DER, PEM, or a certs-only PKCS#7 bundle in either coding. Never raises.

    Back within 2 s and by *deadline* (loop time). At most 256 KB and three redirects.
    """
    deadline = min(deadline, asyncio.get_running_loop().time() + TOTAL_S)
    way = _Way(permit=permit, overrides=overrides, resolver=resolver, deadline=deadline)
    try:
        async with asyncio.timeout_at(deadline):
            body = await _body(url, way)
    except _Refused as refused:
        return Fetched(url=url, problem=str(refused))
    except TimeoutError:
        return Fetched(url=url, problem="no complete answer in time")
    certificates = certificates_in(body)
    if not certificates:
        return Fetched(url=url, problem=f"the {len(body)} bytes there are no certificate")
    return Fetched(url=url, certificates=certificates)


async def _body(url: str, way: _Way) -> bytes:
    import httpx  # 100 ms to import: only those who fetch pay

    transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False, retries=0)  # why: see the top
    timeout = httpx.Timeout(TOTAL_S, connect=CONNECT_S)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await _one_hop(client, url, way)
            if isinstance(answer, bytes):
                return answer
            url = answer
    raise _Refused(f"more than {MAX_REDIRECTS} redirects")


async def _one_hop(client: httpx.AsyncClient, url: str, way: _Way) -> bytes | str:
    """The body at *url*, or the URL it redirects to."""
    import httpx

    place, host, port = _place(url)
    addresses = await _addresses(host, port, way)
    problem = ""
    for address in addresses:
        request = client.build_request(
            "GET",
            place.copy_with(host=address),
            headers={"Host": _host_header(place, host), "Accept": "*/*", "Accept-Encoding": "identity"},
            extensions={"sni_hostname": host},
        )
        try:
            answer = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            problem = f"cannot connect to {Endpoint(address=address, port=port)} ({type(error).__name__})"
            continue
        except httpx.HTTPError as error:
            raise _Refused(f"HTTP failed at {address} ({type(error).__name__})") from None
        try:
            return await _read(answer, place)
        except httpx.HTTPError as error:
            raise _Refused(f"HTTP failed midway at {address} ({type(error).__name__})") from None
        finally:
            await answer.aclose()
    raise _Refused(problem)


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
    return bare, name, place.port or _PORTS[place.scheme]


def _host_header(place: httpx.URL, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{place.port}" if place.port else shown


async def _addresses(host: str, port: int, way: _Way) -> tuple[str, ...]:
    found = await resolve(host, port, overrides=way.overrides, resolver=way.resolver, deadline=way.deadline)
    if found.failure is not None:
        raise _Refused(f"{host} does not resolve ({found.failure})")
    refused: list[str] = []
    allowed: list[str] = []
    for address in found.addresses:
        why = "never fetched from" if never_fetched(address) else refusal(way.permit, address, port)
        if why is None:
            allowed.append(address)
        else:
            refused.append(f"{address}: {why}")
    if not allowed:
        raise _Refused("egress refused, " + "; ".join(refused[:3]))
    return tuple(allowed[:MAX_ADDRESSES])


async def _read(answer: httpx.Response, place: httpx.URL) -> bytes | str:
    import httpx

    if answer.status_code in _REDIRECTS:
        try:
            return str(place.join(answer.headers.get("Location", "")))
        except (httpx.InvalidURL, ValueError):
            raise _Refused("redirected to something that is no URL") from None
    if answer.status_code != 200:
        raise _Refused(f"HTTP {answer.status_code}")
    coding = answer.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise _Refused("answered with a compressed body nobody asked for")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > MAX_BODY:
            raise _Refused(f"larger than {MAX_BODY // 1024} KB")
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
