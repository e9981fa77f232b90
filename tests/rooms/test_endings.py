"""What ends access without anybody answering anything: engagements, agreements, time (L6, law 5)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions as people
from server.people.models import Agreement, Engagement, Unit
from server.rooms import access, permits
from server.rooms.models import Member, Span
from tests.base import Opened, TownTestCase


class Endings(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "kari", "før")

    def status(self, name: str, path: str = "/events") -> int:
        code: int = self.person(name).get(self.room.path + path).status_code
        return code

    def test_an_engagement_ends_and_so_does_every_access(self) -> None:
        """Red when `finish_engagement` does not call its port, or the session outlives the engagement."""
        assert self.status("frida") == 200
        people.end_engagement(engagement_id=self.engagement_of("frida").id, actor=SYSTEM, reason="left")
        for path in ("", "/events", "/members", "/receipts"):
            assert self.status("frida", path) == 401, "the session acted for it"
        left = self.events(self.room)[-1]
        assert (left["type"], left["content"]["user"]) == ("member_left", str(self.user_id("frida")))
        assert left["content"]["reason"] == "engagement"
        assert not Span.objects.filter(member__user__username="frida", until=None).exists()
        assert self.status("vera") == 200

    def test_a_new_engagement_gives_no_access_back(self) -> None:
        """Another unit, or the same again: consent was for the person in that unit, through that engagement."""
        frida = self.engagement_of("frida")
        people.end_engagement(engagement_id=frida.id, actor=SYSTEM, reason="left")
        for unit in (frida.unit, Unit.objects.get(name="Ytre DPS")):
            people.engage(user=frida.user, unit=unit, role="fastlege", health_personnel=True, actor=SYSTEM)
            client = self.sign_in("frida")
            assert client.ok("get", "rooms")["results"] == []
            assert client.get(f"{self.room.path}/events").status_code == 404
            Engagement.objects.filter(user=frida.user, ended_at=None).update(ended_at=now())

    def test_acting_for_another_engagement_the_room_is_not_there(self) -> None:
        """L6: the engagement acted for is part of every act. Red when `fits` answers true."""
        frida = self.engagement_of("frida")
        other = people.engage(
            user=frida.user,
            unit=Unit.objects.get(name="Ytre DPS"),
            role="lege",
            health_personnel=True,
            actor=SYSTEM,
        )
        client = self.person("frida")
        client.ok("post", "me/engagement", {"engagement": str(other.id)})
        assert client.ok("get", "rooms")["results"] == []
        for path in ("", "/events", "/members", "/receipts"):
            assert client.get(self.room.path + path).status_code == 404
        assert client.post(f"{self.room.path}/messages", {"txn_id": "a", "body": "hei"}).status_code == 404
        assert client.get(self.room.asks).status_code == 404
        client.ok("post", "me/engagement", {"engagement": str(frida.id)})
        assert client.get(f"{self.room.path}/events").status_code == 200

    def test_an_agreement_ends_and_everybody_across_is_out(self) -> None:
        """L6. Red when `agreement_ended` settles no room."""
        people.end_agreement(agreement_id=Agreement.objects.get().id, actor=SYSTEM, reason="expired")
        assert [self.status(name) for name in ("kari", "frida", "vera", "are")] == [200, 404, 404, 200]
        left = [one for one in self.events(self.room) if one["type"] == "member_left"]
        assert {one["content"]["user"] for one in left} == {str(self.user_id("frida")), str(self.user_id("vera"))}
        assert {one["content"]["reason"] for one in left} == {"agreement"}
        self.post(self.room, "kari", "imens")
        parties = [one.controller for one in Agreement.objects.get().parties.select_related("controller")]
        people.register_agreement(title="ny", controllers=parties, actor=SYSTEM)
        self.change(self.room)
        assert self.status("vera") == 200
        assert "imens" not in str(self.events(self.room, "vera")), "what was written meanwhile stays unseen"
        assert "før" in str(self.events(self.room, "vera"))

    def test_one_of_two_agreements_ends_and_nothing_changes(self) -> None:
        first = Agreement.objects.get()
        parties = [one.controller for one in first.parties.select_related("controller")]
        people.register_agreement(title="ny", controllers=parties, actor=SYSTEM)
        people.end_agreement(agreement_id=first.id, actor=SYSTEM, reason="replaced")
        assert self.status("frida") == 200
        assert not [one for one in self.events(self.room) if one["type"] == "member_left"]

    def test_a_patient_who_is_staff_elsewhere_does_not_see_their_room_from_there(self) -> None:
        are = self.person("are")
        engagement = people.engage(
            user=self.engagement_of("kari").user.__class__.objects.get(id=are.user_id),
            unit=self.engagement_of("kari").unit,
            role="miljøarbeider",
            health_personnel=False,
            actor=SYSTEM,
        )
        assert self.status("are") == 200
        assert Member.objects.get(room_id=self.room.id, user_id=are.user_id).engagement_id is None
        client = self.sign_in("are")
        people.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
        assert client.get(f"{self.room.path}/events").status_code in (200, 401)


class Time(TownTestCase):
    """A permit is never good beyond its end, whether or not anybody has noticed (law 5)."""

    def expired_room(self) -> Opened:
        past = now() - timedelta(seconds=1)
        with patch("server.consent.actions.end_of", return_value=past):
            room = self.open_room()
            self.give(room)
        return room

    def test_a_consent_that_has_run_out_lets_nobody_in(self) -> None:
        """Red when `decide` does not compare `valid_to`."""
        room = self.expired_room()
        for name in ("kari", "frida"):
            assert self.person(name).get(f"{room.path}/events").status_code in (403, 404)
            answer = self.person(name).post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"})
            assert answer.status_code in (403, 404)
        answer = self.person("are").post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"})
        assert answer.json()["code"] == "nobody_here"

    def test_it_is_renewed_by_saying_yes_again(self) -> None:
        """Red when `give` takes a consent that has run out for one in force."""
        room = self.expired_room()
        self.give(room)
        assert self.person("frida").get(f"{room.path}/events").status_code == 200
        self.post(room, "are")

    def test_a_write_decided_before_the_end_and_made_after_it_is_decided_again(self) -> None:
        """Law 10: the end is compared with the database's time, in the write itself. Red without `fresh_until`."""
        room = self.open_shared_room()
        original = permits.load

        def about_to_end(*args: Any, **kwargs: Any) -> Any:
            return {key: replace(one, valid_until=now()) for key, one in original(*args, **kwargs).items()}

        assert access.permits is permits
        with patch("server.rooms.permits.load", about_to_end):
            answer = self.person("kari").post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"})
            page = self.person("kari").get(f"{room.path}/events")
        assert (answer.status_code, page.status_code) == (409, 409), "decided again, and again, and given up"
        assert not [one for one in self.events(room) if one["type"] == "message"]
