"""Words that look like a failed connection and are none: successes that are reported, and other fields' errors. Data.

A phrase here covers the words inside it, so that nothing shorter is read there.
"""

from __future__ import annotations

from probes.explain import claims as c
from probes.explain.claims import Said, said

_THINGS = ("dependency", "dependencies", "import", "module", "symbol", "reference", "conflict", "package", "version",
           "type", "path", "plugin", "action", "entry", "variable", "placeholder", "template", "class", "bean",
           "configuration", "artifact", "the conflict", "the import", "the dependency", "the module")  # fmt: skip

PHRASES: tuple[Said, ...] = (
    said("", c.OTHER_MATTER, "ssl certificate verify ok", "verify return code: 0", "verify return code: 0 (ok)",
         "verify result: 0", "verify error:num=0", "certificate verification: ok", "handshake completed successfully",
         "ssl certificate verify result: ok"),
    said("", c.OTHER_MATTER, *(f"{verb} {thing}" for verb in ("unable to resolve", "failed to resolve",
                                                              "could not resolve", "cannot resolve")
                               for thing in _THINGS)),
    said("", c.OTHER_MATTER, "ok: …expires in‥days", "ok - …expires in‥days", "ssl ok…days", "ok - certificate",
         "not yet due for renewal"),
    said("mqtt", c.OTHER_MATTER, "connection refused: not authorised", "connection refused: not authorized",
         "connection refused, not authorised", "connection refused, not authorized", "connection refused: bad user",
         "connection refused: identifier rejected", "connection refused: bad username or password",
         "connection refused, bad user name or password", "connection refused: unacceptable protocol version"),
    said("python", c.OTHER_MATTER, "the read operation timed out", "read operation timed out", "httpx.readtimeout"),
    said("chrome", c.OTHER_MATTER, "err http2 protocol error", "err http2 stream", "err http2 goaway",
         "err http2 server refused stream", "err http2 ping failed"),
    said("", c.OTHER_MATTER, "gift certificate has expired", "birth certificate", "certificate of insurance",
         "gift certificate"),
    said("envoy", c.OTHER_MATTER, "secret is not supplied by sds", "tls error: secret is not supplied by sds"),
    said("openssl", c.OTHER_MATTER, "digital envelope routines…bad decrypt", "digital envelope routines…unsupported",
         "pem routines…bad end line", "pem routines…no start line", "pem routines…bad base64 decode"),
    said("ssh", c.OTHER_MATTER, "ssh: handshake failed", "ssh: unable to authenticate"),
    said("ssh", c.OTHER_MATTER, "kex exchange identification: connection closed by remote host",
         "kex exchange identification: read: connection reset by peer", "kex exchange identification"),
    said("apache", c.OTHER_MATTER, "alpn, server did not agree to a protocol"),
)  # fmt: skip
