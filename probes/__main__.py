"""The `tls` command. The only part of `probes` that reads the environment or writes to a terminal.

Exit status: 0 nothing critical, 1 something critical, 2 wrong usage, 3 the check itself could not run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from probes.model import STARTTLS_PROTOCOLS, Endpoint, Target, UsageError, hostname, ip_literal, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.check import Options, Override
    from probes.model import Report
    from probes.pki.credential import Credential

OK, CRITICAL, USAGE, NOT_RUN = 0, 1, 2, 3
_MAX_TIMEOUT_S = 600.0
_MOST_AT_ONCE = 1000

_EPILOG = """examples:
  tls check api.example.com
  tls check api.example.com:8443 --resolve api.example.com:8443:192.0.2.7,192.0.2.8
  tls check db.internal --ca-file corporate-root.pem --json
  tls sweep hosts.txt --light --json
  tls ct follow --log-list logs.json --domain example.com --state ct.json
  tls explain 'x509: certificate signed by unknown authority'

exit status: 0 nothing critical, 1 something critical, 2 wrong usage, 3 the check could not run"""


class _Parser(argparse.ArgumentParser):
    """argparse, with our exit status and no abbreviations: a typo must not become another option."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `{self.prog} --help` shows what works.")


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    top = _Parser(
        prog="tls",
        description="Why does this TLS handshake fail? Probes an endpoint and names the root cause.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    check = commands.add_parser("check", help="probe an endpoint and name the root cause", allow_abbrev=False)
    check.add_argument("target", metavar="HOST[:PORT]", help="a name or an address; port 443 unless given")
    check.add_argument(
        "--resolve",
        action="append",
        default=[],
        metavar="HOST:PORT:ADDR[,ADDR…]",
        help="use these addresses for this host and port, as curl does",
    )
    check.add_argument("--sni", metavar="NAME", help="send and expect this name instead of HOST")
    check.add_argument("--ca-file", metavar="PEM", help="trust these CAs beside the default store")
    check.add_argument("--only-ca-file", metavar="PEM", help="trust these CAs alone")
    check.add_argument("--client-cert", metavar="PEM", help="show this client certificate (chain, leaf first) if asked")
    check.add_argument("--client-key", metavar="PEM", help="its private key, where the file above does not hold it")
    check.add_argument("--origin", metavar="ADDR[:PORT]", help="compare with the origin behind the balancer")
    check.add_argument("--starttls", metavar="PROTO", help=f"TLS begins by command: {', '.join(STARTTLS_PROTOCOLS)}")
    check.add_argument("--timeout", metavar="SECONDS", default="10", help="for the whole check (default 10)")
    check.add_argument("--resolver", metavar="ADDR[:PORT]", help="ask this name server (default: the system's)")
    check.add_argument("--ntp", metavar="ADDR[:PORT]", help="ask this NTP server when a clock is in doubt")
    check.add_argument("--enumerate", action="store_true", help="list every version, suite and group agreed to")
    check.add_argument("--http3", action="store_true", help="try HTTP/3 as well (needs the extra http3)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.add_argument("--repairs", action="store_true", help="show the repairs for every server, and their proof")
    check.add_argument("--chain-out", metavar="FILE", help="write the corrected chain, proved, to this new file")
    explain = commands.add_parser("explain", help="what an error message means", allow_abbrev=False)
    explain.add_argument("text", metavar="TEXT", nargs="*", help="the message; standard input without it, or with -")
    explain.add_argument("--json", action="store_true", help="print the causes as JSON")
    _sweep_grammar(commands.add_parser("sweep", help="check many endpoints, one report a line", allow_abbrev=False))
    _ct_grammar(commands.add_parser("ct", help="watch Certificate Transparency logs", allow_abbrev=False))
    return top


def _ct_grammar(ct: argparse.ArgumentParser) -> None:
    commands = ct.add_subparsers(dest="ct_command", metavar="COMMAND", required=True, parser_class=_Parser)
    follow = commands.add_parser("follow", help="read logs, verify them, and report certificates", allow_abbrev=False)
    status = commands.add_parser("status", help="how far each log was read", allow_abbrev=False)
    verify = commands.add_parser("verify", help="check a state, or one evidence bundle, again", allow_abbrev=False)
    follow.add_argument("--domain", action="append", default=[], metavar="D", help="watch this and all below it")
    follow.add_argument("--domains", dest="domains_file", metavar="FILE", help="domains to watch, one a line")
    follow.add_argument("--from", dest="start", choices=("end", "start"), default="end", help="for logs that are new")
    follow.add_argument("--once", action="store_true", help="read what there is now, then stop")
    follow.add_argument("--evidence", action="store_true", help="fetch the inclusion proof of each match")
    follow.add_argument("--lookalikes", action="store_true", help="also report names that look like a watched domain")
    follow.add_argument("--stats", action="store_true", help="end with the state of each log")
    follow.add_argument("--poll", metavar="SECONDS", default="60", help="between two looks at a log (default 60)")
    status.add_argument("--state", metavar="FILE", required=True, help="the state of `tls ct follow`")
    follow.add_argument("--state", metavar="FILE", required=True, help="position; findings go beside it")
    verify.add_argument("--state", metavar="FILE", help="the state of `tls ct follow`")
    verify.add_argument("bundle", nargs="?", metavar="BUNDLE", help="a JSON evidence bundle or finding; - is stdin")
    for each in (follow, verify):
        each.add_argument("--log-list", metavar="FILE|URL", help="version 3 JSON (default: CT_LOG_LIST)")
        each.add_argument("--contact", metavar="WHO", help="how log operators reach you (default: CT_CONTACT)")
        each.add_argument("--rate", metavar="N", default="20", help="requests a second to each log; 0: no limit")
    for each in (follow, status, verify):
        each.add_argument("--json", action="store_true", help="print JSON")


def _sweep_grammar(sweep: argparse.ArgumentParser) -> None:
    sweep.add_argument("file", metavar="FILE", help="one HOST[:PORT] a line, # begins a comment; - is standard input")
    sweep.add_argument("--light", action="store_true", help="three handshakes an address instead of the whole suite")
    sweep.add_argument("--json", action="store_true", help="print each report as one line of JSON")
    sweep.add_argument("--at-once", metavar="N", help="targets under way at a time (default 16, with --light 64)")
    sweep.add_argument("--resolve", action="append", default=[], metavar="HOST:PORT:ADDR[,ADDR…]", help="as for check")
    sweep.add_argument("--ca-file", metavar="PEM", help="trust these CAs beside the default store")
    sweep.add_argument("--only-ca-file", metavar="PEM", help="trust these CAs alone")
    sweep.add_argument("--timeout", metavar="SECONDS", default="10", help="for each target (default 10)")
    sweep.add_argument("--resolver", metavar="ADDR[:PORT]", help="ask this name server (default: the system's)")
    sweep.set_defaults(origin=None, ntp=None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    # A short life over capped input: collecting cycles, most of all over freshly made modules, only costs time.
    gc.disable()
    if sys.platform == "win32":  # exchanges watch their sockets themselves, which the default loop there cannot do
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    try:
        args = parser().parse_args(argv)
        if args.command is None:
            parser().print_help()
            return USAGE
        if args.command == "explain":
            return _explain(args)
        if args.command == "sweep":
            return _sweep(args)
        if args.command == "ct":
            return _ct(args)
        return _check(args)
    except UsageError as error:
        print(f"tls: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`tls … | head`); closing quietly is what a filter owes it.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return OK


def _explain(args: argparse.Namespace) -> int:
    from probes import explain_command

    explain_command.run(args.text, as_json=args.json)
    return OK


def _check(args: argparse.Namespace) -> int:
    for option in ("sni", "ca_file", "only_ca_file", "client_cert", "client_key", "origin", "resolver", "ntp"):
        if getattr(args, option) == "":
            raise UsageError(f"--{option.replace('_', '-')} is empty; leave it out or give it a value")
    target = Target.parse(args.target, sni=args.sni, starttls=args.starttls)
    options = _options(args)
    if args.chain_out is not None:
        _refuse_taken(args.chain_out)
    report = _run(target, options, quiet=args.json or not sys.stderr.isatty())
    if args.json:
        from probes.codec import to_json

        print(json.dumps(to_json(report), ensure_ascii=False, indent=2))
    else:
        from probes.terminal import show

        show(report, all_repairs=args.repairs)
    if args.chain_out is not None:
        _write_chain(report, args.chain_out)
    if not any(endpoint.connected for endpoint in report.endpoints) and report.cause is None:
        return NOT_RUN
    return CRITICAL if any(finding.severity == "critical" for finding in report.findings) else OK


def _refuse_taken(path: str) -> None:
    """Said before the check, not after it."""
    if not path or os.path.lexists(path) or not Path(path).absolute().parent.is_dir():
        raise UsageError(f"I read --chain-out {shown(path)}. It must be a new file in a directory that exists")


def _write_chain(report: Report, path: str) -> None:
    """The corrected chain goes to a new file; what is written, or why nothing is, goes to stderr."""
    chain = next((each for each in report.repairs if each.kind == "chain"), None)
    if chain is None or not chain.pem or not chain.verified:
        why = chain.text if chain is not None else "no other chain would mend this endpoint"
        print(f"tls: {path} was not written: {shown(why, 400)}", file=sys.stderr)
        return
    try:
        with Path(path).open("x", encoding="ascii") as file:
            file.write(chain.pem)
    except OSError as error:
        raise UsageError(f"I cannot write {shown(path)}: {error.strerror or error}.") from None
    print(f"tls: the corrected chain is in {path}", file=sys.stderr)


def _sweep(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from probes.sweep_command import read_targets, run

    at_once = None
    if args.at_once is not None:
        if not args.at_once.isascii() or not args.at_once.isdigit() or not 1 <= int(args.at_once) <= _MOST_AT_ONCE:
            raise UsageError(f"I read --at-once {shown(args.at_once)}. It must be a number from 1 to {_MOST_AT_ONCE}")
        at_once = int(args.at_once)
    options = replace(_options(args), light=args.light)
    targets = read_targets(args.file)
    gc.collect()
    gc.freeze()
    gc.enable()  # a sweep lives long
    tally = run(targets, options, as_json=args.json, at_once=at_once)
    if tally.failed == tally.total:
        return NOT_RUN
    return CRITICAL if tally.broken else OK


def _ct(args: argparse.Namespace) -> int:
    from probes import ct_command

    for option, most in (("poll", 86_400.0), ("rate", 10_000.0)):
        if (text := getattr(args, option, None)) is not None:
            setattr(args, option, _number(text, f"--{option}", most))
    args.log_list = getattr(args, "log_list", None) or os.environ.get("CT_LOG_LIST")
    args.contact = getattr(args, "contact", None) or os.environ.get("CT_CONTACT", "")
    return ct_command.run(args)


def _number(text: str, option: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:  # also false for nan
        raise UsageError(f"I read {option} {shown(text)}. It must be a number from 0 to {most:,.0f}")
    return number


def _run(target: Target, options: Options, *, quiet: bool) -> Report:
    from probes.check import check

    if quiet:
        return asyncio.run(check(target, options))
    from probes.terminal import progress

    with progress() as tell:
        return asyncio.run(check(target, options, on_progress=tell))


def _options(args: argparse.Namespace) -> Options:
    from probes.check import Options, default_trust
    from probes.model import Trust

    if args.ca_file and args.only_ca_file:
        raise UsageError("--ca-file adds to the default store and --only-ca-file replaces it: give one of them")
    if args.only_ca_file:
        trust = Trust(default=(), default_name=None, added=_pem(args.only_ca_file))
    else:
        extra = [path for path in (os.environ.get("TRUST_FILE"), args.ca_file) if path]
        trust = default_trust(tuple(dict.fromkeys(der for path in extra for der in _pem(path))))
    resolver = args.resolver or os.environ.get("RESOLVER")
    return Options(
        trust=trust,
        overrides=dict(_override(text) for text in args.resolve),
        resolver=_endpoint(resolver, "--resolver", 53) if resolver else None,
        origin=None if args.origin is None else _endpoint(args.origin, "--origin", Target.parse(args.target).port),
        identity=_identity(getattr(args, "client_cert", None), getattr(args, "client_key", None)),
        timeout_s=_timeout(args.timeout),
        ntp=_endpoint(args.ntp, "--ntp", 123) if args.ntp else None,
        enumerate=getattr(args, "enumerate", False),
        http3=getattr(args, "http3", False),
    )


def _identity(certificate: str | None, key: str | None) -> Credential | None:
    """The client certificate to show; its file may hold the key as well."""
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise UsageError("--client-key without --client-cert: a key is shown with the certificate made for it")
    from probes.pki.credential import read

    return read(
        Path(certificate).name,
        _content(certificate, "--client-cert"),
        None if key is None else _content(key, "--client-key"),
        named=f"--client-cert {shown(certificate)}",
        key_named=f"--client-key {shown(key or certificate)}",
    )


def _content(path: str, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"I cannot read {option} {shown(path)}: {error.strerror or error}.") from None


def _pem(path: str) -> tuple[bytes, ...]:
    from probes.check import ders

    try:
        return ders(Path(path).read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UsageError(f"I cannot read the CA file {shown(path)}: {error.strerror or error}.") from None
    except UsageError as error:
        raise UsageError(f"{shown(path)}: {error}") from None


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _MAX_TIMEOUT_S:  # also false for nan
        raise UsageError(
            f"I read --timeout {shown(text)}. It must be seconds, more than 0 and at most {_MAX_TIMEOUT_S:.0f}"
        )
    return seconds


def _override(text: str) -> tuple[tuple[str, int], Override]:
    """`HOST:PORT:ADDR[,ADDR…]`, addresses in IPv6 with or without brackets, as curl takes them."""
    host, colon, rest = text[1:].partition("]:") if text.startswith("[") else text.partition(":")
    port, second, addresses = rest.partition(":")
    found = tuple(_address(each) for each in addresses.split(",")) if colon and second and addresses else ()
    if not found or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UsageError(f"I read --resolve {shown(text)}. It must be HOST:PORT:ADDR, as in example.com:443:192.0.2.7")
    literal = ip_literal(host)
    return (str(literal) if literal else hostname(host), int(port)), found


def _address(text: str) -> str:
    literal = ip_literal(text.strip().strip("[]"))
    if literal is None:
        raise UsageError(f"I read the address {shown(text)}. It must be an IP address, as 192.0.2.7 or 2001:db8::7")
    return str(literal)


def _endpoint(text: str, option: str, port: int) -> Endpoint:
    """`ADDR[:PORT]`, with *port* when none is given."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    literal = ip_literal(bare)
    if literal is not None:
        return Endpoint(address=str(literal), port=port)
    try:
        target = Target.parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    if not target.is_ip:
        raise UsageError(f"I read {option} {shown(text)}. It must be an IP address, with a port if need be")
    return Endpoint(address=target.host, port=target.port)


if __name__ == "__main__":
    sys.exit(main())
