"""Who made a back-up. That it opens says whom it was made for: the public key stands in its first lines, and whoever
reads those could make another. So the manifest of one for a public key is signed (Ed25519), over its first lines too,
by a key of the installation. A passphrase is a secret of both sides, and needs no signature.
"""

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from django.conf import settings

from server.operate.archive import BadArchive

PREFIX = "samsnakk-backup-signer:"
CONTEXT = b"samsnakk-backup manifest 1\n"
SIGNATURE = "signature"


def file() -> Path:
    """Where the key lies unless told otherwise."""
    return Path(settings.ENV.var_dir) / "backup-signing.pem"


def own_key(path: Path) -> Ed25519PrivateKey:
    """The key in that file; made when there is none, for its owner alone. Raises BadArchive, OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise BadArchive("this is not a key that signs back-ups")
    return found


def line_of(key: Ed25519PrivateKey) -> str:
    """The public half, as those have it who would restore."""
    return PREFIX + b64encode(key.public_key().public_bytes_raw()).decode()


def signed(manifest: dict[str, Any], head: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    return {**manifest, SIGNATURE: b64encode(key.sign(_said(manifest, head))).decode()}


def check(manifest: dict[str, Any], head: bytes, line: str) -> None:
    """Raises BadArchive when it is not signed by whom `line` names."""
    try:
        public = Ed25519PublicKey.from_public_bytes(b64decode(line.strip().removeprefix(PREFIX), validate=True))
    except ValueError:
        raise BadArchive("this is not the public key of a signer, or it was mistyped") from None
    try:
        public.verify(b64decode(str(manifest.get(SIGNATURE, ""))), _said(manifest, head))
    except (InvalidSignature, ValueError):
        raise BadArchive(
            "it is not signed by the installation that you named: somebody else may have made it"
        ) from None


def _said(manifest: dict[str, Any], head: bytes) -> bytes:
    bare = {name: value for name, value in manifest.items() if name != SIGNATURE}
    return CONTEXT + head + json.dumps(bare, sort_keys=True).encode()
