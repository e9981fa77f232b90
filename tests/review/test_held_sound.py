"""What an officer's file leaves out, and who may not have it made: whoever changed employer takes no words along, whom
the patient has excluded reads nothing, and other organisations' matters stay theirs (L6)."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.conf import settings

from server.audit.entry import SYSTEM
from server.duties.models import Duty
from server.people import actions as people
from server.people.models import Officer, Relation, Session, User
from server.people.periods import NOW
from server.review import erasing, erasures
from tests.base import Client
from tests.review.erased import ERASURES, ErasedTestCase
from tests.review.erased import WHY as KRAV
from tests.review.test_held import WHY, HeldTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Filed(HeldTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room(patient="trine", by="sara", propose=("nils", "kari"))
        self.post(self.room, "nils", "ordene til Nils")

    def text(self, client: Client) -> str:
        made = self.order(client, "review/held", patient=str(self.patient_id("trine")), reason=WHY)
        return b"".join(client.get(f"held/{made['id']}/download")).decode()

    def told(self, client: Client) -> dict[str, list[Any]]:
        return self.sections(self.text(client).encode())

    def test_words_stay_with_whom_they_were_written_for(self) -> None:
        """Red when the file follows the place in the room, which knows the newest employer only."""
        kommune = self.officer_of(self.engagement_of("kari").unit.controller.name)
        assert "ordene til Nils" in self.text(self.officer())
        assert "ordene til Nils" not in self.text(kommune)
        people.end_engagement(engagement_id=self.engagement_of("nils").id, actor=SYSTEM, reason="left")
        unit = self.engagement_of("kari").unit
        nils = User.objects.get(username="nils")
        people.engage(user=nils, unit=unit, role="vernepleier", health_personnel=True, actor=SYSTEM)
        self.person("kari").ok("post", f"{self.room.path}/members", {"user": str(nils.id)})
        assert "ordene til Nils" in self.text(self.officer())
        assert "ordene til Nils" not in self.text(kommune)

    def test_whom_she_excluded(self) -> None:
        """Red when an officer whom the patient has excluded orders, fetches or looks her up; the answer is that for
        whom is not there."""
        ola = User.objects.get(username="ola")
        made = self.order("ola", "review/held", patient=str(self.patient_id("trine")), reason=WHY)
        people.engage(user=ola, unit=self.engagement_of("sara").unit, role="lege", health_personnel=True, actor=SYSTEM)
        self.person("trine").ok("post", "exclusions", {"user": str(ola.id)})
        officer = self.person("ola")
        Session.objects.filter(user=ola).update(engagement=None, officer=Officer.objects.get(user=ola, ended_at=None))
        body = {"patient": str(self.patient_id("trine")), "format": "jsonl", "reason": WHY}
        nobody = officer.post("review/held", {**body, "patient": str(self.room.id)})
        answer = officer.post("review/held", body)
        assert (answer.status_code, answer.json()) == (404, nobody.json())
        assert officer.get(f"held/{made['id']}/download").status_code == 404
        assert officer.post(ERASURES, {"patient": body["patient"], "reason": WHY}).status_code == 404

    def test_nobody_elses_matters(self) -> None:
        """Red when remarks, or other organisations' people, units and telephone numbers are in the file."""
        consent = self.person("trine").ok("get", "consents")["results"][0]["id"]
        self.person("trine").ok("post", f"consents/{consent}/withdraw", {"remark": "Jeg er redd for Kari"})
        told = self.told(self.officer())
        assert told["contact"][0]["phone_sealed"]
        kari, unit = User.objects.get(username="kari"), self.engagement_of("kari").unit
        Relation.objects.filter(patient_id=self.patient_id("trine")).update(ended_at=NOW)
        file = self.text(self.officer())
        assert told["consent_versions"]
        said = [one for one in ("redd for", kari.name, str(kari.id), str(unit.id), unit.name) if one in file]
        assert not said
        assert "contact" not in self.sections(file.encode())


class Erasing(ErasedTestCase):
    def test_whoever_is_asked_for_a_word_sees_of_what(self) -> None:
        """Red when a controller that takes part by a place in a room alone can only waive."""
        self.over()
        path = self.ask()
        related = set(Relation.objects.filter(patient=self.are).values_list("unit__controller__name", flat=True))
        only = [client for name, client in self.officers().items() if name not in related]
        assert only
        for one in only:
            assert one.ok("get", path)
            assert len(one.ok("get", ERASURES)["results"]) == 1
            one.ok("post", "review/held", {"patient": str(self.are.id), "format": "jsonl", "reason": KRAV})

    def test_whom_the_patient_excluded_takes_no_part(self) -> None:
        path, (first, *_) = self.ask(), list(self.officers().values())
        user = User.objects.get(id=first.user_id)
        people.engage(user=user, unit=self.engagement_of("kari").unit, role="lege", health_personnel=True, actor=SYSTEM)
        self.person("are").ok("post", "exclusions", {"user": str(user.id)})
        for method, end in (("get", ""), ("post", "/confirm"), ("post", "/cancel"), ("post", "/begin")):
            assert getattr(first, method)(f"{path}{end}").status_code == 404, end
        assert first.ok("get", ERASURES)["results"] == []

    def test_reasons_go_with_the_key(self) -> None:
        """Red when the officers' own words about the patient outlive the erasure."""
        path = self.erase()
        told = next(iter(self.officers().values())).ok("get", path)
        assert KRAV not in str(told)
        assert "vårt eget system" not in str(told)


class Told(ErasedTestCase):
    def told(self, user_id: Any) -> list[str]:
        rows = Duty.objects.filter(user_id=user_id, kind__in=("erasure_coming", "erasure_told"))
        return list(rows.order_by("id").values_list("code", flat=True))

    def test_all_concerned_are_told_in_time(self) -> None:
        """Red when two people alone can destroy what is held about somebody in silence."""
        self.over()
        asking, *others = self.officers().values()
        second = self.second()
        path = self.ask()
        assert self.told(self.are.user_id) == ["asked"]
        assert [self.told(one.user_id) for one in (asking, second, *others)] == [
            [],
            ["asked"],
            *[["asked"]] * len(others),
        ]
        assert self.person("are").ok("get", "duties")["results"][0]["kind"] == "erasure_coming"
        assert [one["kind"] for one in others[0].ok("get", "duties")["results"]] == ["erasure_told"]
        second.ok("post", f"{path}/confirm")
        assert self.told(self.are.user_id) == ["asked", "confirmed"]
        assert self.told(second.user_id) == ["asked"]
        assert "duty" not in self.codes(path), "what they were told of stands in no way"
        erasing.tick()
        assert self.told(self.are.user_id) == ["asked", "confirmed"], "not yet soon"
        with patch("server.review.erasure_telling.now", lambda: self.moment() + timedelta(days=28)):
            erasing.tick()
            erasing.tick()
        assert self.told(self.are.user_id) == ["asked", "confirmed", "begins_soon"]
        assert self.told(asking.user_id) == ["confirmed", "begins_soon"]

    def test_the_shortest_wait(self) -> None:
        """Red when whoever runs a real installation can set the waiting time to nothing."""
        for mode, days in (("demo", 1), ("production", 7)):
            env = settings.ENV.model_copy(update={"mode": mode, "erasure_wait_days": 1})
            with self.settings(ENV=env):
                assert erasures.waiting_days() == days
