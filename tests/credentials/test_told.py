"""Whose way in it is learns of it on their other devices, and nobody reads there what it is."""

from server.notify.models import Delivery
from tests.base import TownTestCase
from tests.credentials.base import Proving
from tests.doors.house import open_means
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only


@sqlite_only
class OtherDevices(Proving, TownTestCase):
    def test_every_device_but_the_one_that_did_it(self) -> None:
        """Red when the device in hand is told too, or no other; or when a push says what it is about."""
        with open_means():
            here, elsewhere = self.sign_in("kari"), self.sign_in("kari")
            for name, client in (("here", here), ("elsewhere", elsewhere)):
                client.ok("post", "devices", {"subscription": Subscription(f"http://127.0.0.1:9/{name}")})
            self.register(here)
            (sent,) = Delivery.objects.filter(user_id=here.user_id, kind="notice")
            there = elsewhere.ok("get", "me/sessions")["results"]
            assert sent.address is not None
            assert str(sent.address.session) == next(one["id"] for one in there if one["this"])
            (told,) = here.ok("get", "duties")["results"]
            assert (told["kind"], told["code"]) == ("way_in_changed", "passkey_added")
            assert "passkey" not in sent.topic
