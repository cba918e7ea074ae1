"""The client certificate that was sent was refused, but not for its CA: expired, not yet valid, revoked, wrong usage, or unsaid."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.mtls import Presented
from probes.rules.identified import leaf_shown, refusal, refused

CODE = "mtls.certificate-rejected"


def check(facts: Facts) -> Iterator[Finding]:
    for looks, seen in refused(facts, CODE):
        yield refusal(facts, looks, seen, code=CODE, why=_why(facts, seen), fix=_FIX.get(seen.reason, _FIX["untold"]))


def _why(facts: Facts, seen: Presented) -> str:
    doubt = next((doubt.says for doubt in seen.doubts if doubt.kind == seen.reason), None)
    if doubt is not None:
        return doubt
    leaf = leaf_shown(facts)
    if seen.reason == "expired" and leaf is not None:
        return f"it says expired, yet by this prober's clock the certificate is valid until {leaf.not_after:%Y-%m-%d %H:%M} UTC: the server's clock is off, or it means another certificate of the chain"
    if seen.reason == "revoked":
        return "it says that the certificate is revoked"
    if seen.doubts:
        return seen.doubts[0].says
    return "it does not say why, and the certificate is in its time, has clientAuth and leads to an accepted CA as far as can be seen"


_FIX = {
    "expired": "Renew the client certificate, give the new file to the client and restart or reload it: many clients read it once.",
    "not-yet-valid": "Wait until the certificate's notBefore, or have it issued with an earlier one; check the clocks of the issuing CA and of the server.",
    "wrong-usage": "Have the certificate issued with clientAuth among its extended key usages. Public CAs no longer put it into server certificates, so after a renewal the client needs one of a private CA (or of a CA's client profile).",
    "unsupported-signature": "Use a key that can sign by one of the schemes the server takes, or allow the key's schemes on the server (nginx and Apache: `ssl_conf_command ClientSignatureAlgorithms …`).",
    "revoked": "Have a new client certificate issued; if this one was not meant to be revoked, look at the CRL that the server loads.",
    "unreadable": "Have the certificate issued anew: what is sent cannot be read.",
    "untold": "Look into the server's log at the time of this check: it names the reason that it does not tell the client.",
}

RULE = Rule(code=CODE, source="RFC 8446 section 6.2 (bad_certificate to certificate_unknown)", check=check)
