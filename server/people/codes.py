"""Codes that people type: letters and figures that cannot be taken for one another, in groups of four. And the pictures
of codes that a telephone takes from a screen."""

import secrets

import segno

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: five bits each, without I, L, O and U."""
GROUP = 4
_MEANT = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code(groups: int) -> str:
    """Random, 20 bits for each group: `7QK2-M9TX-4HZD`."""
    drawn = ["".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(groups)]
    return "-".join(drawn)


def uniform(text: str, groups: int) -> str | None:
    """The letters and figures of a code as it was typed or read aloud, in any case, with or without its dashes; None
    for what is no code of so many groups."""
    letters = "".join(text.split()).replace("-", "").upper().translate(_MEANT)
    return letters if len(letters) == groups * GROUP and set(letters) <= set(ALPHABET) else None


def picture(text: str) -> str:
    """A QR code (ISO/IEC 18004) of this text: an SVG document, black on white whatever is around it."""
    return segno.make(text, error="m", micro=False).svg_inline(scale=4, dark="#000", light="#fff", omitsize=True)
