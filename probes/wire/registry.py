"""Numbers and names of TLS as data: versions, groups, signature schemes, alerts, extensions, GREASE.

Code points are plain ints everywhere in this package; the ``*_name`` functions turn them into what people read and
never fail: an unknown one reads as its number. Sources: IANA's TLS registries, RFC 8446, RFC 8701 (GREASE).
"""

from __future__ import annotations

from probes.values import value
from probes.wire.suites import CipherSuite, all_suites, cipher_name, suite

__all__ = ["CipherSuite", "all_suites", "cipher_name", "suite"]

SSL2, SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

VERSIONS: dict[int, str] = {
    SSL2: "SSLv2",
    SSL3: "SSLv3",
    TLS10: "TLSv1",
    TLS11: "TLSv1.1",
    TLS12: "TLSv1.2",
    TLS13: "TLSv1.3",
}
VERSION_CODES: dict[str, int] = {name: code for code, name in VERSIONS.items()}

# RFC 8701: reserved so that peers which choke on the unknown are found early. The same 16 values serve as suites,
# groups, versions, signature schemes and extensions; ALPN has them as two bytes.
GREASE: tuple[int, ...] = tuple(0x0A0A + 0x1010 * step for step in range(16))
_GREASE = frozenset(GREASE)


def is_grease(code: int) -> bool:
    return code in _GREASE


def version_name(code: int) -> str:
    """ "TLSv1.2" and so on; drafts of TLS 1.3 as "TLSv1.3-draft23"; else the number."""
    if code >> 8 == 0x7F:
        return f"TLSv1.3-draft{code & 0xFF}"
    return VERSIONS.get(code, f"0x{code:04x}")


class Group:
    """Code points of the groups this package names in code; GROUPS has them all."""

    SECP256R1 = 0x0017
    SECP384R1 = 0x0018
    SECP521R1 = 0x0019
    X25519 = 0x001D
    X448 = 0x001E
    FFDHE2048 = 0x0100
    FFDHE3072 = 0x0101
    FFDHE4096 = 0x0102
    FFDHE6144 = 0x0103
    FFDHE8192 = 0x0104
    SECP256R1MLKEM768 = 0x11EB
    X25519MLKEM768 = 0x11EC
    SECP384R1MLKEM1024 = 0x11ED


GROUPS: dict[int, str] = {
    0x0001: "sect163k1",
    0x0002: "sect163r1",
    0x0003: "sect163r2",
    0x0004: "sect193r1",
    0x0005: "sect193r2",
    0x0006: "sect233k1",
    0x0007: "sect233r1",
    0x0008: "sect239k1",
    0x0009: "sect283k1",
    0x000A: "sect283r1",
    0x000B: "sect409k1",
    0x000C: "sect409r1",
    0x000D: "sect571k1",
    0x000E: "sect571r1",
    0x000F: "secp160k1",
    0x0010: "secp160r1",
    0x0011: "secp160r2",
    0x0012: "secp192k1",
    0x0013: "secp192r1",
    0x0014: "secp224k1",
    0x0015: "secp224r1",
    0x0016: "secp256k1",
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    0x001D: "x25519",
    0x001E: "x448",
    0x001F: "brainpoolP256r1tls13",
    0x0020: "brainpoolP384r1tls13",
    0x0021: "brainpoolP512r1tls13",
    0x0022: "GC256A",
    0x0023: "GC256B",
    0x0024: "GC256C",
    0x0025: "GC256D",
    0x0026: "GC512A",
    0x0027: "GC512B",
    0x0028: "GC512C",
    0x0029: "curveSM2",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
    0x11EE: "curveSM2MLKEM768",
    0x6399: "X25519Kyber768Draft00",
    0x639A: "SecP256r1Kyber768Draft00",
    0xFF01: "arbitrary_explicit_prime_curves",
    0xFF02: "arbitrary_explicit_char2_curves",
}
GROUP_CODES: dict[str, int] = {name: code for code, name in GROUPS.items()}


