"""Sealing through the public functions: what opens, what does not, and what nobody gets to see."""

import string
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from server.vault import actions
from server.vault.actions import blind_index, create_key, fingerprint, key_for, load_keys, seal, unseal
from server.vault.errors import MasterKeyFault, NotText, Unreadable
from server.vault.models import DataKey
from tests.vault.conftest import Clock, SetRing

pytestmark = pytest.mark.django_db

texts = st.text(max_size=300).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
places = st.text(string.ascii_lowercase + "_.|", min_size=1, max_size=30)
some = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@some
@given(text=texts, place=places, row=st.uuids())
def test_what_is_sealed_opens_in_its_place(text: str, place: str, row: UUID) -> None:
    key = key_for(scope="room", owner=UUID(int=1))
    blob = seal(key, text, place=place, row=row)
    assert unseal(blob, place=place, row=row) == text
    assert unseal(memoryview(blob), place=place, row=row) == text
    assert len(blob) == 45 + len(text.encode())
    assert blob != seal(key, text, place=place, row=row)


@some
@given(text=texts, place=places, row=st.uuids(), other_place=places, other_row=st.uuids())
def test_what_is_moved_does_not_open(text: str, place: str, row: UUID, other_place: str, other_row: UUID) -> None:
    blob = seal(key_for(scope="room", owner=UUID(int=1)), text, place=place, row=row)
    for there, whose in ((other_place, row), (place, other_row), (other_place, other_row)):
        if (there, whose) == (place, row):
            continue
        with pytest.raises(Unreadable) as raised:
            unseal(blob, place=there, row=whose)
        assert raised.value.reason == "authentication"


@some
@given(text=texts, row=st.uuids())
def test_what_is_put_under_another_key_does_not_open(text: str, row: UUID) -> None:
    one, other = (key_for(scope="room", owner=UUID(int=n)) for n in (1, 2))
    blob = seal(one, text, place="t.f", row=row)
    with pytest.raises(Unreadable, match="authentication"):
        unseal(blob[:1] + other.bytes + blob[17:], place="t.f", row=row)


@some
@given(text=texts, data=st.data())
def test_one_flipped_bit_does_not_open(text: str, data: st.DataObject) -> None:
    row = UUID(int=7)
    blob = bytearray(seal(key_for(scope="room", owner=UUID(int=1)), text, place="t.f", row=row))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unreadable):
        unseal(bytes(blob), place="t.f", row=row)


def test_a_key_put_in_another_keys_row_opens_nothing() -> None:
    """Somebody with write access to the database swaps two rooms' wrapped keys: the id in the blob tells."""
    one, other, row = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(one, "bare for rommet", place="t.f", row=row)
    DataKey.objects.filter(id=other).update(wrapped=DataKey.objects.get(id=one).wrapped)
    actions.forget_keys()
    with pytest.raises(Unreadable, match="authentication"):
        unseal(blob[:1] + other.bytes + blob[17:], place="t.f", row=row)


def test_an_unknown_key_and_a_damaged_one_are_told_apart() -> None:
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    with pytest.raises(Unreadable, match="unknown_key"):
        unseal(blob[:1] + uuid4().bytes + blob[17:], place="t.f", row=row)
    DataKey.objects.filter(id=key).update(wrapped=bytes(40))
    actions.forget_keys()
    with pytest.raises(Unreadable, match="key_damaged"):
        unseal(blob, place="t.f", row=row)


def test_a_ring_without_the_needed_version_is_an_operators_fault(set_ring: SetRing) -> None:
    key, row = create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(key, "tekst", place="t.f", row=row)
    actions.forget_keys()
    set_ring(2, 3)
    for act in (
        lambda: unseal(blob, place="t.f", row=row),
        lambda: seal(key, "mer", place="t.f", row=row),
        lambda: create_key(scope="room", owner=uuid4()),
    ):
        with pytest.raises(MasterKeyFault, match=r"^master key version 1 is needed but not given \(given: 2, 3\)$"):
            act()


