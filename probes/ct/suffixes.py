"""Where anybody may register: a sanity rule and no public suffix list.

A wrong answer costs little: it keeps somebody from watching a whole country's `co` by mistake, and it finds the label
that look-alikes imitate. The real list (publicsuffix.org) changes weekly; these are the two-level suffixes of large
registries, by their published policies.
"""

from __future__ import annotations

# Second-level labels below which most country registries that use them register names.
_COMMON = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gouv", "mil", "net", "nom", "or", "org", "sch"})
_OTHERS = {
    "uk": frozenset({"ltd", "me", "nhs", "plc", "police"}),
    "au": frozenset({"asn", "id"}),
    "jp": frozenset({"ad", "ed", "go", "gr", "lg", "ne"}),
    "nz": frozenset({"geek", "gen", "govt", "iwi", "kiwi", "maori", "school"}),
    "br": frozenset({"adv", "art", "blog", "eco", "ind", "log", "tv"}),
    "in": frozenset({"firm", "gen", "ind", "nic", "res"}),
    "kr": frozenset({"go", "ne", "pe", "re"}),
    "tw": frozenset({"idv", "club", "game"}),
    "hk": frozenset({"idv"}),
    "tr": frozenset({"biz", "bel", "gen", "info", "k12", "name", "web"}),
    "za": frozenset({"law", "nis", "web"}),
    "th": frozenset({"go", "in", "mi"}),
    "id": frozenset({"biz", "go", "my", "web"}),
    "ve": frozenset({"web"}),
    "pl": frozenset({"info", "waw"}),
    "ua": frozenset({"biz", "in", "kiev"}),
    "il": frozenset({"k12", "muni"}),
    "fr": frozenset({"asso", "tm"}),
    "at": frozenset({"gv", "priv"}),
    "com": frozenset({"hu", "uk", "us", "eu", "de"}),
    "net": frozenset({"gb", "uk", "se"}),
}
_COUNTRY_CODE = 2
LONGEST_SECOND_LEVEL = max(map(len, _COMMON.union(*_OTHERS.values())))


def is_public_suffix(domain: str) -> bool:
    """Is this a top-level domain, or a known two-level suffix below which anybody registers?"""
    labels = domain.split(".")
    if len(labels) == 1:
        return True
    if len(labels) != 2:
        return False
    label, country = labels
    return (label in _COMMON and len(country) == _COUNTRY_CODE) or label in _OTHERS.get(country, ())


def registrable(domain: str) -> str:
    """The part that somebody registered: one label below the public suffix."""
    labels = domain.split(".")
    count = 3 if len(labels) > 2 and is_public_suffix(".".join(labels[-2:])) else 2
    return ".".join(labels[-count:])
