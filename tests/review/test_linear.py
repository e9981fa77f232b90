"""Very many acts within a short time cost as much each as few do, and nobody who writes waits for what they cost.

What is counted: instructions of the rules, for twice the acts at most three times as many (not four, which a window
read anew for each act makes), and events read for a batch.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import Max

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.review import evidence, odd, scanning, windows
from server.review.models import Finding, Line, Watch
from server.review.odd import Act
from tests.review.odd_cases import LIMITS, ask, moment, named
from tests.review.test_findings import HELSE_FJORD, Findings
from tests.support.served import sqlite_only

MANY = 150
ROOM = named("room 1")
DOORS = ("room.opened", "ground.recorded", odd.RELATED)


def an_act(number: int, type_: str = "patient.viewed", *, who: str = "Nora", about: str = "Per", **more: Any) -> Act:
    return Act(
        event=uuid4(),
        at=moment("2026-06-15 08:00") + timedelta(milliseconds=number),
        type=type_,
        actor=named(who),
        controller=named("Helse Fjord"),
        subject=named(about),
        object=named(about),
        **{"basis": "relation", "room": None} | more,
    )


def look(number: int, type_: str = "patient.viewed", **more: Any) -> Act:
    return an_act(number, type_, **more)


def one_by_one(number: int) -> Iterator[Act]:
    """Each look of another patient."""
    yield look(number, about=f"patient {number}")


def over_and_over(number: int) -> Iterator[Act]:
    """Some patients again and again, with things done for them."""
    yield look(number, about=f"patient {number % 7}")
    yield an_act(number, "message.posted", about=f"patient {number % 7}")


def doors_and_looks(number: int) -> Iterator[Act]:
    """Doors opened for oneself, and looks through each; the patient answers now and then."""
    yield an_act(number, DOORS[number % 3], room=None if number % 3 == 2 else ROOM)
    yield look(number, "events.viewed", room=ROOM, basis="statute")
    yield look(number)
    if number % 10 == 0:
        yield an_act(number, "consent.given", who="Per", room=ROOM)


def there_and_back(number: int) -> Iterator[Act]:
    """A patient who stops sharing over and over, and somebody who reads and tries all the time."""
    yield an_act(number, odd.WITHDRAWN, who="Per", room=ROOM)
    yield look(number, "events.viewed", room=ROOM, basis="consent")
    yield look(number, "events.viewed", room=ROOM, basis="statute")
    yield an_act(number, "events.viewed", room=ROOM, refused=True, reason="no_access")


def emergencies(number: int) -> Iterator[Act]:
    yield replace(an_act(number, odd.EMERGENCY, room=ROOM), object=uuid4())


FLOODS = (one_by_one, over_and_over, doors_and_looks, there_and_back, emergencies)
WHERE: dict[str, Any] = {
    "surnames": {named(one): "vik" for one in ("Nora", "Per")},
    "works_at": {named("Per"): {named("Helse Fjord")}},
    "last_before": {named("Nora"): moment("2026-01-01 00:00")},
    "reviews": {},
    "until": moment("2026-12-31 00:00"),
}


@sqlite_only
@pytest.mark.parametrize("rule", [kind.value for kind in odd.Kind])
def test_twice_the_acts_are_at_most_three_times_the_work(rule: str) -> None:
    """Red when a rule goes through all acts again for each of them, in `odd.py` or by what it names."""
    for flood in FLOODS:
        few, many = (instructions(rule, log(flood, times)) for times in (1, 2))
        assert many <= 3 * few, (flood.__name__, few, many)


def log(flood: Callable[[int], Iterator[Act]], times: int) -> list[Act]:
    acts = [act for number in range(times * MANY) for act in flood(number)]
    random.Random(1).shuffle(acts)
    return acts


def instructions(rule: str, acts: list[Act]) -> int:
    """How many of the rules' are run, and how many acts are named."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        nonlocal count
        if frame.f_code.co_filename not in (odd.__file__, windows.__file__):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = ask(rule, acts, LIMITS, WHERE)
    finally:
        sys.settrace(before)
    return count + sum(len(one.acts) for one in found)


class Flood(Findings):
    """Somebody of Helse Fjord opens very many patients' cards within seconds."""

    def opened(self, patients: int) -> None:
        sara = self.engagement_of("sara")
        actor = Actor(sara.user_id, controller_id=sara.unit.controller_id, unit_id=sara.unit_id, role="lege")
        for _ in range(patients):
            one = uuid4()
            record(Entry("patient.viewed", actor, subject_id=one, object_id=one, basis="relation"))
        self.follow()

    def read(self, patients: int) -> int:
        """How many events are read for all batches together."""
        Watch.objects.update_or_create(
            controller_id=self.controller_id(HELSE_FJORD),
            defaults={"position": Line.objects.aggregate(last=Max("position", default=0))["last"]},
        )
        self.opened(patients)
        read = mock.Mock(side_effect=evidence._act)
        with (
            mock.patch.object(scanning, "BATCH", 20),
            mock.patch.object(evidence, "OF_EACH", 40),
            mock.patch.object(evidence, "_act", read),
        ):
            while scanning._read(self.controller_id(HELSE_FJORD)):
                pass
        return read.call_count

    def test_what_is_read_for_a_batch_does_not_grow_with_what_was_done_before(self) -> None:
        """Red when all that somebody did in the hours before is read again for each batch."""
        few = self.read(100)
        Line.objects.all().delete()
        assert self.read(200) <= 3 * few
        (finding,) = self.found("many_patients")
        assert len(finding.events) == scanning.EVENTS

    def test_nothing_is_read_or_compared_while_others_wait_to_write(self) -> None:
        """Red when `at_once` is called inside the transaction, or is asked about more lines than a batch."""
        self.opened(30)
        outside, calls = len(connection.savepoint_ids), []
        at_once = evidence.at_once

        def watched(controller_id: UUID, lines: list[Line]) -> Any:
            calls.append((len(connection.savepoint_ids), len(lines)))
            return at_once(controller_id, lines)

        with mock.patch.object(evidence, "at_once", watched), mock.patch.object(scanning, "BATCH", 20):
            scanning.tick()
        assert calls
        assert {depth for depth, _ in calls} == {outside}
        assert max(lines for _, lines in calls) == 20
        assert self.found("many_patients")

    def test_of_two_workers_who_read_the_same_lines_one_asks(self) -> None:
        """Red when it is not compared how far the other has gone meanwhile."""
        self.opened(30)
        at_once = evidence.at_once
        others: list[int] = []

        def overtaken(controller_id: UUID, lines: list[Line]) -> Any:
            mock.patch.stopall()
            others.append(scanning._read(controller_id))
            return at_once(controller_id, lines)

        controller_id = self.controller_id(HELSE_FJORD)
        mock.patch.object(evidence, "at_once", overtaken).start()
        assert scanning._read(controller_id) == 0
        assert others[0] >= 30
        (finding,) = self.found("many_patients")
        assert len(self.audit(type="finding.found", object_id=finding.id)) == 1
        assert scanning._read(controller_id) == 0, "nothing is left"
        assert Finding.objects.filter(kind="many_patients").count() == 1
