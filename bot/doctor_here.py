"""What the doctor looks at on this machine: database, keys, trust, egress, resolver, port, log list."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from bot.config import LocalMode, ManyWorkspaces, Settings
from bot.sealing import Seal, WrongKey

State: TypeAlias = Literal["ok", "WRONG", "note"]
_ROOM_WRONG, _ROOM_NOTED = 64 * 1024**2, 1024**3  # octets
_LIST_IS_OLD_DAYS: Final = 30
_LIST_IS_STALE_DAYS: Final = 70  # Chrome trusts no list that is older (its CT policy)
_MOST_LIST_OCTETS: Final = 16 * 1024**2
_PATIENCE_S: Final = 10.0
_NEVER_LED_TO: Final = ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254")
_LOOPBACK: Final = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0")  # noqa: S104 - addresses to be refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. *is_unseen*: it could not be looked at, so nothing is known of it."""

    name: str
    state: State
    said: str
    remedy: str = ""
    is_unseen: bool = False


# ── database ────────────────────────────────────────────────────────────────────


def holder(path: Path) -> str | None:
    """The process id of the bot that has the database, as it wrote it; None when none has."""
    lock = path.with_name(path.name + ".lock")
    try:
        with lock.open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read(20).strip() or "?"
    except OSError:
        return None
    return None


async def database(settings: Settings) -> list[Finding]:
    return await asyncio.to_thread(_database, settings.database)


def _database(path: Path) -> list[Finding]:
    where = path if path.exists() else next((each for each in path.absolute().parents if each.exists()), Path("/"))
    room = shutil.disk_usage(where).free
    found = [_room(path, room)]
    unwritable = [each for each in _written(path, where) if not os.access(each, os.W_OK)]
    if unwritable:
        remedy = f"Let the bot's user write {', '.join(map(str, unwritable))}, or set DATABASE_PATH to another file."
        return [*found, Finding(name="database", state="WRONG", said=f"{path} cannot be written", remedy=remedy)]
    if not path.exists():
        return [*found, Finding(name="database", state="note", said=f"{path} is not there yet; it will be made")]
    return [*found, _inside(path)]


def _written(path: Path, where: Path) -> list[Path]:
    """What SQLite writes: the file, and beside it the log and the lock."""
    return [path, path.absolute().parent] if path.exists() else [where]


def _room(path: Path, free: int) -> Finding:
    said = f"{free / 1024**3:.1f} GiB free where {path} is"
    if free < _ROOM_WRONG:
        remedy = "Make room: without it nothing that people ask can be stored, and nothing is acknowledged."
        return Finding(name="disk", state="WRONG", said=said, remedy=remedy)
    return Finding(name="disk", state="note" if free < _ROOM_NOTED else "ok", said=said)


