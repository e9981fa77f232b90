"""Erasing a person (GDPR article 17): one officer asks, each controller concerned says what it needs, another person
confirms, time passes, and somebody begins. Each step once, on record, and in the patient's own log.

What is destroyed, and how a stop half-way is made good, stands in `erasing.py`.
"""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.common.ids import new_id
from server.consent.models import Consent, Form
from server.consent.records import excluded_people
from server.people import step_up
from server.people.actors import Acting
from server.people.models import Controller, Officer, Patient
from server.review import erasing, erasure_telling
from server.review.access import open_patient_of, require_officer
from server.review.concerned import concerned, concerns
from server.review.erasure_decide import PRIVATE, Obstacle, in_the_way
from server.review.erasure_facts import facts, said
from server.review.models import Erasure, ErasurePart, Export
from server.review.reasons import seal_reason

ASKED, CONFIRMED, CANCELLED, BEGUN = "erasure.asked", "erasure.confirmed", "erasure.cancelled", "erasure.begun"
EXPORTED, WAIVED = "erasure.part_exported", "erasure.part_waived"
LISTED, VIEWED = "review.erasures_viewed", "review.erasure_viewed"
NOBODY = UUID(int=0)
"""No patient's id."""
SHORTEST_WAIT = 7
"""Days, in production."""
REASON, PART = "review_erasure.reason_sealed", "review_erasurepart.reason_sealed"


class Part(NamedTuple):
    """What one controller has said; `said` is None while it has not."""

    controller: Controller
    said: ErasurePart | None


class Standing(NamedTuple):
    """An erasure, what each controller has said of it, and what still stands in its way."""

    erasure: Erasure
    parts: list[Part]
    obstacles: list[Obstacle]


@transaction.atomic
def ask(*, acting: Acting, patient_id: UUID, reason: str) -> Erasure:
    """Ask for a patient's data to be destroyed. Nothing happens to them before somebody else has confirmed it.

    Raises Forbidden (`officer_only`, `concerns_you`); NotFound, the same for foreign and missing; Conflict
    (`erasure_open`, `erased`).
    """
    officer = require_officer(acting, ASKED)
    patient = open_patient_of(officer, patient_id, ASKED)
    _not_oneself(acting, patient, ASKED)
    if erasing.is_erased(patient):
        raise Conflict(code="erased")
    id_ = new_id()
    made = Erasure(id=id_, patient=patient, asked_by=acting.user, asked_for_id=officer.controller_id)
    made.reason_sealed = seal_reason(reason, place=REASON, row=id_, patient=patient)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise Conflict(code="erasure_open") from None
    record(_entry(ASKED, acting, made))
    erasure_telling.tell(made, actor=acting.actor, stage=erasure_telling.ASKED)
    return made


@transaction.atomic
def say(*, acting: Acting, erasure_id: UUID, export_id: UUID | None, waived: str) -> Erasure:
    """One controller's word: it has exported its part (`export_id`, of everything that is held, fetched to the end
    since it was asked), or needs none of it, and why (`waived`). The newest counts.

    Raises as `_open`; Conflict (`erasure_begun`, `export_not_fetched`).
    """
    act = EXPORTED if export_id is not None else WAIVED
    erasure, officer = _open(acting, erasure_id, act)
    if erasure.begun_at is not None:
        raise Conflict(code="erasure_begun")
    id_ = new_id()
    part = ErasurePart(id=id_, erasure=erasure, controller_id=officer.controller_id, by=acting.user)
    if export_id is not None:
        part.outcome, part.export = ErasurePart.Outcome.EXPORTED, _fetched(erasure, officer, export_id)
    else:
        part.outcome = ErasurePart.Outcome.WAIVED
        part.reason_sealed = seal_reason(waived, place=PART, row=id_, patient=erasure.patient)
    part.save(force_insert=True)
    record(_entry(act, acting, erasure))
    return erasure


