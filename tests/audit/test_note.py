"""Signed notes and checkpoints: the specification's own, byte for byte, and nothing that is merely like one."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit.note import Signer, sign_note
from server.audit.verify import BadNote, Checkpoint, VerifierKey, leaf_hash, open_checkpoint, open_note, root_of
from tests.support.served import sqlite_only

pytestmark = sqlite_only

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signed-note.json").read_text())
LOG = VECTORS["checkpoint"]
SIGNER, OTHER = Signer.new("log.example/one"), Signer.new("log.example/two")
HEAD = Checkpoint(SIGNER.name, 3, bytes(range(32)))


@pytest.mark.parametrize("case", VECTORS["verify"], ids=lambda case: case["verifier_key"].split("+")[0])
def test_the_note_of_the_specification(case: dict[str, str]) -> None:
    key = VerifierKey.parse(case["verifier_key"])
    note = f"{case['text']}\n\N{EM DASH} {key.name} {case['signature_base64']}\n"
    assert key.line == case["verifier_key"]
    assert open_note(note, [key]) == case["text"]
    assert open_note(note, [OTHER.verifier, key]) == case["text"]


def test_the_checkpoint_of_another_log() -> None:
    signer, key = Signer.parse(LOG["signer_key"]), VerifierKey.parse(LOG["verifier_key"])
    head = Checkpoint(LOG["origin"], LOG["size"], b64decode(LOG["root_base64"]))
    assert (signer.line, signer.verifier, key.line) == (LOG["signer_key"], key, LOG["verifier_key"])
    assert head.root == root_of(leaf_hash(one.encode()) for one in LOG["leaves_ascii"])
    note = sign_note(head.text, [signer])
    assert note == f"{head.text}\n\N{EM DASH} {key.name} {LOG['signature_base64']}\n"
    assert open_checkpoint(note, [key]) == head


def test_a_signer_is_read_back_and_never_shown() -> None:
    assert Signer.parse(SIGNER.line) == SIGNER
    assert VerifierKey.parse(f" {SIGNER.verifier.line}\n") == SIGNER.verifier
    assert SIGNER.named("log.example/one/2").verifier.public == SIGNER.verifier.public
    assert SIGNER.named("log.example/one/2").verifier.key_id != SIGNER.verifier.key_id
    secret = SIGNER.line.split("+", 4)[4]
    assert secret not in repr(SIGNER)
    assert str(list(SIGNER.seed)) not in repr(SIGNER)
    for wrong in (SIGNER.verifier.line, SIGNER.line[:-1], SIGNER.line.replace("one", "two"), "", "PRIVATE+KEY+a+b"):
        with pytest.raises(ValueError, match="not a signing key") as refused:
            Signer.parse(wrong)
        assert secret not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u2003b", "a\x00b", " a", "a\t"])
def test_a_name_has_no_space_and_no_plus(name: str) -> None:
    for make in (Signer.new, SIGNER.named, lambda name: VerifierKey(name, b"k" * 32)):
        with pytest.raises(ValueError, match="name"):
            make(name)


def test_a_verifier_key_is_read_strictly() -> None:
    line = SIGNER.verifier.line
    name, key_id, key = line.split("+", 2)
    others = (
        "",
        name,
        f"{name}+{key_id}",
        f"{name}+00000000+{key}",
        f"{name}+{key_id.upper()}x+{key}",
        f"other+{key_id}+{key}",
        f"{name}+{key_id}+{key[:-1]}",
        f"{name}+{key_id}+{key}A",
        f"{name}+{key_id}+Ag{key[2:]}",  # another type of signature
        SIGNER.line,
    )
    for wrong in others:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
            VerifierKey.parse(wrong)


def test_rotation_signs_with_both_and_either_is_enough() -> None:
    new = Signer.new(SIGNER.name)
    note = sign_note(HEAD.text, [SIGNER, new])
    for keys in ([SIGNER.verifier], [new.verifier], [SIGNER.verifier, new.verifier]):
        assert open_checkpoint(note, keys) == HEAD
    with pytest.raises(BadNote, match="none of the given keys"):
        open_checkpoint(note, [OTHER.verifier])
    with pytest.raises(BadNote, match="none of the given keys"):
        open_checkpoint(note, [])


def test_a_forged_line_under_a_known_key_spoils_the_note() -> None:
    """One good signature does not make up for a bad one of a key that is trusted."""
    new = Signer.new(SIGNER.name)
    good, bad = sign_note(HEAD.text, [SIGNER]), sign_note("other\n", [new])
    note = good + bad.rpartition("\n\n")[2]
    assert open_checkpoint(note, [SIGNER.verifier]) == HEAD
    with pytest.raises(BadNote, match="forged"):
        open_checkpoint(note, [SIGNER.verifier, new.verifier])


def test_a_key_speaks_for_the_log_of_its_own_name_only() -> None:
    note = sign_note(HEAD.text, [OTHER])
    assert open_note(note, [OTHER.verifier]) == HEAD.text
    with pytest.raises(BadNote, match="not the name of the key"):
        open_checkpoint(note, [OTHER.verifier])


def test_every_change_of_one_bit_is_refused() -> None:
    note = sign_note(HEAD.text, [SIGNER]).encode()
    for place in range(len(note)):
        for bit in range(8):
            changed = note[:place] + bytes([note[place] ^ 1 << bit]) + note[place + 1 :]
            with pytest.raises(ValueError):  # noqa: PT011 - BadNote, or no UTF-8 at all
                open_checkpoint(changed.decode(), [SIGNER.verifier])


@pytest.mark.parametrize(
    "text",
    ["", "a", "a\n", "a\n\n", "\n\n\n", "a\n\n\N{EM DASH} n\n", "a\n\n\N{EM DASH} n AAAAAA==", "a\n\n- n AAAAAA==\n"],
)
def test_what_is_no_note(text: str) -> None:
    with pytest.raises(BadNote):
        open_note(text, [SIGNER.verifier])


@given(st.text(max_size=80))
def test_no_text_does_more_than_raise(text: str) -> None:
    for one in (text, f"{text}\n\n\N{EM DASH} {text}\n", f"{HEAD.text}\n\N{EM DASH} {SIGNER.name} {text}\n"):
        with pytest.raises(BadNote):
            open_note(one, [SIGNER.verifier])
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        HEAD.text + "extension\n",
        HEAD.text[:-1],
        HEAD.text.replace("\n3\n", "\n03\n"),
        HEAD.text.replace("\n3\n", "\n-3\n"),
        HEAD.text.replace("\n3\n", "\n\N{ARABIC-INDIC DIGIT THREE}\n"),
        HEAD.text.replace("\n3\n", "\n99999999999999999999\n"),
        HEAD.text.replace("=", "=="),
        HEAD.text.replace("8=", "9="),  # the same bytes, written otherwise
        "\n" + HEAD.text,
    ],
)
def test_a_checkpoint_has_one_form(text: str) -> None:
    assert Checkpoint.parse(HEAD.text) == HEAD
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


def test_only_proper_text_is_signed() -> None:
    for text in ("", "a", "a\r\n", "\x00\n"):
        with pytest.raises(ValueError, match="newline"):
            sign_note(text, [SIGNER])
    with pytest.raises(ValueError, match="signs"):
        sign_note("a\n", [])
    assert open_note(sign_note("a\n\nb\n\n", [SIGNER]), [SIGNER.verifier]) == "a\n\nb\n\n"
