"""Second matrix, mode 2 and its healthy neighbours: bundles as people put them together.

Long, because each bundle is a function of its own beside the table that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from tests.endpoints.authority import SERVER_AUTH, Party, authority, bundle, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, HURT, OK, VERIFIED, WARNING, Case, Place, Proof, Register
from tests.endpoints.second_serving import (
    DAY,
    Build,
    Chain,
    at,
    good,
    keyed,
    minted,
    nginx,
    on,
    served,
    usage,
    version_1,
)

UNABLE = r"Verify return code: (20|21|2) "
EXPIRED = r"Verify return code: 10"
MISSING, WRONG_ISSUER = "chain.incomplete", "chain.wrong-intermediate"
USAGE, UNTRUSTED = "chain.wrong-usage", "chain.untrusted"
CERTIFICATE_SIGNING = (usage("key_cert_sign", "crl_sign"), True)


def root_only(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.lower), h.root)


def middle_missing(bench: Bench, case: Case) -> Sequence[Party]:
    """Three intermediates; the one in the middle was left out."""
    h = bench.hierarchy
    bottom = authority("Second Issuing B3", by=h.lower)
    return (h.leaf(case.host, by=bottom), bottom, h.intermediate)


def swapped(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.lower), h.intermediate, h.lower)


def reversed_with_root(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.lower), h.root, h.intermediate, h.lower)


def other_authority(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host), h.ec_intermediate)


def old_generation(bench: Bench, case: Case) -> Sequence[Party]:
    """Renewed by the authority's next intermediate; the bundle still has the last one's."""
    h = bench.hierarchy
    newer = authority("Matrix Issuing I1 G2", by=h.root)
    return (h.leaf(case.host, by=newer), h.intermediate)


def rekeyed(*, key_ids: bool) -> Chain:
    """The intermediate was given a new key under its old name; the bundle has the certificate of the old key."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        old = minted(
            "Second Rekeyed CA",
            by=h.root,
            under=key("rsa2048", "rekey-a"),
            ca=True,
            key_ids=key_ids,
            extensions=[CERTIFICATE_SIGNING],
        )
        new = minted(
            "Second Rekeyed CA",
            by=h.root,
            under=key("rsa2048", "rekey-b"),
            ca=True,
            key_ids=key_ids,
            extensions=[CERTIFICATE_SIGNING],
        )
        return (minted(case.host, by=new, names=(case.host,), key_ids=key_ids), old)

    return chain


def path_length(bench: Bench, case: Case) -> Sequence[Party]:
    """The upper intermediate may issue leaves only, and has issued an authority."""
    h = bench.hierarchy
    upper = minted(
        "Second Short CA",
        by=h.root,
        under=key("p256", "short"),
        ca=True,
        path_length=0,
        extensions=[CERTIFICATE_SIGNING],
    )
    lower = authority("Second Below Short CA", by=upper)
    return (h.leaf(case.host, by=lower), lower, upper)


def constrained(*, permitted: str | None = None, excluded: str | None = None) -> Chain:
    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        constraints = x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(permitted)] if permitted else None,
            excluded_subtrees=[x509.DNSName(excluded)] if excluded else None,
        )
        issuer = minted(
            "Second Constrained CA",
            by=h.root,
            under=key("p256", "constrained"),
            ca=True,
            extensions=[CERTIFICATE_SIGNING, (constraints, True)],
        )
        return (h.leaf(case.host, by=issuer), issuer)

    return chain


def address_constrained(bench: Bench, case: Case) -> Sequence[Party]:
    """Constraints on addresses alone say nothing about DNS names."""
    h = bench.hierarchy
    constraints = x509.NameConstraints(
        permitted_subtrees=[x509.IPAddress(ip_network("10.0.0.0/8"))], excluded_subtrees=None
    )
    issuer = minted(
        "Second Address CA",
        by=h.root,
        under=key("p256", "addressed"),
        ca=True,
        extensions=[CERTIFICATE_SIGNING, (constraints, True)],
    )
    return (h.leaf(case.host, by=issuer), issuer)


