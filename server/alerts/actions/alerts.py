"""The verbs of a call for help. One transaction each: the alert, its event, its pages and its audit line.

What each means stands in `deeds.py`; here it is read, decided under the row's lock, and written.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from server.alerts import deeds, doors, metrics, router, store
from server.alerts.authentication import actor_of_key
from server.alerts.facts import Case, Decision, Note
from server.alerts.models import Alert, AlertAlias, AlertKey, Enrolment, Policy, Programme, TeamMember
from server.alerts.reach import FINAL
from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, Invalid, NotFound, Refusal, Unavailable
from server.consent.records import excluded_people
from server.notify.models import Delivery
from server.people.access import open_patient
from server.people.actors import Acting, actor_for
from server.people.models import Patient, User

__all__ = ["FINAL", "Pressed", "press"]

TRIES = 4
Deed = Callable[[Case, datetime], Decision]


class NoProgramme(Unavailable):
    """503: no service is there that would hear it. Never a 201 that nobody hears."""

    code = "no_programme"
    retry_after_s = 30


@dataclass(frozen=True, slots=True)
class Presser:
    """Who calls for help: the patient's phone (key or session), or staff for the patient."""

    patient: Patient
    actor: Actor
    basis: str
    source: str
    user_id: UUID | None = None
    key: AlertKey | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """The alert that the UUID stands for, and whether this request raised it."""

    alert: Alert
    created: bool
    known: bool = False
    """It is said again: nothing was done, and the alert is only looked at."""


# --- raising -----------------------------------------------------------------------------------------------


def presser_of(who: Acting | AlertKey, patient_id: UUID | None) -> Presser:
    """Who calls, and for whom.

    Raises NotFound for a patient who is not open to this person; Invalid when staff name none.
    """
    if isinstance(who, AlertKey):
        if patient_id not in (None, who.patient_id):
            raise NotFound(refusal=Refusal("alert.raised", "foreign", object_id=patient_id))
        return Presser(who.patient, actor_of_key(who), "self", "key", key=who)
    if who.patient is not None and patient_id in (None, who.patient.id):
        return Presser(who.patient, who.actor, "self", "session", user_id=who.user.id)
    if who.engagement is None:
        raise NotFound(refusal=Refusal("alert.raised", "not_staff", object_id=patient_id))
    if patient_id is None:
        raise Invalid(errors=[{"field": "patient", "code": "required", "detail": ""}])
    patient = open_patient(who, patient_id)
    if who.user.id in excluded_people(patient.id):  # they can always call 113 themselves (L3)
        raise NotFound(refusal=Refusal("alert.raised", "excluded", subject_id=patient.id, object_id=patient_id))
    return Presser(patient, who.actor, "relation", "staff", user_id=who.user.id)


def press(*, presser: Presser, alert_id: UUID, note: str = "") -> Pressed:
    """Call for help. The same UUID again is the same call; another one while a call is open becomes its alias and
    hurries it on. Returns once it is committed; nobody has been called then (`router.soon`).

    Raises NotFound for a UUID that stands for another patient's alert; NoProgramme.
    """
    for _ in range(TRIES):
        try:
            return _press(presser, alert_id, note)
        except (IntegrityError, store.Overtaken):  # pressed twice at once, or the router was at work: look again
            continue
    raise Unavailable


@transaction.atomic
def _press(presser: Presser, alert_id: UUID, note: str) -> Pressed:
    known = doors.stands_for(alert_id)
    if known is not None:
        if known.patient_id != presser.patient.id:
            raise NotFound(refusal=Refusal("alert.raised", "foreign", object_id=alert_id))
        return Pressed(known, created=False, known=True)
    open_one = Alert.objects.filter(patient=presser.patient).exclude(state="closed").values_list("id", flat=True)
    there = store.locked(found) if (found := open_one.first()) is not None else None
    if there is not None and there.state != "closed":
        AlertAlias.objects.create(id=alert_id, alert=there)
        at = now()
        decision = _again(store.case_of(there), presser, at)
        store.save(there, decision, now=at, actor=presser.actor, basis=presser.basis, text=note)
        return Pressed(there, created=False)
    return Pressed(_raise(presser, alert_id, note), created=True)


