"""Commands for AWS (ACM, ALB and NLB, classic load balancers, CloudFront), by catalogue code. Data.

What only AWS decides (ticket keys, groups of CloudFront, stapling) has no lines here. `$LISTENER_ARN` and the like are
for the reader's shell: no probe sees them.
"""

from __future__ import annotations

_LISTENER = "# LISTENER_ARN: aws elbv2 describe-listeners --load-balancer-arn … (port <port>)"

_DEPLOY = """
# ACM wants the leaf and the rest apart, with no text between them:
openssl x509 -in <file>-chain.pem -out leaf.pem
awk '/-----BEGIN/ {n++; p = n > 1} p; /-----END/ {p = 0}' <file>-chain.pem > rest.pem
# The same ARN keeps every listener and distribution that uses it:
aws acm import-certificate --certificate-arn "$CERTIFICATE_ARN" --certificate fileb://leaf.pem \\
  --certificate-chain fileb://rest.pem --private-key fileb://<file>.key
# A certificate that ACM issued itself always comes with its chain; for classic load balancers: aws iam upload-server-certificate
"""

_NEW = (
    """
# A certificate of ACM for this name is renewed by itself and comes with its chain:
aws acm request-certificate --domain-name <quoted> --validation-method DNS
"""
    + f"""\
{_LISTENER}
aws elbv2 modify-listener --listener-arn "$LISTENER_ARN" --certificates CertificateArn="$CERTIFICATE_ARN"
"""
)

_NAMED = f"""
aws acm request-certificate --domain-name <quoted> --validation-method DNS
{_LISTENER}
aws elbv2 add-listener-certificates --listener-arn "$LISTENER_ARN" --certificates CertificateArn="$CERTIFICATE_ARN"
# CloudFront: the name must stand among the distribution's aliases, its certificate in us-east-1.
"""

_DEFAULT = f"""
{_LISTENER}
# The default certificate answers clients that send no name:
aws elbv2 modify-listener --listener-arn "$LISTENER_ARN" --certificates CertificateArn="$CERTIFICATE_ARN"
"""

_POLICY = f"""
{_LISTENER}
aws elbv2 modify-listener --listener-arn "$LISTENER_ARN" --ssl-policy ELBSecurityPolicy-TLS13-1-2-2021-06
# Classic load balancer: the predefined policy ELBSecurityPolicy-TLS-1-2-2017-01.
# CloudFront: "MinimumProtocolVersion": "TLSv1.2_2021" in the distribution's ViewerCertificate.
"""

_ALPN = f"""
# ALB:
aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$LOAD_BALANCER_ARN" \\
  --attributes Key=routing.http2.enabled,Value=true
# NLB with a TLS listener, which agrees to no protocol unless told:
{_LISTENER}
aws elbv2 modify-listener --listener-arn "$LISTENER_ARN" --alpn-policy HTTP2Preferred
"""

_CLIENTS = f"""
{_LISTENER}
# ALB: "passthrough" lets the application decide, "verify" is the balancer's own check.
aws elbv2 modify-listener --listener-arn "$LISTENER_ARN" --mutual-authentication Mode=passthrough
"""

_TRUST_STORE = """
# client-ca.pem: every CA that issues client certificates, roots included
aws s3 cp client-ca.pem "s3://$BUCKET/client-ca.pem"
aws elbv2 modify-trust-store --trust-store-arn "$TRUST_STORE_ARN" \\
  --ca-certificates-bundle-s3-bucket "$BUCKET" --ca-certificates-bundle-s3-key client-ca.pem
"""

_HEALTH = """
aws elbv2 describe-target-health --target-group-arn "$TARGET_GROUP_ARN"
# A node that fails TLS must fail its health check, too:
aws elbv2 modify-target-group --target-group-arn "$TARGET_GROUP_ARN" --health-check-protocol HTTPS \\
  --health-check-interval-seconds 10 --unhealthy-threshold-count 2
"""

_ORIGIN = """
# CloudFront compares the origin's certificate with the origin's domain name or the Host header it forwards; in the
# distribution's configuration, for the origin of <name>:
#   "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]}}
aws cloudfront get-distribution-config --id "$DISTRIBUTION_ID"
# An ALB or NLB never checks its targets' certificates: what differs behind it stays unseen there.
"""

LINES: dict[str, str] = {
    "sni.default-certificate": _NAMED,
    "sni.name-mismatch": _NAMED,
    "sni.unrecognized": _NAMED,
    "sni.required": _DEFAULT,
    "chain.incomplete": _DEPLOY,
    "chain.untrusted": _NEW,
    "chain.self-signed": _NEW,
    "chain.expired-intermediate": _DEPLOY,
    "chain.cross-sign": _DEPLOY,
    "chain.wrong-intermediate": _DEPLOY,
    "chain.misordered": _DEPLOY,
    "chain.weak": _NEW,
    "chain.wrong-usage": _NEW,
    "negotiation.protocol-version": _POLICY,
    "negotiation.legacy-only": _POLICY,
    "negotiation.modern-only": _POLICY,
    "negotiation.cipher": _POLICY,
    "negotiation.weak-offered": _POLICY,
    "negotiation.group": _POLICY,
    "negotiation.signature": _NAMED,
    "negotiation.alpn": _ALPN,
    "validity.expired": _NEW,
    "validity.not-yet-valid": _DEPLOY,
    "validity.expiring": _NEW,
    "mtls.certificate-required": _CLIENTS,
    "mtls.unknown-ca": _TRUST_STORE,
    "mtls.certificate-rejected": _TRUST_STORE,
    "balancer.certificate-differs": _DEPLOY,
    "balancer.address-down": _HEALTH,
    "balancer.configuration-differs": _POLICY,
    "balancer.intermittent": _HEALTH,
    "balancer.origin-differs": _ORIGIN,
}
