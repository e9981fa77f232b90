"""Calling everybody anew: when nobody can know any more what has become of the calls for help that stand open."""

from uuid import UUID

from django.db import transaction

from server.alerts import router, store
from server.alerts.actions.alerts import fail_trial
from server.alerts.decide import resumed
from server.alerts.models import Alert
from server.audit.entry import SYSTEM
from server.common.clock import now


def call_all_anew(*, code: str) -> int:
    """Every open call for help gets a new generation, whoever had it: older buttons and pages do nothing (law 7), and
    people are called at once (law 6). Trials end. Returns how many calls there were; `code` says why.

    After a restore: that it was accepted may be old news or none; to be called twice is the lesser evil.
    """
    open_ones = Alert.objects.exclude(state="closed").order_by("id")
    for trial in open_ones.filter(synthetic=True).values_list("id", flat=True):
        fail_trial(trial)
    return sum(_anew(one, code) for one in list(open_ones.filter(synthetic=False).values_list("id", flat=True)))


@transaction.atomic
def _anew(alert_id: UUID, code: str) -> bool:
    alert = store.locked(alert_id)
    if alert is None or alert.state == "closed" or _begun_anew(alert, code):
        return False
    at = now()
    store.save(alert, resumed(store.case_of(alert), code, at), now=at, actor=SYSTEM)
    router.wake()
    return True


def _begun_anew(alert: Alert, code: str) -> bool:
    """In this generation already, for this reason."""
    return alert.log.filter(generation=alert.generation, type="resumed", code=code).exists()
