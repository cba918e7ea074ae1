"""What differs between a name's addresses: a row an address, a column for each thing that is not the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probes.model import EndpointReport, shown

Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]

_ASKED = {"none": "not asked for", "optional": "optional", "required": "required", None: "-"}


def _certificate(endpoint: EndpointReport) -> str:
    return endpoint.chain[0].sha256[:12] if endpoint.chain else "-"


def _until(endpoint: EndpointReport) -> str:
    return endpoint.chain[0].not_after[:10] or "-" if endpoint.chain else "-"


def _issued_by(endpoint: EndpointReport) -> str:
    return shown(endpoint.chain[0].issuer.partition(",")[0], 40) or "-" if endpoint.chain else "-"


def _ticket_keys(endpoint: EndpointReport) -> str:
    names = {each.key_name[:8] for each in endpoint.resumption.values() if each.key_name}
    return " ".join(sorted(names)) or "-"


def _resumes(endpoint: EndpointReport) -> str:
    told = {each.honoured for each in endpoint.resumption.values() if each.offered}
    return "-" if not told - {None} else "yes" if True in told else "no"


_COLUMNS: tuple[tuple[str, Callable[[EndpointReport], str]], ...] = (
    ("version", lambda each: each.version or "-"),
    ("suite", lambda each: each.cipher or "-"),
    ("group", lambda each: each.group or "-"),
    ("ALPN", lambda each: shown(each.alpn or "-", 20)),
    ("client certificate", lambda each: _ASKED[each.client_auth]),
    ("certificate", _certificate),
    ("until", _until),
    ("issuer", _issued_by),
    ("chain", lambda each: str(len(each.chain)) if each.chain else "-"),
    ("resumes", _resumes),
    ("ticket key", _ticket_keys),
    ("failed at", lambda each: each.failed_stage or "-"),
)


def differences(endpoints: Sequence[EndpointReport]) -> Table | None:
    """(header, rows), the address first; None where there is one address or all are alike.

    Text in it may come from certificates and ALPN: it is cleaned of control characters, not escaped.
    """
    if len(endpoints) < 2:
        return None
    differing = [(name, of) for name, of in _COLUMNS if len({of(each) for each in endpoints}) > 1]
    # Unless addresses share it, each has a ticket key of its own: alone that is no difference worth a table.
    if not {name for name, _ in differing} - {"ticket key"}:
        return None
    header = ("address", *(name for name, _ in differing))
    return header, tuple((each.address, *(of(each) for _, of in differing)) for each in endpoints)
