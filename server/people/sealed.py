"""A patient's personal fields, in and out of the vault. Each ciphertext is bound to its row and field."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.utils.translation import gettext as _

from server.people.models import Patient, Relation
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

log = structlog.get_logger(__name__)

SCOPE = "subject"
NAME = "people_patient.name_sealed"
NUMBER = "people_patient.nin_sealed"
PHONE = "people_patient.phone_sealed"
OTHERS = "people_patient.others_may_answer_sealed"
REASON = "people_relation.reason_sealed"
NUMBER_INDEX = "people.national_identity_number"


@dataclass(frozen=True, slots=True)
class SafeContact:
    """May we call, text, leave a message; who else may answer."""

    may_call: bool = False
    may_text: bool = False
    may_leave_message: bool = False
    others_may_answer: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """What is told of a patient to those who may see it; never the national identity number."""

    id: UUID
    user: UUID | None
    name: str
    language: str
    phone: str
    phone_verified: bool
    safe_contact: SafeContact
    address_protected: bool


def number_index(number: str) -> bytes:
    """Blind index of a uniform national identity number, 32 bytes."""
    return vault.blind_index(NUMBER_INDEX, number)


def load_keys(patients: Iterable[Patient]) -> None:
    """Fetch the keys of a page of patients in one statement."""
    vault.load_keys([patient.key for patient in patients])


def open_name(sealed: bytes | memoryview, patient_id: UUID) -> str:
    """The name, or a word that says that its key was destroyed, or that it cannot be read: one damaged row hides itself
    and not the list that it stands in. Raises MasterKeyFault."""
    try:
        return read_name(sealed, patient_id)
    except Destroyed:
        return _("(erased)")
    except Unreadable as fault:
        told(NAME, patient_id, fault.reason)
        return _("(cannot be read)")


def read_name(sealed: bytes | memoryview, patient_id: UUID) -> str:
    """The name itself. Raises Unreadable, MasterKeyFault."""
    return vault.unseal(bytes(sealed), place=NAME, row=patient_id)


def _open(sealed: bytes | memoryview | None, place: str, patient_id: UUID, *, damaged: str = "") -> str:
    """Empty for what is not there or erased; `damaged` for what does not open."""
    if sealed is None:
        return ""
    try:
        return vault.unseal(bytes(sealed), place=place, row=patient_id)
    except Destroyed:
        return ""
    except Unreadable as fault:
        told(place, patient_id, fault.reason)
        return damaged


@functools.lru_cache(maxsize=1_024)
def told(place: str, row: UUID, reason: str) -> None:
    """Once in a process."""
    log.error("field_unreadable", place=place, row=str(row), reason=reason)


def open_person(patient: Patient) -> Person:
    """Everything that may be shown of one patient."""
    return Person(
        id=patient.id,
        user=patient.user_id,
        name=open_name(patient.name_sealed, patient.id),
        language=patient.language,
        phone=_open(patient.phone_sealed, PHONE, patient.id),
        phone_verified=patient.phone_verified_at is not None,
        safe_contact=SafeContact(
            patient.may_call,
            patient.may_text,
            patient.may_leave_message,
            # Words, unlike a number, may say it themselves: «nobody else» would be untrue.
            _open(patient.others_may_answer_sealed, OTHERS, patient.id, damaged=_("(cannot be read)")),
        ),
        address_protected=patient.address_protected,
    )


def new_patient(
    *, patient_id: UUID, key: UUID, name: str, number: str, phone: str, safe_contact: SafeContact
) -> Patient:
    """An unsaved patient with its fields sealed under `key`."""

    def seal(text: str, place: str) -> bytes:
        return vault.seal(key, text, place=place, row=patient_id)

    others = safe_contact.others_may_answer
    return Patient(
        id=patient_id,
        key=key,
        name_sealed=seal(name, NAME),
        nin_sealed=seal(number, NUMBER),
        nin_index=number_index(number),
        phone_sealed=seal(phone, PHONE) if phone else None,
        may_call=safe_contact.may_call,
        may_text=safe_contact.may_text,
        may_leave_message=safe_contact.may_leave_message,
        others_may_answer_sealed=seal(others, OTHERS) if others else None,
    )


def seal_reason(relation: Relation, key: UUID, reason: str) -> None:
    """Put the reason on an unsaved relation."""
    relation.reason_sealed = vault.seal(key, reason, place=REASON, row=relation.id)
