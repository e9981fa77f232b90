"""A request for access (GDPR article 15): all that a controller's log says about a patient, as they may read it."""

import json
from typing import Any
from uuid import UUID

from django.db import transaction

from server.audit import exporting
from server.common.ids import new_id
from server.people.models import Patient, Relation
from server.people.periods import NOW
from server.review.models import Export
from tests.base import JSON, Client
from tests.review.test_exports import ExportsTestCase
from tests.rooms.night import DELAY, Night

REASON = "Pasienten krever innsyn."


class SubjectTestCase(ExportsTestCase):
    def ask(self, by: str | Client = "ola", patient: Any = "trine", **more: Any) -> Any:
        """The response."""
        client = self.person(by) if isinstance(by, str) else by
        about = str(self.patient_id(patient)) if isinstance(patient, str) else str(patient)
        return client.post("review/subject-requests", {"patient": about, "reason": REASON} | more)

    def told(self, **more: Any) -> list[JSON]:
        """The lines, after those that frame them have been looked at."""
        answer = self.ask(**more)
        assert answer.status_code == 200, answer.content
        head, *found, last = (json.loads(line) for line in b"".join(answer).splitlines())
        assert head["filters"] == {"subject": str(self.patient_id(more.get("patient", "trine")))}
        assert last == {"complete": True, "lines": len(found)}
        return found


class Requests(SubjectTestCase):
    def test_every_line_in_words_and_proved(self) -> None:
        """What the controller's officers find about the patient, as her own log says it."""
        listed = {one["id"] for one in self.listed(self.person("ola"), f"subject={self.patient_id('trine')}")}
        self.person("trine").ok("patch", "me", {"language": "nn"})
        Patient.objects.filter(user__username="trine").update(language="nn")
        answer = self.ask()
        text = b"".join(answer)
        head, *found, last = (json.loads(line) for line in text.splitlines())
        assert {one["id"] for one in found} == listed
        assert last == {"complete": True, "lines": len(listed)}
        assert f"Lines checked: {len(found)}." in self.told_alone(text)
        self.checked(b"\n".join(json.dumps(one).encode() for one in ({**head, "lines": len(found)}, *found)))
        own = {one["id"]: one["who"] for one in self.person("trine").ok("get", "me/access-log?limit=200")["results"]}
        assert all(one["who"] == own[one["id"]] for one in found)
        words = {one["words"] for one in found}
        assert "Sara Bergli (psykolog, Ytre DPS) las samtalen. Grunnlag: samtykket ditt." in words
        kept = Export.objects.get()
        assert (kept.kind, kept.state, kept.total, kept.done) == ("subject", "done", len(listed), len(listed))

    def test_a_page_to_read_and_print(self) -> None:
        """What she prints of her own log, with the controller's lines (GDPR article 12). Red when it names who is
        shielded, or is no page of hers."""
        said = {"user": str(self.user_id("sara")), "reason": "Konkrete trusler.", "decided_on": "2026-01-15"}
        code = self.person("ola").ok("post", "review/shields", said)["code"]
        Patient.objects.filter(user__username="trine").update(language="nn")
        self.seal()
        answer = self.ask(format="html")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
        assert answer.headers["Cache-Control"] == "no-store"
        text, kept = b"".join(answer).decode(), Export.objects.get()
        assert '<html lang="nn">' in text
        assert "<h1>Loggen din: Trine" in text
        assert "Det som står om deg i loggen til Helse Fjord: kven som har sett eller endra noko" in text
        assert f"Tilsett {code} (psykolog, Ytre DPS) las samtalen. Grunnlag: samtykket ditt." in text
        assert not [one for one in ("Sara Bergli", str(self.user_id("sara"))) if one in text]
        assert f"Dette er alt: {kept.total} linjer." in text
        assert text.count("<dt") == kept.total == kept.done > 3
        assert (kept.format, kept.state) == ("html", "done")
        assert self.audit(type="review.subject_exported")[-1].detail["format"] == "html"
        assert self.ask(format="csv").status_code == self.order(format="html").status_code == 400

    def test_on_record_in_her_log_before_the_first_byte(self) -> None:
        answer = self.ask()
        [asked] = self.audit(type="review.subject_exported")
        assert (asked.subject_id, asked.outcome) == (self.patient_id("trine"), "success")
        assert asked.detail["count"] == Export.objects.get().total
        shown = self.person("trine").ok("get", "me/access-log")["results"]
        assert "review.subject_exported" in {one["type"] for one in shown}
        assert b"".join(answer)

    def test_who_is_shielded_is_kept_back(self) -> None:
        """No name and no id, in no entry either. Red when a shielded line has its leaf, or another's names them."""
        said = {"user": str(self.user_id("sara")), "reason": "Konkrete trusler.", "decided_on": "2026-01-15"}
        code = self.person("ola").ok("post", "review/shields", said)["code"]
        self.seal()
        answer = b"".join(self.ask())
        text = answer.decode()
        assert "lines are kept back" in self.told_alone(answer)
        found = [json.loads(line) for line in text.splitlines()][1:-1]
        hers = [one for one in found if one["who"]["code"] == code]
        assert len(hers) >= 3
        assert all(one["kept_back"] and one["leaf"] is one["proof"] is one["index"] is None for one in hers)
        assert not [one for one in ("Sara Bergli", str(self.user_id("sara"))) if one in text]
        joined = [one for one in found if one["type"] == "member.joined"]
        assert any(one["kept_back"] for one in joined), "who was let in stands in the entry"
        assert any(one["leaf"] for one in found), "others are whole"

    def test_nobody_else(self) -> None:
        """And of no patient with whom the controller has nothing to do; one whom it helped before may still ask."""
        for name in ("sara", "trine", "admin"):
            answer = self.ask(name)
            assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        foreign, missing = self.ask(patient="are"), self.ask(patient=new_id())
        assert foreign.status_code == 404
        assert foreign.content == missing.content
        nav = self.officer_of("NAV Fjordvik")
        assert self.ask(nav).status_code == 404
        refused = {one.subject_id for one in self.audit(type="review.subject_exported", outcome="refused")}
        assert {self.patient_id("are"), self.patient_id("trine")} <= refused, "each in their patient's log"
        Relation.objects.filter(patient_id=self.patient_id("trine")).update(ended_at=NOW)
        assert self.told()

    def test_a_bad_request(self) -> None:
        good = {"patient": str(self.patient_id("trine")), "reason": REASON}
        for wrong in ({"patient": "x"}, {"reason": ""}, {"reason": None}):
            answer = self.person("ola").post("review/subject-requests", good | wrong)
            assert answer.status_code == 400
            assert [one["field"] for one in answer.json()["errors"]] == list(wrong)

    def test_it_breaks_off_when_the_appointment_ends(self) -> None:
        streams = [iter(self.ask(format=one)) for one in ("jsonl", "html")]
        assert all(next(one) for one in streams)
        self.end_appointment("ola")
        assert [list(one) for one in streams] == [[], []], "neither has its end"
        assert [one.state for one in Export.objects.all()] == ["cut", "cut"]


