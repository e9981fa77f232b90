"""Calling for help and answering, through the API: what Trine, Nils and Ida meet (M3; laws 6 and 7)."""

from uuid import uuid4

from server.alerts.models import Alert, AlertAlias, AlertEvent, AlertTask, Enrolment, Policy, Programme
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people.actions import end_engagement
from server.people.models import Session
from tests.alerts.base import NOWHERE, NightTestCase
from tests.base import JSON, Client
from tests.support.served import sqlite_only

pytestmark = sqlite_only

FINISHED = {"outcome": "helped_by_phone", "children": "none", "done": "Snakket i 20 minutter."}


class Calls(NightTestCase):
    def post(self, who: str, alert: JSON, verb: str, status: int = 200, **said: object) -> JSON:
        answer = self.person(who).post(f"alerts/{alert['id']}/{verb}", said)
        assert answer.status_code == status, answer.content
        told: JSON = answer.json()
        return told

    def types(self, alert: JSON) -> list[str]:
        return list(AlertEvent.objects.filter(alert_id=alert["id"]).order_by("n").values_list("type", flat=True))

    def codes(self, told: JSON) -> list[str]:
        return [line["code"] for line in told["lines"]]


class Raising(Calls):
    def test_from_the_phone_with_its_key_and_no_session(self) -> None:
        """Red when the key needs a session beside it, or when the call is not stored before the answer."""
        phone, id_ = self.phone(self.trine_key()), uuid4()
        Session.objects.filter(user_id=self.user_id("trine")).update(ended_at=now(), end_reason="expired")
        answer = phone.put(f"alerts/{id_}", {"note": "Orker ikke mer"})
        assert answer.status_code == 201
        told = answer.json()
        assert (told["id"], told["seen_as"], told["team"]) == (str(id_), "patient", None)
        assert self.codes(told) == ["registered"], "no more is known yet"
        assert [one["number"] for one in told["numbers"]] == ["+4799000001", "116117", "113"]
        assert phone.put(f"alerts/{id_}", {}).status_code == 200
        assert phone.ok("get", f"alerts/{id_}")["id"] == str(id_)
        assert phone.ok("get", "alerts")["results"][0]["id"] == str(id_)
        raised = AlertEvent.objects.get(alert_id=id_, type="raised")
        assert raised.code == "key"
        assert b"Orker" not in bytes(raised.text_sealed or b""), "sealed"
        [event] = self.audit(object_id=id_, type="alert.raised")
        assert (event.basis, event.sign_in, event.subject_id) == ("self", "alert_key", self.patient_id("trine"))

    def test_the_key_opens_nothing_else(self) -> None:
        phone = self.phone(self.trine_key())
        for path in ("me", "rooms", "patients", "alert-keys", "me/plan", "devices", "duties", "consents"):
            assert phone.get(path).status_code == 401, path
        mine = self.pressed(phone)
        for verb in ("accept", "calling", "in-contact", "not-reached", "hand-over", "close", "notes", "first-screen"):
            answer = phone.post(f"alerts/{mine['id']}/{verb}", {})
            assert answer.status_code in (401, 405), verb
        assert phone.get(f"alerts/{mine['id']}/timeline").status_code == 401

    def test_a_second_press_is_an_alias_and_hurries(self) -> None:
        self.shift("nils")
        first = self.pressed()
        before = self.alert(first["id"])
        second = uuid4()
        told = self.pressed(alert=second)
        assert told["id"] == first["id"]
        assert AlertAlias.objects.get(id=second).alert_id == before.id
        assert self.person("trine").ok("get", f"alerts/{second}")["id"] == first["id"], "whichever is asked for"
        assert self.types(first).count("pressed_again") == 1
        again = self.pressed(alert=second)
        assert again["id"] == first["id"]
        assert self.types(first).count("pressed_again") == 1, "the same UUID again is the same press"

    def test_a_press_while_somebody_has_it_calls_everybody_again(self) -> None:
        first = self.pressed()
        self.post("nils", first, "accept")
        told = self.pressed(alert=uuid4())
        assert told["id"] == first["id"]
        assert (told["responder"], told["generation"]) == (None, 1)
        assert self.codes(told) == ["registered", "calling_others"], "no longer that Nils will call"
        answer = self.person("ida").post(f"alerts/{first['id']}/accept", {"generation": 0})
        assert (answer.status_code, answer.json()["code"]) == (409, "old_page")

    def test_anothers_uuid_is_a_404(self) -> None:
        mine = self.pressed()
        are = self.person("are")
        answer = are.put(f"alerts/{mine['id']}", {})
        assert answer.status_code == 404
        assert answer.json()["code"] == are.get(f"alerts/{NOWHERE}").json()["code"] == "not_found"
        assert [one["number"] for one in answer.json()["numbers"]] == ["116117", "113"], "in refusals too"
        alias = uuid4()
        self.pressed(alert=alias)
        assert are.put(f"alerts/{alias}", {}).status_code == 404

    def test_never_refused_for_form(self) -> None:
        """Not enrolled, no roster, a policy that cannot be read: it is raised, and goes on to the final target."""
        Policy.objects.create(programme=self.programme, version=99, steps=[{"targets": 7}])
        told = self.pressed("are")
        assert told["state"] in ("paging", "exhausted"), "Are is in no programme"
        assert self.alert(told["id"]).programme_id == self.programme.id
        assert self.alert(told["id"]).due_at is not None
        Enrolment.objects.filter(ended_at=None).update(ended_at=now())
        assert self.press("trine").status_code == 201, "nor is she, any longer"

    def test_not_even_for_the_form_of_the_body(self) -> None:
        """Red when a phone that says it wrongly is told so, for ever, at 02:10."""
        phone, id_ = self.phone(self.trine_key()), uuid4()
        assert phone.put(f"alerts/{id_}", {"note": "x" * 1500}).status_code == 201
        nils = self.post("nils", {"id": str(id_)}, "accept")
        assert [one["text"] for one in nils["first_screen"]["wrote"]] == ["x" * 1000], "cut, and not lost"
        odd = ('{"patient": "x"}', "[]", "7", "not JSON", '{"note": null}', '{"note": {"a": 1}}', '{"note": "\\ud800"}')
        bodies = (*odd, "x" * 2_000_000)
        for body in bodies:
            for media in ("application/json", "text/plain"):
                answer = phone.generic("PUT", f"alerts/{id_}", body, content_type=media)
                assert answer.status_code == 200, (body[:20], media, answer.content[:200])

    def test_no_programme_is_a_503_with_the_numbers(self) -> None:
        Programme.objects.update(closed_at=now(), is_default=False)
        answer = self.press()
        assert (answer.status_code, answer.json()["code"]) == (503, "no_programme")
        assert [one["number"] for one in answer.json()["numbers"]] == ["116117", "113"]
        assert not Alert.objects.exists()

    def test_staff_raise_for_a_patient_to_whom_they_have_a_relation(self) -> None:
        kari, vera = self.person("kari"), self.person("vera")
        trine = str(self.patient_id("trine"))
        told = kari.ok("put", f"alerts/{uuid4()}", {"patient": trine, "note": "Hun ringte meg"})
        assert told["seen_as"] == "raiser"
        assert told["team"] is None, "Kari is not in the team"
        assert kari.get(f"alerts/{told['id']}").status_code == 200
        for id_ in (trine, str(NOWHERE)):
            assert vera.put(f"alerts/{uuid4()}", {"patient": id_}).status_code == 404
        assert kari.put(f"alerts/{uuid4()}", {}).status_code == 400
        assert self.person("trine").ok("get", "alerts")["results"][0]["id"] == told["id"], "she can follow it"

    def test_bad_input_is_told_and_nothing_is_lost(self) -> None:
        kari = self.person("kari")
        for body in ({"note": "x"}, {"patient": []}, {"patient": "no"}):
            answer = kari.put(f"alerts/{uuid4()}", body)
            assert answer.status_code == 400, body
            assert answer.json()["numbers"]
        assert kari.put("alerts/not-a-uuid", {}).status_code == 404
        assert Client().put(f"alerts/{uuid4()}", {}).json()["numbers"], "without any sign-in too"


