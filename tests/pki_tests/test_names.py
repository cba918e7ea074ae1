"""Host names against certificates."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cryptography import x509

from probes.pki.names import Host, NotAHost, covers, explain, normalise_host
from tests.pki_tests.issuing import Issued, issue, name, root, server


def named(*names: str, common_name: str = "x") -> Issued:
    """A leaf with these names, literals as addresses."""
    general: list[x509.GeneralName] = []
    for each in names:
        try:
            general.append(x509.IPAddress(ip_address(each)))
        except ValueError:
            general.append(x509.DNSName(each))
    return issue(name(common_name), root(), ca=False, names=general)


@pytest.mark.parametrize(
    ("presented", "host", "covered"),
    [
        ("www.example.com", "www.example.com", True),
        ("WWW.Example.COM", "www.exaMPLE.com", True),
        ("www.example.com", "www.example.com.", True),
        ("www.example.com", "example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.com", "example.com", False),
        ("*", "example", False),
        ("w*.example.com", "www.example.com", False),
        ("*w.example.com", "www.example.com", False),
        ("a.*.example.com", "a.b.example.com", False),
        ("*.*.example.com", "a.b.example.com", False),
        ("xn--*.example.com", "xn--bcher-kva.example.com", False),
        ("*.example.com", "bücher.example.com", True),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("xn--bcher-kva.example", "BÜCHER.example。", True),
        ("a_b.example.com", "a_b.example.com", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "[2001:DB8:0:0::1]", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::2", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("*.0.2.1", "192.0.2.1", False),
    ],
)
def test_coverage(presented: str, host: str, covered: bool) -> None:
    assert covers(named(presented).value, host) is covered


@pytest.mark.parametrize(
    ("names", "host", "reason", "nearest"),
    [
        (("*.example.com",), "a.b.example.com", "wildcard-depth", "*.example.com"),
        (("*.example.com",), "example.com", "wildcard-apex", "*.example.com"),
        (("w*.example.com",), "www.example.com", "wildcard-form", "w*.example.com"),
        (("*.com", "example.org"), "example.com", "wildcard-form", "*.com"),
        (("192.0.2.7",), "192.0.2.1", "ip-not-listed", "192.0.2.7"),
        (("other.test", "api.example.com", "www.example.org"), "www.example.com", "other-names", "api.example.com"),
        ((), "www.example.com", "no-names", None),
    ],
)
def test_why_not(names: tuple[str, ...], host: str, reason: str, nearest: str | None) -> None:
    verdict = explain(named(*names).value, host)
    assert not verdict.covered and verdict.by is None
    assert (verdict.reason, verdict.nearest) == (reason, nearest)


def test_the_name_that_covers_is_told() -> None:
    verdict = explain(named("example.com", "*.example.com").value, "WWW.example.com")
    assert verdict.covered and verdict.by == "*.example.com" and verdict.host == "www.example.com"


def test_a_common_name_covers_nothing_and_is_told() -> None:
    for common_name in ("www.example.com", "*.example.com"):
        verdict = explain(named(common_name=common_name).value, "www.example.com")
        assert not verdict.covered and verdict.reason == "cn-only"


def test_an_address_as_dns_name_covers_nothing_and_is_told() -> None:
    leaf = server(root(), "192.0.2.1").value
    verdict = explain(leaf, "192.0.2.1")
    assert not verdict.covered and verdict.reason == "ip-as-dns"


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("Example.COM.", "example.com"),
        ("straße.de", "xn--strae-oqa.de"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
    ],
)
def test_hosts_are_normalised(typed: str, text: str) -> None:
    host = normalise_host(typed)
    assert isinstance(host, Host) and host.text == text


@pytest.mark.parametrize(
    "typed",
    ["", ".", "a..b", "-a.com", "a-.com", "a b.com", "999.1.1.1", "1.2.3", "a" * 64 + ".com", "a." * 130, "☃︎͏.̈x"],
)
def test_what_is_no_host_is_told(typed: str) -> None:
    host = normalise_host(typed)
    assert isinstance(host, NotAHost) and host.why
    assert explain(named("example.com").value, typed).reason == "not-a-host"
