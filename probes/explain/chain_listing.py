"""The chain that `openssl s_client` lists (`0 s:… i:…`), read for links that do not fit. Pure.

A verify error says only that no issuer was found; the listing beside it tells which certificate came in its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from probes.explain import claims as c
from probes.explain.claims import Claim

_NAME = r"(.{1,300}?)"
_ENTRY = re.compile(rf"(?<![^ ])\d{{1,2}} s:{_NAME} i:{_NAME}(?= \d{{1,2}} s:| a:pkey| v:notbefore| -{{3,}}| verif|$)")
_VERIFIED = "verify return code: 0 (ok)"


def misfit(text: str) -> tuple[int, int, Claim] | None:
    """Where canonical *text* lists a chain with a link that does not fit, and what that says; None where all fit.

    Chains that the client verified all the same are no failure, so they say nothing.
    """
    at = text.find("certificate chain 0 s:")
    if at < 0 or _VERIFIED in text:
        return None
    entries = list(_ENTRY.finditer(text, at))
    claim = _judged([(_plain(entry[1]), _plain(entry[2])) for entry in entries])
    return (at, entries[-1].end(), claim) if claim else None


def _judged(chain: Sequence[tuple[str, str]]) -> Claim | None:
    subjects = {subject for subject, _ in chain}
    for (subject, issuer), (following, _) in pairwise(chain):
        if issuer not in (following, subject):
            return c.MISORDERED if issuer in subjects else c.WRONG_ISSUER
    return None


def _plain(name: str) -> str:
    """OpenSSL 1.0 writes `/C=US/O=Acme`, 1.1 and later `C = US, O = Acme`: one chain is in one spelling."""
    return name.replace(" ", "")
