"""Whoever owes a duty sees it and can do it; everybody else meets the 404 of a duty that never was."""

from server.audit.entry import SYSTEM
from server.duties import access
from server.duties.models import Duty, Kind
from server.people import actions as people
from server.people.actors import acting_in
from server.people.models import Controller, Engagement, Officer, Patient, Session, Unit, User
from tests.duties.base import DutiesTestCase, soon
from tests.support.served import sqlite_only

pytestmark = sqlite_only

EVERYBODY = ("are", "trine", "kari", "frida", "vera", "sara", "mona", "nils", "ida", "ola", "admin")


class Owners(DutiesTestCase):
    def test_the_owner_and_nobody_else(self) -> None:
        """Red when `mine` or `open_duty` asks for no owner. Colleagues, the patient whom it is about, officers and
        administrators owe nothing here."""
        duty = self.owe("offer_call", "kari")
        assert self.seen("kari") == [duty.id]
        for name in EVERYBODY:
            assert name == "kari" or self.shut_out(name, duty), name
        assert self.done("kari", duty).status_code == 200

    def test_a_patients_own(self) -> None:
        duty = self.owe("consent_ending", "are")
        assert self.seen("are") == [duty.id]
        for name in EVERYBODY:
            assert name == "are" or self.shut_out(name, duty), name

    def test_officers_of_the_controller(self) -> None:
        """Red when the controller of the appointment is not compared."""
        duty, other = self.owe("emergency_review", "Helse Fjord"), self.owe("emergency_review", "NAV Fjordvik")
        assert self.seen("ola") == self.seen("officer2") == [duty.id]
        for name in EVERYBODY:
            assert name == "ola" or self.shut_out(name, duty), name
            assert self.shut_out(name, other), name

    def test_somebody_without_a_session(self) -> None:
        self.owe("offer_call", "kari")
        kari = self.person("kari")
        kari.credentials()
        assert (kari.get("duties").status_code, self.done("kari", self.owe("offer_call", "kari")).status_code) == (
            401,
            401,
        )


class Hats(DutiesTestCase):
    """What somebody acts as decides, not what they could act as."""

    def officer(self, name: str, controller: str = "Helse Fjord") -> Officer:
        user, legal = User.objects.get(username=name), Controller.objects.get(name=controller)
        return people.appoint_officer(user=user, controller=legal, actor=SYSTEM)

    def test_an_officer_who_acts_elsewhere(self) -> None:
        """Red when any appointment of the person's counts, not the one that the session acts for."""
        duty = self.owe("emergency_review", "Helse Fjord")
        self.officer("kari")
        assert self.person("kari").ok("get", "me")["kind"] == "staff"
        assert self.shut_out("kari", duty)

    def test_a_former_officer(self) -> None:
        """Red when the session alone says who is an officer: this one was read while the appointment held."""
        duty = self.owe("emergency_review", "Helse Fjord")
        assert self.seen("ola") == [duty.id]
        before = acting_in(Session.objects.in_full().get(user=self.user_id("ola")))
        assert list(access.mine(before)) == [duty]
        appointment = Officer.objects.get(user=self.user_id("ola"))
        people.end_appointment(officer_id=appointment.id, actor=SYSTEM, reason="left")
        assert list(access.mine(before)) == []
        assert self.done("ola", duty).status_code == 401, "the session is over"
        user, unit = User.objects.get(username="ola"), Unit.objects.get(name="Ytre DPS")
        people.engage(user=user, unit=unit, role="rådgiver", health_personnel=False, actor=SYSTEM)
        self._clients.pop("ola")
        assert self.shut_out("ola", duty)

    def test_a_nurse_who_has_left_and_signs_in_as_a_patient(self) -> None:
        """Red when people who are not at work are shown what is owed at work."""
        trine = User.objects.get(username="trine")
        unit = Unit.objects.get(name="Holmen psykisk helse")
        engagement = people.engage(user=trine, unit=unit, role="sykepleier", health_personnel=True, actor=SYSTEM)
        call, told = self.owe("offer_call", "trine"), self.owe("emergency_told", "trine")
        own = self.owe("consent_ending", "trine", about="trine")
        assert self.seen("trine") == [call.id, told.id, own.id]
        people.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
        self._clients.pop("trine")
        assert self.seen("trine") == [own.id]
        assert self.shut_out("trine", call)
        assert self.shut_out("trine", told)

    def test_officers_who_are_told(self) -> None:
        """Where nobody leads, officers are told: as persons, and while they act as officers."""
        told = self.owe("emergency_told", "ola")
        assert self.seen("ola") == [told.id]
        assert self.shut_out("officer2", told)
        assert self.done("ola", told).status_code == 200


class NotYet(DutiesTestCase):
    def test_the_patient_is_told_of_emergency_access_when_it_is_due(self) -> None:
        """Red when `emergency_used` is shown before `due_at`: telling might endanger somebody until then (L3)."""
        duty = self.owe("emergency_used", "are", due_at=soon(60))
        assert self.shut_out("are", duty)
        Duty.objects.filter(id=duty.id).update(due_at=soon(-1))
        assert self.seen("are") == [duty.id]
        assert self.done("are", duty).status_code == 200

    def test_at_once(self) -> None:
        duty = self.owe("emergency_used", "are")
        assert self.seen("are") == [duty.id]

    def test_what_else_is_due_later_is_seen_before(self) -> None:
        """Red when everything waits until it is due: a deadline that is seen when it has passed is none."""
        kinds = [kind for kind in Kind.values if kind != "emergency_used"]
        owed = {self.owe(kind, "kari", due_at=soon(60)).id for kind in kinds}
        assert {*self.seen("kari")} == owed


class Town(DutiesTestCase):
    def test_these_tests_know_everybody(self) -> None:
        assert Patient.objects.count() == 2
        assert Engagement.objects.filter(user__username__in=EVERYBODY).count() == 7
