"""A page on its whole way, with a real push service and gateway: what is sent, what comes back, and what old buttons do
(law 7)."""

import json
from typing import Any

from server.alerts.models import AlertEvent
from server.audit.models import AuditEvent
from server.common.clock import now
from server.notify.models import Address
from tests.alerts.base import HOUR
from tests.alerts.ringing import RingingTestCase
from tests.base import Client
from tests.support.deliveries import deliver
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Pages(RingingTestCase):
    def types(self) -> list[str]:
        return list(AlertEvent.objects.order_by("n").values_list("type", flat=True))

    def call(self, body: dict[str, Any], what: str, **more: Any) -> Any:
        path, headers, raw = self.gateway.said(body, what, **more)
        headers = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
        return Client().generic("POST", path.removeprefix("/api/v1/"), raw, "application/json", **headers)

    def test_sent_received_and_accepted_are_three_facts(self) -> None:
        alert = self.pressed(note="Orker ikke mer")
        page = self.page()
        assert (page.topic, page.urgency, page.ttl) == (page["tag"], "high", 180)
        assert not {alert["id"], alert["id"].replace("-", "")} & {page.topic, page.topic.lower()}, "a MAC"
        assert "Trine" not in json.dumps(page)
        assert "Orker" not in json.dumps(page)
        assert "page_received" not in self.types()
        told = self.person("trine").ok("get", f"alerts/{alert['id']}")
        assert told["status"] == "registered", "that a push service took it is told to nobody"
        assert self.answer(page, "receipt").json() == {"state": "received"}
        told = self.person("trine").ok("get", f"alerts/{alert['id']}")
        assert told["status"] == "device_received"
        assert self.answer(page, "accept").json() == {"state": "accepted"}, "and nothing of anybody"
        assert self.answer(page, "accept").json() == {"state": "accepted"}, "again is the same"
        assert [one for one in self.types() if one in ("page_sent", "page_received", "accepted")] == [
            "page_sent",
            "page_received",
            "accepted",
        ]
        event = AuditEvent.objects.get(type="alert.accepted")
        assert (event.actor_id, event.sign_in, event.basis) == (self.user_id("nils"), "page_button", "page")
        assert self.alert().responder_id == self.user_id("nils")

    def test_the_others_devices_are_told_and_old_buttons_do_nothing(self) -> None:
        ida = self.device("ida")
        self.shift("ida")
        one = self.pressed()
        theirs, his = self.page(ida), self.page()
        self.person("mona").ok("post", f"alerts/{one['id']}/accept", {})
        for page in (theirs, his):
            lost = self.answer(page, "accept")
            assert (lost.status_code, lost.json()["code"]) == (409, "already_accepted")
        deliver()
        assert theirs.topic != his.topic, "two push services cannot tell that it is one call"
        for sub, page in ((ida, theirs), (self.nils, his)):
            [taken] = [message for message in self.push.received(sub) if message["kind"] == "taken"]
            assert taken.topic == page.topic, "in the place of the page"
            assert "Mona" not in json.dumps(taken)
        self.look(after=200)
        assert self.alert().generation == 1, "Mona has not called"
        old = self.answer(theirs, "accept")
        assert (old.status_code, old.json()["code"]) == (409, "old_page")
        assert self.alert().responder_id is None

    def test_an_accept_that_was_taken_from_them_says_so(self) -> None:
        """Said again, it tells how it stands: whoever believes that they have it does not go back to sleep on it."""
        one = self.pressed()
        page = self.page()
        assert self.answer(page, "accept").json() == {"state": "accepted"}
        self.look(after=200)
        assert self.alert().responder_id is None, "Nils has not called"
        for verb in ("accept", "decline"):
            lost = self.answer(page, verb)
            assert (lost.status_code, lost.json()["code"]) == (409, "old_page"), verb
        self.person("ida").ok("post", f"alerts/{one['id']}/accept", {})
        lost = self.answer(page, "accept")
        assert (lost.status_code, lost.json()["code"]) == (409, "already_accepted")
        assert set(lost.json()).isdisjoint({"accepted_by", "accepted_by_name"}), "a locked telephone tells nothing"
        in_app = self.person("nils").post(f"alerts/{one['id']}/accept", {})
        assert in_app.json()["accepted_by"] == str(self.user_id("ida")), "in the app it is told who has it"

    def test_the_telephone_rings_whatever_has_been_received_and_a_key_accepts(self) -> None:
        self.person("nils").ok("put", "me/reach", {"phone": "+4740000011"})
        self.pressed()
        assert self.answer(self.page(), "receipt").status_code == 200
        self.look(after=50)
        deliver()
        assert not self.gateway.of("voice")
        self.look(after=61)
        deliver()
        [call] = self.gateway.of("voice")
        assert call["to"] == "+4740000011"
        assert "Trine" not in json.dumps(call)
        assert self.call(call, "key", key="1").status_code == 200
        assert self.alert().responder_id == self.user_id("nils")
        assert AuditEvent.objects.get(type="alert.accepted").sign_in == "page_key"

    def test_a_device_that_is_gone_gives_way_at_once(self) -> None:
        self.person("nils").ok("put", "me/reach", {"phone": "+4740000011"})
        self.push.script(self.nils, [410])
        self.pressed()
        deliver()
        self.look()
        deliver()
        assert self.gateway.of("sms"), "the next channel, now"
        assert not Address.objects.filter(kind="push", disabled_at=None).exists()
        failed = AlertEvent.objects.get(type="page_failed")
        assert failed.code == "gone"

    def test_a_no_is_on_record_and_the_next_are_called(self) -> None:
        ida = self.device("ida")
        self.shift("ida", now() + 12 * HOUR)
        self.pressed()
        assert self.answer(self.page(), "decline").json() == {"state": "declined"}
        self.look()
        deliver()
        assert [one for one in self.push.received(ida) if one["kind"] == "page"], "at once"
        assert AuditEvent.objects.filter(type="alert.page_declined", actor_id=self.user_id("nils")).count() == 1

    def test_the_final_telephone_is_told_and_nobody_of_ours_has_it(self) -> None:
        for name in ("nils", "ida", "mona", "sara"):
            self.exclude(name)
        one = self.pressed()
        self.look(after=1)
        deliver()
        [call] = self.gateway.of("voice")[:1]
        assert call["to"] == self.programme.final_number
        assert not self.push.received(self.nils), "excluded from every step"
        assert self.call(call, "key", key="1").status_code == 200
        told = self.person("trine").ok("get", f"alerts/{one['id']}")
        assert told["responder"] is None
        assert "duty_phone_told" in [line["code"] for line in told["lines"]]
        assert self.alert().duty == "router", "people go on being called"
