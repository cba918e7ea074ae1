"""The Slack app as its manifest describes it: data. `manifest.yml` says the same for people (checked by `make check`).

Kept in the package so that the local workspace installs exactly the app that a real one would.
"""

from __future__ import annotations

from typing import Any

COMMAND = "/tls"
USAGE = "check api.example.com:8443 · history api.example.com · help"

MANIFEST: dict[str, Any] = {
    "_metadata": {"major_version": 2, "minor_version": 1},
    "display_information": {
        "name": "clienthello",
        "description": "Names the root cause of a failing TLS handshake, in the thread of the incident.",
        "long_description": (
            "Type /tls check api.example.com:8443 and read, in a thread, why that TLS handshake fails: for whom, at "
            "which of its addresses, the evidence, the fix, and the one command that confirms it by hand. "
            "clienthello makes the connections itself, compares what it sees from several kinds of clients, keeps a "
            "history of every check, and says what changed since the last one."
        ),
        "background_color": "#1f3a5f",
    },
    "features": {
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": "clienthello", "always_online": True},
        "shortcuts": [
            {
                "name": "Check TLS…",
                "type": "global",
                "callback_id": "check_form",
                "description": "Asks for host, port and options, and posts the verdict where you choose",
            },
            {
                "name": "Add to timeline",
                "type": "message",
                "callback_id": "incident.note",
                "description": "Takes this message into the timeline of its incident, with its own time",
            },
            {
                "name": "Diagnose TLS here",
                "type": "message",
                "callback_id": "triage_here",
                "description": "Reads host and error out of a message and asks the four triage questions",
            },
        ],
        "slash_commands": [
            {
                "command": COMMAND,
                "description": "Why does this TLS handshake fail?",
                "usage_hint": USAGE,
                "should_escape": False,
            }
        ],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "app_mentions:read",
                "channels:history",
                "channels:read",
                "chat:write",
                "commands",
                "files:read",
                "files:write",
                "groups:history",
                "groups:read",
                "im:history",
                "im:write",
                "reactions:read",
                "usergroups:read",
                "users:read",
            ]
        }
    },
    # A step for Workflow Builder. Slack wants org_deploy_enabled and function_runtime for it.
    "functions": {
        "tls_check": {
            "title": "Run a TLS check",
            "description": "Names the root cause of a failing TLS handshake",
            "input_parameters": {
                "properties": {
                    "host": {
                        "type": "string",
                        "title": "Host",
                        "description": "As /tls check takes it: api.example.com:8443",
                    },
                    "channel": {
                        "type": "slack#/types/channel_id",
                        "title": "Channel",
                        "description": "Where the check is shown; leave it out to show it nowhere",
                    },
                },
                "required": ["host"],
            },
            "output_parameters": {
                "properties": {
                    "verdict": {"type": "string", "title": "Verdict", "description": "ok, warning or broken"},
                    "cause": {
                        "type": "string",
                        "title": "Root cause",
                        "description": "Its code, as in chain.incomplete; empty when there is none",
                    },
                    "summary": {"type": "string", "title": "Summary", "description": "The verdict in a sentence"},
                    "days_left": {
                        "type": "integer",
                        "title": "Days left",
                        "description": "Until the first certificate expires; left out when none was shown",
                    },
                    "link": {
                        "type": "string",
                        "title": "Link",
                        "description": "To the check in the channel; without a channel, to the app",
                    },
                },
                "required": ["verdict", "cause"],
            },
        }
    },
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                "app_home_opened",
                "app_mention",
                "app_uninstalled",
                "channel_archive",
                "channel_deleted",
                "channel_id_changed",
                "channel_left",
                "channel_unarchive",
                "function_executed",
                "group_archive",
                "group_deleted",
                "group_left",
                "group_unarchive",
                "member_joined_channel",
                "message.channels",
                "message.groups",
                "message.im",
                "reaction_added",
                "reaction_removed",
                "tokens_revoked",
            ]
        },
        "function_runtime": "remote",
        "interactivity": {"is_enabled": True},
        "org_deploy_enabled": True,
        "socket_mode_enabled": True,
        "token_rotation_enabled": False,
    },
}
