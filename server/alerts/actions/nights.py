"""What happened at night, and in a week, for the team. Each answer is a look, recorded for each patient (L2); whom a
patient has excluded is told nothing of them (L3)."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from server.alerts import sharing
from server.alerts.access import open_programme, open_programme_as_keeper
from server.alerts.actions import enrolments
from server.alerts.figures import Figures, figures
from server.alerts.layout import today
from server.alerts.models import Admission, Alert, AlertTask, Enrolment, Programme
from server.alerts.times import Times, ids, times_of
from server.audit.actions import record, record_many
from server.audit.entry import Entry
from server.common.clock import now
from server.people.access import require_staff
from server.people.actors import Acting
from server.people.hours import moment
from server.people.models import Patient, User
from server.people.names import patient_names

MORNING = "08:00"
"""A night goes from the morning of its date to the next morning, so that every hour is in one of them."""
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Told:
    """Alerts, with what is told of them."""

    begins: datetime
    ends: datetime
    alerts: Sequence[Alert]
    times: dict[UUID, Times]
    tasks: Sequence[AlertTask]
    patients: dict[UUID, str]
    people: dict[UUID, str]
    admissions: Sequence[Admission] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """Figures, and of which days, both included."""

    first: date
    last: date
    figures: Figures


def span_of(night: date) -> tuple[datetime, datetime]:
    return moment(night, MORNING, fold=0), moment(night + timedelta(days=1), MORNING, fold=0)


def alerts_of(programme: Programme, begins: datetime, ends: datetime) -> QuerySet[Alert]:
    """Those that were raised in the time, or were still open in it."""
    rows = Alert.objects.filter(programme=programme, synthetic=False, raised_at__lt=ends)
    return rows.filter(Q(raised_at__gte=begins) | Q(closed_at=None) | Q(closed_at__gte=begins))


def seen_by(user_id: UUID, alerts: Sequence[Alert]) -> list[Alert]:
    """Without those of patients who have excluded this person."""
    records = sharing.records_of([one.patient_id for one in alerts if one.patient_id is not None])
    return [
        one for one in alerts if one.patient_id is not None and not sharing.kept_out(records[one.patient_id], user_id)
    ]


@transaction.atomic
def view_night(*, acting: Acting, programme_id: UUID, night: date) -> Told:
    """The report of a night: of the date on which it begins. Raises NotFound."""
    act = "alert.report_viewed"
    programme = open_programme(acting, programme_id, act=act)
    begins, ends = span_of(night)
    told = _told(acting, programme, begins, ends)
    _record(act, acting, programme, told)
    return told


@transaction.atomic
def view_week(*, acting: Acting, programme_id: UUID) -> Told:
    """The list for the weekly meeting: alerts of seven days or still open, what is still to be done, and admissions of
    patients in the programme whom this member may see. Raises NotFound."""
    act = "alert.weekly_viewed"
    programme = open_programme(acting, programme_id, act=act)
    ends = now()
    admissions = _admissions(acting, programme, today(ends - WEEK))
    told = _told(acting, programme, ends - WEEK, ends, admissions)
    _record(act, acting, programme, told)
    return told


@transaction.atomic
def view_figures(*, acting: Acting, programme_id: UUID, first: date, last: date) -> Counted:
    """How fast people answered calls. The team: those raised on these dates, without those of patients who keep this
    member out. Administrators see no small numbers, and one whole month that is over, the one in which the dates
    begin: of two times that overlap, one could be subtracted from the other. Raises NotFound."""
    programme = open_programme_as_keeper(acting, programme_id, act="figures.viewed")
    record(Entry("figures.viewed", acting.actor, object_id=programme.id))
    mine = bool(programme.mine)  # type: ignore[attr-defined] # of `open_programme_as_keeper`
    if not mine:
        first, last = month_of(first)
    begins, ends = moment(first, "00:00", fold=0), moment(last + timedelta(days=1), "00:00", fold=0)
    rows = Alert.objects.filter(programme=programme, synthetic=False, raised_at__gte=begins, raised_at__lt=ends)
    if mine:
        rows = ids(seen_by(acting.user.id, list(rows.only("id", "patient_id"))))
    elif ends > now():
        rows = rows.none()  # it grows: what was asked yesterday could be subtracted
    return Counted(first, last, figures(times_of(rows).values(), for_team=mine))


def month_of(day: date) -> tuple[date, date]:
    """Its first and its last day."""
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


def _told(
    acting: Acting, programme: Programme, begins: datetime, ends: datetime, admissions: Sequence[Admission] = ()
) -> Told:
    rows = alerts_of(programme, begins, ends).select_related("patient").order_by("raised_at", "id")
    alerts = seen_by(acting.user.id, list(rows))
    times = times_of(ids(alerts))
    tasks = list(AlertTask.objects.filter(alert__in=alerts, done_at=None).order_by("due_at", "kind"))
    whom = {one.responder_id for one in alerts} | {one.accepted_by for one in times.values()}
    whom |= {one.owner_id for one in tasks}
    patients: dict[UUID, Patient] = {one.patient.id: one.patient for one in alerts if one.patient is not None}
    patients |= {one.patient_id: one.patient for one in admissions}
    people = dict(User.objects.filter(id__in=[one for one in whom if one is not None]).values_list("id", "name"))
    return Told(begins, ends, alerts, times, tasks, patient_names(patients.values()), people, admissions)


def _admissions(acting: Acting, programme: Programme, since: date) -> list[Admission]:
    """Each recorded as a look."""
    known = Enrolment.objects.filter(id__in=enrolments.of_programme(acting, programme)).values("patient_id")
    rows = Admission.objects.filter(patient_id__in=known, admitted_on__gte=since, taken_back_at=None)
    found = list(rows.select_related("patient").order_by("admitted_on", "id"))
    patients = {one.patient_id for one in found}
    shares = sharing.may_see_all(patients, require_staff(acting), sharing.CONTACT)
    record_many(
        Entry(
            "admission.viewed",
            acting.actor,
            subject_id=one,
            object_id=one,
            basis="consent" if shares[one].permit else "relation",
        )
        for one in sorted(patients)
    )
    return found


def _record(act: str, acting: Acting, programme: Programme, told: Told) -> None:
    entries = [
        Entry(act, acting.actor, subject_id=one.patient_id, object_id=one.id, basis="alert") for one in told.alerts
    ]
    record_many(entries or [Entry(act, acting.actor, object_id=programme.id)])
