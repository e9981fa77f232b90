"""What ends emergency access without anybody pressing anything (L3, law 5): time, and what carried it."""

import time
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
import structlog
from django.db import OperationalError

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.operate.loops import LOOPS
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import Engagement, Relation, User
from server.rooms import emergency, worker
from server.rooms.models import EmergencyAccess, Member, Room
from server.rooms.ports import OPEN_ALERTS
from tests.rooms.night import NightTestCase, lasting
from tests.support.served import sqlite_only

pytestmark = sqlite_only

LASTS_S = 1.5


class Time(NightTestCase):
    def begin_briefly(self) -> EmergencyAccess:
        with lasting(LASTS_S):
            self.begun()
        return self.access()

    def its_end_comes(self, access: EmergencyAccess) -> None:
        while now() < access.until:
            time.sleep(0.05)

    def test_four_hours(self) -> None:
        """The setting's default. Red when `until` is counted from anything but the beginning."""
        self.begun()
        access = self.access()
        assert access.until - access.begun_at == timedelta(hours=4)

    def test_it_is_over_though_nobody_looks(self) -> None:
        """Red when `_open_accesses`, `open_now` or the decision do not compare `until`."""
        access = self.begin_briefly()
        assert self.status() == 200
        self.its_end_comes(access)
        for path in ("", "/events", "/members", "/receipts"):
            assert self.status(path=path) == 404
        assert self.person("nils").ok("get", "rooms")["results"] == []
        assert self.end().status_code == 404
        access.refresh_from_db()
        assert access.ended_at is None, "no worker has been here"

    def test_the_worker_writes_it_down(self) -> None:
        """Red when the loop is not among `LOOPS`, or `_perhaps_over` does not look at `until`."""
        assert worker.tick in [one.tick for one in LOOPS]
        access = self.begin_briefly()
        assert worker.tick() == 0, "not yet"
        self.its_end_comes(access)
        epoch = Room.objects.get(id=self.room.id).access_epoch
        assert worker.tick() == 1
        assert worker.tick() == 0
        access.refresh_from_db()
        assert (access.end_reason, access.ended_at is not None) == ("expired", True)
        assert Room.objects.get(id=self.room.id).access_epoch == epoch + 1
        for name in ("kari", "trine"):
            assert [(one["act"], one.get("reason")) for one in self.marks(name)] == [
                ("begun", None),
                ("ended", "expired"),
            ]
        ended = self.audit(type="emergency_access.ended")
        assert [(one.actor_id, one.role, one.reason) for one in ended] == [(None, "system", "expired")]

    def test_once_more_before_the_worker_came(self) -> None:
        """Red when one that has run out is answered as if it were open, or stands in the way of a new one."""
        first = self.begin_briefly()
        self.its_end_comes(first)
        again = self.begin()
        assert again.status_code == 201
        first.refresh_from_db()
        assert first.end_reason == "expired"
        assert self.status() == 200
        assert worker.tick() == 0

    def test_never_longer_than_the_engagement(self) -> None:
        nils = self.engagement_of("nils")
        end = now() + timedelta(minutes=7)
        Engagement.objects.filter(id=nils.id).update(valid_to=end)
        self.begun()
        assert self.access().until == end

    def test_one_that_fails_stays_due_and_the_others_go_on(self) -> None:
        """Red when `_attempt` does not catch, or catches that the database is gone."""
        first = self.begin_briefly()
        with lasting(LASTS_S):
            self.begun("ida")
        self.its_end_comes(self.access())
        end = emergency.end

        def fails_once(room: Room, access: EmergencyAccess, **more: str) -> None:
            if access.id == first.id:
                raise RuntimeError
            end(room, access, **more)  # type: ignore[arg-type]

        with patch.object(emergency, "end", fails_once), structlog.testing.capture_logs() as logs:
            assert worker.tick() == 1
        assert [(one["event"], one["access"]) for one in logs] == [("emergency_access_not_ended", str(first.id))]
        with patch.object(emergency, "end", side_effect=OperationalError), pytest.raises(OperationalError):
            worker.tick()
        assert worker.tick() == 1


