"""Lines for Apache httpd (2.4.36 and later, mod_ssl), by catalogue code. Data."""

from __future__ import annotations

from probes.repairs.kinds import by_code

_RELOAD = "# then: apachectl configtest && apachectl graceful"

_DEPLOY = f"""
<VirtualHost *:<port>>
    <apache_name>
    SSLEngine on
    # The leaf first, then each intermediate; no root, and no SSLCertificateChainFile beside it.
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
</VirtualHost>
{_RELOAD}
"""

_NAMED = f"""
<VirtualHost *:<port>>
    # This exact name here or in ServerAlias: other names get the first VirtualHost of the port.
    <apache_name>
    SSLEngine on
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
</VirtualHost>
{_RELOAD}
"""

_NAMELESS = f"""
SSLStrictSNIVHostCheck off
# The first VirtualHost of the port answers clients that send no name.
<VirtualHost *:<port>>
    <apache_name>
    SSLEngine on
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
</VirtualHost>
{_RELOAD}
"""

_VERSIONS = f"""
# Of VirtualHosts that share a port the first one's value counts.
SSLProtocol -all +TLSv1.2 +TLSv1.3
{_RELOAD}
"""

_SUITES = f"""
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLCipherSuite <suites>
SSLHonorCipherOrder off
SSLOpenSSLConfCmd Groups X25519:P-256:P-384
{_RELOAD}
"""

_GROUPS = f"""
# With OpenSSL 3.5 put X25519MLKEM768 first.
SSLOpenSSLConfCmd Groups X25519:P-256:P-384
{_RELOAD}
"""

_KEYS = f"""
<VirtualHost *:<port>>
    <apache_name>
    SSLEngine on
    # One key of each kind: the client's algorithms choose.
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
    SSLCertificateFile    /etc/ssl/<file>-<other>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>-<other>.key
    SSLOpenSSLConfCmd SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384
</VirtualHost>
{_RELOAD}
"""

_ALPN = f"""
# needs: a2enmod http2, and not the prefork MPM
Protocols h2 http/1.1
{_RELOAD}
"""

_CLIENTS = f"""
<VirtualHost *:<port>>
    <apache_name>
    SSLEngine on
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
    # Every CA that issues client certificates, roots included.
    SSLCACertificateFile  /etc/ssl/client-ca.pem
    # "require" once every client has one.
    SSLVerifyClient optional
    SSLVerifyDepth 3
</VirtualHost>
{_RELOAD}
"""

_CLIENT_CHECKS = f"""
<VirtualHost *:<port>>
    <apache_name>
    SSLEngine on
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
    SSLCACertificateFile  /etc/ssl/client-ca.pem
    SSLVerifyClient require
    # The default is 1: a client chain with an intermediate is refused.
    SSLVerifyDepth 3
    # With SSLCARevocationCheck: a list for each CA, none past its nextUpdate, or all clients are refused.
</VirtualHost>
{_RELOAD}
"""

_STAPLE = f"""
# Outside of any VirtualHost:
SSLUseStapling on
SSLStaplingCache shmcb:/var/run/apache2/stapling(128000)
SSLStaplingResponderTimeout 5
# A responder that is down for a while: keep quiet, do not staple its error.
SSLStaplingReturnResponderErrors off
{_RELOAD}
"""

_POOL = f"""
# needs: a2enmod proxy_http proxy_balancer proxy_hcheck lbmethod_byrequests
<Proxy "balancer://<upstream>">
<apache_members>
</Proxy>
SSLProxyEngine on
ProxyPass "/" "balancer://<upstream>/"
{_RELOAD}
"""

_ORIGIN = f"""
SSLProxyEngine on
SSLProxyVerify require
SSLProxyVerifyDepth 3
SSLProxyCACertificateFile /etc/ssl/certs/ca-certificates.crt
SSLProxyCheckPeerName on
# The name sent and checked is the Host header's, once it is kept.
ProxyPreserveHost on
ProxyPass "/" "https://<origin>:<origin_port>/"
{_RELOAD}
"""

_TICKETS = f"""
# once: openssl rand -out /etc/ssl/ticket-apache.key 48; copy it to every node behind <name>, rotate daily
SSLSessionTickets on
SSLSessionTicketKeyFile /etc/ssl/ticket-apache.key
{_RELOAD}
"""

_MISDIRECTED = f"""
# Apache answers 421 itself where the name's VirtualHost has other TLS settings; where it has the same, say so:
<VirtualHost *:<port>>
    ServerName default.invalid
    SSLEngine on
    SSLCertificateFile    /etc/ssl/<file>-chain.pem
    SSLCertificateKeyFile /etc/ssl/<file>.key
    Redirect 421 /
</VirtualHost>
{_RELOAD}
"""

_RESUME = f"""
SSLSessionCache shmcb:/var/run/apache2/sessions(512000)
SSLSessionCacheTimeout 3600
SSLSessionTickets on
{_RELOAD}
"""

LINES = by_code(
    plain=_DEPLOY,
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
