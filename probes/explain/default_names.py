"""Names that only a default certificate carries, as error texts list them. Pure.

A certificate that does not cover the name is a wrong certificate; one for `ingress.local` is nobody's certificate.
"""

from __future__ import annotations

import re

_NAMED = r"(?:valid for:?|names:?|dns ?name:|dns:|cn ?= ?|\[|doesnt match|either of)"
_OWN = r"localhost(?:\.localdomain)?|plesk|cpanel"
_SHARED = (
    r"\.(?:cloudfront\.net|azurewebsites\.net|herokuapp\.com|fastly\.net|github\.io|netlify\.app|vercel\.app"
    r"|elb\.amazonaws\.com|wpengine\.com|myshopify\.com|azureedge\.net|edgekey\.net)"
)
_DEFAULT = re.compile(
    r"(?<![\w.])ingress\.local(?![\w.])|ingress controller fake certificate|traefik default cert|\.traefik\.default"
    rf"|{_NAMED} ?(?:{_OWN})(?![\w.-])|{_NAMED} ?{_SHARED}|{_NAMED} ?traefik\.default"
    r"|valid for (?:www\.)?example\.(?:com|org|net)(?![\w.-])(?!.{0,120} not [^ ]{0,80}example\.)"
)


def shows_default(text: str) -> bool:
    """Whether canonical *text* lists a default certificate's names; its wildcards' `*` are gone already."""
    return _DEFAULT.search(text) is not None
