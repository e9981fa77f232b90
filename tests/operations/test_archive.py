"""The encrypted file of a back-up: it comes back whole, or not at all."""

import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from server.operate import archive
from server.operate.archive import BadArchive, Recipient, Secret
from tests.support.served import sqlite_only

pytestmark = sqlite_only

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = archive.PREFIX + archive._text(PRIVATE.public_key().public_bytes_raw())
SECRET = Secret(private=PRIVATE)


def made(stream: list[bytes], recipient: Recipient | None = None) -> bytes:
    out = io.BytesIO()
    out.fileno = lambda: 0  # type: ignore[method-assign]
    closing = archive.write(out, stream, recipient or Recipient.of_public_key(PUBLIC), {"engine": "x"})
    archive.os.fsync, kept = lambda _: None, archive.os.fsync
    try:
        closing.end({"sum": 1})
    finally:
        archive.os.fsync = kept
    return out.getvalue()


def opened(text: bytes, secret: Secret | bytes = SECRET) -> tuple[bytes, dict[str, object]]:
    found = archive.read(io.BytesIO(text), secret)
    return b"".join(found.pieces), found.manifest


@pytest.mark.parametrize("length", [0, 1, archive.PIECE - 1, archive.PIECE, 2 * archive.PIECE + 5])
def test_what_goes_in_comes_out(length: int) -> None:
    text = made([b"x" * length])
    assert opened(text) == (b"x" * length, {"sum": 1})
    assert b"xxxx" not in text


def test_with_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "COST", 2**12)  # else it takes as long as it should
    recipient = Recipient.of_passphrase("correct horse battery staple")
    text = made([b"content"], recipient)
    assert opened(text, Secret(passphrase="correct horse battery staple")) == (b"content", {"sum": 1})
    for wrong in (Secret(passphrase="correct horse battery stable"), SECRET):
        with pytest.raises(BadArchive):
            opened(text, wrong)
    with pytest.raises(BadArchive, match="shorter"):
        Recipient.of_passphrase("too short")


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BadArchive, match="another key"):
        opened(made([b"content"]), Secret(private=X25519PrivateKey.generate()))
    with pytest.raises(BadArchive, match="private key"):
        opened(made([b"content"]), Secret(passphrase="x" * 30))
    for line in ("", archive.PREFIX, PUBLIC[:-4], "ssh-ed25519 AAAA"):
        with pytest.raises(BadArchive, match="public key"):
            Recipient.of_public_key(line)


PIECES = [bytes([number]) * archive.PIECE for number in range(3)]
WHOLE = made(PIECES)
HEAD = len(archive.MAGIC) + WHOLE[len(archive.MAGIC) :].index(b"\n") + 1
SEALED = 4 + archive.PIECE + archive.TAG


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1), st.integers(min_value=1, max_value=255))
def test_no_byte_may_be_another(where: int, by: int) -> None:
    changed = bytearray(WHOLE)
    changed[where] ^= by
    with pytest.raises(BadArchive):
        opened(bytes(changed))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        WHOLE[: HEAD - 1],
        WHOLE[:HEAD],
        WHOLE[: HEAD + SEALED],
        WHOLE[: HEAD + 3 * SEALED],
        WHOLE[:-1],
        WHOLE + b"\0",
        WHOLE[:HEAD] + WHOLE[HEAD + SEALED :],
        WHOLE[:HEAD]
        + WHOLE[HEAD + SEALED : HEAD + 2 * SEALED]
        + WHOLE[HEAD : HEAD + SEALED]
        + WHOLE[HEAD + 2 * SEALED :],
        made([b"y"])[:HEAD] + WHOLE[HEAD:],
    ],
    ids=[
        "nothing",
        "half a head",
        "a head",
        "one piece",
        "no manifest",
        "cut",
        "more",
        "one missing",
        "moved",
        "of another",
    ],
)
def test_what_was_cut_off_moved_or_mixed_does_not_open(text: bytes) -> None:
    with pytest.raises(BadArchive):
        opened(text)


def test_a_new_key_is_its_owners_and_overwrites_none(tmp_path: Path) -> None:
    path = tmp_path / "backup.key"
    line = archive.new_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    text = made([b"content"], Recipient.of_public_key(line))
    assert opened(text, Secret(private=archive.private_key(path)))[0] == b"content"
    with pytest.raises(FileExistsError):
        archive.new_key(path)
    path.write_text("no key")
    with pytest.raises(BadArchive):
        archive.private_key(path)
