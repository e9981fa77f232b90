"""To whom calls for help are open, of many who follow them live at once: as `doors.open_alert` decides for one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from server.alerts.authentication import actor_of_key
from server.alerts.doors import ALERTS, PRESSED, Opened
from server.alerts.models import Alert, AlertEvent, AlertKey, TeamMember
from server.consent.records import excluded_people
from server.people.actors import Acting
from server.people.models import Relation


def open_around(users: Collection[UUID]) -> list[Alert]:
    """Open calls for help that these people may have to do with, oldest first; one statement."""
    teams = TeamMember.objects.current().filter(user_id__in=users).values("programme_id")
    pressed = AlertEvent.objects.filter(type__in=PRESSED, actor_id__in=users, alert__closed_at=None).values("alert_id")
    around = Q(patient__user_id__in=users) | Q(id__in=pressed) | Q(programme_id__in=teams)
    rows = Alert.objects.exclude(state="closed").filter(around, synthetic=False).select_related(*ALERTS)
    return list(rows.order_by("raised_at", "id"))


def these(alert_ids: Iterable[UUID]) -> list[Alert]:
    """Of these ids, those that are somebody's call for help, open or closed; one statement."""
    return list(
        Alert.objects.filter(id__in=alert_ids, synthetic=False).select_related(*ALERTS).order_by("raised_at", "id")
    )


def live_keys(key_ids: Collection[UUID]) -> dict[UUID, AlertKey]:
    """Those that are not revoked, with patient and user; one statement."""
    rows = AlertKey.objects.filter(id__in=key_ids, revoked_at=None, patient__user__isnull=False)
    found = rows.select_related("patient__user").defer("patient__nin_sealed", "patient__nin_index")
    return {one.id: one for one in found}


@dataclass(frozen=True, slots=True)
class Circle:
    """Who may follow some alerts, as the database has it now."""

    users: frozenset[UUID]
    """Whoever is not among them may follow none of these."""
    teams: frozenset[tuple[UUID, UUID, UUID]]
    """(programme, user, engagement)."""
    excluded: Mapping[UUID, frozenset[UUID]]
    """By patient, whom they have excluded (L3)."""
    callers: frozenset[tuple[UUID, UUID]]
    """(alert, user): staff who have called for the patient."""
    related: frozenset[tuple[UUID, UUID]]
    """(unit, patient): units that have to do with a patient for whom somebody at work has called."""

    def opened(self, who: Acting | AlertKey, alert: Alert) -> Opened | None:
        """The alert as this person may see it, or None."""
        if isinstance(who, AlertKey):
            own = alert.patient_id == who.patient_id
            return Opened(alert, "patient", actor_of_key(who), "self") if own else None
        if who.patient is not None and alert.patient_id == who.patient.id:
            return Opened(alert, "patient", who.actor, "self")
        if who.engagement is None or alert.patient_id is None:
            return None
        if who.user.id in self.excluded[alert.patient_id]:
            return None
        if (alert.programme_id, who.user.id, who.engagement.id) in self.teams:
            return Opened(alert, "team", who.actor, "alert")
        called = (alert.id, who.user.id) in self.callers
        if called and (who.engagement.unit_id, alert.patient_id) in self.related:
            return Opened(alert, "raiser", who.actor, "relation")
        return None


def circle(alerts: Sequence[Alert]) -> Circle:
    """A statement for the teams, one for who has called, one for relations where staff have, and two for each patient:
    few call at once."""
    members = TeamMember.objects.current().filter(programme_id__in={one.programme_id for one in alerts})
    teams = frozenset(members.values_list("programme_id", "user_id", "engagement_id"))
    patients = [one.patient for one in alerts if one.patient is not None]
    pressed = AlertEvent.objects.filter(alert__in=alerts, type__in=PRESSED, actor__isnull=False)
    callers = frozenset(pressed.values_list("alert_id", "actor_id")) - {
        (one.id, one.patient.user_id) for one in alerts if one.patient is not None
    }
    by_staff = {alert for alert, _ in callers}
    helped = [one.patient_id for one in alerts if one.id in by_staff and one.patient_id is not None]
    relations = Relation.objects.current().filter(patient_id__in=helped).values_list("unit_id", "patient_id")
    users = {user for _, user, _ in teams} | {user for _, user in callers} | {one.user_id for one in patients}
    return Circle(
        users=frozenset(one for one in users if one is not None),
        teams=teams,
        excluded={one.id: excluded_people(one.id) for one in patients},
        callers=callers,
        related=frozenset(relations) if helped else frozenset(),
    )
