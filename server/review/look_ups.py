"""Officers find whom they need the id of: for a written reason, in their own controller, on record (L2, L6)."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.consent.records import excluded_people
from server.people.actors import Acting
from server.people.models import Engagement, Patient
from server.people.sealed import number_index
from server.review.access import require_proved_officer
from server.review.concerned import concerns

PATIENT, STAFF = "review.patient_found", "review.staff_found"
NOBODY = UUID(int=0)
"""No patient's id; asked about, so that time does not tell."""
MOST = 50
"""Places of work of one answer."""


class Staff(NamedTuple):
    """`more`: there are others by that name, who are not among them."""

    found: Sequence[Engagement]
    more: bool


@transaction.atomic
def patient(*, acting: Acting, number: str, reason: str) -> UUID | None:
    """The patient with this uniform identity number, who has or has had to do with the officer's controller; else None.

    The same statements and one event, whether the number is nobody's or a patient's of others: neither the
    answer, nor its time, nor the officer's own lines tell them apart. The number is kept nowhere.

    Raises Forbidden `officer_only`.
    """
    officer = require_proved_officer(acting, PATIENT)
    rows = Patient.objects.filter(concerns(officer.controller_id), nin_index=number_index(number))
    found = rows.values_list("id", flat=True).first()
    if officer.user_id in excluded_people(found or NOBODY):
        found = None
    _record(PATIENT, acting, reason, () if found is None else (found,), subject_id=found)
    return found


@transaction.atomic
def staff(*, acting: Acting, words: str, reason: str) -> Staff:
    """Places of work, also former ones, of those at the officer's controller whose names have all of `words` in them.

    Raises Forbidden `officer_only`.
    """
    officer = require_proved_officer(acting, STAFF)
    rows: QuerySet[Engagement] = Engagement.objects.filter(unit__controller_id=officer.controller_id)
    for word in words.casefold().split():
        rows = rows.filter(user__name_folded__contains=word)
    holds = Engagement.objects.current().filter(id=OuterRef("id"))
    rows = rows.annotate(current=Exists(holds)).select_related("user", "unit")
    found = list(rows.order_by("user__name_folded", "id")[: MOST + 1])
    shown = found[:MOST]
    _record(STAFF, acting, reason, tuple(dict.fromkeys(one.user_id for one in shown)))
    return Staff(shown, len(found) > MOST)


def _record(
    type_: str, acting: Acting, reason: str, found: tuple[UUID, ...], *, subject_id: UUID | None = None
) -> None:
    """What was found, and why it was looked for; never what was written to find it."""
    record(
        Entry(
            type_,
            acting.actor,
            subject_id=subject_id,
            basis="officer",
            outcome="success" if found else "refused",
            reason="" if found else "not_found",
            record_ids=found,
            detail={"reason": reason},
        )
    )
