"""Reading consents: from stored versions, verified, to the records that `decide` judges.

A version is believed when its seal holds, it is the one that the consent row points to, and the log knows as many
versions as there are and this one's hash. Anything else is a `BrokenRecord`: a deny and an alarm, never an open door.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Q
from pydantic import ValidationError

from server.audit.models import AuditEvent
from server.common.sql import uuid_in, uuid_out
from server.consent import grounds, sealing
from server.consent.decide import BrokenRecord, ConsentRecord, Grant, Record
from server.consent.document import Document, GrantPart
from server.consent.models import Consent, Form, State, Version
from server.people.models import Unit
from server.vault.errors import MasterKeyFault, Unreadable

log = structlog.get_logger(__name__)

LOGGED = "(SELECT COUNT(*) FROM audit_auditevent a WHERE a.object_id = {} AND a.sealed_hash {})"
COLUMNS = (
    "c.id, c.patient_id, c.form, c.room_id, c.purpose, c.state, c.version, c.newest_hash, "
    "v.id, v.document, v.hash, v.signature, v.key, "
    f"{LOGGED.format('c.id', 'IS NOT NULL')}, {LOGGED.format('c.id', '= c.newest_hash')}"
)
JOIN = "LEFT JOIN consent_version v ON v.consent_id = c.id AND v.number = c.version"
"""The newest version of a consent, and what the log knows of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The newest version of one consent as the database has it, beside what must agree with it."""

    consent: UUID
    patient: UUID
    form: str
    room: UUID | None
    purpose: str
    state: str
    number: int
    newest_hash: str
    version: UUID | None
    document: str
    hash: str
    signature: bytes
    key: UUID | None
    logged: int
    """How many versions of this consent the log knows."""
    logged_hash: bool
    """Whether the log knows the newest hash."""


def records_for_rooms(rooms: Mapping[UUID, UUID]) -> dict[UUID, list[Record]]:
    """All records about each room (room → patient): its own consent, the patient's exclusions, statutory grounds that
    are turned on. One statement, and one for grounds where any kind is turned on.

    What the log knows and the database does not have is a `BrokenRecord`: a deny does not disappear with its row.
    """
    found: dict[UUID, list[Record]] = {room: [] for room in rooms}
    own: set[UUID] = set()
    excluding: set[UUID] = set()
    named: set[UUID] = set()
    for room, exclusions_logged, stored in _stored_for(rooms):
        if exclusions_logged:
            named.add(room)
        if stored is not None:
            names_people = stored.consent == rooms[room]  # a patient's exclusions have the patient's id
            (excluding if names_people else own).add(room)
            found[room].append(record_of(stored, names_people=names_people))
    for room in named - excluding:
        _alarm(rooms[room], 0, "missing")
        found[room].append(BrokenRecord(rooms[room], names_people=True))
    for room in _consented(set(rooms) - own):
        _alarm(room, 0, "missing")
        found[room].append(BrokenRecord(room, names_people=False))
    if rooms and settings.ENV.statutory_grounds:
        for room, ground in grounds.records(rooms):
            found[room].append(ground)
    return found


def records_for_form(patients: Iterable[UUID], form: Form) -> dict[UUID, list[Record]]:
    """All records about each patient's consent that is about no room: the consent of this form, and the patient's
    exclusions. One statement. Exclusions that the log knows and the database does not have are a `BrokenRecord`; a
    consent that is missing lets nobody in as it is."""
    wanted = set(patients)
    found: dict[UUID, list[Record]] = {patient: [] for patient in wanted}
    excluding: set[UUID] = set()
    named: set[UUID] = set()
    for patient, exclusions_logged, stored in _stored_of_form(wanted, form):
        if exclusions_logged:
            named.add(patient)
        if stored is not None:
            names_people = stored.consent == patient
            if names_people:
                excluding.add(patient)
            found[patient].append(record_of(stored, names_people=names_people))
    for patient in named - excluding:
        _alarm(patient, 0, "missing")
        found[patient].append(BrokenRecord(patient, names_people=True))
    return found


def stored_version(consent: Consent) -> Stored:
    """The newest version of one consent."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM consent_consent c {JOIN} WHERE c.id = %s", [uuid_in(consent.id)])  # noqa: S608
        return _row(*cursor.fetchone())


