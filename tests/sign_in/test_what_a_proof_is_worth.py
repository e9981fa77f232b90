"""What a provider's word is worth: since when somebody has proved who they are, and for which places of work."""

import time
from datetime import timedelta
from typing import Any

import jwt
import pyotp
import pytest
from django.db.models import F

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.errors import Forbidden
from server.people import actions
from server.people.actors import acting_in
from server.people.models import Engagement, HandOver, Session, User
from server.people.oidc.flow import strengthen
from tests.base import Client
from tests.sign_in.base import SignInTestCase
from tests.sign_in.front import PAR, TOKEN, Reply
from tests.sign_in.stage import EMPLOYER, STAFF, App

PATH = "me/step-up/provider/{}"


class Worth(SignInTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.kari_works()

    def proved_at(self, moment: Any) -> None:
        """The provider says that she proved who she is at this time."""

        def alter(reply: Reply) -> None:
            said = reply.said
            if "id_token" in said:
                claims = jwt.decode(said["id_token"], options={"verify_signature": False})
                reply.say({**said, "id_token": self.stage.sign({**claims, "auth_time": moment})})

        self.front.alter[TOKEN] = alter

    def works_elsewhere(self) -> Engagement:
        return actions.engage(
            user=User.objects.get(username="kari"),
            unit=self.engagement_of("sara").unit,
            role="psykolog",
            health_personnel=True,
            actor=SYSTEM,
        )

    def session(self, app: App | None = None) -> Session:
        return Session.objects.get(sid=(app or self.app).client.ok("get", "me")["session"]["id"])

    def fresh(self, client: Client) -> bool:
        return client.ok("get", "me/step-up")["fresh_until"] is not None


class SinceWhen(Worth):
    def test_who_was_signed_in_at_the_provider_already_has_proved_nothing_now(self) -> None:
        """On a ward's computer the provider lets in whoever sits down at it: no emergency access, no ways in."""
        since = int(time.time()) - 8 * 3600
        self.proved_at(since)
        self.app.sign_in("kari", STAFF)
        assert not any("max_age" in one.form for one in self.front.asks(PAR)), "signing in asks nobody anew"
        session = self.session()
        assert session.strong_at is not None
        assert (int(session.strong_at.timestamp()), session.strong_by) == (since, "staff_oidc")
        for path in ("me/passkeys/options", "me/recovery-codes", "me/totp"):
            answer = self.app.client.post(path, {})
            assert (answer.status_code, answer.json()["code"]) == (403, "step_up_needed"), path

    def test_who_proves_it_now_has(self) -> None:
        self.proved_at(int(time.time()) - 20)
        self.app.sign_in("kari", STAFF)
        assert self.fresh(self.app.client)

    def test_a_provider_that_does_not_say_when(self) -> None:
        self.app.sign_in("kari", STAFF)
        assert (self.session().strong_at, self.session().strong_by) == (None, "")
        assert not self.fresh(self.app.client)
        for odd in ("soon", None, True, -1, int(time.time()) + 3600):
            with self.subTest(odd=odd):
                app = App()
                self.proved_at(odd)
                app.sign_in("kari", STAFF)
                assert not self.fresh(app.client)

    def test_a_clock_that_is_a_little_ahead(self) -> None:
        self.proved_at(int(time.time()) + 30)
        self.app.sign_in("kari", STAFF)
        strong_at = self.session().strong_at
        assert strong_at is not None
        assert strong_at <= now()
        assert self.fresh(self.app.client)

    def test_a_proof_counts_from_when_it_was_given(self) -> None:
        """Not from when the app fetched it."""
        self.app.sign_in("kari", STAFF)
        since = int(time.time()) - 45
        self.proved_at(since)
        code = self.app.code("kari", STAFF, path=PATH)
        self.app.client.ok("post", "me/step-up/provider", {"code": code, "verifier": self.app.verifier})
        strong_at = self.session().strong_at
        assert strong_at is not None
        assert int(strong_at.timestamp()) == since


class ForWhom(Worth):
    def test_a_proof_ends_where_another_employer_begins(self) -> None:
        here, there = self.engagement_of("kari"), self.works_elsewhere()
        self.app.sign_in("kari", STAFF)
        self.app.client.ok("post", "me/engagement", {"engagement": str(there.id)})
        code = self.app.code("kari", EMPLOYER, path=PATH)
        self.app.client.ok("post", "me/step-up/provider", {"code": code, "verifier": self.app.verifier})
        assert self.fresh(self.app.client)
        self.app.client.ok("post", "me/engagement", {"engagement": str(there.id)})
        assert self.fresh(self.app.client), "the same place"
        self.app.client.ok("post", "me/engagement", {"engagement": str(here.id)})
        assert not self.fresh(self.app.client)
        self.app.client.ok("post", "me/engagement", {"engagement": str(there.id)})
        assert not self.fresh(self.app.client), "nor does it come back"

    def test_nor_is_it_carried_there_by_two_requests_at_once(self) -> None:
        """Each had read the session before the other changed it."""
        here, there = self.engagement_of("kari"), self.works_elsewhere()
        self.app.sign_in("kari", STAFF, engagement=str(there.id))
        sid = self.session().sid
        code = self.app.code("kari", EMPLOYER, path=PATH)
        begun = acting_in(Session.objects.in_full().get(sid=sid))
        actions.choose_engagement(acting=begun, engagement_id=here.id)
        with pytest.raises(Forbidden, match="other_provider"):
            strengthen(acting=begun, code=code, verifier=self.app.verifier)
        waits = acting_in(Session.objects.in_full().get(sid=sid))
        actions.choose_engagement(acting=begun, engagement_id=there.id)
        now_there = acting_in(Session.objects.in_full().get(sid=sid))
        strengthen(acting=now_there, code=code, verifier=self.app.verifier)
        actions.choose_engagement(acting=waits, engagement_id=here.id)
        assert not self.fresh(self.app.client)

    def test_an_employers_own_provider_makes_no_way_in_for_work_elsewhere(self) -> None:
        """What it lets in proves who somebody is at every place; it can only speak for its own."""
        self.works_elsewhere()
        self.app.sign_in("kari", STAFF)
        self.proved_at(int(time.time()))
        liar = App()
        liar.sign_in("kari", EMPLOYER)
        assert self.fresh(liar.client)
        for method, path in (
            ("post", "me/totp"),
            ("delete", "me/totp"),
            ("post", "me/recovery-codes"),
            ("post", "me/passkeys/options"),
            ("delete", f"me/passkeys/{self.user_id('kari')}"),
        ):
            answer = getattr(liar.client, method)(path, {})
            assert (answer.status_code, answer.json()["code"]) == (403, "other_provider"), path
        assert {one.reason for one in self.audit(type="totp.begun")} == {"other_provider"}

    def test_nor_by_proving_it_there_in_a_session_of_another(self) -> None:
        there = self.works_elsewhere()
        self.app.sign_in("kari", STAFF, engagement=str(there.id))
        code = self.app.code("kari", EMPLOYER, path=PATH)
        self.app.client.ok("post", "me/step-up/provider", {"code": code, "verifier": self.app.verifier})
        assert self.app.client.post("me/totp", {}).json()["code"] == "other_provider"

    def test_it_ends_no_session_of_work_elsewhere(self) -> None:
        there = self.works_elsewhere()
        self.app.sign_in("kari", STAFF)
        same = App()
        same.sign_in("kari", STAFF, engagement=str(there.id))
        self.proved_at(int(time.time()))
        liar = App()
        liar.sign_in("kari", EMPLOYER)
        answer = liar.client.delete(f"me/sessions/{self.session().sid}")
        assert (answer.status_code, answer.json()["code"]) == (403, "other_provider")
        assert liar.client.delete("me/sessions").status_code == 204
        assert self.app.client.get("me").status_code == 200
        assert same.client.get("me").status_code == 401, "of work there it may"
        assert liar.client.delete(f"me/sessions/{self.session(liar).sid}").status_code == 204, "and itself"

    def test_where_all_her_work_is_there_she_does_it_all(self) -> None:
        actions.end_engagement(engagement_id=self.engagement_of("kari").id, actor=SYSTEM, reason="left")
        self.works_elsewhere()
        self.proved_at(int(time.time()))
        self.app.sign_in("kari", EMPLOYER)
        secret = self.app.client.ok("post", "me/totp", {})["secret"]
        self.app.client.ok("post", "me/totp/confirm", {"code": pyotp.TOTP(secret).at(int(now().timestamp()))})
        assert len(self.app.client.ok("post", "me/recovery-codes", {})["codes"]) == 10


class Meanwhile(Worth):
    def test_a_sign_in_that_waits_ends_with_the_number_that_led_to_it(self) -> None:
        code = self.app.code("kari", STAFF)
        actions.record_identity(username="kari", number="05489000042", actor=SYSTEM)
        assert self.app.exchange(code).json()["code"] == "sign_in_code"

    def test_and_with_the_account(self) -> None:
        code = self.app.code("kari", STAFF)
        user = User.objects.get(username="kari")
        actions.deactivate_user(user_id=user.id, actor=SYSTEM, reason="test")
        User.objects.filter(id=user.id).update(is_active=True)
        assert self.app.exchange(code).json()["code"] == "sign_in_code"


class Twice(Worth):
    """The answer to an exchange may be lost on a bad line; then the app asks again."""

    def test_the_same_app_gets_the_same_session(self) -> None:
        code = self.app.code("are")
        first = self.app.exchange(code).json()
        assert self.app.exchange(code).json() == first
        assert Session.objects.filter(sign_in="citizen_oidc").count() == 1
        assert len(self.audit(type="session.started", actor_id=first["user"])) == 1
        other = App()
        assert other.exchange(code).json()["code"] == "sign_in_code", "without the verifier nobody gets it"

    def test_not_once_it_has_been_used(self) -> None:
        code = self.app.code("are")
        first = self.app.exchange(code).json()
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {first['token']}")
        assert client.get("me").status_code == 200
        assert self.app.exchange(code).json()["code"] == "sign_in_code"

    def test_not_once_it_is_over_or_refreshed(self) -> None:
        code = self.app.code("are")
        first = self.app.exchange(code).json()
        Client().ok("post", "sign-in/refresh", {"refresh": first["refresh"]})
        assert self.app.exchange(code).json()["code"] == "sign_in_code"
        again = App()
        code = again.code("are")
        again.exchange(code)
        Session.objects.filter(ended_at=None, user__username="are").update(ended_at=now(), end_reason="test")
        assert again.exchange(code).json()["code"] == "sign_in_code"

    def test_not_after_the_minute_nor_for_another_place(self) -> None:
        here, there = self.engagement_of("kari"), self.works_elsewhere()
        code = self.app.code("kari", STAFF)
        assert self.app.exchange(code, engagement=str(there.id)).status_code == 200
        assert self.app.exchange(code, engagement=str(here.id)).status_code == 400
        assert self.app.exchange(code, engagement=str(there.id)).status_code == 200
        HandOver.objects.update(expires_at=F("expires_at") - timedelta(seconds=60))
        assert self.app.exchange(code, engagement=str(there.id)).status_code == 400


class Tabs(Worth):
    def test_two_tabs_sign_in(self) -> None:
        tab = App()
        first = tab.visit(tab.begin(way="browser"), "are")
        second = tab.visit(tab.begin(way="browser"), "are")
        assert tab.come_back(first).status_code == 303
        assert tab.come_back(second).status_code == 303
        assert [
            one for one in tab.client.cookies.values() if one.key.startswith("samsnakk_sign_in") and one.value
        ] == []

    def test_who_begins_again_and_again_fills_no_browser(self) -> None:
        tab = App()
        urls = [tab.visit(tab.begin(way="browser"), "are") for _ in range(6)]
        kept = [one for one in tab.client.cookies.values() if one.key.startswith("samsnakk_sign_in") and one.value]
        assert len(kept) == 4
        assert tab.come_back(urls[-1]).status_code == 303
