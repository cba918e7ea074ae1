"""The matrix: every case by its id."""

from __future__ import annotations

from tests.endpoints import (
    matrix_balancer,
    matrix_chain,
    matrix_combined,
    matrix_healthy,
    matrix_names,
    matrix_negotiation,
    matrix_reach,
    matrix_validity,
    second,
    third,
)
from tests.endpoints.cases import Case, Register


def all_cases() -> dict[str, Case]:
    register = Register()
    matrix_reach.register(register)
    matrix_names.register(register)
    matrix_chain.register(register)
    matrix_negotiation.register(register)
    matrix_validity.register(register)
    matrix_balancer.register(register)
    matrix_healthy.register(register)
    matrix_combined.register(register)
    second.register(register)
    third.register(register)
    return register.cases


CASES = all_cases()