def group_name(code: int) -> str:
    return GROUPS.get(code, f"0x{code:04x}")


@value
class SignatureScheme:
    """One scheme. ``key`` is the certificate key it needs: rsa, rsa-pss, ec, ed25519, ed448, dsa or mldsa.

    ``curve`` is set where TLS 1.3 ties an ECDSA scheme to a curve; in TLS 1.2 any curve may sign (RFC 8446 4.2.3).
    ``tls13`` says whether TLS 1.3 admits the scheme in a CertificateVerify.
    """

    code: int
    name: str
    key: str
    digest: str | None
    curve: str | None
    tls13: bool


def _scheme(
    code: int, name: str, key: str, digest: str | None, tls13: bool, *, curve: str | None = None
) -> SignatureScheme:
    return SignatureScheme(code=code, name=name, key=key, digest=digest, curve=curve, tls13=tls13)


SIGNATURE_SCHEMES: dict[int, SignatureScheme] = {
    scheme.code: scheme
    for scheme in (
        _scheme(0x0101, "rsa_pkcs1_md5", "rsa", "md5", False),
        _scheme(0x0201, "rsa_pkcs1_sha1", "rsa", "sha1", False),
        _scheme(0x0202, "dsa_sha1", "dsa", "sha1", False),
        _scheme(0x0203, "ecdsa_sha1", "ec", "sha1", False),
        _scheme(0x0301, "rsa_pkcs1_sha224", "rsa", "sha224", False),
        _scheme(0x0302, "dsa_sha224", "dsa", "sha224", False),
        _scheme(0x0303, "ecdsa_sha224", "ec", "sha224", False),
        _scheme(0x0401, "rsa_pkcs1_sha256", "rsa", "sha256", False),
        _scheme(0x0402, "dsa_sha256", "dsa", "sha256", False),
        _scheme(0x0403, "ecdsa_secp256r1_sha256", "ec", "sha256", True, curve="secp256r1"),
        _scheme(0x0420, "rsa_pkcs1_sha256_legacy", "rsa", "sha256", False),
        _scheme(0x0501, "rsa_pkcs1_sha384", "rsa", "sha384", False),
        _scheme(0x0502, "dsa_sha384", "dsa", "sha384", False),
        _scheme(0x0503, "ecdsa_secp384r1_sha384", "ec", "sha384", True, curve="secp384r1"),
        _scheme(0x0520, "rsa_pkcs1_sha384_legacy", "rsa", "sha384", False),
        _scheme(0x0601, "rsa_pkcs1_sha512", "rsa", "sha512", False),
        _scheme(0x0602, "dsa_sha512", "dsa", "sha512", False),
        _scheme(0x0603, "ecdsa_secp521r1_sha512", "ec", "sha512", True, curve="secp521r1"),
        _scheme(0x0620, "rsa_pkcs1_sha512_legacy", "rsa", "sha512", False),
        _scheme(0x0704, "eccsi_sha256", "eccsi", "sha256", False),
        _scheme(0x0708, "sm2sig_sm3", "sm2", "sm3", True, curve="curveSM2"),
        _scheme(0x0804, "rsa_pss_rsae_sha256", "rsa", "sha256", True),
        _scheme(0x0805, "rsa_pss_rsae_sha384", "rsa", "sha384", True),
        _scheme(0x0806, "rsa_pss_rsae_sha512", "rsa", "sha512", True),
        _scheme(0x0807, "ed25519", "ed25519", None, True),
        _scheme(0x0808, "ed448", "ed448", None, True),
        _scheme(0x0809, "rsa_pss_pss_sha256", "rsa-pss", "sha256", True),
        _scheme(0x080A, "rsa_pss_pss_sha384", "rsa-pss", "sha384", True),
        _scheme(0x080B, "rsa_pss_pss_sha512", "rsa-pss", "sha512", True),
        _scheme(0x081A, "ecdsa_brainpoolP256r1tls13_sha256", "ec", "sha256", True, curve="brainpoolP256r1"),
        _scheme(0x081B, "ecdsa_brainpoolP384r1tls13_sha384", "ec", "sha384", True, curve="brainpoolP384r1"),
        _scheme(0x081C, "ecdsa_brainpoolP512r1tls13_sha512", "ec", "sha512", True, curve="brainpoolP512r1"),
        _scheme(0x0904, "mldsa44", "mldsa44", None, True),
        _scheme(0x0905, "mldsa65", "mldsa65", None, True),
        _scheme(0x0906, "mldsa87", "mldsa87", None, True),
    )
}

