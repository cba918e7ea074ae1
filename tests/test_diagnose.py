"""The catalogue's ranking, rule by rule; and that no evidence, however odd, ends in anything but a report."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import plan
from probes.catalogue import CATALOGUE
from probes.clients import TLS10, TLS11, TLS12, TLS13
from probes.codec import from_json, to_json
from probes.diagnose import diagnose, judge
from probes.facts import Facts
from probes.model import CertificateRequest, Diagnosis, Endpoint, Evidence, Fetched, Handshake, Outcome, Target
from probes.report import report
from tests.endpoints.schema import SCHEMA
from tests.evidence import (
    ADDRESS,
    DAY,
    HEALTHY,
    HTTP,
    LOCAL,
    OLD_AND_NEW,
    OTHER,
    REFUSED,
    RSA,
    TARGET,
    THIRD,
    TIMED_OUT,
    UNREACHABLE,
    Chain,
    Server,
    alerted,
    chain,
    default_chain,
    ders,
    dropped,
    ended,
    evidence,
    facts,
    healthy,
    issuing,
    malformed,
    root,
    serves,
    stalled,
    store,
    then,
)
from tests.pki import CLIENT_AUTH, NOW, authority, intermediate, leaf, self_signed

DEMAND = then(alerted(116, encrypted=True, awaiting="application_data"))
EXPIRED = ders(leaf(issuing(), not_after=NOW - DAY), issuing())
EXPIRING = ders(leaf(issuing(), not_before=NOW - 80 * DAY, not_after=NOW + 5 * DAY), issuing())
FOREIGN = authority("Foreign Root")


def cause(seen: Facts) -> str | None:
    found = judge(seen).cause
    return found.code if found else None


def codes(seen: Facts) -> list[str]:
    return [finding.code for finding in judge(seen).findings]


def at(server: Server, address: str = ADDRESS) -> tuple[Handshake, ...]:
    return healthy(address, server=server)


# 1: what stops everyone, before what stops some, before risks -----------------------------------------------------


def test_1_what_stops_everyone_comes_before_what_stops_some() -> None:
    """Every browser fails over an expired leaf, some only over the big hello, which would fail earlier."""
    gone = dropped("rst")
    seen = facts(healthy(server=replace(HEALTHY, chain=EXPIRED), modern=gone, padded=gone, quantum=gone))
    assert cause(seen) == "validity.expired" and "reach.large-hello" in codes(seen)


def test_1_what_stops_some_comes_before_a_risk() -> None:
    gone = dropped("rst")
    seen = facts(healthy(server=replace(HEALTHY, chain=EXPIRING), modern=gone, padded=gone, quantum=gone))
    assert cause(seen) == "reach.large-hello" and "validity.expiring" in codes(seen)


def test_1_a_fault_at_every_address_comes_before_a_difference_between_them() -> None:
    bad = replace(HEALTHY, chain=ders(self_signed()))
    seen = facts(at(bad), at(replace(bad, versions=(TLS12,)), OTHER))
    assert cause(seen) == "chain.self-signed"
    assert "balancer.configuration-differs" in codes(seen)


# 2: what fails first -----------------------------------------------------------------------------------------------


def test_2_a_negotiation_fails_before_a_certificate_is_judged() -> None:
    seen = facts(at(replace(RSA, versions=(TLS11,), chain=EXPIRED)))
    assert cause(seen) == "negotiation.legacy-only"


def test_2_a_certificate_fails_before_the_client_is_asked_for_one() -> None:
    server = replace(HEALTHY, chain=chain()[:1], wants=CertificateRequest())
    seen = facts(healthy(server=server, modern=DEMAND, http=DEMAND))
    assert cause(seen) == "chain.incomplete"


def test_2_a_name_that_is_not_routed_explains_the_default_certificate_s_faults() -> None:
    wrong = ders(self_signed(("default.test",), not_after=NOW - DAY))
    assert cause(facts(at(replace(HEALTHY, chain=wrong)))) == "sni.default-certificate"


# 3: some addresses only --------------------------------------------------------------------------------------------

FAULTS: tuple[tuple[str, Server, str], ...] = (
    ("validity.expired", replace(HEALTHY, chain=EXPIRED), "balancer.certificate-differs"),
    ("chain.incomplete", replace(HEALTHY, chain=chain()[:1]), "balancer.certificate-differs"),
    ("chain.self-signed", replace(HEALTHY, chain=ders(self_signed())), "balancer.certificate-differs"),
    ("sni.default-certificate", replace(HEALTHY, chain=default_chain()), "balancer.certificate-differs"),
    ("negotiation.legacy-only", replace(RSA, versions=(TLS11, TLS10)), "balancer.configuration-differs"),
)


@pytest.mark.parametrize(("code", "broken", "balancer"), FAULTS, ids=[code for code, _, _ in FAULTS])
def test_3_a_fault_of_one_address_makes_the_difference_the_cause(code: str, broken: Server, balancer: str) -> None:
    diagnosis = judge(facts(healthy(), at(broken, OTHER), healthy(THIRD)))
    assert diagnosis.cause and diagnosis.cause.code == balancer
    assert [finding.addresses for finding in diagnosis.findings if finding.code == code] == [(OTHER,)]


@pytest.mark.parametrize(("code", "broken", "balancer"), FAULTS, ids=[code for code, _, _ in FAULTS])
def test_3_the_same_fault_everywhere_is_the_fault(code: str, broken: Server, balancer: str) -> None:
    diagnosis = judge(facts(at(broken), at(broken, OTHER), at(broken, THIRD)))
    assert diagnosis.cause and (diagnosis.cause.code, diagnosis.cause.addresses) == (code, (ADDRESS, OTHER, THIRD))


ADDRESSES = tuple(f"192.0.2.{last}" for last in range(1, 6))
DOWN = (REFUSED, TIMED_OUT, UNREACHABLE, dropped("rst"), dropped("fin"), stalled(), HTTP, alerted(112))


@given(st.lists(st.sampled_from([None, *DOWN]), min_size=2, max_size=5))
@settings(deadline=None)
def test_3_no_address_that_is_down_is_left_out(endings: list[Outcome | None]) -> None:
    shakes = [healthy(address, every=ending) for address, ending in zip(ADDRESSES, endings, strict=False)]
    diagnosis = judge(facts(*shakes))
    down = {address for address, ending in zip(ADDRESSES, endings, strict=False) if ending is not None}
    named = {address for finding in diagnosis.findings for address in finding.addresses}
    assert named == down
    assert diagnosis.status == ("broken" if down else "ok")
    if down and len(down) < len(endings):
        assert diagnosis.cause and diagnosis.cause.code == "balancer.address-down"
        assert set(diagnosis.cause.addresses) == down
    elif down:
        assert diagnosis.cause and not diagnosis.cause.code.startswith("balancer.")


@given(st.lists(st.sampled_from([None, *FAULTS]), min_size=2, max_size=5))
@settings(deadline=None)
def test_3_no_address_with_a_fault_is_left_out(faults: list[tuple[str, Server, str] | None]) -> None:
    servers = [HEALTHY if fault is None else fault[1] for fault in faults]
    diagnosis = judge(facts(*(at(server, address) for server, address in zip(servers, ADDRESSES, strict=False))))
    for code in {fault[0] for fault in faults if fault is not None}:
        wanted = {a for a, fault in zip(ADDRESSES, faults, strict=False) if fault is not None and fault[0] == code}
        got = {a for finding in diagnosis.findings if finding.code == code for a in finding.addresses}
        assert got == wanted, code


# 4 and 5: chains and clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fetched", [(), (Fetched(url="http://ca.test/x", problem="timed out"),)])
def test_4_a_missing_intermediate_of_a_trusted_root_is_incomplete(fetched: tuple[Fetched, ...]) -> None:
    seen = Facts(replace(evidence(at(replace(HEALTHY, chain=chain()[:1]))), fetched=fetched))
    assert cause(seen) == "chain.incomplete" and "chain.untrusted" not in codes(seen)


def _expired(*more: Chain, names: Sequence[str] = ("healthy.test",)) -> Chain:
    stale = leaf(issuing(), names=names, not_after=NOW - DAY)
    return (stale.der, *(der for chain_ in more for der in chain_))


STALE_CA = intermediate(root(), "Stale CA", not_before=NOW - 400 * DAY, not_after=NOW - 2 * DAY)
FOREIGN_CA = intermediate(FOREIGN, "Foreign CA")


@pytest.mark.parametrize(
    "served",
    [
        _expired(),
        _expired(ders(intermediate(root(), "Sibling CA"))),
        ders(leaf(FOREIGN_CA, not_after=NOW - DAY), FOREIGN_CA, FOREIGN),
        ders(self_signed(not_after=NOW - DAY)),
        ders(leaf(STALE_CA, not_after=NOW - DAY), STALE_CA),
        ders(leaf(issuing(), not_after=NOW - DAY, usages=(CLIENT_AUTH,)), issuing()),
    ],
    ids=["incomplete", "wrong-intermediate", "untrusted", "self-signed", "expired-intermediate", "wrong-usage"],
)
def test_5_an_expired_leaf_is_expired_whatever_else_is_wrong_with_its_chain(served: Chain) -> None:
    assert cause(facts(at(replace(HEALTHY, chain=served)))) == "validity.expired"


def test_5_expired_by_our_clock_alone_is_a_clock() -> None:
    assert cause(facts(at(replace(HEALTHY, chain=EXPIRED, skew=-3 * DAY)))) == "validity.clock-skew"


def test_5_expired_by_both_clocks_is_expired() -> None:
    assert cause(facts(at(replace(HEALTHY, chain=EXPIRED, skew=-timedelta(hours=1))))) == "validity.expired"


def test_5_not_yet_valid_by_our_clock_alone_is_a_clock() -> None:
    fresh = ders(leaf(issuing(), not_before=NOW + DAY, not_after=NOW + 90 * DAY), issuing())
    assert cause(facts(at(replace(HEALTHY, chain=fresh, skew=2 * DAY)))) == "validity.clock-skew"
    assert cause(facts(at(replace(HEALTHY, chain=fresh)))) == "validity.not-yet-valid"


# 6: healthy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server",
    [
        HEALTHY,
        RSA,
        OLD_AND_NEW,
        replace(HEALTHY, versions=(TLS12,)),
        replace(HEALTHY, key_kind="p384"),
        replace(HEALTHY, groups=(0x0017,)),
        replace(HEALTHY, alpn=()),
        replace(HEALTHY, default=default_chain()),
        replace(HEALTHY, chain=ders(leaf(issuing()), issuing(), root())),
        replace(HEALTHY, wants=CertificateRequest()),
        replace(HEALTHY, skew=None),
    ],
)
def test_6_a_healthy_endpoint_has_no_cause(server: Server) -> None:
    diagnosis = judge(facts(at(server)))
    assert (diagnosis.status, diagnosis.cause) == ("ok", None)
    assert all(finding.severity == "notice" for finding in diagnosis.findings)
    assert "healthy" in diagnosis.summary and "69 days" not in diagnosis.summary


def test_6_notices_alone_leave_it_ok() -> None:
    seen = facts(at(replace(OLD_AND_NEW, default=default_chain(), chain=(*chain("rsa2048"), *ders(issuing())))))
    diagnosis = judge(seen)
    assert {f.code for f in diagnosis.findings} >= {"sni.required", "negotiation.weak-offered", "chain.misordered"}
    assert (diagnosis.status, diagnosis.cause) == ("ok", None)


def test_6_warnings_alone_are_a_warning() -> None:
    assert judge(facts(at(replace(HEALTHY, chain=EXPIRING)))).status == "warning"


# the diagnosis as a whole ------------------------------------------------------------------------------------------

SERVERS = (
    HEALTHY,
    RSA,
    OLD_AND_NEW,
    replace(HEALTHY, versions=(TLS13,)),
    replace(HEALTHY, versions=(TLS12,)),
    replace(RSA, versions=(TLS11, TLS10)),
    replace(HEALTHY, alpn=("h2",)),
    replace(HEALTHY, key_kind="p521"),
    replace(HEALTHY, groups=(0x001A,)),
    replace(HEALTHY, chain=EXPIRED),
    replace(HEALTHY, chain=EXPIRED, skew=-3 * DAY),
    replace(HEALTHY, chain=EXPIRING),
    replace(HEALTHY, chain=chain()[:1]),
    replace(HEALTHY, chain=default_chain()),
    replace(HEALTHY, chain=ders(self_signed())),
    replace(HEALTHY, chain=ders(leaf(issuing(), names=(), subject="\u202e\x1b[2J$(reboot)'\"`"), issuing())),
    replace(HEALTHY, chain=ders(leaf(FOREIGN), FOREIGN), wants=CertificateRequest(ca_names=(b"\x30\x00", b"junk"))),
)
ENDINGS: tuple[Outcome, ...] = (
    *(REFUSED, TIMED_OUT, UNREACHABLE, LOCAL, HTTP, malformed("\x1b[2J\n"), stalled(), stalled(received=900)),
    *(dropped("rst"), dropped("fin", received=7, awaiting="certificate")),
    *(alerted(code) for code in (0, 40, 70, 80, 112, 120, 255)),
)
PURPOSES = (
    *(offer.purpose for offer in plan.first(TARGET)),
    *("padded", "quantum", "everything", "no-alpn", "tls13", "tls12-everything", "alone", "again"),
)
TARGETS = (TARGET, Target.parse("192.0.2.7"), Target.parse("other.test:8443"), Target.parse("[2001:db8::9]:25"))


@st.composite
def looks(draw: st.DrawFn, address: str, target: Target) -> tuple[Handshake, ...]:
    """What one address may have answered: a server, some of whose answers ended otherwise, in whatever way."""
    server = draw(st.sampled_from(SERVERS))
    every = draw(st.none() | st.sampled_from(ENDINGS))
    ends = draw(st.dictionaries(st.sampled_from(PURPOSES), st.sampled_from(ENDINGS), max_size=6))
    seen: tuple[Handshake, ...] = ()
    offers = plan.first(target)
    endpoint = Endpoint(address=address, port=target.port)
    for _ in range(4):
        for offer in offers:
            shake = replace(server.handshake(endpoint, offer), crowd=draw(st.integers(1, 12)))
            ending = ends.get(offer.purpose, every)
            changed = draw(st.integers(0, 3)) if ending is not None else 0
            if ending is not None and changed in {1, 2}:
                shake = ended(shake, ending)
            elif ending is not None and changed == 3:
                shake = replace(shake, outcome=ending)
            seen = (*seen, shake)
        offers = plan.following(target, seen)
    return seen


@st.composite
def observed(draw: st.DrawFn) -> Evidence:
    target = draw(st.sampled_from(TARGETS))
    addresses = (ADDRESS, OTHER, THIRD)[: draw(st.integers(1, 3))]
    shakes = [draw(looks(address, target)) for address in addresses]
    origin = draw(st.sampled_from([None, Endpoint(address=addresses[-1], port=target.port)]))
    trust = draw(st.sampled_from([store(), store(added=(FOREIGN,)), replace(store(), default=(), default_name=None)]))
    return evidence(*shakes, target=target, trust=trust, origin=origin)


def _same(one: Diagnosis, other: Diagnosis) -> bool:
    return (one.status, one.cause and one.cause.code, [f.code for f in one.findings]) == (
        other.status,
        other.cause and other.cause.code,
        [f.code for f in other.findings],
    )


@given(observed())
@settings(deadline=None)
def test_any_evidence_gives_a_report_of_the_catalogue_s_form(seen: Evidence) -> None:
    known = Facts(seen)
    diagnosis = judge(known)
    said = report(known, diagnosis, elapsed_ms=12.5)
    data = to_json(said)
    jsonschema.validate(data, SCHEMA)
    assert from_json(json.loads(json.dumps(data))) == said

    assert (diagnosis.cause is None) == (diagnosis.status == "ok")
    assert diagnosis.cause is None or diagnosis.findings[0] is diagnosis.cause
    assert (diagnosis.status == "broken") == any(f.severity == "critical" for f in diagnosis.findings)
    assert diagnosis.summary.isprintable()
    addresses = set(known.addresses)
    for finding in diagnosis.findings:
        assert finding.code in CATALOGUE and finding.evidence
        assert set(finding.addresses) <= addresses
        assert shlex.split(finding.next_command)
        assert finding.explanation.isprintable() and all(line.isprintable() for line in finding.evidence)
    # What fails for current clients is never without a finding, and no client fails where all is well.
    current = {c.name for c in said.clients if c.outcome == "fail"} - {
        "android-7",
        "openssl-1.0",
        "java-8",
        "embedded-tls1.0",
    }
    assert not current or diagnosis.status != "ok", current


@given(observed(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_same_evidence_gives_the_same_diagnosis_again(seen: Evidence, _: object) -> None:
    assert diagnose(seen) == diagnose(seen)


@given(
    st.sampled_from(SERVERS),
    st.dictionaries(st.sampled_from(PURPOSES[:12]), st.sampled_from(ENDINGS), max_size=3),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_the_order_in_which_answers_came_in_does_not_matter(
    server: Server, ends: dict[str, Outcome], random: object
) -> None:
    seen = evidence(healthy(server=server, purposes=ends), healthy(OTHER))
    shuffled = list(seen.handshakes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _same(diagnose(seen), diagnose(replace(seen, handshakes=tuple(shuffled))))


@pytest.mark.parametrize("rubbish", [b"\x30\x03abc", b"", b"\xff" * 5000])
def test_an_unreadable_certificate_is_shown_as_such_and_raises_nothing(rubbish: bytes) -> None:
    for served in ((rubbish,), (*chain(), rubbish), (chain()[0], rubbish, chain()[1])):
        seen = facts(at(replace(HEALTHY, chain=served)), healthy(OTHER))
        said = report(seen, judge(seen), elapsed_ms=1.0)
        shown = said.endpoints[0].chain[served.index(rubbish)]
        assert shown.subject == "(unreadable)"
        assert shown.sha256 == hashlib.sha256(rubbish).hexdigest()


def test_a_check_that_saw_nothing_says_so() -> None:
    diagnosis = judge(facts(healthy(every=LOCAL)))
    assert (diagnosis.status, diagnosis.cause) == ("ok", None)
    assert "could not be looked at" in diagnosis.summary


def test_an_intermittent_certificate_is_the_address_s_fault_and_not_the_certificate_s() -> None:
    diagnosis = judge(facts(healthy(http=serves(EXPIRED))))
    assert diagnosis.cause and diagnosis.cause.code == "balancer.intermittent"
