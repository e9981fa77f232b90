"""What time ends: engagements, agreements and sessions whose period ran out get their effect; used refresh tokens of
sessions that ended long ago are forgotten.

No state in memory: a row is due while its `effect_done_at` (or `ended_at`, for a session) is empty. The guard is in the
update, so that two workers, or a worker and a person who ends the same thing, do it once.
"""

from collections.abc import Callable
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError

from server.audit.entry import SYSTEM
from server.people.actions.organisations import finish_agreement
from server.people.actions.proofs import forget_challenges
from server.people.actions.refresh import forget_spent
from server.people.actions.sessions import end_spent_sessions
from server.people.actions.staff import finish_engagement
from server.people.models import Agreement, Engagement
from server.people.oidc.flow import forget_old

log = structlog.get_logger(__name__)

BATCH = 200


def tick() -> int:
    """Do all that is due by the database's time (law 10); returns how many ends took effect.

    One that fails is logged and left due; the others go on. Raises OperationalError when the database is gone.
    """
    done = 0
    for engagement in Engagement.objects.over().filter(effect_done_at=None).order_by("valid_to", "id")[:BATCH]:
        done += _attempt(
            "engagement", engagement.id, finish_engagement, engagement=engagement, actor=SYSTEM, reason="period"
        )
    for agreement in Agreement.objects.over().filter(effect_done_at=None).order_by("valid_to", "id")[:BATCH]:
        done += _attempt(
            "agreement", agreement.id, finish_agreement, agreement_id=agreement.id, actor=SYSTEM, reason="period"
        )
    return done + end_spent_sessions() + forget_spent() + forget_old() + forget_challenges()


def _attempt(what: str, key: object, verb: Callable[..., bool], **arguments: Any) -> int:
    try:
        return int(verb(**arguments))
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("end_without_effect", what=what, id=str(key))
        return 0
