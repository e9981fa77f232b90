"""What somebody inside might try: to answer in the patient's name, with an old paper, or by way of the database."""

from datetime import timedelta
from typing import Any

from django.db import connection
from structlog.testing import capture_logs

from server.common.clock import now
from server.common.sql import rfc3339
from server.consent import records, worker
from server.consent.models import Consent
from server.consent.verify import faults
from server.duties.models import Duty, Kind
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import Patient
from tests.base import JSON, Opened, TownTestCase
from tests.support.database import unguarded


class InThePatientsName(TownTestCase):
    def record(self, room: Opened, by: str, answer: str, **more: Any) -> Any:
        said = {"answer": answer, "method": "paper", "given_at": rfc3339(now()), "scan_sha256": "0" * 64} | more
        return self.person(by).post(f"{room.asks}/record", said)

    def text(self, room: Opened, by: str = "kari") -> JSON:
        told: JSON = self.person(by).ok("get", f"{room.asks}/text")
        return told

    def test_whoever_only_waits_records_nothing(self) -> None:
        """They would end what others share, or bar the patient from a yes. Red when `may_record` lets askers in."""
        room = self.open_shared_room(propose=["frida"])
        people.record_relation(
            acting=acting_for(self.engagement_of("vera"), sign_in="demo", at=now()),
            patient=Patient.objects.get(id=self.patient_id()),
            kind="social",
            reason="oppfølging",
        )
        again = {"patient": str(self.patient_id()), "propose": []}
        assert self.person("vera").ok("post", "rooms", again)["waiting"]
        for answer in ("withdraw", "decline", "give", "change"):
            refused = self.record(room, "vera", answer)
            assert (refused.status_code, refused.json()["code"]) == (403, "members_only")
        assessed = {"result": "lacking", "assessed_at": rfc3339(now())}
        assert self.person("vera").post(f"{room.asks}/assessment", assessed).status_code == 403
        assert self.person("vera").get(f"{room.asks}/text").status_code == 403
        assert self.person("kari").get(f"{room.path}/events").status_code == 200

    def test_the_opener_reads_out_the_text_and_records_the_answer(self) -> None:
        """Red without `GET consents/{id}/text`."""
        room = self.open_room()
        told = self.text(room)
        assert "Kari Lunde" in told["first"]
        assert self.record(room, "kari", "give", text_sha256=told["sha256"]).status_code == 200
        assert self.person("kari").get(f"{room.path}/events").status_code == 200
        (looked,) = self.audit(type="consent.text_viewed")
        assert looked.subject_id == self.patient_id()

    def test_an_old_paper_never_outdoes_a_newer_no(self) -> None:
        """Red without `_not_older`."""
        room = self.open_room()
        self.person("are").ok("post", f"{room.asks}/decline", {})
        old = rfc3339(now() - timedelta(days=1))
        refused = self.record(room, "kari", "give", text_sha256=self.text(room)["sha256"], given_at=old)
        assert [one["field"] for one in refused.json()["errors"]] == ["given_at"]

    def test_a_unit_that_is_kept_out_is_let_in_by_the_patient_alone(self) -> None:
        """Red when a record may leave out units that are excluded."""
        room = self.open_shared_room()
        nav = str(self.engagement_of("vera").unit_id)
        self.person("are").ok("post", f"{room.asks}/change", {"excluded_units": [nav]})
        said = {"text_sha256": self.text(room)["sha256"], "excluded_units": []}
        assert self.record(room, "kari", "change", **said).status_code == 200
        shown = self.person("are").ok("get", room.asks)
        assert [one["unit"] for one in shown["excluded_units"]] == [nav]
        assert self.person("vera").get(f"{room.path}/events").status_code == 404


