"""Emergency access of which the patient is told later (L3): until then their view differs in nothing but numbers, then
they see all of it. Everybody else sees the mark at once."""

import json
from datetime import timedelta
from unittest.mock import patch

from django.db.models import F

from server.common.clock import now
from server.duties.models import Duty
from server.review import access_log
from server.rooms import emergency_door, hidden, worker
from server.rooms.models import Room, RoomEvent, Span
from tests.base import JSON
from tests.rooms.night import DELAY, NightTestCase, time_to_tell
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class HiddenTestCase(NightTestCase):
    def spans(self, name: str = "trine") -> list[tuple[int, int | None]]:
        mine = Span.objects.filter(member__room_id=self.room.id, member__user__username=name)
        return sorted(mine.values_list("first", "until"))

    def head(self) -> int:
        return Room.objects.get(id=self.room.id).head

    def time_comes(self) -> None:
        time_to_tell()
        Duty.objects.filter(kind="emergency_used").update(due_at=F("created_at"))

    def view(self) -> dict[str, str]:
        """All that the patient can read, as it is answered, but for their own looks in the log."""
        trine = self.person("trine")
        paths = [
            "me",
            "rooms",
            self.room.path,
            f"{self.room.path}/members",
            f"{self.room.path}/receipts",
            f"{self.room.path}/events",
            f"{self.room.path}/events?after=0&limit=3",
            f"{self.room.path}/events?after=4&limit=3",
            f"{self.room.path}/events?before=6&limit=2",
            "consents",
            self.room.asks,
            f"{self.room.asks}/history",
            "exclusions",
            "duties",
            "duties?open=false",
            "directory?q=nils",
        ]
        found = {path: trine.get(path).content.decode() for path in paths}
        return found | {"log": json.dumps(self.log())}


