"""Slack's rate limits: which method belongs to which tier, and who has called how often.

Sources: docs.slack.dev/apis/web-api/rate-limits and the method pages. A tier counts per method and workspace;
chat.postMessage counts per channel (about one a second, short bursts) and against a cap of the whole workspace.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most *calls* within any *per_s* seconds (a sliding window, so *calls* is also the burst)."""

    calls: int
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The rates of a workspace; ``None`` means unlimited."""

    tiers: Mapping[int, Rate | None]
    post_per_channel: Rate | None
    post_per_workspace: Rate | None


SLACK = Limits(
    tiers=MappingProxyType(
        {
            1: Rate(calls=1, per_s=60),
            2: Rate(calls=20, per_s=60),
            3: Rate(calls=50, per_s=60),
            4: Rate(calls=100, per_s=60),
        }
    ),
    post_per_channel=Rate(calls=5, per_s=5),
    post_per_workspace=Rate(calls=300, per_s=60),
)
UNLIMITED = Limits(tiers=MappingProxyType({}), post_per_channel=None, post_per_workspace=None)


@dataclass(slots=True)
class Meter:
    """Counts calls against *limits* by the seconds that *clock* tells."""

    limits: Limits
    clock: Callable[[], float]
    _windows: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def retry_after(self, method: str, tier: int, channel: str | None = None) -> int:
        """Count one call; 0 when it is admitted, otherwise the seconds to wait (it then does not count)."""
        if tier == 0:
            checks = [
                ((method, channel or ""), self.limits.post_per_channel),
                ((method, "*"), self.limits.post_per_workspace),
            ]
        else:
            checks = [((method, "*"), self.limits.tiers.get(tier))]
        now = self.clock()
        waits = [self._wait(key, rate, now) for key, rate in checks if rate is not None]
        longest = max(waits, default=0.0)
        if longest > 0:
            return math.ceil(longest)
        for key, rate in checks:
            if rate is not None:
                self._windows.setdefault(key, deque()).append(now)
        return 0

    def _wait(self, key: tuple[str, str], rate: Rate, now: float) -> float:
        window = self._windows.setdefault(key, deque())
        while window and window[0] <= now - rate.per_s:
            window.popleft()
        return 0.0 if len(window) < rate.calls else window[0] + rate.per_s - now
