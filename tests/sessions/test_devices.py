"""What sessions have to do with devices: counted, silent once signed out there, and told when somebody signs in."""

from datetime import timedelta
from typing import Any

from server.notify.models import Address, Delivery
from server.people.models import Session
from tests.base import TownTestCase
from tests.sessions.base import Device, Devices, refused
from tests.support.deliveries import deliver, make_due, means
from tests.support.push_service import PushService, Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Pushes(Devices, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.push = self.enterContext(PushService())
        self.enterContext(means(push_hosts_allowed=[self.push.host]))

    def browser(self, device: Device) -> Subscription:
        found = self.push.subscribe(key=device.client.ok("get", "push/key")["key"])
        self.register(device, found)
        return found

    def register(self, device: Device, browser: Any) -> None:
        device.client.ok("post", "devices", {"subscription": browser, "name": "Mobilen"})

    def sent(self) -> None:
        make_due()
        deliver()

    def test_a_phone_that_staff_let_in_takes_no_other_device_away(self) -> None:
        """Red when it can say that it replaces the owner's, or crowd them out."""
        owner = self.device("are")
        self.browser(owner)
        (owners,) = owner.client.ok("get", "devices")["results"]
        phone = self.device("are", method="in_person", level=2, as_patient=True)
        assert phone.client.delete(f"devices/{owners['id']}").json()["code"] == "in_person_only"
        key = phone.client.ok("get", "push/key")["key"]
        for said in ({"replaces": owners["id"]}, *[{}] * 11):
            phone.client.post("devices", {"subscription": self.push.subscribe(key=key), **said})
        left = Address.objects.live().filter(user_id=owner.client.user_id, session__isnull=False)
        assert {one.session for one in left} == {owner.session.sid, phone.session.sid}
        assert left.count() == 2, "one phone, one device"

    def test_they_are_counted(self) -> None:
        phone, other = self.device("are"), self.device("are")
        self.browser(phone)
        self.browser(phone)
        found = {one["id"]: one["devices"] for one in phone.client.ok("get", "me/sessions")["results"]}
        assert found == {str(phone.session.sid): 2, str(other.session.sid): 0}

    def test_somebody_signed_in_is_told_to_the_others(self) -> None:
        phone = self.device("are")
        mine = self.browser(phone)
        self.device("are", kind="android")
        (told,) = Delivery.objects.filter(kind="notice")
        assert (told.urgent, told.user_id) == (False, phone.session.user_id)
        self.sent()
        assert len(mine.posts) == 1
        self.device("kari")
        assert Delivery.objects.filter(kind="notice").count() == 1, "of oneself alone"

    def test_not_to_the_device_that_it_is(self) -> None:
        """Signed in anew on the same telephone: it registers with the new session before the notice is due."""
        phone = self.device("are")
        mine = self.browser(phone)
        again = self.device("are")
        self.register(again, mine)
        self.sent()
        assert mine.posts == []

    def test_after_a_refresh_they_belong_to_it_still(self) -> None:
        phone = self.device("are")
        self.browser(phone)
        phone.again()
        (shown,) = phone.client.ok("get", "me/sessions")["results"]
        assert shown["devices"] == 1

    def test_signed_out_there_nothing_is_sent_there(self) -> None:
        lost, here = self.device("are"), self.device("are")
        gone, mine = self.browser(lost), self.browser(here)
        here.client.ok("delete", f"me/sessions/{lost.session.sid}")
        self.device("are")
        self.sent()
        assert (len(gone.posts), len(mine.posts)) == (0, 1)

    def test_a_reused_token_silences_them(self) -> None:
        phone = self.device("are")
        mine, stolen = self.browser(phone), phone.refresh
        phone.again()
        phone.wind(timedelta(minutes=2))
        refused("refresh_reused", stolen)
        self.device("are")
        self.sent()
        assert mine.posts == []

    def test_one_that_ran_out_is_no_reason_to_be_silent(self) -> None:
        phone = self.device("are")
        mine = self.browser(phone)
        Session.objects.filter(sid=phone.session.sid).update(ended_at=phone.row().read_at, end_reason="expired")
        assert Address.objects.heard().count() == 1
        self.device("are")
        self.sent()
        assert len(mine.posts) == 1
