"""The second matrix: labelled by somebody who had not seen how the product decides, nor the first one's cases."""

from __future__ import annotations

from tests.endpoints import (
    second_balancer,
    second_chain,
    second_names,
    second_negotiation,
    second_reach,
    second_validity,
)
from tests.endpoints.cases import Register


def register(to: Register) -> None:
    second_reach.register(to)
    second_names.register(to)
    second_chain.register(to)
    second_negotiation.register(to)
    second_validity.register(to)
    second_balancer.register(to)
