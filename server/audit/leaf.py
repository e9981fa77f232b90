"""The bytes that are sealed: one event as canonical JSON (RFC 8785). Pure.

Identifiers and codes only: no name, number or content, hashed or not, except inside the salted commitment to the
details. The database writes its own time between `before` and `after` in the very statement that inserts the row, so
that leaf and column say the same.
"""

import json.encoder
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from server.audit.tiles import LONGEST_ENTRY

VERSION = 1
TIME = len("2026-11-22T01:02:03.000004Z")


class Parts(NamedTuple):
    """The text up to the time and from it on."""

    before: str
    after: str

    def at(self, time: str) -> str:
        return self.before + time + self.after

    @property
    def fits(self) -> bool:
        """Whether the leaf is no longer than it may be."""
        room = LONGEST_ENTRY - TIME
        if 4 * (len(self.before) + len(self.after)) <= room:  # a letter has four bytes at most
            return True
        return len(self.before.encode()) + len(self.after.encode()) <= room


def parts(
    *,
    event: UUID,
    act: str,
    actor: UUID | None,
    controller: UUID | None,
    unit: UUID | None,
    engagement: UUID | None,
    role: str,
    sign_in: str,
    subject: UUID | None,
    room: UUID | None,
    target: UUID | None,
    purpose: str,
    basis: str,
    outcome: str,
    reason: str,
    records: Iterable[UUID],
    request: str,
    commitment: str | None,
    sealed: str | None,
    follows: str | None = None,
) -> Parts:
    """All that a leaf says, but for its time. Keys stand in RFC 8785's order, which for ASCII is the alphabet.

    Written out, because every act of everybody passes here: an encoder would take three times as long.
    """
    continued = "" if follows is None else f'"follows":{_quoted(follows)},'
    before = (
        f'{{"actor":{{"controller":{_id(controller)},"engagement":{_id(engagement)},"id":{_id(actor)},'
        f'"role":{_quoted(role)},"sign_in":{_quoted(sign_in)},"unit":{_id(unit)}}},'
        f'"basis":{_quoted(basis)},"detail":{_text(commitment)},{continued}'
        f'"id":"{event}","object":{_id(target)},"outcome":{_quoted(outcome)},"purpose":{_quoted(purpose)},'
        f'"reason":{_quoted(reason)},"records":{listed(records)},"request":{_quoted(request)},"room":{_id(room)},'
        f'"sealed":{_text(sealed)},"subject":{_id(subject)},"time":"'
    )
    use = _text(purpose_of_use(act, basis, subject, room))
    return Parts(before, f'","type":{_quoted(act)},"use":{use},"v":{VERSION}}}')


def of_row(event: Any, *, commitment: str | None, follows: str | None = None) -> Parts:
    """What a leaf says of a stored event, by its columns."""
    return parts(
        event=event.id,
        act=event.type,
        actor=event.actor_id,
        controller=event.controller_id,
        unit=event.unit_id,
        engagement=event.engagement_id,
        role=event.role,
        sign_in=event.sign_in,
        subject=event.subject_id,
        room=event.room_id,
        target=event.object_id,
        purpose=event.purpose,
        basis=event.basis,
        outcome=event.outcome,
        reason=event.reason,
        records=event.record_ids,
        request=event.request_id,
        commitment=commitment,
        sealed=event.sealed_hash,
        follows=follows,
    )


def purpose_of_use(act: str, basis: str, subject: UUID | None, room: UUID | None) -> str | None:
    """Why health information was used, as HL7's PurposeOfUse has it: BTG (break the glass), ETREAT (emergency
    treatment), COC (coordination of care), TREAT (treatment). None where nobody is treated: reviewing, running the
    system. `purpose` says besides what a room is for.
    """
    if basis in NOBODY_TREATED:
        return None
    if basis == "emergency" or act.startswith("emergency_access."):
        return "BTG"
    if act.startswith("alert."):
        return "ETREAT"
    if room is not None:
        return "COC"
    return "TREAT" if subject is not None and basis != "self" else None


NOBODY_TREATED = frozenset({"officer", "duty"})


def listed(ids: Iterable[UUID]) -> str:
    """JSON of identifiers."""
    return "[" + ",".join([f'"{one}"' for one in ids]) + "]"


def _id(value: UUID | None) -> str:
    return "null" if value is None else f'"{value}"'


def _text(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


# Escapes what RFC 8785 escapes, and nothing else.
_quoted = json.encoder.encode_basestring
