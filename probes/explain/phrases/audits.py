"""Auditors and monitors (testssl.sh, SSL Labs, sslscan, expiry checks), FTPS, and people who describe. Data."""

from __future__ import annotations

from probes.explain import claims as c
from probes.explain.claims import Said, said, said_within_tls

_AUDITS = (
    said_within_tls("", c.LEAF_ALONE, "chain incomplete", "incomplete chain", "incomplete certificate chain",
         "certificate chain is incomplete", "chain issues incomplete", "chain issues: incomplete",
         "certificate chain is not complete", "not all intermediate certificates", "intermediate certificate missing",
         "chain is not complete", "broken chain", "chain of trust not ok (chain incomplete)",
         "the server does not send the intermediate", "doesnt send the intermediate", "missing chain certificate",
         "missing intermediate certificate", "intermediate certificate is not installed"),
    said("ssllabs", c.MISORDERED, "incorrect order, extra certs", "chain issues incorrect order",
         "chain issues: incorrect order", "incorrect order", "incorrect certificate chain order",
         "certificates in the chain are not in the correct order", "wrong certificate order"),
    said("testssl", c.NOT_TRUSTED, "chain of trust not ok", "not ok (self signed ca in chain)"),
    said("testssl", c.SELF_SIGNED, "not ok (self signed)"),
    said("testssl", c.WEAK_OFFERED, "tls 1 offered (deprecated)", "tls 1.1 offered (deprecated)",
         "sslv3 offered (not ok)", "sslv2 offered (not ok)", "offered (deprecated)", "rc4…vulnerable (not ok)",
         "sweet32…vulnerable", "vulnerable to sweet32",
         "tlsv1.0 enabled", "tlsv1.1 enabled", "sslv3 enabled", "offers weak ciphers",
         "weak cipher suites", "ssl medium strength cipher suites supported", "tls version 1.0 protocol detection",
         "tls version 1.1 protocol detection", "tls version 1.1 protocol deprecated", "weak ssl/tls ciphers",
         "supports tls 1.0", "supports tls 1.0 and tls 1.1", "supports weak", "weak ciphers", "grade capped to b"),
    said("", c.CIPHER, "tls server supports only weak ciphers"),
    said("", c.OCSP_DOWN, "error querying ocsp responder", "querying ocsp responder", "responder error:",
         "ocsp responder…unauthorized", "ocsp…trylater", "ocsp responder…not available",
         "failed to query ocsp responder", "error querying ocsp", "could not query ocsp"),
    said_within_tls("", c.EXPIRING, "will expire in", "expires in‥days", "expires in‥day", "expire in‥days",
         "certificate…will expire on",
         "certificate…expiring in", "days until expiry", "days until expiration", "expiring soon", "close to expiry",
         "near expiry", "certificate…expires on…days", "names listed below will expire", "valid for only",
         "certificate is nearing", "nearing expiration", "needs to be renewed", "is due for renewal", "days left",
         "days remaining", "certificate expiration notice", "certificate…expires soon",
         "certificate expiration warning"),
)  # fmt: skip

_FTPS = (
    said("ftps", c.RESUMPTION_DEMANDED, "session reuse required", "must use cached tls session",
         "tls session of data connection not resumed", "tls session of data connection has not resumed",
         "was not resumed from the control connection", "require ssl reuse", "data connection must use cached",
         "session of data connection", "tls session…not resumed", "ssl session not reused…data",
         "no reused session", "requires session reuse", "requires tls session re use", "session resumption is required",
         "client did not reuse ssl session", "client did not reuse session", "522 ssl connection failed"),
)  # fmt: skip

_PROSE = (
    said_within_tls("", c.CERTIFICATE_DIFFERS, "other loads came up with a valid certificate",
         "(but not all)…certificate", "but not all…expired certificate", "sometimes…old certificate",
         "sometimes…expired certificate", "sometimes…wrong certificate", "sometimes…different certificate",
         "different certs being presented", "different certificates being", "different certificates depending",
         "different certificate each", "two different certificates", "randomly…certificate",
         "serves different certificates", "serving different certificates", "presents different certificates",
         "returns different certificates", "cert expiry randomly", "some of the…expired certificate",
         "some requests‥certificate", "some requests‥cert", "some clients‥old certificate",
         "old certificate…the new one",
         "old cert…the new one", "some get the old certificate", "old certificate on some", "sometimes…old cert",
         "certificate on one of the", "one node…expired certificate", "one server…expired certificate",
         "one node…old certificate",
         "one server…old certificate", "one of the servers…old certificate", "some servers…old certificate",
         "half of the requests…certificate", "half the time…certificate", "flips between",
         "alternates between…certificate", "load balanc…different cert", "intermittently…expired certificate",
         "intermittently…wrong certificate", "different certificate fingerprints", "fingerprint differs",
         "changing certificate", "certificate keeps changing", "still serving the old certificate",
         "still presents the old certificate", "certificate mismatch between nodes"),
    said("prometheus", c.EXPIRING, "sslcertexpiringsoon", "sslcertexpiring", "certexpiringsoon",
         "certificateexpiringsoon", "sslcertificateexpiringsoon", "tlscertificateexpiringsoon",
         "probe ssl earliest cert expiry"),
    said("ssllabs", c.NOT_RESUMED, "session resumption (caching) no", "session resumption (caching): no",
         "session resumption (tickets) no", "session resumption (tickets): no"),
    said_within_tls("", c.RESUMED, "resumption fails", "resumption failed", "resumed handshake fails",
         "resumed session fails", "resumed handshake‥fail", "with session resumption fails"),
    said_within_tls("", c.CERTIFICATE_DIFFERS, "new certificate‥expired one", "new certificate‥old one",
         "two a records…certificate", "each address‥another certificate"),
    said_within_tls("", c.CONFIGURATION_DIFFERS, "behind the same name only", "tls settings differ",
         "tls versions differ",
         "cipher suites differ", "different tls versions", "some nodes‥tls 1.3", "one node‥tls 1.2",
         "one node‥tls 1.3",
         "some backends‥tls 1.2", "one backend‥only tls", "different tls configuration", "different tls settings",
         "tls configuration differs"),
    said_within_tls("", c.CROSS_SIGN, "dst root ca x3", "addtrust external ca root"),
    said_within_tls("", c.INTERMITTENT, "works sometimes", "sometimes it works", "fails randomly", "random failures",
         "intermittent handshake", "intermittent failures", "works on retry", "succeeds on retry",
         "one in every", "every other request", "half of the requests", "half the time"),
)  # fmt: skip

PHRASES: tuple[Said, ...] = (*_AUDITS, *_FTPS, *_PROSE)
