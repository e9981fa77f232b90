"""What time brings to emergency access (L3): it ends, and patients are told what was hidden from them.

Nobody needs to look for an end (each permit ends with its access); this writes it down and closes what is still open.
No state in memory: the rows say what is due, by the database's time (law 10).
"""

from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.people.models import Relation
from server.people.periods import NOW, PeriodQuerySet
from server.rooms import decide, emergency
from server.rooms.models import EmergencyAccess
from server.rooms.ports import OPEN_ALERTS
from server.rooms.settle import lock

log = structlog.get_logger(__name__)

BATCH = 200


def tick() -> int:
    """Do what is due; returns how much. One that fails is logged and stays due.

    Raises OperationalError when the database is gone.
    """
    done = 0
    for access in _perhaps_over().order_by("until", "id")[:BATCH]:
        done += _attempt("emergency_access_not_ended", access, end_over)
    for access in _ended_before()[:BATCH]:
        done += _attempt("emergency_access_not_ended", access, end_again)
    for access in EmergencyAccess.objects.filter(told_at=None, tell_at__lte=NOW).order_by("tell_at", "id")[:BATCH]:
        done += _attempt("patient_not_told", access, emergency.tell)
    return done


@transaction.atomic
def end_over(access: EmergencyAccess) -> bool:
    """End one that has run out, or that nothing carries any longer: the engagement, the relation. Returns whether it
    was over."""
    room = lock(access.room_id)
    found = _perhaps_over().select_for_update(of=("self",)).filter(id=access.id).first()
    if found is None:
        return False
    reason = decide.over_because(
        at=now(),
        until=found.until,
        engagement_ends=found.engagement.ends,
        active=found.user.is_active,
        related=_relations().filter(patient_id=room.patient_id, unit_id=found.engagement.unit_id).exists(),
        alert=OPEN_ALERTS().has_open(room.patient_id, found.engagement),
    )
    if reason:
        emergency.end(room, found, actor=SYSTEM, reason=reason)
    return bool(reason)


@transaction.atomic
def end_again(access: EmergencyAccess) -> bool:
    """End one that is open although the log knows that it was ended: somebody has been in the database. Returns whether
    it was so."""
    room = lock(access.room_id)
    found = _ended_before().select_for_update(of=("self",)).filter(id=access.id).first()
    if found is None:
        return False
    log.critical("emergency_access_opened_again", access=str(access.id))
    emergency.end(room, found, actor=SYSTEM, reason="log_differs")
    return True


def _ended_before() -> QuerySet[EmergencyAccess]:
    """The log is asked by its index `audit_subject`; few are ever open."""
    ended = AuditEvent.objects.filter(
        subject_id=OuterRef("room__patient_id"), object_id=OuterRef("id"), type="emergency_access.ended"
    ).exclude(outcome="refused")
    return EmergencyAccess.objects.filter(Exists(ended), ended_at=None).select_related("engagement").order_by("id")


def _perhaps_over() -> QuerySet[EmergencyAccess]:
    """Those that are over, and those without a relation, of which only an open call for help can tell."""
    relations = _relations().filter(unit_id=OuterRef("engagement__unit_id"), patient_id=OuterRef("room__patient_id"))
    over = Q(until__lte=NOW) | Q(engagement__valid_to__lte=NOW) | Q(engagement__ended_at__lte=NOW)
    return (
        EmergencyAccess.objects.filter(ended_at=None)
        .filter(over | Q(user__is_active=False) | ~Exists(relations))
        .select_related("engagement", "user")
    )


def _relations() -> PeriodQuerySet[Relation]:
    return Relation.objects.current()


def _attempt(failure: str, access: EmergencyAccess, verb: Callable[[EmergencyAccess], bool]) -> bool:
    try:
        return verb(access)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception(failure, access=str(access.id))
        return False
