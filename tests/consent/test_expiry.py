"""A consent whose end has come: the worker puts it on record, sharing ends, and the patient can say yes again (M4)."""

import time
from datetime import timedelta
from unittest.mock import patch

from server.common.clock import now
from server.consent import worker
from server.consent.models import Consent
from server.rooms.models import Span
from tests.base import Opened, TownTransactionTestCase

STAFF = ("kari", "frida", "vera")
LASTS_S = 3.0


class Expiry(TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        for name in (*STAFF, "are"):
            self.person(name)
        with patch("server.consent.actions.end_of", lambda at, *_: at + timedelta(seconds=LASTS_S)):
            self.room: Opened = self.open_shared_room()
        before = {"kari": "fra Kari, før", "frida": "fra Frida, før"}
        for name, words in before.items():
            self.post(self.room, name, words)
        self.before = set(before.values())

    def its_end_comes(self) -> None:
        end = Consent.objects.get(id=self.room.consent).ends_at
        assert end is not None
        while now() < end:
            time.sleep(0.05)

    def bodies(self, name: str) -> set[str]:
        return {one["content"]["body"] for one in self.events(self.room, name) if one["type"] == "message"}

    def test_nothing_is_due_before(self) -> None:
        with patch("server.consent.actions.end_of", lambda at, *_: at + timedelta(days=1)):
            other = self.open_shared_room(purpose="transition")
        self.its_end_comes()
        assert worker.tick() == 1, "this one and not the other"
        assert Consent.objects.get(id=other.consent).state == "active"
        assert worker.tick() == 0, "once"

    def test_it_is_on_record_and_everybody_is_out(self) -> None:
        self.its_end_comes()
        head = self.person("are").ok("get", self.room.path)["head"]
        assert worker.tick() == 1
        ended, *left = self.events(self.room, "are", after=head)
        assert (ended["type"], ended["content"]["act"], ended["sender"]) == ("consent", "expired", None)
        assert {one["type"] for one in left} == {"member_left"}
        assert {one["content"]["user"] for one in left} == {str(self.user_id(name)) for name in STAFF}
        assert {one["content"]["reason"] for one in left} == {"consent_expired"}
        spans = Span.objects.filter(member__room_id=self.room.id, member__engagement__isnull=False)
        assert set(spans.values_list("until", flat=True)) == {ended["seq"]}, "nothing from the ending event on"
        [event] = self.audit(type="consent.expired", room_id=self.room.id)
        assert (event.actor_id, event.outcome, event.subject_id) == (None, "success", self.patient_id())
        assert len(self.audit(type="member.left", room_id=self.room.id)) == len(STAFF)

    def test_staff_get_nothing_and_the_patient_keeps_their_room(self) -> None:
        self.its_end_comes()
        worker.tick()
        for name in STAFF:
            for path in ("events", "members", "receipts"):
                answer = self.person(name).get(f"{self.room.path}/{path}")
                assert answer.status_code in (403, 404), (name, path, answer.content)
            said = self.person(name).post(f"{self.room.path}/messages", {"txn_id": "a", "body": "hei"})
            assert said.status_code in (403, 404), (name, said.content)
        assert self.bodies("are") == self.before

    def test_a_new_yes_opens_a_new_interval_and_what_lay_between_stays_unseen(self) -> None:
        self.its_end_comes()
        worker.tick()
        members = self.members(self.room)
        for way in ("away", "active"):  # the only one who is left does something
            self.person("are").ok("patch", f"{self.room.path}/members/{members['are']['id']}", {"participation": way})
        between = [one["seq"] for one in self.events(self.room, "are") if one["type"] == "participation"]
        assert len(between) == 2
        given = self.give(self.room)
        assert given["state"] == "active"
        after = self.post(self.room, "kari", "etterpå")
        for name in STAFF:
            assert self.bodies(name) == self.before | {"etterpå"}
            seen = [one["seq"] for one in self.events(self.room, name)]
            assert not set(seen) & set(between)
            intervals = Span.objects.filter(member__room_id=self.room.id, member__user__username=name).order_by("first")
            (_, closed), (first, still) = intervals.values_list("first", "until")
            assert closed is not None
            assert closed <= between[0] < between[1] < first <= after["seq"]
            assert still is None

    def test_no_answer_is_needed_from_the_worker_for_it_to_be_over(self) -> None:
        """Until the worker comes, the permit's own end keeps everybody out."""
        self.its_end_comes()
        for name in STAFF:
            answer = self.person(name).get(f"{self.room.path}/events")
            assert answer.status_code in (403, 404), (name, answer.content)
