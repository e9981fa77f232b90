"""Every act that a found telephone must not do asks for a fresh proof; none that must never wait does."""

from typing import Any
from uuid import uuid4

from server.people.models import Session
from tests.base import Client
from tests.credentials.base import JSON, Proving
from tests.review.officers import OfficersTestCase
from tests.support.served import sqlite_only

REASON = "Krav om innsyn i brev."
LOOK_UP = {"kind": "patient", "identity_number": "02497910180", "reason": REASON}


@sqlite_only
class Asked(Proving, OfficersTestCase):
    ola: Client
    event: str
    export: JSON

    def setUp(self) -> None:
        super().setUp()
        self.ola = self.person("ola")
        self.person("sara").ok("get", "patients")
        self.follow()
        self.event = next(
            one["id"] for one in self.listed(self.ola) if one["type"] == "patient.viewed" and one["subject"]
        )

    def asks(self) -> dict[str, tuple[str, str, Any]]:
        order = {"filters": {}, "format": "jsonl", "reason": REASON}
        subject = {"patient": str(self.patient_id("trine")), "format": "jsonl", "reason": REASON}
        return {
            "review.revealed": ("post", f"review/events/{self.event}/reveal", {"reason": REASON}),
            "review.patient_found": ("post", "review/look-ups", LOOK_UP),
            "review.staff_found": ("post", "review/look-ups", {"kind": "staff", "name": "sara", "reason": REASON}),
            "review.export_made": ("post", "review/exports", order),
            "review.export_downloaded": ("get", f"review/exports/{self.export['id']}/download", None),
            "review.subject_exported": ("post", "review/subject-requests", subject),
        }

    def test_officers_prove_it_before_names_are_shown_or_lines_taken_out(self) -> None:
        """Red when `require_proved_officer` is left out of any of these, or a refusal stands in no log."""
        self.export = self.ola.ok("post", "review/exports", {"filters": {}, "format": "jsonl", "reason": REASON})
        key = self.register(self.ola)
        self.grow_stale(self.ola)
        for act, (method, path, said) in self.asks().items():
            self.refused(getattr(self.ola, method)(path, said), 403, "step_up_needed")
            assert self.audit(type=act, outcome="refused", reason="step_up_needed"), act
        assert self.step_up(self.ola, key).status_code == 200
        for act, (method, path, said) in self.asks().items():
            answer = getattr(self.ola, method)(path, said)
            assert answer.status_code in (200, 201), (act, answer)

    def test_an_answer_that_showed_names_is_not_given_again_without(self) -> None:
        """Red when a retry asks for no proof."""
        path, once = f"review/events/{self.event}/reveal", {"Idempotency-Key": "one"}
        assert self.ola.post(path, {"reason": REASON}, headers=once).status_code == 201
        self.grow_stale(self.ola)
        self.refused(self.ola.post(path, {"reason": REASON}, headers=once), 403, "step_up_needed")

    def test_whoever_is_no_officer_is_told_that_and_nothing_of_proofs(self) -> None:
        kari = self.person("kari")
        self.grow_stale(kari)
        self.refused(kari.post("review/look-ups", LOOK_UP), 403, "officer_only")


@sqlite_only
class NeverAsked(Proving, OfficersTestCase):
    def test_what_must_not_wait_does_not(self) -> None:
        """Red when a proof stands between somebody and help, or between somebody and saying no."""
        room = self.open_shared_room()
        are = self.person("are")
        Session.objects.filter(user_id=are.user_id).update(strong_at=None, strong_by="")
        key = are.ok("post", "alert-keys", {"label": "Mobilen"})
        assert are.put(f"alerts/{uuid4()}", {}).json()["code"] == "no_programme", "asked for no proof"
        are.ok("delete", f"alert-keys/{key['id']}")
        are.ok("post", f"{room.asks}/withdraw", {})
        are.ok("post", "exclusions", {"user": str(self.user_id("frida"))})
        are.ok("delete", "me/sessions")
        are.ok("post", "me/sign-out")
