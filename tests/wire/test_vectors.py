"""Published vectors: RFC 8448 section 3 for the TLS 1.3 schedule, the usual PRF vector for TLS 1.2, RFC 7919."""

from __future__ import annotations

import pytest

from probes.wire.keyshare import ffdhe_prime
from probes.wire.schedule12 import Prf
from probes.wire.schedule13 import KeySchedule, TrafficKeys, hkdf_expand_label

SHARED = bytes.fromhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
HELLOS = bytes.fromhex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8")
FINISHED = bytes.fromhex("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13")


def test_the_simple_handshake_of_rfc_8448() -> None:
    schedule = KeySchedule(0x1301)
    schedule.mix_shared(SHARED, HELLOS)
    assert schedule.client_handshake.hex() == "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"
    assert schedule.server_handshake.hex() == "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
    key = hkdf_expand_label("sha256", schedule.server_handshake, b"key", b"", 16)
    iv = hkdf_expand_label("sha256", schedule.server_handshake, b"iv", b"", 12)
    client, server = schedule.client_application(FINISHED), schedule.server_application(FINISHED)
    assert client.hex() == "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
    assert server.hex() == "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
    assert (key.hex(), iv.hex()) == ("3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30")


@pytest.mark.parametrize("cipher", [0x1301, 0x1302, 0x1303, 0x1304, 0x1305])
def test_updated_keys_go_on_together(cipher: int) -> None:
    schedule = KeySchedule(cipher)
    schedule.mix_shared(SHARED, HELLOS)
    ours, theirs = (TrafficKeys(schedule.suite, schedule.client_handshake) for _ in range(2))
    for _ in range(2):
        sealed = ours.seal(23, b"data")
        assert theirs.open(sealed[:5], sealed[5:]) == (23, b"data")
        ours, theirs = ours.updated(), theirs.updated()


def test_the_prf_of_tls_1_2() -> None:
    output = Prf("sha256")(
        bytes.fromhex("9bbe436ba940f017b17652849a71db35"),
        b"test label",
        bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c"),
        100,
    )
    assert output.hex().startswith("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a")


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_ffdhe_primes_are_safe_primes(bits: int) -> None:
    prime = ffdhe_prime(bits)
    assert prime.bit_length() == bits
    assert pow(2, prime - 1, prime) == 1
    assert pow(2, (prime - 1) // 2 - 1, (prime - 1) // 2) == 1
