"""The tree as RFC 6962 writes it down, recursively and slowly; and whole logs in a folder, for what reads them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.audit.note import Signer, sign_note
from server.audit.tiles import bundle, tile_path
from server.audit.verify import Checkpoint

Hashes = Sequence[bytes]


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def leaves(count: int) -> list[bytes]:
    """Leaf hashes that all differ."""
    return [leaf(b"%d" % number) for number in range(count)]


def root(hashes: Hashes) -> bytes:
    """MTH, section 2.1, over leaf hashes."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    cut = split(len(hashes))
    return hashlib.sha256(b"\x01" + root(hashes[:cut]) + root(hashes[cut:])).digest()


def split(count: int) -> int:
    """The largest power of two below `count`."""
    cut = 1
    while cut * 2 < count:
        cut *= 2
    return cut


def inclusion(index: int, hashes: Hashes) -> list[bytes]:
    """PATH, section 2.1.1."""
    if len(hashes) == 1:
        return []
    cut = split(len(hashes))
    if index < cut:
        return [*inclusion(index, hashes[:cut]), root(hashes[cut:])]
    return [*inclusion(index - cut, hashes[cut:]), root(hashes[:cut])]


def consistency(older: int, hashes: Hashes, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF, section 2.1.2; `older` is at least 1."""
    if older == len(hashes):
        return [] if whole else [root(hashes)]
    cut = split(len(hashes))
    if older <= cut:
        return [*consistency(older, hashes[:cut], whole), root(hashes[cut:])]
    return [*consistency(older - cut, hashes[cut:], False), root(hashes[:cut])]


def entry(number: int, **more: Any) -> bytes:
    """An event's leaf as `server/audit/leaf.py` writes it, with an id that tells its number."""
    person = f"00000000-0000-7000-8000-{number % 7:012}"
    said: dict[str, Any] = {
        "actor": {
            "controller": None,
            "engagement": person,
            "id": person,
            "role": "nurse",
            "sign_in": "idporten",
            "unit": person,
        },
        "basis": "consent",
        "detail": None,
        "id": event(number),
        "object": None,
        "outcome": "success",
        "purpose": "coordination",
        "reason": "",
        "records": [person] * (number % 3),
        "request": "",
        "room": person,
        "sealed": None,
        "subject": person,
        "time": f"2026-01-01T00:00:{number % 60:02}.000000Z",
        "type": "events.viewed",
        "use": "COC",
        "v": 1,
    }
    return json.dumps(said | more, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def event(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012}"


@dataclass
class Log:
    """A log in a folder, as an export lays it out."""

    folder: Path
    entries: list[bytes]
    signer: Signer
    hashes: list[bytes]

    @classmethod
    def write(cls, folder: Path, entries: Sequence[bytes], signer: Signer, hashes: Hashes = ()) -> "Log":
        """All of it; without `entries`, but with `hashes`, as who is no log verifier gets it."""
        log = cls(folder, list(entries), signer, list(hashes) or [leaf(one) for one in entries])
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(log.entries), 256):
            log.write_bundle(start // 256)
        level, row = 0, log.hashes
        while row:
            for start in range(0, len(row), 256):
                log.put(level, start // 256, b"".join(row[start : start + 256]), len(row[start : start + 256]))
            level, row = level + 1, [quick_root(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        (folder / "checkpoint").write_text(log.note())
        return log

    def note(self, size: int | None = None) -> str:
        """The signed checkpoint, of the whole or of its beginning."""
        hashes = self.hashes[: len(self.hashes) if size is None else size]
        said = Checkpoint(self.signer.name, len(hashes), quick_root(hashes))
        return sign_note(said.text, [self.signer])

    def write_bundle(self, number: int) -> None:
        part = self.entries[number * 256 : number * 256 + 256]
        self.put("entries", number, bundle(part), len(part))

    def put(self, level: int | str, number: int, data: bytes, width: int) -> None:
        path = self.path(level, number, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def path(self, level: int | str, number: int, width: int = 256) -> Path:
        return self.folder / "tile" / tile_path(level, number, width)


def quick_root(hashes: Hashes) -> bytes:
    """As `root`, by halves instead of slices of slices: large logs are written in no time."""
    row = list(hashes)
    while len(row) > 1:
        pairs = [hashlib.sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(row) & ~1 :]
    return row[0] if row else hashlib.sha256().digest()
