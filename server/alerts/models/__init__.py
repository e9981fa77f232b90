"""Tables of the after-hours service, by what they are about."""

from server.alerts.models.alerts import (
    Alert,
    AlertAlias,
    AlertEvent,
    AlertTask,
    RouterBeat,
)
from server.alerts.models.patients import Admission, AlertKey, Enrolment, Plan
from server.alerts.models.programmes import Policy, Programme, TeamMember
from server.alerts.models.rosters import CalendarFeed, Override, Rotation, Shift, ShiftCheck

__all__ = [
    "Admission",
    "Alert",
    "AlertAlias",
    "AlertEvent",
    "AlertKey",
    "AlertTask",
    "CalendarFeed",
    "Enrolment",
    "Override",
    "Plan",
    "Policy",
    "Programme",
    "Rotation",
    "RouterBeat",
    "Shift",
    "ShiftCheck",
    "TeamMember",
]