@transaction.atomic
def confirm(*, acting: Acting, erasure_id: UUID) -> Erasure:
    """The second person's yes; from then on time runs. Twice is once.

    Raises as `_open`; Forbidden (`step_up_needed`); Conflict `four_eyes` to whoever asked.
    """
    erasure, _officer = _open(acting, erasure_id, CONFIRMED)
    _fresh(acting, CONFIRMED, erasure)
    if erasure.asked_by_id == acting.user.id:
        raise Conflict(code="four_eyes", refusal=_refusal(CONFIRMED, "four_eyes", erasure))
    if erasure.confirmed_at is None:
        erasure.confirmed_at, erasure.confirmed_by = now(), acting.user
        erasure.not_before = erasure.confirmed_at + timedelta(days=waiting_days())
        erasure.save(update_fields=["confirmed_at", "confirmed_by", "not_before"])
        record(_entry(CONFIRMED, acting, erasure))
        erasure_telling.tell(erasure, actor=acting.actor, stage=erasure_telling.CONFIRMED)
    return erasure


def waiting_days() -> int:
    """Where people are real never less than the floor, whatever is set: all are told, and must have time to answer."""
    wanted: int = settings.ENV.erasure_wait_days
    return wanted if settings.ENV.mode == "demo" else max(wanted, SHORTEST_WAIT)


@transaction.atomic
def cancel(*, acting: Acting, erasure_id: UUID) -> Erasure:
    """Nothing is to be erased after all; any officer concerned may say so until it has begun. Twice is once.

    Raises as `_open`; Conflict `erasure_begun`.
    """
    erasure, _officer = _open(acting, erasure_id, CANCELLED, ended=True)
    if erasure.begun_at is not None:
        raise Conflict(code="erasure_begun")
    if erasure.cancelled_at is None:
        erasure.cancelled_at, erasure.cancelled_by = now(), acting.user
        erasure.save(update_fields=["cancelled_at", "cancelled_by"])
        record(_entry(CANCELLED, acting, erasure))
    return erasure


@transaction.atomic
def begin(*, acting: Acting, erasure_id: UUID) -> Erasure:
    """Carry it out: from this commit on there is no way back. Nobody finds the patient any more, the account and the
    phones are closed, and the loop destroys key by key (`erasing.py`). Twice is once.

    Raises as `_open`; Forbidden (`step_up_needed`); Conflict `erasure_hindered` while anything stands in the way.
    """
    erasure, officer = _open(acting, erasure_id, BEGUN)
    _fresh(acting, BEGUN, erasure)
    if erasure.begun_at is not None:
        return erasure
    # Whatever refers to the patient waits for this row: nothing is opened between the question and the answer.
    Patient.objects.select_for_update().get(id=erasure.patient_id)
    if in_the_way(facts(erasure)):
        raise Conflict(code="erasure_hindered", refusal=_refusal(BEGUN, "erasure_hindered", erasure))
    erasure.begun_at, erasure.begun_by, erasure.begun_for_id = now(), acting.user, officer.controller_id
    erasure.save(update_fields=["begun_at", "begun_by", "begun_for_id"])
    record(_entry(BEGUN, acting, erasure))
    erasing.close(erasure.patient_id, acting.actor)
    return erasure


@transaction.atomic
def look(*, acting: Acting) -> QuerySet[Erasure]:
    """Those of patients with whom the officer's controller has, or has had, to do, newest first; the look is on record.

    Raises Forbidden.
    """
    officer = require_officer(acting, LISTED)
    record(Entry(LISTED, acting.actor, basis="officer"))
    ours = Erasure.objects.filter(concerns(officer.controller_id, "patient_id"))
    excluding = Consent.objects.filter(form=Form.EXCLUSIONS, patient_id__in=ours.values("patient_id"))
    patients = excluding.values_list("patient_id", flat=True)
    hidden = [one for one in patients if officer.user_id in excluded_people(one)]
    return ours.exclude(patient_id__in=hidden).select_related("patient")


