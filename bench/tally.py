"""What becomes of every message: when it was due, acknowledged, and received by each socket of its room."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SIZE = 200
"""Bytes of a message's body."""
CHECKED_IN_FULL = 16
"""Every so manieth event is parsed and compared as a whole; of the others only number and `seq` are looked at."""
_SEQ = re.compile(rb'"seq": ?(\d+)')
_BODY = re.compile(rb'"body": ?"#(\d+) ')
_TXN = re.compile(rb'"txn_id": ?"([^"]*)"')
_FILLER = "Kan vi flytte avtalen til tirsdag? Jeg ser paa det sammen med Vera og ringer deg etterpaa. " * 3


@dataclass(frozen=True, slots=True)
class Seat:
    """One member of one room, and the server process that their socket goes to."""

    url: str
    token: str
    user: str
    room: str


@dataclass(slots=True)
class Message:
    """Times are seconds of `time.perf_counter()`. `missing` has a bit for each socket that has not had it yet."""

    number: int
    seat: Seat
    due: float
    sent: float
    missing: int
    seq: int = 0
    acknowledged: float = 0.0
    complete: float = 0.0
    refused: str = ""


def body_of(number: int) -> str:
    """The text of a message, 200 bytes, which says its number."""
    return f"#{number} {_FILLER}"[:SIZE]


@dataclass
class Tally:
    """Every message of a run, and what went wrong. `run` makes the `txn_id`s of this run its own."""

    run: str
    messages: list[Message] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    open: int = 0
    """Messages neither refused nor both acknowledged and received by all."""

    def begin(self, seat: Seat, due: float, sent: float, sockets: int) -> bytes:
        """Note a message that is sent now to a room of so many `sockets`; returns its frame."""
        number = len(self.messages)
        self.messages.append(Message(number, seat, due, sent, missing=(1 << sockets) - 1))
        self.open += 1
        return (
            f'{{"type":"post","room":"{seat.room}","txn_id":"{self.run}-{number}","body":"{body_of(number)}"}}'
        ).encode()

    def arrived(self, place: int, room: str, payload: bytes, at: float) -> int:
        """An event came to socket number `place` of its room; returns its `seq`."""
        found = _SEQ.search(payload)
        seq = int(found[1]) if found else 0
        named = _BODY.search(payload)
        if named is None:
            self.frames["other events"] += 1
            return seq
        number = int(named[1])
        if number >= len(self.messages):
            self.frames["events of others"] += 1
            return seq
        message = self.messages[number]
        if number % CHECKED_IN_FULL == 0 and not self._is_whole(message, room, seq, payload):
            self.faults["garbled"] += 1
        bit = 1 << place
        if message.missing & bit:
            message.missing ^= bit
            if not message.missing:
                message.complete = at
                self.open -= bool(message.acknowledged)
        else:
            self.faults["duplicated"] += 1
        return seq

    def posted(self, payload: bytes, at: float) -> Message | None:
        """An acknowledgement came."""
        message = self._named(_TXN.search(payload))
        if message is None:
            return None
        if message.acknowledged:
            self.faults["acknowledged twice"] += 1
            return None
        found = _SEQ.search(payload)
        message.seq = int(found[1]) if found else 0
        message.acknowledged = at
        self.open -= not message.missing
        return message

    def refused(self, reference: str, code: str) -> Message | None:
        """The server said no to a post (`reference` is its `txn_id`) or to something else."""
        self.faults[f"error {code}"] += 1
        number = reference.removeprefix(f"{self.run}-")
        message = self.messages[int(number)] if number.isdigit() and int(number) < len(self.messages) else None
        if message is not None and not message.refused and not (message.acknowledged and message.complete):
            message.refused = code
            self.open -= 1
        return message

    def acknowledged(self) -> list[list[Any]]:
        """`[room, sender, txn_id, seq]` of each acknowledged message, for the row check."""
        return [
            [one.seat.room, one.seat.user, f"{self.run}-{one.number}", one.seq]
            for one in self.messages
            if one.acknowledged
        ]

    def summary(self, begun: int, started: float) -> dict[str, Any]:
        """Figures of the messages from number `begun` on, which were sent from `started` on. Times in ms."""
        messages = self.messages[begun:]
        complete = [one for one in messages if one.complete]
        last = max((one.complete for one in complete), default=started)
        return {
            "sent": len(messages),
            "acknowledged": sum(bool(one.acknowledged) for one in messages),
            "refused": sum(bool(one.refused) for one in messages),
            "delivered_to_all": len(complete),
            "lost": sum(bool(one.acknowledged and one.missing) for one in messages),
            "delivered_per_s": round(len(complete) / (last - started), 1) if complete else 0.0,
            "acknowledged_ms": percentiles([one.acknowledged - one.due for one in messages if one.acknowledged]),
            "to_all_ms": percentiles([one.complete - one.due for one in complete]),
            "generator_lag_ms": percentiles([one.sent - one.due for one in messages]),
        }

    def _named(self, found: re.Match[bytes] | None) -> Message | None:
        head, _, number = (found[1].decode() if found else "").rpartition("-")
        return self.messages[int(number)] if head == self.run and int(number) < len(self.messages) else None

    def _is_whole(self, message: Message, room: str, seq: int, payload: bytes) -> bool:
        event = json.loads(payload)["event"]
        content = {"kind": "text", "body": body_of(message.number), "reply_to": None}
        expected = {"room": room, "seq": seq, "type": "message", "sender": message.seat.user, "content": content}
        return room == message.seat.room and expected.items() <= event.items() and "created_at" in event


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the worst, nearest rank, in milliseconds; empty when there is nothing."""
    if not seconds:
        return {}
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(1000 * ordered[math.ceil(share * len(ordered)) - 1], 2)

    return {"p50": rank(0.50), "p95": rank(0.95), "p99": rank(0.99), "max": round(1000 * ordered[-1], 2)}
