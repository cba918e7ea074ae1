"""Short-lived permissions that Slack hands out with a payload: trigger ids and response_urls.

Sources: docs.slack.dev/interactivity/handling-user-interaction (a response_url: 5 uses within 30 minutes; a
trigger_id: 3 seconds, once).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.local.errors import ApiError

TRIGGER_LIFETIME_S = 3.0
RESPONSE_URL_LIFETIME_S = 30 * 60.0
RESPONSE_URL_USES = 5
_KEPT = 10_000


def _forget_oldest(issued: dict[str, Any]) -> None:
    while len(issued) > _KEPT:
        del issued[next(iter(issued))]


@dataclass(slots=True, kw_only=True)
class _Trigger:
    user: str
    issued_at: float
    view_id: str | None
    is_used: bool = False


@dataclass(slots=True)
class Triggers:
    """The trigger ids in circulation."""

    clock: Callable[[], float]
    _issued: dict[str, _Trigger] = field(default_factory=dict)

    def issue(self, user: str, view_id: str | None = None) -> str:
        """A new trigger id for what *user* just did (in the modal *view_id*, if any)."""
        trigger_id = f"{secrets.randbelow(10**12):012d}.{secrets.randbelow(10**9):09d}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = _Trigger(user=user, issued_at=self.clock(), view_id=view_id)
        _forget_oldest(self._issued)
        return trigger_id

    def exchange(self, trigger_id: str) -> tuple[str, str | None]:
        """The user (and the modal) behind a trigger id, which is spent by this; raises ApiError."""
        trigger = self._issued.get(trigger_id)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.is_used:
            raise ApiError("exchanged_trigger_id")
        if self.clock() - trigger.issued_at > TRIGGER_LIFETIME_S:
            raise ApiError("expired_trigger_id")
        trigger.is_used = True
        return trigger.user, trigger.view_id


@dataclass(slots=True, kw_only=True)
class ResponseGrant:
    """What a response_url may do: speak to *user* in *channel*, or replace the message it came from."""

    kind: str
    channel: str
    user: str
    issued_at: float
    thread_ts: str | None = None
    message_ts: str | None = None
    ephemeral_id: str | None = None
    uses: int = 0


@dataclass(slots=True)
class ResponseUrls:
    """The response_urls in circulation, by their secret."""

    clock: Callable[[], float]
    _issued: dict[str, ResponseGrant] = field(default_factory=dict)

    def issue(
        self,
        kind: str,
        *,
        channel: str,
        user: str,
        thread_ts: str | None = None,
        message_ts: str | None = None,
        ephemeral_id: str | None = None,
    ) -> str:
        """The secret of a new response_url."""
        secret = secrets.token_urlsafe(24)
        self._issued[secret] = ResponseGrant(
            kind=kind,
            channel=channel,
            user=user,
            issued_at=self.clock(),
            thread_ts=thread_ts,
            message_ts=message_ts,
            ephemeral_id=ephemeral_id,
        )
        _forget_oldest(self._issued)
        return secret

    def use(self, secret: str) -> ResponseGrant:
        """Spend one use; raises ApiError ``invalid_url``, ``expired_url`` or ``used_url``."""
        grant = self._issued.get(secret)
        if grant is None:
            raise ApiError("invalid_url")
        if self.clock() - grant.issued_at > RESPONSE_URL_LIFETIME_S:
            raise ApiError("expired_url")
        if grant.uses >= RESPONSE_URL_USES:
            raise ApiError("used_url")
        grant.uses += 1
        return grant
