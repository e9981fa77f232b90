"""Details of events against the commitments in their leaves, inside the database."""

import json
from collections.abc import Sequence
from uuid import UUID

from server.audit import detail
from server.audit.models import AuditEvent
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

GONE = "the details are missing, and their key was not destroyed"


def wrong(events: Sequence[AuditEvent], *, opened: bool) -> dict[UUID, str]:
    """What is wrong with the details of each event; `opened` compares them too, which takes the master keys.

    They may be missing where the key that they belong under was destroyed, and nowhere else: an erasure takes all that
    is under it, and what is written later has none. Raises MasterKeyFault.
    """
    said = {event.id: _wrong(event, opened) for event in events}
    owners = {event.id: detail.owner_of(event.subject_id) for event in events if said[event.id] == GONE}
    erased = vault.destroyed(owners.values()) if owners else set()
    return {event: text for event, text in said.items() if text and owners.get(event) not in erased}


def _wrong(event: AuditEvent, opened: bool) -> str:
    """The same of one, had nothing been erased; empty when all is well."""
    try:
        commitment = json.loads(event.leaf)["detail"]
    except (ValueError, LookupError, TypeError):
        return ""  # the leaf itself is named
    if event.detail_sealed is None:
        return GONE if commitment is not None else ""
    if not opened:
        return ""
    try:
        salt, text = detail.disclosed(event.id, event.detail_sealed)
    except Destroyed:
        return GONE
    except Unreadable as fault:
        return f"the details do not open ({fault.reason})"
    except ValueError:
        return "the details have another form than ours"
    return "" if detail.committed(salt, text.encode()) == commitment else "the details are not those that were sealed"
