"""What CAA said when a certificate was issued: RFC 8659, with accounts and methods of RFC 8657. Pure.

`probes.published` judges the next renewal by the same authority; here one issuance is judged: by whom, for which name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from probes.observed import Published
from probes.values import value

CaaVerdict: TypeAlias = Literal["none", "allowed", "restricted", "forbidden", "unknown", "failed"]
_RECORD = re.compile(r'(\d{1,3}) ([A-Za-z0-9]+) "?(.*?)"?')
_KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone", "issuevmc"})
_PARAMETER = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9-]*)\s*=\s*([\x21-\x3a\x3c-\x7e]*)\s*")


@value
class Permission:
    """One `issue` or `issuewild` property. Empty `issuer`: nobody. `parameters` that cannot be read make it hold for
    nobody (`is_broken`, RFC 8659 section 4.2)."""

    issuer: str
    account: str = ""
    methods: tuple[str, ...] = ()
    is_broken: bool = False


@value
class Finding:
    """What CAA says of one name. `at`: where the records stand. `allowed`: who may issue.

    `none`: no record limits it. `restricted`: allowed for an account or by a method, which the certificate does not
    tell. `unknown`: whether its CA is among the allowed is not known. `failed`: no answer, `why` says which.
    """

    name: str
    verdict: CaaVerdict
    at: str = ""
    allowed: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    why: str = ""


def judged(name: str, found: Published, ca_domains: Sequence[str]) -> Finding:
    """Whether a CA whose CAA domains are *ca_domains* (none: not known) might issue for *name* by *found*."""
    if found.dnssec == "bogus":
        return Finding(name=name, verdict="failed", at=found.name, why="DNSSEC does not validate, so no CA may issue")
    if found.failure is not None:
        return Finding(name=name, verdict="failed", at=found.name, why=found.failure)
    properties = [match for record in found.records if (match := _RECORD.fullmatch(record))]
    unknown = next((m[2] for m in properties if int(m[1]) & 128 and m[2].lower() not in _KNOWN_TAGS), None)
    if unknown is not None:
        why = f"the critical property “{unknown[:30]}” is known to no CA"
        return Finding(name=name, verdict="forbidden", at=found.name, why=why)
    wild = [m for m in properties if m[2].lower() == "issuewild"]
    plain = [m for m in properties if m[2].lower() == "issue"]
    holding = [permission(m[3]) for m in (wild if wild and name.startswith("*.") else plain)]
    if not holding:
        return Finding(name=name, verdict="none", at=found.name if properties else "")
    allowed = tuple(sorted({each.issuer for each in holding if each.issuer and not each.is_broken}))
    own = [each for each in holding if each.issuer in ca_domains and not each.is_broken]
    if not allowed or (ca_domains and not own):
        return Finding(name=name, verdict="forbidden", at=found.name, allowed=allowed)
    concerned = own or [each for each in holding if not each.is_broken]
    accounts = tuple(dict.fromkeys(each.account for each in concerned if each.account))
    methods = tuple(dict.fromkeys(method for each in concerned for method in each.methods))
    verdict: CaaVerdict = "allowed"
    if not ca_domains:
        verdict = "unknown"
    elif all(each.account or each.methods for each in own):
        verdict = "restricted"
    return Finding(name=name, verdict=verdict, at=found.name, allowed=allowed, accounts=accounts, methods=methods)


def permission(value: str) -> Permission:
    """The value of an `issue` or `issuewild` property (RFC 8659 section 4.2, RFC 8657 sections 3 and 4)."""
    domain, *rest = value.replace('\\"', '"').split(";")
    given: dict[str, list[str]] = {}
    is_broken = False
    for part in rest:
        if not part.strip():
            continue
        found = _PARAMETER.fullmatch(part)
        if found is None:
            is_broken = True
        else:
            given.setdefault(found[1].lower(), []).append(found[2])
    # More than one accounturi can be met by no request (RFC 8657 section 3).
    is_broken = is_broken or len(given.get("accounturi", ())) > 1 or len(given.get("validationmethods", ())) > 1
    return Permission(
        issuer=domain.strip().rstrip(".").lower(),
        account=next(iter(given.get("accounturi", ())), ""),
        methods=tuple(filter(None, next(iter(given.get("validationmethods", ())), "").split(","))),
        is_broken=is_broken,
    )
