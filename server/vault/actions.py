"""Sealing and unsealing, and the life of data keys. This module is the vault to all other apps.

`seal`, `unseal`, `fingerprint`, `sign` and `signed` touch no database while the key is cached (30 s); `load_keys`
refreshes many keys in one statement and is to be called, off the event loop, before a batch.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from server.vault import erased
from server.vault.cache import LIFE_S, KeyCache, NameCache
from server.vault.envelope import OpenKey, encode, key_of
from server.vault.errors import Destroyed, DestructionRefused, MasterKeyFault, Unreadable
from server.vault.models import DataKey
from server.vault.ports import CUSTODY
from server.vault.ring import KEY_BYTES, MasterKey, Ring, ring
from server.vault.upkeep import check, rotate, startup_check

__all__ = [
    "INDEX_OWNER",
    "SEAL_OWNER",
    "blind_index",
    "check",
    "create_key",
    "destroy_again",
    "destroy_key",
    "destroyed",
    "fingerprint",
    "forget_keys",
    "key_for",
    "load_keys",
    "load_names",
    "public_key",
    "rotate",
    "seal",
    "seal_key",
    "sign",
    "signed",
    "startup_check",
    "sweep_keys",
    "unseal",
]

INDEX_OWNER = UUID("6f1d4c52-0b1e-5e0f-9a5d-8d0a6c1f7e21")
"""Owner of the one "service" key under which blind indexes are made; fixed for ever."""

SEAL_OWNER = UUID("a84c8c9e-6d0f-5f3e-8f0c-6e1f1b9d2c57")
"""Owner of the one "service" key under which records are signed; fixed for ever."""

_KEPT = {INDEX_OWNER: "index_key", SEAL_OWNER: "seal_key"}
"""Keys that are never destroyed, whatever a custodian says: without the first nobody could be found by identity number
again, without the second no record could be told from a forged one."""

_PREFETCH_S = LIFE_S / 3
"""`load_keys` renews what has less than this left, so that nothing expires while the batch is being read."""
_PER_STATEMENT = 10_000

_keys = KeyCache()
_names = NameCache()


class _Own(threading.local):
    """What this thread has done in a transaction that is still open; nobody else may see it yet."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, UUID], tuple[UUID, Callable[[], None]]] = {}
        self.destroying: set[bytes] = set()


_own = _Own()


# --- data keys ----------------------------------------------------------------------------------------


def create_key(*, scope: str, owner: UUID) -> UUID:
    """Make the data key of (scope, owner) in the caller's transaction and return its id.

    Scope is "room", "subject" or "service". Raises IntegrityError when the owner has one; MasterKeyFault.
    """
    material = secrets.token_bytes(KEY_BYTES)
    master = _wrapping_key()
    row = DataKey(
        scope=scope, owner=owner, wrapped=master.wrap(material), master_version=master.version, demo=master.demo
    )
    read_at = _keys.clock()
    row.save(force_insert=True)
    # Should the transaction roll back, the material stays for 30 s under an id that nobody has: harmless. The name is
    # another matter: a name of a key that was never stored would let texts be sealed that nobody can ever open.
    _keys.keep(OpenKey(row.id, material), read_at)
    _settle_name(scope, owner, row.id)
    return row.id


def key_for(*, scope: str, owner: UUID) -> UUID:
    """The id of the data key of (scope, owner), made when missing. Cached; safe inside an outer transaction.

    Two processes that make the same key at once: the unique constraint lets one win, the other reads the winner's.
    A destroyed key is answered too: what is done with it raises Destroyed. Raises MasterKeyFault.
    """
    known = _names.find(scope, owner) or _own_name(scope, owner)
    if known is not None:
        return known
    found = _read_name(scope, owner)
    if found is None:
        try:
            with transaction.atomic():  # a savepoint, or a PostgreSQL transaction would be lost with the insert
                return create_key(scope=scope, owner=owner)
        except IntegrityError:
            found = _read_name(scope, owner)
            if found is None:
                raise
    # Not made by this thread's open transaction (that is in `_own`), hence committed.
    _names.keep(scope, owner, found)
    return found


def load_names(scope: str, owners: Iterable[UUID]) -> None:
    """Make the keys of these owners ready for `key_for`, `seal` and `unseal`, with two statements for all that are not
    at hand. Owners without a key are left alone. Raises MasterKeyFault."""
    wanting = {owner for owner in owners if not (_names.find(scope, owner) or _own_name(scope, owner))}
    if wanting:
        rows = DataKey.objects.filter(scope=scope, owner__in=wanting).values_list("owner", "id")
        for owner, key in rows:
            _names.keep(scope, owner, key)
        load_keys(key for _, key in rows)


def load_keys(keys: Iterable[UUID]) -> None:
    """Make these keys ready, with one statement for all that need it. What does not open is told by `unseal`.

    Afterwards they serve `seal` and `unseal` without a database for at least 10 s. Raises MasterKeyFault when the
    master keys are unusable as a whole.
    """
    wanting = iter(_keys.wanting({key.bytes for key in keys}, _PREFETCH_S))
    while some := list(islice(wanting, _PER_STATEMENT)):
        _read_keys(some)


