"""Lines for HAProxy (2.4 and later where nothing else is said), by catalogue code. Data."""

from __future__ import annotations

from probes.repairs.kinds import by_code

_RELOAD = "# then: haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy"

_DEPLOY = f"""
# once: cat <file>-chain.pem <file>.key > /etc/haproxy/certs/<file>.pem
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem
{_RELOAD}
"""

_NAMED = f"""
# once: cat <file>-chain.pem <file>.key > /etc/haproxy/certs/<file>.pem (with <name> among its subjectAltNames)
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/  # the whole directory: each certificate serves the names it covers
{_RELOAD}
"""

_NAMELESS = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem crt /etc/haproxy/certs/  # the first is the default; no strict-sni
{_RELOAD}
"""

_LARGE_HELLO = f"""
frontend passthrough_<upstream>
    mode tcp
    bind :<port>
    tcp-request inspect-delay 5s  # a hello with a post-quantum share comes in two packets: wait for the second
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
{_RELOAD}
"""

_VERSIONS = f"""
global
    ssl-default-bind-options ssl-min-ver TLSv1.2  # and no ssl-max-ver, no no-tlsv12, no no-tlsv13 here or on a bind line
{_RELOAD}
"""

_SUITES = f"""
global
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers <suites>
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
    ssl-default-bind-curves X25519:P-256:P-384
{_RELOAD}
"""

_GROUPS = f"""
global
    ssl-default-bind-curves X25519:P-256:P-384  # with OpenSSL 3.5 put X25519MLKEM768 first
{_RELOAD}
"""

_KEYS = f"""
# once: /etc/haproxy/certs/<file>.pem.ecdsa and /etc/haproxy/certs/<file>.pem.rsa: chain and key of each kind
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem  # loads both; the client's algorithms choose
{_RELOAD}
"""

_ALPN = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem alpn h2,http/1.1
{_RELOAD}
"""

_CLIENTS = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem ca-file /etc/haproxy/client-ca.pem verify optional
    http-request deny unless {{ ssl_c_used }} {{ ssl_c_verify 0 }}  # where a client certificate is a must
{_RELOAD}
"""

_CLIENT_CHECKS = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem ca-file /etc/haproxy/client-ca.pem verify required
    # crl-file: one list for each CA, none past its nextUpdate, or all clients are refused
{_RELOAD}
"""

_STAPLE = f"""
# once, and from cron: openssl ocsp -issuer issuer.pem -cert leaf.pem -url "$(openssl x509 -in leaf.pem -noout -ocsp_uri)" \\
#   -respout /etc/haproxy/certs/<file>.pem.ocsp -no_nonce    (from 2.8 on instead, in a crt-list: [ocsp-update on])
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem  # staples the .ocsp file beside it
{_RELOAD}
"""

_POOL = f"""
backend <upstream>
    mode http
    option httpchk GET /
    default-server init-addr last,libc,none
<haproxy_members>
{_RELOAD}
"""

_ORIGIN = f"""
backend <upstream>
    mode http
    server origin <origin>:<origin_port> ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt sni str(<name>) verifyhost <name>
{_RELOAD}
"""

_TICKETS = f"""
# once: for i in 1 2 3; do openssl rand -base64 48; done > /etc/haproxy/ticket.keys; copy it to every node behind <name>
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem tls-ticket-keys /etc/haproxy/ticket.keys
{_RELOAD}
"""

_NO_EARLY_DATA = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem  # without allow-0rtt
    http-request wait-for-handshake  # where allow-0rtt stays: nothing unsafe is acted on before the handshake ends
{_RELOAD}
"""

_MISDIRECTED = f"""
frontend tls_<upstream>
    mode http
    bind :<port> ssl crt /etc/haproxy/certs/<file>.pem alpn h2,http/1.1
    http-request return status 421 unless {{ req.hdr(host),field(1,:),lower -m str <name> }}  # Misdirected Request: the client connects anew
{_RELOAD}
"""

_RESUME = f"""
global
    tune.ssl.cachesize 20000
    tune.ssl.lifetime 3600  # and no no-tls-tickets on bind lines or in ssl-default-bind-options
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
    no_early_data=_NO_EARLY_DATA,
    misdirected=_MISDIRECTED,
    resume=_RESUME,
)
