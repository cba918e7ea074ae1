"""Certificate Transparency from memory, on one core: `python -m tests.bench.ct`.

The complete path of a tile: gunzip, decode, leaf hashes, strict walk of every entry, names against the watched
domains, tree, root. The certificates are of many shapes, like those in logs: 1.2 KB and 3.3 names in the mean.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from time import process_time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from probes.ct.lookalikes import lookalikes
from probes.ct.merkle import CompactTree
from probes.ct.sift import sift_tile
from probes.ct.watchset import WatchSet

TILES = 24
DISTINCT = 384
NOW = datetime(2026, 11, 1, tzinfo=UTC)
_ISSUERS = (
    (("US", "Let's Encrypt", "E7"), 0),
    (("US", "Google Trust Services", "WE1"), 0),
    (("US", "DigiCert Inc", "DigiCert Global G3 TLS ECC SHA384 2020 CA1"), 1),
    (("GB", "Sectigo Limited", "Sectigo Public Server Authentication CA DV R36"), 1),
)


Key = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
CaKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A certificate as a log holds it: *tbs* is the TBS of a precertificate entry, the certificate itself otherwise."""

    is_precert: bool
    tbs: bytes
    precertificate: bytes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Entries a second of processor time, and what they were."""

    entries: int
    seconds: float
    watched: int
    matches: int
    mean_bytes: float
    mean_names: float

    @property
    def rate(self) -> float:
        """Verified entries a second."""
        return self.entries / self.seconds


@cache
def certificates(count: int = DISTINCT, seed: int = 7) -> tuple[Made, ...]:
    """Distinct certificates: half precertificates, EC and RSA subjects, 1 to 60 names, DV and OV."""
    dice = random.Random(seed)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    keys: list[Key] = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(6)]
    keys += [rsa.generate_private_key(65537, bits).public_key() for bits in (2048, 2048, 2048, 2048, 2048, 4096)]
    rsa_ca = rsa.generate_private_key(65537, 2048)
    return tuple(_certificate(dice, dice.choice((ca_key, rsa_ca)), dice.choice(keys)) for _ in range(count))


def _names(dice: random.Random) -> list[str]:
    word = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(4, 16)))
    base = f"{word}.{dice.choice(('com', 'com', 'net', 'org', 'de', 'co.uk', 'io', 'com.br'))}"
    shape = dice.random()
    if shape < 0.35:
        return [base, f"www.{base}"]
    if shape < 0.6:
        return [f"{dice.choice(('mail', 'api', 'shop', 'autodiscover'))}.{base}"]
    if shape < 0.78:
        return [f"*.{base}", base]
    if shape < 0.97:
        return [f"{each}.{base}" for each in ("www", "mail", "webmail", "cpanel", "cpcalendars")[: dice.randint(2, 5)]]
    return [f"host{number}.{dice.choice('abcdefgh')}{base}" for number in range(dice.randint(10, 70))]


def _certificate(dice: random.Random, ca_key: CaKey, key: Key) -> Made:
    (country, organisation, issuer), is_full = dice.choice(_ISSUERS)
    names = _names(dice)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if is_full or dice.random() < 0.5 else []
    if is_full and dice.random() < 0.4:
        company = (NameOID.COUNTRY_NAME, "DE"), (NameOID.LOCALITY_NAME, "Berlin"), (NameOID.ORGANIZATION_NAME, "Firma")
        subject = [*(x509.NameAttribute(oid, text) for oid, text in company), *subject]
    builder = (
        x509.CertificateBuilder()
        .issuer_name(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COUNTRY_NAME, country),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                    x509.NameAttribute(NameOID.COMMON_NAME, issuer),
                ]
            )
        )
        .subject_name(x509.Name(subject))
        .serial_number(dice.getrandbits(135) | 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=dice.choice((6, 47, 64, 90, 200))))
        .public_key(key)
        .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(dice.randbytes(20)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(dice.randbytes(20), None, None), critical=False)
        .add_extension(
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(Access.OCSP, x509.UniformResourceIdentifier("http://o.ca.test")),
                    x509.AccessDescription(
                        Access.CA_ISSUERS, x509.UniformResourceIdentifier("http://i.ca.test/e7.crt")
                    ),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=not subject)
        .add_extension(
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), ["https://ca.test/cps"] * is_full)]
            ),
            critical=False,
        )
        .add_extension(
            x509.CRLDistributionPoints(
                [
                    x509.DistributionPoint(
                        [x509.UniformResourceIdentifier(f"http://c.ca.test/{dice.randint(1, 99)}.crl")],
                        None,
                        None,
                        None,
                    )
                ]
            ),
            critical=False,
        )
    )
    stamps = dice.randbytes(242)
    sct_list = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), b"\x04\x81\xf2" + stamps)
    if dice.random() < 0.5:
        certificate = builder.add_extension(sct_list, critical=False).sign(ca_key, SHA256())
        return Made(
            is_precert=False, tbs=certificate.public_bytes(Encoding.DER), precertificate=b"", names=tuple(names)
        )
    tbs = builder.sign(ca_key, SHA256()).tbs_certificate_bytes
    poisoned = builder.add_extension(x509.PrecertPoison(), critical=True).sign(ca_key, SHA256())
    return Made(is_precert=True, tbs=tbs, precertificate=poisoned.public_bytes(Encoding.DER), names=tuple(names))


def tile_leaf(made: Made, *, index: int, timestamp_ms: int, dice: random.Random) -> bytes:
    """One TileLeaf of static-ct-api."""
    head = timestamp_ms.to_bytes(8, "big") + (b"\x00\x01" + dice.randbytes(32) if made.is_precert else b"\x00\x00")
    body = len(made.tbs).to_bytes(3, "big") + made.tbs
    extensions = b"\x00\x08\x00\x00\x05" + index.to_bytes(5, "big")
    after = len(made.precertificate).to_bytes(3, "big") + made.precertificate if made.is_precert else b""
    return head + body + extensions + after + b"\x00\x40" + b"\x11" * 32 + b"\x22" * 32


def tiles(count: int = TILES) -> Iterator[bytes]:
    """Full data tiles, gzip, as a static log sends them."""
    dice = random.Random(11)
    made = certificates()
    for number in range(count):
        leaves = (
            tile_leaf(dice.choice(made), index=number * 256 + at, timestamp_ms=1790000000000 + at, dice=dice)
            for at in range(256)
        )
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        yield packer.compress(b"".join(leaves)) + packer.flush()


def domains(count: int) -> list[str]:
    """Watched domains; few certificates are theirs, as in the wild."""
    dice = random.Random(3)
    own = [made.names[0].removeprefix("*.") for made in certificates()[:3]]
    letters = "abcdefghijklmnopqrstuvwxyz"
    made_up = ("".join(dice.choice(letters) for _ in range(dice.randint(6, 14))) for _ in range(count))
    return [*own, *(f"{word}.{dice.choice(('com', 'net', 'co.uk', 'de'))}" for word in made_up)][:count]


def measured(packed: Sequence[bytes], watched: int, *, with_lookalikes: bool = False, rounds: int = 3) -> Measured:
    """The best of some rounds over the tiles, root computed at each."""
    watch = WatchSet.compile(domains(watched))
    similar = lookalikes(watch.domains) if with_lookalikes else None
    best, matches = float("inf"), 0
    for _ in range(rounds):
        tree, matches = CompactTree(), 0
        started = process_time()
        for number, data in enumerate(packed):
            sifted = sift_tile(data, first_index=number * 256, watch=watch, lookalikes=similar)
            tree.extend(sifted.hashes)
            tree.root()
            matches += sum(1 for hit in sifted.hits if hit.matches)
        best = min(best, process_time() - started)
    made = certificates()
    return Measured(
        entries=len(packed) * 256,
        seconds=best,
        watched=watched,
        matches=matches,
        mean_bytes=sum(len(each.tbs) for each in made) / len(made),
        mean_names=sum(len(each.names) for each in made) / len(made),
    )


def bench_ct_memory() -> list[Measured]:
    """Print and return the rates for 20, 200 and 2,000 watched domains."""
    packed = list(tiles())
    results = []
    for watched, similar in ((20, False), (200, False), (2000, False), (20, True), (2000, True)):
        result = measured(packed, watched, with_lookalikes=similar)
        print(
            f"{result.rate:10,.0f} verified entries/s  {watched:5} domains{' and their look-alikes' if similar else ''}"
            f"  ({result.entries} entries, {result.matches} matched; {result.mean_bytes:.0f} bytes and"
            f" {result.mean_names:.1f} names in the mean)"
        )
        results.append(result)
    return results


if __name__ == "__main__":
    bench_ct_memory()
