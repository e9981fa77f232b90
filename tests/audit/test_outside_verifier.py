"""A verifier that others wrote accepts what we make, and refuses it after every change of a single bit.

It is never skipped: where it does not load, this module fails (docs/decisions/0021-outside-verifier.md).
"""

from collections.abc import Callable, Iterator

import metamorphic_log as outside
import pytest

from server.audit import merkle
from server.audit.note import Signer, sign_note
from server.audit.verify import Checkpoint
from tests.audit import naive
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SIGNER = Signer.new("log.example/audit")
KEYS = [SIGNER.verifier.line]
LEAVES = naive.leaves(11)
INDEX, OLDER, SIZE = 6, 5, 11


def read(level: int, first: int, count: int) -> list[bytes]:
    assert level == 0
    return LEAVES[first : first + count]


def note(size: int) -> str:
    growing = merkle.Range.at(size, read)
    return sign_note(Checkpoint(SIGNER.name, size, growing.root()).text, [SIGNER])


def changed(data: bytes) -> Iterator[bytes]:
    """Each of the changes of one bit."""
    for place in range(len(data)):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def changed_text(text: str) -> Iterator[str]:
    """The same; what is no UTF-8 any more is no text, and not even asked about."""
    for data in changed(text.encode()):
        try:
            yield data.decode()
        except UnicodeDecodeError:
            continue


def changed_proofs(proof: list[bytes]) -> Iterator[list[bytes]]:
    for place, one in enumerate(proof):
        for wrong in changed(one):
            yield [*proof[:place], wrong, *proof[place + 1 :]]


def refused(check: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(outside.VerifyError):
        check(*arguments)


def test_notes_and_checkpoints() -> None:
    ours = note(SIZE)
    assert outside.verify_signed_note(ours, KEYS) == 1
    head = outside.checkpoint_verify(ours, KEYS)
    assert (head.origin, head.size, head.root) == (SIGNER.name, SIZE, naive.root(LEAVES))
    assert head.extensions == []
    refused(outside.checkpoint_verify, ours, [Signer.new(SIGNER.name).verifier.line])
    for wrong in changed_text(ours):
        refused(outside.verify_signed_note, wrong, KEYS)
        refused(outside.checkpoint_verify, wrong, KEYS)


def test_signatures_of_a_rotation() -> None:
    new = Signer.new(SIGNER.name)
    both = sign_note(note(SIZE).partition("\n\n")[0] + "\n", [SIGNER, new])
    assert outside.verify_signed_note(both, [*KEYS, new.verifier.line]) == 2
    assert outside.verify_signed_note(both, [new.verifier.line]) == 1


def test_every_inclusion_and_consistency_proof() -> None:
    for size in range(1, SIZE + 1):
        ours = note(size)
        for index in range(size):
            proof = merkle.inclusion(index, size, read)
            outside.checkpoint_verify_inclusion(ours, KEYS, index, LEAVES[index], proof)
            older = index + 1
            proof = merkle.consistency(older, size, read)
            outside.checkpoint_verify_consistency(note(older), ours, KEYS, proof)


def test_inclusion_after_every_change() -> None:
    ours, proof = note(SIZE), merkle.inclusion(INDEX, SIZE, read)
    root, leaf = naive.root(LEAVES), LEAVES[INDEX]
    for wrong in changed(leaf):
        refused(outside.checkpoint_verify_inclusion, ours, KEYS, INDEX, wrong, proof)
    for wrong_proof in changed_proofs(proof):
        refused(outside.checkpoint_verify_inclusion, ours, KEYS, INDEX, leaf, wrong_proof)
    for wrong in changed(root):
        signed = sign_note(Checkpoint(SIGNER.name, SIZE, wrong).text, [SIGNER])
        refused(outside.checkpoint_verify_inclusion, signed, KEYS, INDEX, leaf, proof)
    for index in {INDEX ^ 1 << bit for bit in range(8)}:
        refused(outside.checkpoint_verify_inclusion, ours, KEYS, index, leaf, proof)
    for wrong_note in changed_text(ours):
        refused(outside.checkpoint_verify_inclusion, wrong_note, KEYS, INDEX, leaf, proof)


def test_consistency_after_every_change() -> None:
    older, newer, proof = note(OLDER), note(SIZE), merkle.consistency(OLDER, SIZE, read)
    outside.checkpoint_verify_consistency(older, newer, KEYS, proof)
    for wrong_proof in changed_proofs(proof):
        refused(outside.checkpoint_verify_consistency, older, newer, KEYS, wrong_proof)
    for wrong_note in changed_text(older):
        refused(outside.checkpoint_verify_consistency, wrong_note, newer, KEYS, proof)
    for wrong_note in changed_text(newer):
        refused(outside.checkpoint_verify_consistency, older, wrong_note, KEYS, proof)
    for size, root in ((OLDER, naive.root(LEAVES[:OLDER])), (SIZE, naive.root(LEAVES))):
        for wrong in changed(root):
            signed = sign_note(Checkpoint(SIGNER.name, size, wrong).text, [SIGNER])
            pair = (signed, newer) if size == OLDER else (older, signed)
            refused(outside.checkpoint_verify_consistency, *pair, KEYS, proof)
