"""`review/look-ups`: officers find whom they need the id of, for a reason that stands in the log."""

from typing import Any
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.limiting import RATES, Rate
from server.common.models import IdempotencyRecord
from server.people.models import Engagement, Relation
from server.people.periods import NOW
from server.review.api.look_ups import LookUps
from tests.base import JSON, Client
from tests.review.officers import OfficersTestCase
from tests.support.leaks import captured, leaks
from tests.support.limits import limited

PATH = "review/look-ups"
REASON = "Krav om innsyn i brev av mandag."
TRINE, ARE, NOBODY = "02497910180", "14438810197", "13486040364"


class LookUpsTestCase(OfficersTestCase):
    def ask(self, by: str | Client = "ola", **said: Any) -> Any:
        """The response."""
        client = self.person(by) if isinstance(by, str) else by
        return client.post(PATH, {"reason": REASON} | said)

    def patient(self, number: str = TRINE, **more: Any) -> Any:
        return self.ask(kind="patient", identity_number=number, **more)

    def staff(self, name: str, **more: Any) -> JSON:
        answer = self.ask(kind="staff", name=name, **more)
        assert answer.status_code == 200, answer.content
        told: JSON = answer.json()
        return told


class Patients(LookUpsTestCase):
    def test_one_whom_the_controller_helps_or_helped(self) -> None:
        expected = {"results": [{"patient": str(self.patient_id("trine"))}]}
        answer = self.patient("024979 10180")
        assert (answer.status_code, answer.json()) == (200, expected)
        assert answer.headers["Cache-Control"] == "no-store"
        Relation.objects.filter(patient_id=self.patient_id("trine")).update(ended_at=NOW)
        assert self.patient().json() == expected

    def test_of_everybody_else_nothing_tells_whether_they_exist(self) -> None:
        """Not the answer, what it costs, nor the officer's own lines. Red when the event names the foreign patient."""
        self.patient(ARE)  # keys are made, and statements known
        said, statements = [], []
        for number in (ARE, NOBODY):
            with CaptureQueriesContext(connection) as asked:
                said.append(self.patient(number))
            statements.append([one["sql"].split(" ")[0] for one in asked.captured_queries])
        assert [one.json() for one in said] == [{"results": []}] * 2
        assert said[0].headers.keys() == said[1].headers.keys()
        assert statements[0] == statements[1]
        self.follow()
        mine = self.listed(self.person("ola"), "type=review.patient_found")
        assert len(mine) == 3
        assert {(one["outcome"], one["subject"]) for one in mine} == {("refused", None)}
        told = [self.person("ola").ok("get", f"review/events/{one['id']}") for one in mine]
        assert {(one["object"], tuple(one["records"]), one["reason"]) for one in told} == {(None, (), "not_found")}

    def test_the_patient_reads_of_it_and_the_next_officer_why(self) -> None:
        self.patient()
        [found] = self.audit(type="review.patient_found")
        assert (found.subject_id, found.basis, found.detail) == (
            self.patient_id("trine"),
            "officer",
            {"reason": REASON},
        )
        told = self.person("trine").ok("get", "me/access-log")["results"][1]
        assert told["words"].startswith("Ola"), told
        assert "slo deg opp med fødselsnummeret ditt, av en grunn som er skrevet ned." in told["words"]
        self.follow()
        [line] = self.listed(self.person("officer2"), "type=review.patient_found")
        reason = {"reason": "Ser gjennom oppslag fra forrige uke."}
        shown = self.person("officer2").ok("post", f"review/events/{line['id']}/reveal", reason)
        assert shown["details"] == {"reason": REASON}

    def test_the_number_is_kept_nowhere(self) -> None:
        """Red when it is logged, or an `Idempotency-Key` makes a fingerprint of it."""
        with captured() as log:
            for number in (TRINE, ARE, NOBODY):
                self.person("ola").post(
                    PATH,
                    {"kind": "patient", "identity_number": number, "reason": REASON},
                    headers={"Idempotency-Key": number[:4]},
                )
            assert self.patient("02497910181").status_code == 400
        assert leaks(log.getvalue().encode(), {TRINE, ARE, NOBODY, "02497910181"}) == []
        assert not IdempotencyRecord.objects.exists()
        kept = "".join(one.leaf + str(one.detail) for one in AuditEvent.objects.filter(type="review.patient_found"))
        assert not [one for one in (TRINE, ARE, NOBODY) if one in kept]


