"""Pushes to a push service on this machine, which answers as they do in the world and decrypts what it gets."""

from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import override_settings

from server.audit.metrics import REGISTRY
from server.common.clock import now
from server.notify import actions, worker
from server.notify.channels import webpush
from server.notify.jobs import Job
from server.notify.models import Address, Delivery
from server.notify.sealed import Place
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, make_due, means
from tests.support.served import sqlite_only

pytestmark = sqlite_only


def counted(code: str, channel: str = "push") -> float:
    return REGISTRY.get_sample_value("samsnakk_deliveries_total", {"channel": channel, "code": code}) or 0.0


class WhatItGets(NotifyTestCase):
    def test_a_page(self) -> None:
        browser, address = self.device()
        page = self.order(address, language="nb")
        before = counted("accepted")
        assert deliver() == 1
        (message,) = self.push.received(browser)
        assert dict(message) == {
            "kind": "page",
            "title": "Vakt: svar nå",
            "tag": "alert-1",
            "sound": "page",
            "token": actions.page_token(page.id),
            "actions": ["accept", "decline"],
        }
        assert (message.ttl, message.topic, message.urgency) == (60, "alert-1", "high")
        assert message.claims["aud"] == self.push.url
        page.refresh_from_db()
        address.refresh_from_db()
        assert (page.state, page.code, page.attempts, page.lease, page.due_at) == (
            "accepted",
            "accepted",
            1,
            None,
            None,
        )
        assert page.accepted_at == address.accepted_at
        assert address.received_at is None, "the provider's word proves nothing of the device"
        assert self.keeper.told == [("sent",)]
        assert counted("accepted") == before + 1

    def test_a_message(self) -> None:
        browser, address = self.device("are")
        self.order(address, kind="message", urgent=False, ttl_s=86_400, topic="room-1", language="nn")
        deliver()
        (message,) = self.push.received(browser)
        assert dict(message) == {
            "kind": "message",
            "title": "Du har ei ny melding",
            "tag": "room-1",
            "sound": "message",
        }
        assert (message.ttl, message.urgency) == (86_400, "normal")

    def test_nothing_tells_kinds_apart_by_length(self) -> None:
        lengths = set()
        for kind in ("page", "taken", "message", "test", "notice"):
            for language in ("nb", "nn", "en"):
                row = self.user_id("nils")
                job = Job(row, row, kind, "push", Place(), "", language, True, 60, "t" * 32, 1, now())
                lengths.add(len(webpush.payload(job).encode()))
        assert lengths == {webpush.BLOCK}

    def test_the_same_id_is_sent_once(self) -> None:
        browser, address = self.device()
        page = self.order(address)
        self.order(address, id=page.id, topic="another")
        deliver()
        assert len(self.push.posts(browser)) == 1

    def test_the_urgent_first(self) -> None:
        browser, address = self.device()
        self.order(address, kind="message", urgent=False, topic="slow")
        self.order(address, topic="quick")
        deliver()
        assert [one["tag"] for one in self.push.received(browser)] == ["quick", "slow"]


