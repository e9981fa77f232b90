"""Message notices where somebody has quiet hours, has signed out, or has a device of an older key."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.db.models import F

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.notify import vapid, worker
from server.notify.actions import keys
from server.notify.models import Delivery, QuietHours
from server.people.actions import end_session
from server.people.models import Session
from server.rooms.models import Notice
from tests.base import TownTestCase
from tests.notify.test_quiet_hours import always_but
from tests.rooms.devices import Devices
from tests.support.deliveries import deliver
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Quiet(Devices, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.device("vera")
        self.device("are")
        self.at = now()
        self.person("vera").ok("put", "me/quiet-hours", always_but(self.at))

    def morning(self) -> dict[str, int]:
        with mock.patch.object(worker, "now", return_value=self.at + timedelta(hours=1, minutes=1)):
            deliver()
        return {name: len(found) for name, sub in self.devices.items() if (found := self.push.posts(sub))}

    def test_told_in_the_morning(self) -> None:
        self.post(self.room, "kari")
        assert self.told() == {"are": 1}
        assert self.morning() == {"vera": 1, "are": 1}

    def test_unless_it_is_read(self) -> None:
        seq = self.post(self.room, "kari")["seq"]
        assert self.told() == {"are": 1}
        self.read("vera", seq)
        assert self.morning() == {"are": 1}

    def test_a_night_of_messages_is_one_notice(self) -> None:
        for _ in range(3):
            self.post(self.room, "kari")
            self.told()
            Notice.objects.update(at=F("at") - timedelta(minutes=31))
        assert Delivery.objects.filter(user__username="vera").count() == 3
        assert self.morning()["vera"] == 1
        codes = Delivery.objects.filter(user__username="vera").order_by("generation").values_list("state", "code")
        assert list(codes) == [("dropped", "not_allowed")] * 2 + [("accepted", "accepted")]

    def test_nothing_where_access_has_ended_by_the_morning(self) -> None:
        self.post(self.room, "kari")
        self.told()
        self.withdraw(self.room)
        assert self.morning() == {"are": 1}


class SignedOut(Devices, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.device("vera")

    def end(self, reason: str) -> None:
        session = Session.objects.get(user__username="vera", ended_at=None)
        end_session(session=session, reason=reason, actor=SYSTEM)
        self._clients.pop("vera")

    def test_not_told_and_told_when_they_are_back(self) -> None:
        """Nothing is noted as told: what is unread is told of when there is a device again."""
        self.end("signed_out")
        self.post(self.room, "kari")
        assert self.told() == {}
        assert not Notice.objects.exists()
        assert not Delivery.objects.exists()
        self.person("vera").ok("post", "devices", {"subscription": self.devices["vera"]})
        assert self.told() == {"vera": 1}

    def test_a_session_that_ran_out(self) -> None:
        self.end("expired")
        self.post(self.room, "kari")
        assert self.told() == {"vera": 1}


class OfAnOlderKey(Devices, TownTestCase):
    def test_both_are_told(self) -> None:
        self.room = self.open_shared_room()
        self.start()
        folder = self.enterContext(TemporaryDirectory())
        self.settings(vapid_key_file=Path(folder) / "vapid.pem")
        vapid.make(vapid.file())
        self.device("vera")
        keys.make_key(after=timedelta())
        self.device("are")
        self.post(self.room, "kari")
        assert self.told() == {"vera": 1, "are": 1}
        assert not any(sub.faults for sub in self.devices.values()), "each signed by the key it was made for"
        assert not QuietHours.objects.exists()