@transaction.atomic
def view(*, acting: Acting, erasure_id: UUID) -> Standing:
    """One, with what stands in its way; a look, on record. Raises as `_open`."""
    erasure, _officer = _open(acting, erasure_id, VIEWED, ended=True)
    record(_entry(VIEWED, acting, erasure))
    return standing(erasure)


def standing(erasure: Erasure) -> Standing:
    words, about = said(erasure), concerned(erasure.patient_id)
    controllers = Controller.objects.filter(id__in=about).order_by("name", "id")
    over = erasure.begun_at is not None or erasure.cancelled_at is not None
    obstacles = [] if over else in_the_way(facts(erasure))
    return Standing(erasure, [Part(one, words.get(one.id)) for one in controllers], obstacles)


def shown_to(controller_id: UUID, obstacles: list[Obstacle]) -> list[Obstacle]:
    """What officers of one controller are told: of another's own matters that there is something, once."""
    own = [one for one in obstacles if one.code not in PRIVATE or one.controller in (None, controller_id)]
    others = sorted({one.controller for one in obstacles if one not in own and one.controller is not None})
    return own + [Obstacle("open_elsewhere", controller=one) for one in others]


def _open(acting: Acting, erasure_id: UUID, act: str, *, ended: bool = False) -> tuple[Erasure, Officer]:
    """The erasure, locked, of a patient whom the officer's controller has, or has had, to do with; unless `ended`, one
    that is not over.

    Raises Forbidden (`officer_only`, `concerns_you`); NotFound, the same for foreign, missing and whom the patient has
    excluded; Conflict (`erasure_over`).
    """
    officer = require_officer(acting, act)
    rows = Erasure.objects.select_for_update(of=("self",), no_key=True).select_related("patient")
    erasure = rows.filter(id=erasure_id).first()
    whose = erasure.patient_id if erasure is not None else NOBODY  # asked of nobody too, so that time does not tell
    ours = officer.controller_id in concerned(whose)
    if acting.user.id in excluded_people(whose) or erasure is None or not ours:
        reason = "missing" if erasure is None else "foreign"
        subject = erasure.patient_id if erasure is not None else None
        raise NotFound(refusal=Refusal(act, reason, subject_id=subject, object_id=erasure_id))
    _not_oneself(acting, erasure.patient, act)
    if not ended and (erasure.cancelled_at is not None or erasure.done_at is not None):
        raise Conflict(code="erasure_over")
    return erasure, officer


def _fetched(erasure: Erasure, officer: Officer, export_id: UUID) -> Export:
    """Raises Conflict `export_not_fetched`: there is none such, or it was not given to its end."""
    rows = Export.objects.filter(id=export_id, kind=Export.Kind.HELD, controller_id=officer.controller_id)
    found = rows.filter(patient_id=erasure.patient_id, state=Export.State.DONE, made_at__gte=erasure.asked_at).first()
    if found is None:
        raise Conflict(code="export_not_fetched")
    return found


def _not_oneself(acting: Acting, patient: Patient, act: str) -> None:
    if patient.user_id == acting.user.id:
        raise Forbidden(code="concerns_you", refusal=Refusal(act, "concerns_you", subject_id=patient.id))


def _fresh(acting: Acting, act: str, erasure: Erasure) -> None:
    if not step_up.fresh(acting):
        raise Forbidden(code="step_up_needed", refusal=_refusal(act, "step_up_needed", erasure))


def _refusal(act: str, reason: str, erasure: Erasure) -> Refusal:
    return Refusal(act, reason, subject_id=erasure.patient_id, object_id=erasure.id)


def _entry(type_: str, acting: Acting, erasure: Erasure) -> Entry:
    return Entry(type_, acting.actor, subject_id=erasure.patient_id, object_id=erasure.id, basis="officer")
