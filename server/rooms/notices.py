"""«You have a new message» (S5): who is told, when, and whether they may still be told at the moment of sending.

Writing a message knows nothing of this. What is unread, by whom, and what they were told of before stands in the rows;
hints only say in which rooms to look soon, and every `LOOK_EVERY` ticks all rooms are looked at. Whoever is reading has
read it before a notice is due. A notice names neither room nor writer, goes to devices alone, and once: until it is
read, or for a while, what follows it is covered by it.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from server.common.clock import now
from server.common.errors import NotFound
from server.common.sql import time_in, uuid_in, uuid_out
from server.notify import vapid
from server.notify.actions import Order, enqueue, reachable
from server.notify.channels import configured
from server.notify.decide import RAN_OUT
from server.notify.models import OPEN, AddressKind, Channel, Delivery, DeliveryKind, State
from server.notify.topics import spread, topic
from server.people.periods import DatabaseNow
from server.rooms import permits
from server.rooms.models import EventType, Member, Notice, Participation, RoomEvent
from server.rooms.permits import Permit
from server.rooms.timeline import StaleEpoch, decided_again

EVERY_S = 1.0
LOOK_EVERY = 30
"""Ticks after which all rooms are looked at: no hint need be heard."""
AT_ONCE = 500
MOST_ROOMS = 5_000
"""With more rooms to look at than that, all of them are."""
NEWS = timedelta(hours=24)
"""What is older is no news; and for so long a push service keeps a notice for a device that is off."""
IDS = UUID("6f0c8e5a-3c1d-5b7e-8f52-0a9d4e17c2b6")


class Notices:
    """`notify.ports.Keeper` of messages."""

    def may_send(self, delivery: Delivery) -> bool:
        """Whether they may still read in that room, have something there to read (law 5), and are told of it by no
        newer notice: one that waited for long may have been overtaken."""
        return decided_again(lambda: _has_unread(delivery))

    def sent(self, delivery: Delivery) -> None:
        """It stands on the delivery."""

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        """When no device could be told, they are told again after a while, if it is still unread then."""
        if not final or delivery.user_id is None:
            return
        others = Delivery.objects.filter(about=delivery.about, kind=DeliveryKind.MESSAGE, user_id=delivery.user_id)
        others = others.filter(generation=delivery.generation, state__in=(*OPEN, State.ACCEPTED))
        if not others.exclude(id=delivery.id).exists():
            told = Notice.objects.filter(member__room_id=delivery.about, member__user_id=delivery.user_id)
            told.filter(number=delivery.generation).update(lost=True)

    def received(self, delivery: Delivery) -> None:
        """That a device has a notice says nothing of the message: marks tell of that."""

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        raise NotFound  # there is nothing to answer


def _has_unread(delivery: Delivery) -> bool:
    """The permit first, then one statement that sees whether it still holds. Raises StaleEpoch."""
    permit = _permit(delivery)
    if permit is None or permit.participation == Participation.AWAY:
        return False
    seen = Q()
    for first, until in permit.spans:
        seen |= Q(seq__gte=first) if until is None else Q(seq__gte=first, seq__lt=until)
    unread = (
        RoomEvent.objects.filter(seen, room_id=permit.room_id, type=EventType.MESSAGE, seq__gt=OuterRef("read"))
        .exclude(sender_id=permit.user_id)
        .order_by()
    )
    row = Member.objects.filter(id=permit.member_id).annotate(at=DatabaseNow(), unread=Exists(unread))
    epoch, at, found, newest = row.values_list("room__access_epoch", "at", "unread", "notice__number").get()
    if not permit.holds(epoch, at):
        raise StaleEpoch
    return bool(permit.spans) and bool(found) and newest == delivery.generation


def _permit(delivery: Delivery) -> Permit | None:
    """Their permit as a member. Nobody is here with a session, so it is for the engagement that it names; a patient's
    is for a patient, as at the door (`access.fits`). Emergency access makes no member."""
    if delivery.user is None:
        return None
    key = (delivery.about, delivery.user.id)
    permit = permits.load([delivery.about], users=[delivery.user.id]).get(key)
    if permit is None or permit.basis == "emergency":
        return None
    return permit if not permit.is_patient or hasattr(delivery.user, "patient") else None


class Heard:
    """Rooms that hints spoke of. Nothing depends on it but how soon somebody is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: set[UUID] = set()
        self._waiting: list[tuple[datetime, set[UUID]]] = []
        self._ticks_left = 0

    def room(self, room_id: UUID) -> None:
        """Something happened there. From any thread; does nothing else."""
        with self._lock:
            if len(self._fresh) < MOST_ROOMS:
                self._fresh.add(room_id)

    def everything(self) -> None:
        """Look at all rooms with the next tick."""
        self._ticks_left = 0

    def is_quiet(self) -> bool:
        """Count a tick; whether there is nothing to look at in it."""
        self._ticks_left -= 1
        return self._ticks_left > 0 and not self._fresh and not self._waiting

    def due(self, at: datetime, patience: timedelta) -> set[UUID] | None:
        """Rooms where what was heard of is `patience` old; None for all of them.

        What a tick finds for the first time was written before, so it is old enough when the tick is.
        """
        with self._lock:
            fresh, self._fresh = self._fresh, set()
        if fresh:
            self._waiting.append((at, fresh))
        found = {room for since, rooms in self._waiting if since <= at - patience for room in rooms}
        self._waiting = [one for one in self._waiting if one[0] > at - patience]
        if self._ticks_left > 0 and len(found) < MOST_ROOMS:
            return found
        self._ticks_left = LOOK_EVERY
        return None