class Exclusions(TownTestCase):
    """Whom Trine keeps out, when what is stored cannot be believed (L3)."""

    def given(self) -> None:
        for user in ("sara", "nils"):
            self.person("trine").ok("post", "exclusions", {"user": str(self.user_id(user))})
        self.person("trine").ok("delete", f"exclusions/{self.user_id('sara')}")

    def setUp(self) -> None:
        super().setUp()
        records._alarm.cache_clear()

    def kept_out(self) -> set[str]:
        users = {self.user_id(user): user for user in ("sara", "nils", "ida")}
        return {users[one] for one in records.excluded_people(self.patient_id("trine"))}

    def changed(self, sql: str, *values: Any) -> None:
        with unguarded(), connection.cursor() as cursor:
            cursor.execute(sql, values)

    def test_one_statement_when_the_newest_can_be_believed(self) -> None:
        assert self.kept_out() == {"nils"}
        for patient, many in ((self.patient_id("trine"), 1), (self.patient_id("are"), 0)):
            with self.assertNumQueries(1):
                assert len(records.excluded_people(patient)) == many

    def test_a_newest_that_cannot_be_read_or_believed_lets_nobody_back_in(self) -> None:
        """Red when it is read as nobody, or as what somebody has written into it."""
        newest = f"number = {self.newest().version}"
        emptied = self.document().replace(str(self.user_id("nils")), str(self.user_id("ida")))
        for document, out in (("{", {"nils", "sara"}), (emptied, {"nils", "sara", "ida"})):
            with self.subTest(document=document[:1]), capture_logs() as lines:
                records._alarm.cache_clear()
                self.changed(f"UPDATE consent_version SET document = %s WHERE {newest}", document)
                assert self.kept_out() == out
                assert [one["event"] for one in lines] == ["consent_unreadable"]
                assert "nils" not in str(lines)
                assert str(self.user_id("nils")) not in str(lines)

    def test_none_of_them_can_be_read(self) -> None:
        """What each began with still tells. Red when only whole documents are looked through; when the log, which knows
        them too, is not asked."""
        self.changed("UPDATE consent_version SET document = substr(document, 1, length(document) - 1)")
        assert self.kept_out() == {"nils", "sara"}
        self.changed("UPDATE consent_version SET document = %s", "{")
        assert self.kept_out() == {"nils", "sara"}

    def test_rows_that_are_gone_are_missed(self) -> None:
        """Red when no row means that nobody is kept out, whatever the log knows."""
        consent = str(self.newest().id) if connection.vendor == "postgresql" else self.newest().id.hex
        with capture_logs() as lines:
            self.changed("DELETE FROM consent_version WHERE consent_id = %s", consent)
            assert self.kept_out() == {"nils", "sara"}
            self.changed("DELETE FROM consent_consent WHERE id = %s", consent)
            assert self.kept_out() == {"nils", "sara"}
        assert {(one["event"], one["fault"]) for one in lines} == {("consent_unreadable", "missing")}

    def newest(self) -> Consent:
        return Consent.objects.get(form="exclusions")

    def document(self) -> str:
        return self.newest().versions.order_by("-number")[0].document


class ByWayOfTheDatabase(TownTestCase):
    def test_rows_that_were_moved_to_another_patient_are_missed(self) -> None:
        """Exclusions and consent, pointed elsewhere: nobody is let in by emergency access. Red when what the log
        knows is asked for by the rows that are found."""
        room = self.open_shared_room("kari", patient="trine", propose=["sara"])
        self.person("trine").ok("post", "exclusions", {"user": str(self.user_id("nils"))})
        elsewhere = self.patient_id("are")
        Consent.objects.filter(form="exclusions").update(patient_id=elsewhere)
        Consent.objects.filter(form="room").update(patient_id=elsewhere)
        said = {"ground": "life_danger", "reason": "x"}
        assert self.person("nils").post(f"{room.path}/emergency-access", said).status_code == 404
        assert self.person("ida").post(f"{room.path}/emergency-access", said).status_code == 404
        assert self.person("kari").get(f"{room.path}/events").status_code == 404

    def test_what_changes_while_it_is_verified_is_no_fault(self) -> None:
        """Red when a row that was read a while ago is compared with versions read now."""
        room = self.open_room()
        stale = Consent.objects.select_related("patient").get(id=room.consent)
        self.give(room)
        assert faults(stale) == []
        worker.tick()
        assert not Duty.objects.filter(kind=Kind.RECORD_UNREADABLE).exists()

    def test_sharing_less_never_fails_for_a_text_that_does_not_open(self) -> None:
        """Red when `_text` raises for a no."""
        room = self.open_shared_room()
        self.propose(room, "kari", "sara")
        with unguarded(), connection.cursor() as cursor:
            cursor.execute("UPDATE consent_version SET text_sealed = remark_sealed WHERE remark_sealed IS NOT NULL")
            cursor.execute("UPDATE consent_version SET text_sealed = %s", [b"\x01" * 60])
        are = self.person("are")
        are.ok("post", f"{room.asks}/decline", {})
        are.ok("post", f"{room.asks}/change", {"grantees": [str(self.user_id("kari"))]})
        are.ok("post", f"{room.asks}/withdraw", {})
