"""Everything that is held about somebody who works here. What they wrote is about patients, and is the patients'; that
they did, and when, stands among their acts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F

from server.alerts.models import CalendarFeed, Override, Shift, ShiftCheck, TeamMember
from server.audit.models import AuditEvent
from server.duties.models import Duty
from server.people.models import ContactPoint, Engagement, Identity, Officer, User
from server.review.held import signing_in
from server.review.held.section import Rows, Section, Told, plain
from server.review.models import Export, Shield
from server.rooms.models import EmergencyAccess, Member


def user_of(user_id: UUID) -> Any:
    return User.objects.filter(id=user_id).values("id")


def _acts(events: Sequence[Any], _user: UUID) -> list[Told]:
    """Without whom it was about: that is the patient's own."""
    names = ("id", "at", "type", "unit_id", "role", "sign_in", "outcome", "reason")
    return [{name: plain(getattr(one, name)) for name in names} for one in events]


def _of_unit(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(unit__controller_id=controller_id)


def _of_engagement(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(engagement__unit__controller_id=controller_id)


SECTIONS: list[Section] = [
    *signing_in.sections(user_of),
    Section("identity", lambda id_: Identity.objects.filter(user_id=id_), ("recorded_at",)),
    Section(
        "engagements",
        lambda id_: Engagement.objects.filter(user_id=id_),
        ("role", "health_personnel", "leads", "valid_from", "valid_to", "ended_at"),
        places=("unit_id",),
        of=_of_unit,
    ),
    Section(
        "appointments",
        lambda id_: Officer.objects.filter(user_id=id_),
        ("verifies_log", "email", "valid_from", "valid_to", "ended_at"),
        places=("controller_id",),
        of=lambda rows, one: rows.filter(controller_id=one),
    ),
    Section(
        "contact_points",
        lambda id_: ContactPoint.objects.filter(user_id=id_),
        ("label",),
        places=("unit_id",),
        of=_of_unit,
    ),
    Section(
        "places_in_rooms",
        lambda id_: Member.objects.filter(user_id=id_, engagement__isnull=False),
        ("state", "participation", "delivered", "read", "engagement_id"),
        # Somebody who is proposed anew, for a new employer, has taken no place for it yet.
        of=lambda rows, one: _of_engagement(rows, one).exclude(state=Member.State.PROPOSED),
    ),
    Section(
        "emergency_access",
        lambda id_: EmergencyAccess.objects.filter(user_id=id_),
        ("ground", "begun_at", "until", "ended_at", "end_reason", "engagement_id"),
        of=_of_engagement,
    ),
    Section(
        "teams",
        lambda id_: TeamMember.objects.filter(user_id=id_).annotate(unit_id=F("programme__unit_id")),
        ("leads", "day_contact", "valid_from", "valid_to", "ended_at", "engagement_id"),
        places=("unit_id",),
        of=_of_engagement,
    ),
    Section(
        "shifts",
        lambda id_: Shift.objects.filter(user_id=id_),
        ("programme_id", "begins", "ends", "cancelled_at"),
        of=lambda rows, one: rows.filter(programme__unit__controller_id=one),
    ),
    Section(
        "shift_checks",
        lambda id_: ShiftCheck.objects.filter(shift__user_id=id_),
        ("shift_id", "asked_at", "due_at", "device_at", "number_at", "code", "told_at"),
        of=lambda rows, one: rows.filter(shift__programme__unit__controller_id=one),
    ),
    Section(
        "overrides",
        lambda id_: Override.objects.filter(user_id=id_) | Override.objects.filter(instead_of_id=id_),
        ("programme_id", "begins", "ends", "made_at", "ended_at"),
        people=("user_id", "instead_of_id"),
        of=lambda rows, one: rows.filter(programme__unit__controller_id=one),
    ),
    Section(
        "calendar_feeds",
        lambda id_: CalendarFeed.objects.filter(user_id=id_),
        ("programme_id", "whole_team", "made_at", "ended_at"),
    ),
    Section(
        "duties",
        lambda id_: Duty.objects.filter(user_id=id_),
        ("kind", "due_at", "created_at", "code", "done_at"),
        places=("employer_id",),
        of=lambda rows, one: rows.filter(employer_id=one),
    ),
    Section(
        "shields",
        lambda id_: Shield.objects.filter(user_id=id_),
        ("code", "decided_on", "valid_from", "made_at", "ended_at"),
        places=("controller_id",),
        of=lambda rows, one: rows.filter(controller_id=one),
    ),
    Section(
        "exports",
        lambda id_: Export.objects.filter(about_id=id_),
        ("kind", "made_at", "format", "state", "total", "done"),
        places=("controller_id",),
        of=lambda rows, one: rows.filter(controller_id=one),
    ),
    Section(
        "acts",
        lambda id_: AuditEvent.objects.filter(actor_id=id_),
        of=lambda rows, one: rows.filter(controller_id=one),
        make=_acts,
    ),
]
