"""The keys that sign checkpoints: in a file of the sequencer's own, never in the database that they vouch for."""

import os
from pathlib import Path

from django.conf import settings

from server.audit.note import Signer

DEMO_NAME = "samsnakk.demo"


class KeyFault(Exception):
    """The signing keys are missing or malformed; the text names the file and line, never the key."""


def file() -> Path:
    return settings.ENV.audit_key_file or settings.ENV.var_dir / "audit" / "signing.key"


def signers() -> list[Signer]:
    """Every key of the file, in order; all sign, so that a rotation has both for a while. One name: the log's origin.

    In demo mode the first call makes a key. Raises KeyFault.
    """
    path = file()
    if settings.ENV.mode == "demo" and settings.ENV.audit_key_file is None and not path.exists():
        write(path, Signer.new(DEMO_NAME))
    return read(path)


def read(path: Path) -> list[Signer]:
    """Every key of one file. Raises KeyFault."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise KeyFault(f"{path}: {error.strerror}; `manage.py audit keygen` makes a key") from None
    except UnicodeDecodeError:
        raise KeyFault(f"{path} is not text") from None
    found = [_parse(path, number, line) for number, line in enumerate(lines, start=1) if _says(line)]
    if not found:
        raise KeyFault(f"{path} holds no key; `manage.py audit keygen` makes one")
    if len({signer.name for signer in found}) != 1:
        raise KeyFault(f"{path}: all keys must have one name, which is the log's origin")
    return found


def write(path: Path, signer: Signer) -> None:
    """Add a key to a file that only its owner may read. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as out:
        out.write(signer.line + "\n")
        out.flush()
        os.fsync(out.fileno())


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _parse(path: Path, number: int, line: str) -> Signer:
    try:
        return Signer.parse(line.strip())
    except ValueError:
        raise KeyFault(f"{path}, line {number}: not a signing key") from None
