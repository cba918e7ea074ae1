"""How a family of clients builds and judges paths, as data."""

from __future__ import annotations

from typing import Literal

from probes.values import value

Search = Literal[
    "full",  # every path is tried until one holds: browsers, Go, Java, rustls
    "first-issuer",  # one path, at each step the store before what the server sent: OpenSSL since 1.1
    "server-order",  # one path, what the server sent before the store, no second try: OpenSSL 1.0.2
    "strict",  # each certificate sent must certify the one before it (RFC 5246 section 7.4.2): embedded stacks
]


@value
class View:
    """What one family of clients insists on. The store, and whether AIA is fetched, are no part of it.

    *partial_chain*: any member of the store ends a path, not self-signed ones alone.
    *minds_key_identifiers*: an issuer whose SKI is not the AKI wanted is no issuer.
    *nests_usage*: an issuer's extendedKeyUsage limits what it may issue for (no standard says so, most do it).
    *minds_leaf_usage*: a leaf with a keyUsage must allow something that TLS uses.
    *purpose*: what the leaf is to be used for.
    *judges_policies*: where a certificate demands a valid policy, there must be one: Chrome, Go, Java.
    *most_intermediates*: certificates between leaf and anchor, self-issued ones not counted.
    *enforces_profile*: what `baseline` asks, too, which TLS clients do not.
    *wants_signing_usage*: a leaf with a keyUsage must allow digitalSignature, as ECDHE and TLS 1.3 use it.
    """

    name: str
    search: Search = "full"
    partial_chain: bool = True
    ignores_anchor_expiry: bool = False
    minds_key_identifiers: bool = False
    refuses_ca_leaf: bool = True
    minds_leaf_usage: bool = True
    wants_signing_usage: bool = True
    nests_usage: bool = True
    purpose: Literal["server", "client"] = "server"
    judges_policies: bool = True
    most_intermediates: int = 8
    enforces_profile: bool = False
    min_rsa_bits: int = 2048
    forbidden_hashes: frozenset[str] = frozenset({"md2", "md5", "sha1"})

    def __hash__(self) -> int:
        """By the name, for views are keys of every memory of chains; equality still compares it all."""
        return hash(self.name)


MODERN = View(name="modern")
BASELINE = View(name="baseline", enforces_profile=True)
TRUSTED_FIRST = View(
    name="trusted-first",
    search="first-issuer",
    partial_chain=False,
    minds_key_identifiers=True,
    refuses_ca_leaf=False,
    judges_policies=False,
    wants_signing_usage=False,
)
SERVER_ORDER = View(
    name="server-order",
    search="server-order",
    partial_chain=False,
    minds_key_identifiers=True,
    refuses_ca_leaf=False,
    judges_policies=False,
    wants_signing_usage=False,
    min_rsa_bits=1024,
    forbidden_hashes=frozenset({"md2", "md5"}),
)
STRICT = View(
    name="strict",
    search="strict",
    refuses_ca_leaf=False,
    judges_policies=False,
    wants_signing_usage=False,
    min_rsa_bits=1024,
    forbidden_hashes=frozenset({"md2", "md5"}),
)
