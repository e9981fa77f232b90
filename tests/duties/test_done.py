"""Done once: acknowledged, or answered in words where words are needed."""

from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.duties import actions
from server.duties.models import NEED_WORDS, TAKE_WORDS, TO_PATIENTS, Duty, Kind
from server.duties.words import ANSWER
from server.people.models import Patient
from server.vault import actions as vault
from server.vault.models import DataKey
from tests.base import TownTransactionTestCase
from tests.duties.base import DutiesTestCase, Owing
from tests.support.served import sqlite_only
from tests.support.threads import at_once

pytestmark = sqlite_only

FOUND = "Riktig bruk. Samtykke kunne ikke innhentes i tide."


class Doing(DutiesTestCase):
    def test_telling_is_done_by_acknowledging(self) -> None:
        for kind in [one for one in Kind.values if one not in TAKE_WORDS]:
            owner = "are" if kind in TO_PATIENTS else "kari"
            duty = self.owe(kind, owner)
            told = self.done(owner, duty)
            assert (told.status_code, told.json()["answered"], told.json()["answer"]) == (200, False, None), kind
            assert told.json()["done_at"] is not None
            assert Duty.objects.get(id=duty.id).done_by_id == self.user_id(owner)
        assert self.seen("are") == self.seen("kari") == []
        assert len(self.seen("are", open="false")) == len(TO_PATIENTS)

    def test_words_nobody_would_read_are_refused(self) -> None:
        """Red when words on what is only told are accepted: they would be kept nowhere, or read by nobody."""
        duty = self.owe("consent_recorded", "are")
        refused = self.done("are", duty, "Det har jeg ikke sagt ja til")
        assert (refused.status_code, refused.json()["code"]) == (409, "no_answer_wanted")
        assert self.seen("are") == [duty.id], "and it stays open"

    def test_a_call_is_offered_with_or_without_words(self) -> None:
        for answer in (None, "", "Ringte, hun ville ikke snakke nå"):
            duty = self.owe("offer_call", "kari")
            told = self.done("kari", duty, answer).json()
            assert (told["answered"], told["answer"]) == (bool(answer), answer or None)

    def test_what_needs_words_stays_open_without_them(self) -> None:
        """Red when `answer_needed` is left out (the database refuses too)."""
        for kind in NEED_WORDS:
            duty = self.owe(kind, "Helse Fjord")
            for nothing in (None, "", "  \n\t "):
                refused = self.done("ola", duty, nothing)
                assert (refused.status_code, refused.json()["code"]) == (409, "answer_needed"), (kind, nothing)
            assert duty.id in self.seen("ola")
            assert self.done("ola", duty, FOUND).json()["answer"] == FOUND
            assert duty.id not in self.seen("ola")

    def test_done_twice_is_done_once(self) -> None:
        """Red when the update does not ask for `done_at=None`: the second officer would be the one who did it."""
        duty = self.owe("emergency_review", "Helse Fjord")
        first = self.done("ola", duty, FOUND)
        before = Duty.objects.get(id=duty.id)
        for name, answer in (("ola", FOUND), ("ola", None), ("officer2", ""), ("officer2", FOUND)):
            again = self.done(name, duty, answer)
            assert (again.status_code, again.json()) == (200, first.json()), (name, answer)
        after = Duty.objects.get(id=duty.id)
        assert (after.done_at, after.done_by_id) == (before.done_at, before.done_by_id)
        assert after.done_by_id == self.user_id("ola")
        assert len(self.audit(type="duty.done")) == 1

    def test_other_words_conflict(self) -> None:
        """Red when a second answer is taken for the first, or replaces it."""
        review, call = self.owe("emergency_review", "Helse Fjord"), self.owe("offer_call", "kari")
        self.done("ola", review, FOUND)
        self.done("kari", call)
        for refused in (self.done("officer2", review, "Ulovlig bruk"), self.done("kari", call, "Ringte")):
            assert (refused.status_code, refused.json()["code"]) == (409, "answered_already")
        assert self.page("ola", open="false")["results"][0]["answer"] == FOUND
        assert self.page("kari", open="false")["results"][0]["answer"] is None

    def test_the_answer_is_read_again_by_whoever_owes_it(self) -> None:
        duty = self.owe("emergency_review", "Helse Fjord")
        self.done("ola", duty, FOUND)
        vault.forget_keys()
        (shown,) = self.page("officer2", open="false")["results"]
        assert (shown["id"], shown["answered"], shown["answer"]) == (str(duty.id), True, FOUND)

    def test_an_idempotency_key(self) -> None:
        duty, ola = self.owe("emergency_review", "Helse Fjord"), self.person("ola")

        def send(answer: str) -> Any:
            return ola.post(f"duties/{duty.id}/done", {"answer": answer}, headers={"Idempotency-Key": "k"})

        first, again, other = send(FOUND), send(FOUND), send("Noe annet")
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Idempotent-Replay"] == "true"
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


