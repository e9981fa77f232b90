"""What time ends: a consent whose end has come is put on record, and sharing ends with it.

Nobody needs to look for that (every permit ends with its consent); this writes it down, closes the intervals and asks
the patient again. No state in memory: a row is due while it says that it is in force.
"""

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import F

from server.consent.actions import expire
from server.consent.models import Consent, State
from server.people.periods import DatabaseNow

log = structlog.get_logger(__name__)

BATCH = 100


def tick() -> int:
    """Expire what is due by the database's time (law 10); returns how many. One that fails is logged and stays due.

    Raises OperationalError when the database is gone.
    """
    due = Consent.objects.filter(
        state=State.ACTIVE, versions__number=F("version"), versions__valid_to__lte=DatabaseNow()
    ).order_by("id")
    return sum(_attempt(consent) for consent in due[:BATCH])


def _attempt(consent: Consent) -> bool:
    try:
        return expire(consent=consent)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("consent_not_expired", id=str(consent.id))
        return False
