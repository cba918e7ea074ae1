"""Lines for Envoy (v3 API, as YAML), by catalogue code: a transport socket, a filter chain or a cluster. Data."""

from __future__ import annotations

from probes.repairs.kinds import by_code

_RELOAD = "# then: envoy --mode validate -c envoy.yaml, and restart; files named by an SDS path_config_source reload themselves"

_SOCKET = """
# in the filter chain of the listener:
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
"""

_CERTIFICATES = """\
      tls_certificates:
      - certificate_chain: {filename: /etc/ssl/<file>-chain.pem}  # the leaf first, then each intermediate; no root
        private_key: {filename: /etc/ssl/<file>.key}
"""

_DEPLOY = f"""{_SOCKET}\
    common_tls_context:
{_CERTIFICATES}\
{_RELOAD}
"""

_CHAIN_OF_NAME = """\
- filter_chain_match: {server_names: ["<name>"]}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      common_tls_context:
        tls_certificates:
        - certificate_chain: {filename: /etc/ssl/<file>-chain.pem}  # has <name> among its subjectAltNames
          private_key: {filename: /etc/ssl/<file>.key}
"""

_NAMED = f"""
# in the listener (server_names needs the tls_inspector):
listener_filters:
- name: envoy.filters.listener.tls_inspector
  typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}
filter_chains:
{_CHAIN_OF_NAME}\
{_RELOAD}
"""

_NAMELESS = f"""
# in the listener: answers clients that send no name, and unknown names
default_filter_chain:
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      common_tls_context:
        tls_certificates:
        - certificate_chain: {{filename: /etc/ssl/<file>-chain.pem}}
          private_key: {{filename: /etc/ssl/<file>.key}}
{_RELOAD}
"""

_LARGE_HELLO = f"""
# in the listener: a hello with a post-quantum share comes in two packets; without its end no chain is chosen by a guess
listener_filters:
- name: envoy.filters.listener.tls_inspector
  typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}
listener_filters_timeout: 15s
continue_on_listener_filters_timeout: false
{_RELOAD}
"""

_VERSIONS = f"""{_SOCKET}\
    common_tls_context:
      tls_params:
        tls_minimum_protocol_version: TLSv1_2
        tls_maximum_protocol_version: TLSv1_3
{_CERTIFICATES}\
{_RELOAD}
"""

_SUITES = f"""{_SOCKET}\
    common_tls_context:
      tls_params:
        tls_minimum_protocol_version: TLSv1_2
        tls_maximum_protocol_version: TLSv1_3
        cipher_suites: [<suites_listed>]
        ecdh_curves: [X25519, P-256, P-384]
{_CERTIFICATES}\
{_RELOAD}
"""

_GROUPS = f"""{_SOCKET}\
    common_tls_context:
      tls_params:
        ecdh_curves: [X25519, P-256, P-384]  # X25519MLKEM768 first where this Envoy knows it
{_CERTIFICATES}\
{_RELOAD}
"""

_KEYS = f"""{_SOCKET}\
    common_tls_context:
      tls_certificates:  # one key of each kind: the client's algorithms choose
      - certificate_chain: {{filename: /etc/ssl/<file>-chain.pem}}
        private_key: {{filename: /etc/ssl/<file>.key}}
      - certificate_chain: {{filename: /etc/ssl/<file>-<other>-chain.pem}}
        private_key: {{filename: /etc/ssl/<file>-<other>.key}}
{_RELOAD}
"""

_ALPN = f"""{_SOCKET}\
    common_tls_context:
      alpn_protocols: [h2, http/1.1]  # and codec_type: AUTO in the HTTP connection manager
{_CERTIFICATES}\
{_RELOAD}
"""

_CLIENTS = f"""{_SOCKET}\
    require_client_certificate: false  # true once every client has one
    common_tls_context:
      validation_context:
        trusted_ca: {{filename: /etc/ssl/client-ca.pem}}  # every CA that issues client certificates, roots included
{_CERTIFICATES}\
{_RELOAD}
"""

_CLIENT_CHECKS = f"""{_SOCKET}\
    require_client_certificate: true
    common_tls_context:
      validation_context:
        trusted_ca: {{filename: /etc/ssl/client-ca.pem}}
        # crl: a list for each CA of the chain, none past its nextUpdate, or all clients are refused
{_CERTIFICATES}\
{_RELOAD}
"""

_STAPLE = f"""
# once, and from cron: openssl ocsp -issuer issuer.pem -cert leaf.pem -url "$(openssl x509 -in leaf.pem -noout -ocsp_uri)" \\
#   -respout /etc/ssl/<file>.ocsp -no_nonce
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    ocsp_staple_policy: LENIENT_STAPLING  # for a must-staple certificate: MUST_STAPLE
    common_tls_context:
      tls_certificates:
      - certificate_chain: {{filename: /etc/ssl/<file>-chain.pem}}
        private_key: {{filename: /etc/ssl/<file>.key}}
        ocsp_staple: {{filename: /etc/ssl/<file>.ocsp}}
{_RELOAD}
"""

_POOL = f"""
clusters:
- name: "<upstream>"
  type: STATIC
  connect_timeout: 2s
  load_assignment:
    cluster_name: "<upstream>"
    endpoints:
    - lb_endpoints:
<envoy_members>
  health_checks:
  - {{timeout: 2s, interval: 5s, unhealthy_threshold: 2, healthy_threshold: 3, tcp_health_check: {{}}}}  # TLS included
  outlier_detection: {{consecutive_local_origin_failure: 3, split_external_local_origin_errors: true}}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: "<name>"
{_RELOAD}
"""

_ORIGIN = f"""
# in the cluster:
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: "<name>"
    common_tls_context:
      validation_context:
        trusted_ca: {{filename: /etc/ssl/certs/ca-certificates.crt}}
        match_typed_subject_alt_names:
        - {{san_type: DNS, matcher: {{exact: "<name>"}}}}
{_RELOAD}
"""

_TICKETS = f"""
# once: openssl rand 80 > /etc/ssl/ticket-current.key; copy it to every node behind <name>, rotate daily
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    session_ticket_keys:
      keys:
      - {{filename: /etc/ssl/ticket-current.key}}   # encrypts and decrypts
      - {{filename: /etc/ssl/ticket-previous.key}}  # decrypts what was given out before
    common_tls_context:
{_CERTIFICATES}\
{_RELOAD}
"""

_MISDIRECTED = f"""
# in the route configuration, last: names that are not served here
virtual_hosts:
- name: misdirected
  domains: ["*"]
  routes:
  - match: {{prefix: "/"}}
    direct_response: {{status: 421}}  # Misdirected Request: the client opens a connection of its own
{_RELOAD}
"""

_RESUME = f"""{_SOCKET}\
    disable_stateless_session_resumption: false
    session_timeout: 3600s
    common_tls_context:
{_CERTIFICATES}\
{_RELOAD}
"""

LINES = by_code(
    plain=_DEPLOY,
    large_hello=_LARGE_HELLO,
    named=_NAMED,
    nameless=_NAMELESS,
    deploy=_DEPLOY,
    versions=_VERSIONS,
    suites=_SUITES,
    groups=_GROUPS,
    keys=_KEYS,
    alpn=_ALPN,
    clients=_CLIENTS,
    client_checks=_CLIENT_CHECKS,
    staple=_STAPLE,
    pool=_POOL,
    origin=_ORIGIN,
    tickets=_TICKETS,
    misdirected=_MISDIRECTED,
    resume=_RESUME,
)
