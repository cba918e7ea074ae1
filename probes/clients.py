"""Client families as values: what each offers, what it trusts, how it builds paths. Pure data.

Hellos are the defaults of the named software as of late 2026, reduced to what decides a
negotiation: versions, suites, groups, signature algorithms, ALPN. Extension order and
GREASE never decide one (RFC 8701), so they are not here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

from probes.model import Handshake, Offer
from probes.name_habits import NO_HABITS, Habits
from probes.pki.views import MODERN, SERVER_ORDER, TRUSTED_FIRST, View
from probes.values import value

SSL30, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

_X25519MLKEM768, _X25519, _X448 = 0x11EC, 0x001D, 0x001E
_P256, _P384, _P521 = 0x0017, 0x0018, 0x0019
_FFDHE = (0x0100, 0x0101, 0x0102, 0x0103, 0x0104)

_TLS13_SUITES = (0x1301, 0x1302, 0x1303)
_ECDHE_AEAD = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
_ECDHE_CBC_SHA = (0xC009, 0xC013, 0xC00A, 0xC014)
_ECDHE_CBC_SHA2 = (0xC023, 0xC027, 0xC024, 0xC028)
_DHE_AEAD = (0x009E, 0x009F, 0xCCAA)
_DHE_CBC = (0x0067, 0x006B, 0x0033, 0x0039)
_RSA_GCM = (0x009C, 0x009D)
_RSA_CBC_SHA = (0x002F, 0x0035)
_RSA_CBC_SHA2 = (0x003C, 0x003D)
_TRIPLE_DES = (0xC008, 0xC012, 0x0016, 0x000A)
_RC4 = (0xC007, 0xC011, 0x0005, 0x0004)
_CAMELLIA = (0x0041, 0x0084, 0x0045, 0x0088)

_BROWSER_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
_OPENSSL_SIGNATURES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x081A, 0x081B, 0x081C),
    *(0x0809, 0x080A, 0x080B, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601),
)
_OLD_SIGNATURES = (0x0601, 0x0603, 0x0501, 0x0503, 0x0401, 0x0403, 0x0301, 0x0303, 0x0201, 0x0203)
_OPENSSL_GROUPS = (_X25519MLKEM768, _X25519, _P256, _X448, _P384, _P521, *_FFDHE)
_OPENSSL_SUITES = (
    *(0x1302, 0x1303, 0x1301, 0xC02C, 0xC030, 0x009F, 0xCCA9, 0xCCA8, 0xCCAA, 0xC02B, 0xC02F, 0x009E),
    *(0xC024, 0xC028, 0x006B, 0xC023, 0xC027, 0x0067, 0xC00A, 0xC014, 0x0039, 0xC009, 0xC013, 0x0033),
    *(0x009D, 0x009C, 0x003D, 0x003C, 0x0035, 0x002F),
)


@value
class Family:
    """One kind of client, as it comes.

    `aia`: fetches missing issuers itself. `current`: as the catalogue counts them. `rare_ciphers`: offered, too, but so
    rarely chosen that this prober does not offer them for all. `view_of_added`: how it judges below roots that were
    added to its store, where it is laxer there. `checks_revocation`: by asking somebody during the connection; "soft"
    passes when there is no answer. `wants_staple`: refuses a must-staple certificate without a staple (RFC 7633).
    """

    name: str
    label: str  # as people call it
    versions: tuple[int, ...]
    ciphers: tuple[int, ...]
    groups: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    alpn: tuple[str, ...] = ()
    sends_server_name: bool = True
    extensions: bool = True
    aia: bool = False
    view: View = MODERN
    view_of_added: View | None = None
    names: Habits = NO_HABITS
    rare_ciphers: tuple[int, ...] = ()
    checks_revocation: Literal["none", "soft", "hard"] = "none"
    wants_staple: bool = False
    current: bool = True

    def offer(self, server_name: str | None) -> Offer:
        """The family's hello for *server_name*, as this prober sends it."""
        return _offer(self.name, server_name if self.sends_server_name else None)

    @property
    def nameless(self) -> Offer:
        """The family's hello but for the name."""
        return _offer(self.name, None)

    @property
    def newest(self) -> int:
        return self.versions[0]


@lru_cache(maxsize=1024)
def _offer(name: str, server_name: str | None) -> Offer:
    family = FAMILY[name]
    return Offer(
        purpose=f"family:{name}",
        server_name=server_name,
        versions=family.versions,
        ciphers=(*family.ciphers, *family.rare_ciphers),
        groups=family.groups,
        signature_algorithms=family.signature_algorithms,
        key_shares=tuple(g for g in (_X25519MLKEM768, _X25519) if g in family.groups) or family.groups[:1],
        alpn=family.alpn,
        extensions=family.extensions,
    )


