"""Which watched domains a certificate's names touch: a look-up of label suffixes, the same cost for 1 domain or 2,000.

A certificate is reported when it could be used for a watched domain or anything below it, and also when its names
are odd enough that some software might read a watched domain into them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal

from probes.ct.suffixes import is_public_suffix
from probes.ct.walk import Names

How = Literal["name", "wildcard", "address", "odd", "bytes"]
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789-._*\n"
# In a text of names written backwards, each before a line feed: the last two labels, and the rest.
_ENDS = re.compile(rb"([^.\n]*\.?[^.\n]*)[^\n]*\n")
_DOTS = re.compile("[.。．｡]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,31}://")
_PORT = re.compile(r":[0-9]*$")
_END: Any = object()
MOST_MATCHES = 1000  # of one certificate; who has so many watched names has them all by one list


class BadWatch(ValueError):
    """Text that is no domain which can be watched; the text says what was read and what would work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A name in a certificate that touches a watched domain.

    *how*: `name` the domain or below it; `wildcard` may stand for it; `address`; `odd` only in a reading that clients
    should not make; `bytes` found in the bytes of a certificate that cannot be read.
    """

    domain: str
    name: str
    how: How = "name"


def watched(text: str) -> str:
    """The watched domain that people meant, as A-labels in lower case, or the canonical address; BadWatch otherwise.

    `*.example.com`, `.example.com` and `https://example.com/` mean example.com: everything below is watched too.
    """
    domain = _SCHEME.sub("", text.strip().lower()).partition("/")[0]
    address = _address(domain)
    if address:
        return str(address)
    domain = _PORT.sub("", domain).removeprefix("*").strip(".")
    labels = [_a_label(label) for label in _DOTS.split(domain)]
    domain = ".".join(labels)
    if not all(_LABEL.fullmatch(label) for label in labels) or len(domain) > 253:
        raise BadWatch(f'I read "{text[:100]}". A domain is wanted, as in example.com.')
    if len(labels) < 2:
        raise BadWatch(f'"{domain[:100]}" has one label. Watch a domain below it, as in example.{domain[:60]}.')
    if is_public_suffix(domain):
        raise BadWatch(f'Anybody registers names below "{domain}". Watch your own, as in example.{domain}.')
    return domain


class WatchSet:
    """The watched domains, made ready for look-ups. Build it with `compile`."""

    __slots__ = ("_addresses", "_domains", "_ends", "_needles", "_parents", "_plain", "_tree")

    def __init__(self, domains: frozenset[str], addresses: dict[bytes, str]) -> None:
        self._domains = domains
        self._addresses = addresses
        self._tree = _tree(domains)
        self._needles = tuple((each.encode(), each) for each in sorted((*domains, *addresses.values())))
        self._plain = frozenset(needle for needle, _ in self._needles)
        self._parents = frozenset(needle.partition(b".")[2] for needle in self._plain)
        self._ends = frozenset(_ends((*domains, *addresses.values())))

    @classmethod
    def compile(cls, domains: Iterable[str]) -> WatchSet:
        """A set of everything that `watched` takes; BadWatch for what it does not."""
        read = {watched(each) for each in domains}
        addresses = {each: address for each in read if (address := _address(each))}
        return cls(
            frozenset(read - addresses.keys()),
            {packed: text for text, address in addresses.items() for packed in _packed(address)},
        )

    @property
    def domains(self) -> tuple[str, ...]:
        """What is watched, in order."""
        return tuple(sorted({*self._domains, *self._addresses.values()}))

    def __len__(self) -> int:
        return len(self._needles)

    def match(self, names: Names) -> tuple[Match, ...]:
        """What these names touch: the most specific watched domain of each name, each pair once, about MOST_MATCHES
        at most."""
        listed = (*names.dns, *names.cns)
        found: dict[tuple[str, str], Match] = {}
        for at in self.touching(listed):
            if len(found) > MOST_MATCHES:
                break
            for match in self._of_name(listed[at], is_cn=at >= len(names.dns)):
                found.setdefault((match.domain, match.name), match)
        for packed in names.ips:
            if packed in self._addresses:
                domain = self._addresses[packed]
                found.setdefault((domain, domain), Match(domain=domain, name=domain, how="address"))
        return tuple(found.values())

    def touching(self, names: Sequence[bytes], ends: list[bytes] | None = None) -> list[int]:
        """Which of these names may touch a watched domain: the quick look that the names of every entry get, many at
        once. What is not in the answer matches nothing. *ends*: their ends_of, if it is known.

        A plain name that touches a watched domain ends in the last two labels of that domain, which is one look-up;
        a name with any letter that is not plain is always in the answer.
        """
        ends = ends or ends_of(names)
        if ends is None:
            return [at for at, name in enumerate(names) if not is_plain(name) or self._touches(name.lower())]
        if self._ends.isdisjoint(ends):
            return []
        return [at for at, end in enumerate(ends) if end in self._ends and self._touches(names[at].lower())]

    def _touches(self, name: bytes) -> bool:
        """Is this plain name, in lower case, a watched domain or address, below one, or a wildcard beside one?"""
        name = name.rstrip(b".")
        if name[:2] == b"*.":
            name = name[2:]
            if name in self._parents:
                return True
        while name not in self._plain:
            dot = name.find(b".")
            if dot < 0:
                return False
            name = name[dot + 1 :]
        return True

    def inside(self, raw: bytes) -> tuple[Match, ...]:
        """Watched domains whose letters stand somewhere in bytes that cannot be read, in 8-bit or 16-bit letters."""
        lowered = raw.lower()
        for haystack in (lowered, lowered.replace(b"\0", b"")):
            found = [text for needle, text in self._needles if needle in haystack]
            if found:
                return tuple(Match(domain=text, name=text, how="bytes") for text in found)
        return ()

    def _of_name(self, name: bytes, *, is_cn: bool) -> Iterator[Match]:
        shown = name.decode("utf-8", "backslashreplace")[:512]
        for number, reading in enumerate(readings(name, is_cn=is_cn)):
            address = _address(reading)
            if address:
                domain = next((self._addresses[each] for each in _packed(address) if each in self._addresses), None)
                if domain:
                    yield Match(domain=domain, name=shown, how="address")
                continue
            for domain, exact in self._touched(reading.split(".")).items():
                how: How = "odd" if number else "name" if exact else "wildcard"
                yield Match(domain=domain, name=shown, how=how)

    def _touched(self, labels: list[str]) -> dict[str, bool]:
        """The watched domains that a name of these labels touches, and whether without any wildcard's help."""
        found: dict[str, bool] = {}
        places: list[tuple[dict[str, Any], bool]] = [(self._tree, True)]
        for label in reversed(labels):
            following: list[tuple[dict[str, Any], bool]] = []
            for place, exact in places:
                for child, is_exact in _children(place, label):
                    if _END in child:
                        found[child[_END]] = found.get(child[_END], False) or (exact and is_exact)
                    following.append((child, exact and is_exact))
            places = following
            if not places:
                break
        # Of the domains that the name is below, the nearest; besides it each that a wildcard may stand for.
        nearest = max((domain for domain, exact in found.items() if exact), key=len, default="")
        return {domain: exact for domain, exact in found.items() if not exact or domain == nearest}


