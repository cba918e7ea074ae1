"""The second matrix: cases of another author, labelled before the product's sources were read.

The ids of the first matrix were known, so that none is used twice. Seven labels were corrected after the
first run, where tools or the catalogue contradicted them (gnutls-serv sorts its chain; a root sent along makes
another chain; Windows is taken to have no ChaCha20 suite on; alert 40 to everything does not name the part).
Two more were corrected when second visits came to be looked at: two caddies share no ticket keys, and 421 is no
healthy answer.
"""

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
