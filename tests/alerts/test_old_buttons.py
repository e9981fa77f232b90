"""What comes late, or from whom it should not, changes nothing and tells nothing (laws 5 and 7)."""

from unittest import mock
from uuid import uuid4

from server.alerts.models import AlertEvent
from server.alerts.pages import Pages
from server.audit.models import AuditEvent
from server.notify.models import Delivery
from server.vault import actions as vault
from server.vault.errors import Destroyed
from tests.alerts.ringing import RingingTestCase
from tests.base import Client
from tests.support.deliveries import deliver
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Late(RingingTestCase):
    """A page of Nils's from 02:10; then Trine presses again, and calling begins anew."""

    def setUp(self) -> None:
        super().setUp()
        self.one = self.pressed()
        self.old = self.page()

    def begin_anew(self) -> None:
        self.person("mona").ok("post", f"alerts/{self.one['id']}/accept", {})
        self.pressed(alert=uuid4())
        assert self.alert().generation == 1

    def test_an_old_receipt_is_not_told_as_new(self) -> None:
        self.begin_anew()
        assert self.answer(self.old, "receipt").status_code == 200
        told = self.person("trine").ok("get", f"alerts/{self.one['id']}")
        assert [line["code"] for line in told["lines"]] == ["registered", "calling_others"]
        assert AlertEvent.objects.get(type="page_received").generation == 0

    def test_an_old_no_silences_nobody(self) -> None:
        self.begin_anew()
        answer = self.answer(self.old, "decline")
        assert (answer.status_code, answer.json()["code"]) == (409, "old_page")
        assert not AlertEvent.objects.filter(type="page_declined").exists()

    def test_a_late_taken_does_not_replace_a_newer_page(self) -> None:
        """Red when «somebody has it» may go out after people are called again: the device would show it last."""
        self.person("mona").ok("post", f"alerts/{self.one['id']}/accept", {})
        [taken] = Delivery.objects.filter(kind="taken")
        assert Pages().may_send(taken)
        self.pressed(alert=uuid4())
        assert not Pages().may_send(taken)

    def test_nothing_is_told_to_whom_she_excludes_meanwhile(self) -> None:
        self.person("mona").ok("post", f"alerts/{self.one['id']}/accept", {})
        self.exclude("nils")
        deliver()
        assert [one["kind"] for one in self.push.received(self.nils)] == ["page"]

    def test_what_is_offered_is_not_taken_over_by_an_old_button(self) -> None:
        ida = self.person("ida")
        ida.ok("post", f"alerts/{self.one['id']}/accept", {})
        ida.ok("post", f"alerts/{self.one['id']}/in-contact", {})
        ida.ok("post", f"alerts/{self.one['id']}/hand-over", {})
        answer = self.answer(self.old, "accept")
        assert (answer.status_code, answer.json()["code"]) == (409, "old_page")
        assert self.alert().responder_id == self.user_id("ida")


for name in [one for one in dir(RingingTestCase) if one.startswith("test_")]:
    setattr(Late, name, None)  # they are played where they stand


class Pressing(RingingTestCase):
    def test_whom_she_has_excluded_cannot_press_for_her(self) -> None:
        """Red when they can take it from whoever helps her, or put words into her mouth."""
        self.exclude("nils")
        one = self.pressed()
        self.person("ida").ok("post", f"alerts/{one['id']}/accept", {})
        trine = str(self.patient_id("trine"))
        answer = self.person("nils").put(f"alerts/{uuid4()}", {"patient": trine, "note": "kom alene"})
        assert answer.status_code == 404
        assert answer.json()["numbers"]
        assert self.alert().responder_id == self.user_id("ida")
        assert AuditEvent.objects.filter(type="alert.raised", outcome="refused", reason="excluded").count() == 1

    def test_staff_who_press_for_her_take_it_from_nobody(self) -> None:
        one = self.pressed(note="Er det noen der?")
        self.person("ida").ok("post", f"alerts/{one['id']}/accept", {})
        said = {"patient": str(self.patient_id("trine")), "note": "Hun ringte meg"}
        assert self.person("kari").put(f"alerts/{uuid4()}", said).json()["id"] == one["id"]
        assert (self.alert().responder_id, self.alert().generation) == (self.user_id("ida"), 0)
        wrote = self.person("ida").ok("get", f"alerts/{one['id']}/first-screen")["wrote"]
        assert [(line["by"], line["name"]) for line in wrote] == [("phone", ""), ("staff", "Kari Lunde")]

    def test_words_that_cannot_be_sealed_keep_no_call_from_being_raised(self) -> None:
        with mock.patch.object(vault, "seal", side_effect=Destroyed()):
            told = self.pressed(note="Orker ikke mer")
        assert AlertEvent.objects.get(alert_id=told["id"], type="raised").code == "words_lost"

    def test_no_header_keeps_it_from_being_raised(self) -> None:
        phone = self.phone(self.trine_key())
        assert phone.put(f"alerts/{uuid4()}", {}, HTTP_ACCEPT="text/html").status_code == 201
        assert Client().put(f"alerts/{uuid4()}", {}, HTTP_ACCEPT="text/html").json()["numbers"]

    def test_what_is_said_again_is_a_look_on_record(self) -> None:
        """Law 1."""
        id_ = uuid4()
        self.pressed(alert=id_)
        before = AuditEvent.objects.filter(type="alert.viewed").count()
        self.pressed(alert=id_)
        self.person("trine").ok("post", f"alerts/{id_}/cancel")
        self.person("trine").ok("post", f"alerts/{id_}/cancel")
        assert AuditEvent.objects.filter(type="alert.viewed").count() == before + 2


for name in [one for one in dir(RingingTestCase) if one.startswith("test_")]:
    setattr(Pressing, name, None)
