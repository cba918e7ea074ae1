"""Whose names these are: every form in which a watched domain may stand in a certificate."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.ct.lookalikes import lookalikes
from probes.ct.suffixes import registrable
from probes.ct.walk import Names
from probes.ct.watchset import BadWatch, WatchSet, ends_of, is_plain, watched

WATCH = WatchSet.compile(
    ["example.com", "www.deep.example.org", "bücher.example", "shop.co.uk", "192.0.2.7", "2001:db8::7", "t.co"]
)


def matched(name: str | bytes, *, cn: bool = False) -> list[tuple[str, str]]:
    raw = name if isinstance(name, bytes) else name.encode()
    names = Names(cns=(raw,)) if cn else Names(dns=(raw,))
    found: list[tuple[str, str]] = [(match.domain, match.how) for match in WATCH.match(names)]
    # The quick look of a batch never says no where the careful one finds something.
    assert not found or 1 in WATCH.touching([b"first.test", raw, b"last.test"])
    return found


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"), ("www.example.com", "example.com"), ("a.b.c.example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"), ("example.com.", "example.com"), ("www.example.com..", "example.com"),
        ("*.example.com", "example.com"), ("_dmarc.example.com", "example.com"), ("x.shop.co.uk", "shop.co.uk"),
        ("www.deep.example.org", "www.deep.example.org"), ("xn--bcher-kva.example", "bücher.example"),
        ("a.t.co", "t.co"), ("t.co", "t.co"),
    ],
)  # fmt: skip
def test_the_domain_and_what_is_below_it(name: str, domain: str) -> None:
    assert matched(name) == [(watched(domain), "name")]
    assert matched(name, cn=True) == [(watched(domain), "name")]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("*.deep.example.org", "www.deep.example.org"), ("*.com", "example.com"), ("*.com.", "example.com"),
        ("w*.deep.example.org", "www.deep.example.org"), ("*w.deep.example.org", "www.deep.example.org"),
        ("www.*.example.org", "www.deep.example.org"), ("*.*.example.org", "www.deep.example.org"),
        ("?.example.com", "example.com"), ("?.deep.example.org", "www.deep.example.org"),
    ],
)  # fmt: skip
def test_wildcards_and_redacted_labels_may_stand_for_it(name: str, domain: str) -> None:
    assert domain in [match for match, _ in matched(name)]


@pytest.mark.parametrize(
    "name",
    [
        b"example.com\0.evil.test", b"http://example.com", b"https://www.example.com/", b"example.com/path",
        b" example.com ", b"\texample.com", b"example.com\n", b"other.test example.com", b"other.test,example.com",
        b"example.com:443", "bücher.example".encode(), "BÜCHER.example".encode(), "bücher.example".encode("latin-1"),
        "www.bücher.example".encode("latin-1"), "example。com".encode(), "ｅｘａｍｐｌｅ.com".encode(),
        b"http://example.com\0", b"\x01\x02.example.com", b"ftp://example.com:21/x", b"first.test\nexample.com",
    ],
)  # fmt: skip
def test_odd_readings_are_seen(name: bytes) -> None:
    assert matched(name)


@pytest.mark.parametrize(
    "name", [b"example.com\0.evil.test", b"http://example.com/", "bücher.example".encode("latin-1")]
)
def test_odd_common_names_are_seen(name: bytes) -> None:
    assert matched(name, cn=True)


@pytest.mark.parametrize(
    "name",
    [
        "example.org", "notexample.com", "example.com.evil.test", "com", "*", "", ".", "..", "*.test",
        "deep.example.org",
        "www.example.co", "*.www.deep.test", "co.uk", "*.co.uk.test", "bucher.example", "*.uk", "a*.test", "?.test",
        "192.0.2.8", "17.192.0.2.7.test", "2.7", "xexample.com", "example.comx", "x.*",
    ],
)  # fmt: skip
def test_others_are_let_go(name: str) -> None:
    assert matched(name) == []


def test_a_sentence_is_no_common_name() -> None:
    assert matched("the people of example.com", cn=True) == []


def test_addresses() -> None:
    for text in ("192.0.2.7", "2001:db8::7", "2001:DB8:0::7", "[2001:db8::7]", "::ffff:192.0.2.7"):
        assert [how for _, how in matched(text)] == ["address"], text
        assert [how for _, how in matched(text, cn=True)] == ["address"], text
    for packed in (ip_address("192.0.2.7").packed, ip_address("::ffff:192.0.2.7").packed):
        assert [match.domain for match in WATCH.match(Names(ips=(packed,)))] == ["192.0.2.7"]
    assert WATCH.match(Names(ips=(ip_address("192.0.2.8").packed,))) == ()


def test_the_nearest_domain_is_named_and_each_that_a_wildcard_may_stand_for() -> None:
    watch = WatchSet.compile(["example.com", "www.example.com", "api.example.com"])
    assert {match.domain for match in watch.match(Names(dns=(b"a.www.example.com",)))} == {"www.example.com"}
    found = {match.domain: match.how for match in watch.match(Names(dns=(b"*.example.com",)))}
    assert found == {"example.com": "name", "www.example.com": "wildcard", "api.example.com": "wildcard"}


LABEL = st.text("abcxyz019-_", min_size=1, max_size=5)
NAME = st.lists(
    LABEL | st.sampled_from(["example", "com", "*", "www", "deep", "org", "co", "uk"]), min_size=1, max_size=5
)
ODDITY = st.sampled_from(["", "", "", ".", "..", "\n", " ", "\0", "/", ":443", "ü", "A"])


@given(
    st.lists(
        st.tuples(NAME.map(".".join), ODDITY, ODDITY).map(lambda parts: parts[1] + parts[0] + parts[2]), max_size=9
    )
)
@settings(deadline=None, max_examples=300)
def test_the_quick_look_at_many_misses_nothing(names: list[str]) -> None:
    raw = [name.encode() for name in names]
    touching = WATCH.touching(raw)
    for at, name in enumerate(raw):
        # One by one, with every reading of the name, and no quick look in front.
        assert at in touching or not list(WATCH._of_name(name, is_cn=False))


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Example.COM", "example.com"), ("*.example.com", "example.com"), (".example.com", "example.com"),
        ("example.com.", "example.com"), ("https://example.com/x", "example.com"), ("example.com:8443", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"), ("192.0.2.1", "192.0.2.1"), ("2001:DB8::1", "2001:db8::1"),
        ("shop.co.uk", "shop.co.uk"),
    ],
)  # fmt: skip
def test_what_people_type(text: str, domain: str) -> None:
    assert watched(text) == domain


@pytest.mark.parametrize(
    "text", ["", "com", "co.uk", "*.co.uk", "com.br", "exa mple.com", "a..b", "-x.com", "x" * 64 + ".com", "*"]
)
def test_what_cannot_be_watched(text: str) -> None:
    with pytest.raises(BadWatch):
        watched(text)
    with pytest.raises(BadWatch):
        WatchSet.compile(["example.com", text])


def test_letters_in_unreadable_bytes() -> None:
    for raw in (b"\x00\xffWWW.EXAMPLE.COM\x01", "example.com".encode("utf-16-be")):
        assert [(match.domain, match.how) for match in WATCH.inside(raw)] == [("example.com", "bytes")]
    assert WATCH.inside(b"example com") == ()


LIKE = lookalikes(["example.com", "paypal.com", "modern.co.uk", "api.io"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("example.net", "another TLD"), ("www.example.co.uk", "another TLD"), ("exemple.com", "one edit"),
        ("exmaple.org", "one edit"), ("examle.com", "one edit"), ("exxample.com", "one edit"),
        ("mexample.com", "one edit"), ("xample.com", "one edit"), ("examples.com", "one edit"),
        ("exampl.com", "one edit"), ("xeample.com", "one edit"), ("exampel.com", "one edit"),
        ("paypa1.com", "confusable"), ("xn--pypal-4ve.com", "confusable"), ("раyраl.com", "confusable"),
        ("rnodern.co.uk", "confusable"), ("login.paypaI.com", None), ("pаypal.com", "confusable"),
    ],
)  # fmt: skip
def test_lookalikes(name: str, why: str | None) -> None:
    raw = name.encode()
    found = [each.why for each in LIKE.match(Names(dns=(raw,)))]
    assert found == [why or "one edit"]
    assert LIKE.touching([b"a.test", raw, b"b.test"]) == [1]


@pytest.mark.parametrize(
    "name", ["example.com", "www.paypal.com", "api.com", "sample.test", "exomplo.com", "co.uk", "com", ""]
)
def test_what_is_no_lookalike(name: str) -> None:
    assert LIKE.match(Names(dns=(name.encode(),))) == ()


@given(st.text("abcde", min_size=3, max_size=8), st.text("abcde", min_size=5, max_size=7))
@settings(max_examples=400)
def test_one_edit_is_what_a_distance_says(one: str, other: str) -> None:
    found = lookalikes(f"{other}.com").match(Names(dns=(f"{one}.com".encode(),)))
    near = len(one) >= 4 and distance(one, other) == 1
    assert bool(found) == near


_PIECES = st.sampled_from(
    [
        "example",
        "examp1e",
        "exarnple",
        "exmaple",
        "paypal",
        "paypa1",
        "modern",
        "rnodern",
        "vvv",
        "api",
        "www",
        "a",
        "co",
    ]
) | st.sampled_from(
    ["com", "uk", "net", "photography", "*", "my-shop", "xn--pypal-4ve", "EXAMPLES", "рaypal", "x_y", "", "exa mple"]
)
_NAMES = st.lists(_PIECES, min_size=1, max_size=5).map(".".join) | st.text("aexmpl1rnv.*", max_size=12)


@given(st.lists(_NAMES, max_size=12))
@settings(max_examples=500)
def test_the_quick_look_passes_no_lookalike_over(names: list[str]) -> None:
    raw = [name.encode() for name in names]
    touching = LIKE.touching(raw)
    assert touching == sorted(set(touching))
    for at, name in enumerate(raw):
        assert at in touching or not LIKE.match(Names(dns=(name,)))
    for at in touching:  # and no more than its own domains beside them
        text = raw[at].decode().lower()
        is_own = registrable(text) in ("example.com", "paypal.com", "modern.co.uk")
        is_odd = not is_plain(raw[at]) or text.endswith(".") or not text
        assert is_own or is_odd or LIKE.match(Names(dns=(raw[at],)))


_LABEL = st.text("exampl1o-", min_size=1, max_size=14)


@given(_LABEL, st.lists(_LABEL, min_size=1, max_size=4))
@settings(max_examples=500)
def test_what_length_and_halves_exclude_is_no_lookalike(label: str, own: list[str]) -> None:
    like = lookalikes(f"{each}.com" for each in own)
    near = {each for each in own if len(each) >= 5 and len(label) >= 4 and distance(label, each) == 1}
    found = like._imitated(label)
    assert not near or found, (label, near)
    assert not found or found[1] != "one edit" or found[0].removesuffix(".com") in near


@pytest.mark.parametrize("name", [b"a\nb.test", b"x*.test", b"*.*.test", b"a.*", b"\n", b"a b", "é.test".encode()])
def test_a_name_that_is_not_plain(name: bytes) -> None:
    assert not is_plain(name)
    assert ends_of([b"first.test", name]) is None
    assert ends_of([b"*.First.test", b"a.first.test."]) == [b"tset.tsrif", b".tset"]


def distance(one: str, other: str) -> int:
    """Optimal string alignment, from its definition."""
    rows = [[max(a, b) if not (a and b) else 0 for b in range(len(other) + 1)] for a in range(len(one) + 1)]
    for a in range(1, len(one) + 1):
        for b in range(1, len(other) + 1):
            cost = one[a - 1] != other[b - 1]
            rows[a][b] = min(rows[a - 1][b] + 1, rows[a][b - 1] + 1, rows[a - 1][b - 1] + cost)
            if a > 1 and b > 1 and one[a - 1] == other[b - 2] and one[a - 2] == other[b - 1]:
                rows[a][b] = min(rows[a][b], rows[a - 2][b - 2] + 1)
    return rows[-1][-1]
