"""Short answers and the words that several messages share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.model import Blocks, Content, Json
from bot.render.limits import code, context, fit, foreign, section
from probes.model import DEFAULT_PORT, REMARKS, Gap, Report, Status, Target

FAMILIES = {
    "chrome": "Chrome",
    "firefox": "Firefox",
    "safari": "Safari",
    "android": "Android",
    "android-7": "Android 7",
    "curl": "curl",
    "openssl-1.0": "OpenSSL 1.0",
    "go": "Go",
    "java": "Java",
    "java-8": "Java 8",
    "dotnet": ".NET",
    "node": "Node.js",
    "python": "Python",
    "rustls": "rustls",
    "embedded-tls1.0": "embedded TLS 1.0",
}
OLD = frozenset({"android-7", "openssl-1.0", "java-8", "embedded-tls1.0"})  # the catalogue's: not "current clients"
_OF_ONE = frozenset({"mtls.certificate-rejected", "mtls.unknown-ca"})  # of the certificate shown, not of the clients
BROWSERS = ("chrome", "firefox", "safari")

SIGN: dict[Status, str] = {"ok": "🟢", "warning": "🟠", "broken": "🔴"}
STATUS: dict[Status, str] = {"ok": "healthy", "warning": "in need of attention", "broken": "broken"}


# ── small words ─────────────────────────────────────────────────────────────────


def named(target: Target) -> str:
    """The target as people write it: without the port that goes without saying."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == DEFAULT_PORT else f"{host}:{target.port}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: Iterable[str], limit: int = 6) -> str:
    """*items* with commas; what exceeds *limit* is counted."""
    known = list(items)
    shown = ", ".join(known[:limit])
    return shown if len(known) <= limit else f"{shown} and {len(known) - limit} more"


