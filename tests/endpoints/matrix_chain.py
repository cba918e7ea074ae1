"""Mode 2: the path from the leaf to a trusted root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cryptography import x509

from tests.endpoints.authority import CLIENT_AUTH, Hierarchy, Party, authority, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, OK, VERIFIED, WARNING, Case, Place, Register
from tests.endpoints.matrix_names import sink

DAY = timedelta(days=1)
Build = Callable[[Bench, Case], Place]
Chain = Callable[[Hierarchy, str], tuple[Party, ...]]


def served(
    chain: Chain,
    server: str = "nginx",
    *,
    trust: Callable[[Hierarchy], tuple[Party, ...]] | None = None,
    only: bool = False,
) -> Build:
    """Serve what `chain` makes for the host, exactly in that order."""

    def build(bench: Bench, case: Case) -> Place:
        parties = chain(bench.hierarchy, case.host)
        address, port = _serve(bench, server, case.host, parties)
        return Place(addresses=(address,), port=port, only=only, trust=trust(bench.hierarchy) if trust else None)

    return build


def _serve(bench: Bench, server: str, host: str, parties: tuple[Party, ...]) -> tuple[str, int]:
    match server:
        case "nginx":
            return bench.nginx(Vhost(names=(host,), chains=(parties,)))
        case "legacy":
            return bench.nginx(Vhost(names=(host,), chains=(parties,)), legacy=True)
        case "haproxy":
            return bench.haproxy_tls(*parties)
        case "apache":
            return bench.apache(f"ServerName {host}", *parties)
        case "caddy":
            return bench.caddy(*parties)
        case "stunnel":
            return bench.stunnel(f"connect = {sink(bench)}", *parties)
        case "gnutls":
            return bench.gnutls(chain=parties)
    return bench.s_server(chain=parties)


def with_issuer_url(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    leaf = h.leaf(case.host, issuers_at=bench.issuer_url(h.intermediate))
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((leaf,),)))
    return Place(addresses=(address,), port=port)


def with_issuer_url_of_root(bench: Bench, case: Case) -> Place:
    """The leaf hangs directly on a private root, which its caIssuers URL proves."""
    h = bench.hierarchy
    leaf = h.leaf(case.host, by=h.stranger, issuers_at=bench.issuer_url(h.stranger))
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((leaf,),)))
    return Place(addresses=(address,), port=port)


def dead_issuer_url(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    address, port = bench.place()
    leaf = h.leaf(case.host, issuers_at=f"http://{address}:{port}/gone.cer")
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((leaf,),)))
    return Place(addresses=(address,), port=port)


def pinned_self_signed(*, ca: bool) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        leaf = issue(case.host, names=(case.host,), ca=ca)
        address, port = bench.nginx(Vhost(names=(case.host,), chains=((leaf,),)))
        return Place(addresses=(address,), port=port, trust=(leaf,))

    return build


def self_signed(server: str, *, ca: bool) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        leaf = issue(case.host, names=(case.host,), ca=ca)
        address, port = _serve(bench, server, case.host, (leaf,))
        return Place(addresses=(address,), port=port)

    return build


def cross_signed(
    *, cross_until: timedelta, old_until: timedelta | None, trust_new: bool, old_sent: bool = False
) -> Build:
    """leaf ← issuing ← new root, the new root also cross-signed by an older one, and the cross-sign is sent.

    `old_until` None: the older root is not in the client's store.
    """

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        new_key = key("rsa2048", "new-root")
        old_end = old_until if old_until is not None else 900 * DAY
        old = authority("Old Root O1", under=key("rsa2048", "old-root"), since=-4000 * DAY, until=old_end)
        new = authority("New Root N1", under=new_key)
        cross = authority("New Root N1", by=old, under=new_key, since=-900 * DAY, until=cross_until)
        issuing = authority("New Issuing N2", by=new)
        leaf = h.leaf(case.host, by=issuing)
        sent = (leaf, issuing, cross, *((old,) if old_sent else ()))
        address, port = bench.nginx(Vhost(names=(case.host,), chains=(sent,)))
        trust = (*((new,) if trust_new else ()), *((old,) if old_until is not None else ()))
        return Place(addresses=(address,), port=port, trust=trust)

    return build


def reissued_root(bench: Bench, case: Case) -> Place:
    """The root sent along is an older certificate of the same name and key as the trusted one."""
    h = bench.hierarchy
    own = key("rsa2048", "reissued")
    older = authority("Reissued Root", under=own, until=200 * DAY)
    newer = authority("Reissued Root", under=own, since=-20 * DAY)
    issuing = authority("Reissued Issuing", by=older)
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((h.leaf(case.host, by=issuing), issuing, older),)))
    return Place(addresses=(address,), port=port, trust=(newer,))


def anchored_intermediate(bench: Bench, case: Case) -> Place:
    """The intermediate itself is given as an anchor, beside its root; only the leaf is sent."""
    h = bench.hierarchy
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((h.leaf(case.host),),)))
    return Place(addresses=(address,), port=port, trust=(h.intermediate, h.root))


def same_name_other_key(h: Hierarchy, host: str) -> tuple[Party, ...]:
    return (h.leaf(host), authority("Matrix Issuing I1", by=h.root))


def usage(h: Hierarchy, host: str, **flags: bool) -> tuple[Party, ...]:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    bits = x509.KeyUsage(**{name: flags.get(name, False) for name in names})
    return (h.leaf(host, key_usage=bits), h.intermediate)


def not_a_ca(h: Hierarchy, host: str) -> tuple[Party, ...]:
    """An ordinary leaf has issued another one."""
    middle = h.leaf("middle.matrix.test", under=key("rsa2048", "middle"))
    return (h.leaf(host, by=middle), middle, h.intermediate)


def deep(h: Hierarchy, host: str) -> tuple[Party, ...]:
    issuers = [h.intermediate]
    for level in range(3):
        issuers.insert(0, authority(f"Matrix Deep {level}", by=issuers[0]))
    return (h.leaf(host, by=issuers[0]), *issuers)


def register(to: Register) -> None:
    incomplete = "chain.incomplete"
    lacking = r"Verify return code: (20|21)"
    for server in ("nginx", "haproxy", "apache", "caddy", "stunnel", "gnutls", "openssl"):
        to.add(f"chain/incomplete-{server}", server, served(lambda h, n: (h.leaf(n),), server), incomplete,
               fails=("curl", "go", "java", "python", "node", "rustls"), proof=lacking)  # fmt: skip
    strict = ("curl", "go", "java", "python", "node")
    to.add("chain/incomplete-with-aia", "nginx", with_issuer_url, incomplete, fails=strict, passes=("chrome", "safari"),
           proof=lacking)  # fmt: skip
    to.add("chain/incomplete-dead-aia", "nginx", dead_issuer_url, incomplete, fails=("chrome", *strict), proof=lacking)
    two = served(lambda h, n: (h.leaf(n, by=h.lower), h.lower))
    to.add("chain/incomplete-upper-missing", "nginx", two, incomplete, fails=strict, proof=lacking)
    upper = served(lambda h, n: (h.leaf(n, by=h.lower), h.intermediate))
    to.add(
        "chain/incomplete-lower-missing",
        "nginx",
        upper,
        (incomplete, "chain.wrong-intermediate"),
        why="the intermediate sent is one of the chain but not the leaf's issuer: both are true",
        fails=strict,
        proof=lacking,
    )
    both = served(lambda h, n: (h.leaf(n, by=h.lower),))
    unknowable = "without caIssuers nothing tells a missing intermediate from a private root over a lone leaf"
    to.add("chain/incomplete-both-missing", "nginx", both, (incomplete, "chain.untrusted"), why=unknowable,
           fails=strict, proof=lacking)  # fmt: skip
    to.add("chain/incomplete-root-instead", "nginx", served(lambda h, n: (h.leaf(n), h.root)),
           (incomplete, "chain.wrong-intermediate"),
           why="the root was sent where the intermediate belongs: it did not issue the leaf, and that one is missing",
           fails=strict, proof=lacking)  # fmt: skip
    to.add("chain/incomplete-only-ca-file", "nginx", served(lambda h, n: (h.leaf(n),), only=True), incomplete,
           fails=strict, proof=lacking)  # fmt: skip
    to.add("chain/incomplete-ec", "nginx",
           served(lambda h, n: (h.leaf(n, by=h.ec_intermediate, under=key("p256")),)), incomplete, fails=strict,
           proof=lacking)  # fmt: skip

    untrusted = "chain.untrusted"
    for server in ("nginx", "haproxy", "apache", "caddy"):
        to.add(f"chain/untrusted-{server}", server,
               served(lambda h, n: (h.leaf(n, by=h.stranger_intermediate), h.stranger_intermediate), server),
               untrusted, fails=EVERYONE, proof=r"Verify return code: (19|20|21)")  # fmt: skip
    to.add("chain/untrusted-root-sent", "nginx",
           served(lambda h, n: (h.leaf(n, by=h.stranger_intermediate), h.stranger_intermediate, h.stranger)),
           untrusted, fails=EVERYONE, proof=r"Verify return code: 19")  # fmt: skip
    to.add("chain/untrusted-leaf-and-root", "nginx", served(lambda h, n: (h.leaf(n, by=h.stranger), h.stranger)),
           untrusted, fails=EVERYONE, proof=r"Verify return code: 19")  # fmt: skip
    to.add("chain/untrusted-lone-leaf", "nginx", served(lambda h, n: (h.leaf(n, by=h.stranger),)),
           (untrusted, incomplete), why=unknowable, fails=EVERYONE, proof=lacking)  # fmt: skip
    to.add("chain/untrusted-root-by-aia", "nginx", with_issuer_url_of_root, untrusted, fails=EVERYONE, proof=lacking)
    to.add(
        "chain/untrusted-only-another-root",
        "nginx",
        served(lambda h, n: (h.leaf(n), h.intermediate), trust=lambda h: (h.ec_root,), only=True),
        untrusted,
        fails=EVERYONE,
        proof=r"Verify return code: (19|20|21)",
    )

    alone = "chain.self-signed"
    for server in ("nginx", "haproxy", "gnutls", "openssl"):
        to.add(f"chain/self-signed-{server}", server, self_signed(server, ca=False), alone, fails=EVERYONE,
               proof=r"Verify return code: 18")  # fmt: skip
    to.add("chain/self-signed-ca", "nginx", self_signed("nginx", ca=True), alone, fails=EVERYONE,
           proof=r"Verify return code: 18")  # fmt: skip
    to.add("healthy/self-signed-pinned", "nginx", pinned_self_signed(ca=False))
    to.add("healthy/self-signed-ca-pinned", "nginx", pinned_self_signed(ca=True))

    def expired_issuer(h: Hierarchy, n: str) -> tuple[Party, ...]:
        issuer = authority("Matrix Lapsed I3", by=h.root, until=-3 * DAY)
        return (h.leaf(n, by=issuer), issuer)

    for server in ("nginx", "haproxy"):
        to.add(f"chain/expired-intermediate-{server}", server, served(expired_issuer, server),
               "chain.expired-intermediate", fails=CURRENT, proof=r"Verify return code: 10")  # fmt: skip

    def expired_twin(h: Hierarchy, n: str) -> tuple[Party, ...]:
        lapsed = authority("Matrix Issuing I1", by=h.root, under=h.intermediate.key, until=-3 * DAY)
        return (h.leaf(n), lapsed)

    to.add("chain/expired-intermediate-renewed-elsewhere", "nginx", served(expired_twin),
           "chain.expired-intermediate", fails=("curl", "go", "java"), proof=r"Verify return code: 10")  # fmt: skip

    cross_old_trusted = cross_signed(cross_until=-40 * DAY, old_until=-35 * DAY, trust_new=True)
    to.add("chain/cross-sign-expired", "nginx", cross_old_trusted, "chain.cross-sign", status=WARNING,
           fails=("openssl-1.0",), passes=("chrome", "go", "curl"), proof=VERIFIED)  # fmt: skip
    to.add("chain/cross-sign-old-root-expired", "nginx",
           cross_signed(cross_until=300 * DAY, old_until=-35 * DAY, trust_new=True), "chain.cross-sign",
           status=WARNING, fails=("openssl-1.0",), passes=("chrome", "go", "curl"), proof=VERIFIED)  # fmt: skip
    to.add(
        "chain/cross-sign-expired-root-unknown",
        "nginx",
        cross_signed(cross_until=-40 * DAY, old_until=None, trust_new=True),
        ("chain.cross-sign", None),
        why="without the old root in a store, clients that try another path (all but strict ones) pass",
        status=WARNING | OK,
        proof=VERIFIED,
    )
    to.add(
        "chain/cross-sign-only-expired-path",
        "nginx",
        cross_signed(cross_until=-40 * DAY, old_until=300 * DAY, trust_new=False),
        ("chain.expired-intermediate", "chain.cross-sign"),
        why="the expired cross-sign is the only path: an expired issuing certificate, and a cross-sign",
        fails=("curl", "go"),
        proof=r"Verify return code: 10",
    )
    to.add("healthy/cross-sign-both-roots", "nginx",
           cross_signed(cross_until=300 * DAY, old_until=900 * DAY, trust_new=True))  # fmt: skip
    to.add("healthy/cross-sign-old-root-only", "nginx",
           cross_signed(cross_until=300 * DAY, old_until=900 * DAY, trust_new=False))  # fmt: skip
    to.add("healthy/cross-sign-new-root-only", "nginx",
           cross_signed(cross_until=300 * DAY, old_until=None, trust_new=True))  # fmt: skip
    to.add("healthy/cross-sign-old-root-sent", "nginx",
           cross_signed(cross_until=300 * DAY, old_until=900 * DAY, trust_new=True, old_sent=True))  # fmt: skip

    wrong = "chain.wrong-intermediate"
    for server in ("nginx", "haproxy"):
        to.add(f"chain/wrong-intermediate-same-name-{server}", server, served(same_name_other_key, server), wrong,
               fails=strict, proof=r"Verify return code: (7|20|21|30)")  # fmt: skip
    to.add("chain/wrong-intermediate-sibling", "nginx", served(lambda h, n: (h.leaf(n), h.lower)), wrong,
           fails=strict, proof=lacking)  # fmt: skip
    to.add("chain/wrong-intermediate-other-authority", "nginx",
           served(lambda h, n: (h.leaf(n), h.ec_intermediate)), wrong, fails=strict, proof=lacking)  # fmt: skip
    to.add("chain/wrong-intermediate-private", "nginx",
           served(lambda h, n: (h.leaf(n), h.stranger_intermediate)), wrong, fails=strict, proof=lacking)  # fmt: skip

    disorder = "chain.misordered"
    to.add("chain/misordered-two", "nginx",
           served(lambda h, n: (h.leaf(n, by=h.lower), h.intermediate, h.lower)), disorder, status=WARNING,
           passes=("chrome", "curl", "go"), proof=VERIFIED)  # fmt: skip
    to.add("chain/misordered-apache", "apache",
           served(lambda h, n: (h.leaf(n, by=h.lower), h.intermediate, h.lower), "apache"), disorder, status=WARNING,
           passes=("chrome", "curl", "go"), proof=VERIFIED)  # fmt: skip
    to.add("chain/misordered-root-first", "nginx",
           served(lambda h, n: (h.leaf(n), h.root, h.intermediate)), disorder, status=WARNING,
           passes=("chrome", "curl", "go"), proof=VERIFIED)  # fmt: skip
    to.add(
        "chain/stray-in-between",
        "nginx",
        served(lambda h, n: (h.leaf(n), h.ec_intermediate, h.intermediate)),
        (disorder, None),
        why="a stray between leaf and issuer: a stray is harmless, yet strict order is broken by it",
        status=WARNING | OK,
        proof=VERIFIED,
    )
    to.add("healthy/root-sent-along", "nginx", served(lambda h, n: (h.leaf(n), h.intermediate, h.root)))
    to.add("healthy/root-sent-along-apache", "apache",
           served(lambda h, n: (h.leaf(n), h.intermediate, h.root), "apache"))  # fmt: skip
    to.add("healthy/stray-at-the-end", "nginx", served(lambda h, n: (h.leaf(n), h.intermediate, h.ec_intermediate)))
    to.add("healthy/intermediate-sent-twice", "nginx", served(lambda h, n: (h.leaf(n), h.intermediate, h.intermediate)))
    to.add("healthy/reissued-root", "nginx", reissued_root)
    to.add("healthy/intermediate-in-the-store", "nginx", anchored_intermediate)
    to.add("healthy/leaf-under-the-root", "nginx", served(lambda h, n: (h.leaf(n, by=h.root),)))
    to.add("healthy/leaf-under-the-root-only-ca-file", "nginx",
           served(lambda h, n: (h.leaf(n, by=h.root),), only=True))  # fmt: skip
    to.add("healthy/deep-chain", "nginx", served(deep))
    to.add("healthy/private-root-given", "nginx",
           served(lambda h, n: (h.leaf(n, by=h.stranger_intermediate), h.stranger_intermediate),
                  trust=lambda h: (h.stranger,), only=True))  # fmt: skip
    to.add("healthy/root-signed-with-sha1", "nginx", sha1_root)
    to.add("healthy/without-extended-usage", "nginx",
           served(lambda h, n: (h.leaf(n, usages=None), h.intermediate)))  # fmt: skip

    weak = "chain.weak"
    nosy = r"Verify return code: (0|66|67|68)"  # this tool's security level may or may not mind
    to.add("chain/weak-sha1-leaf", "nginx", served(lambda h, n: (h.leaf(n, sha1=True), h.intermediate), "legacy"),
           weak, fails=("chrome", "firefox", "go"), proof=nosy)  # fmt: skip
    to.add(
        "chain/weak-rsa-1024",
        "nginx",
        served(lambda h, n: (h.leaf(n, under=key("rsa1024")), h.intermediate), "legacy"),
        weak,
        fails=("chrome", "curl"),
        proof=r"Verify return code: (0|66)|ee key too small|dh key|bad signature",
    )

    def sha1_issuer(h: Hierarchy, n: str) -> tuple[Party, ...]:
        issuer = authority("Matrix Old-Hash I4", by=h.root, sha1=True)
        return (h.leaf(n, by=issuer), issuer)

    def small_issuer(h: Hierarchy, n: str) -> tuple[Party, ...]:
        issuer = authority("Matrix Small-Key I5", by=h.root, under=key("rsa1024", "issuer"))
        return (h.leaf(n, by=issuer), issuer)

    to.add("chain/weak-sha1-intermediate", "nginx", served(sha1_issuer, "legacy"), weak, fails=("chrome", "go"),
           proof=nosy)  # fmt: skip
    to.add("chain/weak-rsa-1024-intermediate", "nginx", served(small_issuer, "legacy"), weak, fails=("chrome",),
           proof=nosy)  # fmt: skip

    usages = "chain.wrong-usage"
    purpose = r"Verify return code: 26|unsuitable certificate purpose|unsupported certificate"
    for server in ("nginx", "haproxy", "gnutls"):
        to.add(f"chain/client-auth-only-{server}", server,
               served(lambda h, n: (h.leaf(n, usages=(CLIENT_AUTH,)), h.intermediate), server), usages,
               fails=CURRENT, proof=purpose)  # fmt: skip
    to.add("chain/cannot-sign", "nginx",
           served(lambda h, n: usage(h, n, key_agreement=True)), usages, fails=("firefox",),
           proof=purpose + r"|Verify return code: 0|key usage")  # fmt: skip

    def client_issuer(h: Hierarchy, n: str) -> tuple[Party, ...]:
        issuer = authority("Matrix Clients-Only I6", by=h.root, usages=(CLIENT_AUTH,))
        return (h.leaf(n, by=issuer), issuer)

    to.add("chain/client-auth-intermediate", "nginx", served(client_issuer), usages, fails=("chrome", "go"),
           proof=purpose + r"|Verify return code: (24|79)")  # fmt: skip
    to.add(
        "chain/issued-by-a-leaf",
        "nginx",
        served(not_a_ca),
        (usages, wrong, untrusted),
        why="the catalogue has no code for basicConstraints; a certificate that may not issue is each of these",
        fails=CURRENT,
        proof=r"Verify return code: (24|79|20|21|26|32)",
    )


def sha1_root(bench: Bench, case: Case) -> Place:
    """A root's own signature is never checked: SHA-1 there is harmless."""
    h = bench.hierarchy
    root = authority("Venerable Root V1", under=key("rsa2048", "venerable"), sha1=True)
    issuing = authority("Venerable Issuing V2", by=root)
    address, port = bench.nginx(Vhost(names=(case.host,), chains=((h.leaf(case.host, by=issuing), issuing),)))
    return Place(addresses=(address,), port=port, trust=(root,))
