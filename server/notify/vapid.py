"""Our own name towards push services (RFC 8292): key pairs in a file, never in the database. Every process that sends,
on every host, has the same file. A device is registered for one key, and is sent to with that one as long as it is in
the file; what registers now gets the newest. A key that was added lately is used from the moment that a line before it
names, so that all hosts have it by then (docs/decisions/0039-vapid-rotation.md).
"""

import base64
import contextlib
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

_BLOCK = re.compile(
    r"(?:^# In use from (?P<since>\S+)\s*\n)?"
    r"^-----BEGIN (?P<what>[A-Z ]*PRIVATE KEY)-----$.*?^-----END (?P=what)-----$\n?",
    re.MULTILINE | re.DOTALL,
)
"""One key in the file, and the line before it (RFC 7468 section 2 lets text stand between keys)."""


@dataclass(frozen=True, slots=True)
class Key:
    """`public` is what browsers are given: the uncompressed point, base64url. `id` tells keys apart; `since` is when it
    comes into use, always when None; `pem` is its part of the file."""

    private: ec.EllipticCurvePrivateKey = field(compare=False, repr=False)
    public: str
    id: str
    since: datetime | None
    pem: str = field(repr=False)


def file() -> Path:
    return settings.ENV.vapid_key_file or settings.ENV.var_dir / "notify" / "vapid.pem"


def keys() -> tuple[Key, ...]:
    """Those in the file, the newest last; none where none can be used. In demo mode the first call makes one."""
    path = file()
    if settings.DEMO and settings.ENV.vapid_key_file is None and not path.exists():
        with contextlib.suppress(OSError):
            make(path)
    try:
        return _read(path, path.stat().st_mtime_ns)[0]
    except OSError:
        return ()


def is_whole() -> bool:
    """Whether all that stands in the file can be used; so it is where there is no file."""
    try:
        path = file()
        return _read(path, path.stat().st_mtime_ns)[1]
    except FileNotFoundError:
        return True
    except OSError:
        return False


def known() -> list[str]:
    """Ids of the keys that we can sign with."""
    return [one.id for one in keys()]


def by_id(key_id: str) -> Key | None:
    return next((one for one in keys() if one.id == key_id), None)


def by_public(public: str) -> Key | None:
    """By what a browser says that it has subscribed with."""
    return next((one for one in keys() if one.public == public.rstrip("=")), None)


def newest(at: datetime) -> Key | None:
    """What devices are to be registered for at `at`; None where there is no key."""
    return newest_of(keys(), at)


def newest_of(found: Sequence[Key], at: datetime) -> Key | None:
    """The last that is in use by then; the first, where none is: a clock that is wrong keeps nobody from registering.
    Pure."""
    in_use = [one for one in found if one.since is None or one.since <= at]
    return in_use[-1] if in_use else next(iter(found), None)


def make(path: Path) -> None:
    """A new key in a file that only its owner may read; of two who do it at once, one does it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _beside(path, new_pem()) as name, contextlib.suppress(FileExistsError):
        os.link(name, path)


def write(path: Path, text: str) -> None:
    """Put `text` in the place of what the file holds: whoever reads it sees one or the other. Who owns it and who may
    read it stays as it is. Raises OSError, PermissionError where that cannot be."""
    path = path.resolve(strict=True)
    before = path.stat()
    with _beside(path, text) as name:
        made = name.stat()
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
            os.chown(name, before.st_uid, before.st_gid)
        name.chmod(before.st_mode & 0o777)
        name.replace(path)


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file with this text in the same folder, gone afterwards unless it was moved."""
    handle, name = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def new_pem(since: datetime | None = None) -> str:
    """A new key, as the file holds it; `since`: from when it is used."""
    text = (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )
    return text if since is None else f"# In use from {since.isoformat(timespec='seconds')}\n{text}"


def parsed(text: str) -> tuple[tuple[Key, ...], bool]:
    """The keys in this text, and whether it holds at least one and nothing that is none. Pure."""
    blocks = list(_BLOCK.finditer(text))
    found = [one for block in blocks if (one := _key(block)) is not None]
    return tuple(found), bool(found) and len(found) == text.count("-----BEGIN ") - text.count(
        "-----BEGIN EC PARAMETERS"
    )


@functools.lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> tuple[tuple[Key, ...], bool]:
    try:
        return parsed(path.read_text(encoding="ascii"))
    except UnicodeDecodeError:
        return (), False


def _key(block: re.Match[str]) -> Key | None:
    try:
        since = datetime.fromisoformat(block["since"]) if block["since"] else None
        private = serialization.load_pem_private_key(block[0][block[0].index("-----") :].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        return None
    if since is not None and since.tzinfo is None:
        return None
    point = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    public = base64.urlsafe_b64encode(point).decode().rstrip("=")
    return Key(private, public, hashlib.sha256(point).hexdigest()[:16], since, block[0])
