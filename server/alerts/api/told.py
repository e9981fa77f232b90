"""Rows as they are told."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from server.alerts import plan as plans
from server.alerts.actions.enrolments import Shown as EnrolmentShown
from server.alerts.actions.plans import Shown as PlanShown
from server.alerts.actions.programmes import Shown as ProgrammeShown
from server.alerts.api.shapes import ProgrammeView
from server.alerts.models import Admission, AlertKey, Enrolment, Plan, Policy, TeamMember
from server.alerts.plan import PlanText
from server.common.sql import rfc3339
from server.people.sealed import Person

NOT_KEPT = {"Cache-Control": "no-store"}
"""Header of what no cache may keep."""


def programme_view(shown: ProgrammeShown) -> dict[str, Any]:
    programme = shown.programme
    return dict(
        ProgrammeView(
            {
                **{name: getattr(programme, name) for name in _OF_PROGRAMME},
                "unit": programme.unit_id,
                "missing": shown.missing,
                "mine": shown.mine,
                "leads": shown.leads,
            }
        ).data
    )


_OF_PROGRAMME = (
    *("id", "code", "name", "criterion", "office_hours", "exceptions", "on_call_number", "final_number"),
    *("final_answered_by", "final_agreement", "final_agreed_on", "is_default", "is_open", "opened_at", "closed_at"),
)


def member_view(member: TeamMember) -> dict[str, Any]:
    return {
        "id": str(member.id),
        "user": str(member.user_id),
        "name": member.user.name,
        "role": member.engagement.role,
        "unit": str(member.engagement.unit_id),
        "leads": member.leads,
        "day_contact": member.day_contact,
        "since": rfc3339(member.valid_from),
    }


def policy_view(row: Policy) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "version": row.version,
        "steps": row.steps,
        "made_at": rfc3339(row.made_at),
        "made_by": str(row.made_by_id) if row.made_by_id else None,
    }


def enrolment_view(row: Enrolment) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "programme": str(row.programme_id),
        "patient": str(row.patient_id),
        "consent": str(row.consent_id) if row.consent_id else None,
        "meets_criterion": row.meets_criterion,
        "enrolled_at": rfc3339(row.enrolled_at),
        "ended_at": rfc3339(row.ended_at) if row.ended_at else None,
    }


def enrolled_view(shown: EnrolmentShown) -> dict[str, Any]:
    more = {"name": shown.person.name, "consent_state": shown.consent_state, "shares": shown.shares}
    return enrolment_view(shown.enrolment) | more


def admission_view(row: Admission) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "ward": str(row.ward_id),
        "admitted_on": row.admitted_on.isoformat(),
        "recorded_at": rfc3339(row.recorded_at),
        "recorded_by": str(row.recorded_by_id),
        "taken_back_at": rfc3339(row.taken_back_at) if row.taken_back_at else None,
    }


def plan_version_view(row: Plan) -> dict[str, Any]:
    return {
        "version": row.version,
        "made_at": rfc3339(row.made_at),
        "made_by": str(row.made_by_id),
        "made_with_patient": row.made_with_patient,
    }


def own_plan_view(row: Plan | None, text: PlanText | None) -> dict[str, Any]:
    return {
        "made": plan_version_view(row) if row is not None else None,
        "plan": plans.shown(text) if text is not None else None,
    }


def plan_view(patient_id: UUID, shown: PlanShown) -> dict[str, Any]:
    person = person_view(shown.person) if shown.person is not None else None
    more = {"patient": str(patient_id), "person": person, "shared": shown.shared}
    return own_plan_view(shown.row, shown.text) | more


def person_view(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "phone": person.phone,
        "language": person.language,
        "safe_contact": asdict(person.safe_contact),
    }


def alert_key_view(row: AlertKey) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "label": row.label,
        "made_at": rfc3339(row.made_at),
        "revoked_at": rfc3339(row.revoked_at) if row.revoked_at else None,
        "revoked_because": row.revoked_because,
    }
