"""Findings through the API: who is asked, who answers, who never does. «Red when …» names the mutation."""

from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.people import actions as people
from server.people.models import Controller, User
from server.review import scanning
from server.review.models import Finding, FindingNote, Watch
from tests.base import JSON, Client
from tests.exposure import derive
from tests.review.officers import OfficersTestCase
from tests.rooms.night import NOWHERE, Night

FINDINGS = "review/findings"
HELSE_FJORD, KOMMUNE, HOLMEN = "Helse Fjord", "Fjordvik kommune", "Holmen kommune"
SAID = "Spurte lederen. Vikar den uken."


class Findings(Night, OfficersTestCase):
    """Trine is helped by Sara of Helse Fjord and by Kari of Fjordvik kommune."""

    def scan(self) -> None:
        self.follow()
        scanning.tick()

    def found(self, kind: str = "", controller: str = HELSE_FJORD) -> list[Finding]:
        rows = Finding.objects.filter(controller__name=controller).order_by("id")
        return list(rows.filter(kind=kind) if kind else rows)

    def queue(self, client: Client, query: str = "") -> list[UUID]:
        return [UUID(one["id"]) for one in client.ok("get", f"{FINDINGS}?{query}")["results"]]

    def act(self, client: Client, finding: Finding, verb: str, **said: Any) -> Any:
        """The response."""
        return client.post(f"{FINDINGS}/{finding.id}/{verb}", said)

    def done(self, client: Client, finding: Finding, verb: str, **said: Any) -> JSON:
        answer = self.act(client, finding, verb, **said)
        assert answer.status_code == 200, answer.content
        told: JSON = answer.json()
        return told

    def refused(self, client: Client, finding: Finding, verb: str, **said: Any) -> tuple[int, str]:
        answer = self.act(client, finding, verb, **said)
        return answer.status_code, answer.json()["code"]

    def rename(self, username: str, name: str) -> None:
        User.objects.filter(username=username).update(name=name)

    def same_name(self) -> Finding:
        """Sara has the same surname as Trine, and opens her card."""
        self.rename("sara", "Sara HOLMÅSEN")
        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.scan()
        (finding,) = self.found("same_surname")
        return finding

    def about_ola(self) -> Finding:
        """Ola is denied five times."""
        for _ in range(5):
            assert self.person("ola").get(f"emergency-access/{NOWHERE}").status_code == 404
        self.scan()
        (finding,) = self.found("denied")
        return finding


