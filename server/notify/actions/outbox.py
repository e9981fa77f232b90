"""Into the outbox and out again, in the caller's transaction: what is decided and what is sent commit together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from server.common.clock import now
from server.common.sql import time_in, uuid_in, uuid_or_none
from server.notify.models import OPEN, Delivery, State
from server.notify.sealed import seal_to
from server.notify.wake import wake_after_commit

LEAST_LIFE = timedelta(minutes=10)
"""For so long at least it is tried: after an outage, its keeper says whether it still has a point."""
PER_STATEMENT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One delivery to be made. `id` is derived by the caller; `to` a number or mailbox where there is no address."""

    id: UUID
    kind: str
    about: UUID
    generation: int = 0
    user_id: UUID | None = None
    channel: str
    address_id: UUID | None = None
    to: str = ""
    language: str = "nb"
    urgent: bool
    ttl_s: int
    topic: str
    due_at: datetime | None = None
    """The database's now, when None."""


COLUMNS = (
    "id",
    "kind",
    "about",
    "generation",
    "user_id",
    "channel",
    "address_id",
    "to_sealed",
    "language",
    "urgent",
    "ttl_s",
    "topic",
    "state",
    "due_at",
    "expires_at",
    "attempts",
    "code",
    "answered",
)


def enqueue(orders: Sequence[Order]) -> int:
    """Put these into the outbox; one whose id is there already is left as it is. Returns how many are new.

    The worker is woken after the commit. Raises IntegrityError for an order that no delivery can be.
    """
    if not orders:
        return 0
    at, new = now(), 0
    names = ", ".join(f'"{column}"' for column in COLUMNS)
    places = "(" + ", ".join(["%s"] * len(COLUMNS)) + ")"
    with connection.cursor() as cursor:
        for start in range(0, len(orders), PER_STATEMENT):
            chunk = orders[start : start + PER_STATEMENT]
            cursor.execute(
                f'INSERT INTO "notify_delivery" ({names}) VALUES {", ".join([places] * len(chunk))} '  # noqa: S608
                'ON CONFLICT ("id") DO NOTHING',
                [value for order in chunk for value in _row(order, at)],
            )
            new += cursor.rowcount
    if new:
        wake_after_commit()
    return new


def _row(order: Order, at: datetime) -> tuple[Any, ...]:
    due = order.due_at or at
    return (
        uuid_in(order.id),
        order.kind,
        uuid_in(order.about),
        order.generation,
        uuid_or_none(order.user_id),
        order.channel,
        uuid_or_none(order.address_id),
        seal_to(order.id, order.to) if order.address_id is None and order.to else None,
        order.language,
        order.urgent,
        order.ttl_s,
        order.topic,
        State.WAITING.value,
        time_in(due),
        time_in(due + max(LEAST_LIFE, timedelta(seconds=order.ttl_s))),
        0,
        "",
        "",
    )


def drop(*, about: UUID, kinds: Sequence[str] = ("page",), below_generation: int | None = None) -> int:
    """What has not been sent yet is not sent: it has become pointless. Returns how many.

    One that is being sent at this moment may still arrive; that its provider took it is then not recorded.
    """
    rows = Delivery.objects.filter(about=about, kind__in=list(kinds), state__in=OPEN)
    if below_generation is not None:
        rows = rows.filter(generation__lt=below_generation)
    return rows.update(state=State.DROPPED, lease=None, due_at=None, code="pointless")


def drop_all(*, code: str) -> int:
    """Nothing that waits is sent, whatever it is about: after a restore nobody knows what has arrived. Returns how
    many; `code` says why. Whoever must be told all the same orders it anew."""
    return Delivery.objects.filter(state__in=OPEN).update(state=State.DROPPED, lease=None, due_at=None, code=code)
