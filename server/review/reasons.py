"""Reasons in an officer's own words, in and out of the vault; each is bound to its row and field."""

from contextlib import suppress
from uuid import UUID

from django.utils.translation import gettext as _

from server.people.models import Patient
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

OWNER = UUID("b1e6c1a2-4a0f-5c7e-8d35-2f6a9c0e7d44")
"""Owner of the "service" key for reasons that concern no patient; fixed for ever."""

SHIELD = "review_shield.reason_sealed"
EXPORT = "review_export.reason_sealed"


def seal_reason(reason: str, *, place: str, row: UUID, patient: Patient | None = None) -> bytes:
    """Under the patient's key where it is about one who is not erased, else the service's. Raises MasterKeyFault."""
    if patient is not None:
        with suppress(Destroyed):
            return vault.seal(patient.key, reason, place=place, row=row)
    return vault.seal(vault.key_for(scope="service", owner=OWNER), reason, place=place, row=row)


def reason_of(sealed: bytes | memoryview, *, place: str, row: UUID) -> str:
    """The words, or one that says that their key was destroyed."""
    try:
        return vault.unseal(sealed, place=place, row=row)
    except Unreadable:
        return _("(erased)")
