"""Error text from any library → ranked causes of the catalogue, who raised it, and what to do next. Pure.

`phrases/` holds what libraries say, grouped by who says it; `claims` what that means; `alerts` TLS alerts by name and
number; `vantage` who speaks. `engine` weighs them: precise words count, wrappers around them hardly do.
"""

from __future__ import annotations

from typing import Any

from probes.explain.engine import Explanation, Match, explain

__all__ = ["Explanation", "Match", "explain", "to_json"]


def to_json(explanation: Explanation) -> dict[str, Any]:
    """*explanation* in the catalogue's form (`tls explain --json`)."""
    return {
        "schema": 1,
        "matches": [
            {
                "code": match.code,
                "mode": match.mode,
                "likelihood": match.likelihood,
                "raised_by": match.raised_by,
                "library": match.library,
                "explanation": match.explanation,
                "next_command": match.next_command,
            }
            for match in explanation.matches
        ],
    }
