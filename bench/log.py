"""A log of any length for measuring: invented organisations, patients and events, made by the database in sets.

Ids and codes only, no content; leaves are given places without hashing, so this log is for looking things up, and not
for verifying. PostgreSQL only, in a database of its own: no sequencer may run there.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from server.audit.entry import SYSTEM
from server.people import actions as people
from server.people.models import Controller, Officer, Patient, Relation, Unit, User

BEGUN = datetime(2024, 1, 1, tzinfo=UTC)
APART_S = 60
"""An event a minute: a million are almost two years."""
CHUNK = 50_000
CONTROLLERS, UNITS, ACTORS, PATIENTS = 4, 40, 2_000, 20_000
TYPES = (
    *("message.posted", "events.viewed", "room.viewed", "room.listed", "room.followed", "room.unfollowed"),
    *("members.viewed", "receipts.viewed", "patient.viewed", "session.started", "session.ended", "consent.viewed"),
    *("member.proposed", "member.joined", "duty.viewed", "consent.requested", "consent.given", "relation.recorded"),
    *("message.edit", "message.retraction", "room.opened", "exclusions.viewed", "emergency_access.begun"),
)
"""The first most often, the last seldom."""
BASES = ("consent", "self", "relation", "duty", "statute", "emergency")

EVENTS = """
    INSERT INTO audit_auditevent (id, at, type, actor_id, unit_id, controller_id, engagement_id, role, sign_in,
      subject_id, room_id, object_id, purpose, basis, outcome, reason, record_ids, request_id, leaf)
    SELECT {event}, %(begun)s + make_interval(secs => n * %(apart)s + random()), (%(types)s::text[])[1 + type], {actor},
      (%(units)s::uuid[])[unit], (%(controllers)s::uuid[])[unit], {actor}, 'sykepleier', 'demo',
      CASE WHEN other < 0.95 THEN {patient} END, CASE WHEN other < 0.9 THEN {room} END, {event}, 'coordination',
      (%(bases)s::text[])[1 + basis], CASE WHEN random() < 0.02 THEN 'refused' ELSE 'success' END, '', '[]', '',
      rpad('leaf ' || n, 400)
    FROM (SELECT n, floor(power(random(), 3) * %(type_count)s)::int AS type, actor, random() AS other,
        1 + actor %% %(unit_count)s AS unit, patient, patient * 2 + n %% 2 AS room,
        floor(power(random(), 2) * %(basis_count)s)::int AS basis
      FROM (SELECT n, floor(power(random(), 2) * %(actors)s)::int AS actor,
          floor(power(random(), 2) * %(patients)s)::int AS patient
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS drawn) AS made
"""
LEAVES = """
    INSERT INTO audit_leaf (position, event_id, hash)
    SELECT (1::bigint << 40) + n, {event}, sha256(int8send(n))
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


@dataclass(frozen=True, slots=True)
class Log:
    """`controller`: the one that most of it concerns; `officer` is appointed there."""

    events: int
    controller: UUID
    officer: Officer


def uuid_of(kind: int, number: int) -> UUID:
    """The id of the invented event (1), actor (2), patient (3) or room (4)."""
    return UUID(f"00000000-0000-7000-8000-{kind:04x}{number:08x}")


def make(events: int, say: Callable[[str], None]) -> Log:
    """Write a log of so many events, all in tree 1; the database must be migrated and have none yet."""
    controllers, units, officer = _organisations()
    _patients(units, officer.user)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT setseed(0.4)")
        for first in range(0, events, CHUNK):
            _chunk(first, min(first + CHUNK, events) - 1, units, controllers)
            say(f"{min(first + CHUNK, events)} events")
        cursor.execute("VACUUM (ANALYZE)")
    return Log(events, officer.controller_id, officer)


@transaction.atomic
def _chunk(first: int, last: int, units: list[Unit], controllers: list[Controller]) -> None:
    names = {name: _uuid_sql(kind, name) for kind, name in ((2, "actor"), (3, "patient"), (4, "room"))}
    given: dict[str, Any] = {
        "first": first,
        "last": last,
        "begun": BEGUN,
        "apart": APART_S,
        "types": list(TYPES),
        "type_count": len(TYPES),
        "bases": list(BASES),
        "basis_count": len(BASES),
        "units": [unit.id for unit in units],
        "controllers": [unit.controller_id for unit in units],
        "unit_count": len(units),
        "actors": ACTORS,
        "patients": PATIENTS,
    }
    with connection.cursor() as cursor:
        cursor.execute(EVENTS.format(event=_uuid_sql(1, "n"), **names), given)
        cursor.execute(LEAVES.format(event=_uuid_sql(1, "n")), given)
        cursor.execute("DELETE FROM audit_pending")


def _uuid_sql(kind: int, number: str) -> str:
    return f"('00000000-0000-7000-8000-{kind:04x}' || lpad(to_hex({number}), 8, '0'))::uuid"


def _organisations() -> tuple[list[Controller], list[Unit], Officer]:
    """The first controller has most of the units."""
    legal = Controller.objects.bulk_create(
        Controller(name=f"Virksomhet {number}", org_number=f"99900{number:04}") for number in range(CONTROLLERS)
    )
    units = Unit.objects.bulk_create(
        Unit(
            controller=legal[number % CONTROLLERS if number % 5 < 2 else 0],
            name=f"Enhet {number}",
            org_number=f"99910{number:04}",
            kind="other",
        )
        for number in range(UNITS)
    )
    user = User.objects.create(username="officer-of-the-bench", name="Ombud")
    return legal, units, people.appoint_officer(user=user, controller=legal[0], actor=SYSTEM)


def _patients(units: list[Unit], user: User) -> None:
    """Each is helped by two units, of one controller or two."""
    made = Patient.objects.bulk_create(
        (
            Patient(
                id=uuid_of(3, number),
                key=uuid_of(5, number),
                name_sealed=b"-",
                nin_sealed=b"-",
                nin_index=hashlib.sha256(str(number).encode()).digest(),
            )
            for number in range(PATIENTS)
        ),
        batch_size=2_000,
    )
    Relation.objects.bulk_create(
        (
            Relation(
                patient=patient,
                unit=units[(number * 7 + more) % UNITS],
                kind="treatment",
                reason_sealed=b"-",
                recorded_by=user,
                valid_from=BEGUN,
            )
            for number, patient in enumerate(made)
            for more in (0, 1)
        ),
        batch_size=2_000,
    )
