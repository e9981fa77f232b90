"""Rotation: everything stays readable, before, during and after; nothing is left under the old version."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.vault import actions
from server.vault.actions import blind_index, check, create_key, destroy_key, key_for, rotate, seal, unseal
from server.vault.errors import MasterKeyFault
from server.vault.models import DataKey
from server.vault.ring import demo_file
from server.vault.upkeep import Progress
from tests.vault.conftest import FakeCustody, SetRing


def versions() -> list[int]:
    return sorted(set(DataKey.objects.living().values_list("master_version", flat=True)))


@pytest.mark.django_db
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=12),
    batch=st.integers(1, 5),
)
def test_rotation_keeps_everything_readable(set_ring: SetRing, texts: list[str], batch: int) -> None:
    set_ring(1)
    row = uuid4()
    DataKey.objects.all().delete()
    actions.forget_keys()
    blobs = [seal(create_key(scope="room", owner=uuid4()), text, place="t.f", row=row) for text in texts]
    index = blind_index("patient.nin", "00000000000")
    for ring in ((1, 2), (1, 2, 5)):
        set_ring(*ring)
        steps = list(rotate(batch))
        assert steps[0].done == 0
        assert (steps[-1].done, steps[-1].total, steps[-1].failed) == (len(texts) + 1, len(texts) + 1, ())
        assert versions() == [ring[-1]]
    set_ring(5)
    actions.forget_keys()
    assert [unseal(blob, place="t.f", row=row) for blob in blobs] == texts
    assert blind_index("patient.nin", "00000000000") == index
    assert check().faults == ()


@pytest.mark.django_db
def test_a_new_version_is_used_only_once_rotation_has_begun(set_ring: SetRing) -> None:
    """While it is being handed out, processes that lack it must be able to open what is made meanwhile."""
    create_key(scope="room", owner=uuid4())
    set_ring(1, 2)
    create_key(scope="room", owner=uuid4())
    assert versions() == [1]
    rotation = rotate(1)
    next(rotation)
    assert next(rotation).done == 1
    late = create_key(scope="room", owner=uuid4())
    assert DataKey.objects.get(id=late).master_version == 2
    assert list(rotation)[-1].done == 2
    assert versions() == [2]


@pytest.mark.django_db
def test_the_highest_version_is_used_when_nothing_is_stored(set_ring: SetRing) -> None:
    set_ring(3, 11, 2)
    create_key(scope="room", owner=uuid4())
    assert versions() == [11]


@pytest.mark.django_db
def test_an_interrupted_rotation_is_taken_up_again(set_ring: SetRing) -> None:
    for _ in range(5):
        create_key(scope="room", owner=uuid4())
    set_ring(1, 2)
    for step in rotate(2):
        if step.done:
            break
    assert versions() == [1, 2]
    assert list(rotate(2))[-1].done == 3
    assert versions() == [2]
    assert [(step.done, step.total) for step in rotate()] == [(0, 0)]


@pytest.mark.django_db
def test_what_does_not_open_is_left_as_it_is_and_reported(set_ring: SetRing) -> None:
    bad, good = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4())
    DataKey.objects.filter(id=bad).update(wrapped=bytes(40))
    set_ring(1, 2)
    last = list(rotate(1))[-1]
    assert last.done == 1
    assert [(fault.key, fault.reason) for fault in last.failed] == [(bad, "key_damaged")]
    assert bytes(DataKey.objects.get(id=bad).wrapped or b"") == bytes(40)
    assert DataKey.objects.get(id=good).master_version == 2
    set_ring(2)
    assert [(fault.key, fault.reason) for fault in check().faults] == [(bad, "version_missing")]


@pytest.mark.django_db
def test_an_old_ring_does_not_rotate_back(set_ring: SetRing) -> None:
    set_ring(1, 2)
    create_key(scope="room", owner=uuid4())
    set_ring(1)
    with pytest.raises(MasterKeyFault, match="version 2 is needed but not given"):
        list(rotate())
    assert versions() == [2]


@pytest.mark.django_db
def test_rotation_takes_keys_off_a_demo_master_key(set_ring: SetRing) -> None:
    set_ring(mode="demo")
    create_key(scope="room", owner=uuid4())
    assert check().demo == 1

    set_ring(demo_file().read_text().splitlines()[1], 2)
    list(rotate())
    assert check().demo == 0


@pytest.mark.django_db(transaction=True)
def test_destroyed_keys_stay_destroyed(set_ring: SetRing, custody: FakeCustody) -> None:
    gone, kept = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4())
    destroy_key(gone, reason="retention", actor=None)
    set_ring(1, 2)
    last = list(rotate())[-1]
    assert (last.done, last.total, last.failed) == (2, 2, ()), "the kept one, and that which signs the list"
    found = check()
    assert (found.opened, found.destroyed, found.versions) == (2, 1, {2: 2})
    assert DataKey.objects.get(id=gone).wrapped is None
    assert DataKey.objects.get(id=kept).wrapped is not None


@pytest.mark.django_db(transaction=True)
def test_a_rotation_waits_for_a_destruction_in_flight(set_ring: SetRing, custody: FakeCustody) -> None:
    """Without the row lock it would write back, re-wrapped, what it had read before the destruction committed."""
    gone, kept = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4())
    set_ring(1, 2)

    def run() -> Progress:
        try:
            return list(rotate())[-1]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        running: list[Future[Progress]] = []

        def meanwhile() -> None:
            running.append(pool.submit(run))
            with pytest.raises(TimeoutError):
                running[0].result(0.3)

        custody.meanwhile = meanwhile
        destroy_key(gone, reason="retention", actor=None)
        last = running[0].result(20)
    assert last.failed == ()
    assert DataKey.objects.get(id=gone).wrapped is None
    assert DataKey.objects.get(id=kept).master_version == 2


@pytest.mark.django_db
def test_what_comes_in_under_the_old_version_meanwhile_is_taken_too(set_ring: SetRing) -> None:
    """A transaction that chose its version before the rotation and committed after the rotation had passed its id."""
    early, *_ = (create_key(scope="room", owner=uuid4()) for _ in range(3))
    before = DataKey.objects.filter(id=early).values("wrapped", "master_version")[0]
    set_ring(1, 2)
    rotation = rotate(1)
    next(rotation)
    assert next(rotation).done == 1
    DataKey.objects.filter(id=early).update(**before)
    assert list(rotation)[-1].done == 4
    assert versions() == [2]


def repeat(act: Callable[[], bool], stop: threading.Event) -> None:
    """In a thread: again and again until told to stop, or until the act says that there is no more to do."""
    try:
        while not stop.is_set() and act():
            stop.wait(0.002)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_work_goes_on_during_rotation(set_ring: SetRing, custody: FakeCustody) -> None:
    """Readers, makers and a destroyer run against a rotation in small batches; afterwards one version is left."""
    row, stop = uuid4(), threading.Event()
    sealed: dict[UUID, bytes] = {}
    made: dict[UUID, bytes] = {}
    for _ in range(40):
        key = create_key(scope="room", owner=uuid4())
        sealed[key] = seal(key, str(key), place="t.f", row=row)
    doomed = [create_key(scope="room", owner=uuid4()) for _ in range(10)]
    set_ring(1, 2)

    def read() -> bool:
        for key, blob in sealed.items():
            actions._keys.drop(key.bytes)
            assert unseal(blob, place="t.f", row=row) == str(key)
        return True

    def make() -> bool:
        key = key_for(scope="subject", owner=uuid4())
        made[key] = seal(key, str(key), place="t.f", row=row)
        return True

    def destroy() -> bool:
        destroy_key(doomed.pop(), reason="retention", actor=None)
        return bool(doomed)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(repeat, act, stop) for act in (read, make, destroy)]
        try:
            for _ in rotate(3):
                stop.wait(0.005)
            running[2].result(20)
        finally:
            stop.set()
        for ended in running:
            ended.result(20)
    list(rotate())  # a maker may have chosen its version just before the first batch was committed
    assert versions() == [2]
    actions.forget_keys()
    set_ring(2)
    for key, blob in (sealed | made).items():
        assert unseal(blob, place="t.f", row=row) == str(key)
    assert check().destroyed == 10
