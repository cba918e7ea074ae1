"""The third matrix: modes 5, 6 and 8, STARTTLS, and what the first two left out of modes 0, 4 and 7.

Labelled from the catalogue without sight of the rules and of what gathers their facts.
"""

from __future__ import annotations

from tests.endpoints import (
    third_balancer,
    third_mtls,
    third_reach,
    third_resumption,
    third_revocation,
    third_starttls,
    third_validity,
)
from tests.endpoints.cases import Register


def register(to: Register) -> None:
    before = set(to.cases)
    third_mtls.register(to)
    third_revocation.register(to)
    third_resumption.register(to)
    third_balancer.register(to)
    third_validity.register(to)
    third_starttls.register(to)
    third_reach.register(to)
    IDS.extend(id for id in to.cases if id not in before)


IDS: list[str] = []
