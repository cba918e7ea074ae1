"""The settings, read from the environment, which nothing else of the bot reads. Every mistake is reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from bot.egress import Egress, Network
from probes.model import Endpoint, ip_literal, shown

SLACK_API_URL = "https://slack.com/api/"
_DNS_PORT = 53
Value = TypeVar("Value")


class ConfigurationError(Exception):
    """Everything that is wrong with the environment; each problem says what would be right."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketMode:
    """Two WebSocket connections to Slack; nothing listens."""

    bot_token: str
    app_token: str
    api_url: str = SLACK_API_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMode:
    """Slack sends signed requests to `POST /slack/events`."""

    bot_token: str
    signing_secret: str
    port: int = 3000
    api_url: str = SLACK_API_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyWorkspaces:
    """HTTP mode for every workspace that installs the app by OAuth (`GET /slack/install`)."""

    client_id: str
    client_secret: str
    signing_secret: str
    port: int = 3000
    api_url: str = SLACK_API_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMode:
    """No workspace: the bot brings its own, on loopback."""

    port: int = 8765


Connection: TypeAlias = SocketMode | HttpMode | ManyWorkspaces | LocalMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    connection: Connection
    database: Path
    trust_file: Path | None
    resolver: Endpoint | None
    egress: Egress
    allowed_channels: frozenset[str]  # empty: everywhere
    admin_usergroups: frozenset[str]  # empty: everyone
    acme_directories: Mapping[str, str]  # beside those that are known: a CA's organisation → its ACME directory
    ct_log_list: str | None
    ct_contact: str = ""  # named to log operators in each request: some throttle those who do not say
    secret_key: str | None
    log_level: str


def read(environ: Mapping[str, str], *, http: bool = False) -> Settings:
    """The settings that *environ* holds; *http* asks for HTTP mode. Raises ConfigurationError with every mistake."""
    reading = _Reading({name: value.strip() for name, value in environ.items() if value.strip()})
    connection = _connection(reading, http)
    settings = Settings(
        connection=connection or LocalMode(),
        database=Path(reading.text("DATABASE_PATH") or "data/clienthello.db"),
        trust_file=reading.parsed("TRUST_FILE", _readable_pem, None),
        resolver=reading.parsed("RESOLVER", _name_server, None),
        egress=Egress(
            allow=reading.parsed("EGRESS_ALLOW", _networks, ()), deny=reading.parsed("EGRESS_DENY", _networks, ())
        ),
        allowed_channels=reading.parsed("ALLOWED_CHANNELS", _ids("CDG", "C0123ABCD", "a channel"), frozenset()),
        admin_usergroups=reading.parsed("ADMIN_USERGROUPS", _ids("S", "S0123ABCD", "a user group"), frozenset()),
        acme_directories=reading.parsed("ACME_DIRECTORIES", _directories, {}),
        ct_log_list=reading.text("CT_LOG_LIST"),
        ct_contact=reading.text("CT_CONTACT") or "",
        secret_key=reading.parsed("SECRET_KEY", _secret, None),
        log_level=reading.parsed("LOG_LEVEL", _level, "INFO"),
    )
    if reading.problems:
        raise ConfigurationError(tuple(reading.problems))
    return settings


