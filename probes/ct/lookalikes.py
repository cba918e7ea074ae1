"""Names that look like a watched domain: for a digest line, never for an alarm.

Compared is the label that somebody registered: written with letters that look alike, with one letter changed, left
out, put in or swapped, or the same below another top-level domain. Short labels have too many honest neighbours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from probes.ct.suffixes import LONGEST_SECOND_LEVEL, is_public_suffix, registrable
from probes.ct.walk import Names
from probes.ct.watchset import ends_of, is_plain, readings

Why = Literal["confusable", "one edit", "another TLD"]
SHORTEST_LABEL = 4
SHORTEST_EDITED = 5
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

    __slots__ = ("_labels", "_near", "_own", "_rests", "_skeletons")

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
        self._near = _near(label for label in self._labels if len(label) >= SHORTEST_EDITED)

    def touching(self, names: Sequence[bytes], ends: list[bytes] | None = None) -> list[int]:
        """Which of these names may look like a watched domain; the others do not. A quick look: what is not plain may,
        all of it. *ends*: their ends_of, if it is known."""
        ends = ends or ends_of(names)
        if ends is None:
            plain = [at for at, name in enumerate(names) if is_plain(name)]
            similar = {plain[at] for at in self.touching([names[at] for at in plain])}
            return sorted(similar.union(range(len(names))) - (set(plain) - similar))
        found: set[bytes] = set()
        deep: set[bytes] = set()  # the registered label is the third from the end
        for end in set(ends):
            last, _, label = end.partition(b".")
            if 0 < len(label) <= LONGEST_SECOND_LEVEL and is_public_suffix(end[::-1].decode()):
                deep.add(end)
            elif not last or self._imitated(label[::-1].decode()):
                found.add(end)
        if deep:
            return self._touching_deep(names, ends, found, deep)
        return [at for at, end in enumerate(ends) if end in found] if found else []

    def _touching_deep(
        self, names: Sequence[bytes], ends: Sequence[bytes], found: set[bytes], deep: set[bytes]
    ) -> list[int]:
        seen: dict[bytes, bool] = {}
        touching = []
        for at, end in enumerate(ends):
            if end in deep:
                label = names[at].rsplit(b".", 3)[-3:][0]
                is_similar = seen.get(label)
                if is_similar is None:
                    is_similar = seen[label] = self._imitated(label.lower().decode()) is not None
                if is_similar:
                    touching.append(at)
            elif end in found:
                touching.append(at)
        return touching

    def match(self, names: Names) -> tuple[Lookalike, ...]:
        """What looks like a watched domain among these names, each pair once."""
        found: dict[tuple[str, str], Lookalike] = {}
        for name in (*names.dns, *names.cns):
            for reading in readings(name, is_cn=False)[:1]:
                similar = self._similar(reading)
                if similar:
                    found.setdefault((similar.name, similar.domain), similar)
        return tuple(found.values())

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
        length = len(label)
        heads, tails = self._near.get(length, _NONE)
        half = _half(length)
        if label[:half] not in heads and label[-half:] not in tails:
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


_NONE: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


def _half(length: int) -> int:
    """How many letters at the beginning or at the end of a label of *length* one edit always leaves alone."""
    return (length - 2) // 2


def _near(labels: Iterable[str]) -> dict[int, tuple[frozenset[str], frozenset[str]]]:
    """For each length of a label that may be one edit away: how it begins, unless it ends as one of these."""
    known = set(labels)
    near = {}
    for length in {len(label) + by for label in known for by in (-1, 0, 1)}:
        half = _half(length)
        alike = [label for label in known if abs(len(label) - length) <= 1]
        near[length] = (frozenset(label[:half] for label in alike), frozenset(label[-half:] for label in alike))
    return near


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