def destroy_key(key: UUID, *, reason: str, actor: object) -> None:
    """Destroy a data key: what is sealed under it can never be read again. Doing it twice is doing it once.

    One transaction: ask CUSTODY under the row's lock, wipe, record. `reason` is a code, never content. After the commit
    `unseal` raises Destroyed here at once and in every other process within 30 s. Close the room or file to writers
    first: another process may still seal during those seconds. Older states of the row live on in the database's log
    and in backups, wrapped under the master key of their time (docs/decisions/0003).
    It is on the list of `erased.py` before: a list that cannot be written to stops it.
    Raises DestructionRefused, Unreadable("unknown_key"), OSError.
    """
    with transaction.atomic():
        row = _to_destroy(key)
        if row is None:
            return
        refusal = CUSTODY().may_destroy(row.scope, row.owner)
        if refusal is not None:
            raise DestructionRefused(refusal)
        erased.note(key, sign(seal_key(), erased.PURPOSE, key.bytes))
        _wipe(row, reason, actor)


def destroy_again(listed: Iterable[erased.Listed], *, reason: str, actor: object) -> erased.Redone:
    """Destroy keys that were destroyed before, and that a restored back-up has brought back. Nobody is asked once more:
    that was decided when they were listed, and each line is signed.

    A line that is not from here, or names a key that stays for ever, is passed over and counted, and the others are
    done: one bad line must not let anybody come back. Keys that this back-up does not know are passed over too. Raises
    MasterKeyFault.
    """
    keys, seal, done, bad = set[UUID](), seal_key(), list[UUID](), 0
    for one in listed:
        if not signed(seal, erased.PURPOSE, one.key.bytes, one.signature):
            bad += 1
            continue
        keys.add(one.key)
        with transaction.atomic(), suppress(Unreadable):
            try:
                row = _to_destroy(one.key)
            except DestructionRefused:
                bad += 1
                continue
            if row is not None:
                _wipe(row, reason, actor)
                done.append(one.key)
    gone = DataKey.objects.filter(destroyed_at__isnull=False)
    return erased.Redone(done, bad, sum(one not in keys for one in gone.values_list("id", flat=True)))


def _to_destroy(key: UUID) -> DataKey | None:
    """The row, locked; None when it is done already. Raises DestructionRefused for keys that stay for ever, and
    Unreadable("unknown_key")."""
    row = DataKey.objects.select_for_update(no_key=True).filter(id=key).defer("wrapped").first()
    if row is None:
        raise Unreadable("unknown_key", key=key)
    if row.destroyed_at is not None:
        return None
    if row.owner in _KEPT:
        raise DestructionRefused(_KEPT[row.owner])
    return row


def _wipe(row: DataKey, reason: str, actor: object) -> None:
    key: UUID = row.id
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")  # overwrite the freed bytes in the file
    DataKey.objects.filter(id=key).living().update(wrapped=None, destroyed_at=Now())
    CUSTODY().record_destruction(row.scope, row.owner, key, reason, actor)
    _own.destroying.add(key.bytes)
    _keys.drop(key.bytes)
    transaction.on_commit(lambda: _bury(key.bytes))


