"""CAA at the time of an issuance: RFC 8659 sections 3 and 4, RFC 8657 sections 3 and 4."""

from __future__ import annotations

import pytest

from probes.caa import judged, permission
from probes.observed import Published

LE = ("letsencrypt.org",)


def at(*records: str, **more: str) -> Published:
    return Published(kind="CAA", name="example.test", records=records, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "name", "ca", "verdict"),
    [
        ((), "a.example.test", LE, "none"),
        (('0 iodef "mailto:a@example.test"',), "a.example.test", LE, "none"),
        (('0 issue "letsencrypt.org"',), "a.example.test", LE, "allowed"),
        (('0 issue "LetsEncrypt.org."',), "a.example.test", LE, "allowed"),
        (('0 issue "digicert.com"',), "a.example.test", LE, "forbidden"),
        (('0 issue ";"',), "a.example.test", LE, "forbidden"),
        (('0 issue ";"',), "a.example.test", (), "forbidden"),
        (('0 issue "digicert.com"',), "a.example.test", (), "unknown"),
        (('0 issue ";"', '0 issue "letsencrypt.org"'), "a.example.test", LE, "allowed"),
        (('0 issuewild ";"',), "a.example.test", LE, "none"),
        (('0 issue "letsencrypt.org"', '0 issuewild ";"'), "*.example.test", LE, "forbidden"),
        (('0 issue "letsencrypt.org"', '0 issuewild ";"'), "a.example.test", LE, "allowed"),
        (('0 issue "letsencrypt.org"',), "*.example.test", LE, "allowed"),
        (('128 tbs "x"', '0 issue "letsencrypt.org"'), "a.example.test", LE, "forbidden"),
        (('0 tbs "x"', '0 issue "letsencrypt.org"'), "a.example.test", LE, "allowed"),
        (('0 issue "letsencrypt.org; accounturi=https://a.test/1"',), "a.example.test", LE, "restricted"),
        (('0 issue "letsencrypt.org; validationmethods=dns-01"',), "a.example.test", LE, "restricted"),
        (
            ('0 issue "letsencrypt.org; accounturi=https://a.test/1"', '0 issue "letsencrypt.org"'),
            "a.example.test",
            LE,
            "allowed",
        ),
        (('0 issue "letsencrypt.org; %%%%"',), "a.example.test", LE, "forbidden"),
        (
            ('0 issue "letsencrypt.org; accounturi=https://a.test/1; accounturi=https://a.test/2"',),
            "a.example.test",
            LE,
            "forbidden",
        ),
    ],
)
def test_who_may_issue(records: tuple[str, ...], name: str, ca: tuple[str, ...], verdict: str) -> None:
    assert judged(name, at(*records), ca).verdict == verdict


def test_what_cannot_be_looked_up_is_no_verdict() -> None:
    assert judged("a.example.test", at(failure="SERVFAIL"), LE).verdict == "failed"
    assert judged("a.example.test", at('0 issue ";"', dnssec="bogus"), LE).verdict == "failed"


def test_parameters_are_read() -> None:
    read = permission("letsencrypt.org;validationmethods=dns-01,http-01 ; accounturi=https://a.test/acct/7?x=1")
    assert read.issuer == "letsencrypt.org" and not read.is_broken
    assert read.methods == ("dns-01", "http-01") and read.account == "https://a.test/acct/7?x=1"
