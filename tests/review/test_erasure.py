"""Erasing a person: what stands in the way, who may say so, and what is left afterwards (GDPR article 17)."""

import io
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command

from server.audit import checking
from server.audit.models import AuditEvent
from server.common.ids import new_id
from server.notify.models import Address
from server.people.models import Controller, Patient
from server.people.names import display_names
from server.review import erasing
from server.review.keeping import OURS, Rules
from server.review.models import Erasure, Finding
from server.vault import actions as vault
from server.vault import erased
from server.vault.errors import Destroyed, DestructionRefused
from tests.base import Client
from tests.review.erased import ERASURES, WAIVED, WHY, ErasedTestCase


class Asking(ErasedTestCase):
    def test_what_stands_in_the_way(self) -> None:
        """A list to work through, in plain words. Red when something that is open is forgotten."""
        path = self.ask()
        told = next(iter(self.officers().values())).ok("get", path)
        codes = {one["code"] for one in told["in_the_way"]}
        assert codes == {"part_missing", "open_room", "running_consent", "relation", "unconfirmed"}
        assert all(len(one["words"]) > 15 for one in told["in_the_way"])
        assert told["state"] == "asked"
        assert {one["outcome"] for one in told["parts"]} == {""}
        assert len(told["parts"]) == len(self.officers())
        self.ahead = timedelta()
        assert {"must_be_kept"} < self.codes(path)
        self.over()
        assert self.codes(path) == {"part_missing", "authors_may_export", "must_be_kept", "unconfirmed"}

    def test_nothing_is_erased_while_the_rules_are_nobodys(self) -> None:
        """As the product is delivered. Red when rules that nobody has confirmed are enough."""
        path, rules = self.ready(), Rules.model_validate_json(OURS.read_bytes())
        with patch("server.review.keeping.rules", lambda: rules):
            assert self.codes(path) == {"rules_unconfirmed"}
            answer = self.second_officer.post(f"{path}/begin")
        assert (answer.status_code, answer.json()["code"]) == (409, "erasure_hindered")
        assert self.audit(type="erasure.begun", outcome="refused")

    def test_two_people(self) -> None:
        path, asking = self.ask(), next(iter(self.officers().values()))
        answer = asking.post(f"{path}/confirm")
        assert (answer.status_code, answer.json()["code"]) == (409, "four_eyes")
        self.second().ok("post", f"{path}/confirm")
        assert Erasure.objects.get().confirmed_by_id != asking.user_id

    def test_time_to_think_better_of_it(self) -> None:
        self.ready()
        path = f"{ERASURES}/{Erasure.objects.get().id}"
        self.ahead -= timedelta(days=39)
        assert self.codes(path) == {"waiting_time"}
        assert self.second_officer.post(f"{path}/begin").status_code == 409
        self.second_officer.ok("post", f"{path}/cancel")
        self.ahead += timedelta(days=39)
        answer = self.second_officer.post(f"{path}/begin")
        assert (answer.status_code, answer.json()["code"]) == (409, "erasure_over")
        assert erasing.tick() == 0

    def test_others_of_another_controller_see_nothing(self) -> None:
        """The same 404 as for what is not there, on record. Red when any of the addresses forgets the door."""
        path = self.ask()
        foreign = Controller.objects.exclude(name__in=self.officers()).order_by("name").values_list("name", flat=True)
        stranger = self.officer_of(foreign[0])
        missing = f"{ERASURES}/{new_id()}"
        for method, end, body in (
            ("get", "", None),
            ("post", "/part", WAIVED),
            ("post", "/confirm", None),
            ("post", "/cancel", None),
            ("post", "/begin", None),
        ):
            answer, nothing = (getattr(stranger, method)(f"{one}{end}", body) for one in (path, missing))
            assert answer.status_code == 404, end
            assert answer.content == nothing.content
        assert stranger.ok("get", ERASURES)["results"] == []
        answer = stranger.post(ERASURES, {"patient": str(self.are.id), "reason": WHY})
        assert answer.status_code == 404
        assert len(self.audit(outcome="refused", subject_id=self.are.id)) == 6
        for name in ("sara", "are", "admin"):
            for address in (ERASURES, path):
                answer = self.person(name).get(address)
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name

    def test_anothers_finding_is_not_told(self) -> None:
        """Red when officers read of each other's questions."""
        path = self.ask()
        (one, first), (_two, second) = list(self.officers().items())[:2]
        Finding.objects.create(
            controller_id=self.controller_id(one),
            kind="denied",
            case="c",
            key="k",
            actor_id=new_id(),
            subject_id=self.are.id,
            first_at=self.moment(),
            last_at=self.moment(),
            due_at=self.moment(),
        )
        assert "finding" in self.codes(path, first)
        said = self.codes(path, second)
        assert "finding" not in said
        assert "open_elsewhere" in said

    def test_a_second_one(self) -> None:
        self.ask()
        asking = next(iter(self.officers().values()))
        answer = asking.post(ERASURES, {"patient": str(self.are.id), "reason": WHY})
        assert (answer.status_code, answer.json()["code"]) == (409, "erasure_open")

    def test_stale_sessions_are_asked_again(self) -> None:
        path = self.ask()
        with patch("server.people.step_up.fresh", lambda acting: False):
            for end in ("confirm", "begin"):
                answer = self.second_of_all().post(f"{path}/{end}")
                assert (answer.status_code, answer.json()["code"]) == (403, "step_up_needed"), end

    def second_of_all(self) -> Client:
        if not hasattr(self, "_second"):
            self._second = self.second()
        return self._second

    def test_bad_bodies(self) -> None:
        path, asking = self.ask(), next(iter(self.officers().values()))
        bodies: list[Any] = [{}, {"waived": "x"}, {"export": "x"}, {**WAIVED, "export": str(new_id())}]
        for body in bodies:
            assert asking.post(f"{path}/part", body).status_code == 400
        answer = asking.post(f"{path}/part", {"export": str(new_id())})
        assert (answer.status_code, answer.json()["code"]) == (409, "export_not_fetched")


