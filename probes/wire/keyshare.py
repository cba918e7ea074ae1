"""Ephemeral keys for every group this package can compute: finite fields, curves, ML-KEM and the hybrids.

``generate`` is the one place of the package where randomness can come from the library instead of the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from probes.values import row
from probes.wire.octets import MessageError, UnsupportedError
from probes.wire.registry import Group, group_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

Entropy = Callable[[int], bytes]

_EXPONENT_OCTETS = 40
# Below this a "prime" is noise on the wire, not even an export group.
_LEAST_PRIME = 1 << 127

ML_KEM_768_CIPHERTEXT = 1088
ML_KEM_1024_CIPHERTEXT = 1568

_CURVES = {
    Group.SECP256R1: "SECP256R1",
    Group.SECP384R1: "SECP384R1",
    Group.SECP521R1: "SECP521R1",
    0x0016: "SECP256K1",
    0x001A: "BrainpoolP256R1",
    0x001B: "BrainpoolP384R1",
    0x001C: "BrainpoolP512R1",
    0x001F: "BrainpoolP256R1",
    0x0020: "BrainpoolP384R1",
    0x0021: "BrainpoolP512R1",
}
_FFDHE_BITS = {
    Group.FFDHE2048: 2048,
    Group.FFDHE3072: 3072,
    Group.FFDHE4096: 4096,
    Group.FFDHE6144: 6144,
    Group.FFDHE8192: 8192,
}
_HYBRIDS = (Group.X25519MLKEM768, Group.SECP256R1MLKEM768, Group.SECP384R1MLKEM1024)

SUPPORTED: frozenset[int] = frozenset((*_CURVES, *_FFDHE_BITS, *_HYBRIDS, Group.X25519, Group.X448))


@row
class KeyShare:
    """Our half of an exchange. ``agree`` takes the peer's half and gives the shared secret, or raises WireError."""

    group: int
    public: bytes
    agree: Callable[[bytes], bytes]


def generate(group: int, entropy: Entropy) -> KeyShare:
    """A fresh key pair of *group*; UnsupportedError when there is no implementation.

    Curves and ML-KEM draw their randomness from the library, finite fields from *entropy*.
    """
    if group == Group.X25519:
        return _x25519()
    if group in _HYBRIDS:
        return _hybrid(group)
    if group in _CURVES:
        return _curve(group)
    if group == Group.X448:
        return _x448()
    if group in _FFDHE_BITS:
        bits = _FFDHE_BITS[group]
        return finite_field(group, ffdhe_prime(bits), 2, entropy, padded=True)
    raise UnsupportedError(f"no implementation of group {group_name(group)}")


def drawn(group: int, entropy: Entropy) -> KeyShare:
    """A key pair of *group* that up to 100 hellos share, of the groups that every check offers; else a fresh one.

    A probe has nothing to protect by them, and each hello keeps a random of its own. The hybrid's curve half is
    the share of X25519 beside it, as browsers do. Three key pairs took 0.2 ms of a light look.
    """
    if group not in _SHARED:
        return generate(group, entropy)
    share, left = _drawn.get(group, (None, 0))
    if share is None or not left:
        is_hybrid = group == Group.X25519MLKEM768
        share = _hybrid(group, drawn(Group.X25519, entropy)) if is_hybrid else generate(group, entropy)
        left = _HELLOS_A_SHARE
    _drawn[group] = (share, left - 1)
    return share


_SHARED = frozenset((Group.X25519MLKEM768, Group.X25519, Group.SECP256R1))
_HELLOS_A_SHARE = 100
_drawn: dict[int, tuple[KeyShare, int]] = {}


def _x25519() -> KeyShare:
    from cryptography.hazmat.primitives.asymmetric import x25519

    private = x25519.X25519PrivateKey.generate()

    def agree(peer: bytes) -> bytes:
        try:
            return private.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise MessageError("the peer's x25519 key share is not a usable point") from None

    return KeyShare(Group.X25519, private.public_key().public_bytes_raw(), agree)


def _x448() -> KeyShare:
    from cryptography.hazmat.primitives.asymmetric import x448

    private = x448.X448PrivateKey.generate()

    def agree(peer: bytes) -> bytes:
        try:
            return private.exchange(x448.X448PublicKey.from_public_bytes(peer))
        except ValueError:
            raise MessageError("the peer's x448 key share is not a usable point") from None

    return KeyShare(Group.X448, private.public_key().public_bytes_raw(), agree)