class Hidden(Night, SubjectTestCase):
    """Nils has had emergency access to Trine's room, and she is to be told tomorrow."""

    def setUp(self) -> None:
        super().setUp()
        self.person("ola").ok("get", f"review/events?subject={self.patient_id('trine')}")
        self.begun(hide=DELAY)
        self.person("nils").ok("get", f"{self.room.path}/events")
        self.seal()

    def test_what_she_may_not_know_yet_is_left_out(self) -> None:
        """Whoever answers her request hands this over. Red when it is told, or counted, before its time."""
        seen = self.listed(self.person("ola"), f"subject={self.patient_id('trine')}&basis=emergency")
        assert seen, "officers see it at once"
        found = self.told()
        assert not [one for one in found if one["emergency"] or one["id"] in {line["id"] for line in seen}]
        assert "Nødtilgang" not in b"".join(self.ask(format="html")).decode()
        assert Export.objects.get(format="jsonl").total == len(found)

    def test_what_officers_do_about_it_waits_with_it(self) -> None:
        """Red when an officer's looks after its beginning are shown at once, or those before it withheld."""
        ola = self.person("ola")
        [event] = self.listed(ola, f"subject={self.patient_id('trine')}&type=emergency_access.begun")
        ola.ok("get", f"review/events/{event['id']}")
        with transaction.atomic():
            exporting.record_disclosed([UUID(event["id"])])
        trine, types = self.person("trine"), []
        for path in ("me/access-log?limit=200", "me/access-log/export?form=jsonl"):
            answer = trine.get(path)
            lines = answer.json()["results"] if not answer.streaming else map(json.loads, b"".join(answer).splitlines())
            types = [one.get("type") for one in lines]
            assert types.count("review.events_viewed") == 1, path
            assert not {"review.event_viewed", "audit.disclosed"} & set(types), path