HEARD = Heard()


@dataclass(frozen=True, slots=True)
class Untold:
    """A member who is to be told that somebody wrote. `head` is the room's; `before` the number of their last notice,
    0 without any."""

    member_id: UUID
    room_id: UUID
    user_id: UUID
    language: str
    head: int
    before: int


def tick() -> int:
    """Tell whoever is to be told; returns how many. No statement while nothing was heard, except for the full look.

    Raises what the database raises: what was to be looked at is found by the next full look.
    """
    if Channel.PUSH not in configured() or HEARD.is_quiet():
        return 0
    at = now()
    rooms = HEARD.due(at, timedelta(seconds=settings.ENV.notice_after_s))
    if rooms is not None and not rooms:
        return 0
    try:
        found = untold(at, rooms)
        if found:
            tell(found, at)
    except Exception:
        HEARD.everything()
        raise
    if len(found) == AT_ONCE:
        HEARD.everything()
    return len(found)


def untold(at: datetime, rooms: Iterable[UUID] | None) -> list[Untold]:
    """Members, in these rooms or in all, who are to be told: one statement, `AT_ONCE` of them at most.

    Whether they may is not decided here: that is asked when it is sent.
    """
    env = settings.ENV
    values = {
        "ran_out": _list(RAN_OUT),
        "keys": _list(vapid.known()),
        "news": time_in(at - NEWS),
        "after": time_in(at - timedelta(seconds=env.notice_after_s)),
        "shown": time_in(at - timedelta(seconds=max(env.notice_after_s, env.notice_shown_s))),
        "again": time_in(at - timedelta(minutes=env.notice_again_minutes)),
        "joined": Member.State.JOINED.value,
        "away": Participation.AWAY.value,
        "message": EventType.MESSAGE.value,
        "push": AddressKind.PUSH.value,
        "most": AT_ONCE,
    }
    here = ""
    if rooms is not None:
        here, values["rooms"] = f"AND m.room_id {_one_of('rooms')}", _list(uuid_in(room) for room in rooms)
    said = UNTOLD.replace("{here}", here).replace("{ours}", _one_of("keys")).replace("{ran_out}", _one_of("ran_out"))
    with connection.cursor() as cursor:
        cursor.execute(said, values)
        return [
            Untold(uuid_out(member), uuid_out(room), uuid_out(user), language, head, before)
            for member, room, user, language, head, before in cursor.fetchall()
        ]


@transaction.atomic
def tell(found: Sequence[Untold], at: datetime) -> int:
    """Write down that they are told, and put what tells them into the outbox; returns how many deliveries that are.

    Of workers that found the same members, each tells those whose row it moved. Should we die before the commit, nobody
    was told and nothing was written.
    """
    mine = _claim(found, at)
    devices = reachable(one.user_id for one in mine)
    return enqueue(
        [
            _order(one, device.address_id, at)
            for one in mine
            for device in devices.get(one.user_id, ())
            if device.channel == Channel.PUSH
        ]
    )