def purposed(*granted: ObjectIdentifier) -> Chain:
    """An intermediate limited to these extended key usages."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        issuer = minted(
            "Second Purposed CA",
            by=h.root,
            under=key("p256", "purposed"),
            ca=True,
            extensions=[CERTIFICATE_SIGNING, (x509.ExtendedKeyUsage(granted), False)],
        )
        return (h.leaf(case.host, by=issuer), issuer)

    return chain


def leaf_with(*extensions: tuple[x509.ExtensionType, bool], kind: str = "rsa2048", ca: bool = False) -> Chain:
    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        leaf = minted(case.host, by=h.intermediate, under=key(kind), names=(case.host,), ca=ca, extensions=extensions)
        return (leaf, h.intermediate)

    return chain


def version_1_leaf(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (version_1(bench, case.host, by=h.intermediate, under=key("rsa2048")), h.intermediate)


def version_1_issuer(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    issuer = version_1(bench, "Second Version One CA", by=h.root, under=key("rsa2048", "v1"))
    return (minted(case.host, by=issuer, names=(case.host,), key_ids=False), issuer)


def version_1_root(bench: Bench, case: Case) -> Place:
    root = version_1(bench, "Second Version One Root", by=None, under=key("rsa2048", "v1-root"), days=3000)
    chain = (minted(case.host, by=root, names=(case.host,), key_ids=False),)
    where = served(bench, "nginx", chain, case.host)
    return Place(addresses=(where[0],), port=where[1], trust=(root,))


def expired_root_sent(bench: Bench, case: Case) -> Sequence[Party]:
    """The root's old, expired issue is sent along; the store holds the new one of the same key."""
    h = bench.hierarchy
    old = authority("Matrix Root R1", under=h.root.key, since=-4000 * DAY, until=-10 * DAY)
    return (h.leaf(case.host), h.intermediate, old)


def both_issues(first_old: bool) -> Chain:
    """Two issues of one intermediate, the old one expired, are both in the bundle."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        own = key("p256", "twice-issued")
        old = authority("Second Twice Issued CA", by=h.root, under=own, since=-800 * DAY, until=-5 * DAY)
        new = authority("Second Twice Issued CA", by=h.root, under=own)
        return (h.leaf(case.host, by=new), *((old, new) if first_old else (new, old)))

    return chain


def expired_issuer(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    old = authority("Second Lapsed CA", by=h.root, until=-3 * DAY)
    return (h.leaf(case.host, by=old), old)


def expired_upper(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    old = authority("Second Lapsed Upper CA", by=h.root, until=-DAY)
    lower = authority("Second Below Lapsed CA", by=old)
    return (h.leaf(case.host, by=lower), lower, old)


def early_issuer(bench: Bench, case: Case) -> Sequence[Party]:
    """An issuing certificate that is not valid yet."""
    h = bench.hierarchy
    early = authority("Second Early CA", by=h.root, since=2 * DAY)
    return (h.leaf(case.host, by=early), early)


def expired_root_trusted(bench: Bench, case: Case) -> Place:
    root = authority("Second Expired Root", since=-4000 * DAY, until=-2 * DAY)
    chain = (bench.hierarchy.leaf(case.host, by=root), root)
    where = served(bench, "nginx", chain, case.host)
    return Place(addresses=(where[0],), port=where[1], trust=(root,))


def twice(*which: int) -> Chain:
    """The good chain, with its members in this sequence."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        members = good(bench, case)
        return tuple(members[number] for number in which)

    return chain


