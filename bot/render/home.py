"""The App Home: what is open, what is mine, what ends soon, what is set. Calm, at most a screen or two. Pure.

Times are Slack's own (`<!date…>`): they stay right while the view stands, and the view changes only when the facts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.model import Incident, Json
from bot.render.figures import days, tone_of
from bot.render.help import HELP, check_button
from bot.render.incident import named, when
from bot.render.limits import actions, button, code, context, foreign, section
from bot.render.words import counted
from probes.model import DEFAULT_PORT

_MOST_INCIDENTS = 12
MOST_TARGETS = 15
_MOST_SETTINGS = 10
_SIGNS = {"alarm": "🔴", "attention": "🟠", "calm": "🟢", "plain": "⚪"}
_STATE: dict[str, str] = {"open": "🔴", "recovered": "🟢"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An incident with the way to it; `link` is empty while its message stands nowhere."""

    incident: Incident
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A target and when its certificate ends. `source`: watched, or seen by the newest check."""

    target: str
    expires_at: datetime
    source: Literal["watched", "checked"] = "checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Everything that the Home of one person shows. `renewals`: those that end first, first; and how many more."""

    user: str
    is_new: bool
    incidents: Sequence[Shown]
    renewals: Sequence[Renewal]
    settings: tuple[str, ...]
    now: datetime
    ct: str = ""
    more_renewals: int = 0


def view(home: Home) -> Json:
    """The view to publish; the last block alone depends on the moment."""
    mine = [each for each in home.incidents if each.incident.commander == home.user]
    others = [each for each in home.incidents if each.incident.commander != home.user]
    blocks: list[Json] = []
    if home.is_new:
        blocks += _for_newcomers()
    blocks.append(_doors())
    if mine:
        blocks += [{"type": "divider"}, *_incidents("You are in command", mine, home.user)]
    blocks += [{"type": "divider"}, *_incidents("Open incidents", others, home.user, is_empty=not mine)]
    if home.renewals:
        blocks += [{"type": "divider"}, *_renewals(home.renewals, home.more_renewals, home.now)]
    if home.ct:
        blocks += [{"type": "divider"}, section(f"*Certificate Transparency*\n{home.ct}")]
    blocks += [{"type": "divider"}, _settings(home.settings)]
    blocks.append(context(f"As of {when(home.now)}. What belongs to a private channel is shown to its members only."))
    return {"type": "home", "callback_id": "home", "blocks": blocks[:100]}


def lasting(published: Json) -> Json:
    """*published* without what only says when it was made: equal views need not be published twice."""
    return {**published, "blocks": published["blocks"][:-1]}


def _for_newcomers() -> list[Json]:
    return [
        {"type": "header", "text": {"type": "plain_text", "text": "Why does this TLS handshake fail?"}},
        section(
            "Ask in the channel of the incident, and read in a thread: for whom it fails, at which address, the "
            "evidence, the fix, and the one command that confirms it by hand.\n"
            "`/tls check api.example.com:8443`  the root cause\n"
            "`/tls explain x509: certificate signed by unknown authority`  what an error means\n"
            "`/tls triage api.example.com`  four questions, answered together"
        ),
    ]


def _doors() -> Json:
    check = {**check_button(), "style": "primary"}
    return actions(check, button("Help", HELP, "help"))


def _incidents(title: str, incidents: Sequence[Shown], user: str, *, is_empty: bool = False) -> list[Json]:
    if not incidents:
        text = "None. Everything that was checked is well, or resolved." if is_empty else "None besides."
        return [section(f"*{title}*\n{text}")]
    blocks = [section(f"*{title}*\n" + "\n".join(_incident(each, user) for each in incidents[:_MOST_INCIDENTS]))]
    more = len(incidents) - _MOST_INCIDENTS
    if more > 0:
        blocks.append(context(f"… and {more} more: `/tls history` shows them."))
    return blocks


def _incident(each: Shown, user: str) -> str:
    incident = each.incident
    name = f"<{each.link}|{named(incident)}>" if each.link else named(incident)
    since = incident.recovered_at if incident.state == "recovered" and incident.recovered_at else incident.opened_at
    word = "recovered" if incident.state == "recovered" else "since"
    who = f" · <@{incident.commander}>" if incident.commander and incident.commander != user else ""
    where = f" · <#{incident.channel}>" if incident.channel[:1] in {"C", "G"} else ""
    return (
        f"{_STATE.get(incident.state, '⚪')} {name} {code(_short(incident.target), 100)}{where}\n"
        f"      {code(incident.cause, 40)} {word} {when(since)}{who}"
    )


def _short(target: str) -> str:
    """Without the port that goes without saying."""
    return target.removesuffix(f":{DEFAULT_PORT}")


def _renewals(known: Sequence[Renewal], more: int, now: datetime) -> list[Json]:
    lines = []
    for each in known[:MOST_TARGETS]:
        left = (each.expires_at - now).total_seconds() / 86_400
        said = days(left) if left < 0 else f"{days(left)} left"
        lines.append(f"{_SIGNS[tone_of(left)]} {code(_short(each.target), 100)} {said}")
    blocks = [section("*Certificates that end first*\n" + "\n".join(lines))]
    checked = sum(each.source == "checked" for each in known)
    notes = [f"… and {counted(more, 'more target')}"] if more > 0 else []
    if checked:
        notes.append("By the newest check of each" if checked == len(known) else "Watched, or by the newest check")
    return [*blocks, context("; ".join(notes) + ".")] if notes else blocks


def digest_at(channel: str, plan: str) -> str:
    """A channel's digest, in a line."""
    return f"<#{channel}> at {foreign(plan, 100)}"


def _settings(settings: Sequence[str]) -> Json:
    lines = list(settings[:_MOST_SETTINGS])
    if len(settings) > _MOST_SETTINGS:
        lines.append(f"… and {len(settings) - _MOST_SETTINGS} more")
    none = "None of your channels has one. `/tls digest at 09:00 Europe/Berlin` sets one, in its channel."
    return section("*Digests*\n" + ("\n".join(lines) or none))
