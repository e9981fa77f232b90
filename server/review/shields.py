"""A controller shields an employee: patients read unit, role and a stable code in place of the name (GDPR article 15,
paragraph 4). Officers, and the log itself, say who it was."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound, Refusal
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.models import Engagement, Officer
from server.review.access import require_employee_of, require_officer
from server.review.models import Shield
from server.review.reasons import SHIELD, seal_reason

DECIDED, ENDED, VIEWED = "review.shield_decided", "review.shield_ended", "review.shields_viewed"

ALPHABET = "23456789BCDFGHJKLMNPQRSTVWXZ"
"""No letters that make words, none that are taken for digits."""
CODE_LENGTH = 6

Employee = tuple[UUID, UUID]
"""Controller and user."""


def in_force(users: Iterable[UUID]) -> dict[Employee, str]:
    """The code of each of these users at each controller that shields them now; one statement."""
    rows = Shield.objects.in_force().filter(user_id__in=set(users))
    return {(controller, user): code for controller, user, code in rows.values_list("controller_id", "user_id", "code")}


def naming(texts: Sequence[str]) -> list[bool]:
    """Of each text that a patient would get as it is, an entry or details, whether anybody stands in it who is shielded
    now: as who acted, was let in, asked or told. Their places of work would say it too. Two statements."""
    shielded = Shield.objects.in_force().values("user_id")
    ids = [*shielded.values_list("user_id", flat=True)]
    ids += Engagement.objects.filter(user_id__in=shielded).values_list("id", flat=True) if ids else []
    secret = [str(one) for one in ids]
    return [any(one in text for one in secret) for text in texts]


def look(*, acting: Acting) -> QuerySet[Shield]:
    """The decisions of the officer's controller, newest first; the look is on record. Raises Forbidden."""
    officer = require_officer(acting, VIEWED)
    with transaction.atomic():
        record(Entry(VIEWED, acting.actor, basis="officer"))
    return Shield.objects.filter(controller_id=officer.controller_id).select_related("user", "decided_by", "ended_by")


@transaction.atomic
def decide(*, acting: Acting, user_id: UUID, reason: str, decided_on: date, valid_from: datetime | None) -> Shield:
    """Shield an employee of the officer's controller from `valid_from` (None: now) until it is ended.

    Raises Forbidden (`officer_only`); NotFound for whoever has never worked there; Conflict (`own_shield`,
    `shielded_already`).
    """
    officer = require_officer(acting, DECIDED)
    require_employee_of(officer, user_id, DECIDED)
    if user_id == acting.user.id:
        raise Conflict(code="own_shield", refusal=Refusal(DECIDED, "own", object_id=user_id))
    shield = Shield(
        id=new_id(),
        controller_id=officer.controller_id,
        user_id=user_id,
        code=_code(officer.controller_id, user_id),
        decided_by=acting.user,
        decided_on=decided_on,
        valid_from=valid_from or now(),
    )
    shield.reason_sealed = seal_reason(reason, place=SHIELD, row=shield.id)
    try:
        with transaction.atomic():
            shield.save(force_insert=True)
    except IntegrityError:
        raise Conflict(code="shielded_already") from None
    record(Entry(DECIDED, acting.actor, object_id=shield.id, basis="officer", record_ids=(user_id,)))
    return shield


@transaction.atomic
def end(*, acting: Acting, shield_id: UUID) -> Shield:
    """Show the name again. Ending it again changes nothing. Raises Forbidden (`officer_only`), NotFound, Conflict
    (`own_shield`)."""
    officer = require_officer(acting, ENDED)
    shield = own_shield(officer, shield_id)
    if shield.user_id == acting.user.id:
        raise Conflict(code="own_shield", refusal=Refusal(ENDED, "own", object_id=shield.id))
    if Shield.objects.filter(id=shield.id, ended_at=None).update(ended_at=now(), ended_by=acting.user):
        record(Entry(ENDED, acting.actor, object_id=shield.id, basis="officer", record_ids=(shield.user_id,)))
    shield.refresh_from_db(fields=["ended_at", "ended_by"])
    return shield


def own_shield(officer: Officer, shield_id: UUID) -> Shield:
    """A decision of the officer's controller. Raises NotFound, the same for foreign and missing."""
    found = Shield.objects.select_related("user").filter(id=shield_id, controller_id=officer.controller_id).first()
    if found is None:
        raise NotFound(refusal=Refusal(ENDED, "foreign", object_id=shield_id))
    return found


def _code(controller_id: UUID, user_id: UUID) -> str:
    """The one that this person has had at this controller, or a fresh one that nobody has had there."""
    of_controller = Shield.objects.filter(controller_id=controller_id)
    known = of_controller.filter(user_id=user_id).values_list("code", flat=True).first()
    while known is None:
        made = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        known = made if not of_controller.filter(code=made).exists() else None
    return known