class UntilThen(HiddenTestCase):
    def test_the_patient_s_view_differs_in_nothing(self) -> None:
        """Before he came, while he reads, after he has gone, and after the others have looked at what he did. Red when
        `hide`, the log's withholding, or the list's last visible event is left out; when the leader's or the officer's
        looks at their duties are shown; when one of the two events is not hidden."""
        nils = self.person("nils")
        nils.ok("get", f"patients/{self.patient_id('trine')}")
        before = self.view()
        nils.ok("get", f"patients/{self.patient_id('trine')}/rooms")
        self.begun(hide=DELAY)
        for path in ("", "/events", "/members", "/receipts"):
            nils.ok("get", self.room.path + path)
        nils.ok("put", f"{self.room.path}/read", {"seq": 3})
        nils.post(f"{self.room.path}/messages", {"txn_id": "a", "body": "hei"})
        assert self.view() == before
        self.duties("mona")
        review = self.duties("ola")[0]
        self.person("ola").ok("get", f"emergency-access/{review['object']}")
        self.person("ola").ok("post", f"duties/{review['id']}/done", {"answer": "Riktig."})
        assert self.view() == before
        self.end()
        assert self.view() == before
        assert worker.tick() == 0
        assert self.view() == before

    def test_no_cursor_tells_where_the_head_is(self) -> None:
        """What she is shown as the head can be gone on from, and whatever lies beyond is refused alike. Red when a head
        is the room's own anywhere, or a cursor is compared with it."""
        head = self.head()
        self.begun(hide=DELAY)
        self.end()
        trine, path = self.person("trine"), self.room.path
        assert trine.ok("get", path)["head"] == trine.ok("get", f"{path}/events")["head"] == head
        assert trine.ok("get", f"{path}/events?after={head}")["results"] == []
        for seq in (head + 1, head + 2, head + 3):
            for answer in (trine.get(f"{path}/events?after={seq}"), trine.put(f"{path}/read", {"seq": seq})):
                assert (answer.status_code, answer.json()["code"]) == (400, "cursor_ahead"), seq
        kari = self.person("kari")
        assert kari.ok("get", path)["head"] == kari.ok("get", f"{path}/events")["head"] == head + 2
        news = self.post(self.room, "kari", "videre")["seq"]
        assert trine.ok("get", path)["head"] == news == head + 3
        assert [one["seq"] for one in self.events(self.room, "trine", head)] == [news]

    def test_everybody_else_sees_it(self) -> None:
        """Red when the mark is hidden from members too."""
        said = self.begun(hide=DELAY)
        assert said["told_at"] is None
        for name in ("kari", "sara", "nils"):
            assert [one["act"] for one in self.marks(name)] == ["begun"]
        assert self.marks("trine") == []
        assert self.duties("mona", "emergency_told")
        assert self.duties("ola", "emergency_review")
        assert self.duties("trine") == []

    def his(self) -> list[str]:
        return [one["type"] for one in self.log() if one["who"]["name"] == "Nils Dahle"]

    def test_nothing_goes_away_that_she_has_read(self) -> None:
        """Red when the log withholds what he did before he began, what he does about others, or what others do."""
        self.relate("nils", "are")
        self.person("nils").ok("get", f"patients/{self.patient_id('are')}")
        self.person("nils").ok("get", f"patients/{self.patient_id('trine')}")
        self.person("nils").get(self.room.path)
        self.person("ida").ok("get", f"patients/{self.patient_id('trine')}")
        before = self.log()
        assert "patient.viewed" in self.his()
        self.begun(hide=DELAY)
        self.person("nils").ok("get", f"patients/{self.patient_id('trine')}")
        assert self.log() == before
        assert any(one["who"]["name"] == "Nils Dahle" for one in self.log("are"))

    def search(self) -> None:
        """He asks which rooms she has, and tries one that has shut him out for a moment."""
        self.person("nils").ok("get", f"patients/{self.patient_id('trine')}/rooms")
        with patch.object(emergency_door.decide, "closed_because", return_value="no_relation"):
            assert self.begin().status_code == 404

    def test_his_search_is_shown_late_and_then_stays(self) -> None:
        """Red when it is shown at once: it would have to be withheld when he hides what he does then."""
        before = self.log()
        self.search()
        assert self.log() == before
        with patch.object(hidden, "LATER", timedelta(0)):
            assert {"emergency_access.rooms_viewed", "emergency_access.begun"} <= set(self.his())
            shown = self.log()
            self.begun(hide=DELAY)
            assert self.log() == shown, "what was shown stays, whatever comes after"
        assert timedelta(hours=2) == hidden.LATER

    def test_his_search_is_withheld_with_what_is_hidden(self) -> None:
        """However long it takes. Red when it is shown by the clock alone, or never."""
        before = self.log()
        self.search()
        self.begun(hide=DELAY)
        self.end()
        with patch.object(access_log, "now", lambda: now() + timedelta(hours=3)):
            assert self.log() == before
            self.time_comes()
            assert {"emergency_access.rooms_viewed", "emergency_access.begun"} <= set(self.his())

    def test_a_search_of_somebody_else_is_shown_in_its_time(self) -> None:
        """Red when one person's hidden access withholds everybody's."""
        self.person("ida").ok("get", f"patients/{self.patient_id('trine')}/rooms")
        self.begun(hide=DELAY)
        with patch.object(access_log, "now", lambda: now() + timedelta(hours=3)):
            assert "emergency_access.rooms_viewed" in [one["type"] for one in self.log()]

    def test_a_page_of_the_log_tells_no_count(self) -> None:
        """Pages are full but for the last. Red when rows are withheld after the page was cut."""
        self.begun(hide=DELAY)
        for _ in range(30):
            self.person("nils").ok("get", self.room.path)
        for _ in range(9):
            self.person("kari").ok("get", self.room.path)
        address, sizes = "me/access-log?limit=5", []
        while address:
            page = self.person("trine").ok("get", address)
            sizes.append(len(page["results"]))
            address = page["next"]
        assert set(sizes[:-1]) == {5}


