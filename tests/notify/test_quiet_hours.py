"""Quiet hours through the API and the outbox: what they hold comes when they are over; what must come comes."""

from datetime import UTC, datetime, timedelta
from unittest import mock

from server.common.clock import now
from server.notify import worker
from server.notify.models import HELD, Delivery, QuietHours
from server.people.hours import OSLO
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver
from tests.support.served import sqlite_only

pytestmark = sqlite_only

NIGHT = {"every": {"from": "22:00", "until": "07:00"}}


def always_but(at: datetime) -> dict[str, object]:
    """Quiet at `at`, until an hour later by Oslo's clock."""
    since, until = (at - timedelta(hours=2)).astimezone(OSLO), (at + timedelta(hours=1)).astimezone(OSLO)
    return {"every": {"from": f"{since:%H:%M}", "until": f"{until:%H:%M}"}}


class Said(NotifyTestCase):
    def test_set_and_shown(self) -> None:
        are = self.person("are")
        assert are.ok("get", "me/quiet-hours") == {"every": None, "days": {}}
        said = {**NIGHT, "days": {"sat": {"from": "23:30", "until": "10:00"}, "sun": None}}
        assert are.ok("put", "me/quiet-hours", said) == said == are.ok("get", "me/quiet-hours")
        assert self.person("nils").ok("get", "me/quiet-hours") == {"every": None, "days": {}}, "each has their own"
        assert are.ok("put", "me/quiet-hours", {}) == {"every": None, "days": {}}
        assert [one.subject_id for one in self.audit(type="quiet_hours.set")] == [self.patient_id("are")] * 2

    def test_what_is_refused(self) -> None:
        are = self.person("are")
        whole = {"from": "00:00", "until": "24:00"}
        for body, code in (
            ({"every": {"from": "22:00", "until": "22:00"}}, "empty"),
            ({"every": whole}, "never_ends"),
            ({"days": {"mon": {"from": "25:00", "until": "07:00"}}}, None),
            ({"every": {"from": "22:00"}}, None),
            ({"every": "22-07"}, None),
            ({"days": {"mon": {"from": 22, "until": []}}}, None),
            ([], None),
        ):
            answer = are.put("me/quiet-hours", body)
            assert answer.status_code == 400, body
            if code is not None:
                assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("hours", code)]
        assert not QuietHours.objects.exists()


class Held(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.browser, self.address = self.device()
        self.at = now()
        self.person("nils").ok("put", "me/quiet-hours", always_but(self.at))

    def kinds(self) -> list[str]:
        deliver()
        return [one["kind"] for one in self.push.received(self.browser)]

    def at_the_end(self) -> None:
        """The hour is over, for the outbox and for the rule."""
        later = self.at + timedelta(hours=1, minutes=2)
        self.enterContext(mock.patch.object(worker, "now", return_value=later))

    def test_messages_and_notices_wait_and_then_come(self) -> None:
        first = self.order(self.address, kind="message", urgent=False, topic="room")
        second = self.order(self.address, kind="notice", urgent=False, topic="note")
        assert self.kinds() == []
        ends = (self.at + timedelta(hours=1)).replace(second=0, microsecond=0)
        for one in (first, second):
            one.refresh_from_db()
            assert (one.state, one.code, one.lease, one.attempts) == ("waiting", HELD, None, 0)
            assert one.due_at is not None
            assert one.expires_at is not None
            assert ends <= one.due_at <= ends + timedelta(seconds=11), "at their end, each for a time of its own"
            assert one.expires_at > one.due_at
        assert first.due_at != second.due_at
        assert worker.tick() == 0, "what waits so far ahead is no fault of the clock's"
        assert self.keeper.asked == [], "asked when it is to be sent, and not before"
        self.at_the_end()
        assert sorted(self.kinds()) == ["message", "notice"]

    def test_what_was_read_meanwhile_does_not_come(self) -> None:
        message = self.order(self.address, kind="message", urgent=False)
        deliver()
        self.keeper.may = False
        self.at_the_end()
        assert self.kinds() == []
        message.refresh_from_db()
        assert (message.state, message.code) == ("dropped", "not_allowed")

    def test_what_must_come_comes(self) -> None:
        """Red when a page, what follows it, a test or anything urgent is held."""
        for number, kind in enumerate(("page", "taken", "synthetic")):
            self.order(self.address, kind=kind, topic=f"{number}")
        self.order(self.address, kind="notice", urgent=True, topic="urgent")
        self.order(self.address, kind="test", urgent=False, topic="test")
        assert sorted(self.kinds()) == ["notice", "page", "page", "taken", "test"]

    def test_hours_that_change_are_looked_at_again(self) -> None:
        self.order(self.address, kind="message", urgent=False)
        assert self.kinds() == []
        self.person("nils").ok("put", "me/quiet-hours", {})
        assert self.kinds() == ["message"]

    def test_longer_than_a_notice_lives(self) -> None:
        """A weekend: the device is told on Monday, however short the order's own life was."""
        days = {
            "fri": ["16:00", "24:00"],
            "sat": ["00:00", "24:00"],
            "sun": ["00:00", "24:00"],
            "mon": ["00:00", "08:00"],
        }
        QuietHours.objects.update(hours=days)
        friday = datetime(2026, 2, 6, 16, tzinfo=UTC)
        message = self.order(self.address, kind="message", urgent=False, ttl_s=60)
        Delivery.objects.update(due_at=friday, expires_at=friday + timedelta(hours=1))
        with mock.patch.object(worker, "now", return_value=friday):
            assert self.kinds() == []
        message.refresh_from_db()
        monday = datetime(2026, 2, 9, 7, tzinfo=UTC)
        assert message.due_at is not None
        assert timedelta() <= message.due_at - monday <= timedelta(seconds=10)
        with mock.patch.object(worker, "now", return_value=monday + timedelta(minutes=1)):
            assert self.kinds() == ["message"]

    def test_a_clock_that_went_back_holds_nothing_for_years(self) -> None:
        message = self.order(self.address, kind="message", urgent=False)
        assert self.kinds() == []
        QuietHours.objects.all().delete()
        Delivery.objects.filter(id=message.id).update(due_at=self.at + timedelta(days=10))
        assert self.kinds() == ["message"]

    def test_all_ones_devices_are_quiet_and_nobody_elses(self) -> None:
        other, address = self.device()
        hers, ida = self.device("ida")
        for one in (self.address, address, ida):
            self.order(one, kind="message", urgent=False)
        deliver()
        assert [len(self.push.posts(sub)) for sub in (self.browser, other, hers)] == [0, 0, 1]
