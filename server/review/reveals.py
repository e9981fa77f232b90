"""Names and details of one case, shown to an officer who says why: sealed, logged, and seen by the patient (L2)."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from server.audit.models import AuditEvent
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.models import Officer, Patient
from server.people.names import display_names, patient_names
from server.review.access import open_event, require_proved_officer
from server.review.events import record_opened
from server.review.models import Reveal
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

REASON = "review_reveal.reason"
REVIEW_OWNER = UUID("5b9d6c1a-2f83-5c0e-9a41-7e3d0c58f642")
"""Owner of the "service" key for reasons that concern no patient, or one whose key is destroyed; fixed for ever."""
REVEALED = "review.revealed"


@dataclass(frozen=True, slots=True)
class Shown:
    """`actor` and `patient` are names, None where there is nobody. `state` of the details: `open`, `none`, `erased`
    (the key is destroyed) or `unreadable` (damaged or changed: to be looked into)."""

    reveal: Reveal
    event: AuditEvent
    actor: str | None
    patient: str | None
    details: dict[str, Any] | None
    state: str


@transaction.atomic
def reveal(*, acting: Acting, event_id: UUID, reason: str) -> Shown:
    """Show the names and details of one event, for a reason in the officer's words.

    Raises Forbidden `officer_only`, `step_up_needed`; NotFound, the same for foreign and missing.
    """
    officer = require_proved_officer(acting, REVEALED)
    event = open_event(officer, event_id, REVEALED).event
    patient = Patient.objects.filter(id=event.subject_id).first() if event.subject_id else None
    kept = _keep(officer, event, patient, reason)
    record_opened(acting=acting, event=event, type_=REVEALED, record_ids=(kept.id,))
    details, state = _details(event)
    return Shown(
        reveal=kept,
        event=event,
        actor=display_names([event.actor_id]).get(event.actor_id) if event.actor_id else None,
        patient=patient_names([patient])[patient.id] if patient is not None else None,
        details=details,
        state=state,
    )


def earlier(officer: Officer, event_id: UUID) -> QuerySet[Reveal]:
    """By whom of this controller, and why, the case has been revealed before. Served by `reveal_of_event`."""
    return Reveal.objects.filter(controller_id=officer.controller_id, event_id=event_id).select_related("officer__user")


def reason_of(kept: Reveal) -> str:
    """The officer's words, or a word that says that their key is destroyed."""
    try:
        return vault.unseal(kept.reason_sealed, place=REASON, row=kept.id)
    except Unreadable:
        return _("(erased)")


def _keep(officer: Officer, event: AuditEvent, patient: Patient | None, reason: str) -> Reveal:
    """Put on record that `officer` has the case revealed, and seal why; in the caller's transaction."""
    made = Reveal(id=new_id(), officer=officer, controller_id=officer.controller_id, event_id=event.id)
    made.reason_sealed = _sealed(made.id, patient, reason)
    made.save(force_insert=True)
    return made


def _sealed(row: UUID, patient: Patient | None, reason: str) -> bytes:
    if patient is not None:
        try:
            return vault.seal(patient.key, reason, place=REASON, row=row)
        except Destroyed:
            pass
    return vault.seal(vault.key_for(scope="service", owner=REVIEW_OWNER), reason, place=REASON, row=row)


def _details(event: AuditEvent) -> tuple[dict[str, Any] | None, str]:
    if event.detail_sealed is None:
        # The leaf has a commitment: there were details, and their key was destroyed before they could be kept.
        return None, "none" if json.loads(event.leaf)["detail"] is None else "erased"
    try:
        return event.detail, "open"
    except Destroyed:
        return None, "erased"
    except Unreadable:
        return None, "unreadable"
