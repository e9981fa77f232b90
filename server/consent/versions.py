"""Writing one version: the sealed document, the moved pointer and the audit event, in the caller's transaction."""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict
from server.common.ids import new_id
from server.consent import forms, records, sealing
from server.consent.document import (
    Basis,
    Competence,
    Document,
    Grantor,
    GrantPart,
    LegalBasis,
    Method,
    Release,
    Terms,
    TextPart,
)
from server.consent.forms import Exact
from server.consent.models import Act, Consent, State, Version
from server.consent.sealing import seal
from server.duties import actions as duties
from server.duties.models import Duty, Kind
from server.people.actors import Acting
from server.people.models import Engagement, Unit
from server.people.names import display_names
from server.vault import actions as vault
from server.vault.errors import Unreadable

TEXT, REMARK, MINUTE = "consent_version.text", "consent_version.remark", "consent_version.minute"


@dataclass(frozen=True, slots=True)
class Change:
    """What one act makes of a consent. `shown` is the version whose text was answered: its exact bytes are kept with
    the answer; `text` is another text that was; without either, the text to be shown is made now."""

    act: Act
    state: State
    terms: Terms
    remark: str = ""
    shown: Document | None = None
    text: Exact | None = None
    method: Method | None = None
    grantor: Grantor | None = None
    competence: Competence | None = None
    given_at: datetime | None = None
    minute: str = ""

    def recorded(self, method: Method, grantor: Grantor, given_at: datetime, minute: str) -> "Change":
        """The same act, as it was given on paper or spoken."""
        return replace(self, method=method, grantor=grantor, given_at=given_at, minute=minute)


def newest(consent: Consent) -> Document:
    """What holds now.

    Raises Conflict (`record_unreadable`) when it cannot be verified: nothing is shared then, nor built on it.
    """
    document = records.read(records.stored_version(consent))
    if document is None:
        raise Conflict(code="record_unreadable")
    return document


@dataclass(frozen=True, slots=True)
class Draft:
    """A sealed version with its row and its entry for the log, none of them written yet."""

    document: Document
    row: Version
    entry: Entry


def write(consent: Consent, change: Change, acting: Acting | None, before: Document | None) -> Document:
    """One immutable version and its audit event; `acting` None is the clock. `before` is the version it follows."""
    ended = consent.ends_at
    change = replace(
        change, method=change.method or _method(acting), grantor=change.grantor or _grantor(consent, acting)
    )
    new = draft(
        consent,
        change,
        actor=acting.actor if acting is not None else SYSTEM,
        basis=_why(consent, before, acting),
        before=before,
        text=_text(consent, change),
        units=units_of([*change.terms.grants, *change.terms.asked]),
        at=now(),
    )
    consent.save(force_insert=new.document.number == 1)
    new.row.save(force_insert=True)
    record(new.entry)
    if consent.ends_at != ended:  # reminders of an end that no longer stands
        for reminder in Duty.objects.filter(kind=Kind.CONSENT_ENDING, object_id=consent.id, done_at=None):
            duties.release(duty=reminder, actor=new.entry.actor)
    return new.document


def draft(
    consent: Consent,
    change: Change,
    *,
    actor: Actor,
    basis: str,
    before: Document | None,
    text: Exact,
    units: Mapping[UUID, Unit],
    at: datetime,
) -> Draft:
    """Seal the version that `change` (with method and grantor) makes, and move the consent's row, unsaved, to it."""
    key, terms = consent.patient.key, change.terms
    version_id, number = new_id(), consent.version + 1
    document = Document(
        id=version_id,
        consent=consent.id,
        number=number,
        previous=consent.newest_hash or None,
        form=consent.form,
        patient=consent.patient_id,
        room=consent.room_id,
        act=change.act,
        state=change.state,
        terms=terms,
        grantor=change.grantor,
        competence=change.competence or (before.competence if before is not None else None),
        method=_with_minute(change, key),
        given_at=change.given_at or at,
        recorded_at=at,
        recorder=actor.user_id,
        text=TextPart(form=text.form, version=text.version, language=text.language, sha256=text.sha256),
        remark=_keyed(key, change.remark),
        basis=_basis(units.values()),
    )
    sealed = seal(document, sealing.VERSION)
    consent.version, consent.state, consent.newest_hash = number, change.state, sealed.hash
    ends_at = terms.valid_to if change.state == State.ACTIVE else None
    if ends_at != consent.ends_at:
        consent.ends_at, consent.remind_at = ends_at, _remind_at(consent.form, terms.valid_from or at, ends_at)
    row = Version(
        id=version_id,
        consent=consent,
        number=number,
        document=sealed.document,
        hash=sealed.hash,
        signature=sealed.signature,
        key=sealed.key,
        text_sealed=vault.seal(key, text.exact, place=TEXT, row=version_id),
        remark_sealed=_sealed_words(key, change.remark, REMARK, version_id),
        minute_sealed=_sealed_words(key, change.minute, MINUTE, version_id),
    )
    return Draft(document, row, _entry(consent, document, sealed.hash, actor, basis))


def text_of(document: Document) -> str:
    """The exact bytes that were shown, as text. Raises Conflict (`record_unreadable`)."""
    return words_of(document, "text_sealed", TEXT) or ""


def minute_of(document: Document) -> str:
    """What was written down of a spoken answer; empty when there is nothing. Raises Conflict (`record_unreadable`)."""
    return words_of(document, "minute_sealed", MINUTE) or ""


def words_of(document: Document, field: str, place: str) -> str | None:
    sealed = Version.objects.values_list(field, flat=True).get(id=document.id)
    try:
        return vault.unseal(bytes(sealed), place=place, row=document.id) if sealed is not None else None
    except Unreadable:
        raise Conflict(code="record_unreadable") from None


