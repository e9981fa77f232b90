"""Nils has quiet hours around the clock but for a minute, and messages are spread by five minutes: what he gets as one
who is on call comes at once all the same (M3)."""

from datetime import timedelta
from uuid import uuid4

from server.alerts import readiness, telling
from server.alerts.models import AlertKey
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.duties.models import Duty, Kind
from server.notify.models import Delivery
from server.people.actions import end_engagement, end_session
from server.people.models import Session
from tests.alerts.ringing import RingingTestCase
from tests.notify.test_quiet_hours import always_but
from tests.support.deliveries import deliver, means
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class OnCall(RingingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(means(push_hosts_allowed=[self.push.host], gateway_url=self.gateway.url, notice_spread_s=300))
        self.person("nils").ok("put", "me/quiet-hours", always_but(now()))

    def came(self) -> list[str]:
        deliver()
        return [one["kind"] for one in self.push.received(self.nils)]

    def test_pages_and_what_follows_them(self) -> None:
        """Red when a call for help waits for anything: quiet hours, or the spread of messages."""
        ida = self.device("ida")
        self.shift("ida")
        self.pressed(note="Trine")
        self.look()
        assert self.came() == ["page"]
        assert not Delivery.objects.filter(kind="page", due_at__gt=now()).exists()
        self.answer(self.page(ida), "accept")
        self.look()
        assert self.came() == ["page", "taken"]

    def test_the_test_before_a_shift(self) -> None:
        begins = now() + timedelta(hours=1)
        coming = self.shift("nils", begins, begins + timedelta(hours=8))
        assert readiness.ask(coming, now())
        assert self.came() == ["test"]

    def test_what_somebody_on_call_must_know(self) -> None:
        telling.notice([self.user_id("nils")], about=uuid4(), seed=uuid4(), urgent=True)
        telling.notice([self.user_id("nils")], about=uuid4(), seed=uuid4())
        assert self.came() == ["notice"], "the other one waits"

    def test_being_put_on_call_soon_is_told_at_once(self) -> None:
        """Red when whoever is put on call tonight hears of it in the morning."""
        for days, told in ((1 / 24, 1), (3, 0)):
            before = len(self.came())
            begins = now() + timedelta(days=days)
            said = {
                "user": str(self.user_id("nils")),
                "begins": begins.isoformat(),
                "ends": (begins + timedelta(hours=8)).isoformat(),
            }
            self.person("mona").ok("post", f"programmes/{self.programme.id}/overrides", said)
            assert len(self.came()) - before == told, days

    def test_who_has_left_is_called_no_more(self) -> None:
        """Ending an engagement ends its pushes: also of what was ordered before. Red when a page's keeper is not asked,
        for the device itself is not silent: they may be on call for somebody else."""
        self.pressed()
        self.look()
        end_engagement(engagement_id=self.engagement_of("nils").id, actor=SYSTEM, reason="left")
        telling.notice([self.user_id("nils")], about=uuid4(), seed=uuid4(), urgent=True)
        assert self.came() == []
        assert set(Delivery.objects.filter(channel="push").values_list("kind", "code")) == {
            ("page", "not_allowed"),
            ("notice", "signed_out"),
        }

    def test_who_signs_out_is_called_by_telephone(self) -> None:
        """The device is silent; whoever is on call is still reached. A step ends at once where nothing reaches them."""
        self.person("nils").ok("put", "me/reach", {"phone": "22225555"})
        self.person("nils").ok("post", "me/sign-out")
        self.pressed()
        self.look()
        self.look(after=61)
        assert self.came() == []
        assert Delivery.objects.filter(kind="page", channel="voice", user_id=self.user_id("nils")).exists()


class ANewKey(RingingTestCase):
    def test_the_patients_other_devices_and_who_leads_are_told(self) -> None:
        """Red when a key that somebody else has made stays unseen."""
        phone, tablet = self.sign_in("trine"), self.sign_in("trine")
        browsers = [self.push.subscribe() for _ in range(2)]
        for client, browser in zip((phone, tablet), browsers, strict=True):
            client.ok("post", "devices", {"subscription": browser})
        made = phone.ok("post", "alert-keys", {"label": "Mobilen"})
        deliver()
        assert [[one["kind"] for one in self.push.received(sub)] for sub in browsers] == [[], ["notice"]]
        (hers,) = Duty.objects.filter(user_id=self.user_id("trine"), kind=Kind.ALERT_KEY_MADE)
        (leads,) = Duty.objects.filter(kind=Kind.ALERT_KEY_MADE_TOLD)
        assert leads.user_id == self.user_id("mona")
        assert {str(hers.object_id), str(leads.object_id)} == {made["id"]} == {str(AlertKey.objects.get().id)}
        shown = [one["words"] for one in tablet.ok("get", "duties")["results"] if one["kind"] == "alert_key_made"]
        assert shown == [
            "En telefon kan nå be om hjelp i ditt navn. Er den ikke din, ta den bort, og si fra til teamet."
        ]
        assert made["key"] not in str(list(Delivery.objects.values())) + str(list(Duty.objects.values()))

    def test_a_session_that_ran_out_still_calls_and_is_still_told(self) -> None:
        """The patient's own phone: expiry ends nothing that a call for help needs (L5)."""
        phone = self.sign_in("trine")
        browser = self.push.subscribe()
        phone.ok("post", "devices", {"subscription": browser})
        key = phone.ok("post", "alert-keys", {})["key"]
        session = Session.objects.filter(user__username="trine").latest("created")
        end_session(session=session, reason="expired", actor=SYSTEM)
        self.sign_in("trine").ok("post", "alert-keys", {})
        deliver()
        assert [one["kind"] for one in self.push.received(browser)] == ["notice"]
        assert self.pressed(self.phone(key))
