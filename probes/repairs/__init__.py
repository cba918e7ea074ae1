"""Facts and their cause → what mends it: the corrected chain, lines for servers, commands, a capture recipe. Pure.

Beside the fix in words, which is the finding's own. Nothing here is guessed: a value that no probe can know (a file's
name, an ARN) stands as a name of the reader's own, and what could not be built says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from probes.facts import Facts
from probes.model import Diagnosis, Repair
from probes.repairs import apache, aws, cloudflare, commands, envoy, haproxy, nginx
from probes.repairs.chain import corrected_chain
from probes.repairs.place import Place

# In the order shown, but for the one that answered.
SERVERS: Mapping[str, Mapping[str, str]] = {
    "nginx": nginx.LINES,
    "haproxy": haproxy.LINES,
    "envoy": envoy.LINES,
    "apache": apache.LINES,
    "aws": aws.LINES,
    "cloudflare": cloudflare.LINES,
}


def repairs(facts: Facts, diagnosis: Diagnosis) -> tuple[Repair, ...]:
    """What mends the cause, the most useful first; nothing without a cause."""
    if diagnosis.cause is None:
        return ()
    return tuple(_repairs(Place(facts, diagnosis.cause)))


def _repairs(place: Place) -> Iterator[Repair]:
    chain = corrected_chain(place)
    if chain is not None:
        yield chain
    yield from commands.anew(place)
    yield from lines(place)
    yield commands.proof(place)
    capture = commands.capture(place)
    if capture is not None:
        yield capture


def lines(place: Place) -> Iterator[Repair]:
    """The configuration lines that apply, one entry a server; first the software that answered, where it said so.

    None of these servers ends a STARTTLS session in its HTTP configuration: there the fix in words has to do.
    """
    if place.target.starttls is not None:
        return
    for server in sorted(SERVERS, key=lambda each: each != place.software):
        template = SERVERS[server].get(place.cause.code)
        if template is not None:
            yield Repair(kind=server, text=place.fill.into(template))
