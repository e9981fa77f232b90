"""Acts upon a consent. Each writes one immutable version, moves the pointer, changes access, and is audited, in one
transaction; withdrawing takes no more than giving."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.common.clock import now
from server.common.errors import Conflict, FieldError, Invalid
from server.common.ids import new_id
from server.consent import forms
from server.consent.decide import Grant
from server.consent.models import Act, Consent, ConsentVersion, State
from server.consent.ports import ROOM_EFFECTS
from server.consent.records import grants_of, stored
from server.people.actors import Acting
from server.people.models import Engagement, Patient
from server.vault import actions as vault

TEXT = "consent_version.text"


@dataclass(frozen=True, slots=True)
class Change:
    """What one act makes of a consent."""

    act: Act
    state: State
    grants: Sequence[Grant]
    asked: Sequence[Grant] = ()
    remark: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    """Its end; while nothing is in force, the end that the text offers."""
    shown: ConsentVersion | None = None
    """The version whose text the patient answered: its exact bytes are kept with the answer."""


@transaction.atomic
def ask(*, acting: Acting, patient: Patient, room_id: UUID, purpose: str, grants: Sequence[Grant]) -> Consent:
    """Ask the patient to let `grants` take part in a room. What is in force stays in force until they answer."""
    ROOM_EFFECTS().lock(room_id)
    consent = Consent.objects.select_for_update(of=("self",)).select_related("patient").filter(room_id=room_id).first()
    if consent is not None:
        _run_out(consent)
    if consent is None:
        consent = Consent(
            id=new_id(), patient=patient, room_id=room_id, purpose=purpose, state=State.REQUESTED, version=0
        )
        before = None
    else:
        before = newest(consent)
    active = before is not None and before.state == State.ACTIVE
    in_force = grants_of(before.grants) if before is not None and active else []
    # What was declined, or ended by a withdrawal, is not dragged along by the next proposal.
    open_states = (State.REQUESTED, State.ACTIVE, State.EXPIRED)
    waiting = grants_of(before.asked) if before is not None and before.state in open_states else []
    wanted = [grant for grant in _union(waiting, grants) if grant not in in_force]
    if before is not None and before.state in (State.REQUESTED, State.ACTIVE) and set(wanted) == set(waiting):
        return consent  # asked already, in the same words
    change = Change(
        act=Act.REQUESTED,
        state=State.ACTIVE if active else State.REQUESTED,
        grants=in_force,
        asked=wanted,
        valid_from=before.valid_from if before is not None and active else None,
        valid_to=before.valid_to if before is not None and active else end_of(now()),
    )
    version = _write(consent, change, acting)
    ROOM_EFFECTS().asked(consent, version, acting.actor)
    return consent


@transaction.atomic
def give(
    *, acting: Acting, consent: Consent, people: Sequence[UUID] | None = None, shown: str = "", remark: str = ""
) -> Consent:
    """Yes, or yes again after it has run out or was withdrawn. `people` lets the patient choose some of those
    asked for; `shown` is the SHA-256 of the text they read.

    Raises Conflict (`text_changed`) when the text has changed since, Invalid when `people` names nobody asked for,
    Conflict (`nobody_asked`) when there is nobody to say yes to.
    """
    consent, before = _locked(consent)
    if before.state == State.ACTIVE and not before.asked:
        return consent  # given already
    _same_text(before, shown)
    chosen = _chosen(grants_of(before.asked), people)
    in_force = grants_of(before.grants) if before.state == State.ACTIVE else []
    if not chosen and not in_force:
        raise Conflict(code="nobody_asked")
    active = before.state == State.ACTIVE
    change = Change(
        act=Act.CHANGED if active else Act.GIVEN,
        state=State.ACTIVE,
        grants=_union(in_force, chosen),
        remark=remark,
        valid_from=before.valid_from if active else now(),
        valid_to=before.valid_to,  # the end that the text names
        shown=before,
    )
    return _answer(consent, change, acting)


@transaction.atomic
def change(
    *, acting: Acting, consent: Consent, people: Sequence[UUID] | None = None, shown: str = "", remark: str = ""
) -> Consent:
    """Narrow or extend a consent in force. `people` is everybody who may take part from now on; without it, those who
    are waiting are added.

    Raises Conflict (`not_active`, `text_changed`), Invalid when `people` names somebody nobody has proposed.
    """
    consent, before = _locked(consent)
    if before.state != State.ACTIVE:
        raise Conflict(code="not_active")
    _same_text(before, shown)
    known = _union(grants_of(before.grants), grants_of(before.asked))
    chosen = _chosen(known, people)
    if not chosen:
        raise Conflict(code="nobody_left")
    result = Change(
        act=Act.CHANGED,
        state=State.ACTIVE,
        grants=chosen,
        remark=remark,
        valid_from=before.valid_from,
        valid_to=before.valid_to,
        shown=before,
    )
    return _answer(consent, result, acting)


@transaction.atomic
def decline(*, acting: Acting, consent: Consent, remark: str = "") -> Consent:
    """No to what is asked. What is in force already stays; saying no costs no help (L1), and a later yes is open."""
    consent, before = _locked(consent)
    if before.state == State.DECLINED or not before.asked:
        return consent
    active = before.state == State.ACTIVE
    result = Change(
        act=Act.DECLINED,
        state=State.ACTIVE if active else State.DECLINED,
        grants=grants_of(before.grants) if active else (),
        asked=() if active else grants_of(before.asked),
        remark=remark,
        valid_from=before.valid_from if active else None,
        valid_to=before.valid_to,
        shown=before,
    )
    return _answer(consent, result, acting)


@transaction.atomic
def withdraw(*, acting: Acting, consent: Consent, remark: str = "") -> Consent:
    """Sharing stops with this commit (law 5); care does not (M4). A later yes, to the same people by name, is open."""
    consent, before = _locked(consent)
    if before.state == State.WITHDRAWN:
        return consent
    return _withdraw(consent, _union(grants_of(before.grants), grants_of(before.asked)), acting, remark)


def _withdraw(consent: Consent, again: Sequence[Grant], acting: Acting, remark: str = "") -> Consent:
    """`again` is whom a later yes would mean; the new text names them."""
    result = Change(
        act=Act.WITHDRAWN, state=State.WITHDRAWN, grants=(), asked=again, remark=remark, valid_to=end_of(now())
    )
    return _answer(consent, result, acting)


@transaction.atomic
def leave_out(*, acting: Acting, room_id: UUID, person_id: UUID) -> None:
    """Somebody was taken out of a room, or left it: the patient's own removal narrows the consent, and nobody waits for
    an answer about them any more. A colleague who leaves changes no consent."""
    found = Consent.objects.filter(room_id=room_id).first()
    if found is None:
        return
    consent, before = _locked(found)
    by_patient = acting.patient is not None and acting.patient.id == consent.patient_id
    grants = [one for one in grants_of(before.grants) if not by_patient or one.person_id != person_id]
    asked = [one for one in grants_of(before.asked) if one.person_id != person_id]
    if len(grants) == len(before.grants) and len(asked) == len(before.asked):
        return
    if before.state == State.ACTIVE and not grants:
        _withdraw(consent, asked, acting)
        return
    result = Change(
        act=Act.CHANGED,
        state=State(before.state),
        grants=grants,
        asked=asked,
        valid_from=before.valid_from,
        valid_to=before.valid_to,
    )
    _answer(consent, result, acting)


@transaction.atomic
def expire(*, consent: Consent) -> bool:
    """Its end has come: sharing ends as with a withdrawal, and the same people are asked for again. Returns whether it
    had; nobody acts but the clock (law 10)."""
    _, _before, expired = _lock(consent)
    return expired


def newest(consent: Consent) -> ConsentVersion:
    return ConsentVersion.objects.get(consent=consent, number=consent.version)


def end_of(given_at: datetime, form_id: str = "room") -> datetime:
    """When a consent offered at `given_at` ends: the form's number of months later, same wall-clock day in UTC."""
    month = given_at.month - 1 + int(forms.form(form_id)["months"])
    year, month = given_at.year + month // 12, month % 12 + 1
    return given_at.replace(year=year, month=month, day=min(given_at.day, calendar.monthrange(year, month)[1]))


