"""`GET me/access-log`: the patient sees everybody who looked, and everybody who tried (L2)."""

from typing import Any

from server.audit.entry import SYSTEM
from server.people import actions as people
from tests.base import JSON, TownTestCase


class AccessLog(TownTestCase):
    def log(self, name: str = "are") -> list[JSON]:
        found: list[Any] = []
        address = "me/access-log?limit=200"
        while address:
            page = self.person(name).ok("get", address)
            found, address = found + page["results"], page["next"]
        return found

    def test_everybody_who_looked_and_everybody_who_tried(self) -> None:
        """Red when `subject_id` is left out of an entry or of a refusal."""
        room = self.open_shared_room()
        self.post(room, "kari", "hei")
        for path in ("", "/events", "/members", "/receipts"):
            self.person("frida").ok("get", room.path + path)
            assert self.person("sara").get(room.path + path).status_code == 404
        self.person("vera").ok("get", room.asks)
        self.withdraw(room)
        assert self.person("vera").get(f"{room.path}/events").status_code == 404
        assert self.person("vera").post(f"{room.path}/messages", {"txn_id": "a", "body": "x"}).status_code == 404
        assert self.person("vera").put(f"{room.path}/read", {"seq": 1}).status_code == 404
        log = self.log()
        lines = {(one["who"]["name"], one["type"], one["outcome"]) for one in log}
        assert lines >= {
            ("Kari Lunde", "room.opened", "success"),
            ("Kari Lunde", "message.posted", "success"),
            ("Frida Moe", "room.viewed", "success"),
            ("Frida Moe", "events.viewed", "success"),
            ("Frida Moe", "members.viewed", "success"),
            ("Frida Moe", "receipts.viewed", "success"),
            ("Vera Haugen", "consent.viewed", "success"),
            ("Are Strandvik", "consent.withdrawn", "success"),
            ("Sara Bergli", "room.viewed", "refused"),
            ("Sara Bergli", "events.viewed", "refused"),
            ("Sara Bergli", "members.viewed", "refused"),
            ("Sara Bergli", "receipts.viewed", "refused"),
            ("Vera Haugen", "events.viewed", "refused"),
            ("Vera Haugen", "message.posted", "refused"),
            ("Vera Haugen", "read.marked", "refused"),
        }
        frida = next(one for one in log if one["who"]["name"] == "Frida Moe" and one["type"] == "events.viewed")
        assert frida["who"] | {"user": ""} == {
            "user": "",
            "name": "Frida Moe",
            "code": "",
            "role": "fastlege",
            "unit": "Fjordvik legesenter",
            "controller": "Fjordvik legesenter",
        }
        assert (frida["room"], frida["purpose"], frida["basis"]) == (str(room.id), "coordination", "consent")
        assert "hei" not in str(log)

    def test_newest_first_and_every_page(self) -> None:
        room = self.open_shared_room()
        for number in range(7):
            self.post(room, "kari", f"nr. {number}")
        found: list[Any] = []
        address, pages = "me/access-log?limit=5", 0
        while address and pages < 50:
            page = self.person("are").ok("get", address)
            assert len(page["results"]) <= 5
            found, address, pages = found + page["results"], page["next"], pages + 1
        ids = [one["id"] for one in found]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == len(ids)
        assert len([one for one in found if one["type"] == "message.posted"]) == 7
        own = [one for one in self.log() if one["type"] == "access_log.viewed"]
        assert len(own) > pages, "reading the log is a look too, one for each page"

    def test_one_sees_ones_own_only(self) -> None:
        room = self.open_shared_room()
        self.person("frida").ok("get", f"{room.path}/events")
        assert not [one for one in self.log("trine") if one["room"] == str(room.id)]
        for name in ("kari", "ola", "admin"):
            answer = self.person(name).get("me/access-log")
            assert (answer.status_code, answer.json()["code"]) == (403, "patient_only")

    def test_the_past_stays_as_it_was(self) -> None:
        """Who looked for a unit they have left since is shown with that unit and that role."""
        room = self.open_shared_room()
        self.person("frida").ok("get", f"{room.path}/events")
        frida = self.engagement_of("frida")
        people.end_engagement(engagement_id=frida.id, actor=SYSTEM, reason="left")
        sara = self.engagement_of("sara")
        people.engage(user=frida.user, unit=sara.unit, role="overlege", health_personnel=True, actor=SYSTEM)
        line = next(one for one in self.log() if one["type"] == "events.viewed" and one["who"]["name"] == "Frida Moe")
        assert (line["who"]["role"], line["who"]["unit"]) == ("fastlege", "Fjordvik legesenter")

    def test_a_page_costs_a_fixed_number_of_statements(self) -> None:
        room = self.open_shared_room()
        for name in ("kari", "frida", "vera"):
            self.person(name).ok("get", f"{room.path}/events")
        are = self.person("are")
        are.ok("get", "me/access-log")
        with self.assertNumQueries(10):  # session; savepoint, log, release; time; hidden; page; shields; names; units
            are.ok("get", "me/access-log?limit=200")