class _Reading:
    """The environment and what was found wrong with it so far."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        return self._environ.get(name)

    def parsed(self, name: str, parse: Callable[[str], Value], default: Value) -> Value:
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return default

    def token(self, name: str, prefix: str, where: str) -> str | None:
        value = self.text(name)
        if value is not None and not value.startswith(prefix):
            # The value itself stays out of the message: it may be a secret in the wrong place.
            self.problems.append(f"{name} must begin with {prefix} ({where}).")
        return value


def _connection(reading: _Reading, http: bool) -> Connection | None:
    bot = reading.token("SLACK_BOT_TOKEN", "xoxb-", "OAuth & Permissions, Bot User OAuth Token")
    app = reading.token("SLACK_APP_TOKEN", "xapp-", "Basic Information, App-Level Tokens, with connections:write")
    secret = reading.text("SLACK_SIGNING_SECRET")
    api_url = reading.parsed("SLACK_API_URL", _api_url, SLACK_API_URL)
    port = reading.parsed("PORT", _port, 3000)
    local_port = reading.parsed("LOCAL_PORT", _port, 8765)
    client = reading.text("SLACK_CLIENT_ID"), reading.text("SLACK_CLIENT_SECRET")
    if bot is None and any(client):
        return _many_workspaces(reading, *client, secret, port, api_url)
    if bot is None:
        if app is not None:
            reading.problems.append("SLACK_BOT_TOKEN is missing: SLACK_APP_TOKEN alone is half of Socket Mode.")
        elif http:
            reading.problems.append("HTTP mode needs SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET.")
        elif secret is not None:
            reading.problems.append("SLACK_BOT_TOKEN is missing: SLACK_SIGNING_SECRET alone is half of HTTP mode.")
        return LocalMode(port=local_port)
    if app is not None and not http:
        return SocketMode(bot_token=bot, app_token=app, api_url=api_url)
    if secret is None:
        reading.problems.append(
            "SLACK_SIGNING_SECRET is missing: HTTP mode checks every request with it."
            if http
            else "SLACK_BOT_TOKEN needs SLACK_APP_TOKEN beside it (Socket Mode) or SLACK_SIGNING_SECRET (HTTP mode)."
        )
        return None
    return HttpMode(bot_token=bot, signing_secret=secret, port=port, api_url=api_url)


def _many_workspaces(
    reading: _Reading, client_id: str | None, client_secret: str | None, secret: str | None, port: int, api_url: str
) -> ManyWorkspaces | None:
    """Many workspaces by OAuth: all four settings, or what is missing of them."""
    needed = {
        "SLACK_CLIENT_ID": (client_id, "Basic Information, App Credentials"),
        "SLACK_CLIENT_SECRET": (client_secret, "Basic Information, App Credentials"),
        "SLACK_SIGNING_SECRET": (secret, "Basic Information, App Credentials: every request is checked with it"),
        "SECRET_KEY": (reading.text("SECRET_KEY"), "at least 32 characters: the tokens are sealed with it"),
    }
    missing = [f"{name} ({where})" for name, (value, where) in needed.items() if value is None]
    if missing:
        reading.problems.append(
            f"Many workspaces by OAuth need {'; '.join(missing)}, too. For one workspace, set SLACK_BOT_TOKEN instead."
        )
    if reading.text("SLACK_APP_TOKEN") is not None:
        reading.problems.append(
            "SLACK_APP_TOKEN does not go with SLACK_CLIENT_ID: Slack sends the browser back to an address, so many "
            "workspaces want HTTP mode. Unset it, or set SLACK_BOT_TOKEN for one workspace in Socket Mode."
        )
    if client_id is None or client_secret is None or secret is None:
        return None
    return ManyWorkspaces(
        client_id=client_id, client_secret=client_secret, signing_secret=secret, port=port, api_url=api_url
    )


def _api_url(text: str) -> str:
    parts = urlsplit(text)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"I read “{shown(text)}”. It must be a base URL, as in {SLACK_API_URL}.")
    if parts.scheme == "http" and not loopback:
        raise ValueError("the token would travel unencrypted. Use https://, or http:// on loopback only.")
    # The client appends the method's name: without the slash it would replace the last part of the path.
    return text.rstrip("/") + "/"


def _port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError(f"I read “{shown(text)}”. It must be a port from 1 to 65535, as in 8765.")


def _networks(text: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    wrong: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            wrong.append(f"“{shown(part)}” ({error})")
    if wrong:
        raise ValueError(
            f"not a network: {', '.join(wrong)}. Write 10.0.0.0/8, 192.0.2.7 or fd00::/8, separated by commas."
        )
    return tuple(networks)


def _ids(letters: str, example: str, what: str) -> Callable[[str], frozenset[str]]:
    def parse(text: str) -> frozenset[str]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        wrong = [part for part in parts if not re.fullmatch(rf"[{letters}][A-Z0-9]{{2,}}", part)]
        if wrong:
            raise ValueError(
                f"I read {', '.join(f'“{shown(part)}”' for part in wrong)}. It must be the id of {what}, not its name, "
                f"as in {example}, separated by commas."
            )
        return frozenset(parts)

    return parse


def _directories(text: str) -> Mapping[str, str]:
    """`Organisation=https://…/directory`, separated by semicolons: names of CAs may hold commas."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, url = (each.strip() for each in part.rpartition("=https://"))
        if not name or not urlsplit(f"https://{url}").hostname:
            raise ValueError(
                f"I read “{shown(part)}”. It must be a CA's organisation and its ACME directory, as in "
                "Example Trust=https://acme.example.com/directory, separated by semicolons."
            )
        found[name] = f"https://{url}"
    return found


def _name_server(text: str) -> Endpoint:
    address, port = text, str(_DNS_PORT)
    if bracketed := re.fullmatch(r"\[([^\]]+)\](?::(.*))?", text):
        address, port = bracketed[1], bracketed[2] or port
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    literal = ip_literal(address)
    if literal is None:
        raise ValueError(
            f"I read “{shown(text)}”. It must be the address of a name server, as in 192.0.2.53 or [2001:db8::53]:5353."
        )
    return Endpoint(address=str(literal), port=_port(port))


def _readable_pem(text: str) -> Path:
    path = Path(text)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{shown(text)} cannot be read ({error.strerror}). It must be a PEM file with certificates."
        ) from None
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ValueError(f"{shown(text)} holds no certificate. It must be a PEM file with certificates.")
    return path


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError(
            "too short to keep anything secret. It must have at least 32 characters, as "
            "`openssl rand -base64 32` writes."
        )
    return text


_LEVELS: tuple[Literal["DEBUG", "INFO", "WARNING", "ERROR"], ...] = ("DEBUG", "INFO", "WARNING", "ERROR")


def _level(text: str) -> str:
    if text.upper() not in _LEVELS:
        raise ValueError(f"I read “{shown(text)}”. It must be one of {', '.join(_LEVELS)}.")
    return text.upper()
