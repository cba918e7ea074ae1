"""What CAA and TLSA records say of the certificates served. Pure.

CAA (RFC 8659): may the authority that issued the leaf do it again? TLSA (RFC 6698, RFC 7672): does the chain match?
"""

from __future__ import annotations

import hashlib
import re

from probes.observed import Published
from probes.pki.certificate import Certificate, parse
from probes.values import value

# What the big authorities call themselves, and the domains they look for in CAA (their certification practice).
_AUTHORITIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("let's encrypt", ("letsencrypt.org",)),
    ("google trust services", ("pki.goog",)),
    ("zerossl", ("sectigo.com",)),
    ("sectigo", ("sectigo.com", "comodoca.com", "comodo.com", "usertrust.com", "trust-provider.com")),
    ("comodo", ("sectigo.com", "comodoca.com", "comodo.com", "usertrust.com")),
    ("usertrust", ("sectigo.com", "comodoca.com", "comodo.com", "usertrust.com")),
    ("digicert", ("digicert.com", "www.digicert.com", "symantec.com", "geotrust.com", "rapidssl.com", "thawte.com")),
    ("globalsign", ("globalsign.com",)),
    ("amazon", ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com")),
    ("godaddy", ("godaddy.com", "starfieldtech.com")),
    ("starfield", ("starfieldtech.com", "godaddy.com")),
    ("entrust", ("entrust.net", "affirmtrust.com")),
    ("buypass", ("buypass.com", "buypass.no")),
    ("ssl corp", ("ssl.com",)),
    ("actalis", ("actalis.it",)),
    ("hellenic academic", ("harica.gr",)),
    ("certum", ("certum.pl", "certum.eu")),
    ("asseco", ("certum.pl", "certum.eu")),
    ("swisssign", ("swisssign.com",)),
    ("identrust", ("identrust.com",)),
    ("microsoft", ("microsoft.com",)),
)
_CAA = re.compile(r'(\d{1,3}) ([A-Za-z0-9]+) "?(.*?)"?')
_KNOWN_TAGS = {"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone", "issuevmc"}


@value
class _Property:
    critical: bool
    tag: str
    domain: str  # of issue and issuewild, without parameters; "" allows nobody


def _properties(found: Published) -> list[_Property]:
    read = [match for record in found.records if (match := _CAA.fullmatch(record))]
    return [
        _Property(critical=bool(int(m[1]) & 128), tag=m[2].lower(), domain=m[3].partition(";")[0].strip().lower())
        for m in read
    ]


def authority_domains(leaf: Certificate) -> tuple[str, ...]:
    """The CAA domains of the authority that issued *leaf*; () for one that is not known here."""
    return domains_of(leaf.issuer)


def domains_of(issuer: str) -> tuple[str, ...]:
    """The same by the issuer's distinguished name (RFC 4514 text)."""
    issuer = issuer.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return next((domains for name, domains in _AUTHORITIES if name in issuer), ())


def caa_line(found: Published, leaf: Certificate) -> str:
    """What CAA means for a renewal of *leaf* by the same authority, as one line of evidence."""
    place = f"CAA of {found.name}"
    if found.dnssec == "bogus":
        return f"{place}: DNSSEC does not validate, so certificate authorities refuse to issue (RFC 8659 section 3)"
    if found.failure is not None:
        return f"{place}: cannot be looked up ({found.failure}); where authorities meet the same, they refuse to issue"
    properties = _properties(found)
    unknown = [each.tag for each in properties if each.critical and each.tag not in _KNOWN_TAGS]
    if unknown:
        return f"{place}: the critical property “{unknown[0]}” is known to no authority, so all refuse to issue"
    wild = [each for each in properties if each.tag == "issuewild"]
    only_wild = bool(leaf.dns_names) and all(name.startswith("*.") for name in leaf.dns_names)
    holding = wild if wild and only_wild else [each for each in properties if each.tag == "issue"]
    if not holding:
        return (
            f"{place}: no record, so every authority may issue" if not properties else f"{place}: no limit on issuing"
        )
    allowed = sorted({each.domain for each in holding if each.domain})
    if not allowed:
        return f"{place} allows nobody to issue: no renewal can succeed"
    own = authority_domains(leaf)
    listed = ", ".join(allowed[:6])
    if not own:
        return f"{place} allows {listed}"
    if set(own) & set(allowed):
        return f"{place} allows {listed}, the issuer seen among them"
    return f"{place} allows {listed} alone, and not {own[0]}, which issued this certificate: a renewal there is refused"


# ── DANE ────────────────────────────────────────────────────────────────────────


def matches(record: str, chain: tuple[bytes, ...]) -> bool | None:
    """Does *record* (`usage selector matching hex`) match *chain*, leaf first? None: mail servers cannot use it.

    RFC 7672 section 3.1: for SMTP, usages 0 and 1 are unusable.
    """
    words = record.split()
    if len(words) < 4 or not all(word.isdigit() for word in words[:3]):
        return None
    usage, selector, matching = map(int, words[:3])
    association = "".join(words[3:]).lower()
    if usage not in {2, 3} or selector not in {0, 1} or matching not in {0, 1, 2}:
        return None
    parsed = [each for each in map(parse, chain[:1] if usage == 3 else chain) if isinstance(each, Certificate)]
    return any(_selected(each, selector, matching) == association for each in parsed)


def _selected(certificate: Certificate, selector: int, matching: int) -> str:
    data = certificate.der if selector == 0 else certificate.spki
    if matching == 0:
        return data.hex()
    return hashlib.sha256(data).hexdigest() if matching == 1 else hashlib.sha512(data).hexdigest()


def dane_mismatch(found: Published, chain: tuple[bytes, ...]) -> str | None:
    """Why a mail server that checks DANE would not deliver here, or None: it matches, or nothing usable is there."""
    place = f"TLSA at {found.name}"
    if found.dnssec == "bogus":
        return f"{place}: DNSSEC does not validate, so senders that check DANE defer their mail"
    told = {record: matches(record, chain) for record in found.records}
    usable = [record for record, matched in told.items() if matched is not None]
    if not usable or any(told.values()) or not chain:
        return None
    short = "; ".join(_short(record) for record in usable[:3])
    heed = "senders that check DANE do not deliver" if found.dnssec == "secure" else "unsigned, so nobody heeds it yet"
    return f"{place} ({short}) matches no certificate served: {heed}"


def _short(record: str) -> str:
    usage, selector, matching, *rest = record.split()
    return f"{usage} {selector} {matching} {''.join(rest)[:16]}…"
