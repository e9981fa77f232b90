"""An alert as clients see it: the same shape over REST and over the socket. What the team sees beyond the patient's own
words depends on who looks (`doors.Opened.seen_as`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext

from server.alerts import plan, view, words
from server.alerts.actions import plans
from server.alerts.doors import Opened
from server.alerts.models import Alert, AlertEvent, AlertTask
from server.alerts.numbers import numbers_of
from server.alerts.store import TEXT
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import NotFound, Refusal
from server.common.sql import rfc3339
from server.people.actors import Acting
from server.people.models import User
from server.people.sealed import open_name, open_person
from server.vault import actions as vault
from server.vault.errors import Unreadable

PATIENTS_WORDS = ("raised", "pressed_again")
"""Events that hold what the patient wrote, or staff for the patient."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of an alert besides its row: read once, however many people are told."""

    happened: Sequence[view.Happened]
    names: Mapping[UUID, str]
    tasks: Sequence[AlertTask] = ()
    patient: str = ""
    """Their name; for the team."""


def facts_of(alert: Alert, *, team: bool) -> Facts:
    """Three statements; four for the `team`."""
    known = happened(alert)
    names = _names([one.who for one in known] + [alert.responder_id, alert.offered_to_id])
    if not team:
        return Facts(known, names)
    tasks = AlertTask.objects.filter(alert=alert, done_at=None).order_by("due_at", "kind")
    patient = alert.patient
    name = open_name(patient.name_sealed, patient.id) if patient is not None else ""
    return Facts(known, names, list(tasks), name)


def shown(opened: Opened, now: datetime, facts: Facts | None = None) -> dict[str, Any]:
    """`GET alerts/{id}`, and the `alert` of a socket's frame. `facts` are read when they are not at hand; for the team
    they must be the team's."""
    alert = opened.alert
    facts = facts or facts_of(alert, team=opened.seen_as == "team")
    lines = view.lines(facts.happened, alert.responder_id, alert.generation, now)
    number = alert.programme.on_call_number
    told = [{"code": line.code, "at": rfc3339(line.at), "text": words.say(line, facts.names, number)} for line in lines]
    answer: dict[str, Any] = {
        "id": str(alert.id),
        "state": alert.state,
        "generation": alert.generation,
        "version": alert.version,
        "raised_at": rfc3339(alert.raised_at),
        "status": lines[-1].code if lines else "registered",
        "lines": told,
        "responder": _person(alert.responder_id, facts.names, number),
        "numbers": numbers_of(alert.programme),
        "seen_as": opened.seen_as,
        "team": _for_team(alert, facts) if opened.seen_as == "team" else None,
    }
    return answer


def happened(alert: Alert) -> list[view.Happened]:
    """What the patient's lines are made of; two statements, however long the night was. Nothing that came after the
    row was read: lines and state are of one version."""
    rows = AlertEvent.objects.filter(alert=alert, n__lte=alert.events)
    fields = ("n", "type", "at", "generation", "contact", "actor_id")
    told = list(rows.filter(type__in=view.TOLD).values_list(*fields))
    received = rows.filter(type="page_received", generation=alert.generation).order_by("n").values_list(*fields)
    return [
        view.Happened(type_, at, generation, contact or actor)
        for _, type_, at, generation, contact, actor in sorted([*told, *received[:1]], key=lambda one: one[0])
    ]


def _for_team(alert: Alert, facts: Facts) -> dict[str, Any]:
    """For whoever may answer: whose phone it comes from, and whose turn it is. What the patient wrote, the number and
    the plan are for the responder (`first_screen`)."""
    return {
        "programme": str(alert.programme_id),
        "patient": {"id": str(alert.patient_id), "name": facts.patient} if alert.patient_id else None,
        "from": "patients_phone" if alert.raised_from in ("key", "session") else alert.raised_from,
        "duty": alert.duty,
        "due_at": _time(alert.due_at),
        "step": alert.step,
        "cancelled_at": _time(alert.cancelled_at),
        "accepted_at": _time(alert.accepted_at),
        "calling_at": _time(alert.calling_at),
        "contact_at": _time(alert.contact_at),
        "closed_at": _time(alert.closed_at),
        "offered_to": _person(alert.offered_to_id, facts.names, ""),
        "offered": alert.state == "handover_offered",
        "outcome": alert.outcome,
        "tasks": [{"kind": one.kind, "owner": str(one.owner_id), "due_at": rfc3339(one.due_at)} for one in facts.tasks],
    }


