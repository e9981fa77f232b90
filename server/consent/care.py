"""Withdrawal stops sharing, never care (M4): one named clinician is asked to offer the patient a call."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from server.audit.entry import SYSTEM, Actor
from server.common.clock import now
from server.consent import records
from server.consent.models import Consent
from server.duties import actions as duties
from server.duties.models import Duty, Kind
from server.people.models import ContactPoint, Engagement, Patient, Relation, RelationKind

WITHIN = timedelta(hours=24)
ORDER = [RelationKind.TREATMENT, RelationKind.FOLLOW_UP, RelationKind.ACUTE, RelationKind.REFERRAL, RelationKind.SOCIAL]
"""Whose call is most natural, first."""


def offer_call(consent: Consent, members: Sequence[UUID], actor: Actor) -> None:
    """Give one clinician the task. Nobody is told why the patient withdrew, or what was written."""
    clinician = _clinician(consent, members)
    if clinician is not None:
        user_id, employer_id = clinician
        duties.owe(
            kind=Kind.OFFER_CALL,
            due_at=now() + WITHIN,
            user_id=user_id,
            employer_id=employer_id,
            patient=consent.patient,
            room_id=consent.room_id,
            object_id=consent.id,
            code=consent.form,
            actor=actor,
        )


def stranded() -> list[Consent]:
    """Consents whose offer of a call is open and owed only by people who no longer work there; one statement."""
    at_work = Engagement.objects.current().filter(
        user_id=OuterRef("user_id"), user__is_active=True, unit__controller_id=OuterRef("employer_id")
    )
    open_offers = Duty.objects.filter(kind=Kind.OFFER_CALL, done_at=None)
    held = open_offers.filter(Exists(at_work)).values("object_id")
    gone = open_offers.filter(~Exists(at_work)).exclude(object_id__in=held).values("object_id")
    return list(Consent.objects.filter(id__in=gone).select_related("patient").order_by("id"))


@transaction.atomic
def hand_on(consent: Consent) -> bool:
    """Whoever had the task has left: somebody else gets it. Returns whether there is anybody."""
    Consent.objects.select_for_update().get(id=consent.id)
    if consent not in stranded() or _clinician(consent, ()) is None:
        return False
    offer_call(consent, (), SYSTEM)
    return True


@transaction.atomic
def take_from(*, patient: Patient, person_id: UUID, actor: Actor) -> None:
    """The patient has excluded this person: their offers of a call go to somebody else."""
    offers = Duty.objects.filter(kind=Kind.OFFER_CALL, done_at=None, user_id=person_id, patient=patient)
    of_which = {one for one in offers.values_list("object_id", flat=True) if one is not None}
    for duty in offers:
        duties.release(duty=duty, actor=actor)
    for consent in Consent.objects.filter(id__in=of_which).select_related("patient").order_by("id"):
        offer_call(consent, (), actor)


def _clinician(consent: Consent, members: Sequence[UUID]) -> tuple[UUID, UUID] | None:
    """A user and the controller they work for. Health personnel of a unit with a current relation: who took part in the
    room first, then by the kind of relation, then who has worked there longest; without any, whoever tends a related
    unit's contact point. Never somebody whom the patient has excluded."""
    excluded = records.excluded_people(consent.patient_id)
    rank: dict[UUID, int] = {}
    relations = Relation.objects.current().filter(patient_id=consent.patient_id)
    for unit_id, kind in relations.values_list("unit_id", "kind"):
        place = ORDER.index(RelationKind(kind))
        rank[unit_id] = min(place, rank.get(unit_id, place))
    at_work = (
        Engagement.objects.current()
        .filter(unit_id__in=rank, health_personnel=True, user__is_active=True)
        .select_related("unit")
        .exclude(user_id__in=excluded)
    )
    best = min(
        at_work,
        key=lambda one: (one.user_id not in members, rank[one.unit_id], one.valid_from, one.id),
        default=None,
    )
    if best is not None:
        return best.user_id, best.unit.controller_id
    current = Engagement.objects.current().filter(
        user_id=OuterRef("user_id"), user__is_active=True, unit__controller_id=OuterRef("unit__controller_id")
    )
    tended = ContactPoint.objects.filter(Exists(current), unit_id__in=rank).exclude(user_id__in=excluded)
    return tended.order_by("id").values_list("user_id", "unit__controller_id").first()
