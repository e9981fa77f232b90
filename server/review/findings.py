"""The verbs of findings: an officer takes a question, writes what they found, and closes it. Each is on record.

No event of these names the patient: whoever looks at a finding sees pseudonyms, and a finding about emergency access
must not tell of it before its time (L3). Names are shown by a reveal, which stands in the patient's log.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.models import Officer, Patient
from server.people.periods import NOW
from server.review.access import require_officer
from server.review.finding_decide import STEPS, State, Verb, refusal
from server.review.models import Finding, FindingNote
from server.review.reasons import OWNER
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

TEXT = "review_findingnote.text_sealed"
LISTED, OPENED = "review.findings_viewed", "review.finding_viewed"
ACTS = {
    Verb.TAKE: "finding.taken",
    Verb.NOTE: "finding.noted",
    Verb.SET_DUE: "finding.due_set",
    Verb.EXPLAIN: "finding.explained",
    Verb.CONFIRM: "finding.confirmed",
    Verb.CLOSE: "finding.closed",
}


@dataclass(frozen=True, slots=True)
class Noted:
    """A note as it is read."""

    note: FindingNote
    text: str | None


# --- doors --------------------------------------------------------------------------------------------


def queue(acting: Acting) -> QuerySet[Finding]:
    """Findings of the officer's controller, but for those about themself.

    Raises Forbidden `officer_only`.
    """
    officer = require_officer(acting, LISTED)
    return Finding.objects.filter(controller_id=officer.controller_id).exclude(_concerns(acting))


def open_finding(acting: Acting, finding_id: UUID, act: str = OPENED) -> Finding:
    """One finding of the officer's controller, with whether its owner is an officer now (`held`).

    Raises Forbidden: `officer_only`, and `concerns_you` for whoever it is about: another officer takes it; NotFound,
    the same for foreign and missing. All recorded as `act`.
    """
    officer = require_officer(acting, act)
    found = held(Finding.objects.filter(id=finding_id)).first()
    if found is None or found.controller_id != officer.controller_id:
        raise NotFound(refusal=Refusal(act, "missing" if found is None else "foreign", object_id=finding_id))
    if concerns(acting, found):
        raise Forbidden(code="concerns_you", refusal=Refusal(act, "concerns_you", object_id=finding_id))
    return found


def concerns(acting: Acting, finding: Finding) -> bool:
    """Whether somebody is the person concerned: who looked, or the patient who was looked at."""
    own = acting.patient is not None and acting.patient.id == finding.subject_id
    return own or finding.actor_id == acting.user.id


def _concerns(acting: Acting) -> Q:
    own = Q(actor_id=acting.user.id)
    if acting.patient is not None:
        own |= Q(subject_id__isnull=False, subject_id=acting.patient.id)
    return own


def held(rows: QuerySet[Finding]) -> QuerySet[Finding]:
    """Each with whether its owner is an officer now (`held`)."""
    current = Officer.objects.current().filter(id=OuterRef("owner_id"), user__is_active=True)
    return rows.annotate(held=Exists(current))


# --- looks --------------------------------------------------------------------------------------------


@transaction.atomic
def look(*, acting: Acting, finding_id: UUID) -> tuple[Finding, list[Noted]]:
    """One finding and what officers wrote about it, eldest first; the look is recorded. Raises as `open_finding`."""
    found = open_finding(acting, finding_id)
    notes = list(FindingNote.objects.filter(finding=found).order_by("id"))
    record(_entry(OPENED, acting, found))
    return found, [Noted(note, _words(note)) for note in notes]


def record_look(*, acting: Acting, shown: int) -> None:
    """Record that one page of the queue was looked at."""
    record(Entry(LISTED, acting.actor, basis="officer", detail={"shown": shown}))


# --- verbs --------------------------------------------------------------------------------------------


@transaction.atomic
def take(*, acting: Acting, finding_id: UUID, due_at: datetime | None = None) -> Finding:
    """Become its owner, until when it is to be answered as well if `due_at` is given. What an officer holds who is one
    no longer can be taken from them; taking one's own again changes nothing.

    Raises as `open_finding`; Conflict (`finding_taken`, `finding_closed`).
    """
    found = _for(acting, finding_id, Verb.TAKE)
    if found.owner_id != _officer(acting).id:
        found.owner = _officer(acting)
        found.save(update_fields=["owner"])
        record(_entry(ACTS[Verb.TAKE], acting, found))
    return found if due_at is None else set_due(acting=acting, finding_id=finding_id, due_at=due_at)


@transaction.atomic
def set_due(*, acting: Acting, finding_id: UUID, due_at: datetime) -> Finding:
    """Say by when it will be answered. Raises as `explain` does."""
    found = _for(acting, finding_id, Verb.SET_DUE)
    found.due_at = due_at
    found.save(update_fields=["due_at"])
    record(_entry(ACTS[Verb.SET_DUE], acting, found))
    return found


@transaction.atomic
def note(*, acting: Acting, finding_id: UUID, text: str) -> Finding:
    """Write something down beside it, whoever has taken it; of a closed one too. Raises as `open_finding`."""
    found = _for(acting, finding_id, Verb.NOTE)
    _write(acting, found, text, State(found.state), State(found.state))
    record(_entry(ACTS[Verb.NOTE], acting, found))
    return found


def explain(*, acting: Acting, finding_id: UUID, text: str) -> Finding:
    """There was a good reason, which the officer writes down.

    Raises as `open_finding`; Conflict: `take_first`, `finding_taken` by another officer, `finding_answered` already,
    `finding_closed`, `duty_answers` when a duty to review answers it.
    """
    return _step(acting, finding_id, Verb.EXPLAIN, text)


def confirm(*, acting: Acting, finding_id: UUID, text: str) -> Finding:
    """There was none that the officer could find; what follows is for people to decide. Raises as `explain` does."""
    return _step(acting, finding_id, Verb.CONFIRM, text)


def close(*, acting: Acting, finding_id: UUID, text: str = "") -> Finding:
    """Nothing more is to be done. Raises as `explain` does; Conflict `answer_first` for one that is open."""
    return _step(acting, finding_id, Verb.CLOSE, text)


@transaction.atomic
def _step(acting: Acting, finding_id: UUID, verb: Verb, text: str) -> Finding:
    found = _for(acting, finding_id, verb)
    before, after = State(found.state), STEPS[verb][1]
    moved = {"state": after} | ({"closed_at": NOW} if after == State.CLOSED else {"conclusion": after})
    # The row is locked; the state in the statement says once more from where this step goes.
    if not Finding.objects.filter(id=found.id, state=before).update(**moved):
        raise Conflict(code="try_again")
    _write(acting, found, text, before, after)
    record(_entry(ACTS[verb], acting, found))
    found.refresh_from_db()
    return found


def _for(acting: Acting, finding_id: UUID, verb: Verb) -> Finding:
    """The finding, locked, when this officer may do this with it now."""
    act = ACTS[verb]
    open_finding(acting, finding_id, act)
    # Locked alone: the engines differ in what a lock may be asked for beside.
    Finding.objects.select_for_update(of=("self",)).get(id=finding_id)
    found = held(Finding.objects.filter(id=finding_id)).get()
    mine = found.owner_id == _officer(acting).id
    code = refusal(
        verb,
        State(found.state),
        mine=mine,
        anothers=found.held and not mine,  # type: ignore[attr-defined] # annotated
        by_duty=found.duty_id is not None,
    )
    if code:
        extra = {"duty": str(found.duty_id)} if code == "duty_answers" else {}
        raise Conflict(code=code, refusal=Refusal(act, code, object_id=found.id), extra=extra)
    return found


def _officer(acting: Acting) -> Officer:
    assert acting.officer is not None, "the door has been passed"
    return acting.officer


# --- words --------------------------------------------------------------------------------------------


def _write(acting: Acting, found: Finding, text: str, before: State, after: State) -> None:
    row = new_id()
    FindingNote.objects.create(
        id=row,
        finding=found,
        by=_officer(acting),
        text_sealed=_sealed(found, text, row) if text else None,
        from_state=before,
        to_state=after,
    )


def _sealed(found: Finding, text: str, row: UUID) -> bytes:
    """Under the patient's key; where there is none, or none any more, the service's: a case goes on after erasure."""
    key = None
    if found.subject_id is not None:
        key = Patient.objects.filter(id=found.subject_id).values_list("key", flat=True).first()
    if key is not None:
        try:
            return vault.seal(key, text, place=TEXT, row=row)
        except Destroyed:
            pass
    return vault.seal(vault.key_for(scope="service", owner=OWNER), text, place=TEXT, row=row)


def _words(written: FindingNote) -> str | None:
    if written.text_sealed is None:
        return None
    try:
        return vault.unseal(written.text_sealed, place=TEXT, row=written.id)
    except Unreadable:
        return _("(erased)")


def _entry(type_: str, acting: Acting, found: Finding) -> Entry:
    return Entry(type_, acting.actor, object_id=found.id, basis="officer", reason=found.kind)
