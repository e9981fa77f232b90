"""Verifying every version of a consent: seals, chain, the words beside it, and what the log and its row know of it.

Each load verifies the newest version; this goes through all of them, for the worker's round, the patient's history and
`manage.py consent verify`.
"""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db import transaction
from pydantic import ValidationError

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.consent import records, sealing
from server.consent.document import Document
from server.consent.models import Consent, State, Version
from server.consent.ports import ROOM_EFFECTS
from server.consent.versions import MINUTE, REMARK, TEXT
from server.duties import actions as duties
from server.duties.models import Duty, Kind
from server.people.models import Relation
from server.vault import actions as vault
from server.vault.errors import Destroyed, MasterKeyFault, Unreadable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one version: `missing`, `seal`, `unreadable`, `misplaced`, `chain`, `not_the_newest`,
    `log_differs`, `row_differs`, and `words`: the text that was shown, a remark or a minute is not what was sealed."""

    number: int
    code: str


def faults(consent: Consent) -> list[Fault]:
    """Everything wrong with the versions of one consent; empty when all of it can be believed.

    What seems wrong is looked at again while nobody can act upon the consent: an act in between is no fault.
    """
    if not _faults(Consent.objects.select_related("patient").get(id=consent.id)):
        return []
    with transaction.atomic():
        held = Consent.objects.select_for_update(of=("self",), no_key=True).select_related("patient")
        return _faults(held.get(id=consent.id))


def _faults(consent: Consent) -> list[Fault]:
    versions = {row.number: row for row in Version.objects.filter(consent=consent)}
    found = [Fault(number, "missing") for number in range(1, consent.version + 1) if number not in versions]
    found += [Fault(number, "not_the_newest") for number in versions if number > consent.version]
    previous: str | None = None
    for number, row in sorted(versions.items()):
        code = _fault(consent, row, previous)
        if code:
            found.append(Fault(number, code))
        previous = row.hash
    if previous != consent.newest_hash:
        found.append(Fault(consent.version, "not_the_newest"))
    elif versions and not found and not _as_the_row_says(consent, versions[consent.version]):
        found.append(Fault(consent.version, "row_differs"))
    logged = AuditEvent.objects.filter(object_id=consent.id, sealed_hash__isnull=False)
    if Counter(logged.values_list("sealed_hash", flat=True)) != Counter(row.hash for row in versions.values()):
        found.append(Fault(consent.version, "log_differs"))
    return found


def lost() -> list[UUID]:
    """Consents whose versions the log knows and that are gone from the database, whole. One statement."""
    known = AuditEvent.objects.filter(type__startswith="consent.", sealed_hash__isnull=False)
    gone = known.exclude(object_id__in=Consent.objects.values("id")).values_list("object_id", flat=True)
    return sorted({consent_id for consent_id in gone if consent_id is not None})


def _fault(consent: Consent, row: Version, previous: str | None) -> str:
    try:
        if not sealing.holds(row.document, row.hash, bytes(row.signature), row.key, sealing.VERSION):
            return "seal"
        document = records.parsed(row.document)
    except (Unreadable, MasterKeyFault, ValidationError):
        return "unreadable"
    if (document.id, document.consent, document.number) != (row.id, consent.id, row.number):
        return "misplaced"
    if (document.patient, document.form, document.room) != (consent.patient_id, consent.form, consent.room_id):
        return "misplaced"
    if document.previous != previous:
        return "chain"
    return "" if _words_hold(consent.patient.key, row, document) else "words"


def _as_the_row_says(consent: Consent, row: Version) -> bool:
    """The row is what lists, reminders and the worker go by."""
    document = records.parsed(row.document)
    ends_at = document.terms.valid_to if document.state == State.ACTIVE else None
    says = (document.terms.purpose, document.state, ends_at)
    return says == (consent.purpose, consent.state, consent.ends_at)


def _words_hold(key: UUID, row: Version, document: Document) -> bool:
    """What was shown and written is kept as it was sealed; a key that was destroyed on purpose is no fault."""
    try:
        shown = vault.unseal(bytes(row.text_sealed), place=TEXT, row=row.id)
        written = ((row.remark_sealed, REMARK, document.remark), (row.minute_sealed, MINUTE, document.method.minute))
        return sealing.digest(shown.encode()) == document.text.sha256 and all(
            (vault.fingerprint(key, vault.unseal(bytes(sealed), place=place, row=row.id)).hex() if sealed else None)
            == digest
            for sealed, place, digest in written
        )
    except Destroyed:
        return True
    except Unreadable:
        return False


@transaction.atomic
def alarm(consent: Consent, found: list[Fault]) -> None:
    """Give the officers of every controller that has had to do with the patient the task to find out why; once. Who is
    still let in by an earlier look is looked at again, each time."""
    ROOM_EFFECTS().distrusted(consent)
    log.critical("consent_unreadable", consent=str(consent.id), faults=[f"{one.number}:{one.code}" for one in found])
    told = Duty.objects.filter(kind=Kind.RECORD_UNREADABLE, object_id=consent.id, done_at=None)
    controllers = Relation.objects.filter(patient_id=consent.patient_id).values_list("unit__controller", flat=True)
    for controller in sorted(set(controllers) - set(told.values_list("controller_id", flat=True))):
        duties.owe(
            kind=Kind.RECORD_UNREADABLE,
            controller_id=controller,
            patient=consent.patient,
            room_id=consent.room_id,
            object_id=consent.id,
            code=found[0].code,
            actor=SYSTEM,
        )
