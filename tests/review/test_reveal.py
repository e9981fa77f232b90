"""`review/events/{id}/reveal`: names and details of one case, for a written reason, seen by the patient."""

from uuid import UUID

import pytest
from django.db import DatabaseError, transaction

from server.audit.models import AuditEvent
from server.people.models import Patient
from server.review.custody import KeyCustody
from server.review.models import Reveal
from server.vault import actions as vault
from tests.review.officers import EVENTS, OfficersTestCase

WHY = "Pasienten klager på at NAV har skrevet i rommet."


class Case(OfficersTestCase):
    @pytest.fixture(autouse=True)
    def _patched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def setUp(self) -> None:
        super().setUp()
        self.room = self.open_shared_room()
        self.person("vera").ok("get", f"{self.room.path}/events")
        self.follow()
        self.officer, self.colleague = self.officer_of("Fjordvik kommune"), self.officer_of("NAV Fjordvik")
        self.event = AuditEvent.objects.get(type="events.viewed")
        self.path = f"{EVENTS}/{self.event.id}/reveal"

    def test_names_and_details_for_a_reason(self) -> None:
        answer = self.officer.post(self.path, {"reason": WHY})
        assert answer.status_code == 201, answer.content
        said = answer.json()
        assert (said["actor_name"], said["patient_name"]) == ("Vera Haugen", "Are Strandvik")
        assert (said["details_state"], said["details"]) == ("open", self.event.detail)
        assert set(said["details"]) == {"from", "to"}
        kept = Reveal.objects.get(id=said["id"])
        assert (kept.officer.user_id, kept.event_id) == (self.officer.user_id, self.event.id)
        assert WHY.encode() not in bytes(kept.reason_sealed)
        (entry,) = self.audit(type="review.revealed")
        assert (entry.subject_id, entry.object_id, entry.basis) == (self.patient_id(), self.event.id, "officer")
        assert entry.record_ids == [str(kept.id)]
        assert WHY not in entry.leaf
        log = self.person("are").ok("get", "me/access-log")["results"]
        assert ("review.revealed", "Ombud Fjordvik kommune") in {(one["type"], one["who"]["name"]) for one in log}

    def test_a_reason_is_a_reason(self) -> None:
        for wrong in (
            {},
            {"reason": ""},
            {"reason": "kort"},
            {"reason": " " * 40},
            {"reason": "x" * 2001},
            {"reason": 1},
        ):
            answer = self.officer.post(self.path, wrong)
            assert answer.status_code == 400, wrong
            assert answer.json()["errors"][0]["field"] == "reason"
        assert not Reveal.objects.exists()

    def test_who_has_looked_into_the_case_before(self) -> None:
        """Red when reveals of another controller's officers are listed."""
        self.officer.ok("post", self.path, {"reason": WHY})
        self.officer.ok("post", self.path, {"reason": "En gang til, for å svare."})
        self.colleague.ok("post", self.path, {"reason": "Vera har spurt selv."})
        page = self.officer.ok("get", f"{self.path}?limit=1")
        (first,) = page["results"]
        assert (first["reason"], first["officer_name"]) == (WHY, "Ombud Fjordvik kommune")
        rest = self.officer.ok("get", page["next"])
        assert ([one["reason"] for one in rest["results"]], rest["next"]) == (["En gang til, for å svare."], None)
        assert len(self.audit(type="review.reveals_viewed", subject_id=self.patient_id())) == 2

    def test_a_retry_reveals_once(self) -> None:
        headers = {"Idempotency-Key": "one"}
        first = self.officer.post(self.path, {"reason": WHY}, headers=headers)
        again = self.officer.post(self.path, {"reason": WHY}, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert Reveal.objects.count() == 1
        assert len(self.audit(type="review.revealed")) == 2, "what is shown again is a look"

    def test_what_is_erased_is_said_to_be(self) -> None:
        self.monkeypatch.setattr(KeyCustody, "may_destroy", lambda *_: None)
        self.officer.ok("post", self.path, {"reason": WHY})
        vault.destroy_key(Patient.objects.get(id=self.patient_id()).key, reason="erasure", actor=None)
        said = self.officer.ok("post", self.path, {"reason": WHY})
        assert said | {"id": ""} == {
            "id": "",
            "event": str(self.event.id),
            "actor": str(self.user_id("vera")),
            "actor_name": "Vera Haugen",
            "subject": str(self.patient_id()),
            "patient_name": "(slettet)",
            "room": str(self.room.id),
            "details": None,
            "details_state": "erased",
        }
        reasons = [one["reason"] for one in self.officer.ok("get", self.path)["results"]]
        assert reasons == ["(slettet)", WHY], "the first went with the key; the second is the service's own"

    def test_one_whose_details_never_were_and_one_without_a_patient(self) -> None:
        self.person("vera").ok("get", "rooms")
        self.follow()
        for event, patient in self._of_vera():
            said = self.colleague.ok("post", f"{EVENTS}/{event.id}/reveal", {"reason": WHY})
            assert (said["actor_name"], said["patient_name"]) == ("Vera Haugen", patient)
            assert (said["details_state"] == "open") == (event.detail_sealed is not None)

    def _of_vera(self) -> list[tuple[AuditEvent, str | None]]:
        vera = self.user_id("vera")
        found = AuditEvent.objects.filter(actor_id=vera, type__in=["session.started", "room.listed"]).order_by("type")
        assert {one.type for one in found} == {"session.started", "room.listed"}
        return [(one, "Are Strandvik" if one.subject_id else None) for one in found]

    def test_the_record_of_it_stays(self) -> None:
        self.officer.ok("post", self.path, {"reason": WHY})
        for change in (lambda: Reveal.objects.update(event_id=UUID(int=1)), lambda: Reveal.objects.all().delete()):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()

    def test_a_fixed_number_of_statements(self) -> None:
        self.officer.ok("post", self.path, {"reason": WHY})
        # session; savepoint, event, patient, reveal, log, release; actor's name
        with self.assertNumQueries(8):
            self.officer.ok("post", self.path, {"reason": WHY})
