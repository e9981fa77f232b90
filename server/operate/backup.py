"""A back-up: the whole database in one encrypted file, which is read again before it counts.

What it must not hold stands in `APART`: whoever found both could read everything, or sign as we do.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder

from server.audit import keys as log_keys
from server.audit.reading import latest
from server.common.clock import now
from server.operate import signing
from server.operate.archive import BadArchive, Recipient, Secret, read, read_head, write
from server.operate.engines import Engine
from server.vault import erased

ENDING = ".backup"
FORMAT = 1


class Made(NamedTuple):
    path: Path
    manifest: dict[str, Any]


def apart() -> list[tuple[str, str]]:
    """What is backed up by other hands, on another medium: what, and where this installation has it."""
    env = settings.ENV
    return [
        ("master keys, every version", str(env.master_key_file or "MASTER_KEYS")),
        ("the keys that sign checkpoints", str(log_keys.file())),
        ("the key towards push services", str(env.vapid_key_file or env.var_dir / "notify" / "vapid.pem")),
        ("keys towards sign-in providers, SECRET_KEY, GATEWAY_SECRET: all settings", "the configuration"),
        ("the key that signs back-ups", str(signing.file())),
        ("the list of destroyed keys: never back to an older state", str(erased.file())),
        (
            "the sequencer's store: not at all, for an old one remembers too little",
            (env.audit_store and "AUDIT_STORE") or str(env.var_dir / "audit" / "store"),
        ),
    ]


def make(engine: Engine, place: Path, recipient: Recipient, signer: Ed25519PrivateKey | None = None) -> Made:
    """Write a back-up to `place`, or into that folder under a name with the time; read it again, whole. `signer` signs
    its manifest.

    The file has its name only when it has been found to be sound. Raises BadArchive, EngineFault, OSError.
    """
    at = now()
    path = place / f"samsnakk-{at:%Y%m%dT%H%M%SZ}{ENDING}" if place.is_dir() else place
    if path.exists():
        raise BadArchive(f"{path} is there already")
    partly = path.with_name(f".{path.name}.partly")
    said = {"engine": engine.name, "made_at": at.isoformat(timespec="seconds"), "format": FORMAT}
    try:
        with os.fdopen(os.open(partly, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            counted = Counted(engine.dump())
            manifest = {**said, **_standing()}  # of before the dump began: it holds at least so much
            closing = write(out, counted, recipient, said)
            manifest |= counted.said()
            closing.end(signing.signed(manifest, closing.head, signer) if signer is not None else manifest)
        verify(engine, partly, recipient.key)
        partly.rename(path)
    finally:
        partly.unlink(missing_ok=True)
    return Made(path, manifest)


def verify(engine: Engine, path: Path, secret: Secret | bytes, signer: str = "") -> dict[str, Any]:
    """Read all of it; the manifest. `signer`: the public key of who must have signed it. Raises BadArchive,
    EngineFault, OSError."""
    with path.open("rb") as file:
        _, head = read_head(file)
        file.seek(0)
        opened = read(file, secret)
        if opened.head.get("engine") != engine.name:
            raise BadArchive(f"it is of another engine: {opened.head.get('engine')}")
        counted = Counted(opened.pieces)
        engine.check(counted)
        for _ in counted:
            pass  # a list is read from the beginning alone
        manifest = opened.manifest
    if {name: manifest.get(name) for name in ("bytes", "sha256")} != counted.said():
        raise BadArchive("its sum is not what its manifest says")
    if signer:
        signing.check(manifest, head, signer)
    return manifest


def thin(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` back-ups of a folder, by their names; those that were removed."""
    old = sorted(folder.glob(f"samsnakk-*{ENDING}"))[:-keep]
    for path in old:
        path.unlink()
    return old


def _standing() -> dict[str, Any]:
    """What a reader wants to know of the database without opening it: no content, nobody's name."""
    newest = latest()
    applied = MigrationRecorder.Migration.objects.order_by("app", "name")
    last = dict(applied.values_list("app", "name"))
    return {"log": {"size": newest.size, "checkpoint": newest.note} if newest else None, "migrations": last}


class Counted:
    """A stream that remembers how much went through it, and its hash."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream, self._hash, self._bytes = iter(stream), hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._hash.update(piece)
            self._bytes += len(piece)
            yield piece

    def said(self) -> dict[str, Any]:
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}
