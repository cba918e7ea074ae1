"""The report on a terminal: verdict first, then what a person does next. Uses rich; plain text when piped.

Text out of certificates is cleaned of control characters before it gets here (`model.shown`),
and goes to rich as `Text`, never as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from probes.clients import CURRENT, FAMILY
from probes.compared import differences
from probes.model import REMARKS, EndpointReport, FindingReport, Http3Report, OfferedReport, Report, shown
from probes.triage import who_fails

_COLOUR = {"broken": "bold red", "warning": "bold yellow", "ok": "bold green"}
_SEVERITY = {"critical": "red", "warning": "yellow", "notice": "cyan"}
_MARK = {"broken": "✗", "warning": "!", "ok": "✓"}
_INDENT = "  "


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A status line on stderr while the check runs."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        yield lambda text: status.update(Text(text))


def show(report: Report, *, all_repairs: bool = False) -> None:
    """Print *report* for a person; of its repairs the lines for one server, unless all are asked for."""
    console = Console(file=sys.stdout, soft_wrap=False)
    console.print(_headline(report))
    for number, finding in enumerate(report.findings):
        head, body = _finding(finding, is_cause=number == 0 and report.cause == finding.code)
        console.print(head)
        for part in body.wrap(console, console.width - len(_INDENT)):  # Padding would fill each line with blanks
            part.rstrip()
            console.print(Text(_INDENT).append_text(part))
        # Not wrapped by us: the command is to be copied whole.
        console.print(
            Text.assemble("  ", ("next: ", "bold"), (shown(finding.next_command, 4000), "cyan")), soft_wrap=True
        )
        console.print()
    _repairs(console, report, whole=all_repairs)
    if report.clients:
        console.print(_clients(report))
    if report.endpoints:
        console.print(_addresses(report.endpoints))
    for endpoint in report.endpoints:
        if endpoint.http3 is not None and endpoint.http3.outcome == "completed":
            console.print(_http3(endpoint.address, endpoint.http3))
        if endpoint.offered is not None:
            console.print(_offered(endpoint.address, endpoint.offered))
    if unlike := differences(report.endpoints):
        console.print(_differing(*unlike))
    for line in _beside(report):
        console.print(Text(line, style="dim"))
    console.print(Text(f"{report.elapsed_ms:.0f} ms", style="dim"))


def _beside(report: Report) -> Iterator[str]:
    """What was seen beside the verdict, and what was not looked at."""
    if said := sampled(report):
        yield said
    welcome = [endpoint for endpoint in report.endpoints if endpoint.client_auth == "optional"]
    if welcome and all(gap.what != "client certificate" for gap in report.gaps):
        authorities = "; ".join(dict.fromkeys(name for endpoint in welcome for name in endpoint.ca_names))
        named = f"; accepted CAs: {shown(authorities, 200)}" if authorities else ""
        yield f"client certificate ({', '.join(each.address for each in welcome)}): asked for, not needed{named}"
    for gap in report.gaps:
        place = f" ({', '.join(gap.addresses)})" if gap.addresses else ""
        yield f"{REMARKS.get(gap.what, f'not looked at: {gap.what}')}{place}: {gap.why}"


_SHARE = 4  # of the back ends, one


def sampled(report: Report) -> str:
    """How surely an odd back end behind one address would have shown; "" where too little was seen, or one did."""
    least = min((each.samples for each in report.endpoints if each.samples), default=0)
    if least < 2 or any(finding.code == "balancer.intermittent" for finding in report.findings):
        return ""
    odds = 100 * (1 - (1 - 1 / _SHARE) ** least)
    shown_with = f"one odd back end in {_SHARE} would have shown with odds of {odds:.0f} %"
    return f"{least} like handshakes were answered alike: {shown_with}"


def _headline(report: Report) -> Text:
    text = Text()
    text.append(f"{_MARK[report.status]} {report.target} ", style=_COLOUR[report.status])
    text.append({"ok": "ok", "warning": "warning", "broken": "broken"}[report.status], style=_COLOUR[report.status])
    if report.cause:
        text.append(f"  {report.cause}", style="bold")
    text.append(f"\n{shown(report.summary, 500)}\n")
    return text


def _finding(finding: FindingReport, *, is_cause: bool) -> tuple[Text, Text]:
    head = Text()
    head.append("cause " if is_cause else "also  ", style="bold" if is_cause else "dim")
    head.append(f"{finding.code}", style=_SEVERITY[finding.severity])
    head.append(f"  {finding.title} ({finding.severity}; {finding.source})")
    body = Text()
    if not is_cause:
        body.append(f"{shown(finding.explanation, 500)}\n")
    for line in finding.evidence:
        body.append("· ", style="dim")
        body.append(f"{shown(line, 400)}\n")
    if finding.fails_for:
        body.append("fails for: ", style="bold")
        body.append(f"{_people(finding.fails_for)}\n")
    body.append("fix: ", style="bold")
    body.append(finding.fix)
    return head, body


_SERVERS = ("nginx", "haproxy", "envoy", "apache", "aws", "cloudflare")


def _repairs(console: Console, report: Report, *, whole: bool) -> None:
    """What is to be copied is not wrapped, and not indented: it is a file's or a shell's."""
    servers = [each for each in report.repairs if each.kind in _SERVERS]
    for each in report.repairs:
        if not whole and (each.kind == "command" or each in servers[1:]):
            continue
        note = " (--chain-out FILE writes it)" if each.kind == "chain" and each.pem and each.verified else ""
        console.print(Text.assemble((f"repair: {each.kind}", "bold"), (note, "dim")))
        for line in each.text.splitlines():
            console.print(Text(shown(line, 1000)), soft_wrap=True)
        if whole and each.pem:
            console.print(Text(each.pem.strip()), soft_wrap=True)
        console.print()
    others = [each.kind for each in servers[1:]]
    if report.repairs and not whole:
        lines = f"lines for {', '.join(others)} and " if others else ""
        console.print(Text(f"--repairs shows {lines}the commands that prove the repair\n", style="dim"))


def _people(names: Iterable[str]) -> str:
    """The families of *names* in words: all of them, all current ones, or one by one."""
    known = [name for name in names if name in FAMILY]
    if set(known) == set(FAMILY):
        return "every client"
    current = {family.name for family in CURRENT}
    if current <= set(known):
        old = [FAMILY[name].label for name in known if name not in current]
        return ", ".join(["every current client", *old])
    return ", ".join(FAMILY[name].label for name in known) or "nobody"


# Families are judged on a first visit; and what a server makes of one client certificate, whoever else shows another.
_CIRCUMSTANCES = {
    "resumption.broken": "on a first visit",
    "mtls.certificate-rejected": "with this client certificate",
    "mtls.unknown-ca": "with this client certificate",
}


def _clients(report: Report) -> Text:
    text = Text()
    said = who_fails(report.clients)
    if report.cause in _CIRCUMSTANCES:
        said = f"{_CIRCUMSTANCES[report.cause]} {said}"
    text.append(f"{said[0].upper()}{said[1:]}.\n", style="bold")
    failing: dict[str, list[str]] = {}
    for client in report.clients:
        if client.outcome == "fail":
            failing.setdefault(client.code or "", []).append(client.name)
    if len(failing) < 2 and len({client.outcome for client in report.clients}) == 1:  # the sentence says it all
        return text
    text.append("pass  ", style="green")
    text.append(_people(client.name for client in report.clients if client.outcome == "pass"))
    for code, names in failing.items():
        text.append("\nfail  ", style="red")
        text.append(f"{_people(names)} ({code})")
    text.append("\n")
    return text


def _addresses(endpoints: tuple[EndpointReport, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("address", "TLS", "suite", "group", "ALPN", "ms", "valid until", "failed at"):
        table.add_column(column, overflow="fold", no_wrap=column in {"address", "TLS", "ms", "valid until"})
    for each in endpoints:
        table.add_row(
            Text(each.address),
            (each.version or "-").removeprefix("TLSv"),
            (each.cipher or "-").removeprefix("TLS_"),
            each.group or "-",
            Text(shown(each.alpn or "-")),
            _number(each.timing_ms.get("hello") or each.timing_ms.get("tcp")),
            each.chain[0].not_after[:10] if each.chain else "-",
            each.failed_stage or "-",
        )
    return table


def _differing(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Group:
    """What is not the same at every address, side by side."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in header:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return Group(Text("\nthe addresses differ in:", style="bold"), table)


def _http3(address: str, seen: Http3Report) -> Text:
    leaf = {
        True: "the same certificate as over TCP",
        False: "ANOTHER certificate than over TCP",
        None: "certificate not seen",
    }
    took = f" in {seen.elapsed_ms:.1f} ms" if seen.elapsed_ms is not None else ""
    spoken = shown(seen.alpn or "no ALPN")
    return Text(f"{address} HTTP/3 on UDP port {seen.port}: {spoken}{took}, {leaf[seen.same_certificate]}")


def _offered(address: str, offered: OfferedReport) -> Table:
    """What was enumerated at one address: a line for each version, in the server's order where it has one."""
    order = {True: "the server's order", False: "the client's order", None: "order not known"}[offered.server_order]
    table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left", title_style="bold")
    table.title = f"\n{address} agrees to ({order})"
    table.add_column("version")
    table.add_column("suites", overflow="fold")
    for version in offered.versions:
        table.add_row(version, Text("\n".join(offered.by_version.get(version, ()))))
    table.add_row("groups", Text(", ".join(offered.groups) or "-"))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
