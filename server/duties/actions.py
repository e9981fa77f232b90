"""The verbs of this app: something is owed, and it is done. One transaction and one audit entry each."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from server.audit.actions import record, record_many
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict
from server.common.hints import hint
from server.common.ids import new_id
from server.duties.access import open_duty
from server.duties.models import NEED_WORDS, TAKE_WORDS, Duty
from server.duties.words import ANSWER, answer_of
from server.people.actors import Acting
from server.people.models import Patient
from server.people.periods import NOW
from server.vault import actions as vault


@transaction.atomic
def owe(
    *,
    kind: str,
    actor: Actor,
    due_at: datetime | None = None,
    user_id: UUID | None = None,
    controller_id: UUID | None = None,
    employer_id: UUID | None = None,
    concerns_id: UUID | None = None,
    patient: Patient | None = None,
    room_id: UUID | None = None,
    object_id: UUID | None = None,
    code: str = "",
) -> Duty:
    """Record that a person, or the officers of a controller, owe something by `due_at` (now when None).

    `actor` is whose act brought it about; `employer_id` the controller for whom a person at work owes it,
    `concerns_id` whose act it is about, who never reviews it. Raises
    ValueError for other than one owner, and for a duty that takes words but is about no patient: there would be no key
    to seal them under.
    """
    if (user_id is None) == (controller_id is None):
        raise ValueError("a duty is owed by one person or one controller")
    if kind in TAKE_WORDS and patient is None:
        raise ValueError("an answer in words is sealed under a patient's key")
    duty = Duty.objects.create(
        id=new_id(),
        kind=kind,
        patient=patient,
        room_id=room_id,
        object_id=object_id,
        user_id=user_id,
        controller_id=controller_id,
        employer_id=employer_id,
        concerns_id=concerns_id,
        due_at=due_at or now(),
        code=code,
    )
    owner = user_id or controller_id
    assert owner is not None, "checked above"
    record(_entry("duty.owed", actor, duty, record_ids=(owner,)))
    if user_id is not None:
        hint("user", user_id)
    return duty


@transaction.atomic
def release(*, duty: Duty, actor: Actor) -> None:
    """It is no longer theirs to do: `actor`'s act took it from them. Done already, it stays done."""
    if Duty.objects.filter(id=duty.id, done_at=None).update(done_at=NOW, done_by=actor.user_id or duty.user_id):
        record(_entry("duty.released", actor, duty))
        if duty.user_id is not None:
            hint("user", duty.user_id)


@transaction.atomic
def finish(*, acting: Acting, duty_id: UUID, answer: str = "") -> Duty:
    """Do a duty: acknowledge it, or answer it in words. It is done once: doing it again with the same words, or none,
    answers what was done first.

    Raises NotFound for others' duties; Conflict `answer_needed` when it takes words and there are none,
    `no_answer_wanted` when there are words and it takes none, `answered_already` when it was done with other words.
    """
    duty = open_duty(acting, duty_id, act="duty.done")
    if answer and duty.kind not in TAKE_WORDS:
        raise Conflict(code="no_answer_wanted")
    if duty.done_at is None and duty.kind in NEED_WORDS and not answer:
        raise Conflict(code="answer_needed")
    sealed = None
    if answer:
        sealed = vault.seal(duty.patient_key, answer, place=ANSWER, row=duty.id)
    # The guard is in the statement: of two who do it at once, one does it, and the other reads what was done.
    done = Duty.objects.filter(id=duty.id, done_at=None).update(done_at=NOW, done_by=acting.user, answer_sealed=sealed)
    duty.refresh_from_db(fields=["done_at", "done_by", "answer_sealed"])
    if not done and answer and answer_of(duty) != answer:
        raise Conflict(code="answered_already")
    record(_entry("duty.done" if done else "duty.viewed", acting.actor, duty, basis=_basis(acting, duty)))
    if done and duty.user_id is not None:
        hint("user", duty.user_id)
    return duty


def record_look(*, acting: Acting, duties: Sequence[Duty]) -> None:
    """Record that one page of duties was looked at, in the transaction that read it: one event for each, so that it
    stands in the log of the patient whom it is about (law 1, L2)."""
    record_many(_entry("duty.viewed", acting.actor, duty, basis=_basis(acting, duty)) for duty in duties)


def _basis(acting: Acting, duty: Duty) -> str:
    own = acting.patient is not None and acting.patient.id == duty.patient_id
    return "self" if own else "duty"


def _entry(type_: str, actor: Actor, duty: Duty, *, basis: str = "", record_ids: tuple[UUID, ...] = ()) -> Entry:
    return Entry(
        type_,
        actor,
        subject_id=duty.patient_id,
        room_id=duty.room_id,
        object_id=duty.id,
        basis=basis,
        reason=duty.kind,
        record_ids=record_ids,
    )
