"""Where I am signed in; signing out there, everywhere else, and for a patient whose phone is gone."""

from datetime import timedelta

from server.alerts.demo import build_programme
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.ids import new_id
from server.people import actions
from server.people.authentication import SEEN_EVERY
from server.people.models import Session, User
from tests.base import Client, TownTestCase
from tests.sessions.base import Devices, refused
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class OwnSessions(Devices, TownTestCase):
    def test_the_list(self) -> None:
        phone, mac = self.device("kari", kind="iphone"), self.device("kari", kind="mac", level=3)
        self.device("frida")
        mac.wind(timedelta(hours=1))
        found = phone.client.ok("get", "me/sessions")["results"]
        assert [(one["id"], one["this"], one["device"], one["level"]) for one in found] == [
            (str(phone.session.sid), True, "iphone", 4),
            (str(mac.session.sid), False, "mac", 3),
        ]
        assert set(found[0]) == {
            *("id", "this", "device", "sign_in", "level", "created", "seen", "ends_at", "devices"),
        }
        with self.assertNumQueries(3):  # the session; those it lists; their devices
            phone.client.ok("get", "me/sessions")

    def test_what_is_over_is_not_in_it_and_what_may_be_refreshed_is(self) -> None:
        phone, idle, asleep = (self.device("kari") for _ in range(3))
        idle.wind_to("idle_until", now() - timedelta(seconds=1))
        asleep.wind_to("expiry", now() - timedelta(seconds=1))
        ended = self.device("kari")
        ended.client.ok("post", "me/sign-out")
        shown = {one["id"] for one in phone.client.ok("get", "me/sessions")["results"]}
        assert shown == {str(phone.session.sid), str(asleep.session.sid)}

    def test_signing_out_there(self) -> None:
        phone, lost = self.device("are"), self.device("are")
        path = f"me/sessions/{lost.session.sid}"
        assert phone.client.delete(path).status_code == 204
        assert lost.client.get("me").json()["code"] == "session_ended"
        refused("session_ended", lost.refresh)
        phone.client.ok("get", "me")
        assert [one.reason for one in self.audit(type="session.ended")] == ["signed_out_there"]
        assert phone.client.delete(path).status_code == 404, "it is over"

    def test_only_ones_own(self) -> None:
        kari, frida = self.device("kari"), self.device("frida")
        missing = kari.client.delete(f"me/sessions/{new_id()}")
        foreign = kari.client.delete(f"me/sessions/{frida.session.sid}")
        assert missing.status_code == foreign.status_code == 404
        assert missing.json() | {"request_id": ""} == foreign.json() | {"request_id": ""}
        frida.client.ok("get", "me")

    def test_everywhere_else(self) -> None:
        phone, *others = (self.device("are") for _ in range(3))
        frida = self.device("frida")
        assert phone.client.delete("me/sessions").status_code == 204
        phone.client.ok("get", "me")
        frida.client.ok("get", "me")
        for one in others:
            assert one.client.get("me").status_code == 401
        assert phone.client.delete("me/sessions").status_code == 204

    def test_this_one_is_signing_out(self) -> None:
        phone = self.device("are")
        assert phone.client.delete(f"me/sessions/{phone.session.sid}").status_code == 204
        assert phone.row().end_reason == "signed_out"

    def test_staff_sign_out_a_patient_who_telephones(self) -> None:
        """And the patient finds who did, and why they have to sign in again."""
        self.open_shared_room()
        lost = self.device("are")
        path = f"patients/{self.patient_id()}/sessions"
        assert self.person("ola").delete(path).status_code == 404, "no relation"
        assert self.person("kari").delete(path).status_code == 204
        assert lost.client.get("me").json()["code"] == "session_ended"
        (done,) = self.audit(type="patient.signed_out")
        assert (done.subject_id, done.actor_id) == (self.patient_id(), self.user_id("kari"))
        told = self.device("are").client.ok("get", "duties")["results"]
        assert "signed_out_by_staff" in {one["code"] for one in told}

    def test_whom_the_patient_keeps_out_signs_nobody_out(self) -> None:
        """Red when a relation is enough: the excluded could end the patient's sessions again and again."""
        self.open_shared_room()
        phone = self.device("are")
        phone.client.ok("post", "exclusions", {"user": str(self.user_id("kari"))})
        kari, nowhere = self.person("kari"), new_id()
        answers = [kari.delete(f"patients/{one}/sessions") for one in (self.patient_id(), nowhere)]
        assert [one.status_code for one in answers] == [404, 404]
        first, second = ({**one.json(), "request_id": "", "instance": ""} for one in answers)
        assert first == second
        phone.client.ok("get", "me")
        (refused,) = self.audit(type="patient.signed_out", outcome="refused")
        assert (refused.reason, refused.subject_id) == ("excluded", self.patient_id())

    def test_it_takes_no_help_away_and_no_work(self) -> None:
        build_programme()
        phone = self.device("trine")
        key = phone.client.ok("post", "alert-keys", {"label": "Mobilen"})["key"]
        at_work = self.device("kari")
        assert self.person("mona").delete(f"patients/{self.patient_id('trine')}/sessions").status_code == 204
        assert phone.client.get("me").status_code == 401
        locked = Client()
        locked.credentials(HTTP_AUTHORIZATION=f"Alert-Key {key}")
        assert locked.put(f"alerts/{new_id()}", {}).status_code == 201, "Trine still calls for help"
        at_work.client.ok("get", "me")

    def test_a_reused_token_takes_no_help_away(self) -> None:
        build_programme()
        phone = self.device("trine")
        key = phone.client.ok("post", "alert-keys", {"label": "Mobilen"})["key"]
        stolen = phone.refresh
        phone.again()
        phone.wind(timedelta(minutes=5))
        refused("refresh_reused", stolen)
        locked = Client()
        locked.credentials(HTTP_AUTHORIZATION=f"Alert-Key {key}")
        assert locked.put(f"alerts/{new_id()}", {}).status_code == 201

    def test_when_it_was_seen_follows_a_refresh(self) -> None:
        phone = self.device("are")
        phone.wind(SEEN_EVERY * 3)
        before = phone.row().last_seen_at
        phone.again()
        assert phone.row().last_seen_at - before >= SEEN_EVERY

    def test_a_session_still_costs_one_statement(self) -> None:
        phone = self.device("kari")
        phone.again()
        with self.assertNumQueries(3):  # session, name, engagements
            phone.client.ok("get", "me")

    def test_me_says_how_long(self) -> None:
        phone = self.device("are")
        said = phone.client.ok("get", "me")["session"]
        assert set(said) == {"id", "sign_in", "level", "valid_until", "idle_until", "ends_at", "proved_at"}
        assert (said["sign_in"], said["level"]) == ("citizen_oidc", 4)
        assert said["valid_until"] < said["idle_until"] <= said["ends_at"]
        row = Session.objects.get(sid=phone.session.sid)
        assert row.strong_at is not None
        demo = self.person("are").ok("get", "me")["session"]
        assert (demo["idle_until"], demo["ends_at"]) == (None, demo["valid_until"])

    def test_a_nurse_who_signs_in_as_a_citizen_is_a_patient_and_nothing_else(self) -> None:
        nurse = self._nurse_who_is_a_patient()
        assert self.device(nurse).client.ok("get", "me")["kind"] == "staff"
        phone = self.device(nurse, method="citizen_oidc", as_patient=True)
        phone.again()
        me = phone.client.ok("get", "me")
        assert me["kind"] == "patient"
        assert [one["acting_for"] for one in me["engagements"]] == [False]
        assert phone.client.get("patients").json()["code"] == "staff_only"
        engagement = {"engagement": str(self.engagement_of(nurse).id)}
        assert phone.client.post("me/engagement", engagement).status_code == 404, "no way from one into the other"

    def _nurse_who_is_a_patient(self) -> str:
        """Are is treated, and works elsewhere."""
        unit = self.engagement_of("kari").unit
        user = User.objects.get(username="are")
        actions.engage(user=user, unit=unit, role="sykepleier", health_personnel=True, actor=SYSTEM)
        return "are"
