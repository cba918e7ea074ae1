"""`tls check --client-cert … --client-key …` against a server that demands one, and the mistakes with both files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from probes.__main__ import CRITICAL, OK, USAGE, main
from tests.endpoints.authority import bundle
from tests.endpoints.bench import missing
from tests.mtls.world import HOST, Flaw, World

needs_nginx = pytest.mark.skipif(bool(missing("nginx")), reason="nginx is not installed")


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    """root.pem, and chain.pem and key.pem of each identity in a directory of its own."""
    (tmp_path / "root.pem").write_text(world.root.pem)
    for flaw, chain in world.identities.items():
        (tmp_path / flaw).mkdir()
        (tmp_path / flaw / "chain.pem").write_text(bundle(*chain))
        (tmp_path / flaw / "key.pem").write_text(chain[0].key_pem)
    return tmp_path


def argv(place: tuple[str, int], files: Path, *more: str) -> list[str]:
    target = f"{HOST}:{place[1]}"
    return ["check", target, f"--resolve={target}:{place[0]}", "--only-ca-file", str(files / "root.pem"), *more]


def shown(files: Path, flaw: Flaw) -> list[str]:
    return ["--client-cert", str(files / flaw / "chain.pem"), "--client-key", str(files / flaw / "key.pem")]


@needs_nginx
@pytest.mark.parametrize(
    ("flaw", "cause", "status"),
    [("good", None, OK), ("expired", "mtls.certificate-rejected", CRITICAL), ("wrong-ca", "mtls.unknown-ca", CRITICAL)],
)
def test_the_verdict_with_a_certificate(
    flaw: Flaw, cause: str | None, status: int, files: Path, places: dict[str, tuple[str, int]]
) -> None:
    words = argv(places["nginx"], files, *shown(files, flaw), "--json")
    ran = subprocess.run(
        [sys.executable, "-m", "probes", *words], capture_output=True, text=True, timeout=60, check=False
    )
    report = json.loads(ran.stdout)
    assert (report["cause"], ran.returncode) == (cause, status), ran.stderr
    assert report["endpoints"][0]["client_auth"] == "required"
    assert report["endpoints"][0]["ca_names"] == ["CN=Clients Root"]
    key = (files / flaw / "key.pem").read_text().splitlines()[1]
    assert key not in ran.stdout + ran.stderr


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["check", "mtls.test", *words]) == USAGE
    return capsys.readouterr().err


def test_a_key_alone_is_half(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--client-key without --client-cert" in refused(capsys, "--client-key", str(files / "good" / "key.pem"))


def test_a_certificate_without_its_key_is_half(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no private key beside the certificate" in refused(
        capsys, "--client-cert", str(files / "good" / "chain.pem")
    )


def test_a_file_that_is_not_there_is_named(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--client-cert", str(files / "nowhere.pem"))
    assert "I cannot read --client-cert" in said and "No such file" in said


def test_an_empty_option_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--client-cert is empty" in refused(capsys, "--client-cert", "")


def test_pkcs12_is_told_how_to_become_pem(world: World, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = world.identities["good"][0]
    packed = serialize_key_and_certificates(b"x", leaf.key, leaf.certificate, None, NoEncryption())
    (files / "client.p12").write_bytes(packed)
    assert "openssl pkcs12 -in" in refused(capsys, "--client-cert", str(files / "client.p12"))


def test_a_key_of_another_certificate_is_told(files: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "other.pem").write_text(world.served.key_pem)
    said = refused(capsys, "--client-cert", str(files / "good" / "chain.pem"), "--client-key", str(files / "other.pem"))
    assert "is not that of the certificate" in said
