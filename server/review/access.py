"""The guarded doors of the review: an officer sees what concerns their own controller, and nothing else (L6)."""

from typing import NamedTuple
from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, QuerySet, Subquery

from server.audit.models import AuditEvent, Leaf
from server.common.errors import Forbidden, NotFound, Refusal
from server.consent.records import excluded_people
from server.people.actors import Acting
from server.people.models import Engagement, Officer, Patient, Relation, Session
from server.people.periods import NOW
from server.people.step_up import require_fresh
from server.review.concerned import concerns
from server.review.models import Line


def require_officer(acting: Acting, act: str) -> Officer:
    """The appointment acted for.

    Raises Forbidden `officer_only`, recorded as `act`.
    """
    if acting.officer is None:
        raise Forbidden(code="officer_only", refusal=Refusal(act, "not_officer"))
    return acting.officer


def require_proved_officer(acting: Acting, act: str) -> Officer:
    """The same, for what shows names or takes lines out: whoever acts has just proved who they are (L5).

    Raises Forbidden `officer_only`, `step_up_needed`, recorded as `act`.
    """
    officer = require_officer(acting, act)
    require_fresh(acting, act)
    return officer


def related_to(officer: Officer) -> QuerySet[Relation]:
    """What ties patients to the officer's controller, or did."""
    return Relation.objects.filter(unit__controller_id=officer.controller_id, valid_from__lte=NOW)


def open_patient_of(officer: Officer, patient_id: UUID, act: str) -> Patient:
    """A patient who has, or has had, to do with the officer's controller: what was logged then is theirs to ask for
    afterwards too (GDPR article 15). Whom the patient has excluded finds nobody: another officer takes it.

    Raises NotFound, the same for foreign, missing and excluded; recorded as `act`.
    """
    related = ExpressionWrapper(concerns(officer.controller_id), output_field=BooleanField())
    # The same statements whether the patient is foreign or missing, so that time does not tell them apart.
    found = Patient.objects.filter(id=patient_id).annotate(related=related).first()
    if officer.user_id in excluded_people(patient_id) or found is None or not found.related:
        known = found.id if found is not None else None
        reason = "missing" if found is None else "foreign"
        raise NotFound(refusal=Refusal(act, reason, subject_id=known, object_id=patient_id))
    return found


def require_employee_of(officer: Officer, user_id: UUID, act: str) -> None:
    """Somebody who works or has worked for the officer's controller, or is or was its officer.

    Raises NotFound, the same for foreign and missing; recorded as `act`.
    """
    works = Engagement.objects.filter(user_id=user_id, unit__controller_id=officer.controller_id)
    appointed = Officer.objects.filter(user_id=user_id, controller_id=officer.controller_id)
    if not works.values("id").union(appointed.values("id")).exists():
        raise NotFound(refusal=Refusal(act, "foreign", object_id=user_id))


class Found(NamedTuple):
    """An event of the log, and its leaf's position."""

    event: AuditEvent
    position: int


def open_event(officer: Officer, event_id: UUID, act: str) -> Found:
    """An event that concerns the officer's controller: one that it has a line of.

    Raises NotFound, the same for foreign, missing and not yet sealed; recorded as `act`.
    """
    position = Leaf.objects.filter(event_id=OuterRef("id")).values("position")
    ours = Line.objects.filter(controller_id=officer.controller_id, position=OuterRef("position"))
    rows = AuditEvent.objects.filter(id=event_id).annotate(position=Subquery(position)).annotate(ours=Exists(ours))
    # One statement whether it is foreign or missing, so that time does not tell them apart.
    found = next(iter(rows), None)
    if found is None:
        raise NotFound(refusal=Refusal(act, "missing", object_id=event_id))
    if not found.ours:
        raise NotFound(
            refusal=Refusal(act, "foreign", subject_id=found.subject_id, room_id=found.room_id, object_id=event_id)
        )
    return Found(found, found.position)


class Reader(NamedTuple):
    """Who is being answered over a longer time, and for what: asked again while the answer goes out (law 5)."""

    sid: UUID
    officer_id: UUID | None

    def still(self) -> bool:
        """Whether the session, and the appointment it acts for, hold now; one statement, by the database's time."""
        acts_for = {"officer": None} if self.officer_id is None else {"officer_id": self.officer_id}
        return Session.objects.live().filter(sid=self.sid, **acts_for).exists()


def reader_of(acting: Acting) -> Reader:
    """Raises ValueError for somebody without a session: nobody reads at length without one."""
    if acting.session is None:
        raise ValueError("no session")
    return Reader(acting.session.sid, acting.officer.id if acting.officer is not None else None)
