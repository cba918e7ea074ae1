"""Cuts a byte stream into TLS records (RFC 8446 section 5.1), whatever the pieces in which the bytes arrive."""

from __future__ import annotations

from collections.abc import Iterator

from probes.values import row
from probes.wire.octets import MessageError, ProtectionError, RecordError, UnsupportedError, WireError

__all__ = ["MessageError", "ProtectionError", "RecordError", "UnsupportedError", "WireError"]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
MAX_PLAINTEXT = 1 << 14
# RFC 5246 section 6.2.3: 2^14 + 2048 for ciphertext. TLS 1.3 allows 256 only, but a reader that observes need not care.
MAX_RECORD = MAX_PLAINTEXT + 2048
HEADER = 5


@row
class Record:
    """One record as it crossed the wire; ``body`` may be protected."""

    kind: int
    version: int
    body: bytes

    @property
    def header(self) -> bytes:
        return frame_header(self.kind, self.version, len(self.body))

    @property
    def size(self) -> int:
        """Octets on the wire, header included."""
        return HEADER + len(self.body)


def frame_header(kind: int, version: int, length: int) -> bytes:
    return bytes((kind, version >> 8, version & 0xFF, length >> 8, length & 0xFF))


def frame(kind: int, version: int, payload: bytes, *, limit: int = MAX_PLAINTEXT) -> bytes:
    """Put *payload* into as many records as needed, *limit* octets each at most."""
    if len(payload) <= limit:
        return frame_header(kind, version, len(payload)) + payload
    cuts = range(0, len(payload), limit)
    return b"".join([frame_header(kind, version, len(part)) + part for part in (payload[c : c + limit] for c in cuts)])


def looks_like_tls(first_bytes: bytes) -> bool | None:
    """Whether a stream can begin so: a record type, then major version 3. None while too few octets are here."""
    if not first_bytes:
        return None
    if not CHANGE_CIPHER_SPEC <= first_bytes[0] <= HEARTBEAT:
        return False
    return first_bytes[1] == 3 if len(first_bytes) > 1 else None


class RecordReader:
    """``feed`` bytes in any cuts, ``pop`` the same records.

    A header that cannot be TLS raises RecordError from ``pop``, after all records before it were handed out; so does
    every later ``pop``. Memory is bounded by what was fed and not yet popped.
    """

    __slots__ = ("_at", "_buffer", "_error", "offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._error: str | None = None
        self.offset = 0
        """Octets of the stream that were handed out as records."""

    def feed(self, piece: bytes) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += piece

    def pop(self) -> Record | None:
        """The next whole record, or None when more bytes are needed."""
        if self._error is not None:
            raise RecordError(self._error)
        buffer, at = self._buffer, self._at
        pending = len(buffer) - at
        if pending < HEADER:
            return None
        kind, major = buffer[at], buffer[at + 1]
        length = buffer[at + 3] << 8 | buffer[at + 4]
        if not CHANGE_CIPHER_SPEC <= kind <= HEARTBEAT or major != 3:
            self._fail(f"no TLS record starts with {bytes(buffer[at : at + HEADER]).hex(' ')}")
        if length > MAX_RECORD:
            self._fail(f"a record claims {length} octets; TLS allows {MAX_RECORD}")
        stop = at + HEADER + length
        if pending < HEADER + length:
            return None
        self._at = stop
        self.offset += HEADER + length
        return Record(kind, major << 8 | buffer[at + 2], bytes(buffer[at + HEADER : stop]))

    def __iter__(self) -> Iterator[Record]:
        while (record := self.pop()) is not None:
            yield record

    @property
    def pending(self) -> bytes:
        """What was fed and is not yet a whole record."""
        return bytes(self._buffer[self._at :])

    def _fail(self, why: str) -> None:
        self._error = why
        raise RecordError(why)
