"""Names for serializers: staff by their name, patients by the decrypted one."""

from collections.abc import Iterable
from uuid import UUID

from server.people import sealed
from server.people.models import Patient, User
from server.vault import actions as vault


def display_names(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The name of each user, for people who may see it; unknown ids are absent.

    One statement for the rows, and one for the keys when there are patients among them. The name of a patient whose
    key is destroyed reads «(slettet)», one that does not open «(kan ikke leses)».
    """
    rows = list(
        User.objects.filter(id__in=set(user_ids)).values_list(
            "id", "name", "patient__id", "patient__key", "patient__name_sealed"
        )
    )
    keys = [key for _user, _name, _patient, key, _sealed in rows if key is not None]
    if keys:
        vault.load_keys(keys)
    return {
        user_id: name if patient_id is None else sealed.open_name(blob, patient_id)
        for user_id, name, patient_id, _key, blob in rows
    }


def patient_names(patients: Iterable[Patient]) -> dict[UUID, str]:
    """The name of each patient, by patient id; one statement for the keys."""
    rows = list(patients)
    sealed.load_keys(rows)
    return {row.id: sealed.open_name(row.name_sealed, row.id) for row in rows}
