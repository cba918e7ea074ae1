"""A Slack-compatible workspace on this machine, with a web page. It knows Slack's API and nothing of the project."""

from bot.local.errors import PortInUse, Refused
from bot.local.limits import SLACK, UNLIMITED, Limits, Rate
from bot.local.server import Running, serve
from bot.local.workspace import Suggestion, Workspace

__all__ = [
    "SLACK",
    "UNLIMITED",
    "Limits",
    "PortInUse",
    "Rate",
    "Refused",
    "Running",
    "Suggestion",
    "Workspace",
    "serve",
]
