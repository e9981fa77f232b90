"""Single events for those whom they concern: proofs that they are in the log, their entries, their details (L4).

The door is one for all three: an officer of a controller concerned, and the patient, of whom the same is hidden as in
their own log. Everybody else, and of every other event, gets the common 404.
"""

from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from server.audit import detail, reading
from server.audit.access import public_over
from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import AuditEvent, index_of, tree_of
from server.audit.tiles import proof_file
from server.common.errors import Forbidden, NotFound, NotYet, Refusal
from server.people.actors import Acting
from server.review.access_log import events_about
from server.review.events import record_opened
from server.review.models import Line, Reveal
from server.review.shields import naming
from server.vault.errors import Destroyed

NOWHERE = -1
"""No leaf's position."""

ENTRIES = "audit.entries_read"


class Act(NamedTuple):
    """The types of event: an officer's look is of the review, a patient's of their own log."""

    officer: str
    own: str


PROVED = Act("review.proof_read", "access_log.proof_read")
READ = Act("review.entry_read", "access_log.entry_read")
DISCLOSED = Act("review.detail_disclosed", "access_log.detail_disclosed")


class Disclosure(NamedTuple):
    """Salt (hex) and the canonical text that the commitment was made of; both None where there is none, or no more."""

    salt: str | None
    text: str | None


def proof(*, acting: Acting, event_id: UUID) -> str:
    """A C2SP tlog-proof that the event is in the log; the look is on record. For an officer up to the newest
    checkpoint, for the patient up to one that tells of nothing that is being done at the moment.

    Raises NotFound; NotYet while no checkpoint covers the event.
    """
    event, basis = _open(acting, event_id, PROVED)
    at = reading.position_of(event.id)
    if at is None:
        raise NotYet(code="not_sealed_yet")
    over = reading.latest(tree_of(at)) if basis == "officer" else public_over(at)
    if over is None or index_of(at) >= over.size:
        raise NotYet(code="not_sealed_yet")
    _on_record(acting, event, PROVED, basis)
    return proof_file(index_of(at), reading.inclusion_proof(at, over.size), over.note)


def entry(*, acting: Acting, event_id: UUID) -> str:
    """The event's leaf, byte for byte what was sealed; the look is on record. Raises NotFound; Forbidden `shielded`."""
    event, basis = _open(acting, event_id, READ)
    _refuse_shielded(event, basis, READ, event.leaf)
    _on_record(acting, event, READ, basis)
    return event.leaf


def disclosure(*, acting: Acting, event_id: UUID) -> Disclosure:
    """What checks the details against the commitment in the entry; the look is on record.

    Raises NotFound; Forbidden `shielded`, to an officer `reveal_first`; Unreadable, but for details that were erased.
    """
    event, basis = _open(acting, event_id, DISCLOSED)
    if basis == "officer" and not _revealed(acting, event):
        raise Forbidden(code="reveal_first", refusal=Refusal(DISCLOSED.officer, "unrevealed", object_id=event.id))
    found = _details(event)
    _refuse_shielded(event, basis, DISCLOSED, event.leaf + (found.text or ""))
    _on_record(acting, event, DISCLOSED, basis)
    return found


def _details(event: AuditEvent) -> Disclosure:
    if event.detail_sealed is None:
        return Disclosure(None, None)
    try:
        salt, text = detail.disclosed(event.id, event.detail_sealed)
    except Destroyed:
        return Disclosure(None, None)
    return Disclosure(salt.hex(), text)


def require_verifier(acting: Acting) -> None:
    """Raises Forbidden `log_verifier_only`, recorded, for everybody who is not appointed to verify the log."""
    if acting.officer is None or not acting.officer.verifies_log:
        raise Forbidden(code="log_verifier_only", refusal=Refusal(ENTRIES, "not_log_verifier"))


@transaction.atomic
def record_entries(*, acting: Acting, tree: int, first: int, count: int) -> None:
    """On record before a byte of them goes out."""
    said = {"tree": tree, "first": first, "count": count}
    record(Entry(ENTRIES, acting.actor, basis="officer", detail=said))


def _open(acting: Acting, event_id: UUID, act: Act) -> tuple[AuditEvent, str]:
    """The event, and on which basis: `officer` or `self`.

    Raises NotFound, the same for foreign, hidden and missing. The refusal names no patient: it must not show up in the
    log of one from whom the event is kept for now.
    """
    event = AuditEvent.objects.filter(id=event_id).first()
    concerns = _concerns(acting, event, event_id)  # asked of what is missing too, so that time does not tell
    if event is not None and concerns:
        return event, "officer"
    if event is not None and _is_shown_to(acting, event):
        return event, "self"
    raise NotFound(refusal=Refusal(_type(acting, act), "missing" if event is None else "foreign", object_id=event_id))


def _concerns(acting: Acting, event: AuditEvent | None, event_id: UUID) -> bool:
    """Whether it has to do with the officer's controller: done by its staff, or about a patient of its units."""
    if acting.officer is None:
        return False
    controller = acting.officer.controller_id
    if event is not None and event.controller_id == controller:
        return True
    at = reading.position_of(event_id)
    return Line.objects.filter(controller_id=controller, position=at if at is not None else NOWHERE).exists()


def _is_shown_to(acting: Acting, event: AuditEvent) -> bool:
    if acting.patient is None or event.subject_id != acting.patient.id:
        return False
    return events_about(acting.patient.id).filter(id=event.id).exists()


def _revealed(acting: Acting, event: AuditEvent) -> bool:
    """Whether this person has said why they need names and details of the case."""
    if acting.officer is None:
        return False
    ours = Reveal.objects.filter(controller_id=acting.officer.controller_id, event_id=event.id)
    return ours.filter(officer__user_id=acting.user.id).exists()


def _refuse_shielded(event: AuditEvent, basis: str, act: Act, text: str) -> None:
    """What would go out is closed to patients while it says of anybody who is shielded who they are."""
    if basis != "officer" and any(naming([text])):
        raise Forbidden(code="shielded", refusal=Refusal(act.own, "shielded", object_id=event.id))


@transaction.atomic
def _on_record(acting: Acting, event: AuditEvent, act: Act, basis: str) -> None:
    if basis == "officer":
        record_opened(acting=acting, event=event, type_=act.officer)
    else:
        record(Entry(act.own, acting.actor, subject_id=event.subject_id, object_id=event.id, basis=basis))


def _type(acting: Acting, act: Act) -> str:
    return act.officer if acting.officer is not None else act.own
