"""Our own name towards push services (RFC 8292): one key pair in a file, never in the database. Every process that
sends, on every host, has the same one; devices are registered for it."""

import base64
import contextlib
import functools
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings


@dataclass(frozen=True, slots=True)
class Key:
    """`public` is what browsers are given: the uncompressed point, base64url. `id` tells keys apart."""

    private: ec.EllipticCurvePrivateKey
    public: str
    id: str


def file() -> Path:
    return settings.ENV.vapid_key_file or settings.ENV.var_dir / "notify" / "vapid.pem"


def key() -> Key | None:
    """The key, or None where there is none that can be used. In demo mode the first call makes one."""
    path = file()
    if settings.DEMO and settings.ENV.vapid_key_file is None and not path.exists():
        with contextlib.suppress(OSError):
            make(path)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError:
        return None


def key_id() -> str:
    """Empty where there is no key."""
    found = key()
    return found.id if found is not None else ""


def make(path: Path) -> None:
    """A new key in a file that only its owner may read; of two who do it at once, one does it. Raises OSError."""
    made = ec.generate_private_key(ec.SECP256R1())
    text = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


@functools.lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> Key | None:
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        return None
    point = found.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return Key(found, base64.urlsafe_b64encode(point).decode().rstrip("="), hashlib.sha256(point).hexdigest()[:16])
