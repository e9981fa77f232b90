"""Opening a room, proposing people and asking the patient: one call, and nobody proposed is told anything (S1, S3)."""

from uuid import UUID, uuid4

from server.audit.entry import SYSTEM
from server.people import actions as people
from server.people.models import Agreement, Patient
from server.rooms.models import Member, Room
from tests.base import Client, TownTestCase

GETS = ("", "/members", "/events", "/events?after=0", "/events?before=5&limit=2", "/receipts")
POSTS = {
    "/messages": {"txn_id": "x", "body": "hei"},
    "/events/1/edit": {"body": "hei"},
    "/events/1/retract": {},
}


class Opening(TownTestCase):
    def test_one_call_opens_proposes_and_asks(self) -> None:
        kari = self.person("kari")
        said = kari.ok(
            "post",
            "rooms",
            {"patient": str(self.patient_id()), "purpose": "coordination", "propose": [str(self.user_id("frida"))]},
        )
        assert said["waiting"] is True
        assert said["consent"]["state"] == "requested"
        assert said["purpose"] == "coordination"
        assert (said["head"], said["unread"], said["last_event"]) == (0, 0, None), "nothing of the room is told yet"
        assert UUID(said["id"]).version == 7
        listed = kari.ok("get", "rooms")["results"]
        assert [one["id"] for one in listed] == [said["id"]]
        assert listed[0]["patient_name"] == "Are Strandvik"

    def test_the_patient_sees_room_and_question_at_once(self) -> None:
        room = self.open_room()
        listed = self.person("are").ok("get", "rooms")["results"][0]
        assert (listed["id"], listed["consent"]) == (str(room.id), {"id": str(room.consent), "state": "requested"})
        assert listed["participation"] == "following"
        assert [event["type"] for event in self.events(room)] == [
            "room_opened",
            "member_proposed",
            "member_proposed",
            "member_proposed",
            "consent",
        ]
        asked = self.person("are").ok("get", room.asks)
        assert [one["name"] for one in asked["asked"]] == ["Kari Lunde", "Frida Moe", "Vera Haugen"] or sorted(
            one["name"] for one in asked["asked"]
        ) == ["Frida Moe", "Kari Lunde", "Vera Haugen"]
        assert asked["grantees"] == []
        for words in ("Kari Lunde, psykolog, Fjordvik psykisk helse og rus (Fjordvik kommune)", "samordning"):
            assert words in asked["text"]["first"]

    def test_one_room_per_patient_and_purpose(self) -> None:
        """S1: whoever opens it again asks to take part, and learns nothing of it before the patient has answered."""
        room = self.open_shared_room(propose=["vera"])
        self.post(room, "kari", "hemmelig")
        self.post(room, "are", "hei")
        again = self.person("frida").ok("post", "rooms", {"patient": str(self.patient_id()), "propose": []})
        assert again["id"] == str(room.id)
        fresh = self.person("frida").ok("post", "rooms", {"patient": str(self.patient_id()), "purpose": "crisis_plan"})
        differ = {"id", "consent", "purpose"}
        told, new = ({k: v for k, v in one.items() if k not in differ} for one in (again, fresh))
        assert told == new, "an old room looks like a new one to whoever waits"
        assert again["consent"]["state"] == "requested"
        assert Room.objects.count() == 2
        assert self.person("frida").get(f"{room.path}/events").json()["code"] == "consent_missing"
        assert self.members(room)["frida"]["state"] == "proposed"
        self.change(room)
        assert self.members(room)["frida"]["state"] == "joined"

    def test_a_consent_in_force_for_others_is_not_told_to_whoever_waits(self) -> None:
        room = self.open_shared_room(propose=["vera"])
        self.person("frida").ok("post", "rooms", {"patient": str(self.patient_id())})
        assert self.person("frida").ok("get", room.asks)["state"] == "requested"
        assert self.person("frida").ok("post", "consents", {"room": str(room.id)})["state"] == "requested"

    def test_two_purposes_are_two_rooms(self) -> None:
        one, other = self.open_room(), self.open_room(purpose="transition")
        assert one.id != other.id
        assert one.consent != other.consent

    def test_opening_twice_is_one_room_and_one_question(self) -> None:
        one, other = self.open_room(), self.open_room()
        assert one == other
        assert self.person("are").ok("get", one.asks)["version"] == 1

    def test_who_may_not_open(self) -> None:
        patient = str(self.patient_id())
        for name, status, code in (
            ("are", 403, "staff_only"),
            ("ola", 403, "staff_only"),
            ("admin", 403, "staff_only"),
            ("vera", 404, "not_found"),  # no relation
        ):
            answer = self.person(name).post("rooms", {"patient": patient})
            assert (answer.status_code, answer.json()["code"]) == (status, code), name
        assert Room.objects.count() == 0

    def test_what_cannot_be_opened(self) -> None:
        kari = self.person("kari")
        patient, frida = str(self.patient_id()), str(self.user_id("frida"))
        for data, status, code in (
            ({}, 400, "invalid"),
            ({"patient": str(uuid4())}, 404, "not_found"),
            ({"patient": patient, "purpose": "gossip"}, 400, "invalid"),
            ({"patient": patient, "purpose": ["coordination"]}, 400, "invalid"),
            ({"patient": patient, "propose": frida}, 400, "invalid"),
            ({"patient": patient, "propose": [str(uuid4())]}, 400, "invalid"),
            ({"patient": patient, "propose": [str(self.user_id("are"))]}, 400, "invalid"),
            ({"patient": patient, "propose": [str(self.user_id("ola"))]}, 400, "invalid"),
            ({"patient": patient, "propose": [frida] * 51}, 400, "invalid"),
            ([], 400, "invalid"),
        ):
            answer = kari.post("rooms", data)
            assert (answer.status_code, answer.json()["code"]) == (status, code), data
        assert Room.objects.count() == 0
        assert Member.objects.count() == 0

    def test_who_is_proposed_twice_in_one_call_is_proposed_once(self) -> None:
        room = self.open_room(propose=["frida", "frida", "kari"])
        assert set(self.members(room)) == {"are", "kari", "frida"}

    def test_a_patient_without_an_account_cannot_be_asked(self) -> None:
        Patient.objects.filter(user__username="trine").update(user=None)
        trine = Patient.objects.get(user=None).id
        answer = self.person("kari").post("rooms", {"patient": str(trine)})
        assert (answer.status_code, answer.json()["code"]) == (409, "patient_without_account")


