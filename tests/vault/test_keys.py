"""The life of data keys: made once, whoever asks; remembered only when they are truly stored; bounded in memory."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from server.vault import actions
from server.vault.actions import create_key, key_for, load_keys, seal, unseal
from server.vault.cache import KeyCache, NameCache
from server.vault.envelope import OpenKey
from server.vault.errors import Unreadable
from server.vault.models import DataKey
from tests.vault.conftest import Clock


class Undone(Exception):
    """Rolls a transaction back."""


def in_threads(acts: list[Callable[[], UUID]]) -> list[UUID]:
    """Run each act in a thread of its own, all starting together; connections are closed behind them."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], UUID]) -> UUID:
        try:
            gate.wait(10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.mark.django_db
def test_an_owner_has_one_key_per_scope() -> None:
    owner = uuid4()
    made = create_key(scope="room", owner=owner)
    assert key_for(scope="room", owner=owner) == made
    assert key_for(scope="subject", owner=owner) != made
    with pytest.raises(IntegrityError), transaction.atomic():
        create_key(scope="room", owner=owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        create_key(scope="elsewhere", owner=owner)


@pytest.mark.django_db
def test_a_key_is_found_without_a_statement_the_second_time(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    owner = uuid4()
    key = create_key(scope="subject", owner=owner)
    with django_assert_num_queries(0):
        assert key_for(scope="subject", owner=owner) == key
    actions.forget_keys()
    with django_assert_num_queries(1):
        assert key_for(scope="subject", owner=owner) == key
        assert key_for(scope="subject", owner=owner) == key


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make", [create_key, key_for])
@pytest.mark.parametrize("nested", [False, True], ids=["whole transaction", "savepoint"])
def test_a_key_that_was_rolled_back_is_not_remembered(make: Callable[..., UUID], nested: bool) -> None:
    """Otherwise texts would be sealed under a key that is stored nowhere, and lost."""
    owner = uuid4()

    def undo() -> UUID:
        with transaction.atomic():
            phantom = make(scope="subject", owner=owner)
            assert key_for(scope="subject", owner=owner) == phantom
            raise Undone

    if nested:
        with transaction.atomic():
            with pytest.raises(Undone):
                undo()
            key = key_for(scope="subject", owner=owner)
    else:
        with pytest.raises(Undone):
            undo()
        key = key_for(scope="subject", owner=owner)
    assert list(DataKey.objects.filter(owner=owner).values_list("id", flat=True)) == [key]
    blob = seal(key, "tekst", place="t.f", row=owner)
    actions.forget_keys()
    assert unseal(blob, place="t.f", row=owner) == "tekst"


@pytest.mark.django_db(transaction=True)
def test_a_key_is_no_other_threads_before_it_is_committed() -> None:
    """A thread that asks meanwhile waits for our end; since we roll back, it makes its own and gets no phantom."""
    owner = uuid4()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            phantom = create_key(scope="subject", owner=owner)
            asked = pool.submit(lambda: in_threads([lambda: key_for(scope="subject", owner=owner)])[0])
            with pytest.raises(TimeoutError):
                asked.result(0.3)
            transaction.set_rollback(True)
        got = asked.result(10)
    assert got != phantom
    assert key_for(scope="subject", owner=owner) == got == DataKey.objects.get(owner=owner).id


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outer", [False, True], ids=["autocommit", "inside a transaction"])
def test_many_at_once_get_the_same_key(outer: bool) -> None:
    def ask(owner: UUID) -> UUID:
        if not outer:
            return key_for(scope="subject", owner=owner)
        with transaction.atomic():
            key = key_for(scope="subject", owner=owner)
            # The outer transaction is still whole, also for the one who lost.
            assert DataKey.objects.filter(id=key).exists()
            return key

    for _ in range(5):
        owner = uuid4()
        got = in_threads([lambda owner=owner: ask(owner)] * 6)  # type: ignore[misc]
        assert set(got) == set(DataKey.objects.filter(owner=owner).values_list("id", flat=True))
        assert len(set(got)) == 1


@pytest.mark.django_db
def test_a_key_is_read_again_after_its_life(clock: Clock, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    for wait, statements in ((29.9, 0), (0.2, 1), (29.9, 0), (0.2, 1)):
        clock.s += wait
        with django_assert_num_queries(statements):
            assert unseal(blob, place="t.f", row=row) == "tekst"
            assert unseal(blob, place="t.f", row=row) == "tekst"


@pytest.mark.django_db
def test_a_key_whose_row_is_gone_is_forgotten(clock: Clock) -> None:
    key = create_key(scope="room", owner=uuid4())
    blob = seal(key, "tekst", place="t.f", row=key)
    DataKey.objects.filter(id=key).delete()
    clock.s += 30
    load_keys([key])
    with pytest.raises(Unreadable, match="unknown_key"):
        unseal(blob, place="t.f", row=key)


def opened() -> OpenKey:
    return OpenKey(uuid4(), bytes(range(32)))


def test_the_cache_is_bounded_and_gives_what_is_used_a_second_chance() -> None:
    clock = Clock()
    cache = KeyCache(bound=10, clock=clock)
    first = [opened() for _ in range(10)]
    for key in first:
        cache.keep(key, clock.s)
    cache.keep(opened(), clock.s)  # everybody's first chance is used up here
    favourite = next(key for key in first if cache.find(key.id.bytes))
    for key in first:
        key.used = False
    for _ in range(9):
        assert cache.find(favourite.id.bytes) is favourite
        fresh = opened()
        cache.keep(fresh, clock.s)
        fresh.used = False
        assert len(cache) == 10
    assert cache.find(favourite.id.bytes) is favourite
    assert sum(cache.find(key.id.bytes) is not None for key in first) < 5


def test_what_is_past_its_life_leaves_memory() -> None:
    clock = Clock()
    cache = KeyCache(clock=clock)
    for _ in range(5):
        cache.keep(opened(), clock.s)
    clock.s += 29
    last = opened()
    cache.keep(last, clock.s)
    clock.s += 1
    cache.sweep()
    assert len(cache) == 1
    clock.s += 30
    cache.keep(opened(), clock.s)  # taking one in sweeps too
    assert len(cache) == 1
    assert cache.find(last.id.bytes) is None


def test_life_counts_from_before_the_statement() -> None:
    clock = Clock()
    cache, key = KeyCache(clock=clock), opened()
    clock.s += 20
    cache.keep(key, read_at=clock.s - 20)
    clock.s += 10
    assert cache.find(key.id.bytes) is None


def test_a_burial_wins_over_a_row_read_before_it() -> None:
    cache, key = KeyCache(), opened()
    read_at = cache.clock()
    cache.bury(key.id.bytes)
    assert not cache.keep(key, read_at)
    assert cache.find(key.id.bytes) is None
    assert cache.wanting([key.id.bytes], 0) == []


def test_burials_and_names_are_bounded() -> None:
    cache, names = KeyCache(bound=3), NameCache(bound=3)
    owners = [uuid4() for _ in range(5)]
    for owner in owners:
        cache.bury(owner.bytes)
        names.keep("room", owner, owner)
    assert [cache.is_buried(owner.bytes) for owner in owners] == [False, False, True, True, True]
    assert [names.find("room", owner) is not None for owner in owners] == [False, False, True, True, True]


def test_the_cache_holds_under_threads() -> None:
    cache = KeyCache(bound=50)
    keys = [opened() for _ in range(100)]

    def work(start: int) -> bool:
        right = True
        for step in range(3000):
            key = keys[(start * 13 + step * 7) % (30 if step % 4 else 100)].id
            found = cache.find(key.bytes)
            if found is None:
                cache.keep(OpenKey(key, bytes(32)), cache.clock())
            else:
                right &= found.id == key
            if step % 50 == 0:
                cache.renew(key.bytes, cache.clock())
                cache.drop(key.bytes)
        return right

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert 0 < len(cache) <= 50
