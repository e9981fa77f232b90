"""The bytes that are sealed: one event as canonical JSON (RFC 8785). Pure.

Identifiers and codes only: no name, number or content, hashed or not, except inside the salted commitment to the
details. The database writes its own time between `before` and `after` in the very statement that inserts the row, so
that leaf and column say the same.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

VERSION = 1


class Parts(NamedTuple):
    """The text up to the time and from it on."""

    before: str
    after: str

    def at(self, time: str) -> str:
        return self.before + time + self.after


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
    """All that a leaf says, but for its time. Keys stand in RFC 8785's order, which for ASCII is the alphabet."""
    before: dict[str, Any] = {
        "actor": {
            "controller": _text(controller),
            "engagement": _text(engagement),
            "id": _text(actor),
            "role": role,
            "sign_in": sign_in,
            "unit": _text(unit),
        },
        "basis": basis,
        "detail": commitment,
    }
    if follows is not None:
        before["follows"] = follows
    before |= {
        "id": str(event),
        "object": _text(target),
        "outcome": outcome,
        "purpose": purpose,
        "reason": reason,
        "records": [str(record) for record in records],
        "request": request,
        "room": _text(room),
        "sealed": sealed,
        "subject": _text(subject),
    }
    return Parts(_json(before)[:-1] + ',"time":"', '",' + _json({"type": act, "v": VERSION})[1:])


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


# What RFC 8785 gives for text, null and small integers under keys that are in order already.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
