"""Stored client identities: added in a modal, sealed, bound to host patterns, and never shown again.

A key leaves this module in a Credential for one check of a host that its patterns cover, and in no other way.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime

from bot.admins import Admins
from bot.history import History
from bot.model import Check, StoredIdentity
from bot.sealing import Seal, WrongKey
from probes.model import Target, UsageError, hostname, ip_literal, shown
from probes.pki.credential import Credential, read

MOST_PATTERNS = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


class FieldError(Exception):
    """What is wrong with one field of the form, in words for whoever filled it in."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field, self.why = field, why


class Identities:
    """The identities of each workspace."""

    def __init__(self, *, history: History, secret_key: str | None, admins: Admins) -> None:
        self._history = history
        self._seal = Seal(secret_key) if secret_key else None
        self._admins = admins

    async def refusal(self, team: str, user: str, *, to_add: bool) -> str | None:
        """Why *user* may not change what is stored, or None."""
        if to_add and self._seal is None:
            return (
                "I cannot keep a private key: SECRET_KEY is not set, and without it nothing secret is stored. Whoever "
                "runs me can set it to at least 32 characters, as `openssl rand -base64 32` writes, and restart me."
            )
        return await self._admins.refusal(team, user, "Client identities")

    async def add(
        self, *, team: str, user: str, name: str, patterns: str, certificate: str, key: str
    ) -> StoredIdentity:
        """Check what the form holds and store it. Raises FieldError; nothing is stored then."""
        if self._seal is None:
            raise FieldError("name", "SECRET_KEY is not set: nothing secret is stored.")
        label = identity_name(name)
        hosts = host_patterns(patterns)
        try:
            credential = read(label, certificate, key, named="the certificate", key_named="the key")
        except UsageError as error:
            raise FieldError("key" if "key" in str(error) else "certificate", _capital(str(error))) from None
        identity = StoredIdentity(
            team=team, name=label, patterns=hosts, chain=credential.chain, added_by=user, added_at=datetime.now(UTC)
        )
        sealed = self._seal.close(credential.key, about=_about(identity))
        if not await self._history.keep_identity(identity, sealed):
            raise FieldError("name", f"There is an identity {label} already. Remove it first, or take another name.")
        return identity

    async def may_use(self, team: str, user: str) -> bool:
        """Whether *user* may name a stored identity, and read which there are: people of other workspaces may not."""
        return await self._admins.people.standing(team, user) != "stranger"

    async def listed(self, team: str) -> list[StoredIdentity]:
        """The identities of *team*, without their keys."""
        return [identity for identity, _ in await self._history.identities(team)]

    async def remove(self, team: str, name: str) -> bool:
        """Forget one; False when there is none of that name."""
        return await self._history.drop_identity(team, name.strip().lower())

    async def armed(self, team: str, check: Check, *, user: str | None = None) -> Check:
        """*check* with the credential that it names, for *user*. Raises UsageError where it may not have it."""
        if check.identity is None:
            return check
        if user is not None and not await self.may_use(team, user):
            raise UsageError("Client identities are this workspace's own: people of other workspaces cannot use them.")
        found = {identity.name: (identity, sealed) for identity, sealed in await self._history.identities(team)}
        if check.identity not in found:
            known = f"Stored are: {', '.join(found)}." if found else "None is stored: `/tls identity add`."
            raise UsageError(f"I read --identity {shown(check.identity)}, and I have no identity of that name. {known}")
        identity, sealed = found[check.identity]
        check_covered(identity, check)
        if self._seal is None:
            raise UsageError(f"The identity {identity.name} cannot be opened: SECRET_KEY is not set any more.")
        try:
            key = self._seal.open(sealed, about=_about(identity))
        except WrongKey:
            raise UsageError(
                f"The identity {identity.name} cannot be opened: it was stored under another SECRET_KEY, or changed "
                f"since. Set the old one again, or `/tls identity remove {identity.name}` and add it anew."
            ) from None
        return check.with_credential(Credential(label=identity.name, chain=identity.chain, key=key))


def _about(identity: StoredIdentity) -> tuple[str, ...]:
    digest = hashlib.sha256(b"".join(identity.chain)).hexdigest()
    return (identity.team, identity.name, json.dumps(identity.patterns), digest)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ── names and patterns ──────────────────────────────────────────────────────────


def identity_name(text: str) -> str:
    """The name of an identity. Raises FieldError."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise FieldError(
            "name",
            f"I read “{shown(text.strip(), 40)}”. Up to 40 letters, digits, dots and hyphens, as in payments-prod.",
        )
    return name


def host_patterns(text: str) -> tuple[str, ...]:
    """One pattern a line: a host name, an address, or `*.` before a name of two labels or more. Raises FieldError."""
    lines = [line.strip() for line in re.split(r"[\n,]", text) if line.strip()]
    if not lines:
        raise FieldError("patterns", "Name the hosts that may be shown this certificate, one a line.")
    if len(lines) > MOST_PATTERNS:
        raise FieldError("patterns", f"I read {len(lines)} patterns. At most {MOST_PATTERNS} fit one identity.")
    return tuple(dict.fromkeys(_pattern(line) for line in lines))


def _pattern(line: str) -> str:
    literal = ip_literal(line.removeprefix("[").removesuffix("]"))
    if literal is not None:
        return str(literal)
    wild, name = ("*.", line[2:]) if line.startswith("*.") else ("", line)
    if "*" in name or (wild and "." not in name.strip(".")):
        raise FieldError(
            "patterns",
            f"I read “{shown(line)}”, which covers too much. Write *.internal.example.com for all names below "
            "internal.example.com, or a host name in full.",
        )
    try:
        return wild + hostname(name)
    except UsageError as error:
        raise FieldError("patterns", str(error)) from None


def covers(patterns: tuple[str, ...], host: str) -> bool:
    """Does one of *patterns* cover *host*? `*.` stands for one label or more, never for none."""
    name = host.lower()
    return any(
        name.endswith(pattern[1:]) and len(name) > len(pattern) - 1 if pattern.startswith("*.") else name == pattern
        for pattern in patterns
    )


def check_covered(identity: StoredIdentity, check: Check) -> None:
    """Every host, name and address that *check* spells out must be covered. Raises UsageError."""
    target: Target = check.target
    spelled = [target.host, *filter(None, (target.server_name,)), *check.addresses]
    spelled += [check.origin.address] if check.origin is not None else []
    outside = [each for each in dict.fromkeys(spelled) if not covers(identity.patterns, each)]
    if outside:
        raise UsageError(
            f"The identity {identity.name} is bound to {', '.join(identity.patterns)}, which does not cover "
            f"{', '.join(map(shown, outside))}. It is shown nowhere else; who may add identities can bind one to it."
        )
