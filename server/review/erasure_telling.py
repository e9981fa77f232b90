"""Whoever an erasure concerns is told in time to stop it: the patient, and every other officer of each controller
concerned, when it is asked for, when it is confirmed, and shortly before it may begin. Two people alone destroy nothing
in silence."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from server.alerts.telling import notice
from server.audit.entry import SYSTEM, Actor
from server.common.clock import now
from server.consent.records import excluded_people
from server.duties import actions as duties
from server.duties.models import Duty, Kind
from server.people.models import Officer
from server.review.concerned import concerned
from server.review.models import Erasure

ASKED, CONFIRMED, SOON = "asked", "confirmed", "begins_soon"
BEFORE = timedelta(days=3)
"""How long before it may begin all are told once more."""


def tell(erasure: Erasure, *, actor: Actor, stage: str) -> None:
    """In the caller's transaction. Whoever did it needs no telling; whom the patient excluded is told nothing."""
    about, told = erasure.patient, set[UUID]()
    if about.user_id is not None:
        duties.owe(
            kind=Kind.ERASURE_COMING,
            actor=actor,
            user_id=about.user_id,
            patient=about,
            object_id=erasure.id,
            code=stage,
        )
        told.add(about.user_id)
    for officer in _officers(erasure, actor):
        duties.owe(
            kind=Kind.ERASURE_TOLD,
            actor=actor,
            user_id=officer.user_id,
            employer_id=officer.controller_id,
            patient=about,
            object_id=erasure.id,
            code=stage,
        )
        told.add(officer.user_id)
    notice(told, about=erasure.id, seed=uuid5(erasure.id, stage), mail=True)


def _officers(erasure: Erasure, actor: Actor) -> Iterable[Officer]:
    left_out = {one for one in (actor.user_id, erasure.patient.user_id) if one is not None}
    left_out |= excluded_people(erasure.patient_id)
    rows = Officer.objects.current().filter(controller_id__in=concerned(erasure.patient_id))
    return rows.exclude(user_id__in=left_out).order_by("id")


def tick() -> None:
    """Tell of those that may begin soon; each once."""
    coming = Erasure.objects.open().filter(begun_at=None, not_before__lte=now() + BEFORE)
    for id_ in coming.exclude(id__in=_told()).values_list("id", flat=True):
        _tell_soon(id_)


def _told() -> Any:
    return Duty.objects.filter(kind__in=(Kind.ERASURE_COMING, Kind.ERASURE_TOLD), code=SOON).values("object_id")


@transaction.atomic
def _tell_soon(id_: UUID) -> None:
    rows = Erasure.objects.open().select_for_update(of=("self",), no_key=True).select_related("patient")
    erasure = rows.filter(id=id_, begun_at=None).exclude(id__in=_told()).first()
    if erasure is not None:
        tell(erasure, actor=SYSTEM, stage=SOON)
