"""Checkpoints kept elsewhere: each published one as a file in a folder, which best is a share that others keep (L4).

Whoever rewrites the log has to rewrite these as well. Nothing here can hold up sealing: it reads what is published.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db.models import QuerySet

from server.audit.models import Checkpoint, index_of
from server.common.clock import now

log = structlog.get_logger(__name__)

AT_ONCE = 5_000
"""Checkpoints written in one tick, the newest: over an hour's. Each later one covers all before it."""
LATE_S = 30.0
"""After so long without success it is failing."""
ALL_OF = timedelta(days=1)
"""Of the last day every checkpoint is kept, of the time before one an hour."""
NAME = re.compile(r"[a-z0-9-]+-[1-9][0-9]*\.txt")
ASIDE = ".checkpoint-"


class _Standing:
    """When this process first tried, and when it last succeeded, by its own clock; 0 for never."""

    begun = 0.0
    good = 0.0


standing = _Standing()


class CopyDiffers(Exception):
    """The folder holds another checkpoint for this size of this log: two logs, or a copy that was altered."""


def keep_copies() -> int:
    """Write the published checkpoints that the folder lacks, the oldest first; returns how many.

    From the newest back to the first that is there already: whoever is killed half-way leaves no gap that is taken for
    the end. Raises OSError, CopyDiffers.
    """
    folder = settings.ENV.audit_checkpoint_dir
    if folder is None:
        return 0
    standing.begun = standing.begun or time.monotonic()
    try:
        missing = list(_missing(folder))
        for checkpoint in reversed(missing):
            _write(folder / name_of(checkpoint), checkpoint.note, checkpoint.made_at)
        if missing:
            _settle(folder)
    except OSError as error:
        log.error("checkpoint_not_kept", why=error.strerror)
        raise
    standing.good = time.monotonic()
    return len(missing)


def thin() -> int:
    """Delete copies older than a day, but for the last of each hour and the newest; returns how many. Files of other
    names are left alone. Raises OSError."""
    folder = settings.ENV.audit_checkpoint_dir
    if folder is None:
        return 0
    limit, last = (now() - ALL_OF).timestamp(), dict[tuple[str, int], tuple[float, int, str]]()
    old, gone = [], 0
    for entry in os.scandir(folder):
        written = entry.stat().st_mtime
        if entry.name.startswith(ASIDE) and written < limit:
            Path(entry).unlink(missing_ok=True)  # of a process that was killed
        if written >= limit or not NAME.fullmatch(entry.name):
            continue
        origin, _, size = entry.name.removesuffix(".txt").rpartition("-")
        found, hour = (written, int(size), entry.name), (origin, int(written // 3600))
        last[hour] = max(found, last.get(hour, found))
        old.append(entry.name)
    kept = {name for _, _, name in last.values()} | {name_of(one) for one in _published()[:1]}
    for name in old:
        if name not in kept:
            (folder / name).unlink(missing_ok=True)
            gone += 1
    return gone


def failing() -> bool:
    """Whether this process, which should, has not managed to for a while. Asks no file: a share that hangs must not
    hold whoever asks for health."""
    return standing.begun > 0 and time.monotonic() - max(standing.begun, standing.good) > LATE_S


def said() -> str:
    """For people at a terminal."""
    folder, newest = settings.ENV.audit_checkpoint_dir, _published().first()
    if folder is None or newest is None:
        return "none are kept" if folder is None else "none yet"
    try:
        return "the newest is kept" if _is_there(folder, newest) else "THE NEWEST IS NOT KEPT"
    except OSError as error:
        return f"NOT KEPT ({error.strerror})"
    except CopyDiffers:
        return "ANOTHER CHECKPOINT OF THE SAME SIZE IS KEPT"


def name_of(checkpoint: Checkpoint) -> str:
    """The file's name: the log's, and the size."""
    origin = checkpoint.note.partition("\n")[0]
    return f"{re.sub('[^a-z0-9]+', '-', origin.lower()).strip('-') or 'log'}-{index_of(checkpoint.position)}.txt"


def _published() -> QuerySet[Checkpoint]:
    return Checkpoint.objects.exclude(note="").order_by("-position")


def _missing(folder: Path) -> Iterator[Checkpoint]:
    newest = _published().first()
    if newest is None or _is_there(folder, newest):
        return
    for checkpoint in _published()[:AT_ONCE].iterator():
        if _is_there(folder, checkpoint):
            return
        yield checkpoint


def _is_there(folder: Path, checkpoint: Checkpoint) -> bool:
    """Raises CopyDiffers; OSError also where the folder itself is not there: a share that is not mounted is no place to
    make a folder."""
    try:
        found = (folder / name_of(checkpoint)).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if not folder.is_dir():
            raise
        return False
    if found != checkpoint.note:
        log.critical("checkpoint_copy_differs", file=name_of(checkpoint))
        raise CopyDiffers
    return True


def _write(path: Path, note: str, made_at: datetime) -> None:
    """Whole or not at all, and never over another: written aside, then linked to its name."""
    aside = path.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        os.utime(aside, (made_at.timestamp(), made_at.timestamp()))  # the database's time, which thinning goes by
        aside.chmod(0o644)  # nothing in it is secret
        path.hardlink_to(aside)
    except FileExistsError:
        pass  # another process was first, with the same: there is one note for a size
    finally:
        aside.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """A name is on disk when its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
