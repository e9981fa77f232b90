"""Signatures: what is signed verifies with any Ed25519, what differs in anything does not, and nobody sees the key."""

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from server.vault import actions
from server.vault.actions import (
    INDEX_OWNER,
    SEAL_OWNER,
    check,
    create_key,
    destroy_key,
    key_for,
    public_key,
    rotate,
    seal_key,
    sign,
    signed,
)
from server.vault.envelope import OpenKey
from server.vault.errors import Destroyed, DestructionRefused, MasterKeyFault, Unreadable
from server.vault.models import DataKey
from tests.support.served import sqlite_only
from tests.vault.conftest import FakeCustody, SetRing
from tests.vault.test_command import vault

pytestmark = sqlite_only

VECTORS = Path(__file__).parents[1] / "vectors"
ED25519 = json.loads((VECTORS / "ed25519.json").read_text())
DATA_KEY = bytes.fromhex(json.loads((VECTORS / "vault-format-1.json").read_text())["data_key"])
DATA = ED25519["message"].encode()

some = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def open_key(material: bytes = DATA_KEY) -> OpenKey:
    return OpenKey(UUID(int=7), material)


@pytest.mark.parametrize("case", ED25519["cases"], ids=lambda case: case["name"])
def test_the_library_keeps_the_vectors_of_rfc_8032(case: dict[str, str]) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["secret_key"]))
    message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert private.public_key().public_bytes_raw().hex() == case["public_key"]
    assert private.sign(message) == signature
    private.public_key().verify(signature, message)


@pytest.mark.parametrize("case", ED25519["refused"], ids=lambda case: case["name"])
def test_the_library_refuses_what_only_looks_like_a_signature(case: dict[str, str]) -> None:
    """One message has one signature: another encoding of the same point is none."""
    whole = ED25519["cases"][1]
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(whole["public_key"]))
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(case["signature"]), bytes.fromhex(whole["message"]))


@pytest.mark.parametrize("case", ED25519["derived"], ids=lambda case: case["purpose"])
def test_key_pairs_are_derived_as_they_were(case: dict[str, str]) -> None:
    """Should this turn red, every seal ever made is broken."""
    key, signature = open_key(), bytes.fromhex(case["signature"])
    assert key.public_key(case["purpose"]).hex() == case["public_key"]
    assert key.sign(case["purpose"], DATA) == signature
    assert key.signed(case["purpose"], DATA, signature)


@some
@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8"), max_size=20))
def test_what_is_signed_verifies_with_the_public_key_alone(data: bytes, purpose: str) -> None:
    key = open_key()
    signature = key.sign(purpose, data)
    assert len(signature) == 64
    assert signature == open_key().sign(purpose, data)
    Ed25519PublicKey.from_public_bytes(key.public_key(purpose)).verify(signature, data)


@some
@given(st.data())
def test_one_flipped_bit_anywhere_is_no_signature(data: st.DataObject) -> None:
    key = open_key()
    message, signature = bytearray(DATA), bytearray(key.sign("consent", DATA))
    changed = data.draw(st.sampled_from([message, signature]))
    bit = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert not key.signed("consent", bytes(message), bytes(signature))


@some
@given(st.binary(max_size=130))
def test_whatever_else_is_given_as_a_signature_is_none(signature: bytes) -> None:
    assert not open_key().signed("consent", DATA, signature)


def test_each_purpose_and_each_data_key_has_a_key_pair_of_its_own() -> None:
    key, other = open_key(), open_key(bytes(32))
    signature = key.sign("consent", DATA)
    for purpose in ("consent ", "Consent", "", "consent/1", "fingerprint", "index/patient.nin"):
        assert not key.signed(purpose, DATA, signature)
    assert not other.signed("consent", DATA, signature)
    publics = {one.public_key(purpose) for one in (key, other) for purpose in ("consent", "export", "")}
    assert len(publics) == 6


def test_no_key_for_macs_is_a_key_that_signs() -> None:
    """Whoever learns a fingerprint subkey can sign nothing, whatever a purpose is called."""
    key = open_key()
    for purpose in ("consent", "1/consent", "/vault-sign/1/consent", "../vault-sign/1/consent", "fingerprint"):
        key.mac(purpose, DATA)
        key.sign(purpose, DATA)
    seeds = {private.private_bytes_raw() for private, _ in key._signers.values()}
    assert seeds.isdisjoint(key._subkeys.values())
    assert DATA_KEY not in seeds


def test_one_key_signs_in_many_threads() -> None:
    key = open_key()

    def work(name: int) -> bool:
        data = [f"{name} {step}".encode() for step in range(200)]
        return all(key.signed("consent", one, key.sign("consent", one)) for one in data)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.django_db
