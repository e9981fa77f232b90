"""Names for serializers: staff by their name, patients by the decrypted one."""

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from server.people.models import Patient, User
from server.vault import actions as vault
from server.vault.errors import Unreadable

NAME = "people_patient.name_sealed"


def display_names(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The name of each user, for people who may see it; unknown ids are absent.

    One statement for the rows, one for the keys when there are patients among them. A patient whose key is destroyed
    is «(slettet)».
    """
    rows = User.objects.filter(id__in=set(user_ids)).values_list(
        "id", "name", "patient__id", "patient__key", "patient__name_sealed"
    )
    found = list(rows)
    vault.load_keys({key for *_rest, key, _sealed in found if key is not None})
    return {
        user_id: name if patient_id is None else opened(sealed, patient_id)
        for user_id, name, patient_id, _key, sealed in found
    }


def patient_names(patients: Iterable[Patient]) -> dict[UUID, str]:
    """The name of each patient, by patient id; one statement for the keys."""
    rows = list(patients)
    vault.load_keys({row.key for row in rows})
    return {row.id: opened(row.name_sealed, row.id) for row in rows}


def opened(sealed: bytes | memoryview, patient_id: UUID) -> str:
    """The patient's name, or a word that says that it is gone."""
    try:
        return vault.unseal(bytes(sealed), place=NAME, row=patient_id)
    except Unreadable:
        return _("(erased)")