class NoAgreement(TownTestCase):
    """L6: no registered agreement, no membership. Red when `_engaged` does not ask `agreement_between`."""

    def given(self) -> None:
        self.kari = self.person("kari")
        people.end_agreement(agreement_id=Agreement.objects.get().id, actor=SYSTEM, reason="test")

    def test_nobody_across_controllers_can_be_proposed(self) -> None:
        frida = str(self.user_id("frida"))
        answer = self.kari.post("rooms", {"patient": str(self.patient_id()), "propose": [frida]})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_agreement")
        assert Room.objects.count() == 0
        refusal = self.audit(type="member.proposed", outcome="refused")[0]
        assert (refusal.reason, refusal.subject_id) == ("no_agreement", self.patient_id())
        room = self.open_room(propose=[])
        answer = self.kari.post(f"{room.path}/members", {"user": frida})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_agreement")

    def test_consent_alone_lets_nobody_in(self) -> None:
        """The opener of a room at another controller asks in vain until there is an agreement."""
        room = self.open_room(propose=[])
        self.person("frida").post("rooms", {"patient": str(self.patient_id()), "propose": []})
        self.give(room)
        assert self.members(room).get("frida", {}).get("state") != "joined"
        assert self.person("frida").get(f"{room.path}/events").status_code in (403, 404)


