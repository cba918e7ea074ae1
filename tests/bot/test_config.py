"""The environment: every mistake at once, each with what would be right, no secret repeated."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from bot import config
from bot.config import ConfigurationError, HttpMode, LocalMode, SocketMode
from probes.model import Endpoint


def problems(**environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        config.read(environ)
    return caught.value.problems


def test_nothing_set_is_the_local_workspace() -> None:
    settings = config.read({})
    assert settings.connection == LocalMode(port=8765)
    assert settings.database == Path("data/clienthello.db")


def test_two_tokens_are_socket_mode() -> None:
    settings = config.read({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"})
    assert settings.connection == SocketMode(bot_token="xoxb-1", app_token="xapp-1")


def test_a_bot_token_and_a_signing_secret_are_http_mode() -> None:
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s", "PORT": "8080"}
    assert config.read(environ).connection == HttpMode(bot_token="xoxb-1", signing_secret="s", port=8080)


def test_the_switch_chooses_http_mode_although_an_app_token_is_set() -> None:
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": "s"}
    assert isinstance(config.read(environ, http=True).connection, HttpMode)


def test_the_api_url_gets_its_slash() -> None:
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_API_URL": "http://127.0.0.1:1/api"}
    connection = config.read(environ).connection
    assert isinstance(connection, SocketMode)
    assert connection.api_url == "http://127.0.0.1:1/api/"


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    found = problems(
        SLACK_BOT_TOKEN="xapp-hushhush-1",
        SLACK_APP_TOKEN="xoxb-hushhush-2",
        SLACK_API_URL="http://slack.example/api",
        PORT="0",
        LOCAL_PORT="http",
        TRUST_FILE=str(empty),
        RESOLVER="ns.example.com",
        EGRESS_ALLOW="10.0.0.1/8",
        EGRESS_DENY="intranet",
        ALLOWED_CHANNELS="#incidents",
        ADMIN_USERGROUPS="admins",
        SECRET_KEY="short",
        LOG_LEVEL="loud",
    )
    named = {problem.split()[0].rstrip(":") for problem in found}
    assert named == {
        "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_API_URL", "PORT", "LOCAL_PORT", "TRUST_FILE", "RESOLVER",
        "EGRESS_ALLOW", "EGRESS_DENY", "ALLOWED_CHANNELS", "ADMIN_USERGROUPS", "SECRET_KEY", "LOG_LEVEL",
    }  # fmt: skip
    assert "hushhush" not in " ".join(found)


@pytest.mark.parametrize(
    "environ",
    [
        {"SLACK_APP_TOKEN": "xapp-1"},
        {"SLACK_BOT_TOKEN": "xoxb-1"},
        {"SLACK_SIGNING_SECRET": "s"},
        {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "x", "SLACK_SIGNING_SECRET": "s"},
    ],
)
def test_half_a_connection_says_which_half_is_missing(environ: dict[str, str]) -> None:
    [problem] = problems(**environ)
    assert "SLACK_" in problem


def test_well_formed_values_become_values(tmp_path: Path) -> None:
    pem = tmp_path / "roots.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    settings = config.read(
        {
            "TRUST_FILE": str(pem),
            "RESOLVER": "[2001:db8::53]:5353",
            "EGRESS_ALLOW": "127.0.0.0/8, ::1",
            "ALLOWED_CHANNELS": "C0AB1,G0AB2",
            "LOG_LEVEL": "debug",
        }
    )
    assert settings.trust_file == pem
    assert settings.resolver == Endpoint(address="2001:db8::53", port=5353)
    assert settings.egress.allow == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.allowed_channels == {"C0AB1", "G0AB2"}
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(("text", "port"), [("192.0.2.53", 53), ("192.0.2.53:5353", 5353)])
def test_a_resolver_may_have_a_port(text: str, port: int) -> None:
    assert config.read({"RESOLVER": text}).resolver == Endpoint(address="192.0.2.53", port=port)