def names_of(grants: Sequence[Grant]) -> list[str]:
    """One line for each person who is asked about: name, role, unit, controller. Staff names are not content."""
    people = [grant.person_id for grant in grants if grant.person_id]
    at_work = Engagement.objects.filter(user_id__in=people).select_related("user", "unit__controller")
    lines = {}
    for one in at_work.order_by("valid_from"):
        lines[(one.user_id, one.unit_id)] = f"{one.user.name}, {one.role}, {one.unit.name} ({one.unit.controller.name})"
    return sorted(line for key, line in lines.items() if key in {(g.person_id, g.unit_id) for g in grants})


def _answer(consent: Consent, change: Change, acting: Acting | None) -> Consent:
    version = _write(consent, change, acting)
    ROOM_EFFECTS().access_changed(consent, version, acting.actor if acting is not None else SYSTEM)
    return consent


def _basis(consent: Consent, change: Change, acting: Acting | None) -> str:
    """Why the act was allowed: the patient's own, the clock's, a member's, or of whoever has a relation and asks."""
    if acting is None:
        return "period"
    if acting.patient is not None and acting.patient.id == consent.patient_id:
        return "self"
    return "consent" if acting.user.id in {grant.person_id for grant in change.grants} else "relation"


def _write(consent: Consent, change: Change, acting: Acting | None) -> ConsentVersion:
    """One immutable version and its audit event; `acting` None is the clock."""
    patient = consent.patient
    version_id, number = new_id(), consent.version + 1
    text = _text(consent, change)
    consent.version, consent.state = number, change.state
    consent.save(force_insert=number == 1)
    version = ConsentVersion.objects.create(
        id=version_id,
        consent=consent,
        number=number,
        act=change.act,
        state=change.state,
        grants=stored(change.grants),
        asked=stored(change.asked),
        purpose=consent.purpose,
        valid_from=change.valid_from,
        valid_to=change.valid_to,
        method=acting.actor.sign_in if acting is not None else "clock",
        acted_by=acting.user if acting is not None else None,
        form=text.form,
        form_version=text.version,
        language=text.language,
        text_sha256=text.sha256,
        text_sealed=vault.seal(patient.key, text.exact, place=TEXT, row=version_id),
        remark_sealed=vault.seal(patient.key, change.remark, place="consent_version.remark", row=version_id)
        if change.remark
        else None,
    )
    record(
        Entry(
            type=f"consent.{change.act}",
            actor=acting.actor if acting is not None else SYSTEM,
            subject_id=consent.patient_id,
            room_id=consent.room_id,
            object_id=consent.id,
            purpose=consent.purpose,
            basis=_basis(consent, change, acting),
            record_ids=(version_id,),
            detail={"version": number, "grants": version.grants, "asked": version.asked},
        )
    )
    return version