# Not on the wire: the fixed forms of TLS 1.0 and 1.1 (RFC 4346 section 7.4.3), which name no scheme.
LEGACY_SCHEMES: dict[str, str] = {"rsa": "rsa_md5_sha1", "ec": "ecdsa_sha1", "dsa": "dsa_sha1"}


def scheme_name(code: int) -> str:
    known = SIGNATURE_SCHEMES.get(code)
    return known.name if known else f"0x{code:04x}"


@value
class AlertKind:
    """An alert: number, IANA's name, and what its sender means by it, in one sentence for people."""

    code: int
    name: str
    meaning: str


ALERTS: dict[int, AlertKind] = {
    code: AlertKind(code=code, name=name, meaning=meaning)
    for code, name, meaning in (
        (0, "close_notify", "The sender is done and closes in good order."),
        (10, "unexpected_message", "A message came that has no place at this point of the handshake."),
        (20, "bad_record_mac", "A record did not decrypt: keys differ, or something on the path changed the bytes."),
        (21, "decryption_failed", "A record did not decrypt (an alert of old TLS 1.0 stacks)."),
        (22, "record_overflow", "A record was longer than TLS allows."),
        (30, "decompression_failure", "A compressed message did not unpack."),
        (40, "handshake_failure", "Nothing acceptable in common: usually no shared cipher suite, group or signature."),
        (41, "no_certificate", "SSLv3: the client has no certificate to give."),
        (42, "bad_certificate", "The certificate is corrupt, its signature is wrong, or it may not be used yet."),
        (43, "unsupported_certificate", "The certificate is of a type or for a usage that is not accepted here."),
        (44, "certificate_revoked", "The certificate was revoked by its issuer."),
        (45, "certificate_expired", "The certificate is past its end, or by the sender's clock not valid now."),
        (46, "certificate_unknown", "The certificate was refused for a reason that the sender does not name."),
        (47, "illegal_parameter", "A field of the handshake has a value that is out of range or inconsistent."),
        (48, "unknown_ca", "The certificate's issuer is not among those that the sender trusts."),
        (49, "access_denied", "The certificate is valid, but its holder may not come in."),
        (50, "decode_error", "A message did not parse: a field was too long, too short or of the wrong size."),
        (51, "decrypt_error", "A signature or a Finished check failed."),
        (52, "too_many_cids_requested", "DTLS: more connection ids were asked for than the sender gives."),
        (60, "export_restriction", "An attempt to leave the limits of export ciphers (a relic)."),
        (70, "protocol_version", "The protocol version offered is known but not accepted."),
        (71, "insufficient_security", "The server insists on stronger ciphers than those offered."),
        (80, "internal_error", "The sender failed for a reason of its own, unrelated to what the peer sent."),
        (
            86,
            "inappropriate_fallback",
            "The client fell back to an older version although the server knows a newer one.",
        ),
        (90, "user_canceled", "The handshake was called off for a reason outside the protocol."),
        (100, "no_renegotiation", "The sender does not renegotiate."),
        (109, "missing_extension", "An extension that is mandatory for what was offered is not there."),
        (110, "unsupported_extension", "The answer has an extension that was never asked for."),
        (111, "certificate_unobtainable", "A certificate could not be fetched from the URL given."),
        (112, "unrecognized_name", "The server does not serve the name sent in SNI."),
        (113, "bad_certificate_status_response", "The stapled OCSP response is invalid or not acceptable."),
        (114, "bad_certificate_hash_value", "A certificate does not match its announced hash."),
        (115, "unknown_psk_identity", "The pre-shared key's name is not known."),
        (116, "certificate_required", "The server demands a client certificate and none was sent."),
        (117, "general_error", "An error without a more precise alert."),
        (120, "no_application_protocol", "None of the ALPN protocols offered is spoken here."),
        (121, "ech_required", "The server insists on Encrypted ClientHello with its current keys."),
    )
}


