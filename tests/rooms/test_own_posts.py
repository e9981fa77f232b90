"""Authors take home what they wrote themselves: while they are in the room, and for 14 days after (S8, M4).

«Red when …» in a test names the mutation that it is there for.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.consent import records, sealing
from server.consent.decide import BrokenRecord, ConsentRecord
from server.people import actions as people
from server.people.models import Engagement, Unit
from server.rooms import own_posts
from server.rooms.models import EmergencyAccess, Member, RoomEvent, Span
from server.rooms.own_posts import ends, kept_out
from server.rooms.sealed_access import document_of
from tests.base import JSON, Opened, Town, TownTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

DAYS = 14


class Exporting(Town):
    room: Opened

    def export(self, name: str, query: str = "", room: Opened | None = None) -> JSON:
        told: JSON = self.person(name).ok("get", f"{(room or self.room).path}/own-posts{query}")
        return told

    def bodies(self, name: str) -> list[str]:
        return [one["body"] for one in self.export(name)["results"]]

    def refused(self, name: str, reason: str, room: Opened | None = None) -> None:
        """The common 404, byte for byte, and on record why."""
        before = {one.id for one in self.audit()}
        answer = self.person(name).get(f"{(room or self.room).path}/own-posts")
        missing = self.person(name).get(f"rooms/{uuid4()}/own-posts")
        assert (answer.status_code, answer.content) == (404, missing.content), answer.content
        [event] = [
            one
            for one in self.audit(type="own_posts.exported", outcome="refused", reason=reason)
            if one.id not in before and one.room_id == (room or self.room).id
        ]
        assert event.subject_id == self.patient_id()

    def exclude(self, name: str, by: str = "are") -> None:
        self.person(by).ok("post", "exclusions", {"user": str(self.user_id(name))})

    def take_out(self, name: str, by: str = "are") -> None:
        member = self.members(self.room, by)[name]["id"]
        assert self.person(by).delete(f"{self.room.path}/members/{member}").status_code == 204


class OwnPosts(Exporting, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.first = self.post(self.room, "kari", "kan du torsdag?")
        self.post(self.room, "frida", "fra Frida")
        self.post(self.room, "are", "ja, torsdag")
        self.second = self.post(self.room, "kari", "da sier vi det", kind="agreed")

    def test_a_member_gets_what_they_wrote_and_nothing_of_others(self) -> None:
        """Red when the statement forgets `sender_id`, or `type`."""
        told = self.export("kari")
        assert (told["next"], told["until"]) == (None, None)
        assert told["results"] == [
            {
                "seq": event["seq"],
                "created_at": event["created_at"],
                "kind": event["content"]["kind"],
                "body": event["content"]["body"],
                "corrections": [],
                "retracted": False,
            }
            for event in (self.first, self.second)
        ]
        assert self.bodies("frida") == ["fra Frida"]
        assert self.bodies("are") == ["ja, torsdag"], "the patient's own too"
        assert self.bodies("vera") == []

    def test_corrections_and_what_was_taken_back(self) -> None:
        """Red when an edit is told of another message, or only on the page of its own `seq`."""
        kari, seq = self.person("kari"), self.first["seq"]
        for words in ("kan du fredag?", "kan du mandag?"):
            kari.ok("post", f"{self.room.path}/events/{seq}/edit", {"body": words})
        kari.ok("post", f"{self.room.path}/events/{self.second['seq']}/retract")
        self.person("frida").ok("post", f"{self.room.path}/events/{seq + 1}/edit", {"body": "Fridas rettelse"})
        one, other = self.export("kari")["results"]
        assert (one["body"], one["retracted"]) == ("kan du torsdag?", False)
        assert [each["body"] for each in one["corrections"]] == ["kan du fredag?", "kan du mandag?"]
        seen = {event["seq"]: event for event in self.events(self.room, "kari")}
        for each in one["corrections"]:
            assert seen[each["seq"]]["created_at"] == each["created_at"]
        assert (other["body"], other["retracted"], other["corrections"]) == ("da sier vi det", True, [])
        [alone] = self.export("kari", "?limit=1")["results"]
        assert alone == one, "whatever the page"

    def test_pages(self) -> None:
        """Red when `limit` counts corrections too, or `next` begins at the last post shown."""
        for number in range(5):
            self.post(self.room, "kari", f"nr. {number}")
            self.post(self.room, "frida", "mellom")
        everything, found, address = self.export("kari")["results"], [], f"{self.room.path}/own-posts?limit=3"
        pages = 0
        while address:
            page = self.person("kari").ok("get", address)
            found, address, pages = found + page["results"], page["next"], pages + 1
        assert (found, pages) == (everything, 3)
        assert self.export("kari", f"?after={everything[-1]['seq']}") == {"results": [], "next": None, "until": None}
        assert self.export("kari", f"?after={2**62}")["results"] == [], "how far the room has come is not told"

    def test_each_page_is_one_look_on_record(self) -> None:
        """Law 1. Red when the record is left out, or says `from` and `to` of the room."""
        self.export("kari", "?limit=1")
        self.export("kari")
        self.export("vera")
        first, whole, empty = self.audit(type="own_posts.exported")
        one, two = self.first["seq"], self.second["seq"]
        assert [first.detail, whole.detail, empty.detail] == [{"from": one, "to": one}, {"from": one, "to": two}, {}]
        for event in (first, whole, empty):
            assert (event.subject_id, event.room_id) == (self.patient_id(), self.room.id)
            assert (event.basis, event.purpose, event.outcome) == ("own_posts", "coordination", "success")
        assert (first.actor_id, first.unit_id) == (self.user_id("kari"), self.engagement_of("kari").unit_id)

    def test_a_fixed_number_of_statements(self) -> None:
        """Session; permit (5), for which unit they joined; one read; the log. Red when it grows with the posts."""

        def cost(name: str) -> int:
            self.export(name)
            with CaptureQueriesContext(connection) as seen:
                self.export(name)
            return len([one for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]])

        member = cost("kari")
        assert member <= 9
        for number in range(20):
            seq = self.post(self.room, "kari", f"nr. {number}")["seq"]
            self.person("kari").ok("post", f"{self.room.path}/events/{seq}/edit", {"body": "rettet"})
        assert cost("kari") == member
        self.withdraw(self.room)
        assert cost("kari") <= 2 * member + 2, "a former member's is decided twice"

    def test_words_that_are_none(self) -> None:
        for query in (
            "after=-1",
            "after=x",
            "limit=0",
            "limit=501",
            f"after={2**63}",
            "after=1e3",
            "after=%00",
        ):
            answer = self.person("kari").get(f"{self.room.path}/own-posts?{query}")
            assert (answer.status_code, answer.json().get("code")) == (400, "invalid"), query


class After(Exporting, TownTestCase):
    """Former members."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "kari", "fra Kari")
        self.post(self.room, "frida", "fra Frida")

    def ended_at(self, name: str) -> datetime:
        seq = Span.objects.filter(member__room_id=self.room.id, member__user__username=name).latest("first").until
        return RoomEvent.objects.get(room_id=self.room.id, seq=seq).created_at

    def may_for_14_days(self, name: str, wrote: str) -> None:
        told = self.export(name)
        assert [one["body"] for one in told["results"]] == [wrote]
        assert datetime.fromisoformat(told["until"]) == self.ended_at(name) + timedelta(days=DAYS)
        assert self.person(name).get(f"{self.room.path}/events").status_code == 404, "their own posts and nothing else"

    def test_after_a_withdrawal(self) -> None:
        """M4. Red when `_former` refuses all."""
        self.withdraw(self.room)
        self.may_for_14_days("kari", "fra Kari")
        self.may_for_14_days("frida", "fra Frida")
        assert (self.export("are")["until"], self.bodies("are")) == (None, []), "the patient is in as before"

    def test_after_a_narrowing_a_removal_and_leaving(self) -> None:
        self.change(self.room, to=["kari", "vera"])
        self.may_for_14_days("frida", "fra Frida")
        self.take_out("kari")
        self.may_for_14_days("kari", "fra Kari")
        self.take_out("vera", by="vera")
        assert self.export("vera")["results"] == []

    def test_after_the_agreement_ended(self) -> None:
        agreement = people.organisations.Agreement.objects.get()
        people.end_agreement(agreement_id=agreement.id, actor=SYSTEM, reason="over")
        self.may_for_14_days("frida", "fra Frida")
        assert self.export("kari")["until"] is None, "of the room's own controller"

    def test_a_second_yes_makes_members_again(self) -> None:
        """Red when an open interval does not count before an old one that is closed."""
        self.withdraw(self.room)
        self.give(self.room)
        assert self.export("kari")["until"] is None
        self.change(self.room, to=["frida"])
        self.may_for_14_days("kari", "fra Kari")

    def test_who_is_proposed_again_keeps_it_meanwhile(self) -> None:
        self.withdraw(self.room)
        self.person("kari").ok("post", "rooms", {"patient": str(self.patient_id()), "propose": []})
        assert Member.objects.get(room_id=self.room.id, user__username="kari").state == Member.State.PROPOSED
        assert self.bodies("kari") == ["fra Kari"]

    def test_the_days_are_a_setting(self) -> None:
        """Red when the setting is not asked, or when the last moment still counts."""
        self.withdraw(self.room)
        with self.settings(ENV=settings.ENV.model_copy(update={"own_posts_days": 0})):
            self.refused("kari", "too_late")
        with self.settings(ENV=settings.ENV.model_copy(update={"own_posts_days": 1})):
            told = self.export("kari")
        assert datetime.fromisoformat(told["until"]) == self.ended_at("kari") + timedelta(days=1)

    def test_until_the_last_moment_and_not_in_it(self) -> None:
        """Red when `until` is not compared with the database's time."""
        self.withdraw(self.room)
        last = now() + timedelta(seconds=2)
        with mock.patch.object(own_posts, "ends", return_value=last):
            assert self.bodies("kari") == ["fra Kari"]
            while now() < last:
                time.sleep(0.05)
            self.refused("kari", "too_late")

    def test_an_end_that_comes_while_it_is_read(self) -> None:
        """Red when `valid_until` is not compared with the time of the statement that read."""
        self.withdraw(self.room)
        last = now() + timedelta(seconds=1)

        def late(*args: Any) -> Any:
            while now() < last:
                time.sleep(0.05)
            return read(*args)

        read = own_posts._read
        with mock.patch.object(own_posts, "ends", return_value=last), mock.patch.object(own_posts, "_read", late):
            self.refused("kari", "too_late")

    def test_not_for_another_engagement(self) -> None:
        """Red when the engagement acted for is not compared."""
        other = Unit.objects.get(name="Ytre DPS")
        second = people.engage(
            user=self.engagement_of("kari").user, unit=other, role="psykolog", health_personnel=True, actor=SYSTEM
        )
        for ending in (lambda: None, lambda: self.withdraw(self.room)):
            ending()
            assert self.bodies("kari") == ["fra Kari"]
            first = Engagement.objects.get(user__username="kari", unit__name="Fjordvik psykisk helse og rus")
            self.person("kari").ok("post", "me/engagement", {"engagement": str(second.id)})
            self.refused("kari", "other_engagement")
            self.person("kari").ok("post", "me/engagement", {"engagement": str(first.id)})

    def test_not_after_the_engagement_ended(self) -> None:
        """Red when an ended engagement still holds for the export: a new session of a new one does not help either."""
        self.withdraw(self.room)
        ended = self.engagement_of("kari")
        people.end_engagement(engagement_id=ended.id, actor=SYSTEM, reason="left")
        assert self.person("kari").get(f"{self.room.path}/own-posts").status_code == 401
        people.engage(user=ended.user, unit=ended.unit, role="psykolog", health_personnel=True, actor=SYSTEM)
        self._clients.pop("kari")
        self.refused("kari", "other_engagement")

    def test_what_was_written_for_another_employer_stays_there(self) -> None:
        """S8, L6: it belongs in that one's record. Red when `_first` is always 1."""
        kari = self.engagement_of("kari")
        people.end_engagement(engagement_id=kari.id, actor=SYSTEM, reason="left")
        dps = Unit.objects.get(name="Ytre DPS")
        people.engage(user=kari.user, unit=dps, role="psykolog", health_personnel=True, actor=SYSTEM)
        self._clients.pop("kari")
        self.propose(self.room, "frida", "kari")
        self.change(self.room)
        self.post(self.room, "kari", "fra Kari på DPS")
        assert self.bodies("kari") == ["fra Kari på DPS"]
        self.withdraw(self.room)
        assert self.bodies("kari") == ["fra Kari på DPS"]

    def test_not_whoever_is_excluded(self) -> None:
        """Red when `_former` does not ask for exclusions: who is out already, and who is in."""
        self.change(self.room, to=["kari", "vera"])
        for name in ("frida", "kari"):
            assert self.export(name)["results"]
            self.exclude(name)
            self.refused(name, "excluded")
        self.person("are").ok("delete", f"exclusions/{self.user_id('frida')}")
        assert self.bodies("frida") == ["fra Frida"], "lifted within the days"

    def test_not_while_the_exclusions_cannot_be_verified(self) -> None:
        """An error never becomes an open door. Red when `kept_out` skips broken records."""
        self.exclude("sara")
        self.withdraw(self.room)
        assert self.bodies("kari") == ["fra Kari"]
        with mock.patch.object(records, "_fault", lambda stored: "seal" if stored.form == "exclusions" else ""):
            self.refused("kari", "excluded")

    def test_excluded_between_two_pages(self) -> None:
        """Law 5. Red when a page believes in the one before."""
        self.post(self.room, "frida", "mer fra Frida")
        self.withdraw(self.room)
        address = self.export("frida", "?limit=1")["next"]
        self.exclude("frida")
        answer = self.person("frida").get(address)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_strangers_and_the_proposed(self) -> None:
        self.propose(self.room, "kari", "sara")
        self.refused("sara", "no_access")
        for name in ("ida", "ola", "trine", "admin"):
            self.refused(name, "foreign")
        waiting = self.open_room(purpose="transition")
        self.refused("kari", "no_access", waiting)

    def test_not_under_emergency_access(self) -> None:
        """Red when an emergency permit counts."""
        begun = now()
        engagement = self.engagement_of("ida")
        access = EmergencyAccess(
            room_id=self.room.id,
            user_id=engagement.user_id,
            engagement=engagement,
            ground="emergency_help",
            reason_sealed=b"",
            begun_at=begun,
            until=begun + timedelta(hours=1),
            tell_at=begun,
        )
        sealed = sealing.seal(document_of(access), sealing.EMERGENCY)
        access.document, access.hash, access.signature, access.key = (
            sealed.document,
            sealed.hash,
            sealed.signature,
            sealed.key,
        )
        access.save(force_insert=True)
        assert self.events(self.room, "ida"), "it does open the timeline"
        self.refused("ida", "foreign")


def test_the_end_is_the_days_or_the_engagements() -> None:
    at = datetime(2026, 10, 20, 12, tzinfo=UTC)  # 14 days on lies beyond the night in which Oslo's clocks go back
    assert ends(at, DAYS, Engagement()) == datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert ends(at, DAYS, Engagement(valid_to=at + timedelta(days=3))) == at + timedelta(days=3)
    assert ends(at, DAYS, Engagement(valid_to=at + timedelta(days=30))) == at + timedelta(days=DAYS)


def test_who_is_kept_out() -> None:
    """Red when a deny is passed over because another record says nothing."""
    me, record = uuid4(), {"purpose": "", "categories": frozenset(), "grants": frozenset()}

    def says(*people: UUID) -> ConsentRecord:
        return ConsentRecord(uuid4(), active=False, excluded_people=frozenset(people), **record)  # type: ignore[arg-type]

    assert not kept_out([], me)
    assert not kept_out([says(uuid4()), BrokenRecord(uuid4(), names_people=False)], me)
    assert kept_out([says(), says(uuid4(), me)], me)
    assert kept_out([BrokenRecord(uuid4(), names_people=True)], me)
