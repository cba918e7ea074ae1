"""Client identities in Slack: the form, what was stored, and the list. Never key material. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.model import Content, Json, StoredIdentity
from bot.render.limits import actions, button, code, fit, foreign, section
from bot.render.words import counted
from probes.pki.certificate import Certificate, parse
from probes.pki.identity import predict

ADD = "identity_add"  # the button that opens the form
FORM = "identity_form"
# Fields of the form: block_id and action_id are the same. Slack takes 3,000 characters a field, and a key of 4,096 bits
# has more, so what is long may go on in a second field.
NAME, PATTERNS, CERTIFICATE, FURTHER, KEY, KEY_REST = "name", "patterns", "certificate", "further", "key", "key_rest"
_FIELD_LIMIT = 3000


def form(metadata: str) -> Json:
    """The modal that asks for an identity."""
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": metadata,
        "title": _plain("Add client identity"),
        "submit": _plain("Store"),
        "close": _plain("Cancel"),
        "blocks": [
            section(
                "The certificate is shown to the hosts you name, and only when a check names this identity. The key is "
                "stored encrypted and never shown again. What you paste travels through Slack: prefer a certificate "
                "made for testing."
            ),
            _input(NAME, "Name", "payments-prod", most=40),
            _input(PATTERNS, "Hosts it may be shown to, one a line", "*.internal.example.com", lines=True),
            _input(CERTIFICATE, "Certificate (PEM)", "-----BEGIN CERTIFICATE-----", lines=True),
            _input(FURTHER, "Intermediates (PEM)", "those the client sends along", lines=True, optional=True),
            _input(KEY, "Private key (PEM, without passphrase)", "-----BEGIN PRIVATE KEY-----", lines=True),
            _input(KEY_REST, "Rest of a key of more than 3,000 characters", "", lines=True, optional=True),
        ],
    }


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _input(
    name: str, label: str, example: str, *, lines: bool = False, optional: bool = False, most: int = _FIELD_LIMIT
) -> Json:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": name,
        "multiline": lines,
        "max_length": most,
    }
    if example:
        element["placeholder"] = _plain(example)
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element, "optional": optional}


def offer() -> Content:
    """A mention carries no trigger, so the form needs a button to open it."""
    text = "A client identity is added in a form, which this button opens."
    return fit(text, [section(text), actions(button("Add client identity", ADD, "add"))])


def added(identity: StoredIdentity, now: datetime) -> Content:
    """What was stored, and what looks wrong with it."""
    leaf = _leaf(identity)
    lines = [f"Stored the client identity {code(identity.name)}, for {_patterns(identity)}. Its key is encrypted."]
    if leaf is not None:
        lines.append(
            f"Subject {code(leaf.subject or '(none)')}, issued by {code(leaf.issuer)}, valid until "
            f"{leaf.not_after:%Y-%m-%d %H:%M} UTC ({_days(leaf, now)})."
        )
    lines += [f":warning: {foreign(doubt.says, 300)}." for doubt in predict(identity.chain, None, now)]
    lines.append(f"Use it with {code(f'/tls check HOST --identity {identity.name}')}.")
    text = "\n".join(lines)
    return fit(text, [section(text)])


def listing(identities: Sequence[StoredIdentity], now: datetime) -> Content:
    """All identities of the workspace."""
    if not identities:
        text = f"No client identity is stored. {code('/tls identity add')} stores one."
        return fit(text, [section(text)])
    lines = [_line(identity, now) for identity in identities]
    head = f"{counted(len(identities), 'client identity', 'client identities')}:"
    return fit("\n".join((head, *lines)), [section(head), *(section(line) for line in lines[:45])])


def _line(identity: StoredIdentity, now: datetime) -> str:
    leaf = _leaf(identity)
    what = "cannot be read" if leaf is None else f"{code(leaf.subject or '(no subject)', 120)}, {_days(leaf, now)}"
    return f"{code(identity.name)} for {_patterns(identity)}: {what}; added by <@{identity.added_by}>"


def removed(name: str, *, was_there: bool) -> Content:
    known = f"Removed the client identity {code(name, 60)}. Its key is gone from my memory."
    unknown = f"There is no client identity {code(name, 60)}. {code('/tls identity list')} shows those there are."
    text = known if was_there else unknown
    return fit(text, [section(text)])


def _leaf(identity: StoredIdentity) -> Certificate | None:
    parsed = parse(identity.chain[0]) if identity.chain else None
    return parsed if isinstance(parsed, Certificate) else None


def _days(leaf: Certificate, now: datetime) -> str:
    if now > leaf.not_after:
        return f"expired {counted((now - leaf.not_after).days, 'day')} ago"
    return f"{counted((leaf.not_after - now).days, 'day')} left"


def _patterns(identity: StoredIdentity) -> str:
    return ", ".join(code(pattern, 260) for pattern in identity.patterns[:8]) + (
        f" and {len(identity.patterns) - 8} more" if len(identity.patterns) > 8 else ""
    )
