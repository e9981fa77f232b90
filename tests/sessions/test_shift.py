"""A session for the shift: from a proof of the same working day, and never from another shift."""

from datetime import timedelta

from server.common.clock import now
from server.people.models import Session
from tests.alerts.base import HOUR, NightTestCase
from tests.base import Client
from tests.sessions.base import Device, Devices
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class StartShift(Devices, NightTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.mine = self.shift("nils")
        self.path = f"on-call/shifts/{self.mine.id}/start"

    def started(self, device: Device) -> Client:
        said = device.client.ok("post", self.path, {})
        client = Client()
        client.token = said["token"]
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {said['token']}")
        return client

    def session_of(self, client: Client) -> Session:
        sid = client.ok("get", "me")["session"]["id"]
        return Session.objects.get(sid=sid)

    def test_it_lasts_the_shift_and_nothing_prolongs_it(self) -> None:
        device = self.device("nils", kind="iphone")
        session = self.session_of(self.started(device))
        assert session.expiry == self.mine.ends + HOUR
        assert (session.refresh_digest, session.idle_until) == (None, None)
        assert (session.sign_in, session.level, session.device) == ("staff_oidc", 4, "iphone")

    def test_it_has_proved_nothing(self) -> None:
        """A telephone that is found at night opens no emergency access. Red when `strong_at` is handed down."""
        client = self.started(self.device("nils"))
        assert self.session_of(client).strong_at is None
        assert client.ok("get", "me")["session"]["proved_at"] is None
        client.ok("get", "on-call/now")

    def test_no_shift_is_started_from_a_shift(self) -> None:
        client = self.started(self.device("nils"))
        following = self.shift("nils", begins=self.mine.ends, ends=self.mine.ends + 12 * HOUR)
        type(following).objects.filter(id=following.id).update(begins=now())
        answer = client.post(f"on-call/shifts/{following.id}/start", {})
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_needed")
        sid = self.session_of(client).sid
        Session.objects.filter(sid=sid).update(strong_at=now(), strong_by="passkey")
        client.ok("post", f"on-call/shifts/{following.id}/start", {})

    def test_its_token_is_told_once_and_kept_nowhere(self) -> None:
        """Red when the answer that a retry gets has the token in it: whoever knows the shift's id asks for it again."""
        device, elsewhere = self.device("nils"), self.device("nils")
        again = {"HTTP_IDEMPOTENCY_KEY": str(self.mine.id)}
        told = device.client.post(self.path, {}, **again).json()
        assert told["token"]
        for one in (device, elsewhere):
            answer = one.client.post(self.path, {}, **again)
            assert answer.status_code == 201
            assert answer.json() == {**told, "token": None}
        Session.objects.filter(sid=elsewhere.session.sid).update(strong_at=None, strong_by="")
        assert elsewhere.client.post(self.path, {}, **again).json()["code"] == "step_up_needed"

    def test_the_proof_is_of_the_same_working_day(self) -> None:
        device = self.device("nils")
        Session.objects.filter(sid=device.session.sid).update(strong_at=now() - timedelta(hours=13))
        assert device.client.post(self.path, {}).json()["code"] == "step_up_needed"
        Session.objects.filter(sid=device.session.sid).update(strong_at=now() - timedelta(hours=11))
        device.client.ok("post", self.path, {})

    def test_it_is_listed_and_ended_like_others(self) -> None:
        device = self.device("nils")
        client = self.started(device)
        sid = self.session_of(client).sid
        assert str(sid) in {one["id"] for one in device.client.ok("get", "me/sessions")["results"]}
        device.client.ok("delete", f"me/sessions/{sid}")
        assert client.get("me").status_code == 401
