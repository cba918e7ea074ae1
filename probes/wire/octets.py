"""Reading and writing TLS's length-prefixed octets (RFC 8446 section 3), and the one error family of the package."""

from __future__ import annotations

from collections.abc import Iterable


class WireError(Exception):
    """Bytes that are not what TLS says they must be. ``why`` is one clause for people, without the bytes."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class RecordError(WireError):
    """A record header or a record's length is impossible."""


class MessageError(WireError):
    """A handshake message or an alert does not parse, or comes where it may not."""


class ProtectionError(WireError):
    """A protected record does not open: wrong keys, or changed on the way."""


class UnsupportedError(WireError):
    """Legal TLS that this package cannot compute (a group, suite or version without an implementation)."""


class Cursor:
    """Takes values off the front of *data*; every overrun is a MessageError naming *what* was being read.

    Every check reads hundreds of 16-bit values: u16 and vec16 do by themselves what take does.
    """

    __slots__ = ("_at", "_data", "_end", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._end = len(data)
        self._what = what

    def take(self, count: int) -> bytes:
        at = self._at
        stop = at + count
        if stop > self._end:
            raise self._cut_short(stop)
        self._at = stop
        return self._data[at:stop]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        at = self._at
        stop = at + 2
        if stop > self._end:
            raise self._cut_short(stop)
        self._at = stop
        return self._data[at] << 8 | self._data[at + 1]

    def u24(self) -> int:
        return int.from_bytes(self.take(3), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def vec8(self) -> bytes:
        return self.take(self.u8())

    def vec16(self) -> bytes:
        start = self._at + 2
        if start > self._end:
            raise self._cut_short(start)
        data = self._data
        stop = start + (data[start - 2] << 8 | data[start - 1])
        if stop > self._end:
            raise self._cut_short(stop)
        self._at = stop
        return data[start:stop]

    def vec24(self) -> bytes:
        return self.take(self.u24())

    def rest(self) -> bytes:
        return self.take(self._end - self._at)

    @property
    def left(self) -> int:
        return self._end - self._at

    def finish(self) -> None:
        """Insist that all was read."""
        if self._at != self._end:
            raise MessageError(f"{self._what} has {self._end - self._at} bytes too many")

    def _cut_short(self, stop: int) -> MessageError:
        return MessageError(f"{self._what} ends {stop - self._end} bytes early")


def vec8(body: bytes) -> bytes:
    return len(body).to_bytes(1, "big") + body


def vec16(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


def vec24(body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + body


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u16_list(values: Iterable[int]) -> bytes:
    return b"".join([value.to_bytes(2, "big") for value in values])


def read_u16_list(body: bytes, what: str) -> tuple[int, ...]:
    """Split *body* into 16-bit values; an odd length is a MessageError."""
    if len(body) % 2:
        raise MessageError(f"{what} has an odd length")
    return tuple([int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 2)])


def read_vec8_list(body: bytes, what: str) -> tuple[bytes, ...]:
    """Split *body* into items with a one-byte length each."""
    cursor = Cursor(body, what)
    items = []
    while cursor.left:
        items.append(cursor.vec8())
    return tuple(items)


def read_vec16_list(body: bytes, what: str) -> tuple[bytes, ...]:
    """Split *body* into items with a two-byte length each."""
    cursor = Cursor(body, what)
    items = []
    while cursor.left:
        items.append(cursor.vec16())
    return tuple(items)
