"""Last names, for one comparison: in memory only, folded, and neither kept nor logged nor shown."""

import json
import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path
from uuid import UUID

from django.db.models import Q

from server.people import sealed
from server.people.models import Patient, User
from server.vault.errors import Unreadable

COMMON = Path(__file__).with_name("common_surnames.json")


def surname(name: str) -> str:
    """The last word of a name, folded; empty for what is no word of two letters or more."""
    words = unicodedata.normalize("NFC", name).casefold().split()
    last = words[-1] if words else ""
    return last if len(last) > 1 and last[0].isalpha() else ""


def surnames_of(actors: Collection[UUID], patients: Collection[UUID]) -> dict[UUID, str]:
    """By user id of who acted, and by patient id. Who has no name that can be read is absent; three statements."""
    rows = list(
        Patient.objects.filter(Q(id__in=patients) | Q(user_id__in=actors)).only("id", "user", "key", "name_sealed")
    )
    sealed.load_keys(rows)
    found = {one.id: _surname_of(one) for one in rows}
    found |= {one.user_id: found[one.id] for one in rows if one.user_id is not None and one.user_id in actors}
    staff = User.objects.filter(id__in=actors).exclude(name="").values_list("id", "name")
    return found | {user: surname(name) for user, name in staff}


@cache
def common() -> frozenset[str]:
    """Names that many share."""
    return frozenset(json.loads(COMMON.read_text(encoding="utf-8"))["names"])


def _surname_of(patient: Patient) -> str:
    try:
        return surname(sealed.read_name(patient.name_sealed, patient.id))
    except Unreadable:  # one damaged name must not keep all others from being compared
        return ""
