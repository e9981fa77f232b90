"""Devices, reach, receipts and answers, over REST."""

from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.test import override_settings

from server.common.clock import now
from server.common.errors import Conflict
from server.notify import actions, vapid
from server.notify.models import Address, Delivery
from server.notify.sealed import open_place
from server.people.models import Session
from tests.base import Client
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, means
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Devices(NotifyTestCase):
    def test_registered_listed_removed(self) -> None:
        nils = self.person("nils")
        browser, address = self.device("nils")
        (said,) = nils.ok("get", "devices")["results"]
        assert said["id"] == str(address.id)
        assert (said["name"], said["received_at"], said["current"]) == ("Min telefon", None, True)
        assert browser["endpoint"] not in str(said), "whoever knows it may send to it"
        assert open_place(address).endpoint == browser["endpoint"]
        assert address.session == Session.objects.get(user=address.user).sid
        assert self.person("ida").delete(f"devices/{address.id}").status_code == 404
        nils.ok("delete", f"devices/{address.id}")
        assert nils.delete(f"devices/{address.id}").status_code == 404
        assert nils.ok("get", "devices")["results"] == []
        assert [one.type for one in self.audit(object_id=address.id)] == ["device.registered", "device.removed"]

    def test_nothing_lies_open(self) -> None:
        browser, _address = self.device()
        self.person("nils").ok("put", "me/reach", {"phone": "22225555", "email": "nils@example.org"})
        for row in Address.objects.values():
            assert not any(word in str(row) for word in (browser["endpoint"], "22225555", "example.org", "Min telefon"))

    def test_again_it_is_renewed(self) -> None:
        browser, address = self.device()
        renewed = Subscription(browser["endpoint"])
        self.person("nils").ok("post", "devices", {"subscription": renewed})
        (found,) = Address.objects.live()
        assert found.id == address.id
        assert open_place(found).p256dh == renewed["keys"]["p256dh"]

    def test_on_a_shared_phone_it_speaks_to_whoever_came_last(self) -> None:
        browser, before = self.device("are")
        self.person("trine").ok("post", "devices", {"subscription": browser})
        before.refresh_from_db()
        assert before.disabled_because == "replaced"
        self.order(before, kind="message", urgent=False)
        deliver()
        assert self.push.posts(browser) == []

    def test_ten_at_most(self) -> None:
        made = [self.device()[1] for _ in range(12)]
        live = set(Address.objects.live().values_list("id", flat=True))
        assert live == {one.id for one in made[2:]}

    def test_a_retry_is_the_same_act(self) -> None:
        said = {"subscription": self.push.subscribe()}
        first, second = (
            self.person("nils").post("devices", said, headers={"Idempotency-Key": "one"}) for _ in range(2)
        )
        assert (first.status_code, first.json()) == (201, second.json())

    def test_what_is_refused(self) -> None:
        nils, keys = self.person("nils"), Subscription("x")["keys"]
        for subscription, code in (
            ({"endpoint": "http://push.example.com/x", "keys": keys}, "scheme"),
            ({"endpoint": "https://127.0.0.1/x", "keys": keys}, "address"),
            ({"endpoint": "https://10.0.0.1/x", "keys": keys}, "address"),
            ({"endpoint": "https://a@push.example.com/x", "keys": keys}, "endpoint"),
            ({"endpoint": "https://push.example.com/x", "keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "keys"),
        ):
            answer = nils.post("devices", {"subscription": subscription})
            assert (answer.status_code, answer.json()["code"]) == (400, "push_endpoint"), answer.json()
            assert answer.json()["errors"][0]["code"] == code
        for body in ({}, {"subscription": []}, {"subscription": {"endpoint": 1}}, {"subscription": None}, []):
            assert nils.post("devices", body).status_code == 400

    def test_no_key_no_push(self) -> None:
        with mock.patch.object(vapid, "keys", return_value=()):
            for answer in (
                self.person("nils").get("push/key"),
                self.person("nils").post("devices", {"subscription": self.push.subscribe()}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (409, "no_push_here")

    def test_a_key_of_ours_that_is_not_in_use_any_more(self) -> None:
        _, address = self.device()
        with mock.patch.object(vapid, "keys", return_value=vapid.parsed(vapid.new_pem())[0]):
            assert actions.reachable([address.user_id]) == {}
            assert self.person("nils").ok("get", "devices")["results"][0]["current"] is False


class Tests(NotifyTestCase):
    def test_it_has_to_come_back(self) -> None:
        browser, address = self.device()
        self.person("nils").ok("post", f"devices/{address.id}/test")
        deliver()
        (message,) = self.push.received(browser)
        assert (message["kind"], message["title"], message["sound"]) == ("test", "Prøve av varslene dine", "page")
        assert self.person("nils").ok("get", "devices")["results"][0]["received_at"] is None
        nobody = Client()
        assert nobody.ok("post", f"pages/{message['token']}/receipt") == {"state": "received"}
        assert self.person("nils").ok("get", "devices")["results"][0]["received_at"] is not None
        assert nobody.post(f"pages/{message['token']}/accept").status_code == 404, "there is nothing to accept"

    def test_one_at_a_time(self) -> None:
        """Whoever presses it a hundred times, with a device that does not answer, holds up one thread and not all."""
        _, address = self.device()
        nils = self.person("nils")
        first, again = (nils.ok("post", f"devices/{address.id}/test")["id"] for _ in range(2))
        assert first == again
        assert Delivery.objects.filter(kind="test").count() == 1
        deliver()
        assert nils.ok("post", f"devices/{address.id}/test")["id"] != first, "that one is under way"
        _, other = self.device()
        assert nils.ok("post", f"devices/{other.id}/test")["id"] not in (first, again)
        assert Delivery.objects.filter(kind="test").count() == 3

    def test_ones_own_alone(self) -> None:
        _, address = self.device("nils")
        assert self.person("ida").post(f"devices/{address.id}/test").status_code == 404

    def test_nothing_to_send_it_with(self) -> None:
        said = self.person("nils").ok("put", "me/reach", {"phone": "22225555"})
        answer = self.person("nils").post(f"devices/{said['phone_id']}/test")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_means")


class Reach(NotifyTestCase):
    def test_set_changed_and_taken_away(self) -> None:
        nils = self.person("nils")
        first = nils.ok("put", "me/reach", {"phone": "22 22 55 55", "email": "nils@example.org"})
        assert (first["phone"], first["email"]) == ("+4722225555", "nils@example.org")
        same = nils.ok("put", "me/reach", {"phone": "+47 22225555", "email": "nils@example.org"})
        assert same == first, "what is known of it is kept"
        other = nils.ok("put", "me/reach", {"phone": "22225556", "email": ""})
        assert other["phone_id"] != first["phone_id"]
        assert nils.ok("get", "me/reach") == other
        assert (other["email"], other["email_id"]) == ("", None)
        assert [one.type for one in self.audit(type="reach.set")] == ["reach.set"] * 3

    def test_staff_alone(self) -> None:
        for answer in (self.person("are").get("me/reach"), self.person("are").put("me/reach", {"phone": "22225555"})):
            assert (answer.status_code, answer.json()["code"]) == (403, "staff_only")

    def test_what_is_no_number_is_not_repeated(self) -> None:
        answer = self.person("nils").put("me/reach", {"phone": "12 hemmelig", "email": "hemmelig"})
        assert answer.status_code == 400
        assert "hemmelig" not in answer.content.decode()


class Reachable(NotifyTestCase):
    def test_in_one_statement(self) -> None:
        _, _phone = self.device("nils")
        _, other = self.device("ida")
        self.person("nils").ok("put", "me/reach", {"phone": "22225555", "email": "nils@example.org"})
        users = [self.user_id(one) for one in ("nils", "ida", "mona")]
        with means(gateway_url="http://127.0.0.1:1"), self.assertNumQueries(1):
            found = actions.reachable(users)
        assert sorted(one.channel for one in found[users[0]]) == ["push", "sms", "voice"]
        assert [(one.channel, one.address_id) for one in found[users[1]]] == [("push", other.id)]
        assert users[2] not in found

    def test_the_device_that_works_first(self) -> None:
        _, quiet = self.device()
        _, works = self.device()
        Address.objects.filter(id=works.id).update(received_at=now() - timedelta(days=1))
        (found,) = actions.reachable([works.user_id]).values()
        assert [one.address_id for one in found] == [works.id, quiet.id]

    def test_nobody_whose_account_is_closed(self) -> None:
        _, address = self.device()
        type(address.user).objects.filter(id=address.user_id).update(is_active=False)
        assert actions.reachable([address.user_id]) == {}


class Answers(NotifyTestCase):
    def page(self, **more: Any) -> tuple[Delivery, str]:
        _, address = self.device()
        page = self.order(address, **more)
        deliver()
        self.keeper.told.clear()
        return page, actions.page_token(page.id)

    def test_accepted_once(self) -> None:
        page, token = self.page()
        nobody = Client()
        for _ in range(2):
            assert nobody.ok("post", f"pages/{token}/accept") == {"state": "accepted"}
        assert nobody.ok("post", f"pages/{token}/decline") == {"state": "accepted"}, "what was done first"
        asked_anew = [("answered", True, "button")] * 3
        assert self.keeper.told == asked_anew, "whoever answers owns what it is about: only they know how it stands"
        page.refresh_from_db()
        assert (page.answered, page.received_at is not None) == ("accept", True)

    def test_declined(self) -> None:
        _page, token = self.page()
        assert Client().ok("post", f"pages/{token}/decline") == {"state": "declined"}
        assert self.keeper.told == [("answered", False, "button")]

    def test_a_receipt_is_told_once(self) -> None:
        page, token = self.page()
        for _ in range(2):
            assert Client().ok("post", f"pages/{token}/receipt") == {"state": "received"}
        assert self.keeper.told == [("received",)]
        assert Address.objects.get(id=page.address_id).received_at is not None

    def test_too_late(self) -> None:
        page, token = self.page()
        self.keeper.taken = True
        answer = Client().post(f"pages/{token}/accept")
        assert (answer.status_code, answer.json()["code"]) == (409, "already_accepted")
        page.refresh_from_db()
        assert page.answered == ""

    def test_an_accept_that_does_not_stand_any_more(self) -> None:
        _page, token = self.page()
        assert Client().ok("post", f"pages/{token}/accept") == {"state": "accepted"}
        self.keeper.taken = True
        for verb in ("accept", "decline"):
            answer = Client().post(f"pages/{token}/{verb}")
            assert (answer.status_code, answer.json()["code"]) == (409, "already_accepted"), verb

    def test_a_token_does_not_tell_who_has_it(self) -> None:
        """It lies on a locked device: the code is all."""
        _page, token = self.page()
        taken = Conflict(code="already_accepted", extra={"accepted_by": str(uuid4()), "accepted_by_name": "Ida Moen"})
        with mock.patch.object(self.keeper, "answered", side_effect=taken):
            answer = Client().post(f"pages/{token}/accept").json()
        assert answer["code"] == "already_accepted"
        assert not {"accepted_by", "accepted_by_name"} & set(answer)
        assert "Ida" not in str(answer)

    def test_a_duty_telephone_is_nobodys(self) -> None:
        page = self.order(channel="voice", to="+4755555555")
        with mock.patch.object(self.keeper, "answered", return_value={"state": "told"}):
            assert actions.answered(token=actions.page_token(page.id), accept=True) == {"state": "told"}
        assert actions.answered(token=actions.page_token(page.id), accept=True) == {"state": "told"}

    def test_answered_at_the_same_moment(self) -> None:
        """The other answer is written between what the keeper was told and our own: the keeper's is undone."""
        page, token = self.page()
        page = Delivery.objects.with_end().get(id=page.id)
        told = self.keeper.answered

        def meanwhile(delivery: Delivery, accept: bool, note: str) -> dict[str, object]:
            Delivery.objects.filter(id=page.id).update(answered="decline")
            return told(delivery, accept, note)

        # In one transaction, as here, the other's answer is undone with ours: it is what a second look finds.
        looks = mock.patch("server.notify.actions.answers._find", side_effect=[page, _declined(page)])
        with mock.patch.object(self.keeper, "answered", meanwhile), looks:
            assert actions.answered(token=token, accept=True) == {"state": "declined"}

    def test_no_token(self) -> None:
        page, token = self.page()
        forged = actions.page_token(uuid4())
        other = ("A" if token[-5] != "A" else "B").join((token[:-5], token[-4:]))
        for wrong in (forged, other, token[:-1], token + "A", "x", "æ", "%00", "." * 43, str(page.id)):
            for verb in ("receipt", "accept", "decline"):
                answer = Client().post(f"pages/{wrong}/{verb}")
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), wrong
        with override_settings(SECRET_KEY="another"):
            assert Client().post(f"pages/{token}/accept").status_code == 404
        assert self.keeper.told == []

    def test_of_messages_there_is_nothing_to_answer(self) -> None:
        _page, token = self.page(kind="message", urgent=False)
        assert Client().post(f"pages/{token}/accept").status_code == 404
        assert Client().ok("post", f"pages/{token}/receipt") == {"state": "received"}


def _declined(page: Delivery) -> Delivery:
    found = Delivery.objects.get(id=page.id)
    found.answered = "decline"
    return found