def with_strays(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (*good(bench, case), h.ec_intermediate, h.ec_root, h.stranger)


def whole_store(bench: Bench, case: Case) -> Sequence[Party]:
    """Somebody appended every authority of the company to the bundle."""
    crowd = [authority(f"Second Company CA {number}") for number in range(25)]
    return (*good(bench, case), *crowd)


def issuing_line(length: int, kind: str | None = None) -> Chain:
    """`length` intermediates in a row below the root."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        line = [h.root]
        for number in range(length):
            own = key(kind) if kind else None
            line.append(authority(f"Second Line CA {number}", by=line[-1], under=own))
        return (h.leaf(case.host, by=line[-1]), *reversed(line[1:]))

    return chain


def ec_under_rsa(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, under=key("p256")), h.intermediate)


def rsa_under_ec(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.ec_intermediate), h.ec_intermediate)


def own_root(bench: Bench, case: Case) -> Sequence[Party]:
    """caddy's `tls internal`: a local root and intermediate that no client has."""
    root = authority("Caddy Local Authority - 2026 ECC Root")
    issuer = authority("Caddy Local Authority - ECC Intermediate", by=root, until=7 * DAY)
    leaf = issue(case.host, by=issuer, names=(case.host,), under=key("p256"), since=-DAY / 12, until=DAY / 3)
    return (leaf, issuer)


def lookalike_root(bench: Bench, case: Case) -> Sequence[Party]:
    """A root of the trusted one's name with another key: a test instance of the same authority."""
    root = authority("Matrix Root R1", under=key("rsa2048", "lookalike"))
    issuer = authority("Matrix Issuing I1 test", by=root)
    return (issue(case.host, by=issuer, names=(case.host,)), issuer, root)


def self_signed(bench: Bench, case: Case) -> Sequence[Party]:
    return (issue(case.host, names=(case.host,), ca=None, usages=None),)


def self_signed_beside_chain(bench: Bench, case: Case) -> Sequence[Party]:
    """A self-signed leaf with an unrelated intermediate behind it."""
    return (issue(case.host, names=(case.host,)), bench.hierarchy.intermediate)


def apache_chain_file(name: str) -> Build:
    """Only the leaf in SSLCertificateFile; the intermediate in another directive."""

    def build(bench: Bench, case: Case) -> Place:
        leaf, intermediate = good(bench, case)
        return at(bench.apache(f"ServerName {case.host}\n {name} {bench.file(intermediate.pem)}", leaf))

    return build


def nginx_trusted_file(bench: Bench, case: Case) -> Place:
    """The intermediate stands in ssl_trusted_certificate, which is never sent."""
    leaf, intermediate = good(bench, case)
    extra = f"ssl_trusted_certificate {bench.file(bundle(intermediate, bench.hierarchy.root))};"
    return at(bench.nginx(Vhost(names=(case.host,), chains=((leaf,),), extra=extra)))


def wrong_aia(bench: Bench, case: Case) -> Place:
    """caIssuers leads to another authority's certificate."""
    h = bench.hierarchy
    leaf = h.leaf(case.host, issuers_at=bench.issuer_url(h.ec_intermediate))
    return at(served(bench, "nginx", (leaf,), case.host))


def reference_by_aia(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    leaf = h.leaf(case.host, issuers_at=bench.issuer_url(h.intermediate))
    return at(served(bench, "haproxy", (leaf,), case.host))


def register(to: Register) -> None:
    strict = (USAGE, UNTRUSTED)
    nearest = "the catalogue has no code for it by name; the path is there and a constraint forbids it"
    to.add(
        "chain/root-instead-haproxy", "haproxy", on("haproxy", root_only), MISSING, proof=UNABLE, fails=("curl", "go")
    )
    to.add("chain/middle-missing", "nginx", nginx(middle_missing), MISSING, proof=UNABLE, fails=("curl", "go", "java"))
    to.add(
        "chain/swapped-haproxy",
        "haproxy",
        on("haproxy", swapped),
        "chain.misordered",
        status=WARNING,
        proof=VERIFIED,
        passes=("curl", "chrome", "firefox", "go"),
    )
    to.add(
        "chain/reversed-with-root",
        "apache",
        on("apache", reversed_with_root),
        "chain.misordered",
        status=WARNING,
        proof=VERIFIED,
    )
    to.add(
        "chain/other-authority",
        "haproxy",
        on("haproxy", other_authority),
        (WRONG_ISSUER, MISSING),
        why="what was sent is another authority's, what was needed was not sent",
        proof=UNABLE,
    )
    to.add("chain/old-generation", "nginx", nginx(old_generation), (WRONG_ISSUER,), proof=UNABLE, fails=("curl",))
    to.add("chain/old-generation-stunnel", "stunnel", on("stunnel", old_generation), WRONG_ISSUER, proof=UNABLE)
    to.add(
        "chain/rekeyed", "nginx", nginx(rekeyed(key_ids=True)), WRONG_ISSUER, proof=r"Verify return code: (20|21|7) "
    )
    to.add(
        "chain/rekeyed-without-key-ids",
        "nginx",
        nginx(rekeyed(key_ids=False)),
        WRONG_ISSUER,
        proof=r"Verify return code: (20|21|7) ",
    )
    to.add(
        "chain/path-length",
        "nginx",
        nginx(path_length),
        strict,
        why=nearest,
        proof="Verify return code: 25",
        fails=CURRENT,
    )
    to.add(
        "chain/name-constraints-permit-another",
        "nginx",
        nginx(constrained(permitted="internal.example")),
        strict,
        why=nearest,
        proof="Verify return code: 47",
        fails=CURRENT,
    )
    to.add(
        "chain/name-constraints-exclude",
        "nginx",
        nginx(constrained(excluded="matrix.test")),
        strict,
        why=nearest,
        proof="Verify return code: 48",
        fails=CURRENT,
    )
    to.add(
        "chain/issuer-for-mail",
        "nginx",
        nginx(purposed(ExtendedKeyUsageOID.EMAIL_PROTECTION)),
        USAGE,
        proof="Verify return code: (24|26|79)",
        fails=tuple(name for name in CURRENT if name != "java"),  # it reads the leaf's purposes alone (tests/software)
    )
    to.add(
        "chain/leaf-for-code-signing",
        "caddy",
        on("caddy", leaf_with((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False))),
        USAGE,
        proof="Verify return code: 26",
        fails=CURRENT,
    )
    to.add(
        "chain/leaf-is-an-authority",
        "nginx",
        nginx(leaf_with((usage("digital_signature", "key_cert_sign"), True), ca=True)),
        (USAGE, None),
        status=HURT | OK,
        why="Firefox and rustls refuse an authority as a leaf, most clients do not",
        proof=VERIFIED,
        passes=("curl", "chrome"),
    )
    # An RSA key that may only encipher: fine for RSA key transport, which nobody negotiates any more.
    to.add(
        "chain/leaf-only-enciphers",
        "nginx",
        nginx(leaf_with((usage("key_encipherment"), True))),
        USAGE,
        proof=VERIFIED,
        fails=("chrome",),
    )
    to.add(
        "chain/leaf-unknown-critical",
        "nginx",
        nginx(leaf_with((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True))),
        strict,
        why=nearest,
        proof="Verify return code: 34",
        fails=("curl", "go", "chrome"),
    )
    to.add(
        "chain/version-1-leaf",
        "nginx",
        nginx(version_1_leaf),
        ("sni.name-mismatch", "sni.default-certificate", USAGE, "chain.weak"),
        why="version 1 has no SAN: nothing in it covers the name for anyone who wants a SAN",
        proof=Proof(want="Version: 1|v1|no alternative|curl: \\(60\\)|fine", tool="curl"),
        fails=("chrome", "go"),
    )
    to.add(
        "chain/version-1-issuer",
        "nginx",
        nginx(version_1_issuer),
        (*strict, WRONG_ISSUER),
        why=nearest,
        proof=r"Verify return code: (24|26|79|20|21)",
        fails=("curl", "go"),
    )
    to.add(
        "chain/expired-issuer-apache",
        "apache",
        on("apache", expired_issuer),
        "chain.expired-intermediate",
        proof=EXPIRED,
        fails=CURRENT,
    )
    to.add(
        "chain/expired-upper",
        "gnutls",
        on("gnutls", expired_upper),
        "chain.expired-intermediate",
        proof=EXPIRED,
        fails=CURRENT,
    )
    to.add(
        "chain/early-issuer",
        "nginx",
        nginx(early_issuer),
        ("chain.expired-intermediate", "validity.not-yet-valid", "validity.clock-skew"),
        why="an issuing certificate outside its validity; the catalogue names only the expired one",
        proof=r"Verify return code: 9 ",
        fails=CURRENT,
    )
    to.add(
        "chain/expired-root-in-store",
        "nginx",
        expired_root_trusted,
        ("chain.expired-intermediate", UNTRUSTED),
        why="the anchor itself is expired: nothing valid to end at",
        proof=EXPIRED,
        fails=("curl", "chrome"),
    )
    to.add("chain/caddy-internal", "caddy", on("caddy", own_root), UNTRUSTED, proof=UNABLE, fails=CURRENT)
    to.add(
        "chain/lookalike-root",
        "nginx",
        nginx(lookalike_root),
        (UNTRUSTED, WRONG_ISSUER),
        why="the root sent has the trusted one's name, and is another",
        proof=r"Verify return code: (19|20|7|21) ",
        fails=CURRENT,
    )
    to.add(
        "chain/self-signed-plain",
        "stunnel",
        on("stunnel", self_signed),
        "chain.self-signed",
        proof="Verify return code: 18",
        fails=CURRENT,
    )
    to.add(
        "chain/self-signed-beside-chain",
        "haproxy",
        on("haproxy", self_signed_beside_chain),
        "chain.self-signed",
        proof="Verify return code: (18|19)",
        fails=CURRENT,
    )
    to.add("chain/nginx-trusted-file", "nginx", nginx_trusted_file, MISSING, proof=UNABLE, fails=("curl", "go"))
    to.add("chain/wrong-aia", "nginx", wrong_aia, MISSING, proof=UNABLE, fails=("curl", "go", "chrome"))
    to.add(
        "chain/incomplete-by-aia-haproxy",
        "haproxy",
        reference_by_aia,
        MISSING,
        proof=UNABLE,
        fails=("curl", "go", "java", "python"),
    )
    to.add(
        "chain/weak-rsa-1536",
        "nginx",
        nginx(keyed("rsa1536"), legacy=True),
        "chain.weak",
        proof=Proof(want="key too small|1536 bit"),
        fails=("curl",),
    )
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **known: object) -> None:
        to.add(f"healthy/{name}", server, build, **known)  # type: ignore[arg-type]

    for server in ("haproxy", "apache", "caddy", "stunnel", "gnutls"):
        add(f"ec-under-rsa-{server}", server, on(server, ec_under_rsa))
    add("swapped-and-sorted-by-gnutls", "gnutls", on("gnutls", swapped))  # gnutls-serv sends what it loads in order
    add("rsa-under-ec", "apache", on("apache", rsa_under_ec))
    add("expired-root-sent", "nginx", nginx(expired_root_sent))
    add("leaf-sent-twice", "nginx", nginx(twice(0, 0, 1)))
    add("everything-twice", "haproxy", on("haproxy", twice(0, 1, 0, 1)))
    add("strays-behind", "apache", on("apache", with_strays))
    add("company-bundle", "nginx", nginx(whole_store))
    add("line-of-4", "haproxy", on("haproxy", issuing_line(4)))
    add("line-of-3-rsa-4096", "nginx", nginx(issuing_line(3, "rsa4096")))
    both = "two issues of one intermediate: the live one wins everywhere that builds paths"
    add("old-issue-behind", "nginx", nginx(both_issues(False)))
    to.add(
        "healthy/old-issue-in-front",
        "nginx",
        nginx(both_issues(True)),
        (None, "chain.cross-sign", "chain.misordered"),
        why=both,
        status=OK | WARNING,
        proof=VERIFIED,
    )
    add("name-constraints-kept", "nginx", nginx(constrained(permitted="matrix.test")))
    add("name-constraints-exclude-another", "haproxy", on("haproxy", constrained(excluded="example.org")))
    add("address-constraints", "nginx", nginx(address_constrained))
    add("issuer-for-tls", "nginx", nginx(purposed(SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)))
    add(
        "leaf-for-both",
        "nginx",
        nginx(leaf_with((x509.ExtendedKeyUsage([SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False))),
    )
    add("leaf-only-signs", "nginx", nginx(leaf_with((usage("digital_signature"), True))))
    add(
        "leaf-unknown-extension",
        "nginx",
        nginx(leaf_with((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), False))),
    )
    add("version-1-root", "nginx", version_1_root)
    add(
        "no-key-ids",
        "nginx",
        nginx(
            lambda bench, case: (
                minted(case.host, by=bench.hierarchy.intermediate, names=(case.host,), key_ids=False),
                bench.hierarchy.intermediate,
            )
        ),
    )
    add(
        "signed-with-sha384",
        "nginx",
        nginx(
            lambda bench, case: (
                minted(case.host, by=bench.hierarchy.intermediate, names=(case.host,), digest=hashes.SHA384()),
                bench.hierarchy.intermediate,
            )
        ),
    )
    add(
        "signed-with-sha512",
        "apache",
        on(
            "apache",
            lambda bench, case: (
                minted(case.host, by=bench.hierarchy.intermediate, names=(case.host,), digest=hashes.SHA512()),
                bench.hierarchy.intermediate,
            ),
        ),
    )
    add("rsa-3072", "haproxy", on("haproxy", keyed("rsa3072")))
    add("rsa-4096", "gnutls", on("gnutls", keyed("rsa4096")))
    add("p384", "caddy", on("caddy", keyed("p384")))
    add("apache-chain-file", "apache", apache_chain_file("SSLCertificateChainFile"))