def _again(case: Case, presser: Presser, at: datetime) -> Decision:
    """The patient's further press begins anew when somebody has it. Staff who call for somebody whom a colleague helps
    already only add to it: nobody takes it from that colleague so."""
    if presser.source == "staff" and case.responder is not None:
        return Decision(case, (Note("pressed_again", "staff", actor=presser.user_id),))
    decision = deeds.press_again(case, at)
    first, *others = decision.notes
    return replace(decision, notes=(replace(first, actor=presser.user_id), *others))


def _raise(presser: Presser, alert_id: UUID, note: str) -> Alert:
    programme = programme_for(presser.patient.id)
    if programme is None:
        raise NoProgramme
    at = now()
    alert = Alert.objects.create(
        id=alert_id,
        patient=presser.patient,
        programme=programme,
        policy=Policy.objects.filter(programme=programme).order_by("-version").first(),
        step_at=at,
        due_at=at,
        raised_at=at,
        raised_by_id=presser.user_id,
        raised_from=presser.source,
        alert_key=presser.key,
    )
    raised = Decision(store.case_of(alert), (Note("raised", presser.source, actor=presser.user_id),))
    store.save(alert, raised, now=at, actor=presser.actor, basis=presser.basis, text=note)
    return alert


def programme_for(patient_id: UUID) -> Programme | None:
    """The patient's own, when it is open; else the installation's default one; None when neither is open."""
    open_ones = Programme.objects.filter(opened_at__isnull=False, closed_at=None)
    own = Enrolment.objects.filter(patient_id=patient_id, ended_at=None).values("programme_id")
    return open_ones.filter(id__in=own).first() or open_ones.filter(is_default=True).first()


def cancel(*, who: Acting | AlertKey, alert_id: UUID) -> Alert:
    """«It was an accident», from the patient's own phone. Raises NotFound."""
    alert, actor = doors.own_alert(who, alert_id, act="alert.cancelled")
    return _do(alert.id, actor, "self", deeds.cancel)


# --- answering ----------------------------------------------------------------------------------------------


def accept(*, acting: Acting, alert_id: UUID, generation: int | None) -> Alert:
    """Take it, or take over what is offered. Raises NotFound; Conflict (`already_accepted`, `old_page`,
    `alert_closed`)."""
    alert = doors.team_alert(acting, alert_id, act="alert.accepted")
    return _do(alert.id, acting.actor, "alert", lambda case, at: deeds.accept(case, acting.user.id, generation, at))


@transaction.atomic
def accept_page(*, delivery: Delivery, how: str) -> None:
    """Take it from a notification or in a call, without a session. Raises as `accept`; NotFound for whoever may no
    longer be called."""
    alert = Alert.objects.filter(id=delivery.about).first()
    assert delivery.user_id is not None, "a duty telephone accepts nothing"
    if alert is None or not doors.may_answer(alert, delivery.user_id):
        raise NotFound(refusal=Refusal("alert.accepted", "not_in_team", object_id=delivery.about))
    places = TeamMember.objects.current().filter(programme_id=alert.programme_id, user_id=delivery.user_id)
    member = places.select_related("engagement__unit").get()
    actor = actor_for(member.engagement, sign_in=f"page_{how}")
    _do(alert.id, actor, "page", lambda case, at: deeds.accept_page(case, member.user_id, delivery.generation, at))


def calling(*, acting: Acting, alert_id: UUID) -> Alert:
    return _mine(acting, alert_id, "alert.calling", lambda case, at: deeds.calling(case, acting.user.id, at))


def in_contact(*, acting: Acting, alert_id: UUID, alone: bool) -> Alert:
    return _mine(
        acting,
        alert_id,
        "alert.in_contact",
        lambda case, at: deeds.in_contact(case, acting.user.id, at, alone=alone),
    )


def not_reached(*, acting: Acting, alert_id: UUID) -> Alert:
    return _mine(acting, alert_id, "alert.not_reached", lambda case, at: deeds.not_reached(case, acting.user.id, at))


def task_done(*, acting: Acting, alert_id: UUID, kind: str) -> Alert:
    return _mine(acting, alert_id, "alert.task_done", lambda case, at: deeds.task_done(case, acting.user.id, kind, at))


