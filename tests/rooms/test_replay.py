"""Old snapshot + events = new snapshot, for every act that writes an event: what a room is can be rebuilt from its
timeline."""

from collections import Counter
from typing import Any
from uuid import UUID

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import Agreement, Patient
from server.rooms.models import EventType, Member, RoomEvent
from tests.base import Opened, TownTestCase
from tests.support.replay import NOTHING, Snapshot, replay


class Rebuilding(TownTestCase):
    """Red when an act changes what the room is without an event that says so: leave `first` out of `settle` in
    `participate`, or MEMBER_PROPOSED out of `_add_member`."""

    def test_every_act(self) -> None:
        kari, are, frida = self.person("kari"), self.person("are"), self.person("frida")
        self.room = room = self.open_room(propose=["frida"])
        self.snapshot, self.types = NOTHING, set[str]()
        self._catches_up("open")

        def act(label: str, client: Any, method: str, path: str, data: object = None) -> Any:
            said = client.ok(method, path, data)
            self._catches_up(label)
            return said

        own = self.members(room)["are"]["id"]
        act("propose while waiting", kari, "post", f"{room.path}/members", {"user": str(self.user_id("vera"))})
        act("decline", are, "post", f"{room.asks}/decline")
        act("ask", kari, "post", "consents", {"room": str(room.id)})
        act("give to some", are, "post", f"{room.asks}/give", {"grantees": [str(kari.user_id), str(frida.user_id)]})
        act("post", kari, "post", f"{room.path}/messages", {"txn_id": "1", "body": "møte kl. 9"})
        seq = self.snapshot["head"]
        act("post as follower", are, "post", f"{room.path}/messages", {"txn_id": "1", "body": "hei", "reply_to": seq})
        act("participate", are, "patch", f"{room.path}/members/{own}", {"participation": "away"})
        act("edit", kari, "post", f"{room.path}/events/{seq}/edit", {"body": "møte kl. 10"})
        act("agreed", kari, "post", f"{room.path}/messages", {"txn_id": "2", "body": "møte kl. 10", "kind": "agreed"})
        act("retract", kari, "post", f"{room.path}/events/{self.snapshot['head']}/retract")
        member = act("propose", kari, "post", f"{room.path}/members", {"user": str(self.user_id("sara"))})
        act("take back", kari, "delete", f"{room.path}/members/{member['id']}")
        act("propose again", kari, "post", f"{room.path}/members", {"user": str(self.user_id("sara"))})
        act("decline a change", are, "post", f"{room.asks}/decline")
        act("ask again", kari, "post", "consents", {"room": str(room.id)})
        act("change", are, "post", f"{room.asks}/change")
        fridas = self.members(room)["frida"]["id"]
        act("leave", frida, "delete", f"{room.path}/members/{fridas}")
        act("come back", kari, "post", f"{room.path}/members", {"user": str(frida.user_id)})
        act("take out", are, "delete", f"{room.path}/members/{fridas}")
        self._nils_has_to_do_with_are()
        at_night = {"ground": "life_danger", "reason": "bevisstløs"}
        act("emergency access", self.person("nils"), "post", f"{room.path}/emergency-access", at_night)
        act("its end", self.person("nils"), "delete", f"{room.path}/emergency-access")
        act("withdraw", are, "post", f"{room.asks}/withdraw")
        act("withdraw again", are, "post", f"{room.asks}/withdraw")
        act("give again", are, "post", f"{room.asks}/give")
        act("open again", frida, "post", "rooms", {"patient": str(self.patient_id())})
        act("change again", are, "post", f"{room.asks}/change")
        people.end_engagement(engagement_id=self.engagement_of("frida").id, actor=SYSTEM, reason="left")
        self._catches_up("engagement ended")
        people.end_agreement(agreement_id=Agreement.objects.get().id, actor=SYSTEM, reason="expired")
        self._catches_up("agreement ended")
        for name in ("kari",):
            id_ = Member.objects.get(room_id=room.id, user__username=name).id
            act(f"take {name} out", are, "delete", f"{room.path}/members/{id_}")
        assert self.types == set(EventType.values), "every type has been met"
        self._every_event_is_on_record()

    def _nils_has_to_do_with_are(self) -> None:
        nils = acting_for(self.engagement_of("nils"), sign_in="demo", at=now())
        people.record_relation(
            acting=nils, patient=Patient.objects.get(id=self.patient_id()), kind="acute", reason="innlagt"
        )

    def _every_event_is_on_record(self) -> None:
        """Law 1, for what follows from an act too. Red when `settle` records nobody's joining or leaving."""
        log = self.audit(room_id=self.room.id, outcome="success")
        recorded = Counter((one.type, one.object_id) for one in log if one.object_id is not None)
        expected: Counter[tuple[str, UUID]] = Counter()
        for event in RoomEvent.objects.filter(room_id=self.room.id):
            said = event.facts
            match event.type:
                case "message":
                    expected["message.posted", event.id] += 1
                case "edit" | "retraction":
                    expected[f"message.{event.type}", event.id] += 1
                case "consent":
                    expected[f"consent.{said['act']}", UUID(said["consent"])] += 1
                case "participation":
                    member = Member.objects.get(room_id=self.room.id, user_id=said["user"])
                    expected["participation.changed", member.id] += 1
                case "emergency_access":
                    expected[f"emergency_access.{said['act']}", UUID(said["access"])] += 1
                case "room_opened":
                    expected["room.opened", self.room.id] += 1
                case "member_left" if said["reason"] == "removed":  # a proposal taken back is recorded as no more
                    expected["member.removed", UUID(said["user"])] += 1
                case _:
                    expected[event.type.replace("_", "."), UUID(said["user"])] += 1
        assert expected - recorded == Counter()

    def _catches_up(self, label: str) -> None:
        for event in self.events(self.room, after=self.snapshot["head"]):
            self.types.add(event["type"])
            self.snapshot = replay(self.snapshot, event)
        told = _told(self, self.room)
        replayed = {key: self.snapshot[key] for key in told}
        assert replayed == told, label


def _told(case: TownTestCase, room: Opened) -> Snapshot:
    """The snapshot as the API says it to the patient."""
    are = case.person("are")
    card = are.ok("get", room.path)
    consent = are.ok("get", room.asks)
    assert card["consent"] == {"id": consent["id"], "state": consent["state"]}
    return {
        "head": card["head"],
        "purpose": card["purpose"],
        "participation": card["participation"],
        "last": (card["last_event"]["type"], card["last_event"]["created_at"]),
        "members": {
            one["user"]: {key: one[key] for key in ("kind", "state", "unit", "role")}
            for one in are.ok("get", f"{room.path}/members")["results"]
        },
        "consent": {key: consent[key] for key in ("id", "state", "version")},
    }
