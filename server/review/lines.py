"""The lines that officers read, made from the sealed log in the order of its leaves.

A leaf's position is given once, without gaps, in the order of commits: whoever has followed the log up to a position
has missed nothing before it. Ids and times cannot say that. Which controllers an event concerns is judged as of the
event's own time, so that lines made anew are the same lines: the actor's, whoever had to do with the patient, and where
the system did something about nobody in particular (the log was exported, a verifier appointed), every one there was.
"""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, Max

from server.audit.models import Leaf
from server.common.sql import uuid_out
from server.people.models import Controller
from server.review.models import Line, Progress

BATCH = 500
"""Leaves of one transaction: some tens of milliseconds, in which SQLite lets nobody else write."""
LAST = 2**63 - 1
ROUTINE = "session.ended"
"""The one act of the system that is about somebody whom it does not name: each session that ran out, everywhere."""
CHECKED = 20_000
"""Leaves of one statement when lines are checked."""


class Standing(NamedTuple):
    """How far the lines have followed: the last position, how many leaves wait, how many lines there are."""

    position: int
    waiting: int
    lines: int


class Batch(NamedTuple):
    """Leaves after some position: how many, and the last of them."""

    leaves: int
    last: int


def follow(limit: int = BATCH) -> int:
    """Make the lines of the next sealed events, at most `limit`; how many leaves that were. 0 when there is none, or
    when another worker is making them.

    One transaction, under the lock of the row that says how far: of two workers one makes a line, and a crash leaves
    both the lines and the row as they were.
    """
    if not _anything():
        return 0
    with transaction.atomic():
        mine = Progress.objects.select_for_update(skip_locked=True).first()
        if mine is None:
            return 0
        found = _batch(mine.position, limit)
        if found.leaves:
            _make(mine.position, found.last)
            Progress.objects.filter(id=mine.id).update(position=found.last)
    return found.leaves


def rebuild(limit: int = BATCH) -> Iterator[int]:
    """Make every line anew, batch by batch in its place, so that officers find what they look for meanwhile; yields how
    many leaves have been followed so far. Workers go on at the other end."""
    done, at = 0, -1
    while True:
        with transaction.atomic():
            mine = Progress.objects.select_for_update().first()
            end = mine.position if mine is not None else 0
            found = _batch(at, limit, end)
            more = found.leaves == limit
            _forget(at, found.last if more else LAST)
            _make(at, found.last)
        at, done = found.last, done + found.leaves
        yield done
        if not more:
            return


def standing() -> Standing:
    """Counts rows: for people at a terminal."""
    at = Progress.objects.values_list("position", flat=True).first() or 0
    return Standing(at, Leaf.objects.filter(position__gt=at).count(), Line.objects.count())


def _anything() -> bool:
    """Whether a leaf waits; two look-ups by key, and no lock."""
    newest = Leaf.objects.order_by("-position").values_list("position", flat=True).first()
    if newest is None:
        return False
    at = Progress.objects.values_list("position", flat=True).first()
    if at is None:
        _begin()
    return at is None or newest > at


def _begin() -> None:
    """The one row, if it is not there yet; whoever else makes it at this moment makes the same."""
    Progress.objects.bulk_create([Progress()], ignore_conflicts=True)


def _batch(after: int, limit: int, end: int = LAST) -> Batch:
    rows = Leaf.objects.filter(position__gt=after, position__lte=end).order_by("position")
    found = rows[:limit].aggregate(last=Max("position"), count=Count("position"))
    return Batch(found["count"], found["last"] or after)


def _make(after: int, last: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_project(), [after, last])


def _forget(after: int, last: int) -> None:
    """Take away the lines of these positions, controller by controller, as the key is ordered."""
    every = Controller.objects.values("id")
    Line.objects.filter(controller_id__in=every, position__gt=after, position__lte=last).delete()


def _project() -> str:
    """All lines of the leaves after one position and up to another, in one statement."""
    copied = "event_id, at, actor_id, unit_id, subject_id, room_id, type, basis, outcome"
    return f"""
        WITH {_concerned()}
        INSERT INTO review_line (controller_id, position, {copied})
        SELECT c.controller_id, s.position, {copied} FROM concerned c JOIN sealed s ON s.position = c.position
        ORDER BY s.position
    """  # noqa: S608 - our own names


def wrong() -> Iterator[tuple[UUID, int]]:
    """(controller, position) of every line that is missing or too many, as far as the log has been followed."""
    upto = Progress.objects.values_list("position", flat=True).first() or 0
    after = 0
    while after < upto:
        rows = Leaf.objects.filter(position__gt=after, position__lte=upto).order_by("position")
        last = rows[:CHECKED].aggregate(last=Max("position"))["last"]
        last = upto if last is None else last
        yield from differing(after, last)
        after = last


def differing(after: int, upto: int) -> list[tuple[UUID, int]]:
    """(controller, position) of lines that are missing or too many among the leaves after one position and up to
    another. One statement; of columns nothing is compared."""
    question = f"""
        WITH {_concerned()}, kept AS (
          SELECT controller_id, position FROM review_line WHERE position > %s AND position <= %s
        )
        SELECT * FROM (SELECT controller_id, position FROM concerned EXCEPT SELECT * FROM kept) AS missing
        UNION ALL
        SELECT * FROM (SELECT * FROM kept EXCEPT SELECT controller_id, position FROM concerned) AS superfluous
    """  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        cursor.execute(question, [after, upto, after, upto])
        return [(uuid_out(controller), position) for controller, position in cursor.fetchall()]


def _concerned() -> str:
    """Two tables: what was sealed after one position and up to another, and which controllers each event concerns.

    Ids hold the time they were made at: a controller that came after an event has no line of it.
    """
    # SQLite compares times as text, and `at` has milliseconds there where all else has microseconds.
    at = "e.at" if connection.vendor == "postgresql" else "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', e.at)"
    return f"""
        sealed AS (
          SELECT l.position, e.id AS event_id, e.controller_id AS employer_id, {at} AS at,
                 e.actor_id, e.unit_id, e.subject_id, e.room_id, e.type, e.basis, e.outcome, e.role
          FROM audit_leaf l JOIN audit_auditevent e ON e.id = l.event_id
          WHERE l.position > %s AND l.position <= %s
        ), concerned AS (
          SELECT position, employer_id AS controller_id FROM sealed WHERE employer_id IS NOT NULL
          UNION
          SELECT s.position, u.controller_id FROM sealed s
            JOIN people_relation r ON r.patient_id = s.subject_id AND r.valid_from <= s.at
              AND (r.valid_to IS NULL OR r.valid_to > s.at) AND (r.ended_at IS NULL OR r.ended_at > s.at)
            JOIN people_unit u ON u.id = r.unit_id
          UNION
          SELECT s.position, k.id FROM sealed s JOIN people_controller k ON k.id < s.event_id
            WHERE s.role = 'system' AND s.actor_id IS NULL AND s.employer_id IS NULL AND s.subject_id IS NULL
              AND s.room_id IS NULL AND s.type <> '{ROUTINE}'
        )
    """  # noqa: S608 - our own names
