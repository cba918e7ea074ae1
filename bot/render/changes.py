"""What changed between two checks of one endpoint, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.model import Content, PastCheck
from bot.render import words
from bot.render.limits import code, context, fit, foreign, section
from probes.model import EndpointReport, Report

_LINES = 12
_SLOWER = 2.0  # a factor, together with:
_SLOWER_MS = 50.0


def first_look(check: PastCheck, appeared: Sequence[str] = ()) -> Content:
    name = code(words.named(check.report.target))
    text = f"There is nothing to compare with yet: no earlier check of {name}, here or in a public channel."
    text += "".join(f"\n• {line}" for line in appeared)
    return fit(foreign(f"No earlier check of {words.named(check.report.target)}"), [section(text)])


def changed(old: PastCheck, new: PastCheck, appeared: Sequence[str] = ()) -> Content:
    """What is different now, most telling first. *appeared*: certificates that CT logs took meanwhile, in mrkdwn."""
    since = f"{words.clock(old.at)}, {words.span(new.at - old.at)} before"
    name = words.named(new.report.target)
    lines = [*appeared, *differences(old.report, new.report)]
    if not lines:
        state = words.STATUS[new.report.status] + (f", {code(new.report.cause)}" if new.report.cause else "")
        text = f"*Nothing changed* at {code(name)} since the last check ({since}): {state}."
        return fit(foreign(f"Nothing changed at {name}"), [section(text)])
    shown = lines[:_LINES]
    if len(lines) > _LINES:
        shown.append(f"… {len(lines) - _LINES} more; the raw reports have all")
    asked = f"asked by <@{old.user}>" if old.user else "made by the watch"
    blocks = [
        section(f"*What changed* at {code(name)}\n" + "\n".join(f"• {line}" for line in shown)),
        context(f"compared with the check of {since}, {asked}"),
    ]
    return fit(foreign(f"What changed at {name}: {words.counted(len(lines), 'difference')}"), blocks)


def differences(old: Report, new: Report) -> list[str]:
    """The differences as lines of mrkdwn; empty when there is none worth a line."""
    before = {endpoint.address: endpoint for endpoint in old.endpoints}
    after = {endpoint.address: endpoint for endpoint in new.endpoints}
    lines = [*_verdict(old, new), *_addresses(set(before), set(after))]
    by_line: dict[str, list[str]] = {}
    for address, endpoint in after.items():
        if address in before:
            for line in _endpoint(before[address], endpoint):
                by_line.setdefault(line, []).append(address)
    everywhere = len(after)
    for line, addresses in by_line.items():
        where = "" if len(addresses) == everywhere else f" (at {words.listed((code(a, 60) for a in addresses), 3)})"
        lines.append(f"{line}{where}")
    return lines


def _verdict(old: Report, new: Report) -> list[str]:
    lines = []
    if old.status != new.status:
        lines.append(
            f"Verdict: {words.SIGN[old.status]} {words.STATUS[old.status]} → "
            f"{words.SIGN[new.status]} {words.STATUS[new.status]}"
        )
    if old.cause != new.cause:
        lines.append(f"Cause: {_cause(old)} → {_cause(new)}")
    was, now = words.who(old), words.who(new)
    if was != now and was and now:
        lines.append(f"For whom: {was} → {now}")
    return lines


def _cause(report: Report) -> str:
    return code(report.cause) if report.cause else "none"


def _addresses(before: set[str], after: set[str]) -> list[str]:
    lines = []
    if after - before:
        lines.append(f"New addresses: {words.listed((code(a, 60) for a in sorted(after - before)), 6)}")
    if before - after:
        lines.append(f"Gone addresses: {words.listed((code(a, 60) for a in sorted(before - after)), 6)}")
    return lines


def _endpoint(old: EndpointReport, new: EndpointReport) -> list[str]:
    lines = []
    if old.connected != new.connected:
        lines.append("It accepts connections again" if new.connected else "It no longer accepts connections")
    elif old.failed_stage != new.failed_stage:
        lines.append(f"Handshake: {_stage(old)} → {_stage(new)}")
    lines += _certificate(old, new)
    for label, was, now in (
        ("TLS version", old.version, new.version),
        ("Cipher suite", old.cipher, new.cipher),
        ("Key exchange", old.group, new.group),
        ("ALPN", old.alpn, new.alpn),
    ):
        if was != now and (was is not None or now is not None) and old.connected and new.connected:
            lines.append(f"{label}: {_or_none(was)} → {_or_none(now)}")
    return [*lines, *_offered(old, new), *_tickets(old, new), *_timing(old, new)]


def _offered(old: EndpointReport, new: EndpointReport) -> list[str]:
    """What the server agrees to, where both checks looked at that."""
    if old.offered is None or new.offered is None:
        return []
    lines = []
    for label, was, now in (
        ("versions", old.offered.versions, new.offered.versions),
        ("cipher suites", old.offered.suites, new.offered.suites),
        ("key exchange groups", old.offered.groups, new.offered.groups),
    ):
        gone, come = [name for name in was if name not in now], [name for name in now if name not in was]
        told = [f"no longer {_names(gone)}"] * bool(gone) + [f"newly {_names(come)}"] * bool(come)
        if told:
            lines.append(f"Offered {label}: {', '.join(told)}")
    if old.offered.suites != new.offered.suites and set(old.offered.suites) == set(new.offered.suites):
        lines.append("Offered cipher suites: the same in another order")
    return lines


def _names(names: list[str]) -> str:
    return words.listed((code(name, 60) for name in names), 4)


def _tickets(old: EndpointReport, new: EndpointReport) -> list[str]:
    """Session tickets: whether they are given and honoured, and the name of the key that seals them."""
    lines = []
    for version in sorted(old.resumption.keys() & new.resumption.keys()):
        was, now = old.resumption[version], new.resumption[version]
        if was.key_name and now.key_name and was.key_name != now.key_name:
            lines.append(f"Ticket key ({version}): {code(now.key_name, 40)} instead of {code(was.key_name, 40)}")
        if was.offered != now.offered:
            lines.append(f"Session tickets ({version}): {'given again' if now.offered else 'no longer given'}")
        elif None not in (was.honoured, now.honoured) and was.honoured != now.honoured:
            lines.append(f"Session tickets ({version}): {'honoured again' if now.honoured else 'no longer honoured'}")
    return lines


def _stage(endpoint: EndpointReport) -> str:
    return f"fails at {endpoint.failed_stage}" if endpoint.failed_stage else "completes"


def _or_none(text: str | None) -> str:
    return code(text, 80) if text else "none"


def _certificate(old: EndpointReport, new: EndpointReport) -> list[str]:
    if not old.chain or not new.chain:
        return []
    was, now = old.chain[0], new.chain[0]
    if was.sha256 == now.sha256:
        if tuple(c.sha256 for c in old.chain) == tuple(c.sha256 for c in new.chain):
            return []
        return [f"Chain sent: {len(old.chain)} → {len(new.chain)} certificates, the same leaf", *_links(old, new)]
    lines = [f"New leaf certificate: {code(now.sha256[:16], 20)} instead of {code(was.sha256[:16], 20)}"]
    if was.subject != now.subject:
        lines.append(f"Subject: {code(was.subject, 120)} → {code(now.subject, 120)}")
    if was.issuer != now.issuer:
        lines.append(f"Issuer: {code(was.issuer, 120)} → {code(now.issuer, 120)}")
    if was.not_after != now.not_after:
        lines.append(f"Expiry: {code(was.not_after, 30)} → {code(now.not_after, 30)}")
    if set(was.names) != set(now.names):
        gone, come = sorted(set(was.names) - set(now.names)), sorted(set(now.names) - set(was.names))
        told = [f"no longer {_names(gone)}"] * bool(gone) + [f"newly {_names(come)}"] * bool(come)
        lines.append(f"Names covered: {', '.join(told)}")
    return [*lines, *_links(old, new)]


def _links(old: EndpointReport, new: EndpointReport) -> list[str]:
    """Which certificates above the leaf came and went."""
    was = {each.sha256: each.subject for each in old.chain[1:]}
    now = {each.sha256: each.subject for each in new.chain[1:]}
    gone = [code(was[each], 100) for each in was if each not in now]
    come = [code(now[each], 100) for each in now if each not in was]
    lines = [f"Sent no longer: {words.listed(gone, 3)}"] if gone else []
    return [*lines, f"Sent newly: {words.listed(come, 3)}"] if come else lines


def _timing(old: EndpointReport, new: EndpointReport) -> list[str]:
    lines = []
    for stage in ("dns", "tcp", "hello", "certificate", "finished"):
        was, now = old.timing_ms.get(stage), new.timing_ms.get(stage)
        if was is None or now is None or abs(now - was) < _SLOWER_MS:
            continue
        if max(was, now) >= _SLOWER * max(min(was, now), 1.0):
            lines.append(f"Time to {stage}: {words.elapsed(was)} → {words.elapsed(now)}")
            break  # later stages include the earlier ones: one line says it
    return lines
