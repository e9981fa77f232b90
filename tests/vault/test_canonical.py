"""Canonical JSON: the library against RFC 8785's own samples. What a seal covers must have one form for ever.

A new version of the library that writes one byte otherwise would turn every stored seal into a broken one; these
vectors turn red first.
"""

import json
import struct
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.support.served import sqlite_only

pytestmark = sqlite_only

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rfc8785.json").read_text())

keys = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | keys,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def value(case: dict[str, str]) -> object:
    """What a vector gives: JSON text, or the bits of a double."""
    return json.loads(case["input"]) if "input" in case else struct.unpack(">d", bytes.fromhex(case["ieee754"]))[0]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_samples_of_the_rfc(case: dict[str, str]) -> None:
    assert rfc8785.dumps(value(case)).hex() == case["canonical"]


@pytest.mark.parametrize("case", VECTORS["numbers"], ids=lambda case: case["ieee754"])
def test_the_numbers_of_the_rfc(case: dict[str, str]) -> None:
    assert rfc8785.dumps(value(case)).hex() == case["canonical"]


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_what_has_no_canonical_form_is_refused(case: dict[str, str]) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        rfc8785.dumps(value(case))


@given(values)
def test_without_fractions_it_is_python_json_sorted_by_utf_16(made: object) -> None:
    """An independent way to the same bytes for all that a consent may hold: texts, whole numbers, literals."""

    def ordered(inner: object) -> object:
        if isinstance(inner, dict):
            by_units = sorted(inner, key=lambda key: key.encode("utf-16-be"))
            return {key: ordered(inner[key]) for key in by_units}
        return [ordered(one) for one in inner] if isinstance(inner, list) else inner

    canonical = rfc8785.dumps(made)
    assert canonical == json.dumps(ordered(made), ensure_ascii=False, separators=(",", ":")).encode()
    assert rfc8785.dumps(json.loads(canonical)) == canonical
