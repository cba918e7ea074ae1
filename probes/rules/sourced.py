"""What the rules about revocation share: which sources are at fault and where, their lines, the command that asks again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import quote

from probes.clients import FAMILIES, FAMILY
from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Severity, shown
from probes.pki.certificate import Certificate
from probes.pki.judge import ChainFacts
from probes.pki.ocsp import get_url, request
from probes.rules.phrase import addresses, date, listed, many, quoted, s_client, subject, where
from probes.standing import NOUN, SLOW_MS, Source
from probes.values import value

_IN_URLS = "!#$%&'()*+,/:;=?@[]-._~"  # RFC 3986 section 2.2 and 2.3, and what is encoded already
_TIMED = r"%{stderr}HTTP %{http_code} after %{time_total} s\n"
Pick = Callable[[Look, ChainFacts], tuple[Source, ...]]


@value
class Sourced:
    """The sources that one complaint is about, each once, and the addresses that serve the certificates concerned."""

    sources: tuple[Source, ...]
    looks: tuple[Look, ...]

    @property
    def first(self) -> Source:
        return self.sources[0]

    @property
    def place(self) -> str:
        return where(self.looks)

    def evidence(self, more: tuple[str, ...] = ()) -> tuple[str, ...]:
        concerned = dict.fromkeys(each.certificate for each in self.sources)
        serving = (
            f"{look.address} serves {named(look, each)}, serial {each.serial:x}"
            for look in self.looks[:3]
            for each in list(concerned)[:2]
        )
        return (*more, *(told(each) for each in self.sources[:4]), *serving)


def sourced(facts: Facts, pick: Pick) -> Sourced | None:
    """Everything that *pick* complains of, over all chains of all addresses; None when there is nothing."""
    found: dict[Source, None] = {}
    looks: dict[Look, None] = {}
    for look in facts.looks:
        for chain, _ in look.chains:
            picked = pick(look, facts.chain(look, chain))
            found.update(dict.fromkeys(picked))
            if picked:
                looks[look] = None
    return Sourced(sources=tuple(found), looks=tuple(looks)) if found else None


def named(look: Look, certificate: Certificate) -> str:
    """The certificate in words: as the leaf of this address, or as one above it."""
    kind = "the intermediate " if certificate.is_ca and certificate != look.leaf else ""
    return f"{kind}“{subject(certificate)}”"


def title(source: Source) -> str:
    """ "OCSP responder http://…", "staple"."""
    return f"{NOUN[source.kind]} {shown(source.url, 160)}".strip()


def times(source: Source) -> str:
    """The samples in words: "120, 80 and 95 ms", those that brought nothing counted."""
    took = [f"{each:.0f} ms" for each in source.samples_ms if each is not None]
    lost = f"{source.missed} of {many(len(source.samples_ms), 'try', 'tries')} brought nothing" if source.missed else ""
    return "; ".join(part for part in (", ".join(took), lost) if part)


def size(octets: int) -> str:
    return f"{octets / 1024:.0f} KB" if octets >= 1024 else many(octets, "byte")


def told(source: Source) -> str:
    """One source as one line of evidence: what it said, who signed that, when, how large, how fast."""
    status = source.status
    said = [source.why if source.outcome not in {"good", "slow"} or status is None else "good"]
    if status is not None:
        if status.signer:
            said.append(f"signed by {shown(status.signer, 80)}")
        if status.this_update is not None:
            until = f" until {date(status.next_update)}" if status.next_update is not None else ", without nextUpdate"
            said.append(f"of {date(status.this_update)}{until}")
        if source.kind == "crl":
            entries = f", {many(status.entries, 'entry', 'entries')}" if status.entries is not None else ""
            said.append(f"{size(status.size)}{entries}")
    elif source.received:
        said.append(f"{size(source.received)} had come by then")
    if source.samples_ms:
        said.append(times(source))
    return f"{title(source)} about “{subject(source.certificate)}”: {'; '.join(said)}"


def again(source: Source, look: Look) -> str:
    """The command that asks this source again and shows what it says."""
    if source.kind == "staple" or source.issuer is None:
        return f"{s_client(look, '-status')} 2>/dev/null | sed -n '/OCSP/,/^---/p'"
    if source.kind == "crl":
        return f"{_curl(source.url)} | openssl crl -inform DER -noout -issuer -lastupdate -nextupdate"
    question = request(source.certificate, source.issuer)
    show = "openssl ocsp -respin /dev/stdin -noverify -text"
    url = get_url(source.url, question)
    if url is not None:
        return f"{_curl(url)} | {show}"
    typed = _curl(source.url, "-H", "Content-Type: application/ocsp-request", "--data-binary", "@-")
    return f"echo {base64.b64encode(question).decode('ascii')} | base64 -d | {typed} | {show}"


def _curl(url: str, *options: str) -> str:
    # A certificate chose the URL: what no URL holds is encoded, and no [ranges] of it are fetched one by one (-g).
    plain = quote(url, safe=_IN_URLS)
    return quoted("curl", "-gsS", "--max-time", "20", "-w", _TIMED, *options, plain)


def checking(*kinds: str) -> str:
    """The labels of the families that check revocation so: "Safari, .NET"."""
    labels = [family.label for family in FAMILIES if family.checks_revocation in kinds]
    return listed(labels, 4)


def any_current(families: tuple[str, ...]) -> bool:
    return any(FAMILY[name].current for name in families)


# ── OCSP and CRL are twins ──────────────────────────────────────────────────────

Kind = Literal["ocsp", "crl"]


def unreachable(facts: Facts, kind: Kind, *, explain: Callable[[Sourced], str], fix: str) -> Iterator[Finding]:
    """At most one finding: the sources of one kind that give no answer a client can use.

    Where another source of that kind serves the same certificate, or most tries got through, it is a notice.
    """
    found = sourced(facts, lambda _, known: (*facts.standings.failing(known, kind), *_flapping(facts, known, kind)))
    if found is None:
        return
    lone = [each for each in found.sources if not _has_other(facts, each, lambda other: other.answers)]
    grave = [each for each in lone if not each.answers or each.missed * 2 > len(each.samples_ms)]
    yield _finding(facts, f"revocation.{kind}-unreachable", found, bool(grave), explain, fix)


def slow(facts: Facts, kind: Kind, *, explain: Callable[[Sourced], str], fix: str) -> Iterator[Finding]:
    """At most one finding: the sources of one kind that take over two seconds.

    A notice where another source of that kind is quick, or where the median is good and only the tail is long.
    """

    def late(_: Look, known: ChainFacts) -> tuple[Source, ...]:
        asked = facts.standings.asked(known)
        return tuple(each for each in asked if each.kind == kind and each.answers and _is_late(each))

    found = sourced(facts, late)
    if found is None:
        return
    grave = [each for each in found.sources if each.is_slow and not _has_other(facts, each, lambda s: not _is_late(s))]
    ordered = sorted(found.sources, key=lambda each: each not in grave)
    found = Sourced(sources=tuple(ordered), looks=found.looks)
    yield _finding(facts, f"revocation.{kind}-slow", found, bool(grave), explain, fix)


def _finding(
    facts: Facts, code: str, found: Sourced, grave: bool, explain: Callable[[Sourced], str], fix: str
) -> Finding:
    failing = facts.fails_for(code, found.looks)
    severity: Severity = "warning" if grave else "notice"
    return Finding(
        code=code,
        severity="critical" if any_current(failing) else severity,
        explanation=explain(found),
        evidence=found.evidence(),
        addresses=addresses(found.looks),
        fails_for=failing,
        fix=fix,
        next_command=again(found.first, found.looks[0]),
    )


def _is_late(source: Source) -> bool:
    return source.is_slow or source.worst_ms > SLOW_MS


def _flapping(facts: Facts, known: ChainFacts, kind: Kind) -> tuple[Source, ...]:
    """Sources that answer, but not every time."""
    asked = facts.standings.asked(known)
    return tuple(each for each in asked if each.kind == kind and each.answers and each.status and each.missed)


def _has_other(facts: Facts, source: Source, fit: Callable[[Source], bool]) -> bool:
    """Is there another source of this kind for the same certificate that answers, and is *fit*?"""
    return any(
        other.answers and fit(other)
        for other in facts.standings.sources
        if (other.kind, other.certificate) == (source.kind, source.certificate) and other.url != source.url
    )