class Answering(Calls):
    def setUp(self) -> None:
        super().setUp()
        self.one = self.pressed(note="Kan noen ringe?")

    def test_one_accepts_and_the_others_are_told_who(self) -> None:
        nils = self.post("nils", self.one, "accept")
        assert nils["state"] == "accepted"
        screen = nils["first_screen"]
        assert (screen["name"], screen["call_number"]) == ("Trine Holmåsen", "+4740000002")
        assert set(screen["plan"]) == {"danger", "helps", "bring_in", "rest", "contacts"}
        assert [(one["by"], one["text"]) for one in screen["wrote"]] == [("phone", "Kan noen ringe?")]
        lost = self.post("ida", self.one, "accept", status=409)
        assert (lost["code"], lost["accepted_by"]) == ("already_accepted", str(self.user_id("nils")))
        assert lost["accepted_by_name"] == "Nils Dahle"
        assert self.post("nils", self.one, "accept")["state"] == "accepted", "again is the same act"
        assert self.types(self.one).count("accepted") == 1
        assert self.person("ida").get(f"alerts/{self.one['id']}/first-screen").status_code == 404
        assert {event.type for event in self.audit(actor_id=self.user_id("nils"))} >= {
            "alert.accepted",
            "alert.first_screen",
            "plan.viewed",
        }
        told = self.person("trine").ok("get", f"alerts/{self.one['id']}")
        assert told["status"] == "answered"
        assert "Nils Dahle" in told["lines"][-1]["text"]
        assert "+4799000001" in told["lines"][-1]["text"]

    def test_the_whole_way_to_the_end(self) -> None:
        self.post("nils", self.one, "accept")
        assert self.post("nils", self.one, "close", status=409, **FINISHED)["code"] == "contact_first"
        self.post("nils", self.one, "calling")
        assert self.post("nils", self.one, "in-contact")["state"] == "in_contact"
        self.post("nils", self.one, "notes", status=201, text="Hun er hjemme.")
        told = self.post("nils", self.one, "close", **FINISHED)
        assert (told["state"], told["team"]["outcome"], told["team"]["due_at"]) == ("closed", "helped_by_phone", None)
        assert self.post("nils", self.one, "calling", status=409)["code"] == "alert_closed"
        line = self.person("nils").ok("get", f"alerts/{self.one['id']}/timeline")["results"]
        assert [one["n"] for one in line] == list(range(1, len(line) + 1))
        assert [one["text"] for one in line if one["text"]] == ["Kan noen ringe?", "Hun er hjemme.", FINISHED["done"]]
        assert self.person("trine").get(f"alerts/{self.one['id']}/timeline").status_code == 404
        ida = self.person("ida").ok("get", f"alerts/{self.one['id']}/timeline")["results"]
        assert [one["text"] for one in ida if one["text"]] == ["Hun er hjemme.", FINISHED["done"]], "not Trine's words"
        fresh = self.pressed()
        assert fresh["id"] != self.one["id"], "closed is closed: the next press is a new alert"

    def test_not_reached_becomes_tasks_and_never_an_end(self) -> None:
        self.post("nils", self.one, "accept")
        self.post("nils", self.one, "calling")
        told = self.post("nils", self.one, "not-reached")
        assert told["state"] == "not_reached"
        assert [one["kind"] for one in told["team"]["tasks"]] == ["plan_contacts", "call_113"]
        assert {one["owner"] for one in told["team"]["tasks"]} == {str(self.user_id("nils"))}
        assert self.post("nils", self.one, "close", status=409, **FINISHED)["code"] == "contact_first"
        assert self.post("nils", self.one, "tasks/plan_contacts/done")["state"] == "not_reached"
        assert self.post("nils", self.one, "tasks/plan_contacts/done", status=409)["code"] == "no_such_task"
        assert self.post("nils", self.one, "tasks/call_113/done")["state"] == "not_reached"
        done = self.post("nils", self.one, "close", **(FINISHED | {"outcome": "emergency_113"}))
        assert done["state"] == "closed"
        assert not AlertTask.objects.filter(done_at=None).exists()

    def test_tasks_that_wait_call_people_again(self) -> None:
        self.post("nils", self.one, "accept")
        self.post("nils", self.one, "not-reached")
        self.look(after=601)
        told = self.person("ida").ok("get", f"alerts/{self.one['id']}")
        assert (told["responder"], told["generation"]) == (None, 1)
        mine = self.post("ida", self.one, "accept")
        assert {one["owner"] for one in mine["team"]["tasks"]} == {str(self.user_id("ida"))}, "with the alert"

    def test_who_accepts_and_does_not_call_is_not_waited_for(self) -> None:
        self.post("nils", self.one, "accept")
        self.look(after=170)
        assert self.alert().responder_id is not None
        self.look(after=181)
        alert = self.alert()
        assert (alert.responder_id, alert.generation, alert.duty) == (None, 1, "router")
        told = self.person("trine").ok("get", f"alerts/{self.one['id']}")
        assert told["status"] == "calling_others"
        assert "Nils" not in str(told["lines"]), "what he promised is not said any longer"
        self.post("nils", self.one, "accept")
        self.post("nils", self.one, "calling")
        self.look(after=290)
        assert self.alert().responder_id is not None
        self.look(after=301)
        assert self.alert().generation == 2

    def test_a_handover_leaves_the_giver_responsible(self) -> None:
        self.post("nils", self.one, "accept")
        self.post("nils", self.one, "in-contact")
        offered = self.post("nils", self.one, "hand-over", to=str(self.user_id("mona")))
        assert offered["state"] == "handover_offered"
        assert offered["responder"]["user"] == str(self.user_id("nils"))
        assert self.post("ida", self.one, "accept", status=409)["code"] == "already_accepted", "it is for Mona"
        taken = self.post("mona", self.one, "accept")
        assert (taken["state"], taken["responder"]["user"]) == ("in_contact", str(self.user_id("mona")))
        assert taken["first_screen"]["name"] == "Trine Holmåsen"
        assert self.post("nils", self.one, "close", status=409, **FINISHED)["code"] == "already_accepted"
        assert self.post("mona", self.one, "close", **FINISHED)["state"] == "closed"
        other = self.pressed()
        self.post("ida", other, "accept")
        wrong = self.post("ida", other, "hand-over", status=400, to=str(self.user_id("vera")))
        assert wrong["errors"][0]["field"] == "to"

    def test_an_offer_that_nobody_takes_comes_back(self) -> None:
        self.post("nils", self.one, "accept")
        self.post("nils", self.one, "in-contact")
        self.post("nils", self.one, "hand-over")
        self.look(after=605)
        alert = self.alert()
        assert (alert.state, alert.responder_id) == ("in_contact", self.user_id("nils"))

    def test_cancelled_from_the_phone_is_called_all_the_same(self) -> None:
        """Red when a cancel ends the paging: it may have been forced."""
        self.shift("nils")
        told = self.person("trine").ok("post", f"alerts/{self.one['id']}/cancel")
        assert (told["state"], told["responder"]) == ("follow_up", None)
        assert self.person("ida").post(f"alerts/{self.one['id']}/cancel", {}).status_code == 404
        alert = self.alert()
        assert (alert.duty, alert.due_at is not None) == ("router", True)
        self.look(after=200)
        assert self.alert().state == "follow_up"
        mine = self.post("ida", self.one, "accept")
        assert mine["state"] == "follow_up"
        assert [one["kind"] for one in mine["team"]["tasks"]] == ["speak_alone"]
        assert self.post("ida", self.one, "in-contact")["state"] == "follow_up", "somebody else was listening"
        assert self.post("ida", self.one, "close", status=409, **FINISHED)["code"] == "speak_alone_first"
        assert self.post("ida", self.one, "in-contact", alone=True)["state"] == "in_contact"
        assert self.post("ida", self.one, "close", **(FINISHED | {"outcome": "accident"}))["state"] == "closed"


