"""Distinguished names: read, compared, written. A malformed name is a value too, equal only to itself."""

from __future__ import annotations

from functools import lru_cache

from probes.pki import der
from probes.values import value

# RFC 4514 section 3, and the two others that operators know by name.
KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
    "1.2.840.113549.1.9.1": "emailAddress",
    "2.5.4.5": "serialNumber",
}
COMMON_NAME = "2.5.4.3"
ORGANISATION = "2.5.4.10"
EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
LONGEST_TEXT = 512  # characters; certificates come from strangers, and these texts end up in messages

_ENCODINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_ESCAPES = {letter: "\\" + letter for letter in '\\,+"<>;'} | {"\0": "\\00"}
TypeValue = tuple[str, str]
Key = tuple[object, ...]


@value
class Name:
    """A distinguished name. *text* is RFC 4514; *key* is equal for names that RFC 5280 section 7.1 calls equal."""

    text: str
    key: Key
    common_name: str | None
    organisation: str | None
    is_empty: bool
    emails: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def read(name: bytes) -> Name:
    """Read a DER Name; never raises. What is malformed gets a text that says so and its own bytes as key."""
    try:
        relative = _relative_names(name)
    except der.Malformed:
        return Name(text="(unreadable name)", key=(name,), common_name=None, organisation=None, is_empty=False)
    flat = [pair for pairs in relative for pair in pairs]
    return Name(
        text=capped(",".join("+".join(_written(*pair) for pair in pairs) for pairs in reversed(relative))),
        key=tuple(frozenset((oid, " ".join(text.casefold().split())) for oid, text in pairs) for pairs in relative),
        common_name=_last(flat, COMMON_NAME),
        organisation=_last(flat, ORGANISATION),
        is_empty=not flat,
        emails=tuple(text for kind, text in flat if kind == EMAIL_ADDRESS),
    )


def capped(text: str, limit: int = LONGEST_TEXT) -> str:
    """The text, cut with an ellipsis when it is longer than any honest one."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _relative_names(name: bytes) -> list[list[TypeValue]]:
    relative: list[list[TypeValue]] = []
    for group in der.inside(name):
        pairs: list[TypeValue] = []
        for attribute in der.children(name, group):
            parts = list(der.children(name, attribute))
            if len(parts) != 2 or parts[0].tag != der.OBJECT_IDENTIFIER:
                raise der.Malformed("an attribute that is no type and value")
            oid = der.object_identifier(name[parts[0].body : parts[0].end])
            pairs.append((oid, _string(name, parts[1])))
        relative.append(pairs)
    return relative


def _string(name: bytes, part: der.Element) -> str:
    encoding = _ENCODINGS.get(part.tag)
    if encoding is None:
        return "#" + name[part.start : part.end].hex()
    return name[part.body : part.end].decode(encoding, "replace")


def _last(pairs: list[TypeValue], oid: str) -> str | None:
    return next((capped(text) for kind, text in reversed(pairs) if kind == oid), None)


def _written(oid: str, text: str) -> str:
    """One attribute as RFC 4514 section 2.4 writes it."""
    escaped = [_ESCAPES.get(letter, letter) for letter in text]
    if text.startswith((" ", "#")):
        escaped[0] = "\\" + text[0]
    if text.endswith(" "):
        escaped[-1] = "\\ "
    text = "".join(escaped)
    return f"{KEYWORDS.get(oid, oid)}={text}"
