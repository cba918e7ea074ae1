"""Runs what goes on after an acknowledgement: strong references, a deadline, and no exception without a reader."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

LOG = logging.getLogger("bot.supervisor")
OnFault = Callable[[str], Awaitable[None]]


class Supervisor:
    """Starts tasks and outlives them. A fault gets a short id, for the log and for the person alike."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, name: str, deadline_s: float, on_fault: OnFault) -> None:
        """Run *work* for at most *deadline_s*; *on_fault* makes a failure visible. Never raises."""
        task = asyncio.create_task(self._watched(work, name, deadline_s, on_fault), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watched(self, work: Coroutine[Any, Any, None], name: str, deadline_s: float, on_fault: OnFault) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await work
        except Exception:
            error_id = secrets.token_hex(4)
            LOG.exception("task failed name=%s error_id=%s", name, error_id)
            try:
                await on_fault(error_id)
            except Exception:
                LOG.exception("fault could not be told name=%s error_id=%s", name, error_id)

    async def drain(self, patience_s: float) -> None:
        """Wait for what runs; what takes longer is cancelled and, being unfinished in the memory, begins anew later."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