class Secrecy(TownTestCase):
    """S3: before consent nobody can talk, and who was proposed is told nothing whatever.

    Red when `access.asks` answers true for anybody proposed.
    """

    def test_who_was_proposed_finds_nothing(self) -> None:
        room = self.open_room()
        frida = self.person("frida")
        assert frida.ok("get", "rooms")["results"] == []
        assert "room" not in str(frida.ok("get", "me")).replace("rooms", "")
        self._told_apart_from_nothing(frida, room.id, room.consent)

    def test_nor_a_stranger_nor_another_patient_nor_an_officer_nor_the_administrator(self) -> None:
        room = self.open_shared_room()
        for name in ("mona", "trine", "ola", "admin"):
            assert self.person(name).get("rooms").json().get("results", []) == []
            self._told_apart_from_nothing(self.person(name), room.id, room.consent)

    def test_nor_who_has_been_taken_out(self) -> None:
        room = self.open_shared_room()
        self.person("are").ok("delete", f"{room.path}/members/{self.members(room)['frida']['id']}")
        assert self.person("frida").ok("get", "rooms")["results"] == []
        self._told_apart_from_nothing(self.person("frida"), room.id, room.consent)

    def test_nor_anybody_after_the_withdrawal_not_even_the_opener(self) -> None:
        room = self.open_shared_room()
        self.post(room, "kari")
        self.withdraw(room)
        for name in ("kari", "frida", "vera"):
            assert self.person(name).ok("get", "rooms")["results"] == []
            for path in GETS:
                assert self.person(name).get(room.path + path).status_code == 404, (name, path)
            self._told_apart_from_nothing(self.person(name), room.id, room.consent)

    def test_the_opener_is_told_that_consent_is_missing(self) -> None:
        room = self.open_room()
        for path in GETS[1:]:
            answer = self.person("kari").get(room.path + path)
            assert (answer.status_code, answer.json()["code"]) == (403, "consent_missing"), path
        answer = self.person("kari").post(f"{room.path}/messages", POSTS["/messages"])
        assert (answer.status_code, answer.json()["code"]) == (403, "consent_missing")
        assert self.person("kari").put(f"{room.path}/read", {"seq": 1}).status_code == 403

    def test_the_opener_may_go_on_proposing_while_waiting(self) -> None:
        room = self.open_room(propose=[])
        self.propose(room, "kari", "sara")
        assert {one["name"] for one in self.person("are").ok("get", room.asks)["asked"]} == {
            "Kari Lunde",
            "Sara Bergli",
        }

    def _told_apart_from_nothing(self, client: Client, room: UUID, consent: UUID) -> None:
        """Every way to ask after a room or a consent answers as if neither were there, byte for byte."""
        nowhere, noone = uuid4(), uuid4()

        def both(method: str, template: str, real: UUID, other: UUID, data: object = None) -> None:
            found, missing = (getattr(client, method)(template.format(one), data) for one in (real, other))
            assert (found.status_code, found.content) == (missing.status_code, missing.content), (method, template)
            assert found.status_code == 404, (method, template, found.content)
            heads = [{k: v for k, v in one.headers.items() if k != "X-Request-ID"} for one in (found, missing)]
            assert heads[0] == heads[1]

        for path in GETS:
            both("get", "rooms/{}" + path, room, nowhere)
        for path, data in POSTS.items():
            both("post", "rooms/{}" + path, room, nowhere, data)
        both("post", "rooms/{}/members", room, nowhere, {"user": str(self.user_id("sara"))})
        both("put", "rooms/{}/read", room, nowhere, {"seq": 1})
        member = Member.objects.filter(room_id=room).first()
        assert member is not None
        both("delete", "rooms/{}" + f"/members/{member.id}", room, nowhere)
        both("patch", "rooms/{}" + f"/members/{member.id}", room, nowhere, {"participation": "away"})
        both("get", "consents/{}", consent, noone)
        both("get", "consents/{}/history", consent, noone)
        for verb in ("give", "change", "decline", "withdraw"):
            both("post", "consents/{}/" + verb, consent, noone, {})
        answers = [client.post("consents", {"room": str(one)}) for one in (room, nowhere)]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].content == answers[1].content
