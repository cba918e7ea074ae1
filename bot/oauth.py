"""The two pages of an installation: *Add to Slack*, and what there is to see when Slack sends the browser back."""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import urlsplit

from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.installations import STATE_LIVES_S, Installations, States
from bot.manifest import COMMAND, MANIFEST

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
SCOPES: tuple[str, ...] = tuple(MANIFEST["oauth_config"]["scopes"]["bot"])
# Slack's words for what went wrong on the way, in ours.
_WHY = {
    "access_denied": "You said no to Slack's question, so nothing was installed and nothing was stored.",
    "invalid_browser": "This did not begin in this browser, or began too long ago. Begin again below; this page has "
    "to be reached by https.",
    "invalid_state": "This link was used already, or is older than ten minutes. Begin again below.",
    "missing_code": "Slack sent no code along. Begin again below.",
    "invalid_code": "Slack did not take the code that it sent: it is good once, for ten minutes. Begin again below. "
    "If it stays so, whoever runs me should look at SLACK_CLIENT_ID and SLACK_CLIENT_SECRET.",
}


def flow(
    *, client: AsyncWebClient, client_id: str, client_secret: str, installations: Installations, states: States
) -> AsyncOAuthFlow:
    """Bolt's OAuth flow with our store, our states and our pages. *client* carries no token."""
    settings = AsyncOAuthSettings(
        client_id=client_id,
        client_secret=client_secret,
        scopes=SCOPES,
        user_scopes=(),
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        authorization_url=_authorization_url(client.base_url),
        installation_store=installations,
        state_store=states,
        state_expiration_seconds=STATE_LIVES_S,
    )
    settings.callback_options = AsyncCallbackOptions(success=_done, failure=_failed)
    return _Flow(client=client, settings=settings)


def _authorization_url(api_url: str) -> str:
    """Beside the Web API: https://slack.com/api/ → https://slack.com/oauth/v2/authorize."""
    parts = urlsplit(api_url)
    return f"{parts.scheme}://{parts.netloc}/oauth/v2/authorize"


class _Flow(AsyncOAuthFlow):
    async def build_install_page_html(self, url: str, request: AsyncBoltRequest) -> str:
        return _page(
            "Add clienthello to Slack",
            f"""<p>It names the root cause of a failing TLS handshake, in the thread of the incident.</p>
<p><a class="button" href="{html.escape(url)}">Add to Slack</a></p>
<p class="small">Slack will ask which workspace, and show what it is allowed to do there.</p>""",
        )


async def _done(args: AsyncSuccessArgs) -> BoltResponse:
    installed = args.installation
    name = (installed.enterprise_name if installed.is_enterprise_install else installed.team_name) or "your workspace"
    team = "" if installed.is_enterprise_install else f"&team={installed.team_id}"
    link = html.escape(f"https://slack.com/app_redirect?app={installed.app_id}{team}")
    body = f"""<p>clienthello is in <strong>{html.escape(name)}</strong> now. Three things to do there:</p>
<ol>
<li>Invite it to a channel: <code>/invite @clienthello</code></li>
<li>Ask why something fails: <code>{COMMAND} check api.example.com</code></li>
<li>See what else it knows: <code>{COMMAND} help</code></li>
</ol>
<p><a class="button" href="{link}">Open Slack</a></p>"""
    return _answer(args.settings, 200, _page("Installed", body))


async def _failed(args: AsyncFailureArgs) -> BoltResponse:
    why = _WHY.get(args.reason) or f"Slack says: {html.escape(args.reason[:100])}."
    body = f"""<p>{why}</p>
<p><a class="button" href="{INSTALL_PATH}">Begin again</a></p>"""
    return _answer(args.settings, args.suggested_status_code, _page("Not installed", body))


def _answer(settings: AsyncOAuthSettings, status: int, page: str) -> BoltResponse:
    headers: dict[str, str | Sequence[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Set-Cookie": settings.state_utils.build_set_cookie_for_deletion(),
    }
    return BoltResponse(status=status, headers=headers, body=page)


def _page(title: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 17px/1.6 system-ui, sans-serif; max-width: 34em; margin: 12vh auto; padding: 0 1.5em }}
code {{ font-family: ui-monospace, monospace; background: #8882; padding: .1em .4em; border-radius: 4px }}
.button {{ display: inline-block; background: #1f3a5f; color: #fff; text-decoration: none; font-weight: 600;
  padding: .6em 1.3em; border-radius: 6px; margin: .6em 0 }}
.small {{ font-size: .85em; opacity: .75 }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