def test_the_key_of_seals_is_one_and_not_the_index_key(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    key = seal_key()
    stored = DataKey.objects.get(id=key)
    assert (stored.scope, stored.owner) == ("service", SEAL_OWNER)
    assert key != key_for(scope="service", owner=INDEX_OWNER)
    signature = sign(key, "consent", DATA)
    with django_assert_num_queries(0):
        assert seal_key() == key
        assert signed(key, "consent", DATA, signature)
        assert signed(key, "consent", DATA, memoryview(signature))
        assert not signed(key, "consent", DATA + b" ", signature)
        assert not signed(key, "consent", DATA, b"")
    actions.forget_keys()
    assert seal_key() == key
    assert signed(key, "consent", DATA, signature)
    assert sign(key, "consent", DATA) == signature


@pytest.mark.django_db
def test_signatures_and_public_key_survive_rotation(set_ring: SetRing) -> None:
    key = seal_key()
    signature, public = sign(key, "consent", DATA), public_key(key, "consent")
    set_ring(1, 2)
    assert list(rotate())[-1].failed == ()
    set_ring(2)
    actions.forget_keys()
    assert DataKey.objects.get(id=key).master_version == 2
    assert check().faults == ()
    assert public_key(seal_key(), "consent") == public
    assert signed(key, "consent", DATA, signature)
    assert sign(key, "consent", DATA) == signature


@pytest.mark.django_db
def test_an_administrator_without_the_master_key_can_break_seals_but_make_none() -> None:
    """Wrapped keys may be exchanged, marked otherwise or deleted: old seals fail, and none verifies that was not made.

    The public key, once noted elsewhere, tells that the key has been exchanged.
    """
    key, other = seal_key(), create_key(scope="room", owner=uuid4())
    signature, public = sign(key, "consent", DATA), public_key(key, "consent")
    DataKey.objects.filter(id=key).update(wrapped=DataKey.objects.get(id=other).wrapped)
    actions.forget_keys()
    assert not signed(seal_key(), "consent", DATA, signature)
    assert public_key(seal_key(), "consent") != public
    DataKey.objects.filter(id=key).delete()
    actions.forget_keys()
    assert seal_key() != key
    assert not signed(seal_key(), "consent", DATA, signature)
    with pytest.raises(Unreadable, match="unknown_key"):
        signed(key, "consent", DATA, signature)


@pytest.mark.django_db(transaction=True)
def test_the_key_of_seals_is_never_destroyed(custody: FakeCustody) -> None:
    """Whatever the custodian would allow."""
    key = seal_key()
    signature = sign(key, "consent", DATA)
    with pytest.raises(DestructionRefused, match="seal_key"):
        destroy_key(key, reason="retention", actor=None)
    assert custody.recorded == []
    actions.forget_keys()
    assert signed(key, "consent", DATA, signature)


@pytest.mark.django_db(transaction=True)
def test_a_key_that_cannot_be_used_is_not_a_bad_signature(set_ring: SetRing, custody: FakeCustody) -> None:
    """Nobody may take a fault of the installation for a forged record, nor the other way round."""
    gone, damaged, key = (create_key(scope="room", owner=uuid4()) for _ in range(3))
    destroy_key(gone, reason="retention", actor=None)
    DataKey.objects.filter(id=damaged).update(wrapped=bytes(40))
    actions.forget_keys()

    def fails(kind: type[Exception], which: UUID, match: str) -> None:
        for act in (
            lambda: sign(which, "consent", DATA),
            lambda: signed(which, "consent", DATA, bytes(64)),
            lambda: public_key(which, "consent"),
        ):
            with pytest.raises(kind, match=match):
                act()

    fails(Destroyed, gone, "destroyed")
    fails(Unreadable, damaged, "key_damaged")
    fails(Unreadable, uuid4(), "unknown_key")
    set_ring(2)
    fails(MasterKeyFault, key, "master key version 1 is needed")


@pytest.mark.django_db
def test_nothing_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Law 9: neither key bytes nor what was signed, in whatever an error or a log prints."""
    caplog.set_level("DEBUG")
    secret = b"Are orker ikke mer"
    key = open_key()
    signature = key.sign("consent", secret)
    assert not key.signed("consent", secret, signature[:-1])
    stored = seal_key()
    sign(stored, "consent", secret)
    DataKey.objects.filter(id=stored).update(wrapped=bytes(40))
    actions.forget_keys()
    with pytest.raises(Unreadable) as raised:
        signed(stored, "consent", secret, signature)
    private, public = key._signers["consent"]
    told = " ".join([caplog.text, repr(key), str(key), repr(private), repr(public), repr(key._signers)])
    link: BaseException | None = raised.value
    while link is not None:
        told += f"{link!s} {link!r} {link.args!r} {vars(link)!r}"
        link = link.__cause__ or link.__context__
    for hidden in (DATA_KEY, private.private_bytes_raw(), signature, secret):
        assert hidden.hex() not in told
        assert repr(hidden)[2:-1] not in told


@pytest.mark.django_db
def test_a_stranger_verifies_with_openssl(tmp_path: Path) -> None:
    """docs/decisions/0015: the printed key, the stored document and its signature are all that it takes (L4)."""
    openssl = shutil.which("openssl")
    if openssl is None or not subprocess.check_output([openssl, "version"]).startswith(b"OpenSSL 3"):
        pytest.skip("no OpenSSL 3 command on this machine")
    (tmp_path / "seal.pem").write_text(vault("seal-key"))
    (tmp_path / "document.json").write_bytes(DATA)
    (tmp_path / "signature.bin").write_bytes(sign(seal_key(), "consent.version", DATA))
    ask = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "seal.pem"]
    ask += ["-rawin", "-in", "document.json", "-sigfile", "signature.bin"]
    assert subprocess.run(ask, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "document.json").write_bytes(DATA.replace(b"given", b"taken"))
    assert subprocess.run(ask, cwd=tmp_path, capture_output=True).returncode != 0