class Kept(DutiesTestCase):
    def test_the_answer_is_sealed_under_the_patients_key(self) -> None:
        """Red when the answer is stored as it is, under another key, or bound to no row."""
        duty = self.owe("emergency_review", "Helse Fjord")
        self.done("ola", duty, FOUND)
        sealed = Duty.objects.values_list("answer_sealed", flat=True).get(id=duty.id)
        assert sealed is not None
        assert FOUND.encode() not in bytes(sealed)
        assert Patient.objects.get(user__username="are").key.bytes in bytes(sealed)
        assert vault.unseal(sealed, place=ANSWER, row=duty.id) == FOUND

    def test_an_answer_whose_key_is_destroyed(self) -> None:
        """Red when a destroyed key makes the whole page fail."""
        duty = self.owe("emergency_review", "Helse Fjord")
        self.done("ola", duty, FOUND)
        DataKey.objects.filter(owner=self.patient_id()).update(wrapped=None, destroyed_at=now())
        vault.forget_keys()
        (shown,) = self.page("ola", open="false")["results"]
        assert (shown["answered"], shown["answer"]) == (True, "(slettet)")

    def test_the_database_refuses(self) -> None:
        """Each line is red when its constraint goes."""
        kari, controller = self.user_id("kari"), self.owe("emergency_review", "Helse Fjord").controller_id
        done = {"done_at": now(), "done_by_id": kari}
        for name, kind, change in (
            ("duty_kind", "offer_call", {"kind": "gossip"}),
            ("duty_one_owner", "offer_call", {"controller_id": controller}),
            ("duty_one_owner", "offer_call", {"user_id": None}),
            ("duty_done_by_somebody", "offer_call", {"done_at": now()}),
            ("duty_done_by_somebody", "offer_call", {"done_by_id": kari}),
            ("duty_done_by_somebody", "offer_call", {"answer_sealed": b"x"}),
            ("duty_done_in_words", "emergency_review", done),
            ("duty_done_in_words", "record_unreadable", done),
            ("duty_words_about_a_patient", "offer_call", {"patient_id": None}),
            ("duty_words_about_a_patient", "consent_ending", done | {"answer_sealed": b"x"}),
        ):
            duty = self.owe(kind, "kari")
            with pytest.raises(IntegrityError, match=name), transaction.atomic():
                Duty.objects.filter(id=duty.id).update(**change)

    def test_what_cannot_be_owed(self) -> None:
        """Red when `owe` does not look at owners, or at whose key would seal the answer."""
        are, kari = Patient.objects.get(user__username="are"), self.user_id("kari")
        controller = self.engagement_of("kari").unit.controller_id
        before = Duty.objects.count()
        for kind, more in (
            ("offer_call", {"patient": are}),
            ("offer_call", {"patient": are, "user_id": kari, "controller_id": controller}),
            *((kind, {"user_id": kari}) for kind in TAKE_WORDS),
        ):
            with pytest.raises(ValueError, match=r"owed by one|sealed under"):
                actions.owe(kind=kind, actor=SYSTEM, **more)
        assert Duty.objects.count() == before
        told = actions.owe(kind="emergency_told", user_id=kari, actor=SYSTEM)
        assert self.seen("kari") == [told.id], "what is only told needs no patient"


class AtOnce(Owing, TownTransactionTestCase):
    def test_two_officers_who_answer_at_once(self) -> None:
        """Red when reading and writing are two steps: both would have answered, and one answer would be gone."""
        duties = [self.owe("emergency_review", "Helse Fjord").id for _ in range(3)]
        clients = [self.sign_in(one) for one in ("ola", "officer2", "ola", "officer2")]

        def answer(duty: UUID) -> None:
            answers = at_once(
                [
                    lambda client=client, words=f"Svar {n}": client.post(f"duties/{duty}/done", {"answer": words})
                    for n, client in enumerate(clients)
                ]
            )
            assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
            (won,) = [one.json()["answer"] for one in answers if one.status_code == 200]
            shown = {one["id"]: one["answer"] for one in self.page("ola", open="false")["results"]}
            assert shown[str(duty)] == won
            assert len(self.audit(type="duty.done", object_id=duty)) == 1

        for duty in duties:
            answer(duty)
