"""The host that an error text is about, if it names one. Pure; `Target.parse` is the judge of what is a host."""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.model import Target, UsageError

_NAME = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,10}[a-z][a-z0-9-]{1,62}"
_ADDRESS = r"(?:\d{1,3}\.){3}\d{1,3}"
_HOST = rf"(?:{_NAME}|{_ADDRESS})(?![\w-])"
_ALONE = rf"(?<![\w.@/-]){_HOST}"
_ANY = r"[A-Za-z0-9_.-]{1,253}"
_PORT = r"(\d{2,5})(?!\d)"

_TOWARDS = (
    r"connect(?:ing|ion)? to|lookup|resolve host:?|resolve host name|host name|hostname|resolve|ENOTFOUND|EAI_AGAIN"
    r"|getaddrinfo for|connection to server at|server at|address|upstream:?|for domain|domain|server[ _]name|sni"
)

# What stands first says most surely whom the text is about.
_PLACES = (
    # "is valid for Y, not X": X is meant
    rf"certificate is valid for [^\n]{{1,300}}, not ({_HOST})()",
    rf"(?:target host ?name|match hostname|DNS name matching|valid for name:?|not valid for) ['\"‘“]?({_HOST})()",
    rf"Host: ({_HOST})\. is not",
    rf"(?:https|wss)://(?:[^\s/@]{{1,100}}@)?({_HOST}|\[[0-9a-f:]{{2,39}}\])(?::{_PORT})?",
    rf"host=['\"]({_ANY})['\"], port={_PORT}",
    rf"host ({_HOST}):{_PORT} ssl:",
    rf"(?:{_TOWARDS}) "
    rf"['\"“‘]?({_HOST})['\"”’]?(?: ?\([0-9a-f.:]{{3,39}}\))?(?:(?::|,? port ){_PORT})?",
    rf"({_ALONE}):{_PORT}",
    rf"\[([0-9a-f:]{{2,39}})\]:{_PORT}",
    rf"({_ALONE})()",
)
# The last words of names that are files, packages and classes, not hosts.
_NOT_HOSTS = frozenset(
    {
        "c",
        "cc",
        "cpp",
        "h",
        "go",
        "py",
        "pyc",
        "js",
        "mjs",
        "cjs",
        "ts",
        "tsx",
        "jsx",
        "rb",
        "rs",
        "java",
        "kt",
        "scala",
    }
    | {
        "php",
        "pl",
        "pm",
        "erl",
        "ex",
        "exs",
        "cs",
        "vb",
        "sh",
        "json",
        "yaml",
        "yml",
        "xml",
        "html",
        "htm",
        "txt",
        "log",
    }
    | {"conf", "cfg", "ini", "pem", "crt", "cer", "key", "der", "p12", "pfx", "jks", "so", "dll", "exe", "jar", "war"}
    | {
        "class",
        "lua",
        "swift",
        "m",
        "mm",
        "sock",
        "pid",
        "md",
        "lock",
        "toml",
        "tmp",
        "crypto",
        "https",
        "certs",
        "ssl",
    }
)
_DOCUMENTS = ("golang.org", "go.dev", "curl.se", "curl.haxx.se", "docs.", "developer.", "support.", "github.com/",
"stackoverflow.com", "errors.", "wiki.",
              "learn.microsoft.com", "go.microsoft.com", "aka.ms", "urllib3.readthedocs.io", "readthedocs.io",
              "openssl.org", "www.openssl.org", "nodejs.org",
              "kubernetes.io", "letsencrypt.org", "www.cloudflare.com", "w3.org", "schemas.", "xmlsoap.org",
              "apache.org")  # fmt: skip
_PACKAGES = ("com.", "org.", "java.", "javax.", "sun.", "net.ssl", "io.", "kotlin.", "system.", "requests.", "ssl.",
"urllib3.", "okhttp3.", "akka.", "scala.", "reactor.", "jdk.",
             "microsoft.", "google.golang.org", "k8s.io", "golang.org", "openssl.", "aiohttp.", "httpx.", "httpcore.",
             "socket.", "android.", "asyncio.", "http.", "smtplib.",
             "tls.", "x509.", "botocore.", "security.", "urllib.", "node.", "crypto.", "oauthlib.", "pymongo.",
             "redis.", "psycopg2.", "grpc.")  # fmt: skip
_LONGEST = 20_000


def target(text: str) -> Target | None:
    """The endpoint that *text* is about, as far as it names one that `tls check` would take."""
    for name, port in _named(text[:_LONGEST]):
        found = _parsed(name, port)
        if found is not None:
            return found
    return None


def _named(text: str) -> Iterator[tuple[str, str]]:
    for place in _PLACES:
        for found in re.finditer(place, text, re.IGNORECASE):  # compiled when first needed: most texts end at a URL
            groups = [*found.groups(), None, None][:2]
            yield groups[0] or "", groups[1] or ""


def _parsed(name: str, port: str) -> Target | None:
    bare = name.strip("[]").rstrip(".").lower()
    last = bare.rpartition(".")[2]
    if not bare or last in _NOT_HOSTS or bare.startswith(_PACKAGES) or bare.startswith(tuple(d for d in _DOCUMENTS)):
        return None
    if ":" not in bare and "." not in bare:
        return None
    try:
        whole = f"[{bare}]" if ":" in bare else bare
        found = Target.parse(f"{whole}:{port}" if port and 0 < int(port) < 65536 else whole)
    except UsageError:
        return None
    return None if found.port == 53 or found.host in {"0.0.0.0", "::"} else found  # noqa: S104 - names nobody
