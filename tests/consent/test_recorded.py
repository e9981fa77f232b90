"""Answers on paper and spoken before a witness, corrections, and assessments of capacity to consent: what staff write
down in the patient's name, and what the patient is told of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from server.audit.entry import SYSTEM
from server.consent.document import Moment
from server.people import actions as people
from server.people.models import Patient
from tests.base import JSON, TownTestCase
from tests.consent.base import SCAN, Consenting, ago, ahead, faults, newest
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Recording(Consenting):
    def paper(self, answer: str = "give", **more: Any) -> JSON:
        text = self.shown(self.room)["text"]["sha256"]
        said = {
            "answer": answer,
            "method": "paper",
            "scan_sha256": SCAN,
            "given_at": ago(seconds=0),
            "text_sha256": text,
        }
        return said | more

    def oral(self, answer: str = "give", **more: Any) -> JSON:
        said = self.paper(answer, method="oral", witness=str(self.user_id("frida")), minute="Han sa ja på telefon.")
        del said["scan_sha256"]
        return said | more

    def record(self, said: JSON, by: str = "kari") -> Any:
        return self.person(by).post(f"{self.room.asks}/record", said)

    def recorded(self, said: JSON, by: str = "kari") -> JSON:
        answer = self.record(said, by)
        assert answer.status_code == 200, answer.content
        told: JSON = self.history(self.room.consent)["results"][-1]
        return told

    def told(self) -> list[str]:
        """What the patient has been told that staff wrote down, by code."""
        return [one.code for one in self.duties(kind="consent_recorded", user_id=self.user_id("are"))]

    def assess(self, result: str, by: str = "kari", **more: Any) -> Any:
        said = {"result": result, "assessed_at": ago(hours=1)} | more
        return self.person(by).post(f"{self.room.asks}/assessment", said)


class OnPaperAndSpoken(Recording, TownTestCase):
    def given(self) -> None:
        self.room = self.open_room()

    def test_on_paper(self) -> None:
        """Red when the record says that the patient signed in, that Kari decided, or that it holds from before it was
        recorded."""
        said = self.paper(remark="skrev under på legekontoret")
        told = self.recorded(said)
        assert (told["act"], told["method"], told["capacity"]) == ("given", "paper", "self")
        assert (told["by"], told["remark"]) == ("Kari Lunde", "skrev under på legekontoret")
        assert datetime.fromisoformat(told["given_at"]) == datetime.fromisoformat(said["given_at"])
        shown = self.shown(self.room)
        late = datetime.fromisoformat(told["recorded_at"]) - datetime.fromisoformat(shown["since"])
        assert abs(late) < timedelta(minutes=1)
        assert (shown["method"], shown["state"]) == ("paper", "active")
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida", "vera"}
        assert f'"scan_sha256":"{SCAN}"' in told["document"]
        assert f'"grantor":{{"capacity":"self","user":"{self.user_id("are")}"}}' in told["document"]
        [event] = self.audit(object_id=self.room.consent, type="consent.given")
        assert (event.actor_id, event.basis, event.detail["method"]) == (self.user_id("kari"), "relation", "paper")

    def test_spoken_before_a_witness(self) -> None:
        """Red when the minute is lost, or stands where the log can read it."""
        told = self.recorded(self.oral())
        assert (told["method"], told["witness"], told["minute"]) == ("oral", "Frida Moe", "Han sa ja på telefon.")
        assert "telefon" not in told["document"]
        assert self.inside(self.room, "vera") == {"vera"}
        assert faults(self.room.consent) == set()

    def test_the_minute_is_sealed_with_it(self) -> None:
        """Red when the document does not hold the minute's digest."""
        self.recorded(self.oral())
        assert '"minute":null' not in newest(self.room.consent).document

    def test_the_patient_is_told_of_each_and_undoes_it_with_one_press(self) -> None:
        """Red when `_tell` is left out, or comes without anything having been written."""
        self.recorded(self.paper())
        assert self.told() == ["give"]
        [duty] = self.person("are").ok("get", "duties")["results"]
        assert (duty["kind"], duty["object"]) == ("consent_recorded", str(self.room.consent))
        self.withdraw(self.room)
        assert self.inside(self.room, "kari", "vera") == set()

    def test_what_changes_nothing_is_not_told(self) -> None:
        self.recorded(self.paper())
        for answer in ("give", "decline"):
            assert self.record(self.paper(answer)).status_code == 200
        assert self.told() == ["give"]
        assert newest(self.room.consent).number == 2

    def test_no_and_stop_and_fewer(self) -> None:
        assert self.recorded(self.paper("decline"))["state"] == "declined"
        self.person("kari").ok("post", "consents", {"room": str(self.room.id)})
        self.give(self.room)
        narrowed = [str(self.user_id(name)) for name in ("kari", "frida")]
        told = self.recorded(self.oral("change", grantees=narrowed, minute="Ikke Vera mer."))
        assert (told["act"], told["method"]) == ("changed", "oral")
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida"}
        told = self.recorded(self.oral("withdraw", minute="Han vil stoppe."))
        assert (told["act"], told["minute"]) == ("withdrawn", "Han vil stoppe.")
        assert self.inside(self.room, "kari", "frida") == set()
        assert self.told() == ["decline", "change", "withdraw"]

    def test_evidence_that_is_not_whole(self) -> None:
        """Red when a check of `_check` is left out: each names its field."""
        frida, kari = str(self.user_id("frida")), str(self.user_id("kari"))
        people.end_engagement(engagement_id=self.engagement_of("ida").id, actor=SYSTEM, reason="left")
        for said, field in (
            (self.paper(scan_sha256=""), "scan_sha256"),
            (self.paper(scan_sha256="x"), "scan_sha256"),
            (self.paper(scan_sha256=SCAN.upper()), "scan_sha256"),
            (self.paper(given_at=ahead(minutes=1).isoformat()), "given_at"),
            (self.paper(given_at="i går"), "given_at"),
            (self.paper(given_at=None), "given_at"),
            (self.paper(text_sha256=""), "text_sha256"),
            (self.paper("change", text_sha256=""), "text_sha256"),
            (self.paper(method="sign_in"), "method"),
            (self.paper(method="clock"), "method"),
            (self.paper("renew"), "answer"),
            (self.paper(capacity="konge"), "capacity"),
            (self.oral(minute=""), "minute"),
            (self.oral(minute=" \n\t"), "minute"),
            (self.oral(witness=None), "witness"),
            (self.oral(witness="x"), "witness"),
            (self.oral(witness=kari), "witness"),
            (self.oral(witness=str(self.user_id("are"))), "witness"),
            (self.oral(witness=str(self.user_id("ola"))), "witness"),
            (self.oral(witness=str(self.user_id("ida"))), "witness"),
            (self.oral(witness=str(uuid4())), "witness"),
            (self.oral(witness=frida, minute="x" * 2001), "minute"),
        ):
            document = self.refuses(self.record(said), 400, "invalid")
            assert [one["field"] for one in document["errors"]] == [field], (field, document)
        assert newest(self.room.consent).number == 1
        assert self.told() == []

    def test_years_that_no_calendar_here_has(self) -> None:
        """Red when a year is written with fewer than four digits (the record could not be read again: nobody would be
        let in), or when one goes through that a clock in Oslo cannot say."""
        for at in (
            "0001-01-01T00:00:00Z",
            "0999-12-31T23:59:59.999999Z",
            "1899-12-31T23:59:59Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "10000-01-01T00:00:00Z",
            10**20,
        ):
            self.refuses(self.record(self.paper(given_at=at)), 400, "invalid")
        old = self.paper(given_at="1900-01-01T00:00:00+00:00")
        self.refuses(self.record(old), 400, "invalid")
        told = self.recorded(old | {"answer": "decline"})
        assert told["given_at"] == "1900-01-01T00:00:00.000000Z", "of what is no yes the paper may be old"
        assert self.shown(self.room)["readable"]
        moment = TypeAdapter(Moment)
        for at in ("0001-01-01T00:00:00Z", "0999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59Z"):
            assert moment.validate_python(moment.dump_python(moment.validate_python(at))) == moment.validate_python(at)

    def test_only_what_was_read(self) -> None:
        """A yes to words that have changed since is none."""
        old = self.paper()
        self.propose(self.room, "kari", "sara")
        self.refuses(self.record(old), 409, "text_changed")

    def test_in_another_capacity(self) -> None:
        """Red when a capacity that is turned off is recorded, or the patient is said to have decided."""
        for capacity in ("guardian", "next_of_kin", "parent"):
            self.refuses(self.record(self.paper(capacity=capacity)), 409, "capacity_off")
        assert newest(self.room.consent).number == 1
        with self.environment(capacities=["self", "guardian"]):
            told = self.recorded(self.paper(capacity="guardian"))
            self.refuses(self.record(self.oral("withdraw", capacity="parent")), 409, "capacity_off")
        assert (told["capacity"], told["method"]) == ("guardian", "paper")
        assert '"grantor":{"capacity":"guardian","user":null}' in told["document"]
        assert self.inside(self.room, "kari") == {"kari"}
        assert self.told() == ["give"], "the patient is told, whoever decided"

    def test_only_staff_whom_it_concerns_and_who_have_a_relation(self) -> None:
        """Red when the door of the record is left open: to who only waits, is only in, or is the patient."""
        said = self.paper()
        for name in ("frida", "sara", "nils", "ola", "trine", "admin"):
            self.refuses(self.record(said, name), 404, "not_found")
            self.refuses(self.assess("lacking", name), 404, "not_found")
            self.refuses(self.person(name).post(f"{self.room.asks}/correct", said | {"why": "x"}), 404, "not_found")
        self.refuses(self.record(said, "are"), 403, "staff_only")
        self.give(self.room)
        self.refuses(self.record(self.paper("withdraw"), "vera"), 404, "not_found")
        assert self.told() == []

    def test_a_retry_is_the_same_act(self) -> None:
        said, kari = self.paper(), self.person("kari")
        one, other = (kari.post(f"{self.room.asks}/record", said, headers={"Idempotency-Key": "k"}) for _ in range(2))
        assert (one.status_code, one.content) == (other.status_code, other.content) == (200, one.content)
        assert self.told() == ["give"]

    def test_somebody_without_an_account_can_sign_on_paper(self) -> None:
        Patient.objects.filter(user__username="are").update(user=None)
        said = {"answer": "decline", "method": "paper", "scan_sha256": SCAN, "given_at": ago(days=1)}
        assert self.record(said).status_code == 200
        assert self.duties(kind="consent_recorded") == []
        assert '"user":null' in newest(self.room.consent).document


