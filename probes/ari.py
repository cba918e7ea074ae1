"""When a CA wants a certificate replaced: ACME Renewal Information (RFC 9773), as questions and answers. Pure.

A CA that must revoke says so here first: the window it suggests jumps ahead, hours or days before clients notice.
Nobody needs an account to ask, so it works for any certificate that a server shows.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from probes.values import value

SOONEST, LATEST = timedelta(minutes=1), timedelta(days=1)  # RFC 9773 section 4.3.2: what Retry-After is held within
AFTER_FAILURE = timedelta(hours=6)  # section 4.3.3

# Organisation in the issuer's name → the CA's ACME directory. Only what the CA itself publishes stands here; others are
# a setting, since a guessed address would send a stranger the names of certificates.
# Sources: letsencrypt.org/docs/acme-protocol-updates ("Production Environment"), cloud.google.com/certificate-manager/
# docs/public-ca-tutorial ("dv.acme-v02.api.pki.goog/directory").
DIRECTORIES: Mapping[str, str] = MappingProxyType(
    {
        "Let's Encrypt": "https://acme-v02.api.letsencrypt.org/directory",
        "Google Trust Services": "https://dv.acme-v02.api.pki.goog/directory",
    }
)


class Malformed(ValueError):
    """The answer is not what RFC 9773 describes; the text says what is wrong with it."""


@value
class Window:
    """When the CA wants the certificate replaced. `explanation_url` tells people why, where it is not routine."""

    start: datetime
    end: datetime
    explanation_url: str = ""


def certificate_id(key_id: bytes, serial: int) -> str:
    """How ARI names a certificate (section 4.1). *key_id*: keyIdentifier of its Authority Key Identifier.

    Raises ValueError where there is none, or for a serial number that RFC 5280 forbids: no CA knows such a one.
    """
    if not key_id or serial <= 0:
        raise ValueError("it has no authority key identifier, or no positive serial number")
    # The content of the DER INTEGER: a leading zero octet where the first bit would say "negative".
    content = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{_base64url(key_id)}.{_base64url(content)}"


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def directory_of(organisation: str, known: Mapping[str, str] = DIRECTORIES) -> str | None:
    """The ACME directory of the CA *organisation* (the O of an issuer's name); None where none is known."""
    return known.get(organisation)


def renewal_info_url(body: bytes) -> str | None:
    """What an ACME directory says about ARI; None where the CA does not offer it. Raises Malformed."""
    url = _object(body).get("renewalInfo")
    if url is None:
        return None
    if not isinstance(url, str) or not url.startswith("https://"):
        raise Malformed("renewalInfo is no https URL")
    return url.rstrip("/")


def window(body: bytes) -> Window:
    """The window of a RenewalInfo object (section 4.2). Raises Malformed; the end is never before the start."""
    answer = _object(body)
    suggested = answer.get("suggestedWindow")
    if not isinstance(suggested, dict):
        raise Malformed("there is no suggestedWindow")
    start, end = _moment(suggested.get("start")), _moment(suggested.get("end"))
    if end <= start:  # section 4.2: "A RenewalInfo object in which the end timestamp equals or precedes … is invalid"
        raise Malformed("the window ends before it starts")
    url = answer.get("explanationURL")
    is_link = isinstance(url, str) and re.fullmatch(r"https?://[!-;=?-{}~]{1,500}", url)
    return Window(start=start, end=end, explanation_url=str(url) if is_link else "")


def asked_again_at(retry_after: str | None, now: datetime) -> datetime:
    """When a CA that sent *retry_after* may be asked again: its word within a minute and a day (section 4.3.2)."""
    pause = _seconds(retry_after, now)
    return now + (AFTER_FAILURE if pause is None else min(max(pause, SOONEST), LATEST))


def _seconds(text: str | None, now: datetime) -> timedelta | None:
    """Retry-After is a number of seconds or an HTTP date (RFC 9110 section 10.2.3)."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,11}", text.strip()):
        return timedelta(seconds=int(text))
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) - now


def _object(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("it is not JSON") from None
    if not isinstance(value, dict):
        raise Malformed("it is no JSON object")
    return value


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise Malformed("a time of the window cannot be read") from None
    if moment.tzinfo is None:
        raise Malformed("a time of the window has no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Malformed("a time of the window cannot be read") from None
