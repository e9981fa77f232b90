"""The log as files that `verify.py` reads: a signed checkpoint, hash tiles, entries, and details that are given out.

An export that was broken off goes on where it stopped: a full tile that is there is not made again, each file is
written whole or not at all, and the checkpoint comes last, so that a folder without one is known to be unfinished.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from server.audit import detail
from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.audit.merkle import HEIGHT
from server.audit.models import AuditEvent, VerifierKey
from server.audit.reading import Published, entries, hashes, origin, tile_width
from server.audit.tiles import bundle, tile_path
from server.audit.verify import WIDTH
from server.vault.errors import Destroyed

MARK = "origin"
"""Names the log that the folder is of."""
DETAILS = "disclosed.jsonl"

Progress = Callable[[int, int], None]
"""(files done, files in all)."""


class WrongFolder(Exception):
    """The folder holds something else than an export of this log; the text says what."""


class NoSuchEvent(Exception):
    """An event whose details were to be given out is not in the log."""


class File(NamedTuple):
    """One tile; `level` is `entries` for a bundle."""

    level: int | str
    number: int
    width: int

    @property
    def path(self) -> str:
        return f"tile/{tile_path(self.level, self.number, self.width)}"


def files(size: int, *, with_entries: bool) -> Iterator[File]:
    """Every tile of a tree of `size` entries, the lowest first."""
    for level in ("entries", 0) if with_entries else (0,):
        yield from _level(level, 0, size)
    height = 1
    while size >> (HEIGHT * height):
        yield from _level(height, height, size)
        height += 1


def export(
    published: Published, folder: Path, progress: Progress, *, with_entries: bool, disclosed: Sequence[UUID]
) -> None:
    """Write the export, or what is missing of it. Files are for their owner alone.

    Raises OSError, WrongFolder, NoSuchEvent; Missing and Unreadable where the log itself is not whole.
    """
    told = details(disclosed)
    name = origin(published.tree)
    _claim(folder, name)
    wanted = list(files(published.size, with_entries=with_entries))
    for done, file in enumerate(wanted, start=1):
        if file.width < WIDTH or not (folder / file.path).exists():
            _write(folder / file.path, _contents(published.tree, file))
        progress(done, len(wanted))
    keys = VerifierKey.objects.order_by("since", "line").values_list("line", flat=True)
    _write(folder / "keys", "".join(f"{line}\n" for line in keys).encode())
    if told:
        _write(folder / DETAILS, "".join(told).encode())
    else:
        (folder / DETAILS).unlink(missing_ok=True)  # of an earlier export into this folder
    _write(folder / "checkpoint", published.note.encode())


def details(events: Sequence[UUID]) -> list[str]:
    """A line of JSON for each: id, salt and the exact text; both null where there is none, or no more. Raises
    NoSuchEvent, Unreadable."""
    found = AuditEvent.objects.in_bulk(events)
    if missing := [event for event in events if event not in found]:
        raise NoSuchEvent(str(missing[0]))
    return [_detail(found[event]) for event in events]


def record_disclosed(events: Sequence[UUID]) -> None:
    """Put on record, before the bytes, that the details of each go out: in the log of the patient whom it is about, and
    of the controller for which it was done; in the caller's transaction."""
    found = AuditEvent.objects.defer("detail_sealed", "leaf").in_bulk(events)
    record_many(
        Entry(
            "audit.disclosed",
            Actor(None, controller_id=found[event].controller_id, role="system"),
            subject_id=found[event].subject_id,
            object_id=event,
        )
        for event in events
    )


def _detail(event: AuditEvent) -> str:
    salt, text = b"", ""
    if event.detail_sealed is not None:
        with suppress(Destroyed):
            salt, text = detail.disclosed(event.id, event.detail_sealed)
    said = {"id": str(event.id), "salt": salt.hex() or None, "detail": text or None}
    return json.dumps(said, ensure_ascii=False) + "\n"


def _level(level: int | str, height: int, size: int) -> Iterator[File]:
    number = 0
    while width := tile_width(height, number, size):
        yield File(level, number, width)
        number += 1


def _contents(tree: int, file: File) -> bytes:
    if isinstance(file.level, str):
        return bundle(entries(tree, file.number, file.width))
    return hashes(tree, file.level, file.number, file.width)


def _claim(folder: Path, name: str) -> None:
    """An empty or new folder, or one that holds an export of the same log."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = folder / MARK
    if mark.exists():
        if mark.read_text(encoding="utf-8").strip() != name:
            raise WrongFolder(f"{folder} holds an export of another log")
    elif any(folder.iterdir()):
        raise WrongFolder(f"{folder} is not empty, and holds no export")
    _write(mark, f"{name}\n".encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    aside.replace(path)
