"""The worker as it runs: threads of its own, on both engines."""

import threading
import time
from datetime import timedelta
from unittest import mock

from server.common.ids import new_id
from server.notify import lanes, ports, worker
from server.notify.actions import Order, enqueue
from server.notify.models import Address, Delivery
from server.operate.loops import Loop, start
from tests.base import TownTransactionTestCase
from tests.notify.base import Told
from tests.support.deliveries import means
from tests.support.push_service import PushService, Subscription


class Running(TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.push = self.enterContext(PushService())
        self.enterContext(means(push_hosts_allowed=[self.push.host], send_limit_s=3.0))
        self.keeper = Told()
        self.enterContext(mock.patch.object(ports.PAGES, "_bound", self.keeper))
        self.stop = threading.Event()

    def tearDown(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(10)
        assert worker.wait_idle(10)
        super().tearDown()

    def run_loops(self, count: int = 1, every_s: float = 5.0) -> None:
        self.threads = start(self.stop, [Loop(f"notify-{n}", worker.tick, every_s, worker.WAKE) for n in range(count)])

    def device(self) -> tuple[Subscription, Address]:
        browser = self.push.subscribe()
        said = self.person("nils").ok("post", "devices", {"subscription": browser})
        return browser, Address.objects.get(id=said["id"])

    def order(self, address: Address, topic: str = "alert") -> Delivery:
        made = new_id()
        enqueue(
            [
                Order(
                    id=made,
                    kind="page",
                    about=made,
                    user_id=address.user_id,
                    channel="push",
                    address_id=address.id,
                    urgent=True,
                    ttl_s=60,
                    topic=topic,
                )
            ]
        )
        return Delivery.objects.get(id=made)

    def settled(self, count: int, timeout_s: float = 15.0) -> None:
        ends = time.monotonic() + timeout_s
        while Delivery.objects.filter(state="accepted").count() < count:
            assert time.monotonic() < ends, list(Delivery.objects.values_list("state", "code"))
            time.sleep(0.02)

    def test_woken_after_the_commit(self) -> None:
        """The loop sleeps for 5 s, and a page is there long before."""
        browser, address = self.device()
        self.run_loops()
        begun = time.monotonic()
        self.order(address)
        self.push.wait(browser, timeout_s=4)
        assert time.monotonic() - begun < 3
        self.settled(1)
        assert self.keeper.told == [("sent",)]

    def test_one_that_hangs_holds_up_nobody(self) -> None:
        slow, slow_address = self.device()
        quick, quick_address = self.device()
        self.push.script(slow, ["hang"] * 3)
        for n in range(3):
            self.order(slow_address, f"slow-{n}")
        self.run_loops(every_s=0.1)
        self.push.wait(slow, 3, posts=True)
        begun = time.monotonic()
        self.order(quick_address)
        self.push.wait(quick)
        assert time.monotonic() - begun < 2
        self.settled(1)

    def test_two_workers_send_each_once(self) -> None:
        browser, address = self.device()
        for n in range(25):
            self.order(address, f"t{n}")
        self.run_loops(2, every_s=0.05)
        self.push.wait(browser, 25)
        self.settled(25)
        assert len(self.push.posts(browser)) == 25
        assert self.keeper.told == [("sent",)] * 25
        assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
        assert worker.wait_idle(5)
        assert lanes.free() == lanes.SIZES

    def test_what_takes_its_time_stays_ours(self) -> None:
        """Beyond the lease's own length nobody else takes it, as long as we are at it. Mutation: renew nothing."""
        browser, address = self.device()
        self.push.script(browser, ["hang"])
        with mock.patch.multiple(worker, LEASE=timedelta(seconds=0.6), RENEWED_AFTER_S=0.1):
            self.run_loops(2, every_s=0.1)
            page = self.order(address)
            self.push.wait(browser, posts=True)
            time.sleep(1.5)
            assert len(self.push.posts(browser)) == 1
            page.refresh_from_db()
            assert (page.state, page.attempts) == ("leased", 1)
            with mock.patch.object(worker, "HELD_S", 0.0):  # as if it took for ever
                self.push.wait(browser, 2, posts=True, timeout_s=5)