class Destroying(ErasedTestCase):
    def test_what_is_left(self) -> None:
        """Nothing opens, nobody is found, and the log verifies. Red when a key, an index or an address stays."""
        number = self.number()
        Address.objects.create(user_id=self.are.user_id, kind="phone", sealed=b"x" * 60, index=b"i" * 32)
        path = self.erase()
        patient = Patient.objects.get(id=self.are.id)
        keys = [*erasing.keys_of(patient)]
        assert len(keys) == 2
        for key in keys:
            with pytest.raises(Destroyed):
                vault.seal(key, "x", place="t.f", row=new_id())
        assert display_names([self.are.user_id])[self.are.user_id] == "(slettet)"
        assert self.person("are").get("me").status_code == 401
        assert patient.nin_index != number
        assert [(bytes(one.sealed), one.disabled_because) for one in Address.objects.all()] == [(b"", "removed")]
        assert self.second_officer.ok("get", path)["state"] == "done"
        types = [one.type for one in self.audit(subject_id=self.are.id) if one.type.startswith(("erasure.", "key."))]
        assert types[:1] == ["erasure.asked"]
        assert types[-4:] == ["erasure.begun", "key.destroyed", "key.destroyed", "erasure.done"]
        self.follow()
        keys = [one.verifier for one in self.sealing.sequencer.signers]
        assert [one for one in checking.check(keys, lambda done, of: None) if one.kind != checking.Kind.LATE] == []

    def number(self) -> bytes:
        return bytes(self.are.nin_index)

    def test_everything_goes_on_answering(self) -> None:
        """Officers still answer for what was done; nothing fails, and nothing is told but that it is gone."""
        self.erase()
        self.follow()
        officer = next(iter(self.officers().values()))
        about = {"patient": str(self.are.id), "reason": "Krav om innsyn etter sletting."}
        lines = self.listed(officer, f"subject={self.are.id}")
        assert {"room.opened", "erasure.done"} <= {one["type"] for one in lines}
        shown = next(one for one in lines if one["type"] == "room.opened")
        revealed = officer.ok("post", f"review/events/{shown['id']}/reveal", {"reason": "Krav om innsyn."})
        assert "(slettet)" in str(revealed)
        answer = officer.post("review/subject-requests", about)
        assert answer.status_code == 200
        assert b"".join(answer)
        made = officer.ok("post", "review/held", {**about, "format": "jsonl"})
        file = b"".join(officer.get(f"held/{made['id']}/download")).decode()
        assert "(slettet)" in file
        assert not [one for one in ("hemmelig", "Are ") if one in file]
        assert self.person("kari").get(f"patients/{self.are.id}").status_code == 404
        assert self.person("kari").get("rooms").status_code == 200
        assert officer.post(ERASURES, {"patient": str(self.are.id), "reason": WHY}).json()["code"] == "erased"
        out = io.StringIO()
        call_command("consent", "verify", stdout=out)

    def test_the_same_number_is_somebody_new(self) -> None:
        self.erase()
        said = {
            "name": "Are Igjen",
            "national_identity_number": "14438810197",
            "relation": {"kind": "treatment", "reason": "henvist på nytt"},
        }
        made = self.person("kari").ok("post", "patients", said)
        assert made["id"] != str(self.are.id)

    def test_a_stop_between_any_two_keys(self) -> None:
        """Killed before each key in turn, and before the end; the next tick goes on. Red when an erasure is left half
        done, or done twice."""
        path, real = self.begun(), vault.destroy_key
        for most in (0, 1, 2):
            left = iter(range(most))

            def dying(key: Any, left: Any = left, **more: Any) -> None:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                real(key, **more)

            with patch("server.review.erasing.vault.destroy_key", dying), suppress(KeyboardInterrupt):
                erasing.tick()
            if most < 2:
                assert self.second_officer.ok("get", path)["state"] == "under_way"
        assert erasing.tick() in (0, 1)
        assert self.second_officer.ok("get", path)["state"] == "done"
        assert erasing.tick() == 0
        destroyed = AuditEvent.objects.filter(type="key.destroyed").values_list("object_id", flat=True)
        assert len(destroyed) == len(set(destroyed)) == 2
        assert len(self.audit(type="erasure.done")) == 1

    def test_no_key_without_an_erasure(self) -> None:
        """The custodian says no to whoever asks the vault. Red when it lets anything else pass."""
        path = self.ready()
        for key in (*erasing.keys_of(self.are), vault.key_for(scope="service", owner=new_id())):
            with pytest.raises(DestructionRefused):
                vault.destroy_key(key, reason="retention", actor=None)
        assert self.second_officer.ok("get", path)["state"] == "confirmed"
        assert not self.erased_keys.exists()

    def test_a_call_for_help_meanwhile(self) -> None:
        """It stops the destruction until it is closed (law 6)."""
        self.begun()
        with patch("server.review.custody.open_alert", lambda patient: True):
            assert erasing.tick() == 0
        assert not vault.destroyed([("subject", self.are.id)])
        assert erasing.tick() == 1

    def test_a_list_that_cannot_be_written(self) -> None:
        """What no restored back-up would destroy again is not destroyed. Red when the list is written afterwards."""
        self.begun()
        with patch("server.vault.erased.note", side_effect=OSError), pytest.raises(OSError):  # noqa: PT011
            erasing.tick()
        assert not vault.destroyed([("subject", self.are.id), ("room", self.room.id)])

    def test_no_way_back(self) -> None:
        path = self.begun()
        for end, body in (("cancel", None), ("part", WAIVED)):
            answer = self.second_officer.post(f"{path}/{end}", body)
            assert (answer.status_code, answer.json()["code"]) == (409, "erasure_begun")
        self.second_officer.ok("post", f"{path}/begin")
        assert len(self.audit(type="erasure.begun")) == 1


