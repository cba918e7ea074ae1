"""OAuth as Slack does it for an app of many workspaces: codes for tokens, refresh tokens, tokens that are taken away.

Sources: docs.slack.dev/authentication/installing-with-oauth (a code is good once, for ten minutes),
docs.slack.dev/authentication/using-token-rotation (tokens live for twelve hours; a refresh token is good once).
"""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from bot.local.errors import ApiError, Json

if TYPE_CHECKING:
    from bot.local.core import Core

CODE_LIFETIME_S = 600.0
TOKEN_LIFETIME_S = 43_200
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(slots=True, kw_only=True)
class Tokens:
    """The bot tokens of the app in one workspace. *rotates*: they expire, and come with a refresh token."""

    clock: Callable[[], float]
    rotates: bool = False
    current: str = ""
    _valid: dict[str, float | None] = field(default_factory=dict)
    _revoked: set[str] = field(default_factory=set)

    def issue(self) -> str:
        """A new token, valid beside the earlier ones."""
        prefix = "xoxe.xoxb" if self.rotates else "xoxb"
        self.current = f"{prefix}-local-{secrets.token_urlsafe(24)}"
        self._valid[self.current] = self.clock() + TOKEN_LIFETIME_S if self.rotates else None
        return self.current

    def knows(self, token: str) -> bool:
        """Whether it was ever one of this workspace."""
        return token in self._valid or token in self._revoked

    def check(self, token: str) -> bool:
        """Whether it is one of this workspace; ApiError ``token_revoked`` or ``token_expired`` when it was."""
        if token in self._revoked:
            raise ApiError("token_revoked")
        until = self._valid.get(token)
        if until is not None and until <= self.clock():
            raise ApiError("token_expired")
        return token in self._valid

    def revoke_but(self, token: str) -> None:
        """Only *token* works from now on."""
        self._revoked |= self._valid.keys() - {token}
        self._valid = {token: self._valid[token]}

    def revoke(self) -> None:
        """None of them works any more."""
        self._revoked |= self._valid.keys()
        self._valid.clear()


@dataclass(slots=True, kw_only=True)
class Installs:
    """The app's credentials, and the codes and refresh tokens in circulation, for all workspaces of a server."""

    clock: Callable[[], float]
    client_id: str = "111222333.444555666"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    redirect_url: str | None = None
    _codes: "dict[str, tuple[Core, str, float]]" = field(default_factory=dict)
    _refresh: "dict[str, Core]" = field(default_factory=dict)

    def code(self, core: "Core", user: str) -> str:
        """*user* said yes: the code that the browser takes to the app."""
        code = f"{secrets.randbelow(10**12)}.{secrets.token_hex(24)}"
        self._codes[code] = core, user, self.clock() + CODE_LIFETIME_S
        return code

    def way_back(self, core: "Core", user: str, state: str) -> str:
        """Where the browser is sent after that."""
        if self.redirect_url is None or urlsplit(self.redirect_url).hostname not in _LOOPBACK:
            raise ApiError("bad_redirect_uri")
        return f"{self.redirect_url}?{urlencode({'code': self.code(core, user), 'state': state})}"

    def access(self, args: Json, authorization: str) -> Json:
        """oauth.v2.access"""
        given = _basic(authorization) or (str(args.get("client_id")), str(args.get("client_secret")))
        if given[0] != self.client_id:
            raise ApiError("invalid_client_id")
        if not secrets.compare_digest(given[1].encode(), self.client_secret.encode()):
            raise ApiError("bad_client_secret")
        if args.get("grant_type") == "refresh_token":
            core = self._refresh.pop(str(args.get("refresh_token")), None)
            if core is None or not core.is_installed:
                raise ApiError("invalid_refresh_token")
            return self._granted(core, core.installer)
        found = self._codes.pop(str(args.get("code")), None)
        if found is None or found[2] <= self.clock():
            raise ApiError("invalid_code")
        core, user, _ = found
        core.installer, core.is_installed = user, True
        return self._granted(core, user)

    def _granted(self, core: "Core", user: str) -> Json:
        app = core.team.app
        answer: Json = {
            "app_id": app.id,
            "authed_user": {"id": user},
            "scope": ",".join(sorted(app.scopes)),
            "token_type": "bot",
            "access_token": core.tokens.issue(),
            "bot_user_id": app.bot_user,
            "team": {"id": core.team.id, "name": core.team.name},
            "enterprise": None,
            "is_enterprise_install": False,
        }
        if core.tokens.rotates:
            refresh = f"xoxe-1-{secrets.token_urlsafe(32)}"
            self._refresh[refresh] = core
            answer |= {"refresh_token": refresh, "expires_in": TOKEN_LIFETIME_S}
        return answer


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password
