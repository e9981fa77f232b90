"""A session that a person has ended is silent on its device, pages too; one that ran out is not (L5)."""

from datetime import timedelta
from typing import Any

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.notify import actions, upkeep
from server.notify.models import Address, CallbackSeen, Delivery
from server.operate import restoring
from server.people.actions import end_all_sessions, end_session
from server.people.models import Session
from tests.base import Client
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, means
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ALL = ("page", "taken", "message", "notice", "test")


class Silence(NotifyTestCase):
    def on(self, client: Client) -> tuple[Subscription, Address]:
        """Whoever is signed in there registers the device."""
        browser = self.push.subscribe(key=client.ok("get", "push/key")["key"])
        return browser, Address.objects.get(id=client.ok("post", "devices", {"subscription": browser})["id"])

    def end(self, address: Address, reason: str) -> None:
        end_session(session=Session.objects.get(sid=address.session), reason=reason, actor=SYSTEM)

    def shown(self, browser: Subscription, address: Address) -> list[str]:
        """One of each kind is ordered: what comes."""
        before = len(self.push.received(browser))
        for kind in ALL:
            self.order(address, kind=kind, urgent=kind in ("page", "taken"), topic=kind)
        deliver()
        return sorted(one["kind"] for one in self.push.received(browser)[before:])

    def test_signing_out_ends_everything_there_and_nothing_elsewhere(self) -> None:
        first, second = self.sign_in("nils"), self.sign_in("nils")
        (lost, gone), (kept, other) = self.on(first), self.on(second)
        waiting = self.order(gone)
        first.ok("post", "me/sign-out")
        assert self.shown(lost, gone) == []
        assert self.shown(kept, other) == sorted(ALL)
        waiting.refresh_from_db()
        assert (waiting.state, waiting.code) == ("failed", "signed_out")
        assert ("failed", "signed_out", True) in self.keeper.told, "the next channel now"
        assert [one.address_id for one in actions.reachable([gone.user_id])[gone.user_id]] == [other.id]
        assert [one["id"] for one in second.ok("get", "devices")["results"]] == [str(other.id)]
        assert second.post(f"devices/{gone.id}/test").status_code == 404

    def test_signed_out_from_elsewhere(self) -> None:
        """A phone that was stolen."""
        stolen, mine = self.sign_in("nils"), self.sign_in("nils")
        browser, address = self.on(stolen)
        mine.ok("delete", f"me/sessions/{address.session}")
        assert self.shown(browser, address) == []

    def test_whatever_reason_a_person_or_a_thief_gave(self) -> None:
        for reason in ("refresh_reused", "account_deactivated", "something_new"):
            browser, address = self.on(self.sign_in("nils"))
            self.end(address, reason)
            assert self.shown(browser, address) == [], reason

    def test_one_that_ran_out_silences_nobody(self) -> None:
        """Who sleeps beside the telephone has done nothing: they are paged, and told. Red when it silences them."""
        browser, address = self.on(self.sign_in("nils"))
        self.end(address, "expired")
        assert self.shown(browser, address) == sorted(ALL)
        assert address.user_id in actions.reachable([address.user_id])

    def test_where_work_is_over_pages_are_their_keepers_to_refuse(self) -> None:
        """They may be on call for somebody else."""
        browser, address = self.on(self.sign_in("nils"))
        self.end(address, "engagement_ended")
        assert self.shown(browser, address) == ["page", "taken", "test"]
        self.keeper.may = False
        assert self.shown(browser, address) == ["test"]

    def test_a_back_up_put_back_silences_nobody_on_call(self) -> None:
        """Who sleeps beside the telephone does not know that they must sign in again."""
        browser, address = self.on(self.sign_in("nils"))
        while end_all_sessions(reason=restoring.REASON):
            pass
        assert self.shown(browser, address) == ["page", "taken", "test"]
        assert address.user_id in actions.reachable([address.user_id])
        upkeep.tick()
        address.refresh_from_db()
        assert address.disabled_at is None

    def test_signed_in_again_it_speaks_again(self) -> None:
        first = self.sign_in("nils")
        browser, address = self.on(first)
        first.ok("post", "me/sign-out")
        self.sign_in("nils").ok("post", "devices", {"subscription": browser})
        address.refresh_from_db()
        assert self.shown(browser, address) == sorted(ALL)

    def test_a_number_is_no_sessions(self) -> None:
        client = self.sign_in("nils")
        client.ok("put", "me/reach", {"phone": "22225555", "email": "nils@example.org"})
        client.ok("post", "me/sign-out")
        with means(gateway_url="http://127.0.0.1:1"):
            (found,) = actions.reachable([self.user_id("nils")]).values()
        assert {"sms", "voice"} <= {one.channel for one in found}

    def test_a_page_that_lies_on_its_screen(self) -> None:
        """Whoever holds a stolen phone takes no call for help in its owner's name. Red when the button counts."""
        for reason, status in (("signed_out_elsewhere", 409), ("expired", 200)):
            _browser, address = self.on(self.sign_in("nils"))
            page = self.order(address)
            deliver()
            self.end(address, reason)
            token = actions.page_token(page.id)
            assert Client().ok("post", f"pages/{token}/receipt") == {"state": "received"}
            for verb in ("decline", "accept"):
                answer = Client().post(f"pages/{token}/{verb}")
                assert answer.status_code == status, (reason, verb)
                assert status == 200 or answer.json()["code"] == "old_page"
            page.refresh_from_db()
            assert page.answered == ("" if status == 409 else "decline")

    def test_what_was_accepted_before_stands(self) -> None:
        _browser, address = self.on(self.sign_in("nils"))
        page = self.order(address)
        deliver()
        token = actions.page_token(page.id)
        assert Client().ok("post", f"pages/{token}/accept") == {"state": "accepted"}
        self.end(address, "signed_out")
        assert Client().ok("post", f"pages/{token}/accept") == {"state": "accepted"}


class Upkeep(NotifyTestCase):
    def test_it_is_silent_for_good(self) -> None:
        """Should the session's row ever go, the device does not come back."""
        one, two = self.sign_in("nils"), self.sign_in("nils")
        made: list[Any] = []
        for client in (one, two):
            said = client.ok("post", "devices", {"subscription": self.push.subscribe()})
            made.append(Address.objects.get(id=said["id"]))
        one.ok("post", "me/sign-out")
        assert upkeep.tick() == 1
        assert upkeep.tick() == 0
        for address, because in zip(made, ("signed_out", ""), strict=True):
            address.refresh_from_db()
            assert address.disabled_because == because
        assert not Delivery.objects.exists()

    def test_what_the_gateway_said_is_forgotten_after_a_week(self) -> None:
        for days in (0, 6, 8):
            CallbackSeen.objects.create(event=f"00000000-0000-0000-0000-{days:012}", at=now() - timedelta(days=days))
        assert upkeep.tick() == 1
        assert (
            CallbackSeen.objects.filter(at__gt=now() - timedelta(days=7)).count() == CallbackSeen.objects.count() == 2
        )