class Restored(ErasedTestCase):
    """A back-up from before the erasure is put back: the list destroys again."""

    def test_it_is_destroyed_again(self) -> None:
        self.erase()
        listed = erased.read(self.erased_keys)
        assert {one.key for one in listed} == set(erasing.keys_of(self.are))

    def test_what_a_back_up_brought_back(self) -> None:
        keys = erasing.keys_of(self.are)
        for key in keys:
            erased.note(key, vault.sign(vault.seal_key(), erased.PURPOSE, key.bytes))
        erased.note(gone := new_id(), vault.sign(vault.seal_key(), erased.PURPOSE, gone.bytes))
        before = bytes(self.are.nin_index)
        assert erasing.reapply()[:3] == (3, 2, 1)
        assert vault.destroyed([("subject", self.are.id)])
        assert bytes(Patient.objects.get(id=self.are.id).nin_index) != before
        assert self.person("are").get("me").status_code == 401
        assert erasing.reapply() == (3, 0, 0, 0, 0), "twice is once"
        assert len(self.audit(type="erasure.reapplied")) == 1

    def test_a_forged_list_destroys_nothing(self) -> None:
        """Whoever may write the file, and no more, can have nothing destroyed, nor keep what is listed from it. Red
        when one bad line stops the others."""
        mine, theirs = erasing.keys_of(self.are)
        erased.note(theirs, b"0" * 64)
        assert erasing.reapply() == (1, 0, 0, 1, 0)
        assert not vault.destroyed([("subject", self.are.id)])
        erased.note(mine, vault.sign(vault.seal_key(), erased.PURPOSE, mine.bytes))
        assert erasing.reapply() == (2, 1, 0, 1, 0)
        assert vault.destroyed([("room", self.room.id)])
        assert not vault.destroyed([("subject", self.are.id)])
        erased.note(theirs, b"0" * 64)
        self.erased_keys.write_bytes(self.erased_keys.read_bytes()[:-40])
        assert len(erased.read(self.erased_keys)) == 2, "a torn line is none"
        kept = vault.key_for(scope="service", owner=vault.INDEX_OWNER)
        erased.note(kept, vault.sign(vault.seal_key(), erased.PURPOSE, kept.bytes))
        assert erasing.reapply() == (3, 0, 0, 3, 0)
        assert not vault.destroyed([("service", vault.INDEX_OWNER)])

    def test_a_list_that_was_cut(self) -> None:
        """Red when a list from which lines were taken is believed."""
        self.erase()
        self.erased_keys.write_bytes(self.erased_keys.read_bytes().splitlines()[0] + b"\n")
        assert erasing.reapply() == (1, 0, 0, 0, 1)