_WEB = ("h2", "http/1.1")
# Mozilla's verifier and webpki refuse a CA certificate as a leaf; the others take it.
_FORGIVING = replace(MODERN, name="forgiving", refuses_ca_leaf=False)
_OLD_VIEW = replace(
    _FORGIVING,
    name="old",
    wants_signing_usage=False,
    min_rsa_bits=1024,
    forbidden_hashes=frozenset({"md2", "md5"}),
)

# X509_check_host as it comes; curl matches names itself, requests turns partial wildcards and common names off.
_OPENSSL_NAMES: Habits = frozenset({"common-name", "common-name-beside-addresses", "partial-wildcards"})
_JAVA_NAMES: Habits = _OPENSSL_NAMES | {"top-level-wildcards"}
# Java refuses SHA-1 below the roots that came with it alone (jdk.certpath.disabledAlgorithms: "SHA1 jdkCA").
_JAVA_VIEW = replace(
    _FORGIVING,
    name="java",
    nests_usage=False,
    # A trust anchor is a name and a key (RFC 5280 section 6.1.1); RSA below 1024 bits is what is disabled.
    ignores_anchor_expiry=True,
    min_rsa_bits=1024,
)
# RSA and ECDHE with CCM and ARIA, which Node's "HIGH" lets in; OpenSSL's own default list has none of them.
_NODE_RARE = (
    *(0xC0AC, 0xC0AD, 0xC09E, 0xC09F, 0xC09C, 0xC09D, 0xC05C, 0xC05D, 0xC060, 0xC061),
    *(0xC052, 0xC053, 0xC050, 0xC051),
)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="chrome",
        label="Chrome",
        versions=(TLS13, TLS12),
        ciphers=(*_TLS13_SUITES, *_ECDHE_AEAD, 0xC013, 0xC014, *_RSA_GCM, *_RSA_CBC_SHA),
        groups=(_X25519MLKEM768, _X25519, _P256, _P384),
        signature_algorithms=_BROWSER_SIGNATURES,
        alpn=_WEB,
        aia=True,
        view=_FORGIVING,
        # CRLSets come with updates; nobody is asked during a connection, and must-staple is not read.
    ),
    Family(
        name="firefox",
        label="Firefox",
        versions=(TLS13, TLS12),
        ciphers=(*_TLS13_SUITES, *_ECDHE_AEAD, *_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA),
        groups=(_X25519MLKEM768, _X25519, _P256, _P384, _P521, 0x0100, 0x0101),
        signature_algorithms=(0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201),
        alpn=_WEB,
        # OCSP passes when there is no answer (security.OCSP.require is off), CRLite answers without a question;
        # security.ssl.enable_ocsp_must_staple is on.
        checks_revocation="soft",
        wants_staple=True,
    ),
    Family(
        name="safari",
        label="Safari",
        versions=(TLS13, TLS12),
        ciphers=(*_TLS13_SUITES, *_ECDHE_AEAD, *_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA),
        groups=(_X25519MLKEM768, _X25519, _P256, _P384, _P521),
        signature_algorithms=(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201),
        alpn=_WEB,
        aia=True,
        view=_FORGIVING,
        # trustd asks the responder where valid.apple.com knows of a revocation, and passes when it does not answer.
        checks_revocation="soft",
    ),
    Family(
        name="android",
        label="Android",
        versions=(TLS13, TLS12),
        ciphers=(*_TLS13_SUITES, *_ECDHE_AEAD, *_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA),
        groups=(_X25519, _P256, _P384),
        signature_algorithms=(*_BROWSER_SIGNATURES, 0x0201),
        alpn=_WEB,
        view=_FORGIVING,
    ),
    Family(
        name="android-7",
        label="Android 7",
        versions=(TLS12, TLS11, TLS10),
        ciphers=(*_ECDHE_AEAD, *_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA),
        groups=(_X25519, _P256, _P384),
        signature_algorithms=_OLD_SIGNATURES,
        alpn=_WEB,
        view=replace(_OLD_VIEW, name="android-7", ignores_anchor_expiry=True),
        names=frozenset({"common-name"}),
        current=False,
    ),
    Family(
        name="curl",
        label="curl",
        versions=(TLS13, TLS12),
        ciphers=_OPENSSL_SUITES,
        groups=_OPENSSL_GROUPS,
        signature_algorithms=_OPENSSL_SIGNATURES,
        alpn=_WEB,
        view=TRUSTED_FIRST,
        names=frozenset({"common-name", "address-in-common-name"}),
    ),
    Family(
        name="openssl-1.0",
        label="OpenSSL 1.0",
        versions=(TLS12, TLS11, TLS10),
        ciphers=(
            *(0xC030, 0xC02C, *_ECDHE_CBC_SHA2, *_ECDHE_CBC_SHA, 0x009F, 0x006B, 0x0039, 0x009D, 0x003D, 0x0035),
            *(0xC02F, 0xC02B, 0x009E, 0x0067, 0x0033, 0x009C, 0x003C, 0x002F, *_CAMELLIA, *_TRIPLE_DES, *_RC4),
        ),
        groups=(_P256, _P521, 0x001C, 0x001B, _P384, 0x001A, 0x0016),
        signature_algorithms=(
            *(0x0601, 0x0602, 0x0603, 0x0501, 0x0502, 0x0503, 0x0401, 0x0402, 0x0403),
            *(0x0301, 0x0302, 0x0303, 0x0201, 0x0202, 0x0203),
        ),
        view=SERVER_ORDER,
        names=_OPENSSL_NAMES,
        current=False,
    ),
    Family(
        name="go",
        label="Go",
        versions=(TLS13, TLS12),
        ciphers=(*_ECDHE_AEAD, *_ECDHE_CBC_SHA, *_TLS13_SUITES),
        groups=(_X25519MLKEM768, _X25519, _P256, _P384, _P521),
        signature_algorithms=(0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603),
        alpn=_WEB,
        # crypto/x509 reads the keyUsage of issuers alone; crypto/rsa refuses keys below 1024 bits.
        view=replace(_FORGIVING, name="go", minds_leaf_usage=False, min_rsa_bits=1024),
        names=frozenset({"top-level-wildcards", "bare-wildcard"}),
    ),
    Family(
        name="java",
        label="Java",
        versions=(TLS13, TLS12),
        ciphers=(
            *(0x1302, 0x1301, 0x1303, *_ECDHE_AEAD, *_DHE_AEAD, *_ECDHE_CBC_SHA2, *_DHE_CBC),
            *(*_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA2, *_RSA_CBC_SHA),
        ),
        groups=(_X25519, _P256, _P384, _P521, _X448, *_FFDHE),
        signature_algorithms=(
            *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806),
            *(0x0809, 0x080A, 0x080B, 0x0401, 0x0501, 0x0601),
        ),
        alpn=_WEB,
        view=_JAVA_VIEW,
        view_of_added=replace(_JAVA_VIEW, name="java, added root", forbidden_hashes=frozenset({"md2", "md5"})),
        names=_JAVA_NAMES,
    ),
    Family(
        name="java-8",
        label="Java 8 (early)",
        versions=(TLS12, TLS11, TLS10),
        ciphers=(
            *(0xC023, 0xC027, 0x003C, 0x0067, 0xC009, 0xC013, 0x002F, 0x0033),
            *(0xC02B, 0xC02F, 0x009C, 0x009E, *_TRIPLE_DES),
        ),
        groups=(_P256, _P384, _P521),
        signature_algorithms=_OLD_SIGNATURES,
        view=replace(_OLD_VIEW, name="java-8", nests_usage=False, ignores_anchor_expiry=True),
        names=_JAVA_NAMES,
        current=False,
    ),
    Family(
        name="dotnet",
        label=".NET",
        versions=(TLS13, TLS12),
        ciphers=(
            *(0x1302, 0x1301, 0xC02C, 0xC02B, 0xC030, 0xC02F, 0x009F, 0x009E, *_ECDHE_CBC_SHA2),
            *(*_ECDHE_CBC_SHA, *_RSA_GCM, *_RSA_CBC_SHA2, *_RSA_CBC_SHA),
        ),
        groups=(_X25519, _P256, _P384),
        signature_algorithms=(0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0403, 0x0503, 0x0603),
        alpn=_WEB,
        aia=True,
        view=_FORGIVING,
        names=frozenset({"common-name"}),
    ),
    Family(
        name="node",
        label="Node",
        versions=(TLS13, TLS12),
        ciphers=_OPENSSL_SUITES,
        groups=_OPENSSL_GROUPS,
        signature_algorithms=_OPENSSL_SIGNATURES,
        alpn=("http/1.1",),
        view=TRUSTED_FIRST,
        names=_OPENSSL_NAMES,
        rare_ciphers=_NODE_RARE,
    ),
    Family(
        name="python",
        label="Python requests",
        versions=(TLS13, TLS12),
        ciphers=(0x1302, 0x1303, 0x1301, *_ECDHE_AEAD, *_ECDHE_CBC_SHA2, 0x009F, 0x009E, 0x006B, 0x0067),
        groups=_OPENSSL_GROUPS,
        signature_algorithms=_OPENSSL_SIGNATURES,
        alpn=("http/1.1",),
        view=TRUSTED_FIRST,
    ),
    Family(
        name="rustls",
        label="rustls",
        versions=(TLS13, TLS12),
        ciphers=(*_TLS13_SUITES, *_ECDHE_AEAD),
        groups=(_X25519MLKEM768, _X25519, _P256, _P384),
        signature_algorithms=(0x0503, 0x0403, 0x0603, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401),
        alpn=_WEB,
    ),
    Family(
        name="embedded-tls1.0",
        label="embedded TLS 1.0",
        versions=(TLS10,),
        ciphers=(*_RSA_CBC_SHA, 0x000A, 0x0005, 0x0004),
        groups=(),
        signature_algorithms=(),
        sends_server_name=False,
        extensions=False,
        view=_OLD_VIEW,
        names=frozenset({"common-name"}),
        current=False,
    ),
)