class Intervals(HiddenTestCase):
    """The patient's intervals are split; everything else that they do goes on as before."""

    def test_they_are_split_around_it(self) -> None:
        """Red when `hide` closes without opening, or opens at the hidden number."""
        assert self.spans() == [(1, None)]
        self.begun(hide=DELAY)
        begun = self.head()
        assert self.spans() == [(1, begun), (begun + 1, None)]
        self.end()
        assert self.spans() == [(1, begun), (begun + 2, None)], "nothing in between: moved on"
        self.post(self.room, "kari", "videre")
        self.begun("ida", hide=DELAY)
        second = self.head()
        assert self.spans() == [(1, begun), (begun + 2, second), (second + 1, None)]

    def test_talk_goes_on(self) -> None:
        """Posts, replies, corrections, unread and marks over several intervals. Red when any of them knows only the
        newest interval, or only the first."""
        before = self.post(self.room, "trine", "før")["seq"]
        self.begun(hide=DELAY)
        hole = self.head()
        trine, path = self.person("trine"), self.room.path
        after = self.post(self.room, "trine", "etter", reply_to=before)["seq"]
        assert after == hole + 1
        trine.ok("post", f"{path}/events/{before}/edit", {"body": "før, rettet"})
        refused = trine.post(f"{path}/messages", {"txn_id": "q", "body": "hva?", "reply_to": hole})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "not_found")
        news = self.post(self.room, "kari", "svar")["seq"]
        card = trine.ok("get", path)
        assert card["unread"] == 2, "Kari's plan and her answer"
        assert (card["head"], card["last_event"]["type"]) == (news, "message")
        assert trine.ok("put", f"{path}/read", {"seq": news})["read"] == news
        assert trine.ok("get", path)["unread"] == 0
        seen = [one["seq"] for one in self.events(self.room, "trine")]
        assert seen == [seq for seq in range(1, news + 1) if seq != hole]
        paged: list[int] = []
        address: str | None = f"{path}/events?limit=2"
        while address:
            page = trine.ok("get", address)
            paged, address = [one["seq"] for one in page["results"]] + paged, page["next"]
        assert paged == seen

    def test_consent_goes_on(self) -> None:
        """Members leave and join around it; the patient's intervals stay as they are. Red when `settle` touches the
        patient's, or takes the wrong one of several for the open one."""
        self.begun(hide=DELAY)
        hole = self.head()
        self.withdraw(self.room, "trine")
        self.open_shared_room("kari", patient="trine", propose=["sara"])
        self.post(self.room, "sara", "tilbake")
        assert self.spans() == [(1, hole), (hole + 1, None)]
        assert [one["seq"] for one in self.events(self.room, "trine")] == [
            seq for seq in range(1, self.head() + 1) if seq != hole
        ]
        assert "tilbake" in str(self.events(self.room, "trine"))

    def test_an_exclusion_meanwhile_stays_hidden_too(self) -> None:
        """She excludes him for reasons of her own. Red when `end` does not hide what it writes."""
        self.begun(hide=DELAY)
        before = self.view()
        self.exclude("nils")
        assert self.status() == 404
        after = self.view()
        for path in ("exclusions", "consents"):
            before.pop(path), after.pop(path)
        assert after == before
        assert [one["act"] for one in self.marks("kari")] == ["begun", "ended"]

    def test_the_list_shows_the_newest_that_is_seen(self) -> None:
        """Of rooms with and without a hidden head, in one statement. Red when only the head's event is looked up."""
        other = self.open_shared_room("kari", patient="trine", propose=[], purpose="crisis_plan")
        cards = {one["id"]: one for one in self.person("trine").ok("get", "rooms")["results"]}
        self.begun(hide=DELAY)
        self.end()
        again = {one["id"]: one for one in self.person("trine").ok("get", "rooms")["results"]}
        for room in (self.room, other):
            assert again[str(room.id)]["last_event"] == cards[str(room.id)]["last_event"] is not None
        kari = {one["id"]: one for one in self.person("kari").ok("get", "rooms")["results"]}
        assert kari[str(self.room.id)]["last_event"]["type"] == "emergency_access"


