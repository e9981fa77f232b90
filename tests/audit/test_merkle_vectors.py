"""The tree: RFC 6962's vectors byte for byte, and against the naive tree at every size to 1,000."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit import merkle, verify
from tests.audit import naive
from tests.support.served import sqlite_only

pytestmark = sqlite_only

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rfc6962.json").read_text())
LEAVES = [bytes.fromhex(one) for one in VECTORS["leaf_hashes"]]
LARGEST = 1000
ALL = naive.leaves(LARGEST)
sizes = st.integers(1, LARGEST)


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    """Naive, of each beginning of ALL."""
    return [naive.root(ALL[:size]) for size in range(LARGEST + 1)]


def kept(hashes: list[bytes]) -> merkle.Reader:
    """What the tables would hold of these leaves."""
    levels = [hashes]
    while len(levels[-1]) >= merkle.WIDTH:
        row = levels[-1]
        levels.append([naive.root(row[at : at + 256]) for at in range(0, len(row) - 255, 256)])
    return lambda level, first, count: levels[level][first : first + count]


def proof(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(one) for one in case["proof"]]


def test_hashes_of_the_reference() -> None:
    assert [verify.leaf_hash(bytes.fromhex(one)) for one in VECTORS["leaves"]] == LEAVES
    leaf, node = VECTORS["hasher"]["leaf"], VECTORS["hasher"]["node"]
    assert verify.leaf_hash(leaf["data_ascii"].encode()).hex() == leaf["hash"]
    assert verify.node_hash(node["left_ascii"].encode(), node["right_ascii"].encode()).hex() == node["hash"]


def test_roots_of_the_reference() -> None:
    expected = VECTORS["roots_by_size"]
    assert [verify.root_of(LEAVES[:size]).hex() for size in range(9)] == expected
    assert [naive.root(LEAVES[:size]).hex() for size in range(9)] == expected
    assert [merkle.Range.at(size, kept(LEAVES)).root().hex() for size in range(9)] == expected


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: f"{case['index']}-{case['size']}")
def test_inclusion_proofs_of_the_reference(case: dict[str, Any]) -> None:
    index, size, root = case["index"], case["size"], bytes.fromhex(VECTORS["roots_by_size"][case["size"]])
    assert merkle.inclusion(index, size, kept(LEAVES)) == naive.inclusion(index, LEAVES[:size]) == proof(case)
    assert verify.verify_inclusion(index, size, LEAVES[index], proof(case), root)


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: f"{case['size1']}-{case['size2']}")
def test_consistency_proofs_of_the_reference(case: dict[str, Any]) -> None:
    older, size = case["size1"], case["size2"]
    root1, root2 = (bytes.fromhex(VECTORS["roots_by_size"][one]) for one in (older, size))
    assert merkle.consistency(older, size, kept(LEAVES)) == naive.consistency(older, LEAVES[:size]) == proof(case)
    assert verify.verify_consistency(older, size, root1, root2, proof(case))


def test_the_incremental_tree_is_the_naive_one_at_every_size(roots: list[bytes]) -> None:
    """Red when growing, or starting again from what is kept, differs from the recursive definition at any size."""
    growing, nodes, read = merkle.Range(), [], kept(ALL)
    for size in range(LARGEST + 1):
        assert growing.root() == roots[size] == verify.root_of(ALL[:size]), size
        assert merkle.Range.at(size, read).root() == roots[size], size
        if size < LARGEST:
            nodes += growing.append(ALL[size])
    assert nodes == [(1, number, read(1, number, 1)[0]) for number in range(LARGEST // 256)]


@given(st.data(), sizes)
def test_inclusion(roots: list[bytes], data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(index, size, kept(ALL[:size]))
    assert path == naive.inclusion(index, ALL[:size])
    assert verify.verify_inclusion(index, size, ALL[index], path, roots[size])
    other = data.draw(st.integers(-2, LARGEST + 2).filter(lambda one: one != index))
    assert not verify.verify_inclusion(other, size, ALL[index], path, roots[size])
    for wrong in spoilt(path):
        assert not verify.verify_inclusion(index, size, ALL[index], wrong, roots[size])


@given(st.data(), sizes)
def test_consistency(roots: list[bytes], data: st.DataObject, size: int) -> None:
    older = data.draw(st.integers(1, size))
    path = merkle.consistency(older, size, kept(ALL[:size]))
    assert path == naive.consistency(older, ALL[:size])
    assert verify.verify_consistency(older, size, roots[older], roots[size], path)
    if older != size:
        other = data.draw(st.integers(-2, LARGEST + 2).filter(lambda one: one != older))
        assert not verify.verify_consistency(other, size, roots[older], roots[size], path)
        assert not verify.verify_consistency(older, size, roots[older - 1], roots[size], path)
    for wrong in spoilt(path):
        assert not verify.verify_consistency(older, size, roots[older], roots[size], wrong)


def test_every_small_proof(roots: list[bytes]) -> None:
    """Every index and pair of sizes to 40, so that no shape of tree is left to chance."""
    for size in range(1, 41):
        for index in range(size):
            path = naive.inclusion(index, ALL[:size])
            assert verify.verify_inclusion(index, size, ALL[index], path, roots[size])
            older = index + 1
            assert verify.verify_consistency(
                older, size, roots[older], roots[size], naive.consistency(older, ALL[:size])
            )


def test_the_empty_tree(roots: list[bytes]) -> None:
    empty = hashlib.sha256().digest()
    assert verify.verify_consistency(0, 5, empty, roots[5], [])
    assert verify.verify_consistency(0, 0, empty, empty, [])
    assert not verify.verify_consistency(0, 5, roots[1], roots[5], [])
    assert not verify.verify_consistency(0, 5, empty, roots[5], [roots[5]])
    assert not verify.verify_consistency(5, 0, roots[5], empty, [])
    assert not verify.verify_inclusion(0, 0, empty, [], empty)


@pytest.mark.parametrize("check", [verify.verify_inclusion, verify.verify_consistency], ids=lambda one: one.__name__)
@given(st.integers(-2, 2**64), st.integers(-2, 2**64), st.lists(st.binary(max_size=40), max_size=70))
def test_nonsense_is_refused(check: Callable[..., bool], one: int, other: int, proof: list[bytes]) -> None:
    if check is verify.verify_inclusion:
        assert not check(one, other, b"x" * 32, proof, b"y" * 32)
    else:
        assert not check(one, other, b"x" * 32, (proof and proof[0]) or b"y" * 32, proof)


def spoilt(path: list[bytes]) -> list[list[bytes]]:
    """One hash more or fewer, a byte moved over a border, two hashes swapped."""
    wrong = [[*path, b"\0" * 32], [b"\0" * 32, *path]]
    if path:
        wrong += [path[1:], path[:-1], [path[0][:-1], *path[1:]]]
    if len(path) > 1:
        wrong += [[path[1], path[0], *path[2:]], [path[0] + path[1], *path[2:]]]
    return wrong
