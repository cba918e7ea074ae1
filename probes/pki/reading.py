"""The extensions of a certificate, whoever wrote it: a strict parser first, a lenient one for what it refuses."""

from __future__ import annotations

import warnings

from cryptography import x509

from probes.pki import der, extensions, lenient
from probes.pki.distinguished import capped
from probes.pki.extensions import UNDERSTOOD, Extensions
from probes.pki.signatures import REFUSALS
from probes.values import value


@value
class Reading:
    """*defects*: what a strict parser refuses. *broken*: a lenient one must refuse it, too, as every client does."""

    extensions: Extensions
    unknown_critical: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    broken: bool = False


def read(data: bytes, frame: der.Skeleton) -> Reading:
    """The extensions of the certificate *data*; never raises."""
    refusal = None
    strict = None
    whole = True
    try:
        listed = der.extensions(frame.extensions)
    except der.Malformed as malformed:
        return Reading(extensions=Extensions(), defects=(str(malformed),), broken=True)
    try:
        with warnings.catch_warnings():
            # A certificate that merely deserves a warning (a serial number of zero) is one that clients take.
            warnings.simplefilter("ignore")
            strict, whole = extensions.strictly(x509.load_der_x509_certificate(data).extensions, listed)
    except REFUSALS as refused:
        refusal = capped(str(refused) or type(refused).__name__, 200)
    unknown = tuple(each.oid for each in listed if each.critical and each.oid not in UNDERSTOOD)
    defects: tuple[str, ...] = () if frame.algorithms_agree else ("it names two different signature algorithms",)
    if strict is not None:
        defects += () if whole else ("an iPAddress that is a network",)
        return Reading(extensions=strict, unknown_critical=unknown, defects=defects, broken=bool(defects))
    forgiven, whole = lenient.read(listed)
    twice = len({each.oid for each in listed}) < len(listed)
    return Reading(
        extensions=forgiven,
        unknown_critical=unknown,
        defects=(*defects, refusal or ""),
        broken=bool(defects) or not whole or frame.version > 3 or twice,
    )
