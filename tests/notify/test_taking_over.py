"""Nobody silences another's devices: not a phone that staff let in, nor who knows but a device's address (L5)."""

from server.duties.models import Duty
from server.notify import actions
from server.notify.models import Address
from tests.base import Client
from tests.notify.base import NotifyTestCase
from tests.sessions.base import Device, Devices, env
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class TakingOver(Devices, NotifyTestCase):  # type: ignore[misc]
    signed_in = Devices.device

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(env(in_person_may=["read", "write", "consent"], push_hosts_allowed=[self.push.host]))

    def let_in(self, who: str = "are") -> Device:
        return self.signed_in(who, method="in_person", level=2, as_patient=True)

    def browser(self, client: Client) -> Subscription:
        return self.push.subscribe(key=client.ok("get", "push/key")["key"])

    def registered(self, client: Client) -> tuple[Subscription, str]:
        browser = self.browser(client)
        return browser, client.ok("post", "devices", {"subscription": browser})["id"]

    def refused(self, client: Client, browser: Subscription, code: str, **more: str) -> None:
        answer = client.post("devices", {"subscription": browser, **more})
        assert answer.json().get("code") == code, answer.content

    def because(self, device: str) -> str:
        return Address.objects.get(id=device).disabled_because

    def test_a_phone_let_in_replaces_none_but_its_own(self) -> None:
        owner, phone = self.signed_in("are").client, self.let_in().client
        browser, owners = self.registered(owner)
        self.refused(phone, self.browser(phone), "in_person_only", replaces=owners)
        self.refused(phone, Subscription(browser["endpoint"]), "in_person_only")
        assert self.because(owners) == ""
        first = self.registered(phone)[1]
        second = phone.ok("post", "devices", {"subscription": self.browser(phone), "replaces": first})["id"]
        third = self.registered(phone)[1]
        assert [self.because(one) for one in (owners, first, second, third)] == ["", "replaced", "replaced", ""]
        (ended,) = self.audit(type="device.replaced", object_id=first)
        assert str(ended.actor_id) == str(phone.user_id)

    def test_a_phone_let_in_pushes_none_out(self) -> None:
        owner = self.signed_in("are").client
        owners = [self.registered(owner)[1] for _ in range(10)]
        phone = self.let_in().client
        self.refused(phone, self.browser(phone), "in_person_only")
        assert {self.because(one) for one in owners} == {""}
        newest = self.registered(owner)[1]
        assert [self.because(owners[0]), self.because(newest)] == ["replaced", ""]
        assert self.audit(type="device.replaced", object_id=owners[0])

    def test_let_in_again_on_the_same_phone(self) -> None:
        browser, device = self.registered(self.let_in().client)
        again = self.let_in().client
        assert again.ok("post", "devices", {"subscription": browser})["id"] == device

    def test_who_knows_its_address_does_not_get_it(self) -> None:
        nils = self.signed_in("nils").client
        browser, device = self.registered(nils)
        nid = self.user_id("nils")
        self.refused(self.signed_in("ida").client, Subscription(browser["endpoint"]), "push_endpoint")
        self.refused(self.let_in().client, browser, "in_person_only")
        assert self.because(device) == ""
        assert nid in actions.reachable([nid])

    def test_whose_device_goes_is_told(self) -> None:
        nils = self.signed_in("nils").client
        browser, device = self.registered(nils)
        nid = self.user_id("nils")
        self.signed_in("ida").client.ok("post", "devices", {"subscription": browser})
        assert self.because(device) == "replaced"
        assert Duty.objects.filter(user_id=nid, kind="way_in_changed", code="device_moved").count() == 1
        assert [one.record_ids for one in self.audit(type="device.moved")] == [[str(nid)]]

    def test_who_has_signed_out_there_is_not(self) -> None:
        nils = self.signed_in("nils").client
        browser, _ = self.registered(nils)
        nils.ok("post", "me/sign-out")
        self.let_in().client.ok("post", "devices", {"subscription": browser})
        assert not Duty.objects.filter(code="device_moved").exists()
