"""Controllers, their units, and the agreements between them (L6)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Invalid, NotFound
from server.people.hours import faults
from server.people.identity import Unusable, organisation_number
from server.people.models import Agreement, AgreementParty, Controller, Unit
from server.people.periods import NOW
from server.people.ports import ACCESS_EFFECTS

MOST_PARTIES = 1_000
"""Each is named in one entry of the log."""


def checked_org_number(text: str) -> str:
    try:
        return organisation_number(text)
    except Unusable:
        raise Invalid(errors=[{"field": "org_number", "code": "org_number", "detail": ""}]) from None


@transaction.atomic
def register_controller(
    *, name: str, org_number: str, actor: Actor, article_6: str = "", article_9: str = "", statute: str = ""
) -> Controller:
    """Record a legal entity, and its basis for processing what its staff write (L1): `6(1)(e)`, `9(2)(h)`, a statute.

    Raises Invalid when the organisation number is none, or when an article is none or is consent, which is never the
    basis here.
    """
    for field, said, article in (("article_6", article_6, "6(1)("), ("article_9", article_9, "9(2)(")):
        if said and (not said.startswith(article) or "(a)" in said.lower()):
            raise Invalid(errors=[{"field": field, "code": "legal_basis", "detail": ""}])
    controller = Controller.objects.create(
        name=name,
        org_number=checked_org_number(org_number),
        article_6=article_6,
        article_9=article_9,
        statute=statute,
    )
    record(Entry("controller.registered", actor, object_id=controller.id))
    return controller


@transaction.atomic
def register_unit(
    *,
    controller: Controller,
    name: str,
    org_number: str,
    kind: str,
    response_hours: int,
    office_hours: dict[str, Any],
    actor: Actor,
) -> Unit:
    """Record a unit of a controller. `response_hours` is the agreed response time in attended hours (S10).

    Raises Invalid when the organisation number or the office hours are none.
    """
    wrong = faults(office_hours)
    if wrong:
        raise Invalid(errors=[{"field": "office_hours", "code": wrong[0], "detail": ""}])
    unit = Unit.objects.create(
        controller=controller,
        name=name,
        org_number=checked_org_number(org_number),
        kind=kind,
        response_hours=response_hours,
        office_hours=office_hours,
    )
    record(Entry("unit.registered", actor, object_id=unit.id, record_ids=(controller.id,)))
    return unit


@transaction.atomic
def register_agreement(
    *,
    title: str,
    controllers: Sequence[Controller],
    actor: Actor,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Agreement:
    """Record an agreement between two or more controllers (GDPR art. 26), from now unless told otherwise.

    Raises Invalid `parties` when there are fewer than two, or more than `MOST_PARTIES`.
    """
    parties = {controller.id for controller in controllers}
    if not 2 <= len(parties) <= MOST_PARTIES:
        raise Invalid(errors=[{"field": "controllers", "code": "parties", "detail": ""}])
    agreement = Agreement.objects.create(title=title, valid_from=valid_from or now(), valid_to=valid_to)
    AgreementParty.objects.bulk_create(AgreementParty(agreement=agreement, controller_id=one) for one in parties)
    record(Entry("agreement.registered", actor, object_id=agreement.id, record_ids=tuple(sorted(parties))))
    return agreement


@transaction.atomic
def end_agreement(*, agreement_id: UUID, actor: Actor, reason: str) -> None:
    """End an agreement now, with its effect on rooms. `reason` is a code. Ending it again changes nothing.

    Raises NotFound.
    """
    agreement = Agreement.objects.select_for_update(no_key=True).filter(id=agreement_id).first()
    if agreement is None:
        raise NotFound
    if agreement.ended_at is None:
        agreement.ended_at = max(now(), agreement.valid_from)
        agreement.save(update_fields=["ended_at"])
    finish_agreement(agreement_id=agreement.id, actor=actor, reason=reason)


@transaction.atomic
def finish_agreement(*, agreement_id: UUID, actor: Actor, reason: str) -> bool:
    """Let the end of an agreement take effect, once; False when it has already."""
    if not Agreement.objects.filter(id=agreement_id, effect_done_at=None).update(effect_done_at=NOW):
        return False
    record(Entry("agreement.ended", actor, object_id=agreement_id, reason=reason))
    ACCESS_EFFECTS().agreement_ended(agreement_id)
    return True
