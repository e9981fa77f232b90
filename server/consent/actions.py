"""Acts upon a consent: staff ask, the patient answers. Each writes one sealed version, moves the pointer, changes
access, and is audited, in one transaction; withdrawing takes no more than giving."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.errors import Conflict
from server.common.ids import new_id
from server.consent import care, forms
from server.consent.choices import Choice, chosen, chosen_units, earlier_end, units_for, widens
from server.consent.decide import Grant
from server.consent.document import Content, Document, Grantor, GrantPart, Method, Terms
from server.consent.models import Act, Consent, Form, State
from server.consent.ports import ROOM_EFFECTS
from server.consent.records import excluded_people, parts_of
from server.consent.versions import Change, end_of, newest, offer, write
from server.people.actors import Acting
from server.people.limits import require_for_consent
from server.people.models import Patient


@dataclass(frozen=True, slots=True)
class Answer:
    """What the patient says. `choices` are those of the people and units asked about (None: all of them); `shown` is
    the SHA-256 of the text they read; `until` an earlier end than the text's; `excluded_units` (None: as before) never
    take part; `content` (None: as before) is which content is meant."""

    choices: Sequence[Choice] | None = None
    shown: str = ""
    remark: str = ""
    until: datetime | None = None
    excluded_units: Sequence[UUID] | None = None
    content: Content | None = None


PLAIN = Answer()


@dataclass(frozen=True, slots=True)
class Recorded:
    """How an answer came, when it was not given in the patient's own session: on paper or spoken before a witness."""

    method: Method
    grantor: Grantor
    given_at: datetime
    minute: str = ""


@transaction.atomic
def ask(
    *,
    acting: Acting,
    patient: Patient,
    purpose: str,
    grants: Sequence[Grant],
    room_id: UUID | None = None,
    form: Form = Form.ROOM,
) -> Consent:
    """Ask the patient to let `grants` take part. What is in force stays in force until they answer.

    Raises Invalid for an unknown unit, Conflict (`record_unreadable`).
    """
    if room_id is not None:
        ROOM_EFFECTS().lock(room_id)
    consent = _existing(patient, room_id, form)
    before = None
    if consent is None:
        consent = Consent(
            id=new_id(), patient=patient, form=form, room_id=room_id, purpose=purpose, state=State.REQUESTED, version=0
        )
    else:
        _run_out(consent, newest(consent))
        before = newest(consent)
    active = before is not None and before.state == State.ACTIVE
    in_force = before.terms.grants if before is not None and active else ()
    # What was declined, or ended by a withdrawal, is not dragged along by the next proposal.
    open_states = (State.REQUESTED, State.ACTIVE, State.EXPIRED)
    waiting = before.terms.asked if before is not None and before.state in open_states else ()
    excluded = excluded_people(patient.id)
    named = parts_of((one for one in grants if one.person_id not in excluded), units_for(grants))
    wanted = tuple(part for part in _union(waiting, named) if part not in in_force)
    if before is not None and before.state in (State.REQUESTED, State.ACTIVE) and set(wanted) == set(waiting):
        return consent  # asked already, in the same words
    terms = Terms(
        purpose=purpose,
        categories=tuple(sorted(forms.form(form).categories)),
        grants=in_force,
        asked=wanted,
        excluded_units=before.terms.excluded_units if before is not None else (),
        valid_from=before.terms.valid_from if before is not None and active else None,
        valid_to=before.terms.valid_to if before is not None and active else end_of(now(), form),
        content=before.terms.content if before is not None and active else Content(),
    )
    document = write(consent, Change(Act.REQUESTED, State.ACTIVE if active else State.REQUESTED, terms), acting, before)
    if room_id is not None:
        ROOM_EFFECTS().asked(consent, document, acting.actor)
    return consent


@transaction.atomic
def give(*, acting: Acting, consent: Consent, answer: Answer = PLAIN, recorded: Recorded | None = None) -> Consent:
    """Yes, or yes again after it has run out or was withdrawn.

    Raises Conflict (`text_changed` when the text has changed since; `nobody_asked` when there is nobody to say yes to;
    `capacity_lacking`; `record_unreadable`), Invalid when a choice names nobody asked for, Forbidden (`step_up_needed`,
    `in_person_only`).
    """
    consent, before = lock(consent)
    terms, active = before.terms, before.state == State.ACTIVE
    if active and not terms.asked:
        return consent  # given already
    _same_text(before, answer.shown)
    in_force = terms.grants if active else ()
    yes = _union(in_force, chosen(terms.asked, answer.choices))
    if not yes:
        raise Conflict(code="nobody_asked")
    if recorded is None:
        require_for_consent(acting, "consent.given")
    _able(before)
    change = Change(
        act=Act.CHANGED if active else Act.RENEWED if before.state == State.EXPIRED else Act.GIVEN,
        state=State.ACTIVE,
        # Never before it was recorded, whatever a paper says.
        terms=_with(terms, answer, grants=yes, asked=(), valid_from=terms.valid_from if active else now()),
        remark=answer.remark,
        shown=before,
    )
    return answered(consent, change, acting, before, recorded)


