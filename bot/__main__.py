"""`python -m bot`: the environment goes in, tasks come out, SIGTERM ends them in order. The composition root.

Local mode is decided here and nowhere else: without tokens this file starts a Slack-compatible workspace and the lab,
and hands the bot the workspace's address and tokens, the lab's names, its root and permission for exactly its sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError

from bot.config import ConfigurationError, HttpMode, LocalMode, ManyWorkspaces, Settings, SocketMode, read
from bot.connection import EVENTS_PATH
from bot.ct_reader import CtSource
from bot.history import History
from bot.manifest import COMMAND, MANIFEST
from bot.patrol import Patrol
from bot.prober import Prober
from bot.service import serving
from bot.store import InUse
from probes.ari import DIRECTORIES
from probes.net.ari import RenewalInformation

LOG = logging.getLogger("bot")
LAB_PORT = 8443
CT_LIST_READ_EVERY_S = 86_400.0
# The cases of the lab that tell most about what the bot does stand first in the list that greets.
_TELLING = (
    "expired.lab",
    "no-intermediate.lab",
    "default-certificate.lab",
    "one-expired.lab",
    "legacy-only.lab",
    "large-hello.lab",
    "plain-http.lab",
    "healthy.lab",
)
_LAB_NICENESS = 10  # the endpoints of a demonstration come after the bot that looks at them


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a check is made with beyond the settings. Empty but in local mode, where the lab fills it."""

    overrides: dict[tuple[str, int], Any] = field(default_factory=dict)
    roots: tuple[str, ...] = ()  # PEM
    sockets: frozenset[tuple[str, int]] = frozenset()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot", description="The Slack bot that explains TLS failures.")
    parser.add_argument("--http", action="store_true", help=f"HTTP mode: Slack posts to {EVENTS_PATH} on PORT")
    parser.add_argument(
        "act",
        nargs="?",
        choices=("run", "migrate", "doctor", "lab"),
        default="run",
        help="run the bot (default), bring the database up to date, look for mistakes, or serve the lab alone",
    )
    parser.add_argument("port", nargs="?", type=int, default=LAB_PORT, help="of the lab's servers (0: any)")
    parser.add_argument("--json", action="store_true", help="of the doctor: what it found, as JSON")
    arguments = parser.parse_args(argv)
    if arguments.act == "lab":
        return asyncio.run(_lab(arguments.port))
    try:
        settings = read(os.environ, http=arguments.http)
    except ConfigurationError as error:
        print(
            "The settings are not right:", *(f"  - {problem}" for problem in error.problems), sep="\n", file=sys.stderr
        )
        return 2
    _keep_secrets_from_children()
    _log_to_stderr(settings.log_level)
    match arguments.act:
        case "migrate":
            return asyncio.run(_migrate(settings))
        case "doctor":
            return asyncio.run(_doctor(settings, as_json=arguments.json))
    return asyncio.run(_run(settings))


_SECRETS = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CLIENT_SECRET", "SECRET_KEY")


def _keep_secrets_from_children() -> None:
    """The prober, which reads what strangers send, inherits no secret; and bolt, which looks for settings of its own
    in the environment, finds none."""
    for name in (*_SECRETS, "SLACK_CLIENT_ID"):
        os.environ.pop(name, None)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_ours_or_grave)


def _is_ours_or_grave(record: logging.LogRecord) -> bool:
    """Below WARNING, Slack's libraries log whole payloads: response URLs, trigger ids, bodies of forged requests.

    A connection that closed before an acknowledgement left is one line: Slack sends the request again.
    """
    if not record.name.startswith(("slack_bolt", "slack_sdk")):
        return True
    if record.exc_info and isinstance(record.exc_info[1], ConnectionError):
        record.exc_info = record.exc_text = None
    return record.levelno >= logging.WARNING


# ── running ─────────────────────────────────────────────────────────────────────