VISIBLE = """
    SELECT 1 FROM rooms_span s JOIN rooms_roomevent x ON x.room_id = m.room_id AND x.seq >= s.first
    AND (s.until IS NULL OR x.seq < s.until)
    WHERE s.member_id = m.id AND x.type = %(message)s AND x.sender_id <> m.user_id"""
"""What others wrote and this member may see."""

UNTOLD = f"""
    SELECT m.id, m.room_id, m.user_id, u.language, r.head, COALESCE(n.number, 0)
    FROM rooms_member m
    JOIN rooms_room r ON r.id = m.room_id
    JOIN people_user u ON u.id = m.user_id
    LEFT JOIN rooms_notice n ON n.member_id = m.id
    WHERE m.state = %(joined)s AND m.participation <> %(away)s AND u.is_active {{here}}
    AND CASE WHEN
        r.head > m."read" AND (n.upto IS NULL OR n.lost OR r.head > n.upto)
        AND EXISTS (
            SELECT 1 FROM notify_address a
            WHERE a.user_id = m.user_id AND a.kind = %(push)s AND a.vapid {{ours}} AND a.disabled_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM people_session s
                WHERE s.sid = a.session AND s.ended_at IS NOT NULL AND NOT s.end_reason {{ran_out}}
            )
        ) AND (
            SELECT x.created_at FROM rooms_roomevent x
            WHERE x.room_id = m.room_id AND x.type = %(message)s AND x.sender_id <> m.user_id
            ORDER BY x.seq DESC LIMIT 1
        ) > %(news)s AND (
            n.at IS NULL OR n.at <= %(again)s
            OR ({VISIBLE} AND x.seq > m."read" AND x.seq <= n.upto LIMIT 1) IS NULL
        )
    THEN (
        {VISIBLE} AND x.seq > CASE WHEN n.upto > m."read" AND NOT n.lost THEN n.upto ELSE m."read" END
        AND x.created_at <= CASE WHEN x.seq <= m.delivered THEN %(shown)s ELSE %(after)s END
        AND x.created_at > %(news)s LIMIT 1
    ) END IS NOT NULL
    ORDER BY m.id LIMIT %(most)s"""  # noqa: S608 - no outside text
"""Who has a device, a room where something was written lately, and read all that they were told of, or was told long
ago; and of them (CASE: only of them) those with something unread that they were not told of, and that is old enough.
What is asked of one member's events is no `EXISTS`: PostgreSQL would make a join of it that reads all events."""


def _one_of(name: str) -> str:
    """The same words however many there are, so that the statement stays prepared."""
    if connection.vendor == "sqlite":
        return f"IN (SELECT value FROM json_each(%({name})s))"  # noqa: S608 - no outside text
    return f"= ANY(%({name})s)"


def _list(values: Iterable[Any]) -> Any:
    wanted = sorted(values)
    return json.dumps(wanted) if connection.vendor == "sqlite" else wanted


def _claim(found: Sequence[Untold], at: datetime) -> list[Untold]:
    """Move each member's row from the notice before to the next one; those whose row we moved. In id order, so that two
    workers cannot lock each other out."""
    rows = sorted(found, key=lambda one: one.member_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO rooms_notice (member_id, number, upto, at, lost) VALUES "  # noqa: S608 - placeholders only
            + ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
            + " ON CONFLICT (member_id) DO UPDATE SET number = excluded.number, upto = excluded.upto,"
            " at = excluded.at, lost = excluded.lost WHERE rooms_notice.number = excluded.number - 1"
            " RETURNING member_id",
            [value for one in rows for value in (uuid_in(one.member_id), one.before + 1, one.head, time_in(at), False)],
        )
        moved = {uuid_out(row[0]) for row in cursor.fetchall()}
    return [one for one in rows if one.member_id in moved]


def _order(one: Untold, address_id: UUID, at: datetime) -> Order:
    name = f"{one.room_id} {one.member_id} {address_id}"
    made = uuid5(IDS, f"{name} {one.head} {one.before + 1}")
    return Order(
        id=made,
        kind=DeliveryKind.MESSAGE,
        about=one.room_id,
        generation=one.before + 1,
        user_id=one.user_id,
        channel=Channel.PUSH,
        address_id=address_id,
        language=one.language,
        urgent=False,
        ttl_s=int(NEWS.total_seconds()),
        topic=topic("room", one.room_id, address_id),
        due_at=at + spread(made),
    )
