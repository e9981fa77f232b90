"""Reading: pages by `seq`, cursors, spans, marks and counts."""

from typing import Any
from uuid import uuid4

from server.rooms import marks
from server.rooms.models import Member, Room
from tests.base import JSON, TownTestCase


class Pages(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.path = f"{self.room.path}/events"
        for number in range(12):
            self.post(self.room, "kari", f"nr. {number}")
        self.head = Room.objects.get(id=self.room.id).head

    def get(self, query: str, by: str = "are") -> JSON:
        page: JSON = self.person(by).ok("get", f"{self.path}?{query}")
        return page

    def test_forward(self) -> None:
        for limit in (1, 2, 7, 500):
            found: list[Any] = []
            address, pages = f"{self.path}?after=0&limit={limit}", 0
            while address:
                page = self.person("are").ok("get", address)
                found += [event["seq"] for event in page["results"]]
                address, pages = page["next"], pages + 1
            assert found == list(range(1, self.head + 1))
            assert pages == -(-self.head // limit), "no empty page at the end"
            assert page["head"] == self.head

    def test_backward(self) -> None:
        found: list[Any] = []
        address = f"{self.path}?limit=5"
        while address:
            page = self.person("are").ok("get", address)
            seqs = [event["seq"] for event in page["results"]]
            assert seqs == sorted(seqs), "within a page oldest first"
            found, address = seqs + found, page["next"]
        assert found == list(range(1, self.head + 1))

    def test_between(self) -> None:
        page = self.get("after=3&before=7")
        assert [event["seq"] for event in page["results"]] == [4, 5, 6]
        assert page["next"] is None
        page = self.get("after=3&before=7&limit=2")
        assert "before=7" in page["next"]
        rest = self.person("are").ok("get", page["next"])
        assert [event["seq"] for event in rest["results"]] == [6]

    def test_at_the_head_there_is_nothing(self) -> None:
        page = self.get(f"after={self.head}")
        assert (page["results"], page["next"], page["head"]) == ([], None, self.head)

    def test_beyond_the_head(self) -> None:
        for after in (self.head + 1, 10**9, 2**62):
            answer = self.person("are").get(f"{self.path}?after={after}")
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_ahead")
        assert len(self.get(f"before={2**62}")["results"]) == self.head

    def test_silly_questions(self) -> None:
        for query in (
            "limit=0",
            "limit=-1",
            "limit=501",
            "limit=x",
            "limit=1e3",
            f"limit={10**40}",
            "after=-1",
            "after=x",
            f"after={2**63}",
            f"after={'9' * 5000}",
            "after=%00",
            "after=1.5",
            "after=null",
            "before=0",
            "after=5&before=5",
            "after=5&before=2",
        ):
            answer = self.person("are").get(f"{self.path}?{query}")
            assert (answer.status_code, answer.json().get("code")) == (400, "invalid"), query

    def test_each_page_is_one_look(self) -> None:
        """Law 1, with its range. Red when `look` does not record."""
        self.get("after=2&limit=3", by="frida")
        looks = self.audit(type="events.viewed", actor_id=self.person("frida").user_id)
        first = self.events(self.room, "frida")[0]["seq"]
        assert [one.detail for one in looks[:1]] == [{"from": max(3, first), "to": max(3, first) + 2}]
        assert looks[0].basis == "consent"
        assert looks[0].record_ids, "on which consent"
        assert (looks[0].subject_id, looks[0].room_id) == (self.patient_id(), self.room.id)
        self.get(f"after={self.head}", by="frida")
        assert self.audit(type="events.viewed")[-1].detail == {}


class Gaps(TownTestCase):
    """Somebody who was away for a while sees what was before and what came after, on pages of any size."""

    def test_a_gap_longer_than_a_page(self) -> None:
        room = self.open_shared_room()
        for number in range(3):
            self.post(room, "kari", f"før {number}")
        self.person("are").ok("delete", f"{room.path}/members/{self.members(room)['frida']['id']}")
        for number in range(9):
            self.post(room, "kari", f"uten Frida {number}")
        self.propose(room, "kari", "frida")
        self.change(room)
        for number in range(3):
            self.post(room, "kari", f"etter {number}")
        expected = None
        for limit in (500, 1, 2, 3, 5):
            for start in ("after=0&", ""):
                found: list[Any] = []
                address = f"{room.path}/events?{start}limit={limit}"
                while address:
                    page = self.person("frida").ok("get", address)
                    assert page["results"], "no page is empty while there is more"
                    found += page["results"]
                    address = page["next"]
                bodies = {one["content"].get("body") for one in found if one["type"] == "message"}
                assert bodies == {f"{word} {n}" for word in ("før", "etter") for n in range(3)}, (limit, start)
                seqs = sorted(one["seq"] for one in found)
                expected = expected or seqs
                assert seqs == expected
                assert len(set(seqs)) == len(seqs)
        assert expected is not None
        inside = next(seq for seq in range(expected[0], expected[-1]) if seq not in expected)
        page = self.person("frida").ok("get", f"{room.path}/events?after={inside}&limit=1")
        assert page["results"][0]["seq"] == min(seq for seq in expected if seq > inside)
        page = self.person("frida").ok("get", f"{room.path}/events?before={inside}&limit=1")
        assert page["results"][0]["seq"] == max(seq for seq in expected if seq < inside)

    def test_who_joins_later_sees_from_then_on(self) -> None:
        room = self.open_shared_room()
        self.post(room, "kari", "før Sara")
        self.propose(room, "kari", "sara")
        self.change(room)
        self.post(room, "kari", "velkommen")
        seen = self.events(room, "sara")
        assert "før Sara" not in str(seen)
        assert seen[0]["type"] == "member_joined"
        assert seen[0]["content"]["user"] == str(self.user_id("sara"))


class Marks(TownTestCase):
    """S6: delivered and read, forward only."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.path = f"{self.room.path}/read"
        for body in ("en", "to", "tre"):
            self.last = self.post(self.room, "kari", body)["seq"]

    def receipts(self, by: str = "kari") -> dict[str, tuple[int, int]]:
        names = {str(self.user_id(name)): name for name in ("are", "kari", "frida", "vera", "sara")}
        rows = self.person(by).ok("get", f"{self.room.path}/receipts")["results"]
        return {names[one["user"]]: (one["delivered"], one["read"]) for one in rows}

    def test_forward_only(self) -> None:
        """Red when `marks.save` sets what it is told."""
        vera = self.person("vera")
        said = vera.ok("put", self.path, {"seq": self.last - 1})
        assert said == {"user": str(vera.user_id), "delivered": self.last - 1, "read": self.last - 1}
        assert vera.ok("put", self.path, {"seq": 1})["read"] == self.last - 1
        assert vera.ok("put", self.path, {"seq": self.last})["read"] == self.last
        assert self.receipts()["vera"] == (self.last, self.last)
        assert self.receipts("are")["vera"] == (self.last, self.last), "the patient sees it too"

    def test_each_mark_by_itself(self) -> None:
        """Whatever is told in whatever order, each is the highest so far, and what was read was delivered."""
        member = Member.objects.get(room_id=self.room.id, user__username="vera")
        delivered = read = 0
        for one, other in ((3, 1), (2, 2), (5, 2), (4, 3), (1, 6), (6, 0), (0, 0), (9, 1), (2, 7)):
            marks.save([marks.Mark(member.id, self.room.id, one, other)])
            read, delivered = max(read, other), max(delivered, one, other)
            member.refresh_from_db()
            assert (member.delivered, member.read) == (delivered, read)

    def test_never_beyond_the_head(self) -> None:
        for seq in (self.last + 1, 2**61):
            answer = self.person("vera").put(self.path, {"seq": seq})
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_ahead")
        for seq in (-1, None, "x", 1.5, [1], 2**63, 10**40, True):
            answer = self.person("vera").put(self.path, {"seq": seq})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), seq

    def test_only_who_is_there_is_shown(self) -> None:
        self.propose(self.room, "kari", "sara")
        assert set(self.receipts()) == {"are", "kari", "frida", "vera"}
        self.person("vera").ok("delete", f"{self.room.path}/members/{self.members(self.room)['vera']['id']}")
        assert set(self.receipts()) == {"are", "kari", "frida"}
        assert self.person("vera").put(self.path, {"seq": 1}).status_code == 404

    def test_after_the_withdrawal_no_mark_moves(self) -> None:
        self.withdraw(self.room)
        assert self.person("vera").put(self.path, {"seq": self.last}).status_code == 404
        assert set(self.receipts("are")) == {"are"}


class Unread(TownTestCase):
    """Messages by others beyond the mark, within what may be seen."""

    def unread(self, name: str) -> int:
        counts = {one["id"]: one["unread"] for one in self.person(name).ok("get", "rooms")["results"]}
        count: int = counts[str(self.room.id)]
        return count

    def test_it_counts_what_it_says(self) -> None:
        self.room = self.open_shared_room()
        assert [self.unread(name) for name in ("are", "kari", "frida")] == [0, 0, 0], "events are no messages"
        first = self.post(self.room, "kari", "en")
        self.post(self.room, "frida", "to")
        assert [self.unread(name) for name in ("are", "kari", "frida", "vera")] == [2, 1, 1, 2]
        self.person("vera").ok("put", f"{self.room.path}/read", {"seq": first["seq"]})
        assert self.unread("vera") == 1
        self.person("kari").ok("post", f"{self.room.path}/events/{first['seq']}/edit", {"body": "en!"})
        assert self.unread("vera") == 1
        self.propose(self.room, "kari", "sara")
        self.change(self.room)
        assert self.unread("sara") == 0, "nothing from before one's time"
        self.post(self.room, "are", "tre")
        assert [self.unread(name) for name in ("are", "kari", "frida", "vera", "sara")] == [2, 2, 2, 2, 1]

    def test_not_what_was_written_while_away(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "kari", "før")
        self.person("are").ok("delete", f"{self.room.path}/members/{self.members(self.room)['frida']['id']}")
        self.post(self.room, "kari", "uten")
        self.propose(self.room, "kari", "frida")
        self.change(self.room)
        self.post(self.room, "kari", "etter")
        assert self.unread("frida") in (1, 2), "«før» may count as read or not, «uten» never"
        self.assertNotIn("uten", str(self.events(self.room, "frida")))  # noqa: PT009


class Lists(TownTestCase):
    def test_the_card_of_a_room(self) -> None:
        room = self.open_shared_room()
        event = self.post(room, "kari", "hei")
        for name in ("are", "frida"):
            card = self.person(name).ok("get", "rooms")["results"][0]
            assert card["head"] == event["seq"]
            assert card["last_event"] == {"type": "message", "created_at": event["created_at"]}
            assert card["consent"] == {"id": str(room.consent), "state": "active"}
            assert card["next_attended_at"].endswith("Z")
            assert card == self.person(name).ok("get", room.path)

    def test_pages_of_rooms(self) -> None:
        rooms = [self.open_shared_room(purpose=one) for one in ("coordination", "transition", "crisis_plan")]
        found: list[Any] = []
        address, pages = "rooms?limit=2", 0
        while address:
            page = self.person("kari").ok("get", address)
            found, address, pages = found + [one["id"] for one in page["results"]], page["next"], pages + 1
        assert (found, pages) == ([str(one.id) for one in rooms], 2)

    def test_silly_cursors_are_refused_like_anything_malformed(self) -> None:
        self.open_shared_room()
        for address in ("rooms", "me/access-log"):
            for cursor in (
                "x",
                "cD16eno=",
                "cD1cMDA=",
                "bz05OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
                "%00",
                "é",
                "cD0wMDAw",
                "====",
                "b3",
            ):
                answer = self.person("are").get(f"{address}?cursor={cursor}")
                assert answer.status_code in (200, 400, 404), (address, cursor, answer.status_code)
            for limit in ("0", "-5", "x", "10000000000000000000000000", "%00"):
                assert self.person("are").get(f"{address}?limit={limit}").status_code in (200, 400), limit

    def test_unknown_room(self) -> None:
        assert self.person("are").get(f"rooms/{uuid4()}").status_code == 404
        assert self.person("are").get("rooms/not-a-uuid").status_code == 404
