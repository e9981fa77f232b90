"""The verbs of our own keys towards push services: a new one beside those that are in use, and the end of one that no
device needs (docs/decisions/0039-vapid-rotation.md). For whoever administers the host that holds the file."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Count

from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.common.clock import now
from server.notify import vapid
from server.notify.models import Address, AddressKind, AddressQuerySet, Gone
from server.notify.vapid import Key
from server.people.periods import NOW


class KeysFault(Exception):
    """What cannot be done with the keys, as a code; `devices` that need the one that was to end."""

    def __init__(self, code: str, devices: int = 0) -> None:
        super().__init__(code)
        self.code, self.devices = code, devices


@dataclass(frozen=True, slots=True)
class Standing:
    """`devices` are registered for it now; `is_newest`: what registers now gets it."""

    key: Key
    devices: int
    is_newest: bool


def standing() -> list[Standing]:
    """Each key of the file, in its order. Raises KeysFault `unreadable`."""
    found, newest = _whole(vapid.file()), vapid.newest(now())
    counts = _registered().values("vapid").order_by("vapid").annotate(n=Count("id")).values_list("vapid", "n")
    devices = dict(counts)
    return [Standing(one, devices.get(one.id, 0), one == newest) for one in found]


@transaction.atomic
def make_key(*, after: timedelta) -> Key:
    """A new key in the file, which devices are given when `after` is over; those before go on signing for theirs. The
    first key of an installation is used at once.

    Raises KeysFault: `unreadable`, `one_waits` while the last one that was made is not in use yet; OSError where the
    file cannot be written.
    """
    path, at = vapid.file(), now()
    if not path.exists():
        vapid.make(path)
        (made,) = _whole(path)
    else:
        with _alone(path):
            before = _whole(path)
            if any(one.since is not None and one.since > at for one in before):
                raise KeysFault("one_waits")
            text = path.read_text(encoding="ascii").rstrip("\n") + "\n"
            new = vapid.new_pem(at.replace(microsecond=0) + after)
            vapid.write(path, text + new)
            made = vapid.parsed(new)[0][0]
    record(Entry("push_key.made", SYSTEM, detail={"key": made.id}))
    return made


@transaction.atomic
def end_key(*, key_id: str, devices_too: bool) -> int:
    """Take a key out of the file. With `devices_too`, devices that are registered for it are not sent to any more until
    they register anew; returns how many that were.

    Raises KeysFault: `unreadable`, `unknown`, `newest` for the one that devices are given now, `needed` with how many
    devices need it; OSError.
    """
    path = vapid.file()
    with _alone(path):
        found, newest = _whole(path), vapid.newest(now())
        ended = next((one for one in found if one.id == key_id), None)
        if ended is None:
            raise KeysFault("unknown")
        if ended == newest:
            raise KeysFault("newest")
        theirs = _registered().filter(vapid=key_id)
        count = theirs.count()
        if count and not devices_too:
            raise KeysFault("needed", count)
        theirs.update(disabled_at=NOW, disabled_because=Gone.KEY_ENDED)
        record(Entry("push_key.ended", SYSTEM, detail={"key": key_id, "devices": count}))
        vapid.write(path, path.read_text(encoding="ascii").replace(ended.pem, ""))
    return count


def _registered() -> AddressQuerySet:
    return Address.objects.heard().filter(kind=AddressKind.PUSH)


def _whole(path: Path) -> tuple[Key, ...]:
    try:
        found, is_whole = vapid.parsed(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        raise KeysFault("unreadable") from None
    if not is_whole:
        raise KeysFault("unreadable")
    return found


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of two who change the file on one host, one waits: or the later would undo what the earlier did."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
