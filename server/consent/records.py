"""Reading consents: from rows to the records that `decide` judges."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import F

from server.consent.decide import ConsentRecord, Grant
from server.consent.models import ConsentVersion, State


def grants_of(rows: Iterable[dict[str, Any]]) -> list[Grant]:
    """Grants from their stored form."""
    return [
        Grant(
            unit_id=UUID(row["unit"]),
            person_id=UUID(row["person"]) if row.get("person") else None,
            role=row.get("role"),
        )
        for row in rows
    ]


def stored(grants: Iterable[Grant]) -> list[dict[str, Any]]:
    """The stored form of grants, in a settled order."""
    rows = [
        {"unit": str(one.unit_id), "person": str(one.person_id) if one.person_id else None, "role": one.role}
        for one in grants
    ]
    return sorted(rows, key=lambda row: (row["unit"], row["person"] or "", row["role"] or ""))


def record_of(version: ConsentVersion) -> ConsentRecord:
    return ConsentRecord(
        version_id=version.id,
        active=version.state == State.ACTIVE,
        purpose=version.purpose,
        grants=frozenset(grants_of(version.grants)),
        valid_from=version.valid_from,
        valid_to=version.valid_to,
    )


def records_for_rooms(room_ids: Iterable[UUID]) -> dict[UUID, list[ConsentRecord]]:
    """The newest version of each room's consent; one statement. Sealed fields are left in the database."""
    found: dict[UUID, list[ConsentRecord]] = {}
    newest = (
        ConsentVersion.objects.filter(consent__room_id__in=list(room_ids), number=F("consent__version"))
        .annotate(room_id=F("consent__room_id"))
        .defer("text_sealed", "remark_sealed")
    )
    for version in newest:
        found.setdefault(version.room_id, []).append(record_of(version))
    return found