def hand_over(*, acting: Acting, alert_id: UUID, to: UUID | None) -> Alert:
    """Offer it to a member of the team, or to all of it. Raises Invalid for somebody who may not answer it."""
    alert = doors.team_alert(acting, alert_id, act="alert.handover_offered")
    if to is not None and not doors.may_answer(alert, to):
        raise Invalid(errors=[{"field": "to", "code": "not_in_team", "detail": ""}])
    return _do(alert.id, acting.actor, "alert", lambda case, at: deeds.hand_over(case, acting.user.id, to, at))


def close(*, acting: Acting, alert_id: UUID, outcome: str, children: str, done: str) -> Alert:
    """Close it, saying what came of it; `done` is sealed on the timeline."""
    return _mine(
        acting,
        alert_id,
        "alert.closed",
        lambda case, at: deeds.close(case, acting.user.id, outcome, children, at),
        text=done,
    )


def add_note(*, acting: Acting, alert_id: UUID, text: str) -> Alert:
    """Words for whoever works on it; sealed. May be added after the end."""
    alert = doors.team_alert(acting, alert_id, act="alert.noted")
    return _do(
        alert.id,
        acting.actor,
        "alert",
        lambda case, at: Decision(case, (Note("noted", actor=acting.user.id),)),
        text=text,
    )


def offer_to_next_shift(*, alert_id: UUID) -> bool:
    """The responder's shift is over: the team is offered it; they stay responsible. False when it does not fit."""
    try:
        _do(alert_id, SYSTEM, "alert", lambda case, at: deeds.hand_over(case, None, None, at))
    except Conflict:
        return False
    return True


# --- the hourly trial --------------------------------------------------------------------------------------


@transaction.atomic
def raise_trial(*, alert_id: UUID, tester: User, programme: Programme) -> Alert:
    """A synthetic alert: nobody's call, over the whole way, to the test responder alone."""
    at = now()
    alert = Alert.objects.create(
        id=alert_id,
        programme=programme,
        synthetic=True,
        step_at=at,
        due_at=at,
        raised_at=at,
        raised_from="synthetic",
    )
    store.save(alert, Decision(store.case_of(alert), (Note("raised", "synthetic"),)), now=at)
    return alert


def answer_trial(alert_id: UUID) -> None:
    """The test responder's device has it: the trial is over."""
    _end_trial(alert_id, "answered")


def fail_trial(alert_id: UUID) -> None:
    """Nothing has come back in time."""
    _end_trial(alert_id, "unanswered")


def _end_trial(alert_id: UUID, code: str) -> None:
    with transaction.atomic():
        alert = store.locked(alert_id)
        if alert is None or alert.state == "closed" or not alert.synthetic:
            return
        at = now()
        store.save(alert, deeds.end_synthetic(store.case_of(alert), code, at), now=at)
        transaction.on_commit(lambda: metrics.observe_trial(alert, code), robust=True)


# --- parts --------------------------------------------------------------------------------------------------


def _mine(acting: Acting, alert_id: UUID, act: str, deed: Deed, *, text: str = "") -> Alert:
    alert = doors.team_alert(acting, alert_id, act=act)
    return _do(alert.id, acting.actor, "alert", deed, text=text)


def _do(alert_id: UUID, actor: Actor, basis: str, deed: Deed, *, text: str = "") -> Alert:
    """Decide under the row's lock and write. Raises Conflict with the deed's code, `already_accepted` naming who has
    it."""
    with transaction.atomic():
        alert = store.locked(alert_id)
        if alert is None:
            raise NotFound
        at = now()
        try:
            decision = deed(store.case_of(alert), at)
        except deeds.Taken as taken:
            raise already_accepted(taken.by) from None
        except deeds.Unfit as unfit:
            raise Conflict(code=unfit.code) from None
        if decision.notes:
            store.save(alert, decision, now=at, actor=actor, basis=basis, text=text)
            router.wake()
        else:  # done before: it is only looked at
            record(Entry("alert.viewed", actor, subject_id=alert.patient_id, object_id=alert.id, basis=basis))
        return alert


def already_accepted(by: UUID) -> Conflict:
    """Who has it: a colleague's name is no secret among colleagues."""
    name = User.objects.filter(id=by).values_list("name", flat=True).first()
    return Conflict(code="already_accepted", extra={"accepted_by": str(by), "accepted_by_name": name or ""})
