"""Between rows and decisions: an alert is read into a `Case`, and what was decided is written in one transaction."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from server.alerts import policy as policies
from server.alerts import reach
from server.alerts.facts import Case, Decision, Limits, Note, Page, Roster, Seen, Task
from server.alerts.models import Alert, AlertEvent, AlertTask
from server.audit.actions import record_many
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.hints import hint
from server.common.ids import new_id
from server.notify import actions as notify
from server.notify.models import Delivery
from server.vault import actions as vault
from server.vault.errors import VaultError

log = structlog.get_logger(__name__)

TEXT = "alerts_alertevent.text_sealed"
KEPT = (
    "state",
    "due_at",
    "step_at",
    "generation",
    "step",
    "offered_from",
    "offered_at",
    "cancelled_at",
    "accepted_at",
    "calling_at",
    "contact_at",
    "alone_at",
    "closed_at",
    "outcome",
    "children",
)
"""Fields of the same name in row and `Case`."""
AUDITED = (
    "raised",
    "pressed_again",
    "accepted",
    "calling",
    "in_contact",
    "not_reached",
    "task_done",
    "handover_offered",
    "handed_over",
    "offer_lapsed",
    "resumed",
    "cancelled",
    "closed",
    "noted",
    "page_declined",
    "duty_phone_answered",
)
"""Notes that have a line of their own in the audit log; who was called has one for all (`alert.paged`). The others are
the router's steps and what became of each page: they stand on the timeline."""


class Overtaken(RuntimeError):
    """Somebody else has changed the alert since it was read: decide again."""


def locked(alert_id: UUID, *, wait: bool = True) -> Alert | None:
    """The alert, held until the transaction ends; None when there is none or, unless `wait`, when somebody holds it."""
    rows: QuerySet[Alert] = Alert.objects.select_related("programme", "policy", "patient")
    if connection.vendor == "postgresql":
        if wait:  # whoever holds it for longer has died: better told to come again than kept waiting
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
        rows = rows.select_for_update(of=("self",), skip_locked=not wait, no_key=True)
    return rows.filter(id=alert_id).first()


def case_of(alert: Alert) -> Case:
    """Where the alert stands; one statement for its tasks, none while people are being called."""
    policy, as_stored = policies.stored(alert.policy.steps) if alert.policy else (policies.BUILT_IN, True)
    if not as_stored:
        log.critical("alert_policy_unusable", policy=str(alert.policy_id))
    tasks = AlertTask.objects.filter(alert=alert, done_at=None).order_by("due_at", "kind")
    owed = alert.responder_id is not None or alert.cancelled_at is not None or alert.generation > 0
    return Case(
        id=alert.id,
        raised_at=alert.raised_at,
        responder=alert.responder_id,
        offered_to=alert.offered_to_id,
        tasks=tuple(Task(one.kind, one.due_at) for one in tasks) if owed else (),
        synthetic=alert.synthetic,
        policy=policy,
        limits=limits(),
        **{name: getattr(alert, name) for name in KEPT},
    )


def limits() -> Limits:
    env = settings.ENV
    return Limits(
        receipt=env.alert_receipt_s,
        calling=env.alert_calling_s,
        contact=env.alert_contact_s,
        offer=env.alert_offer_s,
        task=env.alert_task_s,
        follow_up=env.alert_follow_up_s,
        remind=env.alert_remind_s,
    )


def seen(alert: Alert) -> list[Seen]:
    """Events of the present generation and step."""
    rows = AlertEvent.objects.filter(alert=alert, generation=alert.generation, step=alert.step).order_by("n")
    told = rows.values_list("type", "at", "generation", "step", "page", "contact", "channel", "code")
    return [Seen(*row) for row in told]


def roster(alert: Alert, case: Case, now: datetime) -> Roster:
    return reach.roster_of(alert, case.policy, now)


def save(
    alert: Alert,
    decision: Decision,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
    basis: str = "",
    text: str = "",
) -> None:
    """Write the alert over what was read, its events, pages, tasks and audit lines; `text` goes on the first event.

    Raises Overtaken when the row is not the one that was read (law 7).
    """
    case, was = decision.case, (alert.state, alert.generation, alert.version)
    numbered = alert.events
    events = [_event(alert, case, note, numbered + n, now) for n, note in enumerate(decision.notes, start=1)]
    if text and events:
        _seal(alert, events[0], text)
    fields = {name: getattr(case, name) for name in KEPT}
    fields |= {"responder_id": case.responder, "offered_to_id": case.offered_to, "duty": case.duty}
    fields |= {"version": alert.version + 1, "events": numbered + len(events)}
    read = Alert.objects.filter(id=alert.id, state=was[0], generation=was[1], version=was[2])
    if not read.update(**fields):
        raise Overtaken
    for name, value in fields.items():
        setattr(alert, name, value)
    AlertEvent.objects.bulk_create(events)
    _tasks(alert, decision, now, actor)
    notify.enqueue(_orders(alert, decision))
    if case.responder is not None or case.state == "closed":
        _taken(alert, decision)
    record_many(_entries(alert, decision, actor, basis))
    hint("alert", alert.id)


def _seal(alert: Alert, event: AlertEvent, text: str) -> None:
    """Put words on an event. Those of a call for help must not keep it from being raised: without a key they are lost,
    and the event says so. Raises VaultError for all others."""
    assert alert.patient is not None, "words are sealed under the patient's key"
    try:
        event.text_sealed = vault.seal(alert.patient.key, text, place=TEXT, row=event.id)
    except VaultError:
        if event.type not in ("raised", "pressed_again"):
            raise
        log.critical("alert_words_lost", alert=str(alert.id))
        event.code = "words_lost"


