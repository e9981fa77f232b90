"""Frames as they come and go: parsing is pure and total, texts never quote what was sent (law 9).

`asyncapi.yaml` beside this file says the same to clients; a test holds the two together.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from server.common.parsers import Unfit, loads
from server.rooms.posting import Message

PROTOCOLS = (1,)
"""What is spoken here, oldest first. When one may be added or left out: docs/socket.md, «Versions»."""
MAX_FRAME = 128 * 1024
"""Bytes of one incoming frame; a body of 10,000 characters fits in any encoding JSON allows."""
MAX_CURSORS = 1_000

MALFORMED = 4400
SESSION_ENDED = 4401
DEACTIVATED = 4403
NO_HELLO = 4408
TOO_LARGE = 4413
TOO_MANY = 4429
RESTARTING = 1012
CLOSE_CODES = (MALFORMED, SESSION_ENDED, DEACTIVATED, NO_HELLO, TOO_LARGE, TOO_MANY, RESTARTING)
THEIRS = (1000, 1001, 1005, 1006)
"""Codes of browsers that go; 1005: none was said, 1006: it broke off."""
OTHER = 4999
"""In place of whatever else a client says, our own codes too: it chooses no number in the metrics or the log."""


def theirs(code: int | None) -> int:
    """How a client's end of a socket is counted."""
    return (code or 1005) if code in (None, 0, *THEIRS) else OTHER


ERROR_CODES = (
    "consent_missing",
    "cursor_ahead",
    "ended",
    "forbidden",
    "in_person_only",
    "internal",
    "invalid",
    "nobody_here",
    "not_found",
    "read_only",
    "too_many",
    "txn_id_reused",
    "unavailable",
    "unknown_type",
    "unsupported_protocol",
)


class Malformed(Exception):
    """Not a frame at all: the socket is closed with 4400."""


class BadFrame(Exception):
    """A frame with something wrong in it: answered with an error frame, the socket stays."""

    def __init__(self, code: str, ref: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.ref = ref


@dataclass(frozen=True, slots=True)
class Hello:
    protocol: int
    token: str | None
    cursors: dict[UUID, int] = field(default_factory=dict)
    alert_key: str | None = None
    """In place of a token: the socket follows its patient's calls for help, and nothing else."""


@dataclass(frozen=True, slots=True)
class PostFrame:
    room: UUID
    message: Message


@dataclass(frozen=True, slots=True)
class MarkFrame:
    """`delivered` or `read` up to `seq`."""

    room: UUID
    seq: int
    read: bool


@dataclass(frozen=True, slots=True)
class TypingFrame:
    room: UUID


@dataclass(frozen=True, slots=True)
class Ping:
    pass


Frame = Hello | PostFrame | MarkFrame | TypingFrame | Ping


def parse(text: str) -> Frame:
    """One frame from a client.

    Raises Malformed (not JSON, not an object, no type) or BadFrame (`unknown_type`, `invalid`).
    """
    try:
        data = loads(text)
    except Unfit:
        raise Malformed from None
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise Malformed
    match data["type"]:
        case "delivered":
            return MarkFrame(_room(data), _seq(data), read=False)
        case "read":
            return MarkFrame(_room(data), _seq(data), read=True)
        case "post":
            return _post(data)
        case "typing":
            return TypingFrame(_room(data))
        case "ping":
            return Ping()
        case "hello":
            return _hello(data)
    raise BadFrame("unknown_type")


def _room(data: dict[str, Any], ref: str | None = None) -> UUID:
    return _uuid(data.get("room"), ref)


def _uuid(value: Any, ref: str | None = None) -> UUID:
    if isinstance(value, str) and len(value) == 36:
        try:
            return UUID(value)
        except ValueError:
            pass
    raise BadFrame("invalid", ref)


def _seq(data: dict[str, Any], name: str = "seq") -> int:
    value = data.get(name)
    if type(value) is int and 0 <= value < 2**62:
        return value
    raise BadFrame("invalid")


def _post(data: dict[str, Any]) -> PostFrame:
    txn_id = data.get("txn_id")
    ref = txn_id if isinstance(txn_id, str) and len(txn_id) <= 64 else None
    room = _room(data, ref)
    body, kind, reply_to = data.get("body"), data.get("kind", "text"), data.get("reply_to")
    if not isinstance(txn_id, str) or not isinstance(body, str) or not isinstance(kind, str):
        raise BadFrame("invalid", ref)
    if reply_to is not None and type(reply_to) is not int:
        raise BadFrame("invalid", ref)
    message = Message(txn_id, body, kind, reply_to)
    if message.problems():
        raise BadFrame("invalid", ref)
    return PostFrame(room, message)


def _hello(data: dict[str, Any]) -> Hello:
    protocol, token, cursors = data.get("protocol"), data.get("token"), data.get("cursors", {})
    alert_key = data.get("alert_key")
    if type(protocol) is not int or not all(one is None or isinstance(one, str) for one in (token, alert_key)):
        raise BadFrame("invalid")
    if token is not None and alert_key is not None:
        raise BadFrame("invalid")
    if not isinstance(cursors, dict) or len(cursors) > MAX_CURSORS:
        raise BadFrame("invalid")
    found = {}
    for room, seq in cursors.items():
        if type(seq) is not int or not 0 <= seq < 2**62:
            raise BadFrame("invalid")
        found[_uuid(room)] = seq
    return Hello(protocol, token, found, alert_key)


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode  # made once: it is used for every frame


def _dumps(**members: Any) -> str:
    return _encode(members)


def welcome(user: UUID, protocol: int, heartbeat_s: float, heads: dict[UUID, int]) -> str:
    rooms = {str(room): head for room, head in heads.items()}
    return _dumps(type="welcome", user=str(user), protocol=protocol, heartbeat_s=heartbeat_s, rooms=rooms)


def event(view: dict[str, Any]) -> str:
    return _dumps(type="event", event=view)


def posted(room: UUID, txn_id: str, seq: int) -> str:
    return _dumps(type="posted", room=str(room), txn_id=txn_id, seq=seq)


def synced() -> str:
    return '{"type":"synced"}'


def pong() -> str:
    return '{"type":"pong"}'


def limited(room: UUID, after: int, head: int) -> str:
    members = {"type": "limited", "room": str(room), "from": after, "head": head}
    return _encode(members)


def receipt(room: UUID, user: UUID, delivered: int, read: int) -> str:
    return f'{{"type":"receipt","room":"{room}","user":"{user}","delivered":{delivered},"read":{read}}}'


def typing(room: UUID, user: UUID | str) -> str:
    return f'{{"type":"typing","room":"{room}","user":"{user}"}}'


def room_opened(room: UUID) -> str:
    return f'{{"type":"room.opened","room":"{room}"}}'


def room_closed(room: UUID, reason: str) -> str:
    return _dumps(type="room.closed", room=str(room), reason=reason)


def alert(view: dict[str, Any]) -> str:
    return _dumps(type="alert", alert=view)


def heartbeat(heads: dict[UUID, int]) -> str:
    return _dumps(type="heartbeat", heads={str(room): head for room, head in heads.items()})


def error(code: str, ref: str | None = None) -> str:
    """`unsupported_protocol` comes with what is spoken here: whoever knows one of them comes back with the highest."""
    more = {"supported": list(PROTOCOLS)} if code == "unsupported_protocol" else {}
    return _dumps(type="error", code=code, ref=ref, **more)
