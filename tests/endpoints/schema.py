"""`tls check --json` as the catalogue specifies it, as a JSON Schema written from the catalogue alone."""

from __future__ import annotations

from typing import Any

MODES: dict[str, int] = {
    "reach": 0,
    "sni": 1,
    "chain": 2,
    "negotiation": 3,
    "validity": 4,
    "mtls": 5,
    "revocation": 6,
    "balancer": 7,
    "resumption": 8,
}
FACTS: dict[str, str] = {
    "reach": "dns refused timeout unreachable not-tls reset closed stalled slow large-hello",
    "sni": "default-certificate name-mismatch unrecognized required",
    "chain": "incomplete untrusted self-signed expired-intermediate cross-sign wrong-intermediate misordered weak "
    "wrong-usage",
    "negotiation": "protocol-version cipher group signature legacy-only modern-only weak-offered alpn",
    "validity": "expired not-yet-valid expiring clock-skew",
    "mtls": "certificate-required unknown-ca certificate-rejected",
    "revocation": "revoked ocsp-slow ocsp-unreachable crl-slow crl-unreachable staple-missing staple-invalid",
    "balancer": "certificate-differs address-down configuration-differs intermittent origin-differs",
    "resumption": "tickets-not-shared broken early-data coalescing unsupported",
}
CODES = [f"{family}.{fact}" for family, facts in FACTS.items() for fact in facts.split()]
FAMILIES = [
    "chrome",
    "firefox",
    "safari",
    "android",
    "android-7",
    "curl",
    "openssl-1.0",
    "go",
    "java",
    "java-8",
    "dotnet",
    "node",
    "python",
    "rustls",
    "embedded-tls1.0",
]
STAGES = ["tcp", "hello", "negotiation", "certificate", "client-auth", "finished", None]
TEXT = {"type": "string"}
FILLED = {"type": "string", "minLength": 1}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
WHEN = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT"}
MILLISECONDS = {"type": ["number", "null"], "minimum": 0}


def _object(required: dict[str, Any]) -> dict[str, Any]:
    """All of these, and whatever is added later."""
    return {"type": "object", "required": list(required), "properties": required}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _or_null(of: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [of, {"type": "null"}]}


SCHEMA: dict[str, Any] = _object(
    {
        "schema": {"const": 1},
        "target": _object(
            {
                "host": FILLED,
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                "server_name": _or_null(FILLED),
                "starttls": _or_null(FILLED),
            }
        ),
        "started_at": MOMENT,
        "elapsed_ms": {"type": "number", "minimum": 0},
        "status": {"enum": ["ok", "warning", "broken"]},
        "cause": {"enum": [*CODES, None]},
        "mode": {"enum": [*range(9), None]},
        "summary": FILLED,
        "findings": _list(
            _object(
                {
                    "code": {"enum": CODES},
                    "mode": {"enum": list(range(9))},
                    "severity": {"enum": ["critical", "warning", "notice"]},
                    "title": FILLED,
                    "explanation": FILLED,
                    "evidence": {**_list(FILLED), "minItems": 1},
                    "addresses": _list(TEXT),
                    "fails_for": _list({"enum": FAMILIES}),
                    "fix": FILLED,
                    "next_command": FILLED,
                    "source": FILLED,
                }
            )
        ),
        "gaps": _list(_object({"what": FILLED, "why": FILLED, "addresses": _list(TEXT)})),
        "clients": _list(
            _object(
                {"name": {"enum": FAMILIES}, "outcome": {"enum": ["pass", "fail"]}, "code": _or_null({"enum": CODES})}
            )
        ),
        "endpoints": _list(
            _object(
                {
                    "address": FILLED,
                    "connected": {"type": "boolean"},
                    "failed_stage": {"enum": STAGES},
                    "timing_ms": _object(
                        dict.fromkeys(("dns", "tcp", "hello", "certificate", "finished"), MILLISECONDS)
                    ),
                    "version": _or_null(TEXT),
                    "cipher": _or_null(TEXT),
                    "group": _or_null(TEXT),
                    "alpn": _or_null(TEXT),
                    "alert": _or_null(
                        _object(
                            {
                                "from": {"enum": ["server", "client"]},
                                "level": {"enum": ["warning", "fatal"]},
                                "code": {"type": "integer", "minimum": 0, "maximum": 255},
                                "name": FILLED,
                            }
                        )
                    ),
                    "chain": _list(
                        _object(
                            {
                                "subject": TEXT,
                                "issuer": TEXT,
                                "not_before": WHEN,
                                "not_after": WHEN,
                                "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                            }
                        )
                    ),
                }
            )
        ),
    }
)