def test_fingerprints_tell_bodies_and_keys_apart() -> None:
    one, other = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4())
    assert len(fingerprint(one, "tekst")) == 32
    assert fingerprint(one, "tekst") == fingerprint(one, "tekst")
    assert fingerprint(one, "tekst") != fingerprint(one, "tekst ")
    assert fingerprint(one, "tekst") != fingerprint(other, "tekst")


def test_a_blind_index_is_stable_and_separate_by_name() -> None:
    made = blind_index("patient.nin", "00000000000")
    actions.forget_keys()
    assert blind_index("patient.nin", "00000000000") == made
    assert len(made) == 32
    assert blind_index("patient.phone", "00000000000") != made
    assert blind_index("patient.nin", "00000000001") != made
    assert fingerprint(key_for(scope="service", owner=actions.INDEX_OWNER), "00000000000") != made


def test_cached_keys_need_no_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    key, row = key_for(scope="room", owner=uuid4()), uuid4()
    blind_index("patient.nin", "1")
    with django_assert_num_queries(0):
        assert unseal(seal(key, "tekst", place="t.f", row=row), place="t.f", row=row) == "tekst"
        fingerprint(key, "tekst")
        blind_index("patient.nin", "2")


def test_many_keys_are_loaded_in_one_statement(django_assert_num_queries: DjangoAssertNumQueries, clock: Clock) -> None:
    row = uuid4()
    keys = [create_key(scope="room", owner=uuid4()) for _ in range(30)]
    blobs = [seal(key, "tekst", place="t.f", row=row) for key in keys]
    actions.forget_keys()
    with django_assert_num_queries(1):
        load_keys(keys)
        load_keys(keys)
        assert all(unseal(blob, place="t.f", row=row) == "tekst" for blob in blobs)
    # Shortly before the end of their life they are renewed, so that nothing expires in the middle of a batch.
    clock.s += 21
    with django_assert_num_queries(1):
        load_keys(keys)
        clock.s += 10
        assert all(unseal(blob, place="t.f", row=row) == "tekst" for blob in blobs)


def test_loading_says_nothing_about_single_keys_that_do_not_open() -> None:
    good, bad, row = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4()), uuid4()
    blob = seal(good, "tekst", place="t.f", row=row)
    DataKey.objects.filter(id=bad).update(wrapped=bytes(40))
    actions.forget_keys()
    load_keys([good, bad, uuid4()])
    load_keys([])
    assert unseal(blob, place="t.f", row=row) == "tekst"


def test_no_fault_carries_plaintext_or_keys(caplog: pytest.LogCaptureFixture, set_ring: SetRing) -> None:
    """Law 9: every error's text, arguments, attributes and chain, and everything logged meanwhile at debug level."""
    caplog.set_level("DEBUG")
    secret, row = "Are orker ikke mer", uuid4()
    key = create_key(scope="room", owner=uuid4())
    blob = seal(key, secret, place="t.f", row=row)
    faults: list[BaseException] = []

    def fails(kind: type[Exception], act: object) -> None:
        assert callable(act)
        with pytest.raises(kind) as raised:
            act()
        faults.append(raised.value)

    fails(Unreadable, lambda: unseal(blob[:-1] + bytes([blob[-1] ^ 1]), place="t.f", row=row))
    fails(Unreadable, lambda: unseal(secret.encode(), place="t.f", row=row))
    fails(NotText, lambda: seal(key, secret + "\udc00", place="t.f", row=row))
    fails(NotText, lambda: fingerprint(key, secret + "\udc00"))
    fails(NotText, lambda: blind_index("patient.nin", secret + "\udc00"))
    actions.forget_keys()
    set_ring(2)
    fails(MasterKeyFault, lambda: unseal(blob, place="t.f", row=row))
    set_ring("1:" + secret.replace(" ", "-"))
    fails(MasterKeyFault, lambda: unseal(blob, place="t.f", row=row))

    told = caplog.text
    for fault in faults:
        link: BaseException | None = fault
        while link is not None:
            told += f"{link!s} {link!r} {link.args!r} {vars(link)!r}"
            link = link.__cause__ or link.__context__
    for word in (*secret.split(), "Are-orker"):
        assert word not in told
