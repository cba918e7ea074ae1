"""The files that prove what is told of CT: an entry with its proof, and what a log signed. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.issuances import Issued
from bot.model import Content
from bot.render.limits import code, foreign

if TYPE_CHECKING:
    from probes.ct.position import Event
    from probes.ct_store import Found


def evidence(found: Found, at: datetime) -> dict[str, Any]:
    """The finding with its proof, as `tls ct verify` reads it."""
    from probes.ct_store import finding_json

    return finding_json(found, "issuance", at)


def evidence_said(log: str, index: int) -> Content:
    return Content(
        text=f"Entry {index:,} of {foreign(log, 80)}, the proof that it is in the log, and the head that the log "
        f"signed. Check it with {code('tls ct verify FILE --log-list LIST')}."
    )


def filename(issued: Issued, log: str, index: int) -> str:
    return f"ct-{_slug(log)}-{index}-{issued.tbs[:8]}.json"


def event_evidence(event: Event, at: datetime) -> dict[str, Any]:
    from probes.ct_store import event_json

    return event_json(event, at)


def event_evidence_said() -> Content:
    return Content(text="What the log signed and gave, as it came.")


def event_filename(kind: str, log: str) -> str:
    return f"ct-{_slug(log)}-{kind}.json"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "log"