class Strangers(Calls):
    def test_outside_the_team_there_is_no_such_alert(self) -> None:
        one = self.pressed()
        for name in ("kari", "frida", "vera", "are", "ola", "admin"):
            client = self.person(name)
            assert client.get(f"alerts/{one['id']}").status_code == 404, name
            assert client.post(f"alerts/{one['id']}/accept", {}).status_code == 404, name
            assert client.ok("get", "alerts")["results"] == [], name

    def test_whom_she_has_excluded_is_in_no_step_and_sees_nothing(self) -> None:
        self.shift("nils")
        self.exclude("nils")
        one = self.pressed()
        self.look(after=1000)
        called = AlertEvent.objects.filter(alert_id=one["id"], contact=self.user_id("nils"))
        assert not called.exists()
        nils = self.person("nils")
        assert nils.get(f"alerts/{one['id']}").status_code == 404
        assert nils.post(f"alerts/{one['id']}/accept", {}).status_code == 404
        assert nils.ok("get", "alerts")["results"] == []
        self.post("ida", one, "accept")
        to_nils = self.post("ida", one, "hand-over", status=400, to=str(self.user_id("nils")))
        assert to_nils["errors"][0]["code"] == "not_in_team"

    def test_a_former_member_answers_nothing(self) -> None:
        one = self.pressed()
        nils = self.person("nils")
        end_engagement(engagement_id=self.engagement_of("nils").id, actor=SYSTEM, reason="left")
        assert nils.post(f"alerts/{one['id']}/accept", {}).status_code in (401, 404)

    def test_a_responder_who_is_excluded_or_leaves_is_replaced_at_once(self) -> None:
        """Red when an alert stays with somebody who can no longer see it."""
        for how in ("excluded", "left"):
            with self.subTest(how=how):
                one = self.pressed()
                who = "nils" if how == "excluded" else "ida"
                self.post(who, one, "accept")
                self.post(who, one, "in-contact")
                if how == "excluded":
                    self.exclude("nils")
                else:
                    end_engagement(engagement_id=self.engagement_of("ida").id, actor=SYSTEM, reason="left")
                self.look()
                alert = self.alert(one["id"])
                assert (alert.responder_id, alert.generation, alert.duty) == (None, 1, "router")
                told = self.person("trine").ok("get", f"alerts/{one['id']}")
                assert told["status"] == "calling_others"
                self.post("mona", one, "accept")
                self.post("mona", one, "in-contact")
                self.post("mona", one, "close", **FINISHED)

    def test_without_consent_help_comes_and_the_plan_stays_closed(self) -> None:
        """Withdrawal stops sharing, never care (M4)."""
        self.withdraw_muli()
        one = self.pressed()
        screen = self.post("ida", one, "accept")["first_screen"]
        assert (screen["name"], screen["call_number"]) == ("Trine Holmåsen", "+4740000002")
        assert screen["plan"] is None
        assert screen["plan_shared"] is False