class Then(HiddenTestCase):
    """Her time to know it comes."""

    def test_she_sees_all_of_it(self) -> None:
        """Red when `show` opens nothing, the epoch does not rise, or `told_at` is not set."""
        said = self.begun(hide=DELAY)
        self.person("nils").ok("get", f"{self.room.path}/events")
        self.end()
        epoch = Room.objects.get(id=self.room.id).access_epoch
        assert worker.tick() == 0
        self.time_comes()
        assert worker.tick() == 1
        assert worker.tick() == 0
        assert Room.objects.get(id=self.room.id).access_epoch == epoch + 1
        assert [one["act"] for one in self.marks("trine")] == ["begun", "ended", "told"]
        assert [one["seq"] for one in self.events(self.room, "trine")] == list(range(1, self.head() + 1))
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == [said["id"]]
        types = [one["type"] for one in self.log() if one["who"]["name"] == "Nils Dahle"]
        assert {"emergency_access.begun", "emergency_access.ended", "events.viewed", "duty.owed"} <= set(types)
        assert [one.role for one in self.audit(type="emergency_access.told")] == ["system"]
        access = self.access()
        assert access.told_at is not None
        assert access.told_at >= access.tell_at

    def test_log_and_telling_wait_for_no_worker(self) -> None:
        """Red when the log withholds until `told_at`, or the duty waits for the worker."""
        said = self.begun(hide=DELAY)
        self.time_comes()
        assert [one["object"] for one in self.duties("trine", "emergency_used")] == [said["id"]]
        assert "emergency_access.begun" in [one["type"] for one in self.log()]
        assert self.marks("trine") == [], "the timeline alone is the worker's"

    def test_it_may_still_be_open(self) -> None:
        """What comes after is not hidden. Red when `hidden` is looked at instead of `told_at`."""
        self.begun(hide=DELAY)
        self.time_comes()
        worker.tick()
        assert [one["act"] for one in self.marks("trine")] == ["begun", "told"]
        self.end()
        assert [one["act"] for one in self.marks("trine")] == ["begun", "told", "ended"]

    def test_one_of_two(self) -> None:
        """Red when `show` opens every hidden number, or the log everything withheld."""
        self.begun(hide=DELAY)
        self.begun("ida", hide=DELAY)
        time_to_tell(user_id=self.user_id("nils"))
        assert worker.tick() == 1
        assert {one["user"] for one in self.marks("trine")} == {str(self.user_id("nils"))}
        names = {one["who"]["name"] for one in self.log() if one["type"] == "emergency_access.begun"}
        assert names == {"Nils Dahle"}
        assert [(e.facts["act"], e.facts["user"]) for e in self.hidden_ones()] == [("begun", str(self.user_id("ida")))]

    def hidden_ones(self) -> list[RoomEvent]:
        seen = {one["seq"] for one in self.events(self.room, "trine")}
        return [one for one in RoomEvent.objects.filter(room_id=self.room.id).order_by("seq") if one.seq not in seen]

    def test_unread_counts_once(self) -> None:
        """What is seen through two intervals is one message."""
        self.begun(hide=DELAY)
        self.post(self.room, "kari", "etter")
        self.time_comes()
        worker.tick()
        card: JSON = self.person("trine").ok("get", self.room.path)
        assert card["unread"] == 2

    def test_told_at_once_nothing_waits(self) -> None:
        """Red when the worker tells again what was told from the beginning."""
        self.begun()
        assert worker.tick() == 0
        assert self.access().told_at == self.access().begun_at
