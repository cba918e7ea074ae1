"""One lab for the directory: its cases are independent, and starting it costs half a second."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from probes.lab import Lab, start


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def lab() -> AsyncIterator[Lab]:
    async with await start(port=0) as running:
        yield running
