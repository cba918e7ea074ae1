"""A session offered again: the hello that names it, its binder, and the keys of early data.

RFC 8446 sections 4.2.10 and 4.2.11 for TLS 1.3; RFC 5246 section 7.3 and RFC 5077 before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import field

from probes.observed import Session
from probes.values import changed, value
from probes.wire.hello import Hello, PskOffer
from probes.wire.octets import UnsupportedError
from probes.wire.registry import TLS13, cipher_name
from probes.wire.schedule13 import SUITES, KeySchedule


@value
class Resumption:
    """*session*, *age_ms* after it was obtained; *early_data* is sent along before the handshake is through."""

    session: Session
    age_ms: int = 0
    early_data: bytes = field(default=b"", repr=False)


def offering(hello: Hello, resumption: Resumption) -> Hello:
    """*hello* with the session in it. UnsupportedError where its suite cannot be computed here."""
    session = resumption.session
    if session.version >= TLS13:
        if session.cipher not in SUITES:
            raise UnsupportedError(f"no implementation of {cipher_name(session.cipher)}")
        age = (resumption.age_ms + session.age_add) & 0xFFFFFFFF
        psk = PskOffer(identity=session.ticket, obfuscated_age=age, binder_size=len(session.secret))
        return changed(hello, psk=psk, early_data=bool(resumption.early_data))
    # RFC 5077 section 3.4: with a session id of the client's choice beside the ticket, the server's echo of it tells
    # that the ticket was taken.
    session_id = session.session_id or hashlib.sha256(session.ticket).digest()
    return changed(hello, session_id=session_id, session_ticket=session.ticket or hello.session_ticket)


def early_schedule(session: Session) -> KeySchedule:
    """The key schedule with nothing but the session's secret in it."""
    return KeySchedule(session.cipher, psk=session.secret)


def bound(message: bytes, schedule: KeySchedule, *, hashed: Callable[[bytes], bytes] | None = None) -> bytes:
    """The ClientHello *message* with its one binder filled in (RFC 8446 section 4.2.11.2).

    *hashed* is the transcript's hash with the truncated hello added, where a retry came before.
    """
    size = hashlib.new(schedule.digest).digest_size
    truncated = message[: -(size + 3)]
    transcript = hashlib.new(schedule.digest, truncated).digest() if hashed is None else hashed(truncated)
    return message[:-size] + hmac.digest(schedule.binder_key(), transcript, schedule.digest)
