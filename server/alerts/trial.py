"""The hourly trial: a call for help that is nobody's goes the same way as every other, to the test responder's own
device, and comes back (law 6). It is measured; the watchdog tells when it fails or is missing.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from server.alerts import router
from server.alerts.actions import alerts as actions
from server.alerts.models import Alert, Programme
from server.common.clock import now
from server.people.models import User

log = structlog.get_logger(__name__)

EVERY_S = 5.0
SALT = "server.alerts.trial"
OTHERS = 8
"""So many ids has an hour."""


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
    hour = _free(env.synthetic_every_s, int(at.timestamp()) // env.synthetic_every_s)
    if hour is None:
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


def id_of(every_s: int, hour: int, other: int = 0) -> UUID:
    """One id for each hour, whichever process comes first: nobody is called twice. Only who has the installation's
    secret can reckon it out: a call for help brings its own id, and one that takes the trial's place would stop it."""
    digest = salted_hmac(SALT, f"{every_s}/{hour}/{other}", algorithm="sha256").digest()
    return UUID(bytes=digest[:16], version=4)


def _free(every_s: int, hour: int) -> UUID | None:
    """The id of this hour's trial; None when it was made. Where it is a call of somebody's, the next."""
    for other in range(OTHERS):
        wanted = id_of(every_s, hour, other)
        is_trial = Alert.objects.filter(id=wanted).values_list("synthetic", flat=True).first()
        if is_trial is None:
            return wanted
        if is_trial:
            return None
        log.error("trial_id_taken", alert=str(wanted))
    return None