def destroyed(owners: Iterable[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
    """Which of these (scope, owner) have a key that was destroyed; one statement, and nothing is cached."""
    wanted = set(owners)
    gone = DataKey.objects.filter(owner__in={owner for _, owner in wanted}, destroyed_at__isnull=False)
    return wanted & set(gone.values_list("scope", "owner"))


# --- content ------------------------------------------------------------------------------------------


def seal(key: UUID, text: str, *, place: str, row: UUID) -> bytes:
    """Encrypt `text` for one field of one row; `place` is "table.field". 45 bytes longer than the UTF-8 text.

    Raises Destroyed, Unreadable (unknown or damaged key), NotText (lone surrogates), MasterKeyFault.
    """
    return _open(key.bytes).seal(text, place, row)


def unseal(blob: bytes | memoryview, *, place: str, row: UUID) -> str:
    """The text that was sealed for exactly this field of this row. Raises Unreadable, Destroyed, MasterKeyFault."""
    if type(blob) is not bytes:
        blob = bytes(blob)
    return _open(key_of(blob)).unseal(blob, place, row)


def fingerprint(key: UUID, text: str) -> bytes:
    """32-byte HMAC-SHA256 of `text` under a subkey of the data key: tells equal bodies from others (law 3)."""
    return _open(key.bytes).mac("fingerprint", encode(text))


def blind_index(name: str, value: str) -> bytes:
    """32-byte HMAC-SHA256 of `value` under the installation's index key, for equality look-ups of sealed values.

    `name` separates indexes ("patient.nin"): equal values of two indexes do not look alike. Normalise `value` first.
    Stable over master key rotation. Raises NotText, MasterKeyFault.
    """
    key = key_for(scope="service", owner=INDEX_OWNER)
    return _open(key.bytes).mac(f"index/{name}", encode(value))


# --- signatures ---------------------------------------------------------------------------------------


def seal_key() -> UUID:
    """The id of the installation's one key for signing records, made when missing. Raises MasterKeyFault."""
    return key_for(scope="service", owner=SEAL_OWNER)


def sign(key: UUID, purpose: str, data: bytes) -> bytes:
    """64-byte Ed25519 signature (RFC 8032) over exactly `data`; equal bytes give equal signatures.

    `purpose` is a fixed word of the caller's; each has a key pair of its own, derived from the data key. Stable over
    master key rotation. Raises Destroyed, Unreadable (unknown or damaged key), MasterKeyFault.
    """
    return _open(key.bytes).sign(purpose, data)


def signed(key: UUID, purpose: str, data: bytes, signature: bytes | memoryview) -> bool:
    """Whether `sign` made this signature for this key, purpose and data; False for whatever else it may be.

    A key that cannot be used says nothing about the signature, so it is not False: raises as `sign` does.
    """
    return _open(key.bytes).signed(purpose, data, bytes(signature))


def public_key(key: UUID, purpose: str) -> bytes:
    """The 32 raw bytes (RFC 8032) that verify signatures of this key and purpose. Raises as `sign` does."""
    return _open(key.bytes).public_key(purpose)


# --- caches -------------------------------------------------------------------------------------------


def sweep_keys() -> None:
    """Drop the material of keys past their life. Reading keys does it too; this is for a process that has gone idle."""
    _keys.sweep()


def forget_keys() -> None:
    """Empty this process's caches: after a fork, or when the database below has been replaced (tests, restore)."""
    _keys.clear()
    _names.clear()
    _own.names.clear()
    _own.destroying.clear()


def _open(key: bytes) -> OpenKey:
    found = _keys.find(key)
    return found if found is not None else _open_stored(key)


def _open_stored(key: bytes) -> OpenKey:
    if _keys.is_buried(key):
        raise Destroyed(key=UUID(bytes=key))
    found = _read_keys([key])[key]
    if isinstance(found, OpenKey):
        return found
    raise found


def _read_keys(keys: Sequence[bytes]) -> dict[bytes, OpenKey | Unreadable | MasterKeyFault]:
    """Read the rows of these keys in one statement and take what opens into the cache; per key the fault otherwise."""
    masters = ring()
    read_at = _keys.clock()  # before the statement: the life of an entry counts from what the row said at its start
    rows = {
        row.id.bytes: row
        for row in DataKey.objects.filter(id__in=[UUID(bytes=key) for key in keys]).only(
            "wrapped", "master_version", "destroyed_at"
        )
    }
    return {key: _take_in(key, rows.get(key), masters, read_at) for key in keys}


def _take_in(key: bytes, row: DataKey | None, masters: Ring, read_at: float) -> OpenKey | Unreadable | MasterKeyFault:
    if row is None:
        _keys.drop(key)
        return Unreadable("unknown_key", key=UUID(bytes=key))
    if row.wrapped is None:
        if key in _own.destroying:
            _keys.drop(key)  # our own transaction may yet roll back: remember nothing
        else:
            _keys.bury(key)
        return Destroyed(key=row.id)
    opened = _keys.renew(key, read_at)
    if opened is not None:
        return opened
    try:
        opened = OpenKey(row.id, masters.unwrap(row.master_version, row.wrapped))
    except Unreadable as damaged:
        return Unreadable(damaged.reason, key=row.id)
    except MasterKeyFault as fault:
        return fault
    return opened if _keys.keep(opened, read_at) else Destroyed(key=row.id)


def _wrapping_key() -> MasterKey:
    """The master key for new data keys: the highest version already in use, or the highest given when none is.

    Not simply the highest given: while a new version is handed out, processes that do not have it yet must be able to
    open what is made meanwhile. `rotate` is what brings a new version into use.
    """
    in_use = DataKey.objects.living().order_by("-master_version").values_list("master_version", flat=True).first()
    masters = ring()
    return masters.highest() if in_use is None else masters.version(in_use)


def _read_name(scope: str, owner: UUID) -> UUID | None:
    return DataKey.objects.filter(scope=scope, owner=owner).values_list("id", flat=True).first()


def _settle_name(scope: str, owner: UUID, key: UUID) -> None:
    """Remember a name that we have just made: at once for this thread's transaction, for all when it has committed."""

    def settle() -> None:
        _names.keep(scope, owner, key)
        _own.names.pop((scope, owner), None)

    # What Django still holds as "to do on commit" is what has not been rolled back.
    pending = {entry[1] for entry in connection.run_on_commit}
    _own.names = {name: made for name, made in _own.names.items() if made[1] in pending}
    _own.names[(scope, owner)] = (key, settle)
    transaction.on_commit(settle)


def _own_name(scope: str, owner: UUID) -> UUID | None:
    made = _own.names.get((scope, owner))
    if made is None or not any(entry[1] is made[1] for entry in connection.run_on_commit):
        return None
    return made[0]


def _bury(key: bytes) -> None:
    _keys.bury(key)
    _own.destroying.discard(key)
