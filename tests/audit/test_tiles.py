"""Paths of tiles, bundles of entries and proof files, as the specifications write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audit.note import Signer, sign_note
from server.audit.tiles import bundle, parse_tile_path, proof_file, split_bundle, tile_path
from server.audit.verify import Checkpoint, open_checkpoint, parse_proof, verify_inclusion
from tests.audit import naive
from tests.support.served import sqlite_only

pytestmark = sqlite_only

levels = st.integers(0, 63) | st.just("entries")
hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=40)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((0, 0), "0/000"),
        ((0, 0, 1), "0/000.p/1"),
        ((3, 999, 255), "3/999.p/255"),
        ((1, 1000), "1/x001/000"),
        ((0, 1234067), "0/x001/x234/067"),
        (("entries", 67, 3), "entries/067.p/3"),
    ],
)
def test_paths(arguments: tuple[int, int, int], path: str) -> None:
    assert tile_path(*arguments) == path
    assert parse_tile_path(*path.split("/", 1)) == (*arguments, 256)[:3]


@given(levels, st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_paths_are_read_back(level: int | str, number: int, width: int) -> None:
    assert parse_tile_path(*tile_path(level, number, width).split("/", 1)) == (level, number, width)


@pytest.mark.parametrize(
    ("level", "rest"),
    [
        ("64", "000"),
        ("00", "000"),
        ("-1", "000"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "000"),
        ("Entries", "000"),
        ("", "000"),
        ("0", ""),
        ("0", "0"),
        ("0", "0000"),
        ("0", "x000/001"),
        ("0", "001/002"),
        ("0", "x001"),
        ("0", "000.p/0"),
        ("0", "000.p/256"),
        ("0", "000.p/999"),
        ("0", "000.p/01"),
        ("0", "000.p/"),
        ("0", "000\n"),
        ("0", "../000"),
        ("0", "x001/" * 40 + "000"),
    ],
)
def test_other_paths_are_none(level: str, rest: str) -> None:
    with pytest.raises(ValueError, match="path of a tile"):
        parse_tile_path(level, rest)


@given(st.text(max_size=12), st.text(alphabet="x0123456789/.p", max_size=20))
def test_what_is_read_is_what_is_written(level: str, rest: str) -> None:
    try:
        found = parse_tile_path(level, rest)
    except ValueError:
        return
    assert tile_path(*found) == f"{level}/{rest}"


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_bundles_are_read_back_and_no_part_of_one_passes(entries: list[bytes]) -> None:
    data = bundle(entries)
    assert split_bundle(data) == entries
    ends = {len(bundle(entries[:count])) for count in range(len(entries) + 1)}
    for cut in range(max(len(data) - 5, 0), len(data)):
        if cut not in ends:
            with pytest.raises(ValueError, match="ends within"):
                split_bundle(data[:cut])


def test_the_form_of_a_bundle_and_its_limits() -> None:
    assert bundle([b"ab", b"", b"x" * 256]) == b"\x00\x02ab\x00\x00\x01\x00" + b"x" * 256
    assert len(bundle([b"x" * 65535] * 256)) == 256 * 65537
    with pytest.raises(ValueError, match="65,535"):
        bundle([b"x" * 65536])
    with pytest.raises(ValueError, match="256"):
        bundle([b""] * 257)


@given(st.integers(0, 2**40), hashes, st.none() | st.binary(max_size=40))
def test_proof_files_are_read_back(index: int, proof: list[bytes], extra: bytes | None) -> None:
    note = "log\n1\nx\n\n\N{EM DASH} log AAAAAAA=\n"
    assert parse_proof(proof_file(index, proof, note, extra)) == (index, proof, note)


def test_the_form_of_a_proof_file() -> None:
    signer, leaves = Signer.new("log.example"), naive.leaves(5)
    note = sign_note(Checkpoint("log.example", 5, naive.root(leaves)).text, [signer])
    text = proof_file(4, naive.inclusion(4, leaves), note, b"\x00\x01")
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra AAE=\nindex 4\n")
    assert text.endswith(f"=\n\n{note}")
    index, proof, signed = parse_proof(text)
    head = open_checkpoint(signed, [signer.verifier])
    assert verify_inclusion(index, head.size, leaves[4], proof, head.root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 00\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 1\nAA\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 1\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra AAE=\n\nnote",
    ],
)
def test_what_is_no_proof_file(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        parse_proof(text)