class WhatItAnswers(NotifyTestCase):
    def attempt(self, *answers: object, **more: object) -> Delivery:
        self.browser, self.address = self.device()
        self.push.script(self.browser, list(answers))  # type: ignore[arg-type]
        page = self.order(self.address, **more)
        deliver()
        page.refresh_from_db()
        self.address.refresh_from_db()
        return page

    def test_gone(self) -> None:
        for status in (404, 410):
            self.keeper.told.clear()
            page = self.attempt(status)
            assert (page.state, page.code) == ("failed", "gone")
            assert self.address.disabled_because == "gone"
            assert self.keeper.told == [("failed", "gone", True)]
            assert not actions.reachable([self.address.user_id]).get(self.address.user_id)

    def test_what_was_for_a_device_that_is_gone(self) -> None:
        page = self.attempt(410)
        later = self.order(self.address)
        deliver()
        later.refresh_from_db()
        assert (later.state, later.code) == ("failed", "gone")
        assert len(self.push.posts(self.browser)) == 1, "not even tried"
        assert self.keeper.told == [("failed", "gone", True)] * 2
        assert page.lease is None

    def test_too_large(self) -> None:
        page = self.attempt(413)
        assert (page.state, page.code) == ("failed", "too_large")
        assert self.address.disabled_at is None

    def test_too_many(self) -> None:
        for said in ("120", format_datetime(now() + timedelta(seconds=120), usegmt=True)):
            self.keeper.told.clear()
            page = self.attempt((429, said))
            assert (page.state, page.code) == ("waiting", "throttled")
            assert page.due_at is not None
            assert timedelta(seconds=110) < page.due_at - now() < timedelta(seconds=125)
            assert self.keeper.told == [("failed", "throttled", False)], "the next channel now"
            make_due()
            deliver()
            page.refresh_from_db()
            assert page.state == "accepted"
            assert self.keeper.told[-1] == ("sent",)

    def test_an_error_of_theirs(self) -> None:
        page = self.attempt(500, 503, 502, 500, 201)
        for wait in (2, 5, 15):
            assert page.state == "waiting"
            assert page.due_at is not None
            assert timedelta(seconds=wait - 1) < page.due_at - now() <= timedelta(seconds=wait)
            make_due()
            deliver()
            page.refresh_from_db()
        assert (page.state, page.code, page.attempts) == ("failed", "provider_error", 4)
        assert self.keeper.told == [("failed", "provider_error", False)] * 3 + [("failed", "provider_error", True)]

    def test_our_keys(self) -> None:
        for status in (401, 403):
            before = REGISTRY.get_sample_value("samsnakk_audit_alarms_total") or 0.0
            page = self.attempt(status)
            assert (page.state, page.code) == ("failed", "keys_refused")
            assert REGISTRY.get_sample_value("samsnakk_audit_alarms_total") == before + 1

    def test_silence(self) -> None:
        page = self.attempt("silence")
        assert page.state == "accepted"
        assert page.received_at is None
        assert self.push.received(self.browser) == []

    def test_a_redirect_is_not_followed(self) -> None:
        before = self.push.connections
        page = self.attempt("redirect")
        assert (page.state, page.code) == ("failed", "redirect")
        assert self.push.connections == before + 1

    def test_it_breaks_off(self) -> None:
        page = self.attempt("reset")
        assert (page.state, page.code) == ("waiting", "reset")

    def test_nonsense(self) -> None:
        page = self.attempt("garbage")
        assert (page.state, page.code) == ("waiting", "bad_answer")

    def test_it_hangs_or_drips(self) -> None:
        for answer in ("hang", "drip"):
            with means(push_hosts_allowed=[self.push.host], send_limit_s=0.4):
                page = self.attempt(answer)
                assert (page.state, page.code) == ("waiting", "timeout")

    def test_nobody_listens(self) -> None:
        _browser, address = self.device()
        self.push.__exit__()
        page = self.order(address)
        deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("waiting", "unreachable")

    def test_a_retry_that_would_come_too_late(self) -> None:
        browser, address = self.device()
        page = self.order(address)
        self.push.script(browser, [(429, "500")])
        Delivery.objects.update(expires_at=now() + timedelta(seconds=30))
        deliver()
        page.refresh_from_db()
        assert (page.state, page.due_at) == ("failed", None)
        assert self.keeper.told == [("failed", "throttled", True)]

    def test_too_old_to_be_sent(self) -> None:
        browser, address = self.device()
        page = self.order(address)
        Delivery.objects.update(expires_at=now() - timedelta(seconds=1))
        deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "expired")
        assert self.keeper.told == [("failed", "expired", True)]
        assert self.push.posts(browser) == []

    def test_the_address_is_inside_by_now(self) -> None:
        """A name that was public when the device was registered, and is not when it is sent to (DNS rebinding)."""
        browser, address = self.device()
        page = self.order(address)
        with means(push_hosts_allowed=[]):
            deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "forbidden_host")
        assert self.push.posts(browser) == []

    def test_proxies_of_the_environment_are_ignored(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                patch.setenv(name, "http://127.0.0.1:9")
            assert self.attempt(201).state == "accepted"


class TheWorker(NotifyTestCase):
    def test_access_has_ended_meanwhile(self) -> None:
        browser, address = self.device()
        page = self.order(address)
        self.keeper.may = False
        deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("dropped", "not_allowed")
        assert self.push.posts(browser) == []
        assert self.keeper.told == []

    def test_each_attempt_asks_again(self) -> None:
        browser, address = self.device()
        self.push.script(browser, [500])
        page = self.order(address)
        deliver()
        make_due()
        deliver()
        assert self.keeper.asked == [page.id, page.id]

    def test_dropped(self) -> None:
        _browser, address = self.device()
        old, new = self.order(address, generation=1), self.order(address, generation=2)
        Delivery.objects.update(about=old.about)
        assert actions.drop(about=old.about, below_generation=2) == 1
        deliver()
        old.refresh_from_db()
        new.refresh_from_db()
        assert (old.state, new.state) == ("dropped", "accepted")
        assert actions.drop(about=old.about) == 0

    def test_dropped_while_it_is_being_sent(self) -> None:
        _browser, address = self.device()
        page = self.order(address)
        leased = worker._lease(worker.lanes.free())
        job = worker._prepare(leased[0])
        assert job is not None
        actions.drop(about=page.about)
        worker._send(job)
        page.refresh_from_db()
        assert page.state == "dropped"
        assert self.keeper.told == [], "what it was told was undone"

    def test_a_worker_that_died(self) -> None:
        """Its lease runs out, and another sends it again; what the first comes back with is not written."""
        browser, address = self.device()
        page = self.order(address)
        first = worker._prepare(worker._lease(worker.lanes.free())[0])
        assert deliver() == 0, "leased"
        make_due()
        assert deliver() == 1
        page.refresh_from_db()
        assert (page.state, page.attempts) == ("accepted", 2)
        told = list(self.keeper.told)
        assert first is not None
        worker._send(first)
        assert self.keeper.told == told
        assert set(self.push.shown(browser)) == {"alert-1"}, "one notification, though two were sent"

    def test_the_clock_stepped_back(self) -> None:
        """What was put there, failed or was leased before that lies far ahead now; it is due all the same."""
        _browser, address = self.device()
        ahead = {
            "new": self.order(address, topic="a"),
            "retried": self.order(address, topic="b"),
            "leased": self.order(address, topic="c"),
            "throttled": self.order(address, topic="d"),
            "message": self.order(address, kind="message", urgent=False, topic="e"),
        }
        waits = ahead["throttled"].id, ahead["message"].id
        Delivery.objects.exclude(id__in=waits).update(due_at=now() + timedelta(seconds=70))
        Delivery.objects.filter(id__in=waits).update(due_at=now() + timedelta(hours=1))
        Delivery.objects.filter(id=ahead["retried"].id).update(attempts=1, code="timeout")
        Delivery.objects.filter(id=ahead["leased"].id).update(state="leased", lease=uuid4(), attempts=1)
        Delivery.objects.filter(id=ahead["throttled"].id).update(attempts=1, code="throttled")
        assert deliver() == len(ahead)
        assert set(Delivery.objects.values_list("state", flat=True)) == {"accepted"}

    def test_waits_that_are_meant_are_waited(self) -> None:
        _browser, address = self.device()
        throttled, spread = self.order(address, topic="a"), self.order(address, topic="b", kind="message", urgent=False)
        longest = now() + timedelta(seconds=600)
        Delivery.objects.update(due_at=longest)
        Delivery.objects.filter(id=throttled.id).update(attempts=1, code="throttled")
        retried = self.order(address, topic="c")
        Delivery.objects.filter(id=retried.id).update(attempts=3, code="timeout", due_at=now() + timedelta(seconds=15))
        assert deliver() == 0
        assert Delivery.objects.get(id=spread.id).state == "waiting"

    def test_a_keeper_that_fails_holds_up_nobody(self) -> None:
        _browser, address = self.device()
        page = self.order(address)
        self.keeper.fault = RuntimeError("of the test")
        with self.assertLogs("server.notify.worker", "ERROR"):
            deliver()
        page.refresh_from_db()
        assert page.state == "leased", "due again when the lease runs out"
        self.keeper.fault = None
        make_due()
        deliver()
        page.refresh_from_db()
        assert page.state == "accepted"

    def test_no_more_than_there_are_threads_for(self) -> None:
        _browser, address = self.device()
        for number in range(20):
            self.order(address, topic=f"t{number}")
        room = dict.fromkeys(worker.lanes.free(), 0) | {("push", True): 3}
        assert len(worker._lease(room)) == 3
        assert worker._lease(dict.fromkeys(room, 0)) == []

    def test_quiet_statements_when_nothing_is_due(self) -> None:
        with self.assertNumQueries(2):  # the time, and whether there is any
            assert worker.tick() == 0

    def test_one_key_file_less(self) -> None:
        _browser, address = self.device()
        page = self.order(address)
        with override_settings(DEMO=False), means(vapid_key_file=Path("/nowhere/vapid.pem")):
            assert actions.reachable([address.user_id]) == {}
            deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "not_configured")
        assert Address.objects.live().filter(id=address.id).exists()