def _inside(path: Path) -> Finding:
    from sqlite_utils import Database

    from bot.migrations import STEPS

    pid = holder(path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            check = [row[0] for row in connection.execute("pragma integrity_check(5)")]
            pending = [step.name for step in STEPS.pending(Database(connection))]
    except sqlite3.Error as error:
        remedy = "Restore a copy, or move the file away: a new one is made, and what was remembered is gone."
        return Finding(name="database", state="WRONG", said=f"{path} cannot be read: {error}", remedy=remedy)
    if check != ["ok"]:
        remedy = "Stop the bot, and restore a copy; `sqlite3 FILE .recover` saves what can be saved."
        return Finding(
            name="database", state="WRONG", said=f"{path} is damaged: {'; '.join(check)[:300]}", remedy=remedy
        )
    size = f"{path.stat().st_size / 1024**2:.1f} MiB, integrity checked"
    beside = f"; in use by process {pid}" if pid else ""
    if pending:
        remedy = "The bot does it when it starts; `python -m bot migrate` does it now."
        return Finding(
            name="database", state="note", said=f"{path}: {len(pending)} steps to migrate{beside}", remedy=remedy
        )
    return Finding(name="database", state="ok", said=f"{path}: {size}, up to date{beside}")


# ── keys and tokens at rest ─────────────────────────────────────────────────────


async def secret_key(settings: Settings) -> list[Finding]:
    if settings.secret_key is not None:
        return [Finding(name="SECRET_KEY", state="ok", said="is set")]
    if _count(settings.database, "identities"):
        said = "is not set, and there are client identities that only it opens"
        return [Finding(name="SECRET_KEY", state="WRONG", said=said, remedy="Set the one that they were stored with.")]
    remedy = "To store client certificates set it, as `openssl rand -base64 32` writes it, and keep it."
    return [Finding(name="SECRET_KEY", state="note", said="is not set: nothing secret is stored", remedy=remedy)]


def _count(path: Path, table: str) -> int:
    rows = _rows(path, f"select count(*) from {table}")  # noqa: S608 - our own names
    return int(rows[0][0]) if rows else 0


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What *sql* finds; nothing where there is no such file or table."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.Error:
        return []


async def installations(settings: Settings) -> list[Finding]:
    """The workspaces that installed the app, and whether SECRET_KEY opens their tokens."""
    assert isinstance(settings.connection, ManyWorkspaces)
    rows = _rows(settings.database, "select id, name, sealed from installations where sealed is not null")
    if not rows:
        remedy = "Install it from https://YOUR-HOST/slack/install."
        return [Finding(name="workspaces", state="note", said="none has installed the app yet", remedy=remedy)]
    seal, shut = Seal(settings.secret_key or ""), []
    for id, name, sealed in rows:
        try:
            seal.open(bytes(sealed), about=("installation", str(id), "tokens"))
        except WrongKey:
            shut.append(str(name))
    if shut:
        remedy = "Set the SECRET_KEY that they were stored with, or have them install the app again."
        said = f"the tokens of {', '.join(shut[:10])} do not open"
        return [Finding(name="workspaces", state="WRONG", said=said, remedy=remedy)]
    return [Finding(name="workspaces", state="ok", said=f"{len(rows)} installed; SECRET_KEY opens their tokens")]


# ── what checks are made with ───────────────────────────────────────────────────


async def trust(settings: Settings) -> list[Finding]:
    return await asyncio.to_thread(_trust, settings.trust_file)


def _trust(path: Path | None) -> list[Finding]:
    from cryptography.x509 import load_pem_x509_certificates

    from probes.check import default_trust

    store = default_trust()
    found = [Finding(name="trust store", state="ok", said=f"{len(store.default)} roots of {store.default_name}")]
    if path is None:
        return [*found, Finding(name="TRUST_FILE", state="note", said="none is set: no roots of your own are trusted")]
    try:
        certificates = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        remedy = "It must be a PEM file with certificates, whole from BEGIN to END."
        return [*found, Finding(name="TRUST_FILE", state="WRONG", said=f"{path}: {error}"[:300], remedy=remedy)]
    ended = [one for one in certificates if one.not_valid_after_utc < datetime.now(UTC)]
    said = f"{len(certificates)} certificates in {path}"
    if ended:
        said += f"; {len(ended)} of them expired"
    return [*found, Finding(name="TRUST_FILE", state="note" if ended else "ok", said=said)]


async def egress(settings: Settings) -> list[Finding]:
    """What is refused and allowed, in words; and that the worst addresses are refused indeed."""
    may = settings.egress
    allowed = ", ".join(map(str, may.allow))
    denied = ", ".join(map(str, may.deny))
    said = "loopback, link-local, multicast and cloud metadata addresses are refused, private networks allowed"
    said += f"; EGRESS_DENY refuses {denied}" if denied else ""
    said += f"; EGRESS_ALLOW allows {allowed}, whatever else is said" if allowed else ""
    led_to = [address for address in _NEVER_LED_TO if may(address, 443) is None]
    if led_to:
        remedy = "Whoever may ask the bot can read this machine's cloud credentials. Narrow EGRESS_ALLOW."
        said = f"{', '.join(led_to)} (cloud metadata) may be connected to; {said}"
        return [Finding(name="egress", state="WRONG", said=said, remedy=remedy)]
    inside = [address for address in _LOOPBACK if may(address, 443) is None]
    if inside:
        remedy = "Unless that is meant, narrow EGRESS_ALLOW: chat users reach what listens on this machine alone."
        said = f"{', '.join(inside)} (this machine) may be connected to; {said}"
        return [Finding(name="egress", state="note", said=said, remedy=remedy)]
    return [Finding(name="egress", state="ok", said=said)]


async def resolver(settings: Settings) -> list[Finding]:
    """A look-up of Slack's own name, or of example.com where Slack is an address; nothing is looked up for an address
    by a resolver that nobody named."""
    from probes.net.resolve import resolve

    named = settings.resolver
    api_url = "" if isinstance(settings.connection, LocalMode) else settings.connection.api_url
    host = urlsplit(api_url).hostname or ""
    if not host or _is_address(host) or host == "localhost":
        host = "example.com" if named is not None else ""
    if not host:
        return [Finding(name="resolver", state="note", said="the system's; nothing had to be looked up")]
    whose = f"RESOLVER {named}" if named is not None else "the system's"
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    found = await resolve(host, 443, overrides={}, resolver=named, deadline=deadline)
    # NXDOMAIN is an answer: the name server is there, whatever it knows.
    answered = bool(found.addresses) or (named is not None and any("NXDOMAIN" in line for line in found.detail))
    said = f"{whose} answered for {host} within {found.elapsed_ms:.0f} ms"
    if answered:
        return [Finding(name="resolver", state="ok", said=said)]
    remedy = "Set RESOLVER to a name server that answers, or unset it to use the system's."
    said = f"{whose} did not resolve {host}: {'; '.join(found.detail) or found.failure}"
    return [Finding(name="resolver", state="WRONG", said=said[:300], remedy=remedy)]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def log_list(settings: Settings) -> list[Finding]:
    """CT_LOG_LIST: readable, and how old."""
    from probes.ct.loglist import BadList, parse_log_list

    name, place = "CT_LOG_LIST", settings.ct_log_list
    if place is None:
        remedy = "To watch Certificate Transparency, set it to the address or file of a log list (version 3 JSON)."
        return [Finding(name=name, state="note", said="is not set: CT watching is off", remedy=remedy)]
    try:
        raw = await _fetched(place) if "://" in place else await asyncio.to_thread(Path(place).read_bytes)
        listed = parse_log_list(raw)
    except (OSError, BadList, ValueError) as error:
        remedy = "It must be a file or an https address of a log list (version 3 JSON)."
        return [Finding(name=name, state="WRONG", said=f"{place}: {error}"[:300], remedy=remedy)]
    said = f"{len(listed.logs)} logs"
    if listed.timestamp is None:
        return [Finding(name=name, state="note", said=f"{said}; the list does not tell its age")]
    days = (datetime.now(UTC) - listed.timestamp).days
    said += f", {days} days old"
    if days > _LIST_IS_STALE_DAYS:
        return [Finding(name=name, state="WRONG", said=said, remedy="Fetch a new one: logs have come and gone since.")]
    return [Finding(name=name, state="note" if days > _LIST_IS_OLD_DAYS else "ok", said=said)]


async def _fetched(url: str) -> bytes:
    """Raises OSError or ValueError."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client, client.stream("GET", url) as answer:
            answer.raise_for_status()
            raw = b""
            async for chunk in answer.aiter_bytes():
                raw += chunk
                if len(raw) > _MOST_LIST_OCTETS:
                    raise ValueError("is too long for a log list")
    except httpx.HTTPError as error:
        raise OSError(f"{type(error).__name__}: {error}") from None
    return raw


# ── the port ────────────────────────────────────────────────────────────────────


def port(number: int, setting: str, *, is_running: bool) -> list[Finding]:
    """Can it be listened on? It is let go at once."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1" if setting == "LOCAL_PORT" else "", number))
        except OSError as error:
            if is_running:
                return [Finding(name=setting, state="ok", said=f"port {number} is taken, and the bot is running")]
            remedy = f"Stop what listens there, or set {setting} to a free port (above 1023, unless run as root)."
            said = f"port {number} cannot be listened on: {error.strerror}"
            return [Finding(name=setting, state="WRONG", said=said, remedy=remedy)]
    return [Finding(name=setting, state="ok", said=f"port {number} can be listened on")]