class Corrections(Recording, TownTestCase):
    def given(self) -> None:
        self.room = self.open_room()

    def correct(self, **more: Any) -> Any:
        said = {"method": "paper", "scan_sha256": "c" * 64, "given_at": ago(days=3), "why": "feil dato"} | more
        return self.person("kari").post(f"{self.room.asks}/correct", said)

    def test_how_it_was_recorded_and_nothing_else(self) -> None:
        """Red when a correction changes who may take part, for what, or until when."""
        self.recorded(self.paper())
        before = self.shown(self.room)
        said = ago(days=3)
        assert self.correct(given_at=said).status_code == 200
        told = self.history(self.room.consent)["results"]
        assert [one["act"] for one in told] == ["requested", "given", "corrected"]
        assert told[2]["remark"] == "feil dato"
        assert datetime.fromisoformat(told[2]["given_at"]) == datetime.fromisoformat(said)
        assert ("c" * 64 in told[2]["document"], SCAN in told[1]["document"]) == (True, True), "what was stays"
        after = self.shown(self.room)
        changing = {"version"}
        assert {key: after[key] for key in after if key not in changing} == {
            key: before[key] for key in before if key not in changing
        }
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida", "vera"}
        assert self.told() == ["give", "correct"]
        assert faults(self.room.consent) == set()

    def test_nothing_that_was_not_recorded_in_this_way(self) -> None:
        """Red when staff correct what the patient did in their own session."""
        self.refuses(self.correct(), 409, "nothing_to_correct")
        self.give(self.room)
        self.refuses(self.correct(), 409, "nothing_to_correct")
        self.withdraw(self.room)
        self.open_room()
        self.recorded(self.oral())
        self.refuses(self.correct(), 409, "nothing_to_correct")
        minute, witness = "Det var i går.", str(self.user_id("frida"))
        assert self.correct(method="oral", minute=minute, witness=witness).status_code == 200
        assert self.history(self.room.consent)["results"][-1]["minute"] == minute

    def test_evidence_that_is_not_whole(self) -> None:
        self.recorded(self.paper())
        for more, field in (
            ({"scan_sha256": ""}, "scan_sha256"),
            ({"given_at": "x"}, "given_at"),
            ({"why": ""}, "why"),
        ):
            document = self.refuses(self.correct(**more), 400, "invalid")
            assert [one["field"] for one in document["errors"]] == [field]
        self.refuses(self.correct(capacity="guardian"), 409, "capacity_off")


