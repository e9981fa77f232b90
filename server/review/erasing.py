"""Destroying what is held about a person, key by key, so that a stop anywhere is made good by going on.

| killed | what is so | what happens next |
|---|---|---|
| before `begin` commits | nothing | nothing: it can be asked, cancelled, begun |
| after it, between two keys | the patient is found by nobody; some rooms are gone | the loop goes on |
| after the last key | all that was sealed is gone | the loop empties what stood in the open, and ends it |

Rooms go first and the patient last: while the patient's own key lives, name and number open to whoever answers a call
for help that came in meanwhile, and the custodian refuses to go on until that is closed (law 6).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog
from django.db import transaction

from server.alerts.actions.erasing import end_keys
from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.audit.models import AuditEvent
from server.notify.actions.erasing import forget_addresses
from server.people.actions.erasing import close_file, forget_person
from server.people.models import Patient
from server.people.periods import NOW
from server.review import erasure_telling
from server.review.models import Erasure, Export
from server.rooms.models import Room
from server.vault import actions as vault
from server.vault import erased
from server.vault.errors import DestructionRefused

log = structlog.get_logger(__name__)

EVERY_S = 10.0
ERASED, AGAIN = "erased", "reapplied"
REAPPLIED = "erasure.reapplied"


class Again(NamedTuple):
    """After a restore: how many keys the list names, how many of them lived again, and how many patients. `bad` lines
    were passed over; `missing` keys were destroyed before the back-up, and the list does not name them: it is cut."""

    listed: int
    keys: int
    patients: int
    bad: int = 0
    missing: int = 0


def is_erased(patient: Patient) -> bool:
    return bool(vault.destroyed([("subject", patient.id)]))


def keys_of(patient: Patient) -> list[UUID]:
    """Of the rooms, then the patient's own."""
    rooms = Room.objects.filter(patient_id=patient.id).order_by("id").values_list("key", flat=True)
    return [*rooms, patient.key]


def close(patient_id: UUID, actor: Actor) -> None:
    """Nobody finds the patient any more, nor calls for help from their phone; in the caller's transaction."""
    close_file(patient_id=patient_id, actor=actor)
    end_keys(patient_id=patient_id, actor=actor)


def tick() -> int:
    """Carry on with what has begun; returns how many were finished. What is hindered waits for the next time. Of what
    may begin soon all are told."""
    erasure_telling.tick()
    return sum(carry_on(one) for one in Erasure.objects.under_way().select_related("patient").order_by("begun_at"))


def carry_on(erasure: Erasure) -> bool:
    """Destroy what is left of one that has begun; True when it was finished here. Twice, or two at once, is once: each
    key is destroyed under its row's lock, and the end is written once."""
    assert erasure.begun_by_id is not None, "by constraint"
    actor = Actor(erasure.begun_by_id, controller_id=erasure.begun_for_id, role="officer")
    for key in keys_of(erasure.patient):
        try:
            vault.destroy_key(key, reason=ERASED, actor=actor)
        except DestructionRefused as refused:
            log.warning("erasure_waits", erasure=str(erasure.id), reason=refused.reason)
            return False
    return _finish(erasure, actor)


@transaction.atomic
def _finish(erasure: Erasure, actor: Actor) -> bool:
    if not Erasure.objects.filter(id=erasure.id, done_at=None).update(done_at=NOW):
        return False
    _forget(erasure.patient)
    record(Entry("erasure.done", actor, subject_id=erasure.patient_id, object_id=erasure.id, basis="officer"))
    return True


def _forget(patient: Patient) -> None:
    """What stands in the open, or under a key of the service's, is emptied."""
    forget_person(patient_id=patient.id)
    if patient.user_id is not None:
        forget_addresses(user_id=patient.user_id)
    # An officer's reason for an export that was narrowed to this patient may say whom it is about.
    Export.objects.filter(kind=Export.Kind.EVENTS, filters__subject=str(patient.id)).update(reason_sealed=b"")


def reapply(path: Path | None = None) -> Again:
    """After a restore: destroy again what the list names (`vault.erased`), and empty what the back-up brought back
    of those patients. Run before anything is served; twice is once. Of what a back-up holds of somebody who was erased
    after it was made, nothing is left then.

    What cannot be read, or is not signed here, is passed over, counted and shouted about; a list from which something
    is missing too. Raises OSError, MasterKeyFault.
    """
    listed, torn = erased.read_all(path or erased.file())
    redone = vault.destroy_again(listed, reason=AGAIN, actor=SYSTEM)
    bad = redone.bad + torn
    if bad or redone.missing:
        log.critical("erased_keys_list_damaged", bad=bad, missing=redone.missing)
    patients = sum(_again(one) for one in _erased_patients())
    return Again(len(listed), len(redone.keys), patients, bad, redone.missing)


def _erased_patients() -> Iterable[Patient]:
    gone = {
        owner for _, owner in vault.destroyed(("subject", one) for one in Patient.objects.values_list("id", flat=True))
    }
    return Patient.objects.filter(id__in=gone).select_related("user").order_by("id")


@transaction.atomic
def _again(patient: Patient) -> bool:
    """False for one who has been emptied already."""
    ended = Erasure.objects.filter(patient=patient, done_at__isnull=False)
    if ended.exists() or AuditEvent.objects.filter(subject_id=patient.id, type=REAPPLIED).exists():
        return False
    close(patient.id, SYSTEM)
    _forget(patient)
    Erasure.objects.open().filter(patient=patient, begun_at=None).update(cancelled_at=NOW)
    record(Entry(REAPPLIED, SYSTEM, subject_id=patient.id))
    return True