@transaction.atomic
def first_screen(acting: Acting, opened: Opened) -> dict[str, Any]:
    """What whoever has accepted needs in seconds: name, number, what is dangerous, what helps, whom to bring in; then
    the rest. A look, recorded. For the responder alone.

    Name and number are never withheld (L7); the plan is what the patient shares (M4). Raises NotFound.
    """
    alert = opened.alert
    if alert.responder_id != acting.user.id or alert.patient is None or alert.state == "closed":
        raise NotFound(refusal=Refusal("alert.first_screen", "not_responder", alert.patient_id, object_id=alert.id))
    record(Entry("alert.first_screen", acting.actor, subject_id=alert.patient.id, object_id=alert.id, basis="alert"))
    seen = _plan(acting, alert.patient.id)
    person = open_person(alert.patient)
    safe = person.safe_contact
    return {
        "name": person.name,
        "call_number": person.phone,
        "may_call": safe.may_call,
        "may_text": safe.may_text,
        "may_leave_message": safe.may_leave_message,
        "others_may_answer": safe.others_may_answer,
        "language": person.language,
        "wrote": raised_with(alert),
        "plan": plan.shown(seen.text) if seen is not None and seen.text is not None else None,
        "plan_shared": seen is not None and seen.shared,
        "guidance": [str(one) for one in words.GUIDANCE],
        "call_from": alert.programme.on_call_number,
        "numbers": numbers_of(alert.programme),
    }


def _plan(acting: Acting, patient_id: UUID) -> plans.Shown | None:
    """The plan as far as it is shared, its look recorded; None where it is not open at all, which keeps nobody from
    calling."""
    try:
        return plans.view(acting=acting, patient_id=patient_id)
    except NotFound:
        return None


def raised_with(alert: Alert) -> list[dict[str, str]]:
    """What was written with the call, and with further presses, and whether it came from the patient's phone; oldest
    first."""
    rows = list(
        AlertEvent.objects.filter(alert=alert, type__in=PATIENTS_WORDS, text_sealed__isnull=False).order_by("n")
    )
    own = alert.patient.user_id if alert.patient is not None else None
    staff = _names([one.actor_id for one in rows if one.actor_id != own])
    return [
        {
            "at": rfc3339(one.at),
            "by": "phone" if one.actor_id in (None, own) else "staff",
            "name": staff.get(one.actor_id, "") if one.actor_id is not None else "",
            "text": text_of(one),
        }
        for one in rows
    ]


def text_of(event: AlertEvent) -> str:
    """The words of one event, or a word that says that their key is destroyed."""
    if event.text_sealed is None:
        return ""
    try:
        return vault.unseal(event.text_sealed, place=TEXT, row=event.id)
    except Unreadable:
        return gettext("(erased)")


@transaction.atomic
def timeline(acting: Acting, opened: Opened, after: int, limit: int) -> list[dict[str, Any]]:
    """Everything that has happened, in order, from number `after` on: every page, receipt, decision and error. For the
    team; a look, recorded. What the patient wrote is for who has, or has had, the call."""
    alert = opened.alert
    rows = list(AlertEvent.objects.filter(alert=alert, n__gt=after).order_by("n")[:limit])
    names = _names([one.contact for one in rows] + [one.actor_id for one in rows])
    had_it = alert.responder_id == acting.user.id or _had_it(alert, acting.user.id)
    seqs = {"from": rows[0].n, "to": rows[-1].n} if rows else {"from": after, "to": after}
    record(
        Entry(
            "alert.timeline_viewed",
            acting.actor,
            subject_id=alert.patient_id,
            object_id=alert.id,
            basis="alert",
            detail=seqs if alert.patient_id is not None else {},
        )
    )
    return [
        {
            "n": one.n,
            "at": rfc3339(one.at),
            "type": one.type,
            "code": one.code,
            "generation": one.generation,
            "step": one.step,
            "channel": one.channel,
            "page": str(one.page) if one.page else None,
            "contact": _person(one.contact, names, "") if one.contact else None,
            "actor": _person(one.actor_id, names, "") if one.actor_id else None,
            "text": text_of(one) or None if had_it or one.type not in PATIENTS_WORDS else None,
        }
        for one in rows
    ]


def _had_it(alert: Alert, user_id: UUID) -> bool:
    taken = AlertEvent.objects.filter(alert=alert, type__in=("accepted", "handed_over"), contact=user_id)
    return taken.exists()


def _names(ids: Sequence[UUID | None]) -> dict[UUID, str]:
    wanted = {one for one in ids if one is not None}
    return dict(User.objects.filter(id__in=wanted).values_list("id", "name")) if wanted else {}


def _person(user: UUID | None, names: Mapping[UUID, str], number: str) -> dict[str, Any] | None:
    return None if user is None else {"user": str(user), "name": names.get(user, ""), "number": number}


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
