"""Rooms whose people have devices, with a push service behind them."""

from typing import Any

from server.rooms import notices
from server.rooms.models import Member
from server.rooms.notices import HEARD
from tests.base import Opened
from tests.support.deliveries import deliver, means
from tests.support.push_service import PushService, Subscription


class Devices:
    """People have devices; a notice is due at once, unless a test says otherwise."""

    room: Opened
    devices: dict[str, Subscription]

    def start(self: Any) -> None:
        self.push = self.enterContext(PushService())
        self.settings(notice_after_s=0)
        self.devices = {}

    def settings(self: Any, **env: Any) -> None:
        self.enterContext(means(**{"push_hosts_allowed": [self.push.host], "notice_spread_s": 0, **env}))

    def device(self: Any, name: str) -> Subscription:
        browser: Subscription = self.push.subscribe(key=self.person(name).ok("get", "push/key")["key"])
        self.person(name).ok("post", "devices", {"subscription": browser})
        self.devices[name] = browser
        return browser

    def tick(self) -> int:
        HEARD.everything()
        return notices.tick()

    def told(self: Any) -> dict[str, int]:
        """Look, send, and say how many notices each device has had."""
        self.tick()
        deliver()
        return {name: len(found) for name, sub in self.devices.items() if (found := self.push.posts(sub))}

    def read(self: Any, name: str, seq: int) -> None:
        self.person(name).ok("put", f"{self.room.path}/read", {"seq": seq})

    def member(self, name: str) -> Member:
        return Member.objects.get(room_id=self.room.id, user__username=name)