@transaction.atomic
def change(*, acting: Acting, consent: Consent, answer: Answer = PLAIN, recorded: Recorded | None = None) -> Consent:
    """Narrow or extend a consent in force. `choices` is everybody who may take part from now on; without it, those who
    are waiting are added, unless it is only the end, the content or excluded units that change.

    Raises Conflict (`not_active`, `text_changed`, `nobody_left`, `capacity_lacking`, `record_unreadable`), Invalid;
    when it widens, Forbidden (`step_up_needed`, `in_person_only`).
    """
    consent, before = lock(consent)
    terms = before.terms
    if before.state != State.ACTIVE:
        raise Conflict(code="not_active")
    _same_text(before, answer.shown)
    other = answer.until is not None or answer.excluded_units is not None or answer.content is not None
    as_it_is = answer.choices is None and other
    left = terms.grants if as_it_is else chosen(_union(terms.grants, terms.asked), answer.choices)
    if not left:
        raise Conflict(code="nobody_left")
    new = _with(terms, answer, grants=left, asked=terms.asked if as_it_is else ())
    if widens(new, terms, now()):
        if recorded is None:
            require_for_consent(acting, "consent.changed")
        _able(before)
    result = Change(Act.CHANGED, State.ACTIVE, new, remark=answer.remark, shown=before)
    return answered(consent, result, acting, before, recorded)


@transaction.atomic
def decline(*, acting: Acting, consent: Consent, remark: str = "", recorded: Recorded | None = None) -> Consent:
    """No to what is asked. What is in force already stays; saying no costs no help (L1), and a later yes is open."""
    consent, before = lock(consent)
    terms = before.terms
    if before.state == State.DECLINED or not terms.asked:
        return consent
    active = before.state == State.ACTIVE
    said_no = terms.model_copy(
        update={
            "grants": terms.grants if active else (),
            "asked": () if active else terms.asked,
            "valid_from": terms.valid_from if active else None,
        }
    )
    result = Change(Act.DECLINED, State.ACTIVE if active else State.DECLINED, said_no, remark=remark, shown=before)
    return answered(consent, result, acting, before, recorded)


@transaction.atomic
def withdraw(*, acting: Acting, consent: Consent, remark: str = "", recorded: Recorded | None = None) -> Consent:
    """Sharing stops with this commit (law 5); care does not (M4): a named clinician gets the task to offer a call. A
    later yes, to the same people by name, is open.

    Raises Conflict (`nothing_to_withdraw`) for a patient's exclusions, which are lifted one by one.
    """
    if consent.form == Form.EXCLUSIONS:
        raise Conflict(code="nothing_to_withdraw")
    consent, before = lock(consent)
    if before.state == State.WITHDRAWN:
        return consent
    again = _union(before.terms.grants, before.terms.asked)
    return _withdraw(consent, before, again, acting, remark, recorded)


@transaction.atomic
def renew(*, acting: Acting, consent: Consent, shown: str, remark: str = "") -> Consent:
    """Yes to a new end, before the old one has come; to nobody else: for who waits the question is put again, in words
    that name the new end. `shown` is the digest of `renewal`'s text.

    Raises Conflict (`not_active`, `text_changed`, `capacity_lacking`, `record_unreadable`), Forbidden
    (`step_up_needed`, `in_person_only`).
    """
    consent, before = lock(consent)
    if before.state != State.ACTIVE or consent.form == Form.EXCLUSIONS:
        raise Conflict(code="not_active")
    terms = _renewed(consent, before)
    text = offer(consent, terms)
    if shown and shown != text.sha256:
        raise Conflict(code="text_changed")
    require_for_consent(acting, "consent.renewed")
    _able(before)
    answered(consent, Change(Act.RENEWED, State.ACTIVE, terms, remark, text=text), acting, before, None)
    if before.terms.asked:
        waiting = terms.model_copy(update={"asked": before.terms.asked})
        again = write(consent, Change(Act.REQUESTED, State.ACTIVE, waiting), None, newest(consent))
        if consent.room_id is not None:
            ROOM_EFFECTS().asked(consent, again, SYSTEM)
    return consent


def renewal(consent: Consent) -> forms.Exact:
    """The text that `renew` says yes to: the same people, and the end that a yes today would give.

    Raises Conflict (`not_active`, `record_unreadable`).
    """
    before = newest(consent)
    if before.state != State.ACTIVE or consent.form == Form.EXCLUSIONS:
        raise Conflict(code="not_active")
    return offer(consent, _renewed(consent, before))


@transaction.atomic
def leave_out(*, acting: Acting, room_id: UUID, person_id: UUID) -> None:
    """Somebody was taken out of a room, or left it: the patient's own removal narrows the consent, and nobody waits for
    an answer about them any more. A colleague who leaves changes no consent."""
    found = Consent.objects.filter(room_id=room_id).first()
    if found is None:
        return
    consent, before = lock(found)
    terms = before.terms
    by_patient = acting.patient is not None and acting.patient.id == consent.patient_id
    grants = tuple(one for one in terms.grants if not by_patient or one.person != person_id)
    asked = tuple(one for one in terms.asked if one.person != person_id)
    if len(grants) == len(terms.grants) and len(asked) == len(terms.asked):
        return
    if before.state == State.ACTIVE and not grants:
        _withdraw(consent, before, asked, acting)
        return
    left = terms.model_copy(update={"grants": grants, "asked": asked})
    answered(consent, Change(Act.CHANGED, State(before.state), left), acting, before, None)


