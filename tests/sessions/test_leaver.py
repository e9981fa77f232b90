"""Nils leaves: one act of his employer's, and every access he had is over; what he wrote and did stays where it is."""

import time
from typing import Any

import pytest

from server.alerts import readiness
from server.alerts.demo import build_programme
from server.alerts.models import Programme, Shift
from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.errors import Forbidden
from server.common.ids import new_id
from server.gateway import frames
from server.notify.models import Delivery
from server.people import actions as people
from server.people.actions.sessions import sign_in_lasting
from server.people.models import HandOver, Passkey, Patient, RecoveryCode, TotpSecret, Unit, User
from tests.alerts.base import HOUR, Night
from tests.base import Client, Opened, TownTestCase
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone
from tests.gateway.test_talk import post
from tests.sessions.base import Device, Devices, refused
from tests.support.deliveries import SECRET, deliver, make_due, means
from tests.support.gateway_sink import GatewaySink
from tests.support.push_service import PushService, Subscription
from tests.support.served import sqlite_only

ENDS_S = 1.0
NUMBER = "+4799000021"


def prove_nils() -> None:
    """He has all that proves who he is, and a sign-in under way."""
    nils = User.objects.get(username="nils")
    Passkey.objects.create(id=new_id(), user=nils, credential_id=b"c" * 16, public_key=b"k", device="other")
    TotpSecret.objects.create(id=new_id(), user=nils, sealed=b"s", confirmed_at=now())
    RecoveryCode.objects.create(id=new_id(), user=nils, code_digest="0" * 128)
    HandOver.objects.create(
        code_digest="1" * 128,
        challenge="x" * 43,
        user=nils,
        provider="helse",
        method="staff_oidc",
        level=4,
        as_patient=False,
        expires_at=now() + HOUR,
    )


def left() -> list[int]:
    """How many of those are still good: passkeys, one-time codes, recovery codes, sign-ins under way."""
    nils = User.objects.get(username="nils")
    return [
        Passkey.objects.filter(user=nils, removed_at=None).count(),
        TotpSecret.objects.filter(user=nils, removed_at=None).count(),
        RecoveryCode.objects.filter(user=nils, replaced_at=None).count(),
        HandOver.objects.filter(user=nils, used_at=None).count(),
    ]


