"""Asking, giving, changing, declining and withdrawing, through the API."""

import hashlib
from datetime import UTC, datetime, timedelta

from server.consent.actions import end_of
from server.consent.forms import OSLO
from server.consent.models import Version
from server.people.models import Patient, User
from tests.base import TownTestCase


class Consents(TownTestCase):
    def test_forms_are_there_in_three_languages(self) -> None:
        forms = self.person("kari").ok("get", "consent-forms")["results"]
        assert {"nb", "nn", "en"} <= set(forms[0]["texts"])

    def test_the_first_screen_is_short_and_says_who_and_why(self) -> None:
        room = self.open_room()
        text = self.person("are").ok("get", room.asks)["text"]
        names = ("Kari Lunde", "Frida Moe", "Vera Haugen")
        assert all(name in text["first"] for name in names)
        words = [line for line in text["first"].splitlines() if not line.startswith("•")]
        assert len(" ".join(words).split()) <= 60
        exact = f"{text['first']}\n\n{text['more']}"
        assert hashlib.sha256(exact.encode()).hexdigest() == text["sha256"], "the exact bytes that were shown"
        assert (text["yes"], text["no"]) == ("Ja", "Nei")

    def test_in_the_patients_language(self) -> None:
        Patient.objects.filter(user__username="are").update(language="nn")
        User.objects.filter(username="are").update(language="nn")
        text = self.person("are").ok("get", self.open_room().asks)["text"]
        assert text["language"] == "nn"
        assert "ombestemme deg når som helst" in text["first"]
        assert "Hjelpa" in text["first"]

    def test_giving_lets_in_and_tells(self) -> None:
        room = self.open_room()
        said = self.give(room)
        assert (said["state"], said["asked"]) == ("active", [])
        assert {one["name"] for one in said["grantees"]} == {"Kari Lunde", "Frida Moe", "Vera Haugen"}
        since, until = (datetime.fromisoformat(said[key]) for key in ("since", "until"))
        assert abs(until - end_of(since, "room")) < timedelta(minutes=1)
        asked, given = self.history(room)
        assert (given["text"], given["text_sha256"]) == (asked["text"], asked["text_sha256"]), (
            "the bytes that were read"
        )
        assert until.astimezone(OSLO).strftime("%d.%m.%Y") in given["text"], "the end that was shown"
        for name in ("kari", "frida", "vera"):
            assert [one["id"] for one in self.person(name).ok("get", "rooms")["results"]] == [str(room.id)]
            assert self.events(room, name)[0]["type"] == "member_joined"

    def test_giving_to_some(self) -> None:
        room = self.open_room()
        said = self.give(room, to=["kari", "vera"])
        assert {one["name"] for one in said["grantees"]} == {"Kari Lunde", "Vera Haugen"}
        assert self.person("frida").get(f"{room.path}/events").status_code == 404
        assert (
            self.person("are").post(f"{room.asks}/change", {"grantees": [str(self.user_id("frida"))]}).status_code
            == 400
        )

    def test_to_nobody_and_to_strangers(self) -> None:
        room = self.open_room()
        answer = self.person("are").post(f"{room.asks}/give", {"grantees": []})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_asked")
        answer = self.person("are").post(f"{room.asks}/give", {"grantees": [str(self.user_id("sara"))]})
        assert answer.json()["errors"][0] | {"detail": ""} == {
            "field": "grantees.0",
            "code": "not_proposed",
            "detail": "",
        }

    def test_the_text_has_changed_since_it_was_read(self) -> None:
        """Nobody says yes to what they have not seen. Red when `_same_text` compares nothing."""
        room = self.open_room(propose=["frida"])
        read = self.person("are").ok("get", room.asks)["text"]["sha256"]
        self.propose(room, "kari", "sara")
        for verb in ("give",):
            answer = self.person("are").post(f"{room.asks}/{verb}", {"text_sha256": read})
            assert (answer.status_code, answer.json()["code"]) == (409, "text_changed")
        fresh = self.person("are").ok("get", room.asks)["text"]["sha256"]
        self.person("are").ok("post", f"{room.asks}/give", {"text_sha256": fresh})

    def test_declining(self) -> None:
        """L1: saying no costs nothing but the room."""
        room = self.open_room()
        assert self.answer(room, "decline")["state"] == "declined"
        assert self.person("frida").get(room.path).status_code == 404
        answer = self.person("kari").get(f"{room.path}/events")
        assert (answer.status_code, answer.json()["code"]) == (403, "consent_missing")
        assert self.person("kari").ok("get", "rooms")["results"][0]["consent"]["state"] == "declined"
        asked = self.person("kari").post("consents", {"room": str(room.id)})
        assert (asked.status_code, asked.json()["state"]) == (201, "requested")
        self.answer(room, "decline")
        self.propose(room, "kari", "sara")
        names = {one["name"] for one in self.person("are").ok("get", room.asks)["asked"]}
        assert names == {"Sara Bergli"}, "whom the patient turned down is not dragged along by another's proposal"
        self.answer(room, "decline")
        self.person("kari").ok("post", "consents", {"room": str(room.id)})
        self.give(room)
        assert self.person("frida").get(room.path).status_code == 200

    def test_declining_a_change_keeps_what_is_in_force(self) -> None:
        room = self.open_shared_room()
        self.propose(room, "kari", "sara")
        said = self.answer(room, "decline")
        assert (said["state"], said["asked"]) == ("active", [])
        assert self.person("frida").get(room.path).status_code == 200
        assert self.person("sara").get(room.path).status_code == 404

    def test_narrowing(self) -> None:
        room = self.open_shared_room()
        self.change(room, to=["kari", "vera"])
        assert self.person("frida").get(room.path).status_code == 404
        assert self.person("vera").get(room.path).status_code == 200
        answer = self.person("are").post(f"{room.asks}/change", {"grantees": []})
        assert (answer.status_code, answer.json()["code"]) == (409, "nobody_left")
        self.withdraw(room)
        answer = self.person("are").post(f"{room.asks}/change", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_active")

    def test_withdrawing_takes_no_more_than_giving(self) -> None:
        """M4: one call without a body, from any state, as often as one likes."""
        room = self.open_shared_room()
        for _ in range(2):
            assert self.withdraw(room)["state"] == "withdrawn"
        assert [one["act"] for one in self.history(room)].count("withdrawn") == 1
        asked = self.open_room(purpose="transition")
        assert self.withdraw(asked)["state"] == "withdrawn"
        assert self.person("frida").get(f"{asked.path}/events").status_code == 404

    def test_giving_again_means_the_same_people(self) -> None:
        room = self.open_shared_room()
        first = self.post(room, "kari", "før")["seq"]
        self.withdraw(room)
        self.give(room)
        assert {one["name"] for one in self.person("are").ok("get", room.asks)["grantees"]} == {
            "Kari Lunde",
            "Frida Moe",
            "Vera Haugen",
        }
        seqs = [one["seq"] for one in self.events(room, "frida")]
        assert first in seqs, "what one had seen already"
        withdrawn = next(one["seq"] for one in self.events(room) if one["content"].get("act") == "withdrawn")
        assert withdrawn not in seqs

    def test_giving_twice_is_giving_once(self) -> None:
        room = self.open_shared_room()
        version = self.person("are").ok("get", room.asks)["version"]
        assert self.give(room)["version"] == version

    def test_asking_twice_in_the_same_words_is_asking_once(self) -> None:
        room = self.open_room()
        for _ in range(2):
            self.person("kari").ok("post", "consents", {"room": str(room.id)})
        assert self.person("are").ok("get", room.asks)["version"] == 1

    def test_only_the_patient_answers(self) -> None:
        """Red when `own_consent` lets staff through."""
        room = self.open_shared_room()
        for verb in ("give", "change", "decline", "withdraw"):
            answer = self.person("kari").post(f"{room.asks}/{verb}", {})
            assert (answer.status_code, answer.json()["code"]) == (403, "patient_only")
            assert self.person("trine").post(f"{room.asks}/{verb}", {}).status_code == 404
        assert self.person("kari").get(f"{room.asks}/history").status_code == 403
        refused = self.audit(outcome="refused", type="consent.answered")
        assert {one.subject_id for one in refused} == {self.patient_id()}
        assert {one.room_id for one in refused} == {room.id}

    def test_staff_are_told_no_more_than_the_state(self) -> None:
        room = self.open_shared_room()
        for name in ("kari", "frida"):
            told = self.person(name).ok("get", room.asks)
            assert told.pop("duties"), "what never rests on consent (L7)"
            assert told == {
                "id": str(room.consent),
                "room": str(room.id),
                "patient": str(self.patient_id()),
                "form": "room",
                "purpose": "coordination",
                "state": "active",
            }

    def test_only_whoever_is_in_the_room_or_waits_asks(self) -> None:
        room = self.open_room()
        for name in ("frida", "sara", "ola", "are"):
            answer = self.person(name).post("consents", {"room": str(room.id)})
            assert answer.status_code == 404, name

    def history(self, room: object) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.person("are").ok("get", f"{room.asks}/history")["results"]  # type: ignore[attr-defined]
        return found

    def test_the_history_keeps_every_word(self) -> None:
        room = self.open_room()
        shown = self.person("are").ok("get", room.asks)["text"]
        self.person("are").ok("post", f"{room.asks}/give", {"remark": "bare om timer"})
        self.person("are").ok("post", f"{room.asks}/withdraw", {"remark": "nok nå"})
        history = self.history(room)
        assert [(one["number"], one["act"], one["state"]) for one in history] == [
            (1, "requested", "requested"),
            (2, "given", "active"),
            (3, "withdrawn", "withdrawn"),
        ]
        assert [one["remark"] for one in history] == [None, "bare om timer", "nok nå"]
        assert [one["by"] for one in history] == ["Kari Lunde", "Are Strandvik", "Are Strandvik"]
        assert history[0]["text"] == f"{shown['first']}\n\n{shown['more']}"
        for one in history:
            assert hashlib.sha256(str(one["text"]).encode()).hexdigest() == one["text_sha256"]
        stored = b"".join(bytes(one.remark_sealed or b"") + bytes(one.text_sealed) for one in Version.objects.all())
        assert b"timer" not in stored
        assert b"Kari" not in stored

    def test_words_that_are_none(self) -> None:
        room = self.open_room()
        for data in (
            {"grantees": "kari"},
            {"grantees": ["x"]},
            {"grantees": [None]},
            {"grantees": [str(self.user_id("kari"))] * 61},
            {"text_sha256": "x"},
            {"text_sha256": "A" * 64},
            {"remark": "x" * 2001},
            {"remark": ["x"]},
        ):
            answer = self.person("are").post(f"{room.asks}/give", data)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), data


class Periods(TownTestCase):
    def test_the_end_is_the_same_day_of_the_month(self) -> None:
        for given, expected in (
            (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), datetime(2027, 11, 21, 9, 30, tzinfo=UTC)),
            (datetime(2028, 2, 29, tzinfo=UTC), datetime(2029, 2, 28, tzinfo=UTC)),
            (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 12, 31, 23, 59, tzinfo=UTC)),
        ):
            assert end_of(given, "room") == expected
