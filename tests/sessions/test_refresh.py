"""New tokens for old ones: once, the same for whoever asks twice, and the end for whoever comes later."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from knox.crypto import hash_token

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions
from server.people.actions.refresh import KEPT, forget_spent
from server.people.authentication import live_sessions, note_seen
from server.people.models import Engagement, Session, SpentRefresh, User
from tests.base import Client, TownPropertyTestCase, TownTestCase
from tests.sessions.base import Device, Devices, env, refused
from tests.support.served import sqlite_only

pytestmark = sqlite_only

GRACE_S = 30


class Refresh(Devices, TownTestCase):
    def test_new_tokens_open_and_old_ones_are_dead(self) -> None:
        phone = self.device("are")
        before = phone.token
        said = phone.again()
        assert set(said) == {"token", "refresh", "expires_at", "expires_in", "idle_until", "ends_at"}
        assert phone.client.ok("get", "me")["session"]["id"] == str(phone.session.sid)
        phone.carry(before)
        assert phone.client.get("me").json()["code"] == "unauthenticated"

    def test_nothing_of_it_is_kept_in_the_open(self) -> None:
        phone = self.device("are")
        said = phone.again()
        row = phone.row()
        stored = {str(value) for value in vars(row).values()} | {SpentRefresh.objects.get().digest}
        assert not stored & {said["token"], said["refresh"]}
        assert (row.digest, row.refresh_digest) == (hash_token(said["token"]), hash_token(said["refresh"]))

    def test_seconds_are_told_too(self) -> None:
        """A telephone whose clock is wrong counts them down. Red when they are those of the first answer."""
        phone = self.device("are")
        minutes = settings.ENV.access_minutes
        first = Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh})["expires_in"]
        assert minutes * 60 - 5 <= first <= minutes * 60
        for by, left in ((10, first - 600), (600, 0)):
            phone.wind(timedelta(minutes=by))
            again = Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh})["expires_in"]
            assert left - 5 <= again <= max(0, left)

    def test_again_within_the_grace_is_the_same_answer(self) -> None:
        """Two tabs, or an answer that got lost (law 3). Red when the second one is given tokens of its own."""
        phone = self.device("kari")
        first = Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh})
        phone.wind(timedelta(seconds=GRACE_S - 5))
        second = Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh})
        assert (second["token"], second["refresh"]) == (first["token"], first["refresh"])
        assert SpentRefresh.objects.count() == 1
        assert len(self.audit(type="session.refreshed")) == 1, "it is one act"
        phone.carry(first["token"])
        phone.client.ok("get", "me")

    def test_an_answer_that_was_lost_for_an_hour_is_given_again(self) -> None:
        """Nobody has used the new tokens, so nobody got them. Red when only the time counts: a tunnel signs people
        out."""
        phone = self.device("are")
        first = phone.refresh
        said = phone.again(used=False)
        phone.wind(timedelta(hours=1))
        again = Client().ok("post", "sign-in/refresh", {"refresh": first})
        assert (again["token"], again["refresh"]) == (said["token"], said["refresh"])
        phone.again()
        phone.client.ok("get", "me")
        phone.wind(timedelta(minutes=1))
        refused("refresh_reused", first)
        assert phone.row().end_reason == "refresh_reused"

    def test_a_request_in_flight_with_the_old_token_is_no_use_of_the_new_ones(self) -> None:
        """A telephone that wakes up asks for something and refreshes at once, and that answer is lost. Red when the
        session is marked as used by whatever token: its owner is signed out as a thief."""
        phone = self.device("nils")
        phone.wind(timedelta(minutes=12))
        meanwhile: list[Any] = []

        def interrupted(session: Session) -> None:
            meanwhile.append(Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh}))
            note_seen(session)

        with mock.patch("server.people.authentication.note_seen", interrupted):
            phone.client.ok("get", "me")
        phone.wind(timedelta(minutes=2))
        again = Client().ok("post", "sign-in/refresh", {"refresh": phone.refresh})
        assert [again["refresh"]] == [one["refresh"] for one in meanwhile]

    def test_one_whose_successor_was_refreshed_is_not_lost(self) -> None:
        phone = self.device("are")
        first = phone.refresh
        phone.again(used=False)
        phone.again(used=False)
        phone.wind(timedelta(minutes=1))
        refused("refresh_reused", first)

    def test_a_token_that_comes_back_later_ends_the_session(self) -> None:
        phone = self.device("are")
        stolen = phone.refresh
        phone.again()
        phone.wind(timedelta(seconds=GRACE_S + 1))
        refused("refresh_reused", stolen)
        row = phone.row()
        assert (row.end_reason, row.ended_at is not None) == ("refresh_reused", True)
        assert [one.reason for one in self.audit(type="session.ended")] == ["refresh_reused"]
        assert live_sessions([row.sid]) == {}
        # On every side: whoever had the newer tokens is told why, too.
        assert phone.client.get("me").json()["code"] == "refresh_reused"
        refused("refresh_reused", phone.refresh)
        refused("refresh_reused", stolen)
        assert len(self.audit(type="session.ended")) == 1

    def test_one_of_long_ago_too(self) -> None:
        phone = self.device("are")
        first = phone.refresh
        for _ in range(3):
            phone.again()
            phone.wind(timedelta(minutes=20))
        refused("refresh_reused", first)
        assert phone.row().ended_at is not None

    def test_its_owner_is_told_in_the_app(self) -> None:
        phone = self.device("are")
        stolen = phone.refresh
        phone.again()
        phone.wind(timedelta(minutes=1))
        refused("refresh_reused", stolen)
        told = self.device("are").client.ok("get", "duties")["results"]
        assert [(one["kind"], one["code"]) for one in told] == [("way_in_changed", "refresh_reused")]

    def test_an_expired_token_is_no_reason_to_refuse(self) -> None:
        phone = self.device("are")
        phone.wind(timedelta(days=40))
        assert phone.client.get("me").json()["code"] == "session_expired"
        phone.again()
        phone.client.ok("get", "me")

    def test_what_is_over_is_refused_and_says_why(self) -> None:
        ways: list[tuple[str, str, Callable[[Device], Any]]] = [
            ("kari", "session_ended", lambda one: actions.end_session(session=one.session, reason="x", actor=SYSTEM)),
            ("kari", "account_deactivated", lambda one: self._user(one).update(is_active=False)),
            ("kari", "engagement_ended", lambda one: self._engagement(one).update(valid_to=now())),
            ("are", "session_expired", lambda one: one.wind_to("ends_at", now())),
            ("kari", "session_expired", lambda one: one.wind_to("idle_until", now())),
        ]
        for who, code, way in ways:
            phone = self.device(who)
            before = phone.row().digest
            way(phone)
            refused(code, phone.refresh)
            assert phone.row().digest == before, code
            self._user(phone).update(is_active=True)
            Engagement.objects.update(valid_to=None)

    def test_the_grace_does_not_open_what_is_over(self) -> None:
        phone = self.device("are")
        first = phone.refresh
        phone.again()
        actions.end_session(session=phone.session, reason="signed_out", actor=SYSTEM)
        refused("session_ended", first)

    def test_what_nobody_was_given(self) -> None:
        phone = self.device("are")
        for wrong in ("", "x", "0" * 63, "g" * 64, "0" * 64, phone.token, phone.row().refresh_digest):
            answer = Client().post("sign-in/refresh", {"refresh": wrong})
            assert answer.status_code in (400, 401), wrong
        for body in ({}, {"refresh": None}, {"refresh": ["x"]}, ["x"], "x"):
            assert Client().post("sign-in/refresh", body).status_code in (400, 401)
        refused("unauthenticated", phone.token)
        assert phone.row().ended_at is None
        phone.again()

    def test_a_session_without_a_refresh_token_has_none(self) -> None:
        assert Session.objects.filter(user=self.person("kari").user_id).get().refresh_digest is None

    def test_whose_session_it_is_stays_the_same(self) -> None:
        """The row is known by another digest afterwards: what names it by `sid` goes on."""
        phone = self.device("kari")
        phone.client.ok("post", "me/engagement", {"engagement": str(self.engagement_of("kari").id)})
        before = phone.row()
        phone.again()
        after = phone.row()
        assert (after.sid, after.engagement_id, after.device) == (before.sid, before.engagement_id, before.device)
        assert Session.objects.filter(user_id=after.user_id).count() == 1
        phone.client.ok("post", "me/sign-out")
        refused("session_ended", phone.refresh)

    def test_used_tokens_of_what_ended_long_ago_are_forgotten(self) -> None:
        over, open_one = self.device("are"), self.device("are")
        first = over.refresh
        for one in (over, open_one):
            one.again()
        actions.end_session(session=over.session, reason="signed_out", actor=SYSTEM)
        assert forget_spent() == 0, "for a while it is still said why"
        Session.objects.filter(sid=over.session.sid).update(ended_at=now() - KEPT - timedelta(hours=1))
        assert forget_spent() == 1
        assert forget_spent() == 0
        assert set(SpentRefresh.objects.values_list("session_id", flat=True)) == {open_one.session.sid}
        for token in (first, over.refresh):
            refused("unauthenticated", token)

    def test_a_grace_of_nothing(self) -> None:
        phone = self.device("are")
        first = phone.refresh
        with env(refresh_grace_s=0):
            phone.again()
            phone.wind(timedelta(milliseconds=5))
            refused("refresh_reused", first)

    def _user(self, one: Device) -> Any:
        return User.objects.filter(id=one.session.user_id)

    def _engagement(self, one: Device) -> Any:
        return Engagement.objects.filter(sessions=one.session)


class InAnyOrder(Devices, TownPropertyTestCase):
    @given(gaps=st.lists(st.integers(0, 200), min_size=1, max_size=6))
    @hypothesis(max_examples=8, deadline=None)
    def test_whoever_keeps_the_newest_token_is_never_ended(self, gaps: list[int]) -> None:
        """However often they ask, and whatever answer gets lost within the grace."""
        self._arrive()
        phone = self.device("are")
        for gap in gaps:
            before = phone.refresh
            phone.again()
            phone.wind(timedelta(seconds=gap))
            if gap < GRACE_S - 5:  # the answer was lost: asked again
                phone.refresh = before
                phone.again()
        phone.client.ok("get", "me")
        assert phone.row().ended_at is None
