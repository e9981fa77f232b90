"""Laws 1 and 2, for every act and every look: no act without its record, and a timeline without holes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.utils import OperationalError

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.people import actions as people
from server.people.models import Agreement
from server.rooms.models import Room, RoomEvent
from tests.base import Opened, TownTestCase
from tests.support.faults import no_log
from tests.support.state import differing, state


class Broken(Exception):
    """The log cannot be written, for a reason of ours."""


class Acts(TownTestCase):
    """Each way to change or to see something of a room, as (who, method, path, body)."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.fresh = self.open_room(purpose="transition")
        self.own = self.post(self.room, "kari", "hei")["seq"]
        members = self.members(self.room)
        self.proposed = self.propose(self.room, "kari", "sara")["id"]
        room, fresh = self.room, self.fresh
        frida, are, nils = members["frida"]["id"], members["are"]["id"], str(self.user_id("nils"))
        message = {"txn_id": "law1", "body": "hei"}
        patient = str(self.patient_id())
        self.acts: dict[str, tuple[str, str, str, object]] = {
            "open": ("kari", "post", "rooms", {"patient": patient, "purpose": "crisis_plan"}),
            "open again": ("frida", "post", "rooms", {"patient": patient, "purpose": "transition"}),
            "propose": ("kari", "post", f"{room.path}/members", {"user": nils}),
            "propose while waiting": ("kari", "post", f"{fresh.path}/members", {"user": nils}),
            "take out": ("are", "delete", f"{room.path}/members/{frida}", None),
            "leave": ("frida", "delete", f"{room.path}/members/{frida}", None),
            "take back": ("kari", "delete", f"{room.path}/members/{self.proposed}", None),
            "participate": ("are", "patch", f"{room.path}/members/{are}", {"participation": "away"}),
            "post": ("kari", "post", f"{room.path}/messages", message),
            "post as follower": ("are", "post", f"{room.path}/messages", message),
            "edit": ("kari", "post", f"{room.path}/events/{self.own}/edit", {"body": "hei!"}),
            "retract": ("kari", "post", f"{room.path}/events/{self.own}/retract", {}),
            "give": ("are", "post", f"{fresh.asks}/give", {}),
            "decline": ("are", "post", f"{fresh.asks}/decline", {"remark": "nei"}),
            "change": ("are", "post", f"{room.asks}/change", {}),
            "decline a change": ("are", "post", f"{room.asks}/decline", {}),
            "withdraw": ("are", "post", f"{room.asks}/withdraw", {}),
        }
        self.looks: dict[str, tuple[str, str, str, object]] = {
            "list": ("frida", "get", "rooms", None),
            "room": ("frida", "get", room.path, None),
            "members": ("frida", "get", f"{room.path}/members", None),
            "events": ("frida", "get", f"{room.path}/events", None),
            "receipts": ("frida", "get", f"{room.path}/receipts", None),
            "own room": ("are", "get", f"{room.path}/events", None),
            "consent": ("frida", "get", room.asks, None),
            "own consent": ("are", "get", room.asks, None),
            "history": ("are", "get", f"{room.asks}/history", None),
            "access log": ("are", "get", "me/access-log", None),
        }
        for name in ("are", "kari", "frida", "sara"):
            self.person(name)

    def test_no_act_and_no_look_without_its_record(self) -> None:
        """Law 1. When the log cannot be written, nothing is written and nothing is told.

        Red when any `record` or `record_many` is taken out, or moved outside its act's transaction.
        """
        for label, (who, method, path, body) in (self.acts | self.looks).items():
            with self.subTest(label):
                before = state()
                client = self.person(who)
                client.expects_500 = True
                with no_log(Broken):
                    answer = getattr(client, method)(path, body)
                client.expects_500 = False
                assert answer.status_code == 500, (label, answer.status_code, answer.content)
                assert set(answer.json()) <= {"type", "title", "status", "code", "detail", "request_id"}
                assert differing(before, state()) == set(), label

    def test_when_the_database_fails_it_is_a_503_and_nothing_happened(self) -> None:
        for label, (who, method, path, body) in (self.acts | self.looks).items():
            with self.subTest(label):
                before = state()
                with no_log(lambda: OperationalError("hemmelig: rad")):
                    answer = getattr(self.person(who), method)(path, body)
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), label
                assert answer.headers["Retry-After"]
                assert "hemmelig" not in answer.content.decode()
                assert differing(before, state()) == set(), label

    def test_every_act_is_on_record_once_and_names_the_patient(self) -> None:
        """Law 1, L2. The actor, the engagement acted for, and the subject stand in each row."""
        for label, (who, method, path, body) in (self.acts | self.looks).items():
            with self.subTest(label):
                fresh = self._scratch(who, method, path, body)
                assert fresh, label
                client = self.person(who)
                own = [one for one in fresh if one.actor_id == client.user_id]
                assert own, label
                assert {one.outcome for one in fresh} == {"success"}
                assert {one.subject_id for one in fresh} == {self.patient_id()}, label
                assert all(one.request_id for one in fresh)
                if who != "are":
                    engagement = self.engagement_of(who)
                    assert {one.engagement_id for one in own} == {engagement.id}
                    assert {one.unit_id for one in own} == {engagement.unit_id}
                    assert {one.controller_id for one in own} == {engagement.unit.controller_id}
                    assert {one.role for one in own} == {engagement.role}
                assert len({(one.type, one.object_id) for one in fresh}) == len(fresh), [one.type for one in fresh]

    def test_a_refusal_is_on_record_and_when_it_cannot_be_no_answer_is_given(self) -> None:
        sara = self.person("sara")
        for path in (self.room.path, f"{self.room.path}/events", f"{self.room.path}/members", self.room.asks):
            before = AuditEvent.objects.filter(outcome="refused", actor_id=sara.user_id).count()
            assert sara.get(path).status_code == 404
            refused = self.audit(outcome="refused", actor_id=sara.user_id)
            assert len(refused) == before + 1, path
            assert (refused[-1].room_id, refused[-1].subject_id) == (self.room.id, self.patient_id()), path
            with no_log(OperationalError):
                assert sara.get(path).status_code == 503, path

    def test_the_ends_of_engagements_and_agreements_are_acts_too(self) -> None:
        engagement, agreement = self.engagement_of("frida").id, Agreement.objects.get().id
        ends: list[Callable[[], None]] = [
            lambda: people.end_engagement(engagement_id=engagement, actor=SYSTEM, reason="left"),
            lambda: people.end_agreement(agreement_id=agreement, actor=SYSTEM, reason="expired"),
        ]
        for end in ends:
            before = state()
            with no_log(Broken), pytest.raises(Broken):
                end()
            assert differing(before, state()) == set()

    def test_the_timeline_has_no_holes(self) -> None:
        """Law 2. Whatever is done, seq runs from 1 to head; epochs rise with access and never fall.

        Red when `move_head` moves by another number than there are events.
        """
        for label, (who, method, path, body) in self.acts.items():
            with self.subTest(label):
                self._scratch(who, method, path, body, after=self._no_holes)

    def test_a_change_of_access_raises_the_epoch(self) -> None:
        """Law 2. Red when `settle` does not pass `access_changed`."""
        rising = {"give", "change", "withdraw", "take out", "leave", "participate", "post as follower"}
        for label, (who, method, path, body) in self.acts.items():
            room = self.fresh if self.fresh.asks in path else self.room
            if label.startswith(("open", "propose while")):
                continue
            before = Room.objects.get(id=room.id).access_epoch

            def risen(room: Opened = room, before: int = before, label: str = label) -> None:
                risen = Room.objects.get(id=room.id).access_epoch > before
                assert risen or label not in rising, label
                assert not risen or label in rising | {"decline", "decline a change", "take back"}, label

            with self.subTest(label):
                self._scratch(who, method, path, body, after=risen)

    def test_a_ground_beside_a_consent_raises_the_epoch_alone(self) -> None:
        """Nobody comes or goes, so the room is told nothing; what was decided is decided again (laws 2 and 5). Red when
        `settle` returns without any event before it looks at `access_changed`."""
        kind = "cooperating_staff"
        with self.settings(ENV=settings.ENV.model_copy(update={"statutory_grounds": (kind,)})):
            said = {"ground": kind, "reason": "samarbeid", "until": (now() + timedelta(days=1)).isoformat()}
            before = Room.objects.get(id=self.room.id)
            ground = self.person("kari").ok("post", f"{self.room.path}/statutory-grounds", said)
            given = Room.objects.get(id=self.room.id)
            assert (given.head, given.access_epoch) == (before.head, before.access_epoch + 1)
            self.person("kari").ok("delete", f"{self.room.path}/statutory-grounds/{ground['id']}")
            ended = Room.objects.get(id=self.room.id)
            assert (ended.head, ended.access_epoch) == (before.head, before.access_epoch + 2)

    def _scratch(
        self, who: str, method: str, path: str, body: object, after: Callable[[], None] = lambda: None
    ) -> list[AuditEvent]:
        """Do it, look, and undo it; what was recorded."""
        client = self.person(who)
        sid = transaction.savepoint()
        known = set(AuditEvent.objects.values_list("id", flat=True))
        answer = getattr(client, method)(path, body)
        assert answer.status_code < 300, (path, answer.content)
        found = [one for one in AuditEvent.objects.order_by("id") if one.id not in known]
        after()
        transaction.savepoint_rollback(sid)
        return found

    def _no_holes(self) -> None:
        for room in Room.objects.all():
            seqs = list(RoomEvent.objects.filter(room=room).order_by("seq").values_list("seq", flat=True))
            assert seqs == list(range(1, room.head + 1))
        assert not Room.objects.filter(head__lt=F("access_epoch") - 1).exists(), "no epoch without an event"
