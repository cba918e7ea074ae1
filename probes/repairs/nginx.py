"""Lines for nginx (1.15.3 and later; the stream and HTTP modules of the usual packages), by catalogue code. Data."""

from __future__ import annotations

from probes.repairs.kinds import by_code

_RELOAD = "# then: nginx -t && systemctl reload nginx"

_DEPLOY = f"""
server {{
    listen <port> ssl;
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;  # the leaf first, then each intermediate; no root
    ssl_certificate_key /etc/ssl/<file>.key;
}}
{_RELOAD}
"""

_NAMED = f"""
server {{
    listen <port> ssl;
    server_name <bracketed>;  # this exact name, or the request falls to the default server
    ssl_certificate     /etc/ssl/<file>-chain.pem;  # has <name> among its subjectAltNames
    ssl_certificate_key /etc/ssl/<file>.key;
}}
{_RELOAD}
"""

_NAMELESS = f"""
server {{
    listen <port> ssl default_server;  # answers clients that send no name, and unknown names
    server_name <bracketed>;
    ssl_reject_handshake off;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
}}
{_RELOAD}
"""

_PLAIN = f"""
server {{
    listen <port> ssl;  # without "ssl" this port speaks plain HTTP
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
}}
{_RELOAD}
"""

_VERSIONS = f"""
ssl_protocols TLSv1.2 TLSv1.3;  # in http {{}}: of one port, the default server's value counts
{_RELOAD}
"""

_SUITES = f"""
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ciphers <suites>;
ssl_prefer_server_ciphers off;
ssl_ecdh_curve X25519:prime256v1:secp384r1;  # without a common group none of these suites can be chosen
{_RELOAD}
"""

_GROUPS = f"""
ssl_ecdh_curve X25519:prime256v1:secp384r1;  # with OpenSSL 3.5 put X25519MLKEM768 first
{_RELOAD}
"""

_KEYS = f"""
server {{
    listen <port> ssl;
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;  # one key of each kind: the client's algorithms choose
    ssl_certificate_key /etc/ssl/<file>.key;
    ssl_certificate     /etc/ssl/<file>-<other>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>-<other>.key;
    ssl_conf_command    SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384;
}}
{_RELOAD}
"""

_ALPN = f"""
server {{
    listen <port> ssl http2;  # from nginx 1.25.1 on: listen <port> ssl; http2 on;
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
}}
{_RELOAD}
"""

_CLIENTS = f"""
ssl_client_certificate /etc/ssl/client-ca.pem;  # every CA that issues client certificates, roots included
ssl_verify_client optional;  # "on" once every client has one; refuse by $ssl_client_verify where it matters
ssl_verify_depth 3;
{_RELOAD}
"""

_CLIENT_CHECKS = f"""
ssl_client_certificate /etc/ssl/client-ca.pem;
ssl_verify_client on;
ssl_verify_depth 3;  # the default is 1: a client chain with an intermediate is refused
# ssl_crl: one list for each CA of the chain, none past its nextUpdate, or all clients are refused
{_RELOAD}
"""

_STAPLE = f"""
ssl_stapling on;
ssl_stapling_verify on;
ssl_trusted_certificate /etc/ssl/<file>-chain.pem;
resolver 127.0.0.53 valid=300s;  # nginx asks the responder by name
resolver_timeout 5s;
{_RELOAD}
# must-staple: nginx has no staple for the first clients after a start; prime it with ssl_stapling_file.
"""

_POOL = f"""
upstream <upstream> {{
<nginx_members>
}}
server {{
    listen <port> ssl;
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
    location / {{
        proxy_pass https://<upstream>;
        proxy_ssl_server_name on;
        proxy_ssl_name <name>;
        proxy_connect_timeout 2s;
        proxy_next_upstream error timeout;  # a node that fails in TCP or TLS is passed over
    }}
}}
{_RELOAD}
"""

_ORIGIN = f"""
server {{
    listen <port> ssl;
    server_name <bracketed>;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
    location / {{
        proxy_pass https://<origin>:<origin_port>;
        proxy_ssl_server_name on;  # off by default: the origin then sees no name
        proxy_ssl_name <name>;
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 3;
        proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
    }}
}}
{_RELOAD}
"""

_TICKETS = f"""
# once: openssl rand 80 > /etc/ssl/ticket-current.key; copy it to every node behind <name>, rotate daily
ssl_session_tickets on;
ssl_session_ticket_key /etc/ssl/ticket-current.key;   # encrypts and decrypts
ssl_session_ticket_key /etc/ssl/ticket-previous.key;  # decrypts what was given out before
{_RELOAD}
"""

_NO_EARLY_DATA = f"""
ssl_early_data off;
# To keep it: proxy_set_header Early-Data $ssl_early_data; and let the application answer 425 (RFC 8470) to
# whatever is not safe to repeat.
{_RELOAD}
"""

_MISDIRECTED = f"""
server {{
    listen <port> ssl default_server;
    server_name _;
    ssl_certificate     /etc/ssl/<file>-chain.pem;
    ssl_certificate_key /etc/ssl/<file>.key;
    return 421;  # Misdirected Request: the client opens a connection of its own (RFC 9110 section 15.5.20)
}}
{_RELOAD}
"""

_RESUME = f"""
ssl_session_cache shared:TLS:10m;  # about 40,000 sessions
ssl_session_timeout 1h;
ssl_session_tickets on;
{_RELOAD}
"""

LINES = by_code(
    plain=_PLAIN,
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