class Staff(LookUpsTestCase):
    def test_who_works_or_has_worked_here(self) -> None:
        """Red when another controller's staff are found."""
        sara = self.engagement_of("sara")
        expected = {
            "user": str(sara.user_id),
            "name": "Sara Bergli",
            "unit": str(sara.unit_id),
            "unit_name": "Ytre DPS",
            "role": "psykolog",
            "current": True,
        }
        assert self.staff("bergli SARA") == {"results": [expected], "more": False}
        Engagement.objects.filter(id=sara.id).update(ended_at=now())
        assert self.staff("Sara B")["results"] == [expected | {"current": False}]
        assert self.staff("Kari Lunde") == self.staff("Ingen Slik") == {"results": [], "more": False}
        found, again, *nothing = self.audit(type="review.staff_found")
        assert found.record_ids == again.record_ids == [str(sara.user_id)]
        assert (found.outcome, found.subject_id, found.detail) == ("success", None, {"reason": REASON})
        assert [(one.outcome, one.reason, one.record_ids) for one in nothing] == [("refused", "not_found", [])] * 2
        assert "Sara" not in found.leaf

    def test_no_more_than_a_page(self) -> None:
        with mock.patch("server.review.look_ups.MOST", 1):
            told = self.staff("li")
        assert (len(told["results"]), told["more"]) == (1, True)


class Everybody(LookUpsTestCase):
    def test_nobody_else_may(self) -> None:
        for name in ("sara", "trine", "admin"):
            for body in ({"kind": "patient", "identity_number": TRINE}, {"kind": "staff", "name": "Sara"}, {}):
                answer = self.ask(name, **body)
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        refused = self.audit(type="review.patient_found", outcome="refused", actor_id=self.user_id("sara"))
        assert [(one.reason, one.subject_id) for one in refused] == [("not_officer", None)]

    def test_a_bad_request(self) -> None:
        patient, staff = {"kind": "patient", "identity_number": TRINE}, {"kind": "staff", "name": "Sara"}
        wrong: list[tuple[JSON, str]] = [
            ({"kind": "staff"}, "name"),
            ({"kind": "patient", "name": "Sara"}, "identity_number"),
            ({"kind": "all"}, "kind"),
            ({}, "kind"),
            (patient | {"identity_number": "02497910181"}, "identity_number"),
            (patient | {"identity_number": 7}, "identity_number"),
            (patient | {"reason": "kort"}, "reason"),
            (staff | {"name": TRINE}, "name"),
            (staff | {"name": "a"}, "name"),
        ]
        for body, field in wrong:
            answer = self.ask(**body)
            assert answer.status_code == 400, body
            assert [one["field"] for one in answer.json()["errors"]] == [field], body
            assert TRINE not in answer.content.decode()
        for body in ([], ["kind"], "x", staff | {"name": "a\x00b"}):
            assert self.person("ola").post(PATH, body).status_code == 400
        assert not self.audit(type="review.patient_found")

    def test_one_by_one_and_not_many_in_a_minute(self) -> None:
        assert RATES[LookUps.throttle_scope] == Rate(60, 60)
        with limited("look-up=2/60"):
            codes = [self.patient(NOBODY).status_code for _ in range(3)]
        assert codes == [200, 200, 429]

    def test_the_directory_is_closed_to_officers(self) -> None:
        """It tells whose an id is, without reason or record. Red when it is open again."""
        ola = self.person("ola")
        answer = ola.get("directory?q=sara", headers={"accept-language": "nb"})
        assert (answer.status_code, answer.json()["code"]) == (403, "reason_needed")
        assert "personvernombud" in answer.json()["title"] + answer.json().get("detail", "")
        assert "directory.read" not in ola.ok("get", "me")["capabilities"]
        [refused] = self.audit(type="directory.viewed")
        assert (refused.outcome, refused.reason, refused.actor_id) == ("refused", "officer", self.user_id("ola"))
        assert self.person("sara").ok("get", "directory?q=sara")["results"]
