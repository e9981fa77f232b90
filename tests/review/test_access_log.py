"""`GET me/access-log`: the patient sees everybody who looked, and everybody who tried (L2)."""

import json
from typing import Any
from unittest.mock import patch

from server.audit.entry import SYSTEM
from server.people import actions as people
from server.review import access_log
from tests.base import JSON, TownTestCase
from tests.rooms.night import NightTestCase


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

    def test_each_line_in_words(self) -> None:
        """Who, what and on which basis, in the reader's language."""
        room = self.open_shared_room()
        self.person("frida").ok("get", f"{room.path}/events")
        self.person("sara").get(f"{room.path}/events")
        words = {one["words"] for one in self.log()}
        assert words >= {
            "Frida Moe (fastlege, Fjordvik legesenter) leste samtalen. Grunnlag: samtykket ditt.",
            "Sara Bergli (psykolog, Ytre DPS) prøvde å lese samtalen. Det ble avvist.",
            "Du leste loggen din. Grunnlag: det er ditt eget.",
        }
        english = self.person("are").ok("get", "me/access-log", headers={"accept-language": "en"})["results"]
        assert "You read your log. Basis: it is your own." in {one["words"] for one in english}
        assert not any(one["emergency"] for one in english)

    def test_a_walk_is_stable(self) -> None:
        """What happens meanwhile neither moves nor doubles a line. Red when pages are counted, not cut by the line."""
        room = self.open_shared_room()
        for number in range(6):
            self.post(room, "kari", f"nr. {number}")
        before = [one["id"] for one in self.log()]
        found: list[str] = []
        address = "me/access-log?limit=4"
        while address:
            page = self.person("are").ok("get", address)
            found, address = found + [one["id"] for one in page["results"]], page["next"]
            self.post(room, "kari", "enda en")
        assert len(set(found)) == len(found)
        assert [one for one in found if one in before] == before


class Whole(TownTestCase):
    """`GET me/access-log/export`."""

    def export(self, form: str, name: str = "are") -> Any:
        return self.person(name).get(f"me/access-log/export?form={form}")

    def test_the_same_lines_as_the_list_oldest_first(self) -> None:
        """Red when a chunk is left out, or what is hidden is asked for once only."""
        room = self.open_shared_room()
        self.person("frida").ok("get", f"{room.path}/events")
        with patch.object(access_log, "CHUNK", 3):
            answer = self.export("jsonl")
            *found, last = (json.loads(line) for line in b"".join(answer).splitlines())
        listed = self.person("are").ok("get", "me/access-log?limit=200")["results"]
        assert found == listed[:0:-1], "all but the look that listed them"
        assert found[-1]["type"] == "access_log.exported", "on record before the first byte"
        assert last == {"complete": True, "lines": len(found)}
        assert answer.headers["Content-Disposition"] == 'attachment; filename="logg.jsonl"'

    def test_a_page_to_print(self) -> None:
        """In her language; without a script, and with no name that could become one."""
        room = self.open_shared_room()
        self.person("frida").ok("get", f"{room.path}/events")
        frida = self.engagement_of("frida")
        people.end_engagement(engagement_id=frida.id, actor=SYSTEM, reason="left")
        people.engage(user=frida.user, unit=frida.unit, role="<script>", health_personnel=True, actor=SYSTEM)
        self.sign_in("frida").get(room.path)
        answer = self.export("html")
        page = b"".join(answer).decode()
        assert "<h1>Loggen din: Are Strandvik</h1>" in page
        assert "Frida Moe (fastlege, Fjordvik legesenter) leste samtalen. Grunnlag: samtykket ditt.</dd>" in page
        assert "(&lt;script&gt;, Fjordvik legesenter) prøvde" in page
        assert "<script" not in page
        assert f"Dette er alt: {page.count('<dd')} linjer." in page
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")

    def test_it_breaks_off_when_the_session_ends(self) -> None:
        """Red when the session is not asked for again after each chunk (law 5)."""
        self.open_shared_room()
        for form in ("jsonl", "html"):
            with patch.object(access_log, "CHUNK", 2):
                stream = iter(self.export(form))
                next(stream)
                self.person("are").ok("post", "me/sign-out")
                rest = b"".join(stream)
            assert rest == b"", form
            self._clients.clear()

    def test_one_s_own_only(self) -> None:
        for name in ("kari", "ola", "admin"):
            answer = self.export("jsonl", name)
            assert (answer.status_code, answer.json()["code"]) == (403, "patient_only")
        assert self.export("pdf").status_code == 400


class Emergencies(NightTestCase):
    def test_they_stand_out(self) -> None:
        """Red when a line on the basis of emergency access reads like any other."""
        self.begun()
        self.person("nils").ok("get", f"{self.room.path}/events")
        his = {one["type"]: one for one in self.log() if one["who"]["name"] == "Nils Dahle"}
        for type_, said in (
            ("emergency_access.begun", "åpnet et av rommene dine"),
            ("events.viewed", "leste samtalen"),
        ):
            assert his[type_]["emergency"] is True
            assert his[type_]["words"].startswith(f"Nødtilgang: Nils Dahle (sykepleier, Akuttmottaket) {said}")
            assert "uten samtykket ditt" in his[type_]["words"]
        assert his["relation.recorded"]["emergency"] is False
