"""Certificates as values: reading them, matching names, building paths, judging chains. Pure: bytes in, values out.

`probes.pki.verify(chain, anchors=…, host=…, at=…)` answers whether a chain holds; the modules say the rest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.pki.verification import Verification, verify

__all__ = ["Verification", "verify"]


def __getattr__(name: str) -> object:
    # On first use: whoever needs the views alone does not load the parsers for it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from probes.pki import verification

    return getattr(verification, name)
