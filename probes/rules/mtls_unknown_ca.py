"""The client certificate that was sent does not lead to a CA that the server trusts (alert 48, or by its list of CAs)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule, shown
from probes.mtls import Presented
from probes.pki.identity import OF_THE_CA
from probes.rules.identified import leaf_shown, refusal, refused

CODE = "mtls.unknown-ca"


def check(facts: Facts) -> Iterator[Finding]:
    for looks, seen in refused(facts, CODE):
        yield refusal(facts, looks, seen, code=CODE, why=_why(facts, seen), fix=_fix(seen))


def _fix(seen: Presented) -> str:
    listed = seen.request is not None and bool(seen.request.ca_names)
    doubted = any(doubt.kind in OF_THE_CA for doubt in seen.doubts)
    return _FIX["listed"] if listed and not doubted else _FIX.get(seen.reason, _FIX["unknown-ca"])


def _why(facts: Facts, seen: Presented) -> str:
    doubt = next((doubt.says for doubt in seen.doubts if doubt.kind == seen.reason), None)
    if doubt is not None:
        return doubt
    if seen.request is not None and seen.request.ca_names:
        # OpenSSL says unknown_ca as well of a chain that is too deep, and of a CA that may not issue for clients.
        cause = f"{seen.doubts[0].says}; or" if seen.doubts else "either"
        return f"it says unknown CA, though the chain leads to a CA that it lists: {cause} its list is not what it trusts, or the chain is deeper than it allows"
    leaf = leaf_shown(facts)
    issuer = f", “{shown(leaf.issuer, 120)}”" if leaf is not None else ""
    alone = facts.evidence.identity is not None and len(facts.evidence.identity.chain) == 1
    lacks = "; the chain sent lacks any intermediate, which the server may need as well" if alone else ""
    return f"it does not know the CA that issued it{issuer}{lacks}"


_FIX = {
    "missing-intermediate": "Put the intermediate's certificate behind the leaf in the client's certificate file and send both: servers do not look for it.",
    "issuer-not-sent": "Put the issuing intermediate behind the leaf in the client's certificate file; if that is all there is, add the issuing CA to what the server trusts for clients (nginx `ssl_client_certificate`) or have the certificate issued by an accepted CA.",
    "listed": "On the server, compare the CA file that is sent to clients with the one that verifies (nginx `ssl_client_certificate` and `ssl_trusted_certificate`, Apache `SSLCADNRequestFile` and `SSLCACertificateFile`), and raise the depth (nginx `ssl_verify_depth`, 1 by default).",
    "unknown-ca": "Have the client certificate issued by an accepted CA, or add its CA to what the server trusts for clients (nginx `ssl_client_certificate`, haproxy `ca-file`, Envoy `trusted_ca`) and reload.",
}

RULE = Rule(code=CODE, source="RFC 8446 section 4.4.2.4 and 6.2 (unknown_ca)", check=check)