def read(stored: Stored) -> Document | None:
    """What a version says, if it can be believed; None and an alarm in the server's log when it cannot."""
    fault = _fault(stored)
    if fault:
        _alarm(stored.consent, stored.number, fault)
        return None
    return parsed(stored.document)


def record_of(stored: Stored, *, names_people: bool) -> ConsentRecord | BrokenRecord:
    document = read(stored)
    if document is None:
        return BrokenRecord(stored.version or stored.consent, names_people=names_people)
    return consent_record(document)


@functools.lru_cache(maxsize=4_096)
def parsed(text: str) -> Document:
    """Raises ValidationError for what is no version's document."""
    return Document.model_validate_json(text)


def consent_record(document: Document) -> ConsentRecord:
    """What `decide` needs to know of a version."""
    terms = document.terms
    return ConsentRecord(
        version_id=document.id,
        active=document.state == State.ACTIVE and document.form != Form.EXCLUSIONS,
        purpose=terms.purpose,
        categories=frozenset(terms.categories),
        grants=frozenset(grants_of(terms.grants)),
        valid_from=terms.valid_from,
        valid_to=terms.valid_to,
        content_from=terms.content.start,
        content_to=terms.content.end,
        excluded_units=frozenset(one.unit for one in terms.excluded_units),
        excluded_people=frozenset(terms.excluded_people),
    )


def grants_of(parts: Iterable[GrantPart]) -> list[Grant]:
    return [Grant(unit_id=one.unit, person_id=one.person, role=one.role) for one in parts]


def parts_of(grants: Iterable[Grant], units: Mapping[UUID, Unit]) -> tuple[GrantPart, ...]:
    """The stored form of grants, in a settled order; `units` has each grant's unit."""
    parts = [
        GrantPart(unit=one.unit_id, org_number=units[one.unit_id].org_number, person=one.person_id, role=one.role)
        for one in grants
    ]
    return tuple(sorted(parts, key=lambda part: (str(part.unit), str(part.person or ""), part.role or "")))


def excluded_people(patient_id: UUID) -> frozenset[UUID]:
    """Whom the patient has excluded. One statement while the newest version can be believed; else an alarm, and whoever
    was ever excluded, as far as what is stored or logged still tells: nobody comes back because of a damaged row."""
    found: set[UUID] = set()
    for _, exclusions_logged, stored in _stored_of_form({patient_id}, Form.EXCLUSIONS):
        if stored is None and not exclusions_logged:
            continue
        if stored is None:
            _alarm(patient_id, 0, "missing")
        document = read(stored) if stored is not None else None
        found |= set(document.terms.excluded_people) if document is not None else _ever_excluded(patient_id)
    return frozenset(found)


class ExcludedPeople:
    """`people.ports.Exclusions`."""

    def of(self, patient_id: UUID) -> frozenset[UUID]:
        return excluded_people(patient_id)


EXCLUDED = re.compile(r'"excluded_people"\s*:\s*\[([^\]]*)')
PERSON = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _ever_excluded(patient_id: UUID) -> set[UUID]:
    """By any version, whole or not, and by any that the log knows."""
    versions = Version.objects.filter(
        Q(consent=patient_id) | Q(consent__patient=patient_id, consent__form=Form.EXCLUSIONS)
    )
    said = [names for text in versions.values_list("document", flat=True) for names in EXCLUDED.findall(text)]
    for event in AuditEvent.objects.filter(object_id=patient_id, sealed_hash__isnull=False):
        with suppress(Unreadable, MasterKeyFault):
            said.append(str(event.detail.get("excluded_people", "")))
    return {UUID(one) for names in said for one in PERSON.findall(names)}


