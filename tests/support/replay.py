"""What a room is, and what one event makes of it: `replay(snapshot, event)` is pure.

A snapshot is what the API says to the patient (`GET rooms/{id}`, its members, its consent), as far as the timeline is
meant to tell it: times of the day and names are not in it.
"""

from copy import deepcopy
from typing import Any

Snapshot = dict[str, Any]
Event = dict[str, Any]

NOTHING: Snapshot = {
    "head": 0,
    "purpose": None,
    "participation": None,
    "last": None,
    "members": {},
    "consent": None,
    "messages": {},
}


def replay(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after `event`.

    Raises ValueError for an event that is not the next one, or of an unknown type.
    """
    if event["seq"] != snapshot["head"] + 1:
        raise ValueError(f"a hole before {event['seq']}")
    new, said = deepcopy(snapshot), event["content"]
    new["head"], new["last"] = event["seq"], (event["type"], event["created_at"])
    match event["type"]:
        case "room_opened":
            new["purpose"], new["participation"] = said["purpose"], said["participation"]
            new["members"][said["patient"]] = {"kind": "patient", "state": "joined", "unit": None, "role": ""}
        case "member_proposed":
            new["members"][said["user"]] = _staff(said, "proposed")
        case "member_joined":
            new["members"][said["user"]] = _staff(said, "joined")
        case "member_left":
            new["members"].pop(said["user"], None)
        case "participation":
            new["participation"] = said["participation"]
        case "consent":
            new["consent"] = {"id": said["consent"], "state": said["state"], "version": said["version"]}
        case "message":
            new["messages"][event["seq"]] = {"sender": event["sender"], **said}
        case "edit":
            new["messages"][said["of"]]["body"] = said["body"]
        case "retraction":
            new["messages"][said["of"]] = {"sender": event["sender"], "retracted": True}
        case "emergency_access":
            pass  # it makes no member, and changes nothing else that the room is
        case unknown:
            raise ValueError(f"an event of unknown type {unknown}")
    return new


def _staff(said: dict[str, Any], state: str) -> dict[str, Any]:
    return {"kind": "staff", "state": state, "unit": said["unit"], "role": said["role"]}