@transaction.atomic
def expire(*, consent: Consent) -> bool:
    """Its end has come: sharing ends as with a withdrawal, and the same people are asked for again. Returns whether it
    had; nobody acts but the clock (law 10)."""
    held = _hold(consent)
    return _run_out(held, newest(held))


def lock(consent: Consent) -> tuple[Consent, Document]:
    """The consent's row, locked for this transaction, and what is in force now. Raises Conflict
    (`record_unreadable`)."""
    held = _hold(consent)
    before = newest(held)
    if _run_out(held, before):
        before = newest(held)
    return held, before


def answered(
    consent: Consent, change: Change, acting: Acting | None, before: Document, recorded: Recorded | None
) -> Consent:
    """Write an answer and let it take effect."""
    if recorded is not None:
        change = change.recorded(recorded.method, recorded.grantor, recorded.given_at, recorded.minute)
    document = write(consent, change, acting, before)
    if consent.room_id is not None:
        ROOM_EFFECTS().access_changed(consent, document, acting.actor if acting is not None else SYSTEM)
    return consent


def _withdraw(
    consent: Consent,
    before: Document,
    again: Sequence[GrantPart],
    acting: Acting,
    remark: str = "",
    recorded: Recorded | None = None,
) -> Consent:
    """`again` is whom a later yes would mean; the new text names them, but nobody who is excluded."""
    was_shared = before.state == State.ACTIVE
    members = ROOM_EFFECTS().members(consent.room_id) if consent.room_id is not None and was_shared else ()
    terms = _over(consent, before, again)
    answered(consent, Change(Act.WITHDRAWN, State.WITHDRAWN, terms, remark), acting, before, recorded)
    if was_shared:
        care.offer_call(consent, members, acting.actor)
    return consent


def _run_out(held: Consent, before: Document) -> bool:
    """Put on record that a consent's end has come, if it has, before anything else is done with it."""
    end = before.terms.valid_to
    if before.state != State.ACTIVE or end is None or end > now():
        return False
    again = _union(before.terms.grants, before.terms.asked)
    answered(held, Change(Act.EXPIRED, State.EXPIRED, _over(held, before, again)), None, before, None)
    return True


def _over(consent: Consent, before: Document, again: Sequence[GrantPart]) -> Terms:
    """Nothing in force; `again` to be said yes to. Excluded units stay: a deny outlives what it was a part of."""
    excluded = excluded_people(consent.patient_id)
    return before.terms.model_copy(
        update={
            "grants": (),
            "asked": tuple(one for one in again if one.person not in excluded),
            "valid_from": None,
            "valid_to": end_of(now(), consent.form),
            "content": Content(),
        }
    )


def _renewed(consent: Consent, before: Document) -> Terms:
    return before.terms.model_copy(update={"asked": (), "valid_to": end_of(now(), consent.form)})


def _with(terms: Terms, answer: Answer, **more: object) -> Terms:
    """The terms as answered. Raises Invalid."""
    narrowed: dict[str, object] = dict(more)
    if answer.until is not None:
        narrowed["valid_to"] = earlier_end(answer.until, terms.valid_to, now())
    if answer.excluded_units is not None:
        narrowed["excluded_units"] = chosen_units(answer.excluded_units)
    if answer.content is not None:
        narrowed["content"] = answer.content
    return terms.model_copy(update=narrowed)


def _existing(patient: Patient, room_id: UUID | None, form: Form) -> Consent | None:
    """The patient's consent of this form, or the room's, locked."""
    rows = Consent.objects.select_for_update(of=("self",)).select_related("patient")
    if room_id is not None:
        return rows.filter(room_id=room_id).first()
    Patient.objects.select_for_update(no_key=True).get(
        id=patient.id
    )  # two who ask first at once: one waits for the other
    return rows.filter(patient=patient, form=form, room_id=None).first()


def _hold(consent: Consent) -> Consent:
    if consent.room_id is not None:
        ROOM_EFFECTS().lock(consent.room_id)
    return Consent.objects.select_for_update(of=("self",)).select_related("patient").get(id=consent.id)


def _same_text(version: Document, shown: str) -> None:
    if shown and shown != version.text.sha256:
        raise Conflict(code="text_changed")


def _able(before: Document) -> None:
    """Somebody assessed to lack capacity to consent may always narrow and withdraw, and not widen (§ 4-3)."""
    if before.competence is not None and before.competence.result == "lacking":
        raise Conflict(code="capacity_lacking")


def _union(one: Sequence[GrantPart], other: Sequence[GrantPart]) -> tuple[GrantPart, ...]:
    return tuple(dict.fromkeys([*one, *other]))
