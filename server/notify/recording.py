"""What came of an attempt, written down: on the delivery, on the address, and by the keeper, in one transaction."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet

from server.audit.metrics import ALARMS
from server.common.clock import now
from server.notify import metrics
from server.notify.decide import Verdict, verdict, within
from server.notify.jobs import Job, Outcome
from server.notify.models import Address, Delivery, Gone, State
from server.notify.ports import keeper

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Somebody else has it by now, or it was dropped; what was done in this transaction is undone."""


def record(job: Job, outcome: Outcome) -> bool:
    """Write down what came of an attempt; False when it was not ours any more."""
    try:
        found = _record(job, outcome)
    except LeaseLost:
        metrics.DELIVERIES.labels(job.channel, "lease_lost").inc()
        return False
    metrics.DELIVERIES.labels(job.channel, found.code).inc()
    if found.alarm:
        ALARMS.inc()
        log.critical("provider_refuses_us", channel=job.channel, delivery=str(job.delivery))
    return True


@transaction.atomic
def _record(job: Job, outcome: Outcome) -> Verdict:
    delivery = _held(job).select_related("address", "user").first()
    if delivery is None:
        raise LeaseLost
    at = now()
    found = within(verdict(outcome.said, job.attempt, outcome.retry_after_s), at, delivery.expires_at)
    settle(delivery, found, at)
    return found


def settle(delivery: Delivery, found: Verdict, at: datetime) -> None:
    """Tell the keeper, then write. In this order, because others lock what the keeper owns before they touch its
    deliveries: whoever locked the other way round would wait for them for ever. Raises LeaseLost."""
    held = Delivery.objects.filter(id=delivery.id, lease=delivery.lease, state=State.LEASED)
    delivery.state, delivery.code, delivery.lease = State(found.state), found.code, None
    if found.state == "accepted":
        delivery.accepted_at, delivery.due_at = at, None
        keeper(delivery.kind).sent(delivery)
    else:
        wait = found.retry_in_s
        delivery.due_at = at + timedelta(seconds=wait) if wait is not None else None
        keeper(delivery.kind).failed(delivery, found.code, final=found.final)
    changed = held.update(
        state=delivery.state,
        code=delivery.code,
        lease=None,
        due_at=delivery.due_at,
        accepted_at=delivery.accepted_at,
    )
    if not changed:
        raise LeaseLost
    if delivery.address_id is None:
        return
    address = Address.objects.filter(id=delivery.address_id)
    if found.state == "accepted":
        address.update(accepted_at=at)
    if found.disable:
        address.live().update(disabled_at=at, disabled_because=Gone.GONE)


def give_up(delivery: Delivery, code: str, at: datetime) -> None:
    """It cannot be sent at all: the keeper is told, in the caller's transaction. Raises LeaseLost."""
    settle(delivery, Verdict("failed", code, next_channel=True), at)
    channel = delivery.channel
    transaction.on_commit(lambda: metrics.DELIVERIES.labels(channel, code).inc())


def _held(job: Job) -> QuerySet[Delivery]:
    return Delivery.objects.filter(id=job.delivery, lease=job.lease, state=State.LEASED)
