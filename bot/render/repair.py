"""What mends the cause, as messages and files: the corrected chain, lines for servers, recipes. Pure."""

from __future__ import annotations

import re

from bot.model import Content, Json, PastCheck
from bot.render import words
from bot.render.limits import actions, button, code, code_block, fit, foreign, length, prose, section
from probes.model import Repair, Report

ALL = "check.repairs"
_SERVERS = {
    "nginx": "nginx",
    "haproxy": "HAProxy",
    "envoy": "Envoy",
    "apache": "Apache",
    "aws": "AWS",
    "cloudflare": "Cloudflare",
}
_TITLES = {"chain": "the corrected chain", "command": "commands", "capture": "what no probe can see", **_SERVERS}
_BLOCK = 2900
_CERTIFICATE = re.compile(r"(?:^#[^\n]*\n)?-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----", re.S | re.M)


def stem(report: Report) -> str:
    """What the files of a report's repairs are called, as in the lines that name them."""
    name = report.target.server_name or report.target.host.partition("%")[0]
    return re.sub(r"[^a-z0-9.-]", "_", name.lower())[:100].strip(".-_") or "endpoint"


def chain_of(report: Report) -> Repair | None:
    """The corrected chain, where it could be built and proved."""
    return next((each for each in report.repairs if each.kind == "chain" and each.pem and each.verified), None)


def chain_name(report: Report) -> str:
    return f"{stem(report)}-chain.pem"


def chain_file(report: Report, chain: Repair) -> Content:
    """What is said beside the file; its blocks say the chain itself where Slack takes no file."""
    told = f"Corrected chain for {words.named(report.target)}: {_first_line(chain.text)}"
    blocks = [section("The corrected chain; it could not be uploaded as a file, so it stands here:")]
    for certificate in _CERTIFICATE.findall(chain.pem):
        if length(certificate) > _BLOCK:
            blocks.append(section("A certificate too large for a message: press *Raw report*, it is under `repairs`."))
        else:
            blocks.append(section(code_block(certificate, _BLOCK)))
    return fit(foreign(told, 600), blocks)


def in_place(check: PastCheck, chain: Repair, again: str) -> Content:
    """Beside the file: what to do with it, and the button (action *again*) that proves that it was done."""
    name = code(chain_name(check.report))
    text = f"Serve {name} in the place of the chain served now, reload, and see whether that was all:"
    plain = f"Serve {chain_name(check.report)}, reload, then run the check again."
    return fit(foreign(plain, 300), [section(text), actions(button("Run again", again, str(check.id)))])


def remedies(check: PastCheck) -> list[Json]:
    """For the message that says what to do: why there is no chain, lines for one server, the capture, a button."""
    report = check.report
    if not report.repairs:
        return []
    blocks = [
        section(f"*The corrected chain*\n{prose(each.text, 1000)}")
        for each in report.repairs
        if each.kind == "chain" and not each.pem
    ]
    servers = [each for each in report.repairs if each.kind in _SERVERS]
    if servers:
        blocks.append(section(f"*For {_SERVERS[servers[0].kind]}*\n{code_block(servers[0].text, _BLOCK)}"))
    blocks += [
        section(f"*Where no probe can see, capture it*\n{code_block(each.text, _BLOCK)}")
        for each in report.repairs
        if each.kind == "capture"
    ]
    others = ", ".join(_SERVERS[each.kind] for each in servers[1:])
    label = f"Lines for {others}" if others and len(others) < 65 else "All lines and commands"
    return [*blocks, actions(button(label, ALL, str(check.id)))]


def everything(report: Report) -> str:
    """All repairs as one text file."""
    parts = [f"{words.named(report.target)}: {report.cause or 'no cause'}"]
    for each in report.repairs:
        title = f"──── {_TITLES.get(each.kind, each.kind)} ────"
        parts.append("\n".join(part for part in (title, each.text, each.pem.strip()) if part))
    return "\n\n".join(parts) + "\n"


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(":") + "."
