"""What time brings: ends of consents and grounds put on record, patients reminded before an end, seals verified.

Nobody needs to look for an end (every permit ends with its record); this writes it down, closes the intervals and asks
the patient again. No state in memory: the rows say what is due, by the database's time (law 10).
"""

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.errors import Conflict
from server.consent import care, verify
from server.consent.actions import expire
from server.consent.grounds import run_out
from server.consent.models import Consent, State, StatutoryGround
from server.duties import actions as duties
from server.duties.models import Kind
from server.people.periods import NOW

log = structlog.get_logger(__name__)

BATCH = 100
VERIFY_EVERY = timedelta(minutes=10)
VERIFIED_AT_ONCE = 50


def tick() -> int:
    """Do what is due; returns how much. One that fails is logged and stays due.

    Raises OperationalError when the database is gone.
    """
    done = 0
    for consent in Consent.objects.filter(state=State.ACTIVE, ends_at__lte=NOW).order_by("-ends_at")[:BATCH]:
        done += _attempt("consent_not_expired", consent, lambda one: expire(consent=one))
    for ground in StatutoryGround.objects.filter(ended_at=None, ends_at__lte=NOW).order_by("id")[:BATCH]:
        done += _attempt("ground_not_ended", ground, lambda one: run_out(ground=one))
    for consent in _to_remind():
        done += _attempt("patient_not_reminded", consent, remind)
    for consent in care.stranded():
        done += _attempt("offer_of_call_not_handed_on", consent, care.hand_on)
    for consent in _to_verify():
        done += _attempt("consent_not_verified", consent, verify_one)
    return done


@transaction.atomic
def remind(consent: Consent) -> bool:
    """Tell the patient, once, that what is in force ends soon."""
    mine = Consent.objects.filter(id=consent.id, remind_at=consent.remind_at)
    if not mine.update(remind_at=None) or consent.patient.user_id is None:
        return False
    duties.owe(
        kind=Kind.CONSENT_ENDING,
        due_at=consent.ends_at,
        user_id=consent.patient.user_id,
        patient=consent.patient,
        room_id=consent.room_id,
        object_id=consent.id,
        code=consent.form,
        actor=SYSTEM,
    )
    return True


def verify_one(consent: Consent) -> bool:
    """Verify every version of one consent; a fault is an alarm and a task for the officers."""
    found = verify.faults(consent)
    if found:
        verify.alarm(consent, found)
    Consent.objects.filter(id=consent.id).update(verified_at=NOW)
    return bool(found)


def _to_remind() -> list[Consent]:
    due = Consent.objects.filter(remind_at__lte=NOW, state=State.ACTIVE)
    return list(due.select_related("patient").order_by("remind_at")[:BATCH])


def _to_verify() -> list[Consent]:
    due = Consent.objects.filter(Q(verified_at=None) | Q(verified_at__lte=now() - VERIFY_EVERY))
    longest_ago = F("verified_at").asc(nulls_first=True)
    return list(due.select_related("patient").order_by(longest_ago)[:VERIFIED_AT_ONCE])


def _attempt(failure: str, row: Consent | StatutoryGround, verb: Callable[..., bool]) -> bool:
    try:
        return verb(row)
    except (OperationalError, InterfaceError):
        raise
    except Conflict:  # it cannot be verified: the alarm has been raised, and nothing is shared
        return False
    except Exception:
        log.exception(failure, id=str(row.id))
        return False
