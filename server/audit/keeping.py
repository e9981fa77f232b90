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

from server.audit.merkle import Range
from server.audit.metrics import ALARMS
from server.audit.models import Checkpoint, index_of, tree_of
from server.audit.reading import Missing, reader, signed
from server.audit.verify import BadNote
from server.audit.verify import Checkpoint as Said
from server.common.clock import now

log = structlog.get_logger(__name__)

AT_ONCE = 5_000
"""Checkpoints written in one tick, the newest: over an hour's. Each later one covers all before it."""
LATE_S = 30.0
"""After so long without success it is failing."""
ALL_OF = timedelta(days=1)
"""Of the last day every checkpoint is kept, of the time before one an hour."""
LOOKED_S = 600.0
"""The whole folder is listed when a process begins, and so often: it may hold a file for each second of a day."""
NAME = re.compile(r"[a-z0-9-]+-[1-9][0-9]*\.txt")
ASIDE = ".checkpoint-"


class _Standing:
    """When this process first tried, and when it last succeeded, by its own clock; 0 for never."""

    begun = 0.0
    good = 0.0
    looked = 0.0
    """When the folder was last listed."""
    position = 0
    """Of the newest checkpoint that was found in the database."""
    ahead = False


standing = _Standing()


class CopyDiffers(Exception):
    """The folder holds another checkpoint for this size of this log: two logs, or a copy that was altered."""


class CopiesAhead(Exception):
    """The folder's newest checkpoint of this log is of more than there is, or of something else: the database was put
    back, and the sequencer's memory with it. Nothing is added to what may be the evidence."""


def keep_copies() -> int:
    """Write the published checkpoints that the folder lacks, the oldest first; returns how many.

    From the newest back to the first that is there already: whoever is killed half-way leaves no gap that is taken for
    the end. Raises OSError, CopyDiffers, CopiesAhead.
    """
    folder = settings.ENV.audit_checkpoint_dir
    if folder is None:
        return 0
    standing.begun = standing.begun or time.monotonic()
    try:
        _look(folder)
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


def ahead() -> bool:
    """Whether this process found more in the folder than in the log, or something else. Asks no file."""
    return standing.ahead


def said() -> str:
    """For people at a terminal."""
    folder, newest = settings.ENV.audit_checkpoint_dir, _published().first()
    if folder is None or newest is None:
        return "none are kept" if folder is None else "none yet"
    try:
        if _is_ahead(folder, newest):
            return "COPIES OF ANOTHER LOG, OR OF MORE THAN THERE IS, ARE KEPT"
        return "the newest is kept" if _is_there(folder, newest) else "THE NEWEST IS NOT KEPT"
    except OSError as error:
        return f"NOT KEPT ({error.strerror})"
    except CopyDiffers:
        return "ANOTHER CHECKPOINT OF THE SAME SIZE IS KEPT"


def name_of(checkpoint: Checkpoint) -> str:
    """The file's name: the log's, and the size."""
    return f"{_log(checkpoint)}-{index_of(checkpoint.position)}.txt"


def _log(checkpoint: Checkpoint) -> str:
    origin = checkpoint.note.partition("\n")[0]
    return re.sub("[^a-z0-9]+", "-", origin.lower()).strip("-") or "log"


def _published() -> QuerySet[Checkpoint]:
    return signed().order_by("-position")


def _look(folder: Path) -> None:
    """Raises CopiesAhead, with each call for as long as it is so; OSError."""
    newest = _published().first()
    if newest is None:
        return
    recent = standing.looked > 0 and time.monotonic() - standing.looked < LOOKED_S
    if not recent or standing.ahead or newest.position < standing.position:
        is_ahead = _is_ahead(folder, newest)
        if is_ahead and not standing.ahead:
            ALARMS.inc()
            log.critical("checkpoint_copies_ahead", published=index_of(newest.position))
        standing.ahead, standing.looked = is_ahead, time.monotonic()
    if standing.ahead:
        raise CopiesAhead
    standing.position = newest.position


def _is_ahead(folder: Path, newest: Checkpoint) -> bool:
    """Whether the folder's largest checkpoint of this log is not one that this log can have had. Raises OSError."""
    sizes = [0]
    for entry in os.scandir(folder):
        of, _, size = entry.name.removesuffix(".txt").rpartition("-")
        if NAME.fullmatch(entry.name) and of == _log(newest):
            sizes.append(int(size))
    largest = max(sizes)
    # Read after the folder: another process may have published and kept one meanwhile.
    newest = _published().first() or newest
    if largest == 0 or f"{_log(newest)}-{largest}.txt" == name_of(newest):
        return False  # compared when it is kept
    if largest > index_of(newest.position):
        return True
    text = (folder / f"{_log(newest)}-{largest}.txt").read_text(encoding="utf-8", errors="replace")
    try:
        root = Range.at(largest, reader(tree_of(newest.position))).root()
        return Said.parse(text.partition("\n\n")[0] + "\n").root != root
    except (BadNote, Missing):
        return True


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
