"""What differs between the addresses of one name, or between connections to one address."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from probes.lab import Lab
from tests.lab.client import Seen, shake, verify_code

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def _each(lab: Lab, name: str, **offer: object) -> list[Seen]:
    case = lab.case(name)
    return [await shake(address, case.port, name, **offer) for address in case.addresses]


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [
        ("one-expired.lab", [0, 10]),
        ("one-incomplete.lab", [0, 20]),
        ("certificates-differ.lab", [0, 0]),
        ("configuration-differs.lab", [0, 0]),
        ("healthy-two-addresses.lab", [0, 0]),
    ],
)
async def test_addresses_are_as_good_as_announced(lab: Lab, name: str, verdicts: list[int]) -> None:
    case = lab.case(name)
    assert [await verify_code(address, case.port, name, lab.root_pem) for address in case.addresses] == verdicts


@pytest.mark.parametrize(
    ("name", "leaves"),
    [
        ("one-expired.lab", 2),
        ("one-incomplete.lab", 1),
        ("certificates-differ.lab", 2),
        ("configuration-differs.lab", 1),
        ("healthy-two-addresses.lab", 1),
    ],
)
async def test_as_many_leaves_as_announced(lab: Lab, name: str, leaves: int) -> None:
    assert len({seen.chain[0] for seen in await _each(lab, name)}) == leaves


async def test_configurations_differ_in_version_and_alpn(lab: Lab) -> None:
    seen = await _each(lab, "configuration-differs.lab", alpn=(b"h2", b"http/1.1"))
    assert [(one.version, one.alpn) for one in seen] == [("TLSv1.3", b"h2"), ("TLSv1.2", b"http/1.1")]


async def test_one_address_of_three_is_down(lab: Lab) -> None:
    case = lab.case("address-down.lab")
    *up, down = case.addresses
    assert [(await shake(address, case.port, case.name)).version for address in up] == ["TLSv1.3", "TLSv1.3"]
    with pytest.raises(ConnectionRefusedError):
        await shake(down, case.port, case.name)


async def test_one_address_of_two_resets(lab: Lab) -> None:
    case = lab.case("address-resets.lab")
    up, down = case.addresses
    assert (await shake(up, case.port, case.name)).version == "TLSv1.3"
    with pytest.raises(ConnectionResetError):
        await shake(down, case.port, case.name)


async def test_every_third_connection_is_reset(lab: Lab) -> None:
    case = lab.case("intermittent.lab")
    resets = 0
    for _ in range(6):
        try:
            await shake(case.addresses[0], case.port, case.name)
        except ConnectionResetError:
            resets += 1
    assert resets == 2


async def test_every_other_certificate_is_expired(lab: Lab) -> None:
    case = lab.case("intermittent-certificate.lab")
    leaves = [(await shake(case.addresses[0], case.port, case.name)).chain[0] for _ in range(4)]
    assert sum(leaf.not_valid_after_utc < datetime.now(UTC) for leaf in leaves) == 2


async def test_the_origin_differs_from_what_resolves(lab: Lab) -> None:
    case = lab.case("origin-differs.lab")
    assert case.origin
    address, _, port = case.origin.rpartition(":")
    [front] = await _each(lab, case.name)
    origin = await shake(address, int(port), case.name)
    assert (front.version, origin.version) == ("TLSv1.3", "TLSv1.2")
    assert front.chain[0] != origin.chain[0]
    assert await verify_code(address, int(port), case.name, lab.root_pem) == 0
