"""Names that look like a watched domain: for a digest line, never for an alarm.

Compared is the label that somebody registered: written with letters that look alike, with one letter changed, left
out, put in or swapped, or the same below another top-level domain. Short labels have too many honest neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from probes.ct.suffixes import LONGEST_SECOND_LEVEL, is_public_suffix, registrable
from probes.ct.walk import Names
from probes.ct.watchset import readings

Why = Literal["confusable", "one edit", "another TLD"]
SHORTEST_LABEL = 4
SHORTEST_EDITED = 5
# In a text of names written backwards, each before a line feed: the last label, and the two in front of it.
_LABELS = re.compile(rb"([^.\n]*)\.?([^.\n]*)\.?([^.\n]*)[^\n]*\n")
# Letters of other scripts that are drawn like Latin ones in common fonts: the lower-case letters of Unicode's
# confusables data (UTS #39, "intentional" and "confusables") that may stand in a host name. Accents go by
# decomposition (NFKD).
_LETTERS = str.maketrans(
    {
        **dict(zip("асеоріјѕухһԁԛԝӏкмтпгвьѵнґ", "aceopijsyxhdqwlkmtnrbbvhr", strict=True)),  # Cyrillic
        **dict(zip("αβγεηικνορτυχωσ", "abyenikvoptuxwo", strict=True)),  # Greek
        **dict(zip("ոսօհցզք", "nuohgqp", strict=True)),  # Armenian
        **dict(zip("ıɩłøđðħɑɡɢʀʏƅƒƙŧʋ", "iiloddhaggrybfktu", strict=True)),  # Latin beyond ASCII
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookalike:
    """A name in a certificate that looks like *domain* without being it or below it."""

    name: str
    domain: str
    why: Why


class Lookalikes:
    """The watched domains, made ready for look-ups: by label, by skeleton, and by what is left when one letter goes.

    Two labels one edit apart leave the same rest when the right letter is taken from each, or one is the other's rest.
    """

    __slots__ = ("_heads", "_labels", "_own", "_rests", "_skeletons", "_tails")

    def __init__(self, domains: Iterable[str]) -> None:
        self._own = {registrable(domain) for domain in domains if not is_public_suffix(domain)}
        self._labels: dict[str, str] = {}
        self._skeletons: dict[str, str] = {}
        self._rests: dict[str, tuple[str, ...]] = {}
        for domain in sorted(self._own):
            label = domain.partition(".")[0]
            if len(label) < SHORTEST_LABEL or domain.rpartition(".")[2].isdigit():
                continue
            self._labels.setdefault(label, domain)
            self._skeletons.setdefault(skeleton(label), domain)
            if len(label) >= SHORTEST_EDITED:
                for rest in _rests(label):
                    self._rests[rest] = (*self._rests.get(rest, ()), domain)
        # One edit leaves the first two letters of a label of five alone, or the last two.
        edited = [label for label in self._labels if len(label) >= SHORTEST_EDITED]
        self._heads = {label[:2] for label in edited}
        self._tails = {label[-2:] for label in edited}

    def touching(self, names: Sequence[bytes]) -> list[int]:
        """Which of these names may look like a watched domain; the others do not. A quick look: letters beyond ASCII
        may, all of them."""
        text = b"\n" + b"\n".join(names).lower()
        found = _LABELS.findall(text[::-1])[::-1]
        if len(found) != len(names) or not text.isascii():
            return [at for at, name in enumerate(names) if not name.isascii() or self.match(Names(dns=(name,)))]
        # The third label from the end is the registered one only where the second is part of a public suffix.
        labels = {second for _, second, _ in found}
        labels |= {third for _, second, third in found if len(second) <= LONGEST_SECOND_LEVEL}
        similar = {label for label in labels if self._resembles(label)}
        return [at for at, (_, *two) in enumerate(found) if not similar.isdisjoint(two)] if similar else []

    def match(self, names: Names) -> tuple[Lookalike, ...]:
        """What looks like a watched domain among these names, each pair once."""
        found: dict[tuple[str, str], Lookalike] = {}
        for name in (*names.dns, *names.cns):
            for reading in readings(name, is_cn=False)[:1]:
                similar = self._similar(reading)
                if similar:
                    found.setdefault((similar.name, similar.domain), similar)
        return tuple(found.values())

    def _resembles(self, backwards: bytes) -> bool:
        label = backwards[::-1].decode("latin-1")
        return self._imitated(label) is not None

    def _similar(self, name: str) -> Lookalike | None:
        domain = registrable(name)
        if domain in self._own or is_public_suffix(domain):
            return None
        imitated = self._imitated(domain.partition(".")[0])
        return Lookalike(name=name, domain=imitated[0], why=imitated[1]) if imitated else None

    def _imitated(self, label: str) -> tuple[str, Why] | None:
        if len(label) < SHORTEST_LABEL:
            return None
        if label in self._labels:
            return self._labels[label], "another TLD"
        drawn = skeleton(label) if label.startswith("xn--") else _plain_skeleton(label)
        if drawn in self._skeletons:
            return self._skeletons[drawn], "confusable"
        if label[:2] not in self._heads and label[-2:] not in self._tails:
            return None
        for rest in _rests(label):
            for domain in self._rests.get(rest, ()):
                if _one_edit(label, domain.partition(".")[0]):
                    return domain, "one edit"
        return None


def lookalikes(domains: str | Iterable[str]) -> Lookalikes:
    """A matcher for one domain or many."""
    return Lookalikes([domains] if isinstance(domains, str) else domains)


@lru_cache(maxsize=4096)
def skeleton(label: str) -> str:
    """The label in the letters that it is drawn like: the same for labels that people take for each other."""
    if label.startswith("xn--"):
        try:
            label = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            return label
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", label.lower()) if not unicodedata.combining(letter)
    )
    return _plain_skeleton(plain.translate(_LETTERS))


def _plain_skeleton(label: str) -> str:
    """skeleton for ASCII: the digits, and pairs of letters that are drawn like one."""
    return label.replace("0", "o").replace("1", "l").replace("rn", "m").replace("vv", "w")


def _rests(label: str) -> list[str]:
    """The label, and what is left of it without each of its letters."""
    return [label, *(label[:at] + label[at + 1 :] for at in range(len(label)))]


def _one_edit(one: str, other: str) -> bool:
    """Is *other* one letter changed, put in, left out, or two neighbours swapped away from *one*?"""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    if len(one) == len(other):
        swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
        return swapped or one[at + 1 :] == other[at + 1 :]
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return longer[at + 1 :] == shorter[at:]
