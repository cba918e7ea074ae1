"""HMAC over one-shot hashes is HMAC."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from probes.wire.macs import mac


@given(
    key=st.binary(max_size=200),
    message=st.binary(max_size=300),
    digest=st.sampled_from(("sha256", "sha384", "sha1", "md5")),
)
def test_it_is_what_the_library_makes(key: bytes, message: bytes, digest: str) -> None:
    assert mac(key, message, digest) == hmac.digest(key, message, digest)
