"""The hourly trial: a call for help that is nobody's goes the same way as every other, to the test responder's own
device, and comes back (law 6). It is measured; the watchdog tells when it fails or is missing.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from server.alerts import router
from server.alerts.actions import alerts as actions
from server.alerts.models import Alert, Programme
from server.common.clock import now
from server.people.models import User

log = structlog.get_logger(__name__)

EVERY_S = 5.0
TRIALS = UUID("9b1e6b0e-5d52-5c0c-9b6f-0b6a2f3f2f7d")


def tick() -> int:
    """End the trial that nobody has answered in time; begin the one of this hour. Returns how many that were."""
    at = now()
    return _fail_late(at) + _begin(at)


def _fail_late(at: datetime) -> int:
    open_ones = Alert.objects.exclude(state="closed").filter(synthetic=True)
    late = open_ones.filter(raised_at__lte=at - timedelta(seconds=settings.ENV.synthetic_answer_s))
    ids = list(late.values_list("id", flat=True))
    for one in ids:
        log.error("trial_unanswered", alert=str(one))
        actions.fail_trial(one)
    return len(ids)


def _begin(at: datetime) -> int:
    env = settings.ENV
    if not env.synthetic_user:
        return 0
    # One id for each hour, whichever process comes first: nobody is called twice.
    hour = uuid5(TRIALS, f"{env.synthetic_every_s}/{int(at.timestamp()) // env.synthetic_every_s}")
    if Alert.objects.filter(id=hour).exists():
        return 0
    programme = Programme.objects.filter(opened_at__isnull=False, closed_at=None).order_by("-is_default", "id").first()
    tester = User.objects.filter(username=env.synthetic_user, is_active=True).first()
    if programme is None or tester is None:
        return 0
    try:
        with transaction.atomic():
            actions.raise_trial(alert_id=hour, tester=tester, programme=programme)
    except IntegrityError:  # another process was faster
        return 0
    router.soon(hour)
    return 1
