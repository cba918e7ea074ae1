"""Whose store lacks which of Mozilla's roots, and which others it still holds: data, and one question about it. Pure.

Current families are judged by the default store as it is (Mozilla's roots): Firefox, curl, Node, Python and rustls use
that list; Chrome's, Apple's, Microsoft's, Oracle's and Android's differ from it by roots of which hardly any site is
served, and of which no list is at hand: a root not known to be lacking counts as held.

An old family's store stands still. What it lacks is known twice over: a root made too late for it cannot be in it, and
of the older ones those that were added later are listed, with their source.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from probes.former_roots import ENTRUST_G2, FORMER_ROOTS
from probes.pki import der
from probes.pki.anchors import Anchor, Anchors
from probes.values import value

# Whoever trusts other roots than Mozilla's put them there, and in all clients alike, for all that is known.
_MOZILLA = "certifi"

# The quickest root program takes longer than this from a root's making to its first release; ISRG Root X1 (June 2015)
# took Mozilla until August 2016, Java until July 2017. A limit of our own.
_INCLUSION = timedelta(days=90)

_VERSION = 0xA0  # the tag of tbsCertificate's first field, which version 1 leaves out (RFC 5280 section 4.1)


@value
class Store:
    """The store of a family as it stood at *as_of*. *lacks*: SPKI SHA-256, of roots that it could have held by age."""

    as_of: datetime
    source: str
    lacks: frozenset[str] = frozenset()
    holds: tuple[bytes, ...] = FORMER_ROOTS  # DER, beside Mozilla's of today


_ISRG_X1 = "0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3"  # ISRG Root X1
_AMAZON = (
    "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",  # Amazon Root CA 1
    "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",  # Amazon Root CA 2
    "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",  # Amazon Root CA 3
    "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",  # Amazon Root CA 4
)
_HARICA_2015 = (
    "50cc86ba96db3263c79a43ead07553d9f56659e6907e72d8c026637a1cdc85dc",  # HARICA RootCA 2015
    "bb52086d0639e8db332775ac8f4e8435d92ceb00f4e24f28fc0eabe240772e80",  # HARICA ECC RootCA 2015
)
_D_TRUST_2009 = (
    "eca0f181402ce7a8652b31b4d036df247e3a30b7f41a50d91ec4f90b006b43a1",  # D-TRUST Root Class 3 CA 2 2009
    "ff342fb6c4c8bd30a4706f73489539f19e6e48cc05f46254654f6610dbc540e9",  # D-TRUST Root Class 3 CA 2 EV 2009
)
_GLOBALSIGN_R6 = "682747f8ba621b87cdd3bc295ed5cabce722a1c0c0363d1d68b38928d2787f1e"  # GlobalSign Root CA - R6
_CERTIGNA = "8e8046ec4cac015a507ce0d2d0154a4b40e8e42b3165cfa546571435112d17e5"  # Certigna Root CA
_FNMT = "2fc5667a4b9a2678ed6ac6ad25465fcbf6094bfcd9504097c7a8fa47ade5e888"  # AC RAIZ FNMT-RCM

STORES: dict[str, Store] = {
    "android-7": Store(
        as_of=datetime(2016, 8, 22, tzinfo=UTC),
        source="Android 7.0; ISRG Root X1 came with 7.1.1 (letsencrypt.org/docs/certificate-compatibility)",
        lacks=frozenset({_ISRG_X1}),
    ),
    "java-8": Store(
        as_of=datetime(2016, 4, 19, tzinfo=UTC),
        # D-TRUST and IdenTrust: 8u101 (2016-07). ISRG Root X1: 8u141 (2017-07). GlobalSign R6: JDK-8216577 (2019).
        # Amazon: JDK-8233223 (2019). Certigna: JDK-8245654, HARICA: JDK-8256421 (2020).
        source="Oracle JDK 8u91; what later release notes add (8u101 to 8u291)",
        lacks=frozenset(
            {
                *(_ISRG_X1, *_AMAZON, *_HARICA_2015, *_D_TRUST_2009, _GLOBALSIGN_R6, _CERTIGNA),
                "07e854f26a7cbd389927aa041bfef1b6cd21dd143818ad947dc655a9e587fe88",  # IdenTrust Commercial Root CA 1
                "58dd61feb36ea7d258724371709149cb121337864cacb2d0999ad20739d06477",  # IdenTrust Public Sector Root CA 1
            }
        ),
    ),
    "openssl-1.0": Store(
        as_of=datetime(2016, 2, 28, tzinfo=UTC),
        source="Mozilla's list, which distributions ship, as of 2016-02-28 (certifi 2016.2.28)",
        lacks=frozenset(
            {
                *(_ISRG_X1, *_AMAZON, *_HARICA_2015, _GLOBALSIGN_R6, _CERTIGNA, _FNMT),
                "55e00be277ceb0545299f24fd9f877e2acf32852db43ffcd29bca74b39b4c9fa",  # TUBITAK Kamu SM SSL Kok, Surum 1
                "ceb19411c65052c757f941eb826c96941e4d08d096c7db7e7ea3c4f8c13f1a13",  # GDCA TrustAUTH R5 ROOT
                "5c41a73ab2c35dfcd771f6fd6e3e8fac9b469d386cadda56a95b646eb48cca34",  # UCA Extended Validation Root
            }
        ),
    ),
    "embedded-tls1.0": Store(
        as_of=datetime(2012, 1, 18, tzinfo=UTC),
        source="Mozilla's list as of 2012-01-18 (certifi 0.0.8)",
        lacks=frozenset(
            {
                *(*_D_TRUST_2009, _FNMT),
                "8d767764b3cbda08929d072a22a561f4dcdd1bc57d3cbddc948c47d2b47f9122",  # T-TeleSec GlobalRoot Class 3
                "6106c0e3a0a299831875127bd7d3cc1859803d511cac11eb6e0840dd166fc10e",  # T-TeleSec GlobalRoot Class 2
                "82b5f84daf47a59c7ab521e4982aefa40a53406a3aec26039efa6b2e0e7244c1",  # COMODO RSA
                "c784333d20bcd742b9fdc3236f4e509b8937070e73067e254dd3bf9c45bf4dde",  # USERTrust RSA
                "2021917e98263945c859c43f1d73cb4139053c414fa03ca3bc7ee88614298f3b",  # USERTrust ECC
                "b03d87b056d08cc9d4e675ef19ca83ab53532168a8258598be72e6d85c7dd7c1",  # Buypass Class 3 Root CA
                "5955ae291574a931342cf7450e16652ede1e0fb3097e1571dfac11c915601564",  # Buypass Class 2 Root CA
                "05570ae6eb0fceb4210e6db79486b7094caf200401e149b6677441b5f25e449b",  # ACCVRAIZ1
                "25d4913cf587097414d29d26f6c1b1942cd6d64eaf45d0fcf81526adba96d324",  # Actalis Authentication Root CA
                "6b3b57e9ec88d1bb3d01637ff33c7698b3c9758255e9f01ea9178f3e7f3b2b52",  # Certum Trusted Network CA 2
            }
        ),
        holds=tuple(root for root in FORMER_ROOTS if root != ENTRUST_G2),
    ),
}


def lacks(family: str, anchor: Anchor) -> bool:
    """Is *anchor*, one of Mozilla's roots of today, known to be absent from the family's own store?"""
    store = STORES.get(family)
    if store is None or anchor.added or not anchor.source.startswith(_MOZILLA):
        return False
    return _made(anchor.der) > store.as_of - _INCLUSION or hashlib.sha256(anchor.spki).hexdigest() in store.lacks


def held(family: str, anchors: Anchors) -> Anchors:
    """What *family* trusts of *anchors*, and what its own store holds beside them."""
    kept = tuple(anchor for anchor in anchors.members if not lacks(family, anchor))
    return anchors if len(kept) == len(anchors.members) else Anchors(kept, anchors.unreadable) | former(family)


@lru_cache(maxsize=16)
def former(family: str) -> Anchors:
    """The roots that *family*'s own store holds and Mozilla's no longer does."""
    store = STORES.get(family)
    return Anchors.from_ders(store.holds, source=store.source) if store else Anchors()


@lru_cache(maxsize=512)
def _made(certificate: bytes) -> datetime:
    """notBefore. It is read for every root of a store at once, so nothing else of the certificate is."""
    tbs = der.element(certificate, der.element(certificate, 0, len(certificate)).body, len(certificate))
    at = tbs.body
    for _ in range(4 if certificate[at] == _VERSION else 3):  # version, serialNumber, signature, issuer
        at = der.element(certificate, at, tbs.end).end
    validity = der.element(certificate, at, tbs.end)
    return der.validity(certificate[validity.start : validity.end])[0]