class Leaver(Devices, GatewayTestCase, Night):
    """`heartbeat_s` is long: what closes is the hint."""

    shared = False
    heartbeat_s = 60.0
    mobile: Device
    desktop: Device
    at_night: Client
    browser: Subscription
    feed: str

    def setUp(self) -> None:
        super().setUp()
        self.programme = build_programme()
        self.push = self.enterContext(PushService())
        self.sink = self.enterContext(GatewaySink(secret=SECRET))
        self.enterContext(means(push_hosts_allowed=[self.push.host], gateway_url=self.sink.url))

    def before(self) -> None:
        """A working night: two devices and the shift's session, a calendar, a room, and Trine's call, which he has."""
        self.room: Opened = self.open_shared_room("kari", propose=("nils",))
        self.post(self.room, "nils", "Vi ses i morgen.")
        self.mobile, self.desktop = self.device("nils", kind="iphone"), self.device("nils", kind="windows")
        self.browser = self.push.subscribe(key=self.mobile.client.ok("get", "push/key")["key"])
        self.mobile.client.ok("post", "devices", {"subscription": self.browser, "name": "Mobilen"})
        self.mobile.client.ok("put", "me/reach", {"phone": NUMBER, "email": ""})
        Shift.objects.all().delete()
        mine, self.next = self.shift("nils"), self.shift("nils", begins=now() + 24 * HOUR)
        started = self.mobile.client.ok("post", f"on-call/shifts/{mine.id}/start", {})
        self.at_night = Client()
        self.at_night.token = started["token"]
        self.at_night.credentials(HTTP_AUTHORIZATION=f"Bearer {started['token']}")
        said = {"programme": str(self.programme.id), "whole_team": True}
        self.feed = self.mobile.client.ok("post", "on-call/feeds", said)["url"].split("/api/v1/")[1]
        prove_nils()
        self.call = self.pressed()
        self.mobile.client.ok("post", f"alerts/{self.call['id']}/accept", {})

    def waiting(self) -> None:
        """A page, a notice and a message are on their way to him: nothing of it has been sent."""
        self.post(self.room, "kari", "Kan du se på dette?")
        assert Delivery.objects.filter(user__username="nils").exists(), "Trine's call was paged to him"
        make_due()

    def leaves(self) -> None:
        engagement = self.engagement_of("nils").id
        people.end_engagement(engagement_id=engagement, actor=SYSTEM, reason="left")

    async def sockets(self, gateway: Any) -> list[Phone]:
        found = []
        for token in (self.mobile.token, self.desktop.token, self.at_night.token):
            found.append(await self.connect(gateway))
            await found[-1].hello(token)
        return found

    async def test_everything_ends_at_once_and_what_he_did_stays(self) -> None:
        await self.rest(self.before)
        await self.rest(self.waiting)
        async with self.gateway() as gateway:
            sockets = await self.sockets(gateway)
            kari = await self.connect(gateway)
            await kari.hello((await self.rest(self.person, "kari")).token)
            began = time.monotonic()
            await self.rest(self.leaves)
            for one in sockets:
                assert await one.until_closed() == frames.SESSION_ENDED
            assert time.monotonic() - began < ENDS_S + SLACK_S, "within a second"
            post(kari, self.room, "Er du der?")
            await kari.wait(lambda frame: frame["type"] in ("posted", "error"))
            assert all("Er du der?" not in one.bodies(self.room) for one in sockets)
        await self.rest(self.nothing_is_open)
        await self.rest(self.nothing_is_sent)
        await self.rest(self.nobody_waits_for_him)
        await self.rest(self.the_record_stays)

    def nothing_is_open(self) -> None:
        for client in (self.mobile.client, self.desktop.client, self.at_night):
            for path in ("me", self.room.path, f"alerts/{self.call['id']}"):
                answer = client.get(path)
                assert (answer.status_code, answer.json()["code"]) == (401, "session_ended"), path
        for device in (self.mobile, self.desktop):
            refused("session_ended", device.refresh)
        assert Client().get(self.feed).status_code == 404
        assert left() == [0, 0, 0, 0]
        nils = User.objects.get(username="nils")
        with pytest.raises(Forbidden, match="no_engagement"):
            sign_in_lasting(user=nils, method="staff_oidc", level=4, device="other")

    def nothing_is_sent(self) -> None:
        make_due()
        deliver()
        assert self.browser.posts == []
        assert NUMBER not in str(self.sink.orders)

    def nobody_waits_for_him(self) -> None:
        """Trine's call goes to others, and who leads the team is told of the night that he was to have."""
        self.look()
        row = self.alert(self.call["id"])
        assert (row.state, row.responder_id) == ("paging", None) or row.responder_id is None
        readiness.tell_of_gaps(Programme.objects.get(id=self.programme.id), now())
        told = self.person("mona").ok("get", "duties")["results"]
        assert "roster_gap" in {one["kind"] for one in told}
        team = self.person("mona").ok("get", f"programmes/{self.programme.id}/team")["results"]
        assert str(self.user_id("nils")) not in {one["user"] for one in team}

    def the_record_stays(self) -> None:
        said = [one["content"]["body"] for one in self.events(self.room) if one["type"] == "message"]
        assert "Vi ses i morgen." in said
        assert "nils" not in {name for name, one in self.members(self.room).items() if one["state"] == "joined"}
        done = set(AuditEvent.objects.filter(actor_id=self.user_id("nils")).values_list("type", flat=True))
        assert {"session.started", "message.posted", "alert.accepted", "shift.started"} <= done
        (ended,) = AuditEvent.objects.filter(type="engagement.ended")
        assert str(self.user_id("nils")) in str(ended.record_ids)


@sqlite_only
class WorksElsewhereToo(Devices, TownTestCase):
    """Nils has a second place of work."""

    def given(self) -> None:
        unit = Unit.objects.get(name="Holmen psykisk helse")
        nils = User.objects.get(username="nils")
        self.first = self.engagement_of("nils").id
        self.other = people.engage(user=nils, unit=unit, role="sykepleier", health_personnel=True, actor=SYSTEM).id
        prove_nils()

    def test_what_proves_who_he_is_stays_and_so_does_the_other_session(self) -> None:
        here, there = self.device("nils"), self.device("nils")
        there.client.ok("post", "me/engagement", {"engagement": str(self.other)})
        people.end_engagement(engagement_id=self.first, actor=SYSTEM, reason="left")
        assert here.client.get("me").status_code == 401
        there.client.ok("get", "me")
        there.again()
        assert left() == [1, 1, 1, 1]
        people.end_engagement(engagement_id=self.other, actor=SYSTEM, reason="left")
        assert left() == [0, 0, 0, 0]
        assert len(self.audit(type="user.ways_in_ended")) == 1

    def test_a_nurse_who_is_a_patient_keeps_them(self) -> None:
        Patient.objects.filter(user__username="are").update(user=User.objects.get(username="nils"))
        for one in (self.first, self.other):
            people.end_engagement(engagement_id=one, actor=SYSTEM, reason="left")
        assert left()[:3] == [1, 1, 1]