def _text(consent: Consent, change: Change) -> forms.Exact:
    """The bytes that were answered or, for an offer, those that the patient will be shown."""
    shown = change.shown
    if shown is not None:
        exact = vault.unseal(bytes(shown.text_sealed), place=TEXT, row=shown.id)
        return forms.Exact(shown.form, shown.form_version, shown.language, exact)
    return forms.render(
        form_id="room",
        language=consent.patient.language,
        names=names_of([*change.grants, *change.asked]),
        purpose=consent.purpose,
        until=change.valid_to,
    )


def _locked(consent: Consent) -> tuple[Consent, ConsentVersion]:
    """The consent's row, locked for this transaction, and what is in force now."""
    held, before, _ = _lock(consent)
    return held, before


def _lock(consent: Consent) -> tuple[Consent, ConsentVersion, bool]:
    if consent.room_id is not None:
        ROOM_EFFECTS().lock(consent.room_id)
    held = Consent.objects.select_for_update(of=("self",)).select_related("patient").get(id=consent.id)
    expired = _run_out(held)
    return held, newest(held), expired


def _run_out(held: Consent) -> bool:
    """Put on record that a consent's end has come, if it has, before anything else is done with it."""
    before = newest(held)
    if before.state != State.ACTIVE or before.valid_to is None or before.valid_to > now():
        return False
    again = _union(grants_of(before.grants), grants_of(before.asked))
    offer = Change(act=Act.EXPIRED, state=State.EXPIRED, grants=(), asked=again, valid_to=end_of(now()))
    _answer(held, offer, None)
    return True


def _chosen(known: Sequence[Grant], people: Sequence[UUID] | None) -> list[Grant]:
    if people is None:
        return list(known)
    strangers: list[FieldError] = [
        {"field": f"grantees.{index}", "code": "not_proposed", "detail": _("This person has not been proposed.")}
        for index, person in enumerate(people)
        if person not in {grant.person_id for grant in known}
    ]
    if strangers:
        raise Invalid(errors=strangers)
    return [grant for grant in known if grant.person_id in set(people)]


def _same_text(version: ConsentVersion, shown: str) -> None:
    if shown and shown != version.text_sha256:
        raise Conflict(code="text_changed")


def _union(one: Sequence[Grant], other: Sequence[Grant]) -> list[Grant]:
    return list(dict.fromkeys([*one, *other]))
