"""All that is held about one person, taken out by the person and by an officer (GDPR article 15)."""

import json
from typing import Any
from uuid import UUID

from server.alerts.models import AlertKey
from server.audit.entry import SYSTEM
from server.people import actions as people
from server.people.models import Session
from server.people.periods import NOW
from server.review.models import Export
from server.rooms.models import EmergencyAccess
from tests.base import JSON, Client
from tests.review.officers import OfficersTestCase
from tests.rooms.night import DELAY, REASON, Night
from tests.support.leaks import told_of_patients
from tests.support.served import sqlite_only

pytestmark = sqlite_only
WHY = "Krav om innsyn fra pasienten."


class HeldTestCase(OfficersTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room(patient="trine", by="sara", propose=("nils",))
        self.post(self.room, "trine", "ordene til Trine")
        self.post(self.room, "sara", "ordene til Sara")
        self.post(self.room, "nils", "ordene til Nils")

    def order(self, by: str | Client, path: str = "me/held", **said: Any) -> JSON:
        client = self.person(by) if isinstance(by, str) else by
        made: JSON = client.ok("post", path, {"format": "jsonl", **said})
        return made

    def fetch(self, by: str | Client, id_: str) -> bytes:
        client = self.person(by) if isinstance(by, str) else by
        answer = client.get(f"held/{id_}/download")
        assert answer.status_code == 200, answer.content
        return b"".join(answer)

    def sections(self, file: bytes) -> dict[str, list[JSON]]:
        head, *rows, last = [json.loads(one) for one in file.splitlines()]
        assert head["held"] == 1
        assert last == {"complete": True, "lines": len(rows)}
        found: dict[str, list[JSON]] = {}
        for row in rows:
            found.setdefault(row["section"], []).append(row)
        return found

    def officer(self) -> Client:
        return self.person("ola")


class Own(HeldTestCase):
    def test_everything_about_her(self) -> None:
        """Her own file holds her words and theirs, what is registered, and her log. Red when a section is left out."""
        AlertKey.objects.create(patient_id=self.patient_id("trine"), digest="d" * 64, label="den blå telefonen")
        made = self.order("trine")
        told = self.sections(self.fetch("trine", made["id"]))
        assert [one["sealed"] for one in told["messages"] if one["type"] == "message"] == [
            "ordene til Trine",
            "ordene til Sara",
            "ordene til Nils",
        ]
        assert told["person"][0]["name_sealed"].startswith("Trine")
        assert told["relations"][0]["reason_sealed"]
        assert told["consent_versions"][-1]["text_sealed"]
        assert told["alert_keys"][0]["label"] == "den blå telefonen"
        assert {"consents", "rooms", "members", "sessions", "account", "log", "exports"} <= set(told)
        assert {one["user_id"] for one in told["members"]} >= {"Sara Bergli"}
        seen = self.person("trine").ok("get", f"held/{made['id']}")
        assert (seen["state"], seen["done"]) == ("done", sum(map(len, told.values())))
        assert made["state"] == "ready"

    def test_no_secret_and_no_number(self) -> None:
        file = self.fetch("trine", self.order("trine")["id"]).decode()
        digests = Session.objects.filter(user_id=self.user_id("trine")).values_list("digest", flat=True)
        numbers = {one for one in told_of_patients() if one.isdigit() and len(one) == 11}
        assert numbers
        assert not [one for one in {*digests, *numbers, "d" * 64} if one in file]
        assert self.person("trine").token not in file

    def test_a_page(self) -> None:
        self.person("trine").ok("patch", "me", {"language": "nn"})
        made = self.order("trine", format="html")
        answer = self.person("trine").get(f"held/{made['id']}/download")
        text = b"".join(answer).decode()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert '<html lang="nn">' in text
        assert "ordene til Nils" in text
        assert "Samtalen" in text
        assert "Dette er alt: " in text
        assert "<script" not in text

    def test_on_record(self) -> None:
        made = self.order("trine")
        self.fetch("trine", made["id"])
        types = {one.type: one for one in self.audit(subject_id=self.patient_id("trine"))}
        assert types["held.ordered"].basis == types["held.downloaded"].basis == "self"
        assert types["held.downloaded"].object_id == UUID(made["id"])

    def test_whoever_works_here(self) -> None:
        """About herself, and nothing of patients. Red when a patient's name or words are in it."""
        file = self.fetch("sara", self.order("sara")["id"])
        told = self.sections(file)
        assert told["engagements"][0]["unit_id"] == "Ytre DPS"
        assert told["account"][0]["name"] == "Sara Bergli"
        assert {"room.opened", "message.posted"} <= {one["type"] for one in told["acts"]}
        said = file.decode()
        assert not [one for one in ("ordene til", str(self.patient_id("trine")), str(self.room.id)) if one in said]
        assert "messages" not in told

    def test_nobody_elses(self) -> None:
        made = self.order("trine")
        for name in ("sara", "are", "ola", "admin"):
            for end in ("", "/download"):
                assert self.person(name).get(f"held/{made['id']}{end}").status_code == 404, (name, end)

    def test_it_breaks_off(self) -> None:
        made = self.order("trine")
        stream = iter(self.person("trine").get(f"held/{made['id']}/download"))
        assert next(stream)
        for session in Session.objects.filter(user_id=self.user_id("trine")):
            people.end_session(session=session, reason="signed_out", actor=SYSTEM)
        rest = b"".join(stream)
        assert b'"complete"' not in rest
        assert Export.objects.get().state == "cut"


class ByOfficers(HeldTestCase):
    def test_what_the_controller_answers_for(self) -> None:
        """What her staff wrote, and no word of anybody else's. Red when an officer reads the patient's own words."""
        made = self.order(self.officer(), "review/held", patient=str(self.patient_id("trine")), reason=WHY)
        told = self.sections(self.fetch("ola", made["id"]))
        words = [one["sealed"] for one in told["messages"] if one["type"] == "message"]
        assert words
        assert "ordene til Trine" not in words
        assert told["relations"]
        assert "sessions" not in told
        assert "alert_keys" not in told
        shown = self.person("trine").ok("get", "me/access-log")["results"]
        assert {"held.ordered", "held.downloaded"} <= {one["type"] for one in shown}
        listed = self.officer().ok("get", "review/exports")["results"]
        assert [(one["kind"], one["state"]) for one in listed] == [("held", "done")]

    def test_of_an_employee(self) -> None:
        made = self.order(self.officer(), "review/held", user=str(self.user_id("sara")), reason=WHY)
        told = self.sections(self.fetch("ola", made["id"]))
        assert told["engagements"]
        assert "addresses" not in told

    def test_nobody_else(self) -> None:
        body = {"patient": str(self.patient_id("trine")), "reason": WHY}
        for name in ("sara", "trine", "admin"):
            answer = self.person(name).post("review/held", body)
            assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        stranger = self.officer_of("NAV Fjordvik")
        for what in ({"patient": str(self.patient_id("trine"))}, {"user": str(self.user_id("sara"))}):
            assert stranger.post("review/held", {"reason": WHY, **what}).status_code == 404
        assert self.officer().post("review/held", {"reason": WHY}).status_code == 400
        made = self.order(self.officer(), "review/held", **body)
        other = self.person("officer2")
        answer = other.get(f"held/{made['id']}/download")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_your_export")

    def test_an_erasure_takes_it_for_the_controllers_part(self) -> None:
        asked = self.officer().ok("post", "review/erasures", {"patient": str(self.patient_id("trine")), "reason": WHY})
        made = self.order(self.officer(), "review/held", patient=str(self.patient_id("trine")), reason=WHY)
        path = f"review/erasures/{asked['id']}/part"
        assert self.officer().post(path, {"export": made["id"]}).status_code == 409
        self.fetch("ola", made["id"])
        parts = self.officer().ok("post", path, {"export": made["id"]})["parts"]
        assert "exported" in {one["outcome"] for one in parts}


class Hidden(Night, HeldTestCase):
    """Nils has had emergency access to Trine's room, and she is to be told tomorrow (L3)."""

    def given(self) -> None:
        self.open_the_room()

    def test_what_she_may_not_know_yet_is_in_no_section(self) -> None:
        """Red when a section tells of it: the access itself, its mark in the timeline, who owes a review, the log."""
        before = self.sections(self.fetch("trine", self.order("trine")["id"]))
        self.begun(hide=DELAY)
        self.person("nils").ok("get", f"{self.room.path}/events")
        told = self.sections(self.fetch("trine", self.order("trine")["id"]))
        assert not told.get("emergency_access")
        for section in ("messages", "duties", "members"):
            assert [one["id"] for one in told.get(section, [])] == [one["id"] for one in before.get(section, [])], (
                section
            )
        assert not [one for one in told["log"] if one["emergency"]]
        EmergencyAccess.objects.update(told_at=NOW)
        shown = self.sections(self.fetch("trine", self.order("trine")["id"]))
        assert shown["emergency_access"][0]["reason_sealed"] == REASON
        assert DELAY["reason"] not in str(shown), "whoever reads her telephone reads this too"