def is_plain(name: bytes) -> bool:
    """Whether only one host name can be read into these bytes, and at once: a wildcard is one in front alone."""
    bare = name[2:] if name[:2] == b"*." else name
    return not name.lower().translate(None, _PLAIN) and b"\n" not in bare and b"*" not in bare


def ends_of(names: Sequence[bytes]) -> list[bytes] | None:
    """The last two labels of each name, in lower case and written backwards; None when a name is not plain."""
    if not names:
        return []
    text = b"\n" + b"\n".join(names).lower()
    if text.translate(None, _PLAIN) or text.count(b"*") != text.count(b"\n*.") or text.count(b"\n") != len(names):
        return None
    # Backwards, since a line is then left behind its second label.
    return _ENDS.findall(text[::-1])[::-1]


def readings(name: bytes, *, is_cn: bool) -> tuple[str, ...]:
    """The host names that software might read into the bytes of a dNSName or common name; the plain one first.

    Lower case, without the dots at its end, A-labels. Others are read up to a NUL, without a scheme, up to a slash or
    port, around white space, as UTF-8 and as Latin-1.
    """
    texts = [name.decode("ascii")] if name.isascii() else _decoded(name)
    found: dict[str, None] = {}
    pieces = (piece.lower().rstrip(".。．｡") for text in texts for piece in _pieces(text, is_cn=is_cn))
    for piece in dict.fromkeys(pieces):
        found.setdefault(".".join(_a_label(label) for label in _DOTS.split(piece)))
    found.pop("", None)
    return tuple(found)


def _pieces(text: str, *, is_cn: bool) -> Iterator[str]:
    text = text.strip(" \t\r\n\f\v")
    bare = _SCHEME.sub("", text.lower())
    for whole in dict.fromkeys((text, bare, bare.partition("\0")[0])):
        yield whole
        host = whole.partition("/")[0]
        yield host
        yield _PORT.sub("", host)
        # A common name with spaces is a sentence, one with an @ an address of mail; a dNSName with spaces is a list by
        # somebody who knew no better, and one with an @ has a user in front.
        if not is_cn:
            yield from re.split(r"[\s,;@]+", host)


def _decoded(name: bytes) -> list[str]:
    try:
        return [name.decode("utf-8"), name.decode("latin-1")]
    except UnicodeDecodeError:
        return [name.decode("latin-1")]


@lru_cache(maxsize=4096)
def _a_label(label: str) -> str:
    if label.isascii():
        return label
    import idna  # its tables are read only for the few names that need them

    try:
        return idna.encode(label, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return "xn--" + label.lower().encode("punycode").decode("ascii")


def _children(place: dict[str, Any], label: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Where *label* leads. A wildcard, a redacted label and one of unprintable letters lead everywhere."""
    if label in ("*", "?") or not label.isprintable():
        for key, child in place.items():
            if key is not _END:
                yield child, False
    elif "*" in label:
        before, _, after = label.partition("*")
        after = after.rpartition("*")[2]
        for key, child in place.items():
            if key is not _END and key.startswith(before) and key.endswith(after):
                yield child, False
    elif label in place:
        yield place[label], True


def _tree(domains: Iterable[str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for domain in domains:
        place = root
        for label in reversed(domain.split(".")):
            place = place.setdefault(label, {})
        place[_END] = domain
    return root


def _ends(domains: Iterable[str]) -> Iterator[bytes]:
    """What follows the last dot but one of every plain name that touches a watched domain, backwards as _ENDS cuts it.

    Also with a dot at the name's end, or several, and for a wildcard right below a top-level domain.
    """
    yield b"."
    for domain in domains:
        last = domain.rpartition(".")[2]
        for end in (".".join(domain.split(".")[-2:]), f"{last}.", f"*.{last}"):
            yield end.encode()[::-1]


def _packed(address: IPv4Address | IPv6Address) -> tuple[bytes, ...]:
    """The address as certificates hold it; IPv4 also as an IPv4-mapped IPv6 address, and the other way round."""
    if isinstance(address, IPv4Address):
        return address.packed, b"\0" * 10 + b"\xff\xff" + address.packed
    mapped = address.ipv4_mapped
    return (address.packed, mapped.packed) if mapped else (address.packed,)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return ip_address(text)
    except ValueError:
        return None
