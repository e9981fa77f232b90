"""Destroying a data key: guarded, recorded, for good, and known everywhere within 30 s."""

import threading
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries

from server.common.ports import UnboundPort
from server.vault import actions
from server.vault.actions import INDEX_OWNER, blind_index, create_key, destroy_key, key_for, load_keys, seal, unseal
from server.vault.errors import Destroyed, DestructionRefused, Unreadable
from server.vault.models import DataKey
from server.vault.ports import CUSTODY
from tests.vault.conftest import Clock, FakeCustody


@pytest.mark.django_db(transaction=True)
def test_destroyed_means_unreadable_at_once_here(
    custody: FakeCustody, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    owner, row, actor = uuid4(), uuid4(), object()
    key = create_key(scope="room", owner=owner)
    blob = seal(key, "tekst", place="t.f", row=row)
    destroy_key(key, reason="retention", actor=actor)
    stored = DataKey.objects.get(id=key)
    assert stored.wrapped is None
    assert stored.destroyed_at is not None
    assert custody.recorded == [("room", owner, key, "retention", actor)]
    with django_assert_num_queries(0):
        load_keys([key])
        with pytest.raises(Destroyed):
            unseal(blob, place="t.f", row=row)
        with pytest.raises(Destroyed):
            seal(key, "mer", place="t.f", row=row)
    actions.forget_keys()
    with pytest.raises(Unreadable, match="destroyed"):
        unseal(blob, place="t.f", row=row)


@pytest.mark.django_db(transaction=True)
def test_an_owner_whose_key_was_destroyed_gets_no_new_one(custody: FakeCustody) -> None:
    owner = uuid4()
    key = create_key(scope="subject", owner=owner)
    destroy_key(key, reason="retention", actor=None)
    actions.forget_keys()
    assert key_for(scope="subject", owner=owner) == key
    with pytest.raises(Destroyed):
        seal(key, "tekst", place="t.f", row=owner)


@pytest.mark.django_db
def test_destroyed_elsewhere_is_known_here_within_30_s(
    clock: Clock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Another process destroys: the row changes and nobody tells us."""
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    clock.s += 15
    load_keys([key])  # nothing to renew yet
    DataKey.objects.filter(id=key).update(wrapped=None, destroyed_at=Now())
    clock.s += 14.9
    assert unseal(blob, place="t.f", row=row) == "tekst"
    clock.s += 0.1
    with django_assert_num_queries(1):
        for _ in range(3):
            with pytest.raises(Destroyed):
                unseal(blob, place="t.f", row=row)
        clock.s += 100
        load_keys([key])


@pytest.mark.django_db(transaction=True)
def test_refused_means_nothing_happened(custody: FakeCustody) -> None:
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    custody.refusal = "retention_not_over"
    with pytest.raises(DestructionRefused) as raised:
        destroy_key(key, reason="retention", actor=None)
    assert raised.value.reason == "retention_not_over"
    actions.forget_keys()
    assert unseal(blob, place="t.f", row=row) == "tekst"
    assert custody.recorded == []


@pytest.mark.django_db(transaction=True)
def test_no_destruction_without_its_record(custody: FakeCustody) -> None:
    """Law 1: when the audit cannot be written, the key lives on, in the table and in the caches."""
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    custody.failure = RuntimeError("no audit today")
    with pytest.raises(RuntimeError):
        destroy_key(key, reason="retention", actor=None)
    assert unseal(blob, place="t.f", row=row) == "tekst"
    actions.forget_keys()
    assert unseal(blob, place="t.f", row=row) == "tekst"


@pytest.mark.django_db(transaction=True)
def test_a_destruction_rolled_back_by_the_caller_leaves_no_trace(custody: FakeCustody) -> None:
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    with transaction.atomic():
        destroy_key(key, reason="retention", actor=None)
        with pytest.raises(Destroyed):
            unseal(blob, place="t.f", row=row)
        transaction.set_rollback(True)
    assert unseal(blob, place="t.f", row=row) == "tekst"


@pytest.mark.django_db(transaction=True)
def test_twice_is_once_and_an_unknown_key_is_told(custody: FakeCustody) -> None:
    key = create_key(scope="room", owner=uuid4())
    destroy_key(key, reason="retention", actor=None)
    destroy_key(key, reason="retention", actor=None)
    assert len(custody.recorded) == 1
    with pytest.raises(Unreadable, match="unknown_key"):
        destroy_key(uuid4(), reason="retention", actor=None)


@pytest.mark.django_db
def test_the_index_key_is_never_destroyed(custody: FakeCustody) -> None:
    blind_index("patient.nin", "1")
    with pytest.raises(DestructionRefused, match="index_key"):
        destroy_key(key_for(scope="service", owner=INDEX_OWNER), reason="retention", actor=None)


@pytest.mark.django_db
def test_without_a_custodian_nothing_is_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CUSTODY, "_bound", None)
    key = create_key(scope="room", owner=uuid4())
    with pytest.raises(UnboundPort):
        destroy_key(key, reason="retention", actor=None)
    assert DataKey.objects.get(id=key).destroyed_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"destroyed_at": Now()}, id="marked destroyed, material kept"),
        pytest.param({"wrapped": None}, id="material gone, not marked"),
    ],
)
def test_the_table_knows_no_half_destroyed_key(change: dict[str, object]) -> None:
    key = create_key(scope="room", owner=uuid4())
    with pytest.raises(IntegrityError), transaction.atomic():
        DataKey.objects.filter(id=key).update(**change)


@pytest.mark.django_db(transaction=True)
def test_readers_racing_a_destruction_never_read_after_it(custody: FakeCustody) -> None:
    """A reader that read the row before the commit and comes to the cache after it must not bring the key back."""
    row = uuid4()
    for _ in range(5):
        key = create_key(scope="room", owner=uuid4())
        blob = seal(key, "tekst", place="t.f", row=row)
        gone, stop = threading.Event(), threading.Event()
        late: list[UUID] = []

        def read(
            key: UUID = key,
            blob: bytes = blob,
            gone: threading.Event = gone,
            stop: threading.Event = stop,
            late: list[UUID] = late,
        ) -> None:
            try:
                while not stop.is_set():
                    was_gone = gone.is_set()
                    actions._keys.drop(key.bytes)  # make every look-up read the row
                    try:
                        unseal(blob, place="t.f", row=row)
                    except Destroyed:
                        continue
                    if was_gone:
                        late.append(key)
            finally:
                connection.close()

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        destroy_key(key, reason="retention", actor=None)
        gone.set()
        for _ in range(200):
            with pytest.raises(Destroyed):
                unseal(blob, place="t.f", row=row)
        stop.set()
        for reader in readers:
            reader.join()
        assert late == []
