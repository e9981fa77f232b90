"""The guarded doors to programmes, and to the patients in them.

A programme is its team's. A patient in it is seen by a member of the team whose unit has a relation to them, with whom
they share, or who has taken their call for help; to everybody else, and to whomever the patient has excluded, there is
no such patient. What keeps somebody out stands in the log alone.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from server.alerts import sharing
from server.alerts.models import Alert, Enrolment, Programme, TeamMember
from server.alerts.models.alerts import State
from server.common.errors import Forbidden, NotFound, Refusal
from server.consent.decide import Decision
from server.people.actors import Acting
from server.people.models import Engagement, Patient, Relation
from server.people.periods import NOW, PeriodQuerySet, current_at

NOBODY = UUID(int=0)
"""No patient's id; asked about in place of who does not exist, so that time does not tell."""


@dataclass(frozen=True, slots=True)
class InTeam:
    """A patient whom a member of the team may see. `basis` is `relation`, `consent` or `alert`, the first that holds;
    `plan` and `contact` are what the patient shares with them."""

    patient: Patient
    programme: Programme
    enrolment: Enrolment | None
    basis: str
    related: bool
    responding: bool
    """They have taken a call for help of this patient, which is open: name and number are never withheld (L7)."""
    plan: Decision
    contact: Decision

    @property
    def shows_contact(self) -> bool:
        return self.related or self.responding or self.contact.permit


# --- programmes ----------------------------------------------------------------------------------------


def memberships(acting: Acting) -> PeriodQuerySet[TeamMember]:
    """Places in teams that this person holds now, for the engagement acted for."""
    if acting.engagement is None:
        return TeamMember.objects.none()
    return TeamMember.objects.current().filter(engagement_id=acting.engagement.id, user_id=acting.user.id)


def team_now(programme_id: UUID) -> PeriodQuerySet[TeamMember]:
    """Who is in the team and works there now, and so may be called and may answer."""
    at_work = current_at(NOW, "engagement__")
    return TeamMember.objects.current().filter(at_work, programme_id=programme_id, user__is_active=True)


def programmes_of(acting: Acting) -> QuerySet[Programme]:
    """Those of whose team this person is; to administrators, all."""
    if acting.kind == "administrator":
        return Programme.objects.all()
    return Programme.objects.filter(id__in=memberships(acting).values("programme_id"))


def open_programme(acting: Acting, programme_id: UUID, *, act: str = "programme.viewed") -> Programme:
    """The programme, for members of its team. Raises NotFound, the same for foreign and missing."""
    found = _found(acting, programme_id)
    if found is None or not found.mine:  # type: ignore[attr-defined]
        raise _closed(found, programme_id, act)
    return found


def open_programme_as_leader(acting: Acting, programme_id: UUID, *, act: str) -> Programme:
    """The programme, for who leads its team.

    Raises NotFound; Forbidden (`leader_only`) to other members, who know of it.
    """
    found = open_programme(acting, programme_id, act=act)
    if not found.led:  # type: ignore[attr-defined]
        raise Forbidden(code="leader_only", refusal=Refusal(act, "leader_only", object_id=programme_id))
    return found


def open_programme_as_keeper(acting: Acting, programme_id: UUID, *, act: str) -> Programme:
    """The programme, for members of its team and for administrators, who set it up and see no patient in it.

    Raises NotFound.
    """
    found = _found(acting, programme_id)
    if found is None or not (found.mine or acting.kind == "administrator"):  # type: ignore[attr-defined]
        raise _closed(found, programme_id, act)
    return found


def require_administrator(acting: Acting, *, act: str) -> None:
    """Raises Forbidden (`administrator_only`)."""
    if acting.kind != "administrator":
        raise Forbidden(code="administrator_only", refusal=Refusal(act, "administrator_only"))


def _found(acting: Acting, programme_id: UUID) -> Programme | None:
    """One statement whether it is foreign or missing."""
    mine = memberships(acting).filter(programme_id=OuterRef("id"))
    rows = Programme.objects.filter(id=programme_id).select_related("unit")
    return next(iter(rows.annotate(mine=Exists(mine), led=Exists(mine.filter(leads=True)))), None)


def _closed(found: Programme | None, programme_id: UUID, act: str) -> NotFound:
    return NotFound(refusal=Refusal(act, "missing" if found is None else "foreign", object_id=programme_id))


# --- patients --------------------------------------------------------------------------------------------


def open_enrolled_patient(acting: Acting, patient_id: UUID, *, act: str) -> InTeam:
    """A patient who is in a programme of this person's team, or whose open call for help goes to it.

    Raises NotFound, the same for whoever is not in the team, is excluded by the patient, or has neither a relation, a
    consent nor the patient's call; Forbidden (`staff_only`).
    """
    return _open(acting, patient_id, act=act, enrolled=True)


def open_patient_of_team(acting: Acting, patient_id: UUID, *, act: str) -> InTeam:
    """As `open_enrolled_patient`, and patients in no programme to whom the unit acted for has a relation: before
    somebody is enrolled, their admissions are counted. The programme is then the member's own, the eldest of several.

    Raises NotFound, Forbidden (`staff_only`).
    """
    return _open(acting, patient_id, act=act, enrolled=False)


def _open(acting: Acting, patient_id: UUID, *, act: str, enrolled: bool) -> InTeam:
    engagement = acting.engagement
    if engagement is None:
        raise Forbidden(code="staff_only", refusal=Refusal(act, "not_staff", object_id=patient_id))
    teams = list(memberships(acting).order_by("valid_from", "id").select_related("programme__unit"))
    programmes = {one.programme_id: one.programme for one in teams}
    patient = _patient(engagement, patient_id)
    known = patient.id if patient is not None else NOBODY
    enrolment = Enrolment.objects.filter(patient_id=known, ended_at=None).first()
    alerts = dict(
        Alert.objects.filter(patient_id=known, programme_id__in=programmes)
        .exclude(state=State.CLOSED)
        .values_list("programme_id", "responder_id")
    )
    records = sharing.records_of([known])
    plan = sharing.may_see_all([known], engagement, sharing.PLAN, records=records)[known]
    contact = sharing.may_see_all([known], engagement, sharing.CONTACT, records=records)[known]
    programme = programmes.get(enrolment.programme_id) if enrolment is not None else None
    if programme is None and alerts:
        programme = programmes[next(iter(alerts))]
    if programme is None and enrolment is None and not enrolled:
        programme = next(iter(programmes.values()), None)
    related = patient is not None and patient.related  # type: ignore[attr-defined]
    responding = acting.user.id in alerts.values()
    shared = plan.permit or contact.permit
    basis = "alert" if responding else "consent" if shared else "relation" if related else ""
    reason = (
        "missing"
        if patient is None
        else "not_in_team"
        if programme is None
        else sharing.kept_out(records[known], acting.user.id) or ("" if basis else "no_relation")
    )
    if reason or patient is None or programme is None:
        subject = patient.id if patient is not None else None
        raise NotFound(refusal=Refusal(act, reason, subject_id=subject, object_id=patient_id))
    return InTeam(patient, programme, enrolment, basis, related, responding, plan, contact)


def _patient(engagement: Engagement, patient_id: UUID) -> Patient | None:
    related = Relation.objects.current().filter(unit_id=engagement.unit_id, patient_id=OuterRef("id"))
    return next(iter(Patient.objects.filter(id=patient_id).annotate(related=Exists(related))), None)