def alert_name(code: int) -> str:
    known = ALERTS.get(code)
    return known.name if known else f"alert_{code}"


def alert_meaning(code: int) -> str:
    known = ALERTS.get(code)
    return known.meaning if known else "An alert that no registry knows."


class Ext:
    """Code points of the extensions this package reads or writes; EXTENSIONS has them all."""

    SERVER_NAME = 0
    STATUS_REQUEST = 5
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    ALPN = 16
    SCT = 18
    PADDING = 21
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    COMPRESS_CERTIFICATE = 27
    SESSION_TICKET = 35
    PRE_SHARED_KEY = 41
    EARLY_DATA = 42
    SUPPORTED_VERSIONS = 43
    COOKIE = 44
    PSK_KEY_EXCHANGE_MODES = 45
    CERTIFICATE_AUTHORITIES = 47
    SIGNATURE_ALGORITHMS_CERT = 50
    KEY_SHARE = 51
    RENEGOTIATION_INFO = 0xFF01


EXTENSIONS: dict[int, str] = {
    0: "server_name",
    1: "max_fragment_length",
    2: "client_certificate_url",
    3: "trusted_ca_keys",
    4: "truncated_hmac",
    5: "status_request",
    6: "user_mapping",
    7: "client_authz",
    8: "server_authz",
    9: "cert_type",
    10: "supported_groups",
    11: "ec_point_formats",
    12: "srp",
    13: "signature_algorithms",
    14: "use_srtp",
    15: "heartbeat",
    16: "application_layer_protocol_negotiation",
    17: "status_request_v2",
    18: "signed_certificate_timestamp",
    19: "client_certificate_type",
    20: "server_certificate_type",
    21: "padding",
    22: "encrypt_then_mac",
    23: "extended_master_secret",
    24: "token_binding",
    25: "cached_info",
    26: "tls_lts",
    27: "compress_certificate",
    28: "record_size_limit",
    29: "pwd_protect",
    30: "pwd_clear",
    31: "password_salt",
    32: "ticket_pinning",
    33: "tls_cert_with_extern_psk",
    34: "delegated_credential",
    35: "session_ticket",
    36: "TLMSP",
    37: "TLMSP_proxying",
    38: "TLMSP_delegate",
    39: "supported_ekt_ciphers",
    41: "pre_shared_key",
    42: "early_data",
    43: "supported_versions",
    44: "cookie",
    45: "psk_key_exchange_modes",
    47: "certificate_authorities",
    48: "oid_filters",
    49: "post_handshake_auth",
    50: "signature_algorithms_cert",
    51: "key_share",
    52: "transparency_info",
    54: "connection_id",
    55: "external_id_hash",
    56: "external_session_id",
    57: "quic_transport_parameters",
    58: "ticket_request",
    59: "dnssec_chain",
    60: "sequence_number_encryption_algorithms",
    61: "rrc",
    62: "tls_flags",
    13172: "next_protocol_negotiation",
    17513: "application_settings_old",
    17613: "application_settings",
    30032: "channel_id",
    0xFD00: "ech_outer_extensions",
    0xFE0D: "encrypted_client_hello",
    0xFF01: "renegotiation_info",
}


def extension_name(code: int) -> str:
    return EXTENSIONS.get(code, f"0x{code:04x}")