def _curve(group: int) -> KeyShare:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve: ec.EllipticCurve = getattr(ec, _CURVES[group])()
    try:
        private = ec.generate_private_key(curve)
    except UnsupportedAlgorithm:
        raise UnsupportedError(f"no implementation of group {group_name(group)}") from None

    def agree(peer: bytes) -> bytes:
        try:
            return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, peer))
        except ValueError:
            raise MessageError(f"the peer's {group_name(group)} key share is not a point of the curve") from None

    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return KeyShare(group, public, agree)


def _hybrid(group: int, half: KeyShare | None = None) -> KeyShare:
    """*half*: the curve's, where it is there already.

    draft-ietf-tls-ecdhe-mlkem: X25519MLKEM768 puts ML-KEM first, the NIST hybrids put the curve first."""
    from cryptography.hazmat.primitives.asymmetric import mlkem

    pq: mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey
    if group == Group.SECP384R1MLKEM1024:
        pq, ciphertext_size, classic = mlkem.MLKEM1024PrivateKey.generate(), ML_KEM_1024_CIPHERTEXT, _curve(0x0018)
    else:
        pq, ciphertext_size = mlkem.MLKEM768PrivateKey.generate(), ML_KEM_768_CIPHERTEXT
        classic = half or (_x25519() if group == Group.X25519MLKEM768 else _curve(Group.SECP256R1))
    pq_first = group == Group.X25519MLKEM768
    pq_public = pq.public_key().public_bytes_raw()

    def agree(peer: bytes) -> bytes:
        expected = ciphertext_size + len(classic.public)
        if len(peer) != expected:
            raise MessageError(f"a {group_name(group)} key share has {len(peer)} octets instead of {expected}")
        if pq_first:
            return pq.decapsulate(peer[:ciphertext_size]) + classic.agree(peer[ciphertext_size:])
        point = len(classic.public)
        return classic.agree(peer[:point]) + pq.decapsulate(peer[point:])

    public = pq_public + classic.public if pq_first else classic.public + pq_public
    return KeyShare(group, public, agree)


def finite_field(group: int, prime: int, generator: int, entropy: Entropy, *, padded: bool) -> KeyShare:
    """Diffie-Hellman modulo *prime*, for TLS 1.3's ffdhe groups and for whatever a TLS 1.2 server picked.

    *padded* keeps leading zeros (RFC 8446 section 7.4.1); TLS 1.2 strips them from the shared secret (RFC 5246 8.1.2).
    Plain integers and not the library, which is giving up on finite fields and refuses the small and odd moduli that
    a probe meets. The exponent is short (RFC 7919 section 5.2) and not blinded: nothing is protected by it.
    """
    if prime < _LEAST_PRIME or prime % 2 == 0 or not 1 < generator < prime - 1:
        raise UnsupportedError("the server's Diffie-Hellman group cannot be computed with")
    exponent = int.from_bytes(entropy(_EXPONENT_OCTETS), "big") | 1 << (8 * _EXPONENT_OCTETS - 1)
    size = (prime.bit_length() + 7) // 8

    def agree(peer: bytes) -> bytes:
        value = int.from_bytes(peer, "big")
        if not 1 < value < prime - 1:
            raise MessageError("the peer's Diffie-Hellman value is out of range")
        shared = pow(value, exponent, prime).to_bytes(size, "big")
        return shared if padded else shared.lstrip(b"\0")

    return KeyShare(group, pow(generator, exponent, prime).to_bytes(size, "big"), agree)


@cache
def ffdhe_prime(bits: int) -> int:
    """The safe prime of RFC 7919 appendix A: 2^b - 2^(b-64) + (floor(2^(b-130) e) + X) * 2^64 - 1."""
    offset = {2048: 560316, 3072: 2625351, 4096: 5736041, 6144: 15705020, 8192: 10965728}[bits]
    return (1 << bits) - (1 << (bits - 64)) + ((_e_scaled(bits - 130) + offset) << 64) - 1


def _e_scaled(shift: int) -> int:
    """floor(2^shift * e), by the series of 1/k! with guard bits."""
    guard = 64
    term = total = 1 << (shift + guard)
    k = 1
    while term:
        term //= k
        total += term
        k += 1
    return total >> guard
