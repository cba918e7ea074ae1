"""The cipher suites of SSLv3 to TLS 1.3: IANA's registry plus the retired code points that old stacks still speak.

IANA assigned most of them in blocks, so the table keeps the blocks: first code point, key exchanges, ciphers. Within a
block the cipher runs fastest.
"""

from __future__ import annotations

from functools import cache

from probes.values import value

SSL3, TLS10, TLS12, TLS13 = 0x0300, 0x0301, 0x0303, 0x0304
EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
FALLBACK_SCSV = 0x5600

_SIX = "RSA DH_DSS DH_RSA DHE_DSS DHE_RSA DH_anon"
_TEN_GCM = "RSA DHE_RSA DH_RSA DHE_DSS DH_DSS DH_anon ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA"
_TEN_CBC = "RSA DH_DSS DH_RSA DHE_DSS DHE_RSA DH_anon ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA"
_GCM = "AES_128_GCM_SHA256 AES_256_GCM_SHA384"
_EC_LEGACY = "NULL_SHA RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"
_PSK_LEGACY = "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"
_PSK_SHA2 = "AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA256 NULL_SHA384"

_BLOCKS: tuple[tuple[int, str, str], ...] = (
    (0x0000, "NULL", "NULL_NULL"),
    (0x0001, "RSA", "NULL_MD5 NULL_SHA"),
    (0x0003, "RSA_EXPORT", "RC4_40_MD5"),
    (0x0004, "RSA", "RC4_128_MD5 RC4_128_SHA"),
    (0x0006, "RSA_EXPORT", "RC2_CBC_40_MD5"),
    (0x0007, "RSA", "IDEA_CBC_SHA"),
    (0x0008, "RSA_EXPORT", "DES40_CBC_SHA"),
    (0x0009, "RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x000B, "DH_DSS_EXPORT", "DES40_CBC_SHA"),
    (0x000C, "DH_DSS", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x000E, "DH_RSA_EXPORT", "DES40_CBC_SHA"),
    (0x000F, "DH_RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0011, "DHE_DSS_EXPORT", "DES40_CBC_SHA"),
    (0x0012, "DHE_DSS", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0014, "DHE_RSA_EXPORT", "DES40_CBC_SHA"),
    (0x0015, "DHE_RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0017, "DH_anon_EXPORT", "RC4_40_MD5"),
    (0x0018, "DH_anon", "RC4_128_MD5"),
    (0x0019, "DH_anon_EXPORT", "DES40_CBC_SHA"),
    (0x001A, "DH_anon", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x001E, "KRB5", "DES_CBC_SHA 3DES_EDE_CBC_SHA RC4_128_SHA IDEA_CBC_SHA"),
    (0x0022, "KRB5", "DES_CBC_MD5 3DES_EDE_CBC_MD5 RC4_128_MD5 IDEA_CBC_MD5"),
    (0x0026, "KRB5_EXPORT", "DES_CBC_40_SHA RC2_CBC_40_SHA RC4_40_SHA"),
    (0x0029, "KRB5_EXPORT", "DES_CBC_40_MD5 RC2_CBC_40_MD5 RC4_40_MD5"),
    (0x002C, "PSK DHE_PSK RSA_PSK", "NULL_SHA"),
    (0x002F, _SIX, "AES_128_CBC_SHA"),
    (0x0035, _SIX, "AES_256_CBC_SHA"),
    (0x003B, "RSA", "NULL_SHA256 AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x003E, "DH_DSS DH_RSA DHE_DSS", "AES_128_CBC_SHA256"),
    (0x0041, _SIX, "CAMELLIA_128_CBC_SHA"),
    # 0x0060 to 0x0066: draft-ietf-tls-56-bit-ciphersuites, never in IANA's list, still found on old devices.
    (0x0060, "RSA_EXPORT1024", "RC4_56_MD5 RC2_CBC_56_MD5 DES_CBC_SHA"),
    (0x0063, "DHE_DSS_EXPORT1024", "DES_CBC_SHA"),
    (0x0064, "RSA_EXPORT1024 DHE_DSS_EXPORT1024", "RC4_56_SHA"),
    (0x0066, "DHE_DSS", "RC4_128_SHA"),
    (0x0067, "DHE_RSA", "AES_128_CBC_SHA256"),
    (0x0068, "DH_DSS DH_RSA DHE_DSS DHE_RSA", "AES_256_CBC_SHA256"),
    (0x006C, "DH_anon", "AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x0080, "GOSTR341094 GOSTR341001", "28147_CNT_IMIT"),
    (0x0082, "GOSTR341094 GOSTR341001", "NULL_GOSTR3411"),
    (0x0084, _SIX, "CAMELLIA_256_CBC_SHA"),
    (0x008A, "PSK DHE_PSK RSA_PSK", _PSK_LEGACY),
    (0x0096, _SIX, "SEED_CBC_SHA"),
    (0x009C, "RSA DHE_RSA DH_RSA DHE_DSS DH_DSS DH_anon PSK DHE_PSK RSA_PSK", _GCM),
    (0x00AE, "PSK DHE_PSK RSA_PSK", _PSK_SHA2),
    (0x00BA, _SIX, "CAMELLIA_128_CBC_SHA256"),
    (0x00C0, _SIX, "CAMELLIA_256_CBC_SHA256"),
    (0xC001, "ECDH_ECDSA ECDHE_ECDSA ECDH_RSA ECDHE_RSA ECDH_anon", _EC_LEGACY),
    (0xC01A, "SRP_SHA SRP_SHA_RSA SRP_SHA_DSS", "3DES_EDE_CBC_SHA"),
    (0xC01D, "SRP_SHA SRP_SHA_RSA SRP_SHA_DSS", "AES_128_CBC_SHA"),
    (0xC020, "SRP_SHA SRP_SHA_RSA SRP_SHA_DSS", "AES_256_CBC_SHA"),
    (0xC023, "ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA", "AES_128_CBC_SHA256 AES_256_CBC_SHA384"),
    (0xC02B, "ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA", _GCM),
    (0xC033, "ECDHE_PSK", _PSK_LEGACY + " AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA NULL_SHA256 NULL_SHA384"),
    (0xC03C, _TEN_CBC, "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC050, _TEN_GCM, "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC064, "PSK DHE_PSK RSA_PSK", "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC06A, "PSK DHE_PSK RSA_PSK", "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC070, "ECDHE_PSK", "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC072, "ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA", "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC07A, _TEN_GCM + " PSK DHE_PSK RSA_PSK", "CAMELLIA_128_GCM_SHA256 CAMELLIA_256_GCM_SHA384"),
    (0xC094, "PSK DHE_PSK RSA_PSK ECDHE_PSK", "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC09C, "RSA DHE_RSA", "AES_128_CCM AES_256_CCM"),
    (0xC0A0, "RSA DHE_RSA", "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0A4, "PSK DHE_PSK", "AES_128_CCM AES_256_CCM"),
    (0xC0A8, "PSK PSK_DHE", "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0AC, "ECDHE_ECDSA", "AES_128_CCM AES_256_CCM AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0B0, "ECCPWD", _GCM + " AES_128_CCM_SHA256 AES_256_CCM_SHA384"),
    (0xC100, "GOSTR341112_256", "KUZNYECHIK_CTR_OMAC MAGMA_CTR_OMAC 28147_CNT_IMIT"),
    (0xC103, "GOSTR341112_256", "KUZNYECHIK_MGM_L MAGMA_MGM_L KUZNYECHIK_MGM_S MAGMA_MGM_S"),
    # 0xCC13 to 0xCC15: the ChaCha20 draft before RFC 7905.
    (0xCC13, "ECDHE_RSA ECDHE_ECDSA DHE_RSA", "CHACHA20_POLY1305_OLD"),
    (0xCCA8, "ECDHE_RSA ECDHE_ECDSA DHE_RSA PSK ECDHE_PSK DHE_PSK RSA_PSK", "CHACHA20_POLY1305_SHA256"),
    (0xD001, "ECDHE_PSK", _GCM + " AES_128_CCM_8_SHA256"),
    (0xD005, "ECDHE_PSK", "AES_128_CCM_SHA256"),
)

_SINGLES: dict[int, str] = {
    0x00C6: "TLS_SM4_GCM_SM3",
    0x00C7: "TLS_SM4_CCM_SM3",
    EMPTY_RENEGOTIATION_INFO_SCSV: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
    0x1306: "TLS_AEGIS_256_SHA512",
    0x1307: "TLS_AEGIS_128L_SHA256",
    FALLBACK_SCSV: "TLS_FALLBACK_SCSV",
    0xC0B4: "TLS_SHA256_SHA256",
    0xC0B5: "TLS_SHA384_SHA384",
    # Netscape's private code points: NSS spoke them until 2014.
    0xFEFE: "SSL_RSA_FIPS_WITH_DES_CBC_SHA",
    0xFEFF: "SSL_RSA_FIPS_WITH_3DES_EDE_CBC_SHA",
    0xFF85: "GOST2012-GOST8912-GOST8912",
    0xFFE0: "SSL_RSA_FIPS_WITH_3DES_EDE_CBC_SHA",
    0xFFE1: "SSL_RSA_FIPS_WITH_DES_CBC_SHA",
}

_KEX: dict[str, tuple[str, str]] = {
    "RSA_FIPS": ("RSA", "RSA"),
    "DH_anon": ("DHE", "anon"),
    "ECDH_anon": ("ECDHE", "anon"),
    "PSK_DHE": ("DHE_PSK", "PSK"),
    "RSA": ("RSA", "RSA"),
    "KRB5": ("KRB5", "KRB5"),
    "ECCPWD": ("ECCPWD", "ECCPWD"),
    "SRP_SHA": ("SRP", "SRP"),
    "SRP_SHA_RSA": ("SRP", "RSA"),
    "SRP_SHA_DSS": ("SRP", "DSS"),
    "NULL": ("NULL", "NULL"),
}


@value
class CipherSuite:
    """One suite. In TLS 1.3 (``min_version`` 0x0304) ``kex`` and ``auth`` are "any"; signalling values have "none".

    ``openssl`` is OpenSSL's name where it differs from IANA's and OpenSSL ever had one. ``kex`` is one of RSA, DHE,
    ECDHE, DH, ECDH, PSK, DHE_PSK, RSA_PSK, ECDHE_PSK, SRP, KRB5, ECCPWD, GOST, NULL, any, none. ``mac`` is MD5, SHA1,
    SHA256, SHA384, AEAD or a GOST name. ``prf_hash`` is the hash of the TLS 1.2 PRF or of the TLS 1.3 schedule.
    """

    code: int
    name: str
    openssl: str | None
    kex: str
    auth: str
    enc: str
    mac: str
    prf_hash: str
    min_version: int
    export: bool

    @property
    def is_tls13(self) -> bool:
        return self.min_version >= TLS13

    @property
    def is_signalling(self) -> bool:
        return self.kex == "none"


@cache
def _names() -> dict[int, str]:
    names = dict(_SINGLES)
    for first, exchanges, ciphers in _BLOCKS:
        code = first
        for exchange in exchanges.split():
            for cipher in ciphers.split():
                names[code] = f"TLS_{exchange}_WITH_{cipher}"
                code += 1
    return dict(sorted(names.items()))


@cache
def suite(code: int) -> CipherSuite | None:
    """The suite with this code point, or None when no registry knows it."""
    name = _names().get(code)
    return None if name is None else _described(code, name)


@cache
def by_name() -> dict[str, CipherSuite]:
    """Every suite, by IANA name and by OpenSSL name."""
    found: dict[str, CipherSuite] = {}
    for each in all_suites():
        found.setdefault(each.name, each)
        if each.openssl is not None:
            found.setdefault(each.openssl, each)
    return found


@cache
def all_suites() -> tuple[CipherSuite, ...]:
    """Every known suite in the order of code points, signalling values included."""
    return tuple([_described(code, name) for code, name in _names().items()])


def cipher_name(code: int) -> str:
    """IANA's name, or the number ("0x1a2b") for code points without one."""
    return _names().get(code, f"0x{code:04x}")


def _described(code: int, name: str) -> CipherSuite:
    if name.endswith("_SCSV"):
        kex, auth, cipher, export = "none", "none", "", False
    elif "_WITH_" not in name:
        family = "GOST" if name.startswith("GOST") else "any"
        kex, auth, cipher, export = family, family, name.removeprefix("TLS_"), False
    else:
        exchange, cipher = name.split("_", 1)[1].split("_WITH_")
        base = exchange.removesuffix("1024").removesuffix("_EXPORT")
        export = base != exchange
        kex, auth = _key_exchange(base)
    enc, mac, prf_hash = _cipher_parts(cipher)
    return CipherSuite(
        code=code,
        name=name,
        openssl=_openssl_name(name) if "_WITH_" in name else None,
        kex=kex,
        auth=auth,
        enc=enc,
        mac=mac,
        prf_hash=prf_hash,
        min_version=_min_version(code, kex, cipher, mac),
        export=export,
    )


def _key_exchange(exchange: str) -> tuple[str, str]:
    if exchange in _KEX:
        return _KEX[exchange]
    if exchange.startswith("GOST"):
        return "GOST", "GOST"
    if exchange.endswith("PSK"):
        return exchange, "PSK"
    kex, _, auth = exchange.partition("_")
    return kex, auth


def _cipher_parts(cipher: str) -> tuple[str, str, str]:
    enc, _, digest = cipher.rpartition("_")
    if cipher in ("SHA256_SHA256", "SHA384_SHA384"):  # RFC 9150: integrity only
        return "NULL", digest, digest
    if any(mode in cipher for mode in ("_GCM", "_CCM", "POLY1305", "AEGIS", "_MGM")):
        hashed = digest if digest in ("SHA384", "SHA512", "SM3") else "SHA256"
        return (enc if digest.startswith(("SHA", "SM3", "OLD")) else cipher), "AEAD", hashed
    mac = {"SHA": "SHA1", "NULL": "NULL"}.get(digest, digest)
    return enc, mac, "SHA384" if mac == "SHA384" else "SHA256"


def _min_version(code: int, kex: str, cipher: str, mac: str) -> int:
    if code >> 8 == 0x13 or code in (0x00C6, 0x00C7, 0xC0B4, 0xC0B5) or cipher.endswith(("_MGM_L", "_MGM_S")):
        return TLS13
    # RFC 5487 section 3.1 and RFC 5489: the CBC and NULL suites of PSK with SHA-2 work in every TLS version.
    if mac == "AEAD" or (mac in ("SHA256", "SHA384") and not kex.endswith("PSK")):
        return TLS12
    return TLS10 if kex.startswith("EC") or mac in ("SHA256", "SHA384") else SSL3


_OPENSSL_KEX = {
    "RSA": "",
    "DH_anon": "ADH-",
    "ECDH_anon": "AECDH-",
    "SRP_SHA": "SRP-",
    "SRP_SHA_RSA": "SRP-RSA-",
    "SRP_SHA_DSS": "SRP-DSS-",
    "PSK_DHE": "DHE-PSK-",
    "GOSTR341094": "GOST94-",
    "GOSTR341001": "GOST2001-",
}

_OPENSSL_CIPHER = {
    "3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "3DES_EDE_CBC_MD5": "DES-CBC3-MD5",
    "RC4_128_SHA": "RC4-SHA",
    "RC4_128_MD5": "RC4-MD5",
    "RC4_40_MD5": "RC4-MD5",
    "RC4_40_SHA": "RC4-SHA",
    "RC2_CBC_40_MD5": "RC2-CBC-MD5",
    "RC2_CBC_40_SHA": "RC2-CBC-SHA",
    "DES40_CBC_SHA": "DES-CBC-SHA",
    "DES_CBC_40_SHA": "DES-CBC-SHA",
    "DES_CBC_40_MD5": "DES-CBC-MD5",
    "SEED_CBC_SHA": "SEED-SHA",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    "CHACHA20_POLY1305_OLD": "CHACHA20-POLY1305-OLD",
    "28147_CNT_IMIT": "GOST89-GOST89",
    "NULL_GOSTR3411": "NULL-GOST94",
}

_NEVER_IN_OPENSSL = ("ECCPWD", "_MGM_", "NULL_NULL", "SSL_")


def _openssl_name(name: str) -> str | None:
    """OpenSSL's spelling, by its own naming habits; None for what it never had."""
    if (
        any(part in name for part in _NEVER_IN_OPENSSL)
        or ("ARIA" in name and "CBC" in name)
        or ("CAMELLIA_" in name and "GCM" in name)
    ):
        return None
    if name.startswith("TLS_GOSTR341112_256_WITH_"):
        tails = {
            "KUZNYECHIK_CTR_OMAC": "KUZNYECHIK-KUZNYECHIKOMAC",
            "MAGMA_CTR_OMAC": "MAGMA-MAGMAOMAC",
            "28147_CNT_IMIT": "IANA-GOST8912-GOST8912",
        }
        tail = tails[name.partition("_WITH_")[2]]
        return tail if tail.startswith("IANA") else f"GOST2012-{tail}"
    exchange, cipher = name.removeprefix("TLS_").split("_WITH_")
    export = ""
    if exchange.endswith("_EXPORT1024"):
        exchange, export = exchange.removesuffix("_EXPORT1024"), "EXP1024-"
    elif exchange.endswith("_EXPORT"):
        exchange, export = exchange.removesuffix("_EXPORT"), "EXP-"
    prefix = _OPENSSL_KEX.get(exchange, exchange.replace("_", "-") + "-")
    if exchange == "ECDHE_RSA" and cipher.startswith("ARIA"):
        prefix = "ECDHE-"  # OpenSSL leaves RSA out of these two names only
    return export + prefix + _openssl_cipher(cipher, exchange)


def _openssl_cipher(cipher: str, exchange: str) -> str:
    spelled_out = exchange.endswith("PSK") or exchange.startswith("SRP")
    if spelled_out and cipher.startswith("3DES"):
        return "3DES-EDE-CBC-SHA"
    if cipher in _OPENSSL_CIPHER:
        return _OPENSSL_CIPHER[cipher]
    name = cipher.replace("_", "-")
    if exchange.startswith("SRP"):
        return name
    for block in ("AES", "CAMELLIA", "ARIA"):
        name = name.replace(f"{block}-", block)
    name = name.replace("CCM-8", "CCM8")
    if spelled_out and name.startswith("AES"):
        return name
    return name.replace("-CBC-", "-") if name.startswith(("AES", "CAMELLIA")) else name
