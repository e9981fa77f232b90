"""Lines follow the sealed log: one for each event and controller concerned, once, however many workers there are."""

import threading
from datetime import timedelta
from io import StringIO
from unittest import mock
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from server.audit.actions import record, record_many
from server.audit.entry import SYSTEM, Actor, Entry
from server.audit.models import AuditEvent, Leaf
from server.common.clock import now
from server.people.models import Controller, Relation
from server.review import lines, worker
from server.review.models import Line, Progress
from tests.base import TownTestCase, TownTransactionTestCase
from tests.review.sealing import Sealing


def facts() -> list[tuple[object, ...]]:
    return list(Line.objects.order_by("controller_id", "position").values_list())


class Lines(TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sealing = Sealing()

    def test_an_event_is_found_by_the_employer_and_by_those_who_know_the_patient(self) -> None:
        room = self.open_shared_room()
        self.post(room, "vera", "hei")
        self.sealing.follow()
        event = AuditEvent.objects.get(type="message.posted")
        concerned = set(Line.objects.filter(event_id=event.id).values_list("controller_id", flat=True))
        known = set(Relation.objects.filter(patient_id=self.patient_id()).values_list("unit__controller_id", flat=True))
        assert concerned == {event.controller_id} | known
        assert event.controller_id not in known, "Vera's employer finds it because it is hers"
        line = Line.objects.get(event_id=event.id, controller_id=event.controller_id)
        said = (line.actor_id, line.unit_id, line.subject_id, line.room_id, line.type, line.basis, line.outcome)
        assert said == (
            *(event.actor_id, event.unit_id, event.subject_id, event.room_id),
            *("message.posted", event.basis, "success"),
        )
        assert line.at == event.at
        assert Leaf.objects.get(event_id=event.id).position == line.position

    def test_what_the_system_does_about_nobody_is_found_by_every_controller_of_that_time(self) -> None:
        """Red when an operator's command is in no officer's list, or lines made anew are others."""
        before = set(Controller.objects.values_list("id", flat=True))
        employer, patient = Actor(None, controller_id=next(iter(before)), role="system"), self.patient_id()
        with transaction.atomic():
            event = record(Entry("audit.exported", SYSTEM))
            alone = [
                record(Entry("finding.found", employer)),
                *(record(Entry("session.ended", one)) for one in (SYSTEM, Actor(None, role="nobody"))),
            ]
            of_are = record(Entry("consent.expired", SYSTEM, subject_id=patient))
        later = Controller.objects.create(name="Senere kommune", org_number="999000999")
        self.sealing.follow()
        lines_of = Line.objects.filter
        assert set(lines_of(event_id=event).values_list("controller_id", flat=True)) == before
        assert [lines_of(event_id=one).count() for one in alone] == [1, 0, 0]
        assert 0 < lines_of(event_id=of_are).count() < len(before)
        assert not lines_of(controller_id=later.id).exists()
        assert list(lines.wrong()) == []

    def test_what_is_not_sealed_is_no_line_yet(self) -> None:
        self.sealing.follow()
        before = Line.objects.count()
        self.person("kari").ok("get", "rooms")
        assert worker.tick() == 0
        assert Line.objects.count() == before

    def test_a_relation_that_is_over_shows_what_was_and_not_what_comes(self) -> None:
        relation = Relation.objects.filter(patient_id=self.patient_id()).first()
        assert relation is not None
        their = relation.unit.controller_id
        of_are = Line.objects.filter(controller_id=their, subject_id=self.patient_id(), type="test.done")
        entry = Entry("test.done", SYSTEM, subject_id=self.patient_id())
        with transaction.atomic():
            record_many([entry])
        Relation.objects.filter(patient_id=self.patient_id()).update(ended_at=now() + timedelta(milliseconds=2))
        self.sealing.follow()
        assert of_are.count() == 1
        Relation.objects.filter(patient_id=self.patient_id()).update(ended_at=now())
        with transaction.atomic():
            record_many([entry])
        self.sealing.follow()
        assert of_are.count() == 1

    def test_made_anew_they_are_the_same_lines(self) -> None:
        self.open_shared_room()
        self.sealing.follow()
        before = facts()
        Line.objects.filter(type="room.opened").delete()
        Line.objects.filter(type="member.proposed").update(outcome="refused")
        forged = Line.objects.filter(type="session.started")[0]
        for position in (7, forged.position + 10_000):
            forged.position = position
            forged.save(force_insert=True)
        list(lines.rebuild(10))
        assert facts() == before
        out = StringIO()
        call_command("review", "rebuild", stdout=out)
        assert facts() == before
        call_command("review", "status", stdout=out)
        assert f"lines: {len(before)}" in out.getvalue()
        assert "sealed events that wait: 0" in out.getvalue()

    def test_small_batches_and_a_fixed_number_of_statements(self) -> None:
        self.sealing.seal()
        leaves = Leaf.objects.count()
        assert leaves > 20
        assert lines.follow(7) == 7
        with self.assertNumQueries(8):  # newest, how far; savepoint, lock, which, lines, how far, release
            assert lines.follow(7) == 7
        while lines.follow(7):
            pass
        assert Progress.objects.get().position == Leaf.objects.order_by("-position")[0].position
        with self.assertNumQueries(2):
            assert lines.follow() == 0


class Workers(TownTransactionTestCase):
    def test_two_workers_make_each_line_once(self) -> None:
        """Red when the row that says how far is read without its lock."""
        sealing, employer = Sealing(), UUID(int=7)
        with transaction.atomic():
            record_many(Entry("x.done", Actor(UUID(int=1), controller_id=employer)) for _ in range(400))
        sealing.seal()
        leaves, done, faults = Leaf.objects.count(), [0, 0], [0, 1]

        def work(number: int) -> None:
            try:
                while lines.standing().waiting:
                    done[number] += lines.follow(20)
                faults.remove(number)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
        assert not faults
        assert sum(done) == leaves
        assert Line.objects.filter(controller_id=employer).count() == 400

    def test_a_worker_that_dies_leaves_nothing_half_done(self) -> None:
        sealing = Sealing()
        sealing.seal()
        lines.follow(5)
        before, at = facts(), Progress.objects.get().position
        failing = mock.patch.object(Progress.objects, "filter", side_effect=ZeroDivisionError)
        with failing, pytest.raises(ZeroDivisionError):
            lines.follow(5)
        assert (facts(), Progress.objects.get().position) == (before, at)
        sealing.follow()
        assert lines.standing().waiting == 0
