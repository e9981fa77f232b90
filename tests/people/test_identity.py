"""Numbers from outside: uniform, or refused without being quoted."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people.crowd import synthetic_numbers
from server.people.identity import Unusable, national_identity_number, organisation_number, telephone

VERBS = [national_identity_number, telephone, organisation_number]


@pytest.mark.parametrize("verb", VERBS)
@given(text=st.one_of(st.text(max_size=40), st.from_regex(r"[0-9 +:-]{0,20}", fullmatch=True)))
def test_any_text_is_made_uniform_or_refused_unquoted(verb: object, text: str) -> None:
    assert callable(verb)
    try:
        uniform = verb(text)
    except Unusable as error:
        refused = error
    else:
        assert uniform.removeprefix("+").isascii()
        assert uniform.removeprefix("+").isdigit()
        assert verb(uniform) == uniform
        return
    assert str(refused) in ("national identity number", "telephone number", "organisation number")
    assert refused.__context__ is None or refused.__suppress_context__


def test_every_single_wrong_digit_is_refused() -> None:
    """Modulus 11 catches every change of one digit (folkeregisterforskriften § 2-2-1)."""
    for number in islice(synthetic_numbers(), 5):
        for place in range(11):
            for digit in set("0123456789") - {number[place]}:
                with pytest.raises(Unusable):
                    national_identity_number(number[:place] + digit + number[place + 1 :])


def test_telephone() -> None:
    assert telephone("40 00 00 01") == "+4740000001"
    assert telephone("0047 400 00 001") == "+4740000001"
    assert telephone("+46 70 123 45 67") == "+46701234567"
