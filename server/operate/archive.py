"""An encrypted file of one stream and what is said about it, for back-ups. Written once, front to back; whoever made it
for a public key cannot read it again.

    samsnakk-backup 1\n
    {"to": …, …}\n                        how to get at the key: a public key (X25519), or a passphrase (scrypt)
    (length, sealed piece) …             AES-256-GCM, numbered; the last is marked as the last and holds the manifest

A piece that is altered, missing, doubled or moved does not open, nor does a file that was cut off: the number and the
mark are in the nonce, the first two lines are bound to every piece.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

MAGIC = b"samsnakk-backup 1\n"
PIECE = 1024 * 1024
TAG = 16
LONGEST_LINE = 64 * 1024
SHORTEST_PASSPHRASE = 20
COST = 2**17
"""Of scrypt: 128 MiB and a third of a second for each guess."""
PREFIX = "samsnakk-backup-key:"


class BadArchive(Exception):
    """It cannot be read, written or believed; the text says why, in one line."""


class Opened(NamedTuple):
    """The stream's pieces, and behind the last of them `manifest`, which is there when they have been read."""

    head: dict[str, Any]
    pieces: Iterator[bytes]
    manifest: dict[str, Any]


class Recipient:
    """Whom an archive is for: a public key, or a passphrase. `head` says how to get at the key again."""

    def __init__(self, key: bytes, head: dict[str, Any]) -> None:
        self.key, self.head = key, head

    @classmethod
    def of_public_key(cls, line: str) -> "Recipient":
        """Raises BadArchive when the line is not a public key of ours."""
        try:
            public = X25519PublicKey.from_public_bytes(b64decode(line.strip().removeprefix(PREFIX), validate=True))
        except ValueError:
            raise BadArchive("this is not a public key for back-ups, or it was mistyped") from None
        own = X25519PrivateKey.generate()
        sent = own.public_key().public_bytes_raw()
        key = _agreed(own.exchange(public), sent, public.public_bytes_raw())
        return cls(key, {"to": "key", "sent": _text(sent), "public": _text(public.public_bytes_raw())})

    @classmethod
    def of_passphrase(cls, passphrase: str) -> "Recipient":
        """Raises BadArchive for one that could be guessed."""
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise BadArchive(f"the passphrase is shorter than {SHORTEST_PASSPHRASE} characters")
        salt = os.urandom(16)
        return cls(_stretched(passphrase, salt), {"to": "passphrase", "salt": _text(salt)})


class Secret(NamedTuple):
    """What opens archives: one of the two."""

    private: X25519PrivateKey | None = None
    passphrase: str = ""

    def key(self, head: dict[str, Any]) -> bytes:
        """Raises BadArchive when it is not this one that opens it."""
        try:
            if head["to"] == "passphrase" and self.passphrase:
                return _stretched(self.passphrase, b64decode(head["salt"]))
            if head["to"] == "key" and self.private is not None:
                sent, public = b64decode(head["sent"]), self.private.public_key().public_bytes_raw()
                if public != b64decode(head["public"]):
                    raise BadArchive("it is for another key than this one")
                return _agreed(self.private.exchange(X25519PublicKey.from_public_bytes(sent)), sent, public)
        except (KeyError, ValueError, TypeError):
            raise BadArchive("its first lines are damaged") from None
        raise BadArchive(f"it is opened with a {'passphrase' if head['to'] == 'passphrase' else 'private key'}")


def new_key(path: Path) -> str:
    """Write a new private key, which nobody but its owner may read; returns the public one. Raises FileExistsError."""
    private = X25519PrivateKey.generate()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return PREFIX + _text(private.public_key().public_bytes_raw())


def private_key(path: Path) -> X25519PrivateKey:
    """Raises BadArchive, OSError."""
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, X25519PrivateKey):
        raise BadArchive("this is not a private key for back-ups")
    return found


def write(out: IO[bytes], stream: Iterable[bytes], recipient: Recipient, said: dict[str, Any]) -> "Closing":
    """Write the head and all of the stream; the caller ends it with what it has learnt meanwhile."""
    head = json.dumps({**recipient.head, **said}, sort_keys=True).encode() + b"\n"
    out.write(MAGIC + head)
    box, number = _Box(recipient.key, MAGIC + head), 0
    for number, piece in enumerate(_even(stream), start=1):
        _put(out, box.seal(piece, number, last=False))
    return Closing(out, box, number + 1)


class Closing(NamedTuple):
    out: IO[bytes]
    box: "_Box"
    number: int

    @property
    def head(self) -> bytes:
        """What stands in the open; nobody has another file with the same, for its key is in it."""
        return self.box.bound

    def end(self, manifest: dict[str, Any]) -> None:
        """The last piece; on disk when this returns."""
        _put(self.out, self.box.seal(json.dumps(manifest, sort_keys=True).encode(), self.number, last=True))
        self.out.flush()
        os.fsync(self.out.fileno())


def read_head(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """What stands in the open, and the bytes of it. Raises BadArchive."""
    if file.read(len(MAGIC)) != MAGIC:
        raise BadArchive("this is no back-up of this version")
    line = file.readline(LONGEST_LINE)
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("to") not in ("key", "passphrase"):
        raise BadArchive("its first lines are damaged")
    return head, MAGIC + line


def read(file: IO[bytes], secret: Secret | bytes) -> Opened:
    """The stream, piece by piece. Raises BadArchive, also while pieces are read: none of it is to be believed then."""
    head, bound = read_head(file)
    manifest: dict[str, Any] = {}
    box = _Box(secret if isinstance(secret, bytes) else secret.key(head), bound)
    return Opened(head, _pieces(file, box, manifest), manifest)


def _pieces(file: IO[bytes], box: "_Box", manifest: dict[str, Any]) -> Iterator[bytes]:
    number = 1
    piece = _take(file)
    while piece is not None:
        following = _take(file)
        opened = box.open(piece, number, last=following is None)
        if following is None:
            manifest.update(json.loads(opened))
        else:
            yield opened
        piece, number = following, number + 1
    if not manifest:
        raise BadArchive("it was cut off")


class _Box:
    def __init__(self, key: bytes, bound: bytes) -> None:
        self._aead, self.bound = AESGCM(key), bound

    def seal(self, piece: bytes, number: int, *, last: bool) -> bytes:
        return self._aead.encrypt(_nonce(number, last=last), piece, self.bound)

    def open(self, piece: bytes, number: int, *, last: bool) -> bytes:
        try:
            return self._aead.decrypt(_nonce(number, last=last), piece, self.bound)
        except InvalidTag:
            raise BadArchive("it does not open: another key or passphrase, or it was altered or cut off") from None


def _nonce(number: int, *, last: bool) -> bytes:
    """The key is this file's alone, so a number is enough."""
    return number.to_bytes(11, "big") + bytes([last])


def _even(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of the same length, but for the last."""
    waiting = bytearray()
    for some in stream:
        waiting += some
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)


def _put(out: IO[bytes], piece: bytes) -> None:
    out.write(len(piece).to_bytes(4, "big") + piece)


def _take(file: IO[bytes]) -> bytes | None:
    length = file.read(4)
    if not length:
        return None
    size = int.from_bytes(length, "big")
    piece = file.read(size) if len(length) == 4 and size <= PIECE + LONGEST_LINE + TAG else b""
    if not piece or len(piece) != size:
        raise BadArchive("it was cut off, or altered")
    return piece


def _agreed(shared: bytes, sent: bytes, public: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=sent + public, info=MAGIC).derive(shared)


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode())


def _text(value: bytes) -> str:
    return b64encode(value).decode()