FAMILY: dict[str, Family] = {family.name: family for family in FAMILIES}
CURRENT: tuple[Family, ...] = tuple(family for family in FAMILIES if family.current)


def _union(rows: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """All members once, in the order first met."""
    return tuple(dict.fromkeys(member for row in rows for member in row))


CURRENT_CIPHERS = _union(tuple(family.ciphers for family in CURRENT))
CURRENT_GROUPS = _union(tuple(family.groups for family in CURRENT))
CURRENT_SIGNATURES = _union(tuple(family.signature_algorithms for family in CURRENT))
WEAK_CIPHERS = (
    *(*_RC4, *_TRIPLE_DES, 0x0009, 0x0015, 0x0003, 0x0006, 0x0008, 0x0014),  # RC4, 3DES, DES, EXPORT
    *(0x0001, 0x0002, 0x003B, 0xC006, 0xC010),  # NULL
    *(0x0018, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7, 0xC015, 0xC016, 0xC017, 0xC018, 0xC019),  # anon
)


def admits(offer: Offer, seen: Handshake) -> bool:
    """Would the server's choice in *seen* also answer *offer*? A server that chose it once has it to choose.

    True proves a common version, suite, group and signature; False proves nothing.
    """
    return _admits(offer, seen.version, seen.cipher, seen.group, seen.signature_scheme)


def would_choose(family: Family, seen: Handshake) -> bool:
    """`admits` of the family's own hello; servers make few choices, so what was answered once is remembered."""
    return _would_choose(family.name, seen.version, seen.cipher, seen.group, seen.signature_scheme)


@lru_cache(maxsize=4096)
def _would_choose(name: str, version: int | None, cipher: int | None, group: int | None, scheme: int | None) -> bool:
    return _admits(_offer(name, None), version, cipher, group, scheme)


def _admits(offer: Offer, version: int | None, cipher: int | None, group: int | None, scheme: int | None) -> bool:
    if version not in offer.versions or cipher not in offer.ciphers:
        return False
    if not offer.extensions:
        # Without supported_groups only RSA key exchange is certain to be answered (RFC 8422 section 4).
        return group is None
    # Before TLS 1.3 a finite-field group is the server's own choice (RFC 7919 section 4): no offer excludes it.
    its_own = version < TLS13 and group is not None and group >= 0x0100
    if group is not None and not its_own and group not in offer.groups:
        return False
    if version == TLS13 and scheme is None:
        return False  # the exchange was left before CertificateVerify: the key's scheme is not known
    return version < TLS12 or scheme is None or scheme in offer.signature_algorithms


def covered_by(offer: Offer, wider: Offer) -> bool:
    """Does *wider* offer all that *offer* does? If *wider* found nothing in common, neither will *offer*."""
    return (
        set(offer.versions) <= set(wider.versions)
        and set(offer.ciphers) <= set(wider.ciphers)
        and set(offer.groups) <= set(wider.groups)
        and set(offer.signature_algorithms) <= set(wider.signature_algorithms)
        # Refused for its ALPN, a hello says nothing of one that names another protocol, or none (RFC 7301 section 3.2).
        and (not wider.alpn or (bool(offer.alpn) and set(offer.alpn) <= set(wider.alpn)))
    )
