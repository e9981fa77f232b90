"""What officers take out of the log: ordered for a reason, proved against one signed checkpoint, and fetched as it is
made, in constant memory (L4)."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import position
from server.audit.reading import latest
from server.common.errors import Forbidden, NotFound, NotYet, Refusal
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.models import Officer, Patient
from server.review.access import Reader, require_officer, require_proved_officer
from server.review.access_log import events_about
from server.review.events import COLUMNS, Place, Wanted, find
from server.review.models import Export, Line
from server.review.proved import Proved, Prover
from server.review.reasons import EXPORT, seal_reason

MADE, DOWNLOADED = "review.export_made", "review.export_downloaded"
LISTED, VIEWED = "review.exports_viewed", "review.export_viewed"
SUBJECT = "review.subject_exported"
CHUNK = 500


@transaction.atomic
def order(*, acting: Acting, wanted: Wanted, form: str, reason: str) -> Export:
    """Order the lines of the officer's controller that fit, as far as they are sealed now. The order is on record in
    the log, with how many lines it is, and in the log of the patient whom it was narrowed to.

    Raises Forbidden (`officer_only`, `step_up_needed`), NotYet (`not_sealed_yet`).
    """
    officer = require_proved_officer(acting, MADE)
    export = _new(acting, officer, Export.Kind.EVENTS, reason, format=form, filters=wanted.said())
    export.total = _lines(officer.controller_id, wanted, export.snapshot).count()
    export.save(force_insert=True)
    record(_entry(MADE, acting, export, subject_id=_subject(wanted)))
    return export


@transaction.atomic
def order_subject(*, acting: Acting, officer: Officer, patient: Patient, form: str, reason: str) -> Export:
    """Order everything about one patient that the controller sees and the patient may know: the answer to a request for
    access (GDPR article 15). On record in the patient's own log.

    Raises NotYet (`not_sealed_yet`).
    """
    wanted = Wanted(same={"subject": patient.id})
    made = _new(acting, officer, Export.Kind.SUBJECT, reason, patient=patient, format=form, filters=wanted.said())
    lines = _lines(officer.controller_id, wanted, made.snapshot)
    made.total = lines.filter(event_id__in=events_about(patient.id).values("id")).count()
    made.save(force_insert=True)
    record(_entry(SUBJECT, acting, made, subject_id=patient.id))
    return made


def look(*, acting: Acting) -> QuerySet[Export]:
    """What has been taken out for the officer's controller, newest first; the look is on record. Raises Forbidden."""
    officer = require_officer(acting, LISTED)
    with transaction.atomic():
        record(Entry(LISTED, acting.actor, basis="officer"))
    return Export.objects.filter(controller_id=officer.controller_id).select_related("made_by")


def open_export(acting: Acting, export_id: UUID, act: str = VIEWED) -> Export:
    """One of the officer's controller.

    Raises Forbidden (`officer_only`); NotFound, the same for foreign and missing.
    """
    officer = require_officer(acting, act)
    rows = Export.objects.filter(id=export_id, controller_id=officer.controller_id)
    found = rows.select_related("made_by", "patient").first()
    if found is None:
        raise NotFound(refusal=Refusal(act, "foreign", object_id=export_id))
    return found


@transaction.atomic
def fetch(*, acting: Acting, export_id: UUID) -> Export:
    """Begin to fetch an export of lines; on record before its first byte.

    Raises Forbidden (`officer_only`, `step_up_needed`, `not_your_export`), NotFound.
    """
    require_proved_officer(acting, DOWNLOADED)
    export = open_export(acting, export_id, DOWNLOADED)
    if export.kind != Export.Kind.EVENTS:
        raise NotFound(refusal=Refusal(DOWNLOADED, "other_kind", object_id=export.id))
    if export.made_by_id != acting.user.id:
        raise Forbidden(code="not_your_export", refusal=Refusal(DOWNLOADED, "not_own", object_id=export.id))
    _move(export, state=Export.State.RUNNING, done=0)
    record(_entry(DOWNLOADED, acting, export, subject_id=_subject(wanted_of(export.filters))))
    return export


def given(export: Export, reader: Reader) -> Iterator[list[Proved]]:
    """The lines of an export, newest first, in chunks with their proofs. Stops, and says so in the row, as soon as the
    reader's session or appointment has ended: asked after each chunk was read (law 5)."""
    assert export.controller_id is not None, "by constraint"
    wanted, prover = wanted_of(export.filters), Prover(export.snapshot)
    after: Place | None = None
    done, state = 0, Export.State.CUT
    try:
        while True:
            found = find(export.controller_id, wanted, after, CHUNK)
            chunk = prover.proved([seen for seen in found if seen.position < export.snapshot])
            if not reader.still():
                return
            if chunk:
                done += len(chunk)
                _move(export, done=done)
                yield chunk
            if len(found) < CHUNK:
                break
            after = Place(found[-1].at, found[-1].position)
        state = Export.State.DONE
    finally:
        with suppress(DatabaseError):  # the answer has ended, one way or the other: nobody is left to be told
            _move(export, state=state, done=done)


def wanted_of(filters: Mapping[str, str]) -> Wanted:
    """The filters as they were kept."""
    period = {name: datetime.fromisoformat(filters[name]) for name in ("from", "to") if name in filters}
    same: dict[str, UUID | str] = {
        name: UUID(value) if COLUMNS[name].endswith("_id") else value
        for name, value in filters.items()
        if name in COLUMNS
    }
    return Wanted(since=period.get("from"), until=period.get("to"), same=same)


def _new(acting: Acting, officer: Officer, kind: str, reason: str, **more: Any) -> Export:
    published = latest()
    if published is None:
        raise NotYet(code="not_sealed_yet")
    id_ = new_id()
    return Export(
        id=id_,
        kind=kind,
        controller_id=officer.controller_id,
        made_by=acting.user,
        reason_sealed=seal_reason(reason, place=EXPORT, row=id_, patient=more.get("patient")),
        snapshot=position(published.tree, published.size),
        **more,
    )


def _lines(controller_id: UUID, wanted: Wanted, snapshot: int) -> QuerySet[Line]:
    rows = Line.objects.filter(controller_id=controller_id, position__lt=snapshot)
    rows = rows.filter(**{COLUMNS[name]: value for name, value in wanted.same.items()})
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    return rows.filter(at__lt=wanted.until) if wanted.until is not None else rows


def _subject(wanted: Wanted) -> UUID | None:
    """The patient whom it was narrowed to, if there is one."""
    subject = wanted.same.get("subject")
    known = isinstance(subject, UUID) and Patient.objects.filter(id=subject).exists()
    return subject if known and isinstance(subject, UUID) else None


def _move(export: Export, **values: Any) -> None:
    Export.objects.filter(id=export.id).update(**values)


def _entry(type_: str, acting: Acting, export: Export, *, subject_id: UUID | None) -> Entry:
    detail = {"filters": export.filters, "count": export.total, "format": export.format}
    return Entry(type_, acting.actor, subject_id=subject_id, object_id=export.id, basis="officer", detail=detail)
