"""The outbox's worker: lease, send, record. Any number of them, on any host, without a leader.

**B** What is due is leased by a conditional update and committed: should we die now, it is due again when the lease
runs out. That is soon: as long as we live and are at it, the lease is renewed. Its keeper is then asked whether it may
still be sent. **C** It is sent on a thread of its channel, with no database. Should we die here, nobody knows whether
it arrived: it is sent again, and the device shows one of the two, because they have one topic. **D** What came of it is
recorded if the lease still holds, and the keeper is told in the same transaction. The tick waits for no provider.
"""

import functools
import threading
import time
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F, Q

from server.common.clock import now
from server.common.db import on_this_thread
from server.common.errors import Unavailable
from server.notify import channels, lanes, quiet
from server.notify.jobs import Job, Outcome
from server.notify.models import Channel, Delivery, State
from server.notify.ports import keeper
from server.notify.recording import LeaseLost, give_up, record
from server.notify.sealed import place_of
from server.notify.silence import is_signed_out
from server.notify.wake import WAKE
from server.vault.errors import Destroyed, Unreadable

__all__ = ["WAKE", "tick", "wait_idle"]

log = structlog.get_logger(__name__)

AT_ONCE = 32
LEASE = timedelta(seconds=4)
"""So long after a worker has died its pages wait for another one. A living worker that the database has not heard for
so long loses what it is sending to another: it is sent twice, and shown once."""
RENEWED_AFTER_S = 1.0
HELD_S, MAIL_HELD_S = 15.0, 60.0
"""A lease is renewed for so long at most; a mail takes several exchanges, each with its own limit."""
RECORD_TRIES, RECORD_PAUSE_S = 4, 0.5

wait_idle = lanes.wait_idle
_pause = threading.Event()  # never set


