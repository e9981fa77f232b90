"""Mona keeps the programme; it opens when somebody always answers, and its team knows of it (M1, M3)."""

from typing import Any
from unittest.mock import ANY

import pytest
from django.db import IntegrityError, transaction

from server.alerts.models import Alert, Programme, TeamMember
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions as people
from server.people.models import Unit, User
from tests.alerts.base import NOWHERE, NightTestCase
from tests.base import JSON
from tests.support.served import sqlite_only

pytestmark = sqlite_only

NUMBERS = {
    "on_call_number": "99 00 00 03",
    "final_number": "+4799000004",
    "final_answered_by": "Legevaktsentralen",
    "final_agreement": "sak 2026/18",
    "final_agreed_on": "2026-01-05",
}
STEPS = [{"targets": ["on_call_now"]}, {"targets": ["final"]}]


class Programmes(NightTestCase):
    def made(self, code: str = "muli-vold", **more: Any) -> JSON:
        unit = Unit.objects.get(name="Ytre DPS")
        told: JSON = self.person("admin").ok(
            "post", "programmes", {"code": code, "name": "MULI vold", "unit": str(unit.id)} | more
        )
        return told

    def path(self, programme: JSON | None = None) -> str:
        return f"programmes/{programme['id'] if programme else self.programme.id}"

    def with_mona(self, **more: Any) -> str:
        """A further programme that Mona leads and answers for by day; its path."""
        path = self.path(self.made(**more))
        member = {"user": str(self.user_id("mona")), "leads": True, "day_contact": True}
        self.person("admin").ok("post", f"{path}/team", member)
        return path

    # --- making and opening ---
    def test_from_nothing_to_open(self) -> None:
        """Red when a programme opens before all is there, or does not say what is missing."""
        programme = self.made()
        path = self.path(programme)
        assert not programme["is_open"]
        assert "no_leader" in programme["missing"]
        self.person("admin").ok("post", f"{path}/team", {"user": str(self.user_id("mona")), "leads": True})
        mona = self.person("mona")
        refused = mona.post(f"{path}/open")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
        assert refused.json()["missing"] == [
            *("no_day_contact", "no_on_call_number", "no_final_number", "no_final_answered_by"),
            *("no_final_agreement", "no_policy"),
        ]
        assert mona.ok("patch", path, NUMBERS)["on_call_number"] == "+4799000003"
        mona.ok("post", f"{path}/policies", {"steps": STEPS})
        (me,) = mona.ok("get", f"{path}/team")["results"]
        mona.ok("patch", f"{path}/team/{me['id']}", {"day_contact": True})
        opened = mona.ok("post", f"{path}/open")
        assert (opened["is_open"], opened["missing"]) == (True, [])
        assert mona.ok("post", f"{path}/open")["opened_at"] == opened["opened_at"], "twice is once"
        assert [one.type for one in self.audit(object_id=programme["id"]) if "viewed" not in one.type] == [
            *("programme.made", "programme.changed", "programme.opened"),
        ]

    def test_the_database_refuses_what_an_action_forgets(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Programme.objects.filter(id=self.programme.id).update(final_number="")

    def test_an_open_one_keeps_what_calls_need(self) -> None:
        for field in ("on_call_number", "final_number", "final_agreement"):
            refused = self.person("mona").patch(self.path(), {field: ""})
            assert (refused.status_code, refused.json()["code"]) == (409, "not_ready"), field
        assert self.person("mona").patch(self.path(), {"final_agreed_on": "2999-01-01"}).status_code == 409

    def test_only_administrators_make_one(self) -> None:
        unit = str(Unit.objects.get(name="Ytre DPS").id)
        for who in ("mona", "kari", "ola", "trine"):
            refused = self.person(who).post("programmes", {"code": "x", "name": "X", "unit": unit})
            assert (refused.status_code, refused.json()["code"]) == (403, "administrator_only"), who
        admin = self.person("admin")
        taken = admin.post("programmes", {"code": "muli", "name": "X", "unit": unit})
        assert (taken.status_code, taken.json()["code"]) == (409, "code_taken")
        other = admin.post("programmes", {"code": "x", "name": "X", "unit": unit, "is_default": True})
        assert (other.status_code, other.json()["code"]) == (409, "other_default")
        assert admin.post("programmes", {"code": "x", "name": "X", "unit": str(NOWHERE)}).status_code == 400

    # --- changing ---
    def test_numbers_and_hours_are_checked(self) -> None:
        for wrong in (
            {"on_call_number": "113"},
            {"final_number": "116 117"},
            {"final_number": "+47 113"},
            {"on_call_number": "ring meg"},
            {"criterion": {"admissions": 3}},
            {"office_hours": {"mon": [["15:30", "08:00"]]}},
            {"exceptions": {"24.12.2026": []}},
            {"exceptions": {"2026-12-24": [["8", "12"]]}},
            {"exceptions": {"20261224": []}},
        ):
            refused = self.person("mona").patch(self.path(), wrong)
            assert refused.status_code == 400, wrong
            assert [one["field"] for one in refused.json()["errors"]] == list(wrong), refused.json()
            assert "ring meg" not in refused.content.decode()
        changed = self.person("mona").ok("patch", self.path(), {"exceptions": {"2026-12-24": [["08:00", "12:00"]]}})
        assert changed["exceptions"] == {"2026-12-24": [["08:00", "12:00"]]}

    def test_who_may_change_what(self) -> None:
        for who, said, code in (
            ("nils", {"name": "X"}, "leader_only"),
            ("admin", {"name": "X"}, "leader_only"),
            ("mona", {"is_default": False}, "administrator_only"),
        ):
            refused = self.person(who).patch(self.path(), said)
            assert (refused.status_code, refused.json()["code"]) == (403, code), who
        assert self.person("mona").ok("patch", self.path(), {"name": "MULI Fjord"})["name"] == "MULI Fjord"
        (event,) = self.audit(type="programme.changed", outcome="success")
        assert event.object_id == self.programme.id

    def test_the_default_is_never_one_that_takes_no_calls(self) -> None:
        path = self.with_mona()
        refused = self.person("admin").patch(path, {"is_default": True})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_open")
        mona = self.person("mona")
        mona.ok("patch", path, NUMBERS)
        mona.ok("post", f"{path}/policies", {"steps": STEPS})
        mona.ok("post", f"{path}/open")
        assert self.person("admin").ok("patch", path, {"is_default": True})["is_default"]
        assert not Programme.objects.get(id=self.programme.id).is_default

    # --- closing ---
    def test_closing_leaves_nobody_unanswered(self) -> None:
        mona, path = self.person("mona"), self.path()
        refused = mona.post(f"{path}/close")
        assert (refused.status_code, refused.json()["code"]) == (409, "patients_enrolled")
        row = Alert.objects.create(
            id=NOWHERE,
            patient_id=self.patient_id("trine"),
            programme=self.programme,
            step_at=now(),
            due_at=now(),
            raised_at=now(),
            raised_from="session",
        )
        assert mona.post(f"{path}/close").json()["code"] == "alerts_open"
        Alert.objects.filter(id=row.id).update(state="closed", closed_at=now(), due_at=None, duty="")
        other = self.with_mona()
        mona.ok("patch", other, NUMBERS)
        mona.ok("post", f"{other}/policies", {"steps": STEPS})
        mona.ok("post", f"{other}/open")
        assert mona.post(f"{path}/close").json()["code"] == "patients_enrolled", "no other is the default"
        self.person("admin").ok("patch", other, {"is_default": True})
        closed = mona.ok("post", f"{path}/close")
        assert (closed["is_open"], closed["closed_at"] is None) == (False, False)
        assert mona.ok("post", f"{path}/close")["closed_at"] == closed["closed_at"]
        assert mona.ok("post", f"{path}/open")["is_open"], "it may be opened again"

    def test_one_that_never_opened_cannot_close(self) -> None:
        assert self.person("mona").post(f"{self.with_mona()}/close").json()["code"] == "not_open"

    # --- who sees it ---
    def test_its_team_and_administrators_see_it(self) -> None:
        """Red when a door asks for less: colleagues, the patient, officers and former members meet one 404."""
        unknown = self.person("kari").get(f"programmes/{NOWHERE}")
        for who in ("kari", "frida", "vera", "are", "trine", "ola"):
            foreign = self.person(who).get(self.path())
            assert foreign.status_code == 404, who
            assert foreign.json() | {"request_id": ANY} == unknown.json() | {"request_id": ANY}
            for verb, path in (
                ("patch", ""),
                *(("post", one) for one in ("/open", "/close", "/policies")),
                *(("get", one) for one in ("/team", "/policies", "/enrolments")),
            ):
                body = {"steps": STEPS} if path == "/policies" else {}
                assert getattr(self.person(who), verb)(self.path() + path, body).status_code == 404, (who, verb, path)
            assert self.person(who).ok("get", "programmes")["results"] == []
        for who in ("nils", "ida", "sara", "mona", "admin"):
            (shown,) = self.person(who).ok("get", "programmes")["results"]
            assert (shown["mine"], shown["leads"]) == (who != "admin", who == "mona"), who
        self.person("nils").ok("get", self.path())
        assert self.audit(type="programme.viewed", actor_id=self.user_id("nils"))
        assert self.audit(type="programme.viewed", outcome="refused", actor_id=self.user_id("kari"))

    def test_administrators_see_no_patient_in_it(self) -> None:
        assert self.person("admin").get(f"{self.path()}/enrolments").status_code == 404
        assert self.person("admin").get(f"patients/{self.patient_id('trine')}/plan").status_code == 403


class Team(NightTestCase):
    def path(self, member: str = "") -> str:
        row = TeamMember.objects.filter(user__username=member, ended_at=None).first() if member else None
        return f"programmes/{self.programme.id}/team" + (f"/{row.id}" if row else "")

    def test_in_and_out(self) -> None:
        mona = self.person("mona")
        kari = {"user": str(self.user_id("kari"))}
        made = mona.ok("post", self.path(), kari)
        assert (made["name"], made["leads"], made["day_contact"]) == ("Kari Lunde", False, False)
        assert mona.ok("post", self.path(), kari)["id"] == made["id"], "twice is once"
        assert self.person("kari").ok("get", f"programmes/{self.programme.id}")["mine"]
        assert mona.delete(self.path("kari")).status_code == 204
        assert self.person("kari").get(f"programmes/{self.programme.id}").status_code == 404
        assert mona.delete(self.path() + f"/{made['id']}").status_code == 404, "it is over"
        again = mona.ok("post", self.path(), kari)
        assert again["id"] != made["id"]
        assert {one.type for one in self.audit(object_id=made["id"])} >= {"team_member.added", "team_member.ended"}

    def test_only_who_leads_changes_it(self) -> None:
        kari = {"user": str(self.user_id("kari")), "leads": True}
        for who in ("nils", "admin"):
            refused = self.person(who).post(self.path(), kari)
            assert (refused.status_code, refused.json()["code"]) == (403, "leader_only"), who
        assert self.person("nils").patch(self.path("ida"), {"leads": True}).status_code == 403
        assert self.person("nils").delete(self.path("nils")).status_code == 403
        assert self.person("admin").delete(self.path("nils")).status_code == 404

    def test_an_administrator_appoints_a_leader_while_there_is_none(self) -> None:
        """As when the only leader no longer works there."""
        people.end_engagement(engagement_id=self.engagement_of("mona").id, actor=SYSTEM, reason="left")
        admin = self.person("admin")
        assert admin.post(self.path(), {"user": str(self.user_id("sara"))}).status_code == 403
        kari = admin.ok("post", self.path(), {"user": str(self.user_id("kari")), "leads": True})
        assert kari["leads"]
        assert admin.post(self.path(), {"user": str(self.user_id("vera")), "leads": True}).status_code == 403

    def test_an_open_programme_is_never_left_without_a_leader(self) -> None:
        mona = self.person("mona")
        for refused in (
            mona.delete(self.path("mona")),
            mona.patch(self.path("mona"), {"leads": False}),
            mona.patch(self.path("mona"), {"day_contact": False}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (409, "not_ready")
        mona.ok("patch", self.path("sara"), {"leads": True, "day_contact": True})
        assert mona.delete(self.path("mona")).status_code == 204
        assert self.person("sara").ok("get", f"programmes/{self.programme.id}")["leads"]

    def test_nobody_joins_across_controllers_without_an_agreement(self) -> None:
        controller = people.register_controller(
            name="Langtvekk kommune",
            org_number="313002004",
            article_6="6(1)(e)",
            article_9="9(2)(h)",
            statute="",
            actor=SYSTEM,
        )
        unit = people.register_unit(
            controller=controller,
            name="Langtvekk",
            org_number="313002101",
            kind="municipality",
            response_hours=8,
            office_hours={},
            actor=SYSTEM,
        )
        user = User.objects.create(username="fjern", name="Fjern Fjernesen")
        people.engage(
            user=user,
            unit=unit,
            role="sykepleier",
            health_personnel=True,
            leads=False,
            valid_from=now(),
            actor=SYSTEM,
        )
        refused = self.person("mona").post(self.path(), {"user": str(user.id)})
        assert (refused.status_code, refused.json()["code"]) == (409, "no_agreement")
        assert self.person("mona").post(self.path(), {"user": str(self.user_id("trine"))}).status_code == 400


class Policies(NightTestCase):
    @property
    def path(self) -> str:
        return f"programmes/{self.programme.id}/policies"

    def test_versions(self) -> None:
        mona = self.person("mona")
        second = mona.ok("post", self.path, {"steps": STEPS})
        assert second["version"] == 2
        assert mona.ok("post", self.path, {"steps": STEPS})["id"] == second["id"], "the same steps are that version"
        assert [one["version"] for one in mona.ok("get", self.path)["results"]] == [2, 1]
        person = [{"targets": [f"person:{self.user_id('ida')}"]}, {"targets": ["final"]}]
        assert mona.ok("post", self.path, {"steps": person})["version"] == 3

    def test_what_cannot_be_followed_names_the_step(self) -> None:
        final = {"targets": ["final"]}
        stranger = {"targets": [f"person:{self.user_id('kari')}"]}
        for steps, field, code in (
            ([], "steps", "steps"),
            ("x", "steps", "steps"),
            ([final] * 11, "steps", "steps"),
            ([{"targets": ["on_call_now"]}], "steps", "no_final_target"),
            ([final, {"targets": ["nobody"]}], "steps.1", "targets"),
            ([{"targets": []}, final], "steps.0", "targets"),
            ([final | {"wait_s": 5}], "steps.0", "wait_s"),
            ([final | {"voice_after_s": 61}], "steps.0", "voice_after_s"),
            ([final | {"channels": ["email"]}], "steps.0", "email_alone"),
            ([final | {"channels": ["owl"]}], "steps.0", "channels"),
            ([final | {"wait": 60}], "steps.0", "step"),
            ([final, stranger], "steps.1", "not_in_team"),
        ):
            refused = self.person("mona").post(self.path, {"steps": steps})
            assert refused.status_code == 400, steps
            assert [(one["field"], one["code"]) for one in refused.json()["errors"]] == [(field, code)], steps

    def test_the_team_reads_and_who_leads_writes(self) -> None:
        assert len(self.person("ida").ok("get", self.path)["results"]) == 1
        refused = self.person("ida").post(self.path, {"steps": STEPS})
        assert (refused.status_code, refused.json()["code"]) == (403, "leader_only")
        assert self.audit(type="policy.viewed", actor_id=self.user_id("ida"))
