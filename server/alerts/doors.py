"""The guarded doors to calls for help. Foreign, missing and kept out answer alike, and stand in the log.

An alert is open to the patient whose it is and to their alert keys, to the programme's team but those whom the patient
has excluded (L3), and, in the patient's own words only, to staff who raised it for the patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from server.alerts.authentication import actor_of_key
from server.alerts.models import Alert, AlertAlias, AlertEvent, AlertKey, TeamMember
from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.common.errors import NotFound, Refusal
from server.consent.records import excluded_people
from server.people.actors import Acting
from server.people.models import Relation
from server.people.periods import NOW, current_at

NOBODY = UUID(int=0)
"""No programme's and no patient's id; asked about in place of what does not exist."""
PRESSED = ("raised", "pressed_again")
ALERTS = ("programme", "policy", "patient", "responder")


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert, and as what it is looked at: `patient`, `team` or `raiser`."""

    alert: Alert
    seen_as: str
    actor: Actor
    basis: str


def stands_for(alert_id: UUID) -> Alert | None:
    """The alert of this UUID, its own or an alias. One statement."""
    alias = AlertAlias.objects.filter(id=alert_id).values("alert_id")
    return Alert.objects.select_related(*ALERTS).filter(Q(id=alert_id) | Q(id__in=alias)).first()


def open_alert(who: Acting | AlertKey, alert_id: UUID, *, act: str = "alert.viewed") -> Opened:
    """The alert, for whoever may look at it. Raises NotFound, after the same statements for foreign and missing."""
    alert = stands_for(alert_id)
    if alert is None and not isinstance(who, AlertKey):
        nothing = Alert(id=alert_id, programme_id=NOBODY, patient_id=NOBODY)
        _ = in_team(who, nothing) or raised_it(who, nothing)
    if alert is not None:
        if isinstance(who, AlertKey):
            if alert.patient_id == who.patient_id:
                return Opened(alert, "patient", actor_of_key(who), "self")
        elif who.patient is not None and alert.patient_id == who.patient.id:
            return Opened(alert, "patient", who.actor, "self")
        elif in_team(who, alert) and welcome(alert, who.user.id):
            return Opened(alert, "team", who.actor, "alert")
        elif raised_it(who, alert) and welcome(alert, who.user.id):
            return Opened(alert, "raiser", who.actor, "relation")
    subject = alert.patient_id if alert is not None else None
    raise NotFound(refusal=Refusal(act, "no_access", subject_id=subject, object_id=alert_id))


def team_alert(acting: Acting, alert_id: UUID, *, act: str) -> Alert:
    """The alert, for the team that answers it. Raises NotFound."""
    opened = open_alert(acting, alert_id, act=act)
    require_team(opened, act)
    return opened.alert


def require_team(opened: Opened, act: str) -> None:
    """Raises NotFound for whoever is not in the team."""
    if opened.seen_as != "team":
        alert = opened.alert
        raise NotFound(refusal=Refusal(act, "not_in_team", subject_id=alert.patient_id, object_id=alert.id))


def open_alerts(who: Acting | AlertKey) -> list[Opened]:
    """Calls for help that are open, and open to this person: the patient's own, or the team's, oldest first."""
    rows = Alert.objects.exclude(state="closed").filter(synthetic=False).select_related(*ALERTS)
    if isinstance(who, AlertKey):
        return [Opened(one, "patient", actor_of_key(who), "self") for one in rows.filter(patient_id=who.patient_id)]
    if who.patient is not None:
        return [Opened(one, "patient", who.actor, "self") for one in rows.filter(patient=who.patient)]
    if who.engagement is None:
        return []
    mine = TeamMember.objects.current(who.at).filter(user=who.user, engagement=who.engagement).values("programme_id")
    found = list(rows.filter(programme_id__in=mine).order_by("raised_at", "id"))
    return [Opened(one, "team", who.actor, "alert") for one in found if welcome(one, who.user.id)]


@transaction.atomic
def record_look(opened: Sequence[Opened]) -> None:
    """One event for each, so that it stands in each patient's log (L2)."""
    record_many(
        Entry("alert.viewed", one.actor, subject_id=one.alert.patient_id, object_id=one.alert.id, basis=one.basis)
        for one in opened
    )


def own_alert(who: Acting | AlertKey, alert_id: UUID, *, act: str) -> tuple[Alert, Actor]:
    """The alert, for the patient whose it is. Raises NotFound."""
    opened = open_alert(who, alert_id, act=act)
    if opened.seen_as != "patient":
        raise NotFound(refusal=Refusal(act, "not_own", subject_id=opened.alert.patient_id, object_id=alert_id))
    return opened.alert, opened.actor


def in_team(acting: Acting, alert: Alert) -> bool:
    """Whether this person is in the programme's team, for the engagement acted for."""
    if acting.engagement is None:
        return False
    rows = TeamMember.objects.current(acting.at).filter(programme_id=alert.programme_id, user=acting.user)
    return rows.filter(engagement=acting.engagement).exists()


def raised_it(acting: Acting, alert: Alert) -> bool:
    """Whether this person has called for the patient, and their unit still has to do with the patient."""
    if acting.engagement is None or alert.patient_id is None:
        return False
    if not AlertEvent.objects.filter(alert=alert, type__in=PRESSED, actor=acting.user).exists():
        return False
    relations = Relation.objects.current(acting.at).filter(patient_id=alert.patient_id)
    return relations.filter(unit_id=acting.engagement.unit_id).exists()


def may_answer(alert: Alert, user_id: UUID) -> bool:
    """Whether this member of the team may be called, or be handed the alert."""
    rows = TeamMember.objects.current().filter(programme_id=alert.programme_id, user_id=user_id, user__is_active=True)
    return rows.filter(current_at(NOW, "engagement__")).exists() and welcome(alert, user_id)


def welcome(alert: Alert, user_id: UUID) -> bool:
    """Whether the patient has not excluded this person (L3). A record that cannot be verified excludes those whom it
    names, and nobody else: it must not keep everybody from helping."""
    return alert.patient_id is None or user_id not in excluded_people(alert.patient_id)
