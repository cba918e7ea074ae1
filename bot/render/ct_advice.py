"""What people made of an issuance, what to do about it, and what incidents say of certificates in logs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.issuances import Case, Issued, Shown
from bot.model import Content, Entry, Incident
from bot.render import words
from bot.render.ct_caa import caa_step
from bot.render.ct_issuance import expected_after_all
from bot.render.incident import named, when
from bot.render.limits import code, context, cut, fit, section


def approved(user: str, issued: Issued, what: str, domains: Sequence[str], others: int) -> Content:
    """One line in the thread."""
    where = words.listed((code(each, 100) for each in domains), 3)
    remembered = {
        "ca": f" Certificates of {code(issued.ca, 80)} for {where} are not told any more.",
        "key": f" Certificates for {where} with this key are not told any more.",
    }.get(what, "")
    more = f" That settles {words.counted(others, 'other message')} as well." if others else ""
    return fit("Expected", [context(f"✅ <@{user}>: expected.{remembered}{more}")])


def answered_already(case: Case, incident: Incident | None, user: str) -> Content:
    who = "You have" if case.answered_by == user else f"<@{case.answered_by}> has"
    if case.state == "investigated":
        name = named(incident) if incident is not None else "an incident"
        text = f"{who} opened {name} for this certificate already: it is this message."
    else:
        text = f"{who} said already that this certificate was expected."
    return fit(text, [section(text)])


def gone() -> Content:
    return words.answer("I no longer know the certificate behind this button. `/tls ct list` shows what waits.")


def what_to_do(shown: Shown, incident: Incident, user: str) -> Content:
    """In the thread of an incident that was opened to investigate."""
    issued, case = shown.issued, shown.case
    ca, domain = code(issued.ca or "the CA", 100), case.domains[0]
    own = ca_domains(issued.issuer)
    steps = [
        f"*1. Ask who asked.* Whoever runs {code(domain, 100)}, its CDN, its mail and its hosting: a provider that was "
        "given a CNAME or a zone may request certificates by itself. If so, say here that it was expected, and resolve "
        "the incident.",
        f"*2. Find how control was shown.* Look for changes of zone and hosts around {when(issued.logged_at)}: "
        f"records below {code('_acme-challenge.' + domain, 130)}, name servers, dangling CNAMEs, files below "
        f"{code('/.well-known/acme-challenge/')}.",
        f"*3. Have it revoked.* Write to {ca} with the serial number {code(issued.serial or '?', 80)} and the evidence "
        "in this thread. A CA must answer a problem report within 24 hours (CA/B Baseline Requirements 4.9.3, 4.9.5); "
        f"its address is in its certification practice statement{_contact(own)}.",
        caa_step(domain, shown.caa),
        "*5. Look for its use.* Where the key is a stranger's, names that lead elsewhere (DNS, hijacked routes) are "
        f"what it is good for: {code('/tls check ' + _host(issued, domain), 160)} shows what is served now.",
    ]
    head = f"<@{user}> opened {named(incident)}. What to do:"
    first, *further = (section(cut(step, 2900)) for step in steps)
    first["accessory"] = expected_after_all(case, issued)
    return fit(f"What to do about {named(incident)}", [section(head), first, *further])


def _contact(own: Sequence[str]) -> str:
    if not own:
        return " and in CCADB's list of problem reporting mechanisms (ccadb.org)"
    return f" (begin at {code(own[0])}) and in CCADB's list of problem reporting mechanisms (ccadb.org)"


def _host(issued: Issued, domain: str) -> str:
    return next((each.name for each in issued.matches if each.how == "name" and "*" not in each.name), domain)


def entry(issued: Issued) -> str:
    """A line of an incident's timeline."""
    name = next((each.name for each in issued.matches), "") or (issued.names[0] if issued.names else "?")
    return f"🔖 a new certificate for {name[:120]} by {(issued.ca or 'an unreadable issuer')[:80]} was logged"


def timeline_entry(issued: Issued) -> Entry:
    """The same, as an incident's timeline keeps it: at the time when it was logged."""
    return Entry(key=f"ct:{issued.tbs[:32]}", kind="verdict", at=issued.logged_at, user="", text=entry(issued))


def appeared(issued: Issued, host: str, at: datetime, what: str = "the failure") -> str:
    """What *What changed* says of an issuance, beside *what* happened *at* a time."""
    is_before = issued.logged_at <= at
    beside = f"{words.span(abs(at - issued.logged_at))} {'before' if is_before else 'after'} {what}"
    until = f", valid until {issued.not_after:%Y-%m-%d}" if issued.not_after else ""
    return (
        f"A new certificate for {code(host, 120)} appeared in Certificate Transparency {beside}: by "
        f"{code(issued.ca or 'an unreadable issuer', 80)}{until}, serial {code(issued.serial or '?', 60)}"
    )


def ca_domains(issuer: str) -> tuple[str, ...]:
    """What the issuer's CA looks for in CAA records."""
    from probes.published import domains_of

    return domains_of(issuer)
