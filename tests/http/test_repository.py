"""No secret lies in the repository: neither one that opens something, nor a file that was meant to stay at home."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.served import ROOT, sqlite_only

pytestmark = sqlite_only

SHAPES = {
    "a private key": re.compile(r"-----BEGIN (?:\w+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60,}"),
    "a signing key": re.compile(r"PRIVATE\+KEY\+[^\s\"'{<]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,}"),
    "a master key": re.compile(r"(?<![\w.])[1-9]\d{0,3}:[A-Za-z0-9+/]{43}=(?![\w=])"),
    "a key of a cloud": re.compile(
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bghp_\w{36}\b|\bxox[bp]-[\w-]{20,}|\bsk_live_\w{20,}"
    ),
    "a password in an address": re.compile(
        r"\b(?:postgresql|postgres|redis|rediss|smtps?|amqp)://\w+:[^\s@\"'{}$%<…]{12,}@"
    ),
    "a token of ours": re.compile(r"(?i)(?:bearer|alert-key|token[\"']?\s*[:=])\s*[\"']?[0-9a-f]{64}\b"),
}
NEVER = re.compile(r"(?:^|/)(?:\.env|.*\.(?:pem|key|p12|pfx|sqlite3|jks)|id_(?:rsa|ed25519)|.*\.keys)$")
PUBLISHED = {"tests/vectors/vault-format-1.json", "tests/vectors/signed-note.json", "server/gateway/asyncapi.yaml"}
"""Vectors and examples that everybody has; `server/vault/ring.py` refuses the master keys among them."""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: nobody can say which files belong to it")
    return [name for name in listed.stdout.split("\0") if name and name != str(Path(__file__).relative_to(ROOT))]


def test_no_file_that_belongs_at_home() -> None:
    assert [name for name in tracked() if NEVER.search(name)] == []


def test_no_secret_in_any_file() -> None:
    found = []
    for name in tracked():
        if name in PUBLISHED or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text(errors="replace")
        found += [(name, what) for what, shape in SHAPES.items() if shape.search(text)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "secret"),
    [
        ("a private key", "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 20),
        ("a master key", "MASTER_KEYS=1:" + "A" * 43 + "="),
        ("a key of a cloud", "AKIA" + "A" * 16),
        ("a password in an address", "DATABASE_URL=postgresql://samsnakk:correcthorsebattery@db"),
        ("a token of ours", "Authorization: Bearer " + "0a" * 32),
    ],
)
def test_what_is_looked_for_is_found(what: str, secret: str) -> None:
    assert SHAPES[what].search(secret)