def _event(alert: Alert, case: Case, note: Note, number: int, now: datetime) -> AlertEvent:
    return AlertEvent(
        id=new_id(),
        alert=alert,
        n=number,
        at=now,
        type=note.type,
        actor_id=note.actor,
        generation=case.generation,
        step=case.step if note.step is None else note.step,
        page=note.page,
        contact=note.contact,
        channel=note.channel,
        code=note.code,
    )


def _tasks(alert: Alert, decision: Decision, now: datetime, actor: Actor) -> None:
    case = decision.case
    open_ones = AlertTask.objects.filter(alert=alert, done_at=None)
    for kind, code in decision.ended:
        open_ones.filter(kind=kind).update(done_at=now, done_by_id=actor.user_id, code=code)
    if case.responder is not None:
        for task in case.tasks:
            open_ones.filter(kind=task.kind).exclude(owner_id=case.responder, due_at=task.due_at).update(
                owner_id=case.responder, due_at=task.due_at
            )
        for task in decision.begun:
            AlertTask.objects.create(alert=alert, kind=task.kind, owner_id=case.responder, due_at=task.due_at)


# --- messages --------------------------------------------------------------------------------------------


def _orders(alert: Alert, decision: Decision) -> list[notify.Order]:
    reminders = {note.page for note in decision.notes if note.type == "page" and note.code}
    speaks = reach.languages(page.contact.id for page in decision.pages if page.contact.is_user)
    return [_order(alert, page, speaks, reminder=page.id in reminders) for page in decision.pages]


def _order(alert: Alert, page: Page, speaks: dict[UUID, str], *, reminder: bool) -> notify.Order:
    kind = "synthetic" if alert.synthetic else "notice" if reminder else "page"
    return notify.Order(
        id=page.id,
        kind=kind,
        about=alert.id,
        generation=page.generation,
        user_id=page.contact.id if page.contact.is_user else None,
        channel=page.endpoint.channel,
        address_id=page.endpoint.address,
        to=page.endpoint.to,
        language=speaks.get(page.contact.id, "nb"),
        urgent=True,
        ttl_s=page.ttl_s,
        topic=notify.topic("alert", alert.id, page.endpoint.address),
    )


def _taken(alert: Alert, decision: Decision) -> None:
    """Somebody has it: what has not gone is not sent, and devices that were called are told."""
    if not any(note.type in ("accepted", "handed_over", "closed") for note in decision.notes):
        return
    notify.drop(about=alert.id, kinds=("page", "synthetic"))
    # What may have arrived, and nothing that never left.
    called = Delivery.objects.filter(about=alert.id, kind="page", channel="push", user__isnull=False, attempts__gt=0)
    rows = called.exclude(user=decision.case.responder).filter(address__disabled_at=None)
    devices = rows.values_list("address_id", "user_id", "language").distinct()
    notify.enqueue([_taken_order(alert, *device) for device in devices])


def _taken_order(alert: Alert, address: UUID, user: UUID, language: str) -> notify.Order:
    return notify.Order(
        id=uuid5(alert.id, f"taken/{address}/{alert.generation}"),  # once, however often it passes on
        kind="taken",
        about=alert.id,
        generation=alert.generation,
        user_id=user,
        channel="push",
        address_id=address,
        language=language,
        urgent=True,
        ttl_s=600,
        topic=notify.topic("alert", alert.id, address),
    )


# --- the audit log ---------------------------------------------------------------------------------------


def _entries(alert: Alert, decision: Decision, actor: Actor, basis: str) -> list[Entry]:
    told = [note for note in decision.notes if note.type in AUDITED]
    entries = [_entry(alert, f"alert.{note.type}", actor, basis, note.code) for note in told]
    called = dict.fromkeys(page.contact.id for page in decision.pages)
    if called:
        entries.append(replace(_entry(alert, "alert.paged", SYSTEM, "alert", ""), record_ids=tuple(called)))
    return entries


def _entry(alert: Alert, type_: str, actor: Actor, basis: str, code: str) -> Entry:
    return Entry(type_, actor, subject_id=alert.patient_id, object_id=alert.id, basis=basis or "alert", reason=code)


def write_outcome(alert: Alert, note: Note, *, now: datetime, soon: bool, actor: Actor = SYSTEM) -> None:
    """Put on the timeline what became of a page, in the generation and step that the page is of: an old one says
    nothing of the present ones. `soon`: the router looks at the alert at once."""
    case = case_of(alert)
    made = AlertEvent.objects.filter(alert=alert, type="page", page=note.page).values_list("generation", "step").first()
    generation, step = made or (case.generation, case.step)
    event = _event(alert, replace(case, generation=generation, step=step), note, alert.events + 1, now)
    fields: dict[str, object] = {"events": alert.events + 1, "version": alert.version + 1}
    if soon and case.duty == "router":
        fields["due_at"] = now
    if not Alert.objects.filter(id=alert.id, version=alert.version).update(**fields):
        raise Overtaken
    AlertEvent.objects.bulk_create([event])
    if note.type in AUDITED:
        record_many([_entry(alert, f"alert.{note.type}", actor, "page", note.code)])
    hint("alert", alert.id)