class WhatCarriesIt(NightTestCase):
    def ends_with(self, act: Callable[[], object], reason: str, *, by_worker: bool = False) -> None:
        self.begun()
        epoch = Room.objects.get(id=self.room.id).access_epoch
        act()
        if by_worker:
            assert worker.tick() == 1
        access = self.access()
        assert access.end_reason == reason
        assert Room.objects.get(id=self.room.id).access_epoch > epoch
        assert self.marks("kari")[-1]["reason"] == reason
        assert self.status() in (401, 404)
        assert worker.tick() == 0

    def test_the_engagement(self) -> None:
        """In the transaction that ends it. Red when `engagement_ended` looks at members only."""
        nils = self.engagement_of("nils").id
        self.ends_with(lambda: people.end_engagement(engagement_id=nils, actor=SYSTEM, reason="left"), "engagement")

    def test_the_account(self) -> None:
        nils = self.user_id("nils")
        self.ends_with(lambda: people.deactivate_user(user_id=nils, actor=SYSTEM, reason="left"), "engagement")

    def test_another_s_engagement_does_not(self) -> None:
        self.begun()
        people.end_engagement(engagement_id=self.engagement_of("ida").id, actor=SYSTEM, reason="left")
        assert self.access().ended_at is None

    def test_the_engagement_of_a_member_ends_beside_it(self) -> None:
        """Sara was a member, and is in another room in an emergency. Red when only one kind of room is settled."""
        other = self.open_room("kari", patient="trine", propose=[], purpose="crisis_plan")
        assert self.begin("sara", room=other).status_code == 201
        people.end_engagement(engagement_id=self.engagement_of("sara").id, actor=SYSTEM, reason="left")
        assert self.access().end_reason == "engagement"
        assert Member.objects.get(room_id=self.room.id, user__username="sara").state == "ended"

    def test_one_whose_port_was_never_called(self) -> None:
        """Begun while the engagement's end was on its way. Red when the worker does not look at engagements."""
        nils = self.engagement_of("nils").id
        over = {"ended_at": now(), "effect_done_at": now()}
        self.ends_with(lambda: Engagement.objects.filter(id=nils).update(**over), "engagement", by_worker=True)

    def test_one_whose_account_was_closed_meanwhile(self) -> None:
        closed = User.objects.filter(username="nils")
        self.ends_with(lambda: closed.update(is_active=False), "engagement", by_worker=True)

    def test_the_relation(self) -> None:
        """Red when the worker does not look at relations."""
        nils = self.engagement_of("nils")
        relation = Relation.objects.get(unit_id=nils.unit_id, patient_id=self.patient_id("trine"))
        acting = acting_for(nils, sign_in="demo", at=now())
        self.ends_with(
            lambda: people.end_relation(acting=acting, relation_id=relation.id, reason="discharged"),
            "relation",
            by_worker=True,
        )

    def test_the_relation_but_there_is_an_open_call_for_help(self) -> None:
        """Red when OPEN_ALERTS is not asked."""

        class Alerts:
            def has_open(self, patient_id: UUID, engagement: Engagement) -> bool:
                return True

        self.begun()
        unit = self.engagement_of("nils").unit_id
        Relation.objects.filter(unit_id=unit).update(ended_at=now())
        with patch.object(OPEN_ALERTS, "_bound", Alerts()):
            assert worker.tick() == 0
            assert self.status() == 200
        assert worker.tick() == 1
        assert self.status() == 404

    def test_an_exclusion(self) -> None:
        """At once, and whatever the ground. Red when `take_out` or `excluded` look at members only."""
        self.ends_with(lambda: self.exclude("nils"), "excluded")
        assert self.begin().status_code == 404

    def test_not_a_consent_or_its_end(self) -> None:
        """Rule 2 comes before rules 3 and 4."""
        self.begun()
        self.answer(self.room, "change", "trine", to=["kari"])
        assert self.status() == 200
        self.withdraw(self.room, "trine")
        assert self.status() == 200
        assert worker.tick() == 0
