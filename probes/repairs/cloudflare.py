"""Commands for Cloudflare (API v4: edge certificates, zone settings, origins), by catalogue code. Data.

What only Cloudflare decides (ticket keys, groups, stapling) has no lines here. `$ZONE_ID` and `$CF_API_TOKEN`
are for the reader's shell.
"""

from __future__ import annotations

_API = "https://api.cloudflare.com/client/v4"
_AUTH = '-H "Authorization: Bearer $CF_API_TOKEN"'


def _setting(name: str, value: str) -> str:
    return f"""curl -sS -X PATCH "{_API}/zones/$ZONE_ID/settings/{name}" {_AUTH} --json '{{"value": {value}}}'"""


_DEPLOY = f"""
# Custom edge certificate, served exactly as given ("force"), not rebuilt:
jq -n --rawfile certificate <file>-chain.pem --rawfile private_key <file>.key \\
  '{{$certificate, $private_key, bundle_method: "force"}}' |
  curl -sS -X PATCH "{_API}/zones/$ZONE_ID/custom_certificates/$CERTIFICATE_ID" {_AUTH} --json @-
# Universal and Advanced certificates bring their chain; where <name> is only proxied, mend the origin instead.
"""

_EDGE = f"""
# A certificate of Cloudflare's for this name (the record must be proxied, or the traffic goes past the edge):
curl -sS -X POST "{_API}/zones/$ZONE_ID/ssl/certificate_packs/order" {_AUTH} \\
  --json '{{"type": "advanced", "hosts": ["<name>"], "validation_method": "txt", "validity_days": 90, "certificate_authority": "google"}}'
# Universal certificates cover the zone itself and one level below it, and no more.
"""

_VERSIONS = f"""
{_setting("min_tls_version", '"1.2"')}
{_setting("tls_1_3", '"on"')}
"""

_SUITES = f"""
# An empty list is Cloudflare's default:
{_setting("ciphers", "[]")}
{_setting("min_tls_version", '"1.2"')}
{_setting("tls_1_3", '"on"')}
"""

_ALPN = f"""
{_setting("http2", '"on"')}
"""

_CLIENTS = f"""
# The edge asks the hosts in this list for a client certificate; leave <name> out to stop asking:
curl -sS "{_API}/zones/$ZONE_ID/certificate_authorities/hostname_associations" {_AUTH}
"""

_CLIENT_CA = f"""
# A CA of your own for client certificates, then tied to the host:
jq -n --rawfile certificates client-ca.pem '{{$certificates, ca: true, name: "client-ca"}}' |
  curl -sS -X POST "{_API}/accounts/$ACCOUNT_ID/mtls_certificates" {_AUTH} --json @-
curl -sS -X PUT "{_API}/zones/$ZONE_ID/certificate_authorities/hostname_associations" {_AUTH} \\
  --json "{{\\"hostnames\\": [\\"<name>\\"], \\"mtls_certificate_id\\": \\"$MTLS_CERTIFICATE_ID\\"}}"
"""

_POOL = f"""
# A monitor that speaks TLS takes a broken origin out of the pool:
curl -sS -X POST "{_API}/accounts/$ACCOUNT_ID/load_balancers/monitors" {_AUTH} \\
  --json '{{"type": "https", "port": <port>, "path": "/", "expected_codes": "2xx", "interval": 60, "retries": 2, "header": {{"Host": ["<name>"]}}}}'
"""

_STRICT = f"""
# Full (strict): the edge insists on a valid certificate at the origin.
{_setting("ssl", '"strict"')}
"""

_NO_EARLY_DATA = f"""
{_setting("0rtt", '"off"')}
# To keep it: the edge sends Early-Data: 1 to the origin, which answers 425 (RFC 8470) to what is not safe to repeat.
"""

LINES: dict[str, str] = {
    "sni.default-certificate": _EDGE,
    "sni.name-mismatch": _EDGE,
    "sni.unrecognized": _EDGE,
    "chain.incomplete": _DEPLOY,
    "chain.untrusted": _EDGE,
    "chain.self-signed": _EDGE,
    "chain.expired-intermediate": _DEPLOY,
    "chain.cross-sign": _DEPLOY,
    "chain.wrong-intermediate": _DEPLOY,
    "chain.misordered": _DEPLOY,
    "chain.weak": _EDGE,
    "chain.wrong-usage": _EDGE,
    "negotiation.protocol-version": _VERSIONS,
    "negotiation.legacy-only": _VERSIONS,
    "negotiation.modern-only": _VERSIONS,
    "negotiation.cipher": _SUITES,
    "negotiation.weak-offered": _SUITES,
    "negotiation.alpn": _ALPN,
    "validity.expired": _EDGE,
    "validity.not-yet-valid": _DEPLOY,
    "validity.expiring": _EDGE,
    "mtls.certificate-required": _CLIENTS,
    "mtls.unknown-ca": _CLIENT_CA,
    "mtls.certificate-rejected": _CLIENT_CA,
    "balancer.certificate-differs": _DEPLOY,
    "balancer.address-down": _POOL,
    "balancer.configuration-differs": _VERSIONS,
    "balancer.intermittent": _POOL,
    "balancer.origin-differs": _STRICT,
    "resumption.early-data": _NO_EARLY_DATA,
}