def offer(consent: Consent, terms: Terms) -> Exact:
    """The text that asks the patient for `terms`, in the patient's language."""
    named = names_of([*terms.grants, *terms.asked])
    return forms.render(
        form_id=consent.form,
        language=consent.patient.language,
        names=named or sorted(display_names(set(terms.excluded_people)).values()),
        purpose=terms.purpose,
        until=terms.valid_to,
        excluded_units=sorted(unit.name for unit in units_by_id({one.unit for one in terms.excluded_units}).values()),
        content_from=terms.content.start,
        content_to=terms.content.end,
    )


def end_of(given_at: datetime, form_id: str = "room") -> datetime:
    """When a consent offered at `given_at` ends: the form's number of months later, same wall-clock day in UTC."""
    month = given_at.month - 1 + forms.form(form_id).months
    year, month = given_at.year + month // 12, month % 12 + 1
    return given_at.replace(year=year, month=month, day=min(given_at.day, calendar.monthrange(year, month)[1]))


def names_of(grants: Sequence[GrantPart]) -> list[str]:
    """One line for each grant: a person by name, role, unit and controller; or the unit, with the role if narrowed.
    Staff names are not content."""
    people = {grant.person for grant in grants if grant.person is not None}
    names = {
        (one.user_id, one.unit_id): f"{one.user.name}, {one.role}"
        for one in Engagement.objects.filter(user_id__in=people).select_related("user").order_by("valid_from")
    }
    units = units_of(grants)
    lines = []
    for grant in grants:
        unit = units[grant.unit]
        who = names.get((grant.person, grant.unit)) if grant.person is not None else grant.role
        lines.append(f"{who + ', ' if who else ''}{unit.name} ({unit.controller.name})")
    return sorted(lines)


def units_of(grants: Iterable[GrantPart]) -> dict[UUID, Unit]:
    """The units that grants name, with controllers."""
    return units_by_id({grant.unit for grant in grants})


def units_by_id(ids: Iterable[UUID]) -> dict[UUID, Unit]:
    wanted = set(ids)
    return {unit.id: unit for unit in Unit.objects.filter(id__in=wanted).select_related("controller")} if wanted else {}


def _text(consent: Consent, change: Change) -> Exact:
    """The text that stands with the act. Sharing less never fails for a text that cannot be opened any more."""
    shown = change.shown
    if shown is None:
        return change.text or offer(consent, change.terms)
    try:
        return Exact(shown.text.form, shown.text.version, shown.text.language, text_of(shown))
    except Conflict:
        if set(change.terms.grants) <= set(shown.terms.grants):
            return offer(consent, change.terms)
        raise


def _grantor(consent: Consent, acting: Acting | None) -> Grantor | None:
    """The patient, when it is they who act; staff who ask, and the clock, decide nothing."""
    own = acting is not None and acting.patient is not None and acting.patient.id == consent.patient_id
    return Grantor(user=acting.user.id) if acting is not None and own else None


def _method(acting: Acting | None) -> Method:
    if acting is None:
        return Method(kind="clock")
    level = acting.session.level if acting.session is not None else 0
    return Method(kind="sign_in", sign_in=acting.actor.sign_in, level=level)


def _remind_at(form_id: str, start: datetime, end: datetime | None) -> datetime | None:
    """As many days before the end as the form says, and of a short consent not before its last quarter."""
    if end is None:
        return None
    return end - min(timedelta(days=forms.form(form_id).remind_days), (end - start) / 4)


def _basis(units: Iterable[Unit]) -> Basis:
    """What lifts confidentiality for each unit, and beside it each controller's own basis in statute (L1)."""
    by_name = sorted(units, key=lambda unit: unit.org_number)
    controllers = {unit.controller.org_number: unit.controller for unit in by_name}
    return Basis(
        confidentiality=tuple(Release(unit=one.id, statute=forms.release_statute(one.kind)) for one in by_name),
        gdpr=tuple(
            LegalBasis(controller=number, article_6=one.article_6, article_9=one.article_9, statute=one.statute)
            for number, one in sorted(controllers.items())
        ),
    )


def _with_minute(change: Change, key: UUID) -> Method:
    method = change.method or Method(kind="clock")
    return method.model_copy(update={"minute": _keyed(key, change.minute)})


def _keyed(key: UUID, words: str) -> str | None:
    return vault.fingerprint(key, words).hex() if words else None


def _sealed_words(key: UUID, words: str, place: str, row: UUID) -> bytes | None:
    return vault.seal(key, words, place=place, row=row) if words else None


def _entry(consent: Consent, document: Document, hash_: str, actor: Actor, basis: str) -> Entry:
    terms = document.terms
    return Entry(
        type=f"consent.{document.act}",
        actor=actor,
        subject_id=consent.patient_id,
        room_id=consent.room_id,
        object_id=consent.id,
        purpose=consent.purpose,
        basis=basis,
        record_ids=(document.id,),
        detail={
            "version": document.number,
            "method": document.method.kind,
            "grants": [part.model_dump(mode="json") for part in terms.grants],
            "asked": [part.model_dump(mode="json") for part in terms.asked],
            "excluded_units": [str(one.unit) for one in terms.excluded_units],
            "excluded_people": [str(one) for one in terms.excluded_people],
        },
        sealed_hash=hash_,
    )


def _why(consent: Consent, before: Document | None, acting: Acting | None) -> str:
    """Why the act was allowed: the patient's own, the clock's, of whom the consent names already, or of whoever has a
    relation and asks."""
    if acting is None:
        return "period"
    if acting.patient is not None and acting.patient.id == consent.patient_id:
        return "self"
    named = before is not None and acting.user.id in {grant.person for grant in before.terms.grants}
    return "consent" if named else "relation"
