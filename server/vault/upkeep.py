"""Looking after what is stored: re-wrapping under a new master key, opening every key, judging before start-up."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from server.vault.errors import MasterKeyFault
from server.vault.models import DataKey, DataKeys
from server.vault.ring import MasterKey, Ring, demo_materials, inspect, ring, weaknesses

BATCH = 200
_TABLE = "vault_datakey"


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A stored data key that does not open."""

    key: UUID
    scope: str
    owner: UUID
    version: int
    reason: str
    """`version_missing`: the master key version was not given; `key_damaged`: it does not unwrap."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rotation has come, in keys."""

    version: int
    done: int
    total: int
    failed: tuple[KeyFault, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found. `versions` and `demo` count keys that are not destroyed."""

    opened: int
    destroyed: int
    faults: tuple[KeyFault, ...]
    versions: dict[int, int]
    demo: int


def rotate(batch: int = BATCH) -> Iterator[Progress]:
    """Re-wrap every data key under the highest master key given; yields after each batch, committed by then.

    The data keys, and so all ciphertexts and indexes, stay as they are, and other processes go on working. Every
    process must have been given the new version before (docs/decisions/0003). If we die in between, some keys are under
    the old version and some under the new; running it again goes on. Keys that do not open are left and reported.
    Raises MasterKeyFault.
    """
    masters = ring()
    target = masters.highest()
    newer = DataKey.objects.living().filter(master_version__gt=target.version).first()
    if newer is not None:
        masters.version(newer.master_version)  # raises: a ring without a newer version in use must not rotate back
    total = _behind(target).count()
    done = 0
    failed: dict[UUID, KeyFault] = {}
    yield Progress(target.version, done, total)
    # Each pass finds what others made under the old version meanwhile; the last finds nothing.
    while True:
        moved = 0
        after: UUID | None = None
        while step := _rewrap_batch(masters, target, after, batch):
            after, rewrapped, faults = step
            moved += rewrapped
            done += rewrapped
            failed |= {fault.key: fault for fault in faults}
            yield Progress(target.version, done, max(total, done + len(failed)), tuple(failed.values()))
        if not moved:
            return


def check() -> Checked:
    """Open every data key with the master keys given. Raises MasterKeyFault when these are unusable as a whole."""
    masters = ring()
    opened = destroyed = demo = 0
    faults: list[KeyFault] = []
    versions: dict[int, int] = {}
    after: UUID | None = None
    while rows := list(_after(after).order_by("id")[:BATCH]):
        after = rows[-1].id
        for row in rows:
            if row.wrapped is None:
                destroyed += 1
                continue
            versions[row.master_version] = versions.get(row.master_version, 0) + 1
            demo += row.demo
            found = _open(masters, row)
            if isinstance(found, KeyFault):
                faults.append(found)
            else:
                opened += 1
    return Checked(opened, destroyed, tuple(faults), versions, demo)


def startup_check() -> list[str]:
    """Why this installation must not start, one line each; empty when it may.

    In production demo and weak keys are refused too. Of each stored master version the oldest and the newest key are
    opened (`vault check` opens all). Lines hold versions, counts and paths, never key bytes.
    """
    try:
        masters = inspect()
    except MasterKeyFault as fault:
        return [str(fault)]
    faults = list(masters.faults)
    production = settings.ENV.mode != "demo"
    if production:
        faults += _demo_faults(masters) + weaknesses(masters)
    if masters.keys or not faults:
        faults += _stored_faults(masters, production=production)
    return faults


def _demo_faults(masters: Ring) -> list[str]:
    known = demo_materials()
    return [
        f"master key version {version} is a demo key"
        for version, key in sorted(masters.keys.items())
        if key.demo or key.material in known
    ]


def _stored_faults(masters: Ring, *, production: bool) -> list[str]:
    faults = []
    try:
        if _TABLE not in connection.introspection.table_names():
            return []  # before the first migration nothing is stored
        living = DataKey.objects.living()
        for version in living.order_by("master_version").values_list("master_version", flat=True).distinct():
            stored = living.filter(master_version=version)
            ends = [stored.order_by("id").first(), stored.order_by("-id").first()]
            if version not in masters.keys:
                faults.append(f"master key version {version} is not given, but {stored.count()} stored keys need it")
            elif any(isinstance(_open(masters, row), KeyFault) for row in ends if row is not None):
                faults.append(f"master key version {version} does not open what is stored under it")
        if production and (demo := living.filter(demo=True).count()):
            faults.append(
                f"{demo} stored keys are wrapped under a demo master key (`manage.py vault rotate` moves them to yours)"
            )
    except DatabaseError:
        faults.append("the database does not answer, so it is unknown whether the master key opens what is stored")
    return faults


def _open(masters: Ring, row: DataKey) -> bytes | KeyFault:
    master = masters.keys.get(row.master_version)
    opened = master.unwrap(row.wrapped) if master is not None and row.wrapped is not None else None
    if opened is not None:
        return opened
    reason = "version_missing" if master is None else "key_damaged"
    return KeyFault(row.id, row.scope, row.owner, row.master_version, reason)


def _after(key: UUID | None) -> DataKeys:
    return DataKey.objects.all() if key is None else DataKey.objects.filter(id__gt=key)


def _behind(target: MasterKey) -> DataKeys:
    return DataKey.objects.living().filter(master_version__lt=target.version)


def _rewrap_batch(
    masters: Ring, target: MasterKey, after: UUID | None, batch: int
) -> tuple[UUID, int, list[KeyFault]] | None:
    """Re-wrap the next keys behind `target`: (last id seen, how many, faults), or None at the end.

    The row locks hold off a destruction of the same keys, which would otherwise be undone by our write; rows that refer
    to a key may still be written. SQLite has no such locks and needs none: its transactions are IMMEDIATE.
    """
    with transaction.atomic():
        behind = _behind(target) if after is None else _behind(target).filter(id__gt=after)
        rows = list(behind.select_for_update(no_key=True).order_by("id")[:batch])
        if not rows:
            return None
        faults: list[KeyFault] = []
        moved: list[DataKey] = []
        for row in rows:
            opened = _open(masters, row)
            if isinstance(opened, KeyFault):
                faults.append(opened)
                continue
            row.wrapped, row.master_version, row.demo = target.wrap(opened), target.version, target.demo
            moved.append(row)
        DataKey.objects.bulk_update(moved, ["wrapped", "master_version", "demo"])
        return rows[-1].id, len(moved), faults