class Capacity(Recording, TownTestCase):
    """Pasient- og brukerrettighetsloven § 4-3: somebody who lacks it shares no more than before, and can share less."""

    def given(self) -> None:
        self.room = self.open_shared_room(propose=["frida"])
        self.asked = self.open_room(purpose="transition")

    def test_what_is_on_record(self) -> None:
        """Red when who, when, where or what is left out."""
        said = ago(hours=2)
        assert self.assess("partly", assessed_at=said).status_code == 200
        told = self.history(self.room.consent)["results"][-1]
        assert (told["act"], told["competence"], told["state"]) == ("corrected", "partly", "active")
        unit = self.engagement_of("kari").unit_id
        for part in (f'"assessed_by":"{self.user_id("kari")}"', f'"where":"{unit}"', '"result":"partly"'):
            assert part in told["document"]
        assert self.told() == ["assess"]
        assert self.inside(self.room, "kari", "frida") == {"kari", "frida"}

    def test_lacking_it_widens_nothing(self) -> None:
        """Red when `_able` is not asked by one of the three."""
        self.propose(self.room, "kari", "vera")
        assert self.assess("lacking").status_code == 200
        are = self.person("are")
        for verb in ("give", "change", "renew"):
            self.refuses(are.post(f"{self.room.asks}/{verb}", {}), 409, "capacity_lacking")
        text = self.shown(self.room)["text"]["sha256"]
        self.refuses(self.record(self.paper("change", text_sha256=text)), 409, "capacity_lacking")
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida"}, "what holds goes on"

    def test_lacking_it_one_can_share_less_and_stop(self) -> None:
        """Red when `_able` is asked where less is shared."""
        assert self.assess("lacking").status_code == 200
        self.change(self.room, to=["kari"])
        self.says(self.room, "change", until=ahead(days=1).isoformat())
        self.says(self.room, "change", excluded_units=[str(self.unit("Ytre DPS").id)])
        assert self.inside(self.room, "kari", "frida") == {"kari"}
        self.exclude("nils")
        self.answer(self.room, "decline")
        self.withdraw(self.room)
        assert self.inside(self.room, "kari") == set()
        self.refuses(self.person("are").post(f"{self.room.asks}/give", {}), 409, "capacity_lacking")

    def test_more_content_and_fewer_units_kept_out_are_more(self) -> None:
        """Red when only grants are looked at: each of these lets somebody read what they could not read before."""
        self.says(self.room, "change", excluded_units=[str(self.unit("Ytre DPS").id)])
        self.says(self.room, "change", content={"start": ago(hours=1), "end": ahead(days=1).isoformat()})
        assert self.assess("lacking").status_code == 200
        are = self.person("are")
        for said in (
            {"excluded_units": []},
            {"content": {"start": ago(hours=2), "end": ahead(hours=1).isoformat()}},
            {"content": {"start": None, "end": ahead(hours=1).isoformat()}},
            {"content": {"start": ago(minutes=1), "end": ahead(days=2).isoformat()}},
            {"content": {}},
        ):
            self.refuses(are.post(f"{self.room.asks}/change", said), 409, "capacity_lacking")
        self.says(self.room, "change", content={"start": ago(minutes=30), "end": ahead(hours=1).isoformat()})

    def test_a_new_assessment_counts(self) -> None:
        self.propose(self.room, "kari", "vera")
        for result in ("lacking", "competent"):
            assert self.assess(result).status_code == 200
        self.says(self.room, "change")
        assert self.inside(self.room, "vera") == {"vera"}

    def test_it_is_carried_through_every_act(self) -> None:
        """Until somebody assesses anew. Red when `draft` begins without it."""
        assert self.assess("lacking").status_code == 200
        self.withdraw(self.room)
        self.open_room()
        self.refuses(self.person("are").post(f"{self.room.asks}/give", {}), 409, "capacity_lacking")
        assert self.history(self.room.consent)["results"][-1]["competence"] == "lacking"

    def test_a_minute_stays_with_what_it_is_the_minute_of(self) -> None:
        self.room = self.asked
        self.recorded(self.oral())
        assert self.assess("partly").status_code == 200
        told = self.history(self.room.consent)["results"][-1]
        assert (told["method"], told["minute"]) == ("oral", "Han sa ja på telefon.")
        assert faults(self.room.consent) == set()

    def test_only_health_personnel(self) -> None:
        engagement = self.engagement_of("kari")
        engagement.health_personnel = False
        engagement.save()
        self.refuses(self.assess("lacking"), 403, "health_personnel_only")
        self.refuses(self.assess("lacking", "are"), 403, "staff_only")

    def test_words_that_are_none(self) -> None:
        for more in (
            {"result": "none"},
            {"result": ""},
            {"result": None},
            {"assessed_at": ahead(minutes=5).isoformat()},
            {"assessed_at": "x"},
            {"assessed_at": None},
        ):
            self.refuses(self.assess(**({"result": "lacking"} | more)), 400, "invalid")