class Work(Findings):
    def test_taken_explained_closed_and_all_of_it_on_record(self) -> None:
        """Red when a verb leaves no event, or a step is let through out of turn."""
        finding, ola, other = self.same_name(), self.person("ola"), self.person("officer2")
        assert finding.id in self.queue(ola)
        assert self.refused(ola, finding, "explain", text=SAID) == (409, "take_first")
        due = "2031-01-01T12:00:00Z"
        taken = self.done(ola, finding, "take", due_at=due)
        assert (taken["owner"], taken["state"], taken["due_at"]) == ("me", "open", "2031-01-01T12:00:00.000000Z")
        assert self.done(ola, finding, "take")["owner"] == "me"
        assert self.refused(ola, finding, "close") == (409, "answer_first")
        for verb in ("take", "explain", "confirm", "close"):
            assert self.refused(other, finding, verb, text=SAID) == (409, "finding_taken")
        assert self.done(other, finding, "note", text="Jeg kjenner avdelingen.")["owner"] == "other"
        assert self.done(ola, finding, "explain", text=SAID)["state"] == "explained"
        assert self.refused(ola, finding, "confirm", text=SAID) == (409, "finding_answered")
        closed = self.done(ola, finding, "close")
        assert (closed["state"], closed["conclusion"]) == ("closed", "explained")
        assert self.refused(ola, finding, "close") == (409, "finding_closed")
        assert self.refused(ola, finding, "take") == (409, "finding_closed")
        notes = self.done(ola, finding, "note", text="Etterpå.")["notes"]
        assert [(one["from_state"], one["to_state"], one["text"]) for one in notes] == [
            ("open", "open", "Jeg kjenner avdelingen."),
            ("open", "explained", SAID),
            ("explained", "closed", None),
            ("closed", "closed", "Etterpå."),
        ]
        assert finding.id not in self.queue(ola)
        assert finding.id in self.queue(ola, "state=closed&kind=same_surname&owner=me")
        log = self.audit(object_id=finding.id, type__startswith="finding.", outcome="success")
        assert [event.type.removeprefix("finding.") for event in log] == [
            "found",
            "taken",
            "due_set",
            "noted",
            "explained",
            "closed",
            "noted",
        ]
        assert all(event.subject_id is None for event in log), "hidden emergency access must not be told of"
        assert self.audit(object_id=finding.id, type="finding.explained", outcome="refused")
        assert self.audit(object_id=finding.id, type="review.finding_viewed")

    def test_confirmed(self) -> None:
        finding, ola = self.same_name(), self.person("ola")
        self.done(ola, finding, "take")
        assert self.done(ola, finding, "confirm", text=SAID)["conclusion"] == "confirmed"
        assert self.done(ola, finding, "close", text="Sendt videre.")["state"] == "closed"

    def test_what_is_asked_is_said_in_the_readers_language_and_without_names(self) -> None:
        """Red when a name gets into the question, the row or the log."""
        finding, ola = self.same_name(), self.person("ola")
        shown = ola.ok("get", f"{FINDINGS}/{finding.id}", HTTP_ACCEPT_LANGUAGE="en")
        assert "same last name" in shown["reason"]
        assert "not a reproach" in shown["reason"]
        assert shown["actor"] == str(self.user_id("sara"))
        (event,) = shown["events"]
        assert ola.ok("get", f"review/events/{event}")["type"] == "patient.viewed"
        kept = str(Finding.objects.values()) + str(AuditEvent.objects.filter(object_id=finding.id).values("leaf"))
        assert "holmåsen" not in kept.casefold()
        assert "holmåsen" not in str(shown).casefold()

    def test_a_retry_is_one_act(self) -> None:
        finding, ola = self.same_name(), self.person("ola")
        self.done(ola, finding, "take")
        for _ in range(2):
            answer = ola.post(f"{FINDINGS}/{finding.id}/note", {"text": SAID}, headers={"Idempotency-Key": "n"})
            assert answer.status_code == 200
        assert FindingNote.objects.filter(finding=finding).count() == 1

    def test_what_an_officer_held_who_is_one_no_longer_can_be_taken(self) -> None:
        """Red when `held` does not ask whether the appointment holds."""
        finding = self.same_name()
        self.done(self.person("ola"), finding, "take")
        self.end_appointment("ola")
        other = self.person("officer2")
        assert finding.id in self.queue(other, "owner=nobody")
        assert self.done(other, finding, "take")["owner"] == "me"

    def test_bad_input(self) -> None:
        finding, ola = self.same_name(), self.person("ola")
        for query in ("state=x", "kind=x", "owner=sara", "cursor=x", "actor=1", "o%00=1"):
            assert ola.get(f"{FINDINGS}?{query}").status_code == 400, query
        for verb, said in (
            ("take", {"due_at": "9999-12-31T23:59:59-14:00"}),
            ("take", {"due_at": 1}),
            ("note", {}),
            ("note", {"text": ""}),
            ("note", {"text": "a\0b"}),
            ("explain", {"text": "x" * 4001}),
            ("confirm", {"text": ["x"]}),
        ):
            assert self.act(ola, finding, verb, **said).status_code == 400, (verb, said)

    def test_the_database_refuses_what_no_step_makes(self) -> None:
        finding = self.same_name()
        row = Finding.objects.filter(id=finding.id)
        for wrong in (
            {"state": "closed"},
            {"state": "explained", "conclusion": "explained"},
            {"state": "closed", "conclusion": "duty", "closed_at": now()},
            {"conclusion": "confirmed"},
            {"state": "gone"},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                row.update(**wrong)
        self.done(self.person("ola"), finding, "note", text=SAID)
        assert SAID.encode() not in bytes(FindingNote.objects.get().text_sealed or b"")
        for spoil in (
            lambda: FindingNote.objects.update(to_state="closed"),
            lambda: FindingNote.objects.all().delete(),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                spoil()


class Doors(Findings):
    def test_outsiders_and_officers_of_another_controller(self) -> None:
        """Red when the queue or the door does not ask for the officer's controller."""
        finding, holmen = self.same_name(), self.officer_of(HOLMEN)
        theirs = self.officer_of(KOMMUNE)  # helps Trine too, and is asked about it in a finding of its own
        (own,) = self.found("same_surname", KOMMUNE)
        assert self.queue(theirs, "kind=same_surname") == [own.id]
        assert self.queue(holmen) == []
        for client in (holmen, theirs):
            missing = client.get(f"{FINDINGS}/{NOWHERE}")
            foreign = client.get(f"{FINDINGS}/{finding.id}")
            assert (foreign.status_code, foreign.content) == (404, missing.content)
            for verb in ("take", "note", "explain", "confirm", "close"):
                assert self.refused(client, finding, verb, text=SAID) == (404, "not_found")
        for name in ("kari", "sara", "trine", "admin"):
            assert self.person(name).get(FINDINGS).json()["code"] == "officer_only"
            assert self.refused(self.person(name), finding, "take") == (403, "officer_only")
            assert self.person(name).get(f"{FINDINGS}/{finding.id}").json()["code"] == "officer_only"

    def test_nobody_answers_for_themself(self) -> None:
        """Red when `concerns` is not asked at one of the doors."""
        finding, ola, other = self.about_ola(), self.person("ola"), self.person("officer2")
        assert finding.id not in self.queue(ola)
        assert ola.get(f"{FINDINGS}/{finding.id}").json()["code"] == "concerns_you"
        for verb in ("take", "note", "explain", "confirm", "close"):
            assert self.refused(ola, finding, verb, text=SAID) == (403, "concerns_you")
        assert finding.id in self.queue(other)
        self.done(other, finding, "take")
        assert self.done(other, finding, "explain", text=SAID)["state"] == "explained"

    def test_nor_for_who_looked_at_them(self) -> None:
        """An officer who is the patient. Red when only the actor is compared."""
        finding = self.same_name()
        people.appoint_officer(
            user=User.objects.get(username="trine"), controller=Controller.objects.get(name=HELSE_FJORD), actor=SYSTEM
        )
        trine = self.sign_in("trine")
        assert finding.id not in self.queue(trine)
        assert self.refused(trine, finding, "take") == (403, "concerns_you")

    def test_without_another_officer_it_waits_and_says_why(self) -> None:
        """Red when a finding about the only officer is closed, hidden or silent."""
        finding = self.about_ola()
        assert Finding.objects.get(id=finding.id).hindered == ""
        self.end_appointment("officer2")
        with self.assertLogs("server.review.scanning", "ERROR") as said:
            self.scan()
        waits = Finding.objects.get(id=finding.id)
        assert (waits.state, waits.hindered) == ("open", "no_other_officer")
        assert str(finding.id) in str(said.output)
        new = self.officer_of(HELSE_FJORD)
        self.scan()
        (shown,) = [one for one in new.ok("get", FINDINGS)["results"] if one["id"] == str(finding.id)]
        assert shown["hindered"] is None


class Emergency(Findings):
    def setUp(self) -> None:
        super().setUp()
        self.open_the_room()

    def test_the_duty_answers_it_and_closes_it(self) -> None:
        """Red when a finding of its own must be answered, or stays open when the review is done."""
        self.begun("nils")
        self.scan()
        (finding,) = self.found("emergency")
        ola = self.person("ola")
        (duty,) = self.duties("ola", "emergency_review")
        shown = ola.ok("get", f"{FINDINGS}/{finding.id}")
        assert shown["duty"] == duty["id"]
        self.done(ola, finding, "take")
        self.done(ola, finding, "note", text=SAID)
        for verb in ("explain", "confirm", "close"):
            answer = self.act(ola, finding, verb, text=SAID)
            assert (answer.status_code, answer.json()["code"], answer.json()["duty"]) == (
                409,
                "duty_answers",
                duty["id"],
            )
        ola.ok("post", f"duties/{duty['id']}/done", {"answer": "Riktig bruk."})
        self.scan()
        closed = ola.ok("get", f"{FINDINGS}/{finding.id}")
        assert (closed["state"], closed["conclusion"]) == ("closed", "duty")
        assert closed["notes"][-1] | {"at": ""} == {
            "at": "",
            "by": None,
            "from_state": "open",
            "to_state": "closed",
            "text": None,
        }
        self.scan()
        assert len(self.found("emergency")) == 1

    def test_twice_in_a_night_is_one_question_as_it_is_one_review(self) -> None:
        self.begun("nils")
        self.scan()
        self.end("nils")
        self.begun("nils")
        self.scan()
        (finding,) = self.found("emergency")
        assert len(finding.events) == 2
        assert self.found("emergency", KOMMUNE) == [], "whose staff it was reviews it"


class Purpose(Findings):
    """No ranking, no counts per employee, no way to ask by person, nothing about working hours."""

    def test_the_api_offers_none_of_it(self) -> None:
        finding, ola = self.same_name(), self.person("ola")
        sara = self.user_id("sara")
        for query in (f"actor={sara}", f"subject={sara}", "ordering=actor", "sort=actor", "group=actor", "search=sara"):
            answer = ola.get(f"{FINDINGS}?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), query
        page = ola.ok("get", FINDINGS)
        assert set(page) == {"results", "next"}, "no totals"
        (card,) = [one for one in page["results"] if one["id"] == str(finding.id)]
        assert str(sara) not in str(page)
        assert not {"actor", "subject", "events", "parameters", "count"} & set(card)
        routes = {one.split(" ")[1] for one in derive.routes() if "findings" in one}
        assert routes == {FINDINGS, f"{FINDINGS}/{{finding_id}}"} | {
            f"{FINDINGS}/{{finding_id}}/{verb}" for verb in ("take", "note", "explain", "confirm", "close")
        }
        schema = ola.get("schema/?format=json").json()["paths"][f"/api/v1/{FINDINGS}"]["get"]
        assert {one["name"] for one in schema["parameters"]} == {"state", "kind", "owner", "cursor", "limit"}

    def test_nor_does_the_model(self) -> None:
        """An index by person would be there for a question that nobody may ask."""
        for model in (Finding, FindingNote, Watch):
            for index in (*model._meta.indexes, *model._meta.constraints):
                assert not {"actor_id", "subject_id", "owner"} & set(getattr(index, "fields", ()))
            assert model._meta.ordering == []
            assert type(model.objects).__name__ == "Manager"
        names = {one.name for one in Finding._meta.get_fields()}
        assert not {one for one in names if any(word in one for word in ("count", "score", "rank", "hour", "weekday"))}
