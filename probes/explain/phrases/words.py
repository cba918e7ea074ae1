"""Plain English about certificates and connections, for texts in no library's own words. Weighs least. Data."""

from __future__ import annotations

from probes.explain import claims as c
from probes.explain.claims import Claim, Said, said_within_tls

_CERTIFICATE = ("certificate", "certificates", "cert")


def _of_a_certificate(claim: Claim, *predicates: str) -> Said:
    """*predicates* said of a certificate, before or after the word."""
    after = tuple(f"{noun}‥{predicate}" for noun in _CERTIFICATE for predicate in predicates)
    before = tuple(f"{predicate}‥{noun}" for noun in _CERTIFICATE for predicate in predicates)
    return said_within_tls("", claim, *after, *before)


PHRASES: tuple[Said, ...] = (
    _of_a_certificate(c.LOOKS_EXPIRED, "expired", "has lapsed", "out of date", "no longer valid"),
    _of_a_certificate(c.LOOKS_UNTRUSTED, "not trusted", "untrusted", "trust failure", "trust error",
         "unknown authority",
                      "unknown issuer", "unknown ca", "unknown root", "cannot be trusted", "could not be trusted",
                      "trusted authority", "trusted certifying authority", "trusted certificate authority",
                      "not signed by", "have not chosen to trust", "did not trust", "does not trust", "trust store",
                      "no system", "not recognized"),
    _of_a_certificate(c.LOOKS_MISNAMED, "does not match", "doesnt match", "did not match", "mismatch", "mismatched",
                      "not match", "is issued for", "was issued for", "wrong host", "different host", "other host",
                      "different hostname", "different website"),
    _of_a_certificate(c.REVOKED, "has been revoked", "is revoked", "was revoked"),
    _of_a_certificate(c.LOOKS_SELF_SIGNED, "self signed"),
    _of_a_certificate(c.REFUSED_SOMEHOW, "cannot be verified", "could not be verified", "couldnt be verified",
                      "cannot verify", "could not verify", "failed to verify", "unable to verify",
         "verification failed",
                      "verification failure", "verification error", "verify failed", "not verified",
         "cannot be validated",
                      "could not be validated", "validation failed", "validation failure", "validation error",
                      "failed to validate", "unable to validate", "could not validate", "is invalid", "is not valid",
                      "invalid", "not accepted", "was rejected", "rejected", "cannot be authenticated", "bad",
                      "problem with", "check failed", "check failure"),
    said_within_tls("", c.CERTIFICATE_WANTED, "client certificate‥required", "client certificate‥missing",
         "client certificate‥not found", "no client certificate‥", "requires‥client certificate",
         "certificate‥was not presented", "certificate‥not supplied", "did not present‥certificate",
         "did not send‥certificate", "failed to find valid machine certificate", "no certificate‥from the client"),
    said_within_tls("", c.HANDSHAKE, "tls‥failed", "ssl‥failed", "handshake‥failed", "handshake‥aborted",
         "handshake‥error", "tls‥failure", "ssl‥failure", "secure connection‥failed", "secure connection could not",
         "could not establish‥secure", "unable to establish‥secure", "failed to establish‥secure",
         "cannot make ssl connection", "cannot establish tls", "failed to negotiate‥tls", "ssl error occurred",
         "tls error occurred", "failed to enable crypto", "handshake exception", "handshakeexception", "fatal error -",
         "unable to negotiate", "setting up ssl", "setting up tls", "ssl setup failed", "tls setup failed",
         *(f"{verb}‥{noun}" for verb in ("unable to", "could not", "couldnt", "cannot", "cant", "failed to", "fails to")
           for noun in ("ssl connection", "tls connection", "secure connection", "ssl handshake", "tls handshake",
                        "ssl session", "tls session", "ssl socket", "tls socket", "encrypted connection")),
         "negotiating ssl", "negotiating tls", "negotiation failed"),
    said_within_tls("", c.CLOSED_ALONE, "incomplete read‥eof", "unexpected end of stream", "peer suddenly disconnected",
         "connection dropped", "connection terminated", "hung up"),
    said_within_tls("", c.CONNECT_FAILED, "failed to connect", "could not connect", "couldnt connect",
         "unable to connect",
         "cannot connect", "connection failed", "connect failed", "connection could not be established",
         "cannot be reached", "cant be reached", "could not be reached", "unreachable"),
    said_within_tls("", c.NAME, "hostname validation failed", "host name validation", "hostname verification failed",
         "hostname check failed", "cn mismatch", "san mismatch", "common name‥mismatch", "hostname‥not match",
         "host name‥not match", "names do not match", "wrong host in certificate", "hostname doesnt match",
         "hostname does not match"),
    said_within_tls("", c.EXPIRED, "flag expired", "cert verify failed‥expired", "verification failed‥expired"),
    said_within_tls("", c.CLIENT_OUT_OF_TIME, "to be used for client authentication", "used for client authentication",
         "not suitable for client authentication"),
    said_within_tls("", c.WRONG_USAGE, "key usage doesnt permit", "key usage does not permit", "key usage‥not allow",
         "not permit‥server authentication", "key usage mismatch"),
    said_within_tls("", c.OCSP_DOWN, "ocsp‥unauthorized", "ocsp‥internal error", "ocsp‥malformed request",
         "ocsp‥try later", "ocsp‥unreachable", "ocsp‥refused"),
    said_within_tls("", c.OCSP_SLOW, "ocsp‥timed out", "ocsp‥timeout"),
    said_within_tls("", c.CRL_DOWN, "crl‥unreachable", "crl‥expired", "crl‥could not", "crl‥timed out",
         "unable to download‥crl", "failed to download‥crl", "failed to fetch‥crl"),
    said_within_tls("", c.MISORDERED, "chain‥out of order", "chain‥wrong order", "certificates‥out of order",
         "certificates‥wrong order", "chain‥not in order", "chain‥unordered", "certificates‥not in order"),
    said_within_tls("", c.NOT_RESUMED, "session‥never reused", "session‥not reused", "sessions‥not reused",
         "session‥not resumed", "no session resumption", "session resumption‥not", "resumption‥disabled"),
    said_within_tls("", c.SOME_ADDRESSES, *(f"{some} of {all_}‥{what}" for some, all_ in (("1", "2"), ("1", "3"),
         ("2", "3"), ("1", "4"), ("2", "4"), ("3", "4"), ("one", "two"), ("one", "three"), ("two", "three"),
         ("one", "the"), ("some", "the")) for what in ("addresses", "ips", "backends", "nodes", "servers", "targets",
         "pods", "replicas"))),
    said_within_tls("", c.SLOW, "takes‥tls handshake", "takes‥ssl handshake", "seconds for the tls",
         "handshake‥is slow",
         "slow‥tls", "slow‥ssl", "handshake latency", "time appconnect", "tls‥very slow", "ssl‥very slow",
         "slow handshake", "handshake is slow", "handshake takes", "handshake took",
         "slow tls", "slow ssl", "handshake‥seconds to complete"),
    said_within_tls("", c.MODERN_ONLY, "only supports tls 1.3", "supports only tls 1.3", "accepts only tls 1.3",
         "only accepts tls 1.3", "only tls 1.3", "tls 1.3 only", "requires tls 1.3", "tlsv1.3 only", "only tlsv1.3",
         "minimum version‥tls 1.3"),
    said_within_tls("", c.VERSION, "connection encryption type you have specified", "tls version‥not supported",
         "ssl version‥not supported", "unsupported‥tls version", "tls 1.0‥disabled", "tls 1.2 or higher",
         "requires tls 1.2", "tls 1.2 is required", "at least tls 1.2", "inappropriate fallback"),
    said_within_tls("", c.CIPHER, "no compatible cipher", "cipher mismatch", "cipher suite mismatch",
         "cipherspec mismatch",
         "no cipher‥in common", "ciphers‥not supported", "cipher‥not supported", "unsupported cipher"),
    said_within_tls("", c.LARGE_HELLO, "hybridized kyber", "kyber support", "kyber", "post quantum"),
    said_within_tls("", c.TIMEOUT, "timeout during connect", "connect() timed out", "connection attempt timed out",
         "no response to syn"),
)  # fmt: skip