class _Ending:
    """SIGTERM and SIGINT: whoever is up ends in order; what is still starting, or waiting for another, ends at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        self.asked.set()
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None

    async def wait(self) -> None:
        """We are up; back when the end is asked for."""
        self._starting = None
        await self.asked.wait()


async def _run(settings: Settings) -> int:
    ending = _Ending()
    try:
        match settings.connection:
            case LocalMode(port=port):
                await _nobody_else(settings)
                async with _local(port) as (connection, surroundings):
                    await _serve(settings, connection, surroundings, ending)
            case connection:
                await _serve(settings, connection, Surroundings(), ending)
    except InUse as error:
        print(f"The bot cannot run: {error}. Stop that one, or set DATABASE_PATH to another file.", file=sys.stderr)
        return 3
    except (SlackClientError, OSError) as error:
        print(f"The bot cannot run: {_plainly(error)}", file=sys.stderr)
        return 3
    except asyncio.CancelledError:
        if not ending.asked.is_set():
            raise
        LOG.info("stopped before it was up")
    return 0


async def _nobody_else(settings: Settings) -> None:
    """A second local workspace on one database is a mistake, not a deploy. Raises InUse."""
    await (await History.open(settings.database)).close()


async def _serve(
    settings: Settings, connection: SocketMode | HttpMode | ManyWorkspaces, surroundings: Surroundings, ending: _Ending
) -> None:
    async with (
        Prober(check_options(settings, surroundings)) as checker,
        Patrol(check_options(settings, surroundings)) as look,
        serving(
            connection,
            database=settings.database,
            checker=checker,
            allowed_channels=settings.allowed_channels,
            secret_key=settings.secret_key,
            admin_usergroups=settings.admin_usergroups,
            look=look,
            renewal_information=_renewal_information(settings, surroundings),
            anchored=cache(lambda: _anchored(settings, surroundings)),
            ct=_ct_source(settings, surroundings),
        ),
    ):
        # What was imported lives for good, a hundred thousand objects; a pass over all of them takes a tenth of a
        # second in which nothing is acknowledged. The collector need not look at them again.
        gc.collect()
        gc.freeze()
        await ending.wait()
        LOG.info("stopping: what runs is finished first")


def _renewal_information(settings: Settings, surroundings: Surroundings) -> RenewalInformation:
    """Who can be asked when CAs want certificates replaced."""
    options = check_options(settings, surroundings)
    return RenewalInformation(
        permit=options.permit,
        directories={**DIRECTORIES, **settings.acme_directories},
        overrides=options.overrides,
        resolver=options.resolver,
    )


def _ct_source(settings: Settings, surroundings: Surroundings) -> CtSource | None:
    """How CT logs are read, where the operator names their list."""
    if settings.ct_log_list is None:
        return None
    from probes.ct_follow import Habits
    from probes.net.logfetch import Manners

    options = check_options(settings, surroundings)
    return CtSource(
        log_list=settings.ct_log_list,
        manners=Manners(
            permit=options.permit,
            overrides=options.overrides,
            resolver=options.resolver,
            contact=settings.ct_contact,
        ),
        habits=Habits(prove=True, reload_s=CT_LIST_READ_EVERY_S),
    )


def _anchored(settings: Settings, surroundings: Surroundings) -> frozenset[str]:
    """The names of the trust anchors, as certificates tell them: read when the first certificate is watched."""
    from probes.facts import anchors

    trust = check_options(settings, surroundings).trust
    return frozenset(each.subject.text for each in anchors(trust).members)


def check_options(settings: Settings, surroundings: Surroundings) -> Any:
    """How every check is made (`probes.check.Options`)."""
    from probes.check import Options, default_trust

    added = tuple(der for pem in (*surroundings.roots, *_pem(settings)) for der in _certificates(pem))
    return Options(
        trust=default_trust(added),
        permit=replace(settings.egress, allow_exact=surroundings.sockets),
        overrides=surroundings.overrides,
        resolver=settings.resolver,
    )


def _pem(settings: Settings) -> tuple[str, ...]:
    return (settings.trust_file.read_text(encoding="ascii", errors="replace"),) if settings.trust_file else ()


def _certificates(pem: str) -> tuple[bytes, ...]:
    """The DER certificates of a PEM bundle. Raises ValueError."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    return tuple(one.public_bytes(Encoding.DER) for one in load_pem_x509_certificates(pem.encode("ascii", "replace")))


def _plainly(error: BaseException) -> str:
    if isinstance(error, SlackApiError):
        return (
            f"Slack answered {error.response.get('error', 'an error')} to {error.response.api_url.rpartition('/')[2]}"
        )
    return str(error) or type(error).__name__


# ── local mode ──────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _local(port: int) -> AsyncIterator[tuple[SocketMode, Surroundings]]:
    """A workspace and a lab of our own, and what the bot needs to know of them."""
    from bot.local import Suggestion, Workspace, serve

    async with lab_beside(LAB_PORT) as lab:
        suggestions = [
            Suggestion(text=f"{COMMAND} {case['command']}", description=case["description"])
            for case in telling_first(lab["cases"])
        ]
        running = await serve(Workspace(manifest=MANIFEST, suggestions=suggestions), port=port)
        try:
            print(f"\n  The local workspace: {running.url}\n  Try there: {suggestions[0].text}\n", flush=True)
            yield (
                SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url),
                surroundings_of(lab),
            )
        finally:
            await running.close()


def telling_first(cases: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The lab's *cases*, those first that show most in little time; the others as they are."""
    ranks = {name: rank for rank, name in enumerate(_TELLING)}
    return sorted(cases, key=lambda case: ranks.get(case["name"], len(ranks)))


def surroundings_of(lab: dict[str, Any]) -> Surroundings:
    """The lab's names, its root and its sockets, out of its own description."""
    return Surroundings(
        overrides={
            (host, port): tuple(found) if isinstance(found, list) else found for host, port, found in lab["overrides"]
        },
        roots=(lab["root"],),
        sockets=frozenset((address, port) for address, port in lab["allowed"]),
    )


@asynccontextmanager
async def lab_beside(port: int) -> AsyncIterator[dict[str, Any]]:
    """The lab in a process of its own: its servers' handshakes are not to slow the bot's answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "lab",
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise OSError("the lab did not start; what it said stands above")
        yield json.loads(line)
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 3.0)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _lab(port: int) -> int:
    """Serve the lab until stdin ends; one line of JSON says what is where."""
    from probes.lab import start

    os.nice(_LAB_NICENESS)
    async with await start(port=port) as lab:
        cases = [{"name": case.name, "command": case.command, "description": case.description} for case in lab.cases]
        described = {
            "cases": cases,
            "root": lab.root_pem,
            "overrides": [[host, port, found] for (host, port), found in lab.overrides.items()],
            "allowed": [list(socket) for socket in lab.allowed],
        }
        print(json.dumps(described), flush=True)
        ended = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
        await ended.read()
    return 0


# ── migrate, doctor ─────────────────────────────────────────────────────────────


async def _migrate(settings: Settings) -> int:
    try:
        history = await History.open(settings.database)
    except InUse as error:
        print(f"{error}; stop it first, or let it migrate by itself when it starts.", file=sys.stderr)
        return 3
    await history.close()
    print(f"{settings.database} is up to date.")
    return 0


async def _doctor(settings: Settings, *, as_json: bool) -> int:
    from bot import doctor

    findings = await doctor.examined(settings)
    print(doctor.as_json(findings) if as_json else doctor.as_text(findings))
    return doctor.status(findings)


if __name__ == "__main__":
    sys.exit(main())