def span(duration: timedelta) -> str:
    """*duration* in the largest unit that says enough."""
    seconds = max(0, round(duration.total_seconds()))
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(seconds // size, noun)
    return counted(seconds, "second")


def clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def elapsed(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


_ARTICLES = frozenset(
    (
        "A",
        "An",
        "All",
        "Both",
        "Each",
        "Every",
        "Its",
        "It",
        "No",
        "None",
        "Nothing",
        "One",
        "Only",
        "Port",
        "Some",
        "The",
    )
) | {
    "This",
    "There",
    "Two",
    "Three",
    "Old",
    "Older",
    "Current",
    "Clients",
    "Connections",
    "Certificates",
    "Addresses",
    "Browsers",
    "Session",
}


def clause(sentence: str) -> str:
    """*sentence* as it goes on after a colon: no full stop, a common first word in lower case."""
    text = sentence.strip().rstrip(".")
    first, space, rest = text.partition(" ")
    return f"{first.lower()}{space}{rest}" if first in _ARTICLES else text


# ── for whom ────────────────────────────────────────────────────────────────────


def family(name: str) -> str:
    return FAMILIES.get(name) or foreign(name, 30)


def who(report: Report) -> str:
    """Who gets through and who does not, as half a sentence; empty when no family was judged."""
    failing = [client.name for client in report.clients if client.outcome == "fail"]
    passing = [client.name for client in report.clients if client.outcome == "pass"]
    current = [name for name in failing if name not in OLD]
    passing_now = any(name not in OLD for name in passing)
    if part := _part(report):
        return f"{part} for {_grouped(current)}; {_others(passing)}" if current and passing_now else part
    if not failing and report.cause != "resumption.broken":
        return "all kinds of clients pass" if passing else ""
    if not passing:
        return "fails for " + ("whoever shows this client certificate" if report.cause in _OF_ONE else "every client")
    if not passing_now:
        return "fails for all current clients"
    if not current:
        # The handshakes of the families are first visits, each of them.
        start = (
            "first visits pass, later ones fail" if report.cause == "resumption.broken" else "all current clients pass"
        )
        # That a client of 2008 fails is no news about any endpoint; the raw report has it.
        is_worth_a_word = set(failing) - {"embedded-tls1.0"}
        return start + (f" (old ones fail: {listed(map(family, failing))})" if is_worth_a_word else "")
    return f"fails for {_grouped(current)}; {_others(passing)}"


def _part(report: Report) -> str:
    """Where the fault lies at some addresses or on some connections alone: clients get through on the others."""
    cause = next((finding for finding in report.findings if finding.code == report.cause), None)
    if cause is None or cause.severity != "critical":
        return ""
    start = "fails on some connections" if cause.code == "balancer.intermittent" else "fails"
    faulty, all_of_them = len(cause.addresses), len(report.endpoints)
    if 0 < faulty < all_of_them:
        return f"{start} at {faulty} of {counted(all_of_them, 'address', 'addresses')}"
    return start if start != "fails" else ""


def _grouped(names: Sequence[str]) -> str:
    if all(browser in names for browser in BROWSERS):
        return listed(["all browsers", *(family(name) for name in names if name not in BROWSERS)], 12)
    return listed((family(name) for name in names), 12)


def _others(passing: Sequence[str]) -> str:
    current = [name for name in passing if name not in OLD]
    if all(browser in current for browser in BROWSERS):
        return "browsers pass" if len(current) > 4 else f"{_grouped(current)} pass"
    return f"{listed(map(family, current), 4)} {'passes' if len(current) == 1 else 'pass'}"


# ── gaps that are none ──────────────────────────────────────────────────────────


def unlooked(report: Report) -> list[Gap]:
    """What was not looked at."""
    return [gap for gap in report.gaps if gap.what not in REMARKS]


def remarks(report: Report) -> list[tuple[str, str]]:
    """What was seen beside the verdict: of what, and the remark."""
    seen = [(REMARKS[gap.what], gap.why) for gap in report.gaps if gap.what in REMARKS]
    welcome = [endpoint for endpoint in report.endpoints if endpoint.client_auth == "optional"]
    if welcome and "client certificate" not in dict(seen):
        where = f" at {listed((e.address for e in welcome), 3)}" if len(welcome) < len(report.endpoints) else ""
        authorities = listed(dict.fromkeys(name for e in welcome for name in e.ca_names), 2)
        named = f"; accepted CAs: {authorities}" if authorities else ""
        seen.append(("client certificate", f"asked for{where}, not needed{named}"))
    return seen


# ── small answers ───────────────────────────────────────────────────────────────


def answer(text: str) -> Content:
    """A short answer of our own words around what a person typed. Backticks are ours; everything else is escaped."""
    escaped = "`".join(foreign(part, 2500) for part in text.split("`"))
    return fit(escaped, [section(escaped)])


def not_yet(word: str, what: str, works: str) -> Content:
    return answer(f"`{word}` ({what}) is not in this version yet. What works: {works}.")


def refused_here(channels: Iterable[str]) -> Content:
    where = " ".join(f"<#{channel}>" for channel in list(channels)[:10])
    text = f"I do not answer in this channel. My operator allows me in: {where}"
    return fit(text, [section(text)])


def too_many(limit: int, wait_s: float) -> Content:
    seconds = max(1, round(wait_s))
    return answer(
        f"That was your {limit}th request within a minute, which is as many as I take from one person. "
        f"Please try again in {counted(seconds, 'second')}."
    )


def too_many_here(limit: int, wait_s: float) -> Content:
    seconds = max(1, round(wait_s))
    return answer(
        f"This channel asked {limit} times within a minute, which is as many as I take from one. "
        f"Please try again in {counted(seconds, 'second')}."
    )


def running_already(target: Target) -> Content:
    text = f"{code(named(target))} is being checked right now. The message will change when it is done."
    return fit(text, [section(text)])


def stale_button() -> Content:
    return answer(
        "I no longer know the check behind this button: it is not in my memory. "
        "Run it anew with `/tls check HOST[:PORT]`."
    )


def unknown_button() -> Content:
    return answer(
        "This button is from another version of me and does nothing any more. `/tls help` shows what works now."
    )


def fault(error_id: str, *, what: str) -> Content:
    """Our own fault, made visible. *what* names the thing that did not happen."""
    return answer(
        f"{what} did not work: that is my fault, not yours. Please try again; if it happens again, tell my operator "
        f"the error id `{error_id}`, which my log carries too."
    )


_NO_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_installed"}
)


def undeliverable(error: str, bot_user: str) -> Content:
    """Why nothing appeared in the channel, for whoever asked."""
    if error == "is_archived":
        return answer("This channel is archived, so I cannot write here. Ask me in another one.")
    if error in {"not_in_channel", "channel_not_found", "user_not_in_channel"}:
        text = f"I cannot write here before I am a member. Type `/invite` <@{bot_user}> and ask again."
        return fit(text, [section(text)])
    if error in _NO_TOKEN:
        return answer(
            "Slack does not accept my token, so I cannot write here. An admin has to install me anew; what I have to "
            "say is kept until then."
        )
    if error == "missing_scope":
        return answer("I lack a permission to write here. An admin has to install me anew; then it will be said here.")
    return answer(f"Slack does not let me write here (`{error}`). Ask me in another channel.")


def left_unsaid(why: Content, content: Content) -> Content:
    """*content*, which can be said in its channel no more, for whoever asked."""
    text = f"{why.text} What I had to say: {content.text}"
    return fit(text, [*why.blocks, *_without_buttons(content.classic or content.blocks)])


def elsewhere(channel: str, content: Content) -> Content:
    """*content*, in a person's direct messages, for it could not be said in *channel*."""
    about = f"About <#{channel}>:"
    blocks = _without_buttons(content.classic or content.blocks) or [section(content.text)]
    return fit(f"{about} {content.text}", [context(about), *blocks])


def _without_buttons(blocks: Blocks) -> list[Json]:
    """What belongs to a channel is pressed there."""
    return [block for block in blocks if block["type"] != "actions" and "picture" not in block]


def too_long_said() -> Content:
    return Content(text="That message was too long for Slack; here is all of it.")


def upload_failed(what: str) -> Content:
    said = foreign(what, 200)
    return answer(f"{said}: Slack did not take the file, or did not share it. Press the button again later.")


def uploaded_already() -> Content:
    return answer("That file of this check is in the thread already.")
