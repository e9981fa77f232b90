"""A patient's personal fields, in and out of the vault. Each ciphertext is bound to its row and field."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from server.people.models import Patient, Relation
from server.vault import actions as vault
from server.vault.errors import Destroyed

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
    """The name, or a word that says that its key was destroyed."""
    try:
        return vault.unseal(bytes(sealed), place=NAME, row=patient_id)
    except Destroyed:
        return _("(erased)")


def _open(sealed: bytes | memoryview | None, place: str, patient_id: UUID) -> str:
    if sealed is None:
        return ""
    try:
        return vault.unseal(bytes(sealed), place=place, row=patient_id)
    except Destroyed:
        return ""


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
            _open(patient.others_may_answer_sealed, OTHERS, patient.id),
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
