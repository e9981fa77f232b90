"""The sealed form against published vectors, and against one of our own that must open for ever."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.vault import envelope
from server.vault.envelope import OpenKey, encode, key_of
from server.vault.errors import NotText, Unreadable
from server.vault.ring import MasterKey
from tests.support.served import sqlite_only

pytestmark = sqlite_only

VECTORS = Path(__file__).parents[1] / "vectors"
GCM = json.loads((VECTORS / "aes-256-gcm.json").read_text())["cases"]
WRAP = json.loads((VECTORS / "rfc3394.json").read_text())
FORMAT_1 = json.loads((VECTORS / "vault-format-1.json").read_text())


def open_key() -> OpenKey:
    return OpenKey(UUID(FORMAT_1["key"]), bytes.fromhex(FORMAT_1["data_key"]))


@pytest.mark.parametrize("case", GCM, ids=lambda case: case["name"])
def test_the_library_keeps_the_nist_vectors(case: dict[str, str]) -> None:
    given = {name: bytes.fromhex(value) for name, value in case.items() if name != "name"}
    aead = AESGCM(given["key"])
    sealed = given["ciphertext"] + given["tag"]
    assert aead.encrypt(given["nonce"], given["plaintext"], given["associated_data"]) == sealed
    assert aead.decrypt(given["nonce"], sealed, given["associated_data"]) == given["plaintext"]


def test_a_data_key_is_wrapped_as_in_rfc_3394() -> None:
    master = MasterKey(1, bytes.fromhex(WRAP["kek"]))
    assert master.wrap(bytes.fromhex(WRAP["key_data"])).hex() == WRAP["wrapped"]
    assert master.unwrap(bytes.fromhex(WRAP["wrapped"])) == bytes.fromhex(WRAP["key_data"])


@pytest.mark.parametrize("bit", range(0, 320, 7))
def test_a_wrapped_key_with_one_flipped_bit_does_not_unwrap(bit: int) -> None:
    wrapped = bytearray.fromhex(WRAP["wrapped"])
    wrapped[bit // 8] ^= 1 << bit % 8
    assert MasterKey(1, bytes.fromhex(WRAP["kek"])).unwrap(bytes(wrapped)) is None


@pytest.mark.parametrize("length", [0, 8, 24, 39, 41, 48])
def test_a_wrapped_key_of_another_length_does_not_unwrap(length: int) -> None:
    assert MasterKey(1, bytes.fromhex(WRAP["kek"])).unwrap(b"\xa6" * length) is None


def test_format_1_opens_and_is_what_we_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "urandom", lambda length: bytes.fromhex(FORMAT_1["nonce"])[:length])
    blob, place, row = bytes.fromhex(FORMAT_1["blob"]), FORMAT_1["place"], UUID(FORMAT_1["row"])
    assert open_key().unseal(blob, place, row) == FORMAT_1["text"]
    assert open_key().seal(FORMAT_1["text"], place, row) == blob
    assert key_of(blob) == UUID(FORMAT_1["key"]).bytes


def test_format_1_keeps_its_fingerprints_and_indexes() -> None:
    assert open_key().mac("fingerprint", FORMAT_1["text"].encode()).hex() == FORMAT_1["fingerprint"]
    index = open_key().mac(f"index/{FORMAT_1['index_name']}", FORMAT_1["index_value"].encode())
    assert index.hex() == FORMAT_1["blind_index"]


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x01" * 44, id="one byte too short"),
        pytest.param(b"\x00" + b"\x01" * 60, id="format 0"),
        pytest.param(b"\x02" + b"\x01" * 60, id="a format of the future"),
        pytest.param(b"plain text that somebody stored by mistake, unsealed", id="not a blob"),
    ],
)
def test_what_is_not_a_blob_is_told(blob: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        key_of(blob)
    assert raised.value.reason == "format"


def test_a_lone_surrogate_is_refused_without_carrying_the_text() -> None:
    with pytest.raises(NotText) as raised:
        encode("hemmelig \ud800 tekst")
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert "hemmelig" not in repr(raised.value) + repr(vars(raised.value))


def test_one_key_serves_many_threads() -> None:
    key, row = open_key(), UUID(FORMAT_1["row"])

    def work(name: int) -> bool:
        texts = [f"{name} {step}" for step in range(500)]
        blobs = [key.seal(text, "t.f", row) for text in texts]
        return [key.unseal(blob, "t.f", row) for blob in blobs] == texts

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_keys_do_not_show_or_copy_themselves() -> None:
    secret = bytes.fromhex(FORMAT_1["data_key"])
    for shown in (repr(open_key()), str(open_key()), repr(MasterKey(1, secret))):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    with pytest.raises(TypeError):
        pickle.dumps(open_key())
