"""Statutory grounds (rule 5): recorded as what they are, never as a consent, and only kinds that the installation has
turned on (`STATUTORY_GROUNDS`). The words that justify one are sealed; what the log and the decision need is signed."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from pydantic import ValidationError

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Forbidden, Invalid, NotFound, Refusal
from server.common.ids import new_id
from server.consent import forms, sealing
from server.consent.decide import Grant, StatutoryRecord
from server.consent.document import GrantPart, Moment, Part
from server.consent.models import StatutoryGround
from server.consent.ports import ROOM_EFFECTS
from server.people.access import open_patient, require_staff
from server.people.actors import Acting
from server.people.periods import NOW
from server.vault import actions as vault
from server.vault.errors import MasterKeyFault, Unreadable

log = structlog.get_logger(__name__)

LONGEST = timedelta(days=90)


class GroundDocument(Part):
    """What is sealed of one ground."""

    schema_version: Literal[1] = 1
    id: UUID
    room: UUID
    patient: UUID
    code: str
    statute: str
    purpose: str
    categories: tuple[str, ...]
    grant: GrantPart
    valid_from: Moment
    valid_to: Moment
    recorder: UUID


@transaction.atomic
def record_ground(
    *, acting: Acting, room_id: UUID, patient_id: UUID, purpose: str, code: str, words: str, valid_to: datetime
) -> StatutoryGround:
    """Record a ground for oneself and one's own unit; it lets in nobody who is not also a member of the room.

    Raises Forbidden (`ground_off`, `health_personnel_only`), Invalid, NotFound without a relation to the patient.
    """
    engagement = require_staff(acting)
    patient = open_patient(acting, patient_id)
    known = forms.statutory_grounds()
    if code not in known:
        raise Invalid(errors=[{"field": "ground", "code": "invalid_choice", "detail": _("No such ground.")}])
    if code not in settings.ENV.statutory_grounds:
        raise Forbidden(code="ground_off", refusal=Refusal("ground.recorded", "ground_off", room_id=room_id))
    if not engagement.health_personnel:
        refusal = Refusal("ground.recorded", "not_health_personnel", room_id=room_id, subject_id=patient.id)
        raise Forbidden(code="health_personnel_only", refusal=refusal)
    at = now()
    if not at < valid_to <= at + LONGEST:
        detail = _("Choose a time within the next %(days)d days.") % {"days": LONGEST.days}
        raise Invalid(errors=[{"field": "until", "code": "out_of_range", "detail": detail}])
    ROOM_EFFECTS().lock(room_id)
    ground_id, unit = new_id(), engagement.unit
    document = GroundDocument(
        id=ground_id,
        room=room_id,
        patient=patient.id,
        code=code,
        statute=known[code].statute,
        purpose=purpose,
        categories=tuple(sorted(forms.form("room").categories)),
        grant=GrantPart(unit=unit.id, org_number=unit.org_number, person=acting.user.id, role=engagement.role),
        valid_from=at,
        valid_to=valid_to,
        recorder=acting.user.id,
    )
    sealed = sealing.seal(document, sealing.GROUND)
    ground = StatutoryGround.objects.create(
        id=ground_id,
        room_id=room_id,
        patient=patient,
        document=sealed.document,
        hash=sealed.hash,
        signature=sealed.signature,
        key=sealed.key,
        remark_sealed=vault.seal(patient.key, words, place="statutory_ground.remark", row=ground_id),
        recorded_by=acting.user,
        ends_at=valid_to,
    )
    _log(acting.actor, ground, "ground.recorded", code, sealed.hash)
    ROOM_EFFECTS().grounds_changed(room_id, acting.actor)
    return ground


@transaction.atomic
def end_ground(*, acting: Acting, room_id: UUID, ground_id: UUID) -> None:
    """End a ground now, by whoever recorded it or a colleague of the same unit. Ending it again changes nothing.

    Raises NotFound.
    """
    unit_id = require_staff(acting).unit_id
    here = StatutoryGround.objects.filter(id=ground_id, room_id=room_id)
    known = here.first()
    document = _believed(known) if known is not None else None
    if document is None or document.grant.unit != unit_id:
        raise NotFound(refusal=Refusal("ground.ended", "missing", room_id=room_id, object_id=ground_id))
    ROOM_EFFECTS().lock(room_id)
    _end(here.select_for_update().get(), acting.actor)


@transaction.atomic
def run_out(*, ground: StatutoryGround) -> bool:
    """Its time is over; nobody acts but the clock. Returns whether it was."""
    ROOM_EFFECTS().lock(ground.room_id)
    due = StatutoryGround.objects.select_for_update().filter(id=ground.id, ended_at=None, ends_at__lte=NOW).first()
    if due is None:
        return False
    _end(due, SYSTEM)
    return True


def records(rooms: Mapping[UUID, UUID]) -> Iterator[tuple[UUID, StatutoryRecord]]:
    """Grounds of these rooms (room → patient) that have not been ended and whose seal holds; one statement."""
    open_ones = Q(ended_at=None) | Q(ended_at__gt=NOW)
    for ground in StatutoryGround.objects.filter(open_ones, room_id__in=list(rooms)).defer("remark_sealed"):
        document = _believed(ground)
        if document is not None:
            yield (
                ground.room_id,
                StatutoryRecord(
                    ground_id=document.id,
                    enabled=document.code in settings.ENV.statutory_grounds,
                    purpose=document.purpose,
                    categories=frozenset(document.categories),
                    grant=Grant(document.grant.unit, document.grant.person, document.grant.role),
                    valid_from=document.valid_from,
                    valid_to=document.valid_to,
                ),
            )


def parsed(ground: StatutoryGround) -> GroundDocument:
    return GroundDocument.model_validate_json(ground.document)


def _believed(ground: StatutoryGround) -> GroundDocument | None:
    """A ground that cannot be verified permits nothing."""
    try:
        sound = sealing.holds(ground.document, ground.hash, bytes(ground.signature), ground.key, sealing.GROUND)
        document = parsed(ground) if sound else None
    except (Unreadable, MasterKeyFault, ValidationError):
        document = None
    if document is None or (document.id, document.room) != (ground.id, ground.room_id):
        log.critical("ground_unreadable", ground=str(ground.id))
        return None
    return document


def _end(ground: StatutoryGround, actor: Actor) -> None:
    if ground.ended_at is None:
        ground.ended_at = now()
        ground.save(update_fields=["ended_at"])
        _log(actor, ground, "ground.ended", "", None)
        ROOM_EFFECTS().grounds_changed(ground.room_id, actor)


def _log(actor: Actor, ground: StatutoryGround, type_: str, code: str, sealed_hash: str | None) -> None:
    record(
        Entry(
            type_,
            actor,
            subject_id=ground.patient_id,
            room_id=ground.room_id,
            object_id=ground.id,
            basis="statute",
            reason=code,
            sealed_hash=sealed_hash,
        )
    )
