"""All that is held about one person, taken out (GDPR article 15): by the person, or by an officer on their behalf, for
what the officer's controller answers for. Ordered, counted, and fetched as it is made; how far it has come stands in
the order."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import position
from server.audit.reading import latest
from server.common.errors import Forbidden, NotFound, Refusal
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.limits import require_for_own_file
from server.people.models import Patient, User
from server.people.step_up import require_fresh
from server.review.access import Reader, open_patient_of, require_employee_of, require_officer, require_proved_officer
from server.review.held import patient as of_patients
from server.review.held import staff as of_staff
from server.review.held.section import Section, Told, chunks, narrowed
from server.review.models import Export
from server.review.reasons import EXPORT, seal_reason

ORDERED, DOWNLOADED, VIEWED = "held.ordered", "held.downloaded", "held.viewed"
FORMATS = (Export.Format.JSONL.value, Export.Format.HTML.value)


@transaction.atomic
def order_own(*, acting: Acting, form: str) -> Export:
    """Order what is held about oneself: as patient where one acts as such, else as somebody who works here. Raises
    Forbidden (`in_person_only`, `step_up_needed`)."""
    require_for_own_file(acting, ORDERED)
    made = _new(acting, form, "", patient=acting.patient, about=None if acting.patient else acting.user)
    record(_entry(ORDERED, acting, made, "self"))
    return made


@transaction.atomic
def order_patient(*, acting: Acting, patient_id: UUID, form: str, reason: str) -> Export:
    """Order what the officer's controller holds about a patient. Raises Forbidden (`officer_only`,
    `step_up_needed`), NotFound."""
    officer = require_proved_officer(acting, ORDERED)
    found = open_patient_of(officer, patient_id, ORDERED)
    made = _new(acting, form, reason, patient=found, controller_id=officer.controller_id)
    record(_entry(ORDERED, acting, made, "officer"))
    return made


@transaction.atomic
def order_staff(*, acting: Acting, user_id: UUID, form: str, reason: str) -> Export:
    """Order what the officer's controller holds about an employee, also a former one. Raises Forbidden
    (`officer_only`, `step_up_needed`), NotFound."""
    officer = require_proved_officer(acting, ORDERED)
    require_employee_of(officer, user_id, ORDERED)
    about = User.objects.get(id=user_id)
    made = _new(acting, form, reason, about=about, controller_id=officer.controller_id)
    record(_entry(ORDERED, acting, made, "officer"))
    return made


@transaction.atomic
def view(*, acting: Acting, export_id: UUID) -> Export:
    """How far one's own order has come; a look, on record. Raises NotFound."""
    export = _own(acting, export_id, VIEWED)
    record(_entry(VIEWED, acting, export, _basis(export)))
    return export


@transaction.atomic
def fetch(*, acting: Acting, export_id: UUID) -> Export:
    """Begin to fetch what one has ordered; on record before its first byte.

    Raises NotFound, the same for others' and what is not there; Forbidden `step_up_needed`, `in_person_only`.
    """
    export = _own(acting, export_id, DOWNLOADED)
    if export.controller_id is None:
        require_for_own_file(acting, DOWNLOADED)
    if export.controller_id is not None:  # what is held about others
        require_fresh(acting, DOWNLOADED)
        if export.patient_id is not None:  # as when it was ordered
            open_patient_of(require_officer(acting, DOWNLOADED), export.patient_id, DOWNLOADED)
    Export.objects.filter(id=export.id).update(state=Export.State.RUNNING, done=0)
    record(_entry(DOWNLOADED, acting, export, _basis(export)))
    return export


def given(export: Export, reader: Reader) -> Iterator[tuple[Section, list[Told]]]:
    """Section by section, in chunks; sections without a row once, with none. Stops, and says so in the row, as soon as
    the reader's session or appointment has ended: asked after each chunk was read (law 5)."""
    person, done, state = person_of(export), 0, Export.State.CUT
    try:
        for section, rows in _sections(export):
            empty = True
            for chunk in chunks(section, rows, person, export.controller_id):
                if not reader.still():
                    return
                done, empty = done + len(chunk), False
                Export.objects.filter(id=export.id).update(done=done)
                yield section, chunk
            if empty:
                yield section, []
        if not reader.still():
            return
        state = Export.State.DONE
    finally:
        with suppress(DatabaseError):  # the answer has ended, one way or the other: nobody is left to be told
            Export.objects.filter(id=export.id).update(state=state, done=done)


def everything(*, patient: Patient | None = None, user: User | None = None) -> Iterator[tuple[Section, list[Told]]]:
    """All of it, for the command: nobody's session."""
    of_whom = patient or user
    assert of_whom is not None, "somebody"
    for section in of_patients.SECTIONS if patient is not None else of_staff.SECTIONS:
        rows = narrowed(section, of_whom.id, None)
        assert rows is not None, "nothing is narrowed"
        yield section, [one for chunk in chunks(section, rows, of_whom.id) for one in chunk]


def person_of(export: Export) -> UUID:
    found = export.patient_id or export.about_id
    assert found is not None, "by constraint"
    return found


def _sections(export: Export) -> Iterator[tuple[Section, Any]]:
    person = person_of(export)
    for section in of_patients.SECTIONS if export.patient_id else of_staff.SECTIONS:
        rows = narrowed(section, person, export.controller_id)
        if rows is not None:
            yield section, rows


def _new(acting: Acting, form: str, reason: str, **more: Any) -> Export:
    published, id_ = latest(), new_id()
    made = Export(
        id=id_,
        kind=Export.Kind.HELD,
        made_by=acting.user,
        format=form,
        reason_sealed=seal_reason(reason, place=EXPORT, row=id_, patient=more.get("patient")),
        snapshot=position(published.tree, published.size) if published is not None else 0,
        total=0,
        **more,
    )
    made.total = sum(rows.count() for _, rows in _sections(made))
    made.save(force_insert=True)
    return made


def _own(acting: Acting, export_id: UUID, act: str) -> Export:
    """One that this person has ordered, for whom they act now. Raises NotFound; Forbidden `not_your_export`."""
    controller = acting.officer.controller_id if acting.officer is not None else None
    rows = Export.objects.filter(id=export_id, kind=Export.Kind.HELD).select_related("patient", "about", "controller")
    found = rows.first()
    mine = found is not None and (found.controller_id is None or found.controller_id == controller)
    if found is None or not mine or (found.controller_id is None and found.made_by_id != acting.user.id):
        raise NotFound(refusal=Refusal(act, "missing" if found is None else "foreign", object_id=export_id))
    if found.made_by_id != acting.user.id:
        raise Forbidden(code="not_your_export", refusal=Refusal(act, "not_own", object_id=export_id))
    as_patient = acting.patient.id if acting.patient is not None else None
    if found.controller_id is None and found.patient_id != as_patient:
        raise NotFound(refusal=Refusal(act, "other_capacity", object_id=export_id))
    return found


def _basis(export: Export) -> str:
    return "self" if export.controller_id is None else "officer"


def _entry(type_: str, acting: Acting, export: Export, basis: str) -> Entry:
    detail = {"count": export.total, "format": export.format}
    about = (export.about_id,) if export.about_id is not None else ()
    return Entry(
        type_,
        acting.actor,
        subject_id=export.patient_id,
        object_id=export.id,
        basis=basis,
        detail=detail,
        record_ids=about,
    )
