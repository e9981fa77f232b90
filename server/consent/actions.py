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
from server.audit.entry import Entry
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


@transaction.atomic
def ask(*, acting: Acting, patient: Patient, room_id: UUID, purpose: str, grants: Sequence[Grant]) -> Consent:
    """Ask the patient to let `grants` take part in a room. What is in force stays in force until they answer."""
    ROOM_EFFECTS().lock(room_id)
    consent = Consent.objects.select_for_update(of=("self",)).select_related("patient").filter(room_id=room_id).first()
    if consent is None:
        consent = Consent(
            id=new_id(), patient=patient, room_id=room_id, purpose=purpose, state=State.REQUESTED, version=0
        )
        before = None
    else:
        before = newest(consent)
    active = before is not None and before.state == State.ACTIVE
    in_force = grants_of(before.grants) if before is not None and active else []
    waiting = grants_of(before.asked) if before is not None else []
    wanted = [grant for grant in _union(waiting, grants) if grant not in in_force]
    if before is not None and before.state in (State.REQUESTED, State.ACTIVE) and set(wanted) == set(waiting):
        return consent  # asked already, in the same words
    change = Change(
        act=Act.REQUESTED,
        state=State.ACTIVE if active else State.REQUESTED,
        grants=in_force,
        asked=wanted,
        valid_from=before.valid_from if before is not None and active else None,
        valid_to=before.valid_to if before is not None and active else None,
    )
    version = _write(consent, change, acting)
    ROOM_EFFECTS().asked(consent, version, acting)
    return consent


@transaction.atomic
def give(
    *, acting: Acting, consent: Consent, people: Sequence[UUID] | None = None, shown: str = "", remark: str = ""
) -> Consent:
    """Yes, or yes again when it has run out. `people` lets the patient choose some of those asked for; `shown` is the
    SHA-256 of the text they read.

    Raises Conflict (`text_changed`) when the text has changed since, Invalid when `people` names nobody asked for,
    Conflict (`nobody_asked`) when there is nobody to say yes to.
    """
    consent, before = _locked(consent)
    at = now()
    run_out = before.valid_to is not None and before.valid_to <= at
    if before.state == State.ACTIVE and not before.asked and not run_out:
        return consent  # given already
    _same_text(before, shown)
    wanted = grants_of(before.asked) or _last_in_force(consent)
    chosen = _chosen(wanted, people)
    in_force = grants_of(before.grants) if before.state == State.ACTIVE else []
    if not chosen and not in_force:
        raise Conflict(code="nobody_asked")
    change = Change(
        act=Act.CHANGED if before.state == State.ACTIVE else Act.GIVEN,
        state=State.ACTIVE,
        grants=_union(in_force, chosen),
        remark=remark,
        valid_from=at,
        valid_to=end_of(at, before.form),
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
    )
    return _answer(consent, result, acting)


@transaction.atomic
def decline(*, acting: Acting, consent: Consent, remark: str = "") -> Consent:
    """No to what is asked. What is in force already stays; saying no costs no help (L1)."""
    consent, before = _locked(consent)
    if not before.asked and before.state != State.REQUESTED:
        return consent
    active = before.state == State.ACTIVE
    result = Change(
        act=Act.DECLINED,
        state=State.ACTIVE if active else State.DECLINED,
        grants=grants_of(before.grants) if active else (),
        remark=remark,
        valid_from=before.valid_from if active else None,
        valid_to=before.valid_to if active else None,
    )
    return _answer(consent, result, acting)


@transaction.atomic
def withdraw(*, acting: Acting, consent: Consent, remark: str = "") -> Consent:
    """Sharing stops with this commit (law 5); care does not (M4)."""
    consent, before = _locked(consent)
    if before.state == State.WITHDRAWN:
        return consent
    return _answer(consent, Change(act=Act.WITHDRAWN, state=State.WITHDRAWN, grants=(), remark=remark), acting)


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
        withdraw(acting=acting, consent=consent)
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


def newest(consent: Consent) -> ConsentVersion:
    return ConsentVersion.objects.get(consent=consent, number=consent.version)


def end_of(given_at: datetime, form_id: str) -> datetime:
    """When a consent given at `given_at` ends: the form's number of months later, same wall-clock day in UTC."""
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


def _answer(consent: Consent, change: Change, acting: Acting) -> Consent:
    version = _write(consent, change, acting)
    ROOM_EFFECTS().access_changed(consent, version, acting)
    return consent


def _write(consent: Consent, change: Change, acting: Acting) -> ConsentVersion:
    patient = consent.patient
    version_id, number = new_id(), consent.version + 1
    shown = list(change.grants) + list(change.asked)
    text = forms.render(
        form_id="room",
        language=patient.language,
        names=names_of(shown),
        purpose=consent.purpose,
        until=change.valid_to or end_of(now(), "room"),
    )
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
        method=acting.actor.sign_in,
        acted_by=acting.user,
        form=text.form,
        form_version=text.version,
        language=text.language,
        text_sha256=text.sha256,
        text_sealed=vault.seal(patient.key, text.exact, place="consent_version.text", row=version_id),
        remark_sealed=vault.seal(patient.key, change.remark, place="consent_version.remark", row=version_id)
        if change.remark
        else None,
    )
    record(
        Entry(
            type=f"consent.{change.act}",
            actor=acting.actor,
            subject_id=consent.patient_id,
            room_id=consent.room_id,
            object_id=consent.id,
            purpose=consent.purpose,
            basis="self" if acting.patient is not None else "relation",
            record_ids=(version_id,),
            detail={"version": number, "grants": version.grants, "asked": version.asked},
        )
    )
    return version


def _locked(consent: Consent) -> tuple[Consent, ConsentVersion]:
    """The consent's row, locked for this transaction, and what is in force."""
    if consent.room_id is not None:
        ROOM_EFFECTS().lock(consent.room_id)
    held = Consent.objects.select_for_update(of=("self",)).select_related("patient").get(id=consent.id)
    return held, newest(held)


def _last_in_force(consent: Consent) -> list[Grant]:
    """Whom the patient let in before they withdrew; saying yes again means them."""
    earlier = ConsentVersion.objects.filter(consent=consent).exclude(grants=[]).order_by("-number").first()
    return grants_of(earlier.grants) if earlier else []


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
