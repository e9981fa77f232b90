"""Quiet hours, as they are kept: when each person has theirs, and what of the outbox waits for their end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from server.notify.decide import Hours, may_wait, quiet_until
from server.notify.models import HELD, Delivery, QuietHours, State
from server.notify.topics import spread

AFTERWARDS = timedelta(minutes=10)
"""For so long at least it is tried when they are over."""


def hours_of(user_id: UUID) -> Hours:
    """Empty for somebody who has none. One statement."""
    return QuietHours.objects.filter(user_id=user_id).values_list("hours", flat=True).first() or {}


def hold(delivery: Delivery, at: datetime) -> bool:
    """Let what may wait do so until its receiver's quiet hours are over, and a little longer, each for a time of its
    own; then its keeper is asked whether there is still anything to tell. Whether it was held. The delivery is leased.

    An attempt that was not made is not counted.
    """
    if delivery.user_id is None or not may_wait(delivery.kind, urgent=delivery.urgent):
        return False
    ends = quiet_until(hours_of(delivery.user_id), at)
    if ends is None:
        return False
    due = ends + spread(delivery.id)
    until = max(delivery.expires_at or due, due + AFTERWARDS)
    mine = Delivery.objects.filter(id=delivery.id, lease=delivery.lease, state=State.LEASED)
    mine.update(
        state=State.WAITING, lease=None, due_at=due, expires_at=until, code=HELD, attempts=max(delivery.attempts - 1, 0)
    )
    return True


def look_again(user_ids: Iterable[UUID], at: datetime) -> int:
    """What their quiet hours hold is looked at now: they have changed. Returns how many."""
    held = Delivery.objects.filter(user_id__in=list(user_ids), state=State.WAITING, code=HELD)
    return held.update(due_at=at)