class _Sending:
    """What threads of this process are sending: each job, since when, and when its lease was last renewed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[UUID, tuple[Job, float, float]] = {}

    def begin(self, job: Job) -> None:
        at = time.monotonic()
        with self._lock:
            self._jobs[job.delivery] = (job, at, at)

    def end(self, job: Job) -> None:
        with self._lock:
            if self._jobs.get(job.delivery, (None,))[0] is job:
                del self._jobs[job.delivery]

    def aging(self) -> list[Job]:
        """Those whose lease is to be renewed now; they count as renewed."""
        at = time.monotonic()
        with self._lock:
            found = [
                (job, begun)
                for job, begun, renewed in self._jobs.values()
                if at - renewed >= RENEWED_AFTER_S
                and at - begun < (MAIL_HELD_S if job.channel == Channel.EMAIL else HELD_S)
            ]
            self._jobs |= {job.delivery: (job, begun, at) for job, begun in found}
        return [job for job, _ in found]


_sending = _Sending()


def tick() -> int:
    """Start sending what is due, as far as there are threads; returns how many. Raises what the database raises."""
    WAKE.clear()
    _renew()
    room = lanes.free()
    leased = _lease(room)
    failure: DatabaseError | InterfaceError | None = None
    for delivery in leased:
        try:
            job = _prepare(delivery)
        except (DatabaseError, InterfaceError) as error:  # it must not keep the others, which are other people's
            log.warning("delivery_not_prepared", delivery=str(delivery.id), error=type(error).__name__)
            connection.close_if_unusable_or_obsolete()
            failure = error
            continue
        if job is not None:
            _sending.begin(job)
            lanes.run((job.channel, job.urgent), functools.partial(_send, job))
    if failure is not None:
        raise failure
    return len(leased)


def _renew() -> None:
    """What takes its time stays ours."""
    jobs = _sending.aging()
    if jobs:
        ours = Delivery.objects.filter(id__in=[job.delivery for job in jobs], lease__in={job.lease for job in jobs})
        ours.filter(state=State.LEASED).update(due_at=now() + LEASE)


def _lease(room: dict[lanes.Lane, int]) -> list[Delivery]:
    """Take what is due, the urgent first, and no more than can be sent at once."""
    due = Delivery.objects.due(now())
    full = [Q(channel=channel, urgent=urgent) for (channel, urgent), free in room.items() if not free]
    if full:
        due = due.exclude(functools.reduce(Q.__or__, full))
    if not due.exists():  # nothing to do, most of the time, and nothing locked
        return []
    with transaction.atomic():
        at, lease = now(), uuid4()
        taken: list[Delivery] = []
        for delivery in due.select_for_update(skip_locked=True, of=("self",))[: AT_ONCE * 2]:
            lane = (delivery.channel, delivery.urgent)
            if room[lane] and len(taken) < AT_ONCE:
                room[lane] -= 1
                taken.append(delivery)
        # The guard stands in the statement, whatever was locked before it.
        Delivery.objects.due(at).order_by().filter(id__in=[one.id for one in taken]).update(
            state=State.LEASED, lease=lease, due_at=at + LEASE, attempts=F("attempts") + 1
        )
        return _held(lease)


def _held(lease: UUID) -> list[Delivery]:
    found = Delivery.objects.with_end().filter(lease=lease, state=State.LEASED).select_related("user__patient")
    return sorted(found, key=lambda one: not one.urgent)


def _prepare(delivery: Delivery) -> Job | None:
    """What its channel needs, or None: it has become pointless, or there is no way to send it. A transaction of its
    own, so that one keeper's failure is nobody else's; that delivery stays leased, and is due when the lease ends."""
    try:
        return _checked(delivery)
    except (DatabaseError, InterfaceError):
        raise
    except LeaseLost:
        return None
    except Exception:
        log.exception("delivery_not_prepared", delivery=str(delivery.id), kind=delivery.kind)
        return None


@transaction.atomic
def _checked(delivery: Delivery) -> Job | None:
    at = now()
    lost = _lost_because(delivery, at)
    if lost:
        give_up(delivery, lost, at)
        return None
    if quiet.hold(delivery, at):
        return None
    if not keeper(delivery.kind).may_send(delivery):
        Delivery.objects.filter(id=delivery.id, lease=delivery.lease).update(
            state=State.DROPPED, lease=None, due_at=None, code="not_allowed"
        )
        return None
    try:
        place = place_of(delivery)
    except (Unreadable, Destroyed):
        give_up(delivery, "unreadable", at)
        return None
    assert delivery.lease is not None, "leased"
    return Job(
        delivery=delivery.id,
        lease=delivery.lease,
        kind=delivery.kind,
        channel=delivery.channel,
        place=place,
        vapid=delivery.address.vapid if delivery.address is not None else "",
        language=delivery.language,
        urgent=delivery.urgent,
        ttl_s=delivery.ttl_s,
        topic=delivery.topic,
        attempt=delivery.attempts,
        at=at,
    )


def _lost_because(delivery: Delivery, at: datetime) -> str:
    """Why there is no sense in trying, or nothing."""
    if delivery.address is not None and delivery.address.disabled_at is not None:
        return "gone"
    if delivery.expires_at is not None and delivery.expires_at <= at:
        return "expired"
    return "signed_out" if is_signed_out(delivery) else ""


def _send(job: Job) -> None:
    """One attempt and its record, on a thread of its channel."""
    try:
        _attempt(job)
    finally:
        _sending.end(job)


def _attempt(job: Job) -> None:
    try:
        outcome = channels.send(job)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be recorded
        # Neither the text nor the trace: they may hold where it was to go.
        log.error("delivery_not_sent", delivery=str(job.delivery), channel=job.channel, error=type(error).__name__)
        outcome = Outcome("bad_answer")
    for _ in range(RECORD_TRIES):
        try:
            on_this_thread(record, job, outcome)
            return
        except (Unavailable, DatabaseError, InterfaceError) as error:
            # Should the database stay away, the lease runs out: it is sent again.
            log.warning("delivery_not_recorded", delivery=str(job.delivery), error=type(error).__name__)
            connection.close()
            _pause.wait(RECORD_PAUSE_S)
        except Exception:
            log.exception("delivery_not_recorded", delivery=str(job.delivery), kind=job.kind)
            return