def _fault(stored: Stored) -> str:
    """Why a version cannot be believed; empty when it can."""
    if stored.version is None or stored.key is None:
        return "missing"
    if stored.hash != stored.newest_hash:
        return "not_the_newest"
    if stored.logged != stored.number or not stored.logged_hash:
        return "log_differs"
    try:
        if not sealing.holds(stored.document, stored.hash, stored.signature, stored.key, sealing.VERSION):
            return "seal"
        document = parsed(stored.document)
    except (Unreadable, MasterKeyFault, ValidationError):
        return "unreadable"
    says = (document.id, document.consent, document.number, document.patient, document.form, document.room)
    stands = (stored.version, stored.consent, stored.number, stored.patient, stored.form, stored.room)
    if says != stands:
        return "misplaced"
    return "" if (document.terms.purpose, document.state) == (stored.purpose, stored.state) else "row_differs"


@functools.lru_cache(maxsize=1_024)
def _alarm(consent_id: UUID, number: int, fault: str) -> None:
    """Once in a process; the worker gives the officers the task."""
    log.critical("consent_unreadable", consent=str(consent_id), version=number, fault=fault)


def _stored_for(rooms: Mapping[UUID, UUID]) -> list[tuple[UUID, int, Stored | None]]:
    """For each room (room → patient): its consent and the patient's exclusions, or a row with neither; and how many
    versions of the latter the log knows, whatever became of them."""
    if not rooms:
        return []
    place = "(%s::uuid, %s::uuid)" if connection.vendor == "postgresql" else "(%s, %s)"
    wanted = ", ".join([place] * len(rooms))
    logged = LOGGED.format("w.patient", "IS NOT NULL")
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w(room, patient) AS (VALUES {wanted}) "  # noqa: S608 - placeholders only
            f"SELECT w.room, {logged}, {COLUMNS} "
            f"FROM w LEFT JOIN consent_consent c ON c.room_id = w.room OR c.id = w.patient {JOIN}",
            [uuid_in(one) for pair in rooms.items() for one in pair],
        )
        rows = cursor.fetchall()
    return [(uuid_out(room), logged, _row(*row) if row[0] is not None else None) for room, logged, *row in rows]


def _stored_of_form(patients: set[UUID], form: Form) -> list[tuple[UUID, int, Stored | None]]:
    """As `_stored_for`, for each patient's consent of a form that is about no room."""
    if not patients:
        return []
    place = "(%s::uuid)" if connection.vendor == "postgresql" else "(%s)"
    logged = LOGGED.format("w.patient", "IS NOT NULL")
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH w(patient) AS (VALUES {', '.join([place] * len(patients))}) "  # noqa: S608 - placeholders only
            f"SELECT w.patient, {logged}, {COLUMNS} FROM w LEFT JOIN consent_consent c "
            f"ON c.id = w.patient OR (c.patient_id = w.patient AND c.form = %s AND c.room_id IS NULL) {JOIN}",
            [*map(uuid_in, patients), form],
        )
        rows = cursor.fetchall()
    return [(uuid_out(patient), logged, _row(*row) if row[0] is not None else None) for patient, logged, *row in rows]


def _consented(rooms: set[UUID]) -> set[UUID]:
    """Of rooms that have no consent, those for which the log knows one."""
    if not rooms:
        return set()
    sealed = AuditEvent.objects.filter(room_id__in=rooms, sealed_hash__isnull=False, type__startswith="consent.")
    return {room for room in sealed.values_list("room_id", flat=True) if room is not None}


def _row(*row: Any) -> Stored:
    consent, patient, form, room, purpose, state, *row_ = row
    number, newest, version, document, hash_, signature, key, logged, same = row_
    return Stored(
        consent=uuid_out(consent),
        patient=uuid_out(patient),
        form=form,
        room=uuid_out(room) if room else None,
        purpose=purpose,
        state=state,
        number=number,
        newest_hash=newest,
        version=uuid_out(version) if version else None,
        document=document or "",
        hash=hash_ or "",
        signature=bytes(signature or b""),
        key=uuid_out(key) if key else None,
        logged=logged,
        logged_hash=same > 0,
    )
