"""Reads lines "id host address port", asks each with requests, writes "id ok" or "id ERROR text".

Run by an interpreter that has requests, which this project has not.
"""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests  # type: ignore[import-not-found, import-untyped, unused-ignore]

spots = [line.split() for line in sys.stdin]
places = {host: address for _, host, address, _ in spots}
resolve = socket.getaddrinfo


def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
    return resolve(places.get(host, host), *rest, **more)


socket.getaddrinfo = getaddrinfo  # the names of the table resolve nowhere else


def asked(spot: list[str]) -> str:
    id, host, _, port = spot
    try:
        requests.get(f"https://{host}:{port}/", verify=sys.argv[1], timeout=5)
    except requests.exceptions.RequestException as error:
        return f"{id} {type(error).__name__} {str(error)[-150:]}"
    return f"{id} ok"


with ThreadPoolExecutor(4) as pool:
    print("\n".join(pool.map(asked, spots)))
