"""Numbers as they are typed, made uniform. Pure; no error ever quotes the number (law 9)."""

import phonenumbers
from stdnum.exceptions import ValidationError
from stdnum.no import fodselsnummer, orgnr


class Unusable(ValueError):
    """The text is no such number; says nothing of what it was."""


def national_identity_number(text: str) -> str:
    """Eleven digits of a Norwegian national identity number or D-number (folkeregisterforskriften § 2-2-1).

    Synthetic test numbers, whose month is raised by 40, pass like any other: the demo town and test installations have
    no real ones. Raises Unusable.
    """
    try:
        return str(fodselsnummer.validate(text))
    except (ValidationError, ValueError):
        raise Unusable("national identity number") from None


def telephone(text: str) -> str:
    """E.164 of a telephone number; one without a country code is Norwegian. Raises Unusable."""
    try:
        number = phonenumbers.parse(text, "NO")
    except phonenumbers.NumberParseException:
        raise Unusable("telephone number") from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise Unusable("telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def organisation_number(text: str) -> str:
    """Nine digits with a valid check digit (Enhetsregisteret). Raises Unusable."""
    try:
        return str(orgnr.validate(text))
    except ValidationError:
        raise Unusable("organisation number") from None
