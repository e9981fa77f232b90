"""The list of destroyed data keys, outside the database: a restored back-up brings back keys that were destroyed since,
and here stands which (GDPR article 17). It holds ids of keys and signatures, and says nothing of anybody.

A line is written, and on disk, before its key is destroyed: no destroyed key is ever missing. One too many, of a
destruction that was then not committed, is one that had been decided.
"""

import json
import os
from base64 import b64decode, b64encode
from binascii import Error
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

PURPOSE = "vault.erased"
"""Of the signature: whoever may write the file, and nothing else, can have no key destroyed."""


class Listed(NamedTuple):
    key: UUID
    signature: bytes


class Redone(NamedTuple):
    """`keys`: those that lived again; `bad`: how many lines were passed over; `missing`: how many keys the database
    knows as destroyed and the list does not name: then it is not whole."""

    keys: list[UUID]
    bad: int
    missing: int


def file() -> Path:
    given: Path | None = settings.ENV.erased_keys_file
    return given or settings.ENV.var_dir / "erased-keys.jsonl"


def line(key: UUID, signature: bytes) -> str:
    return json.dumps({"key": str(key), "signature": b64encode(signature).decode()})


def note(key: UUID, signature: bytes) -> None:
    """Add a key, durably. Raises OSError: then nothing may be destroyed."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        path.chmod(0o600)
        size = stream.seek(0, os.SEEK_END)
        torn = False
        if size:
            stream.seek(size - 1)
            torn = stream.read(1) != b"\n"
        stream.write((b"\n" if torn else b"") + line(key, signature).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read(path: Path) -> list[Listed]:
    """What the file lists; a line that was torn off is none. Raises OSError."""
    return read_all(path)[0]


def read_all(path: Path) -> tuple[list[Listed], int]:
    """And how many lines say nothing. Raises OSError."""
    found, torn = list[Listed](), 0
    for text in path.read_bytes().splitlines():
        try:
            said = json.loads(text)
            found.append(Listed(UUID(said["key"]), b64decode(said["signature"], validate=True)))
        except (ValueError, LookupError, TypeError, AttributeError, Error):
            torn += bool(text.strip())
    return found, torn
