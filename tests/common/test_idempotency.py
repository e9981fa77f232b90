"""`Idempotency-Key`: on every POST, a retry is the same act (law 3)."""

from typing import Any
from uuid import UUID

from server.common.clock import now
from server.common.idempotency import forget_old
from server.common.models import IdempotencyRecord
from server.people.models import Relation
from server.rooms.models import Room, RoomEvent
from tests.base import Client, TownTestCase


class Keys(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.fresh = self.open_room(purpose="transition")
        self.seq = self.post(self.room, "kari", "hei")["seq"]
        self.other = self.post(self.room, "kari", "hallo")["seq"]
        patient, nils = str(self.patient_id()), str(self.user_id("nils"))
        self.posts: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
            "rooms": ("kari", "rooms", {"patient": patient, "purpose": "crisis_plan"}, {"purpose": "transition"}),
            "members": ("kari", f"{self.room.path}/members", {"user": nils}, {"user": str(self.user_id("ida"))}),
            "messages": ("kari", f"{self.room.path}/messages", {"txn_id": "k", "body": "x"}, {"body": "y"}),
            "edit": ("kari", f"{self.room.path}/events/{self.seq}/edit", {"body": "x"}, {"body": "y"}),
            "retract": ("kari", f"{self.room.path}/events/{self.other}/retract", {}, {"a": 1}),
            "ask": ("kari", "consents", {"room": str(self.fresh.id)}, {"room": str(self.room.id)}),
            "give": ("are", f"{self.fresh.asks}/give", {"remark": "ja"}, {"remark": "jo"}),
            "change": ("are", f"{self.room.asks}/change", {}, {"remark": "x"}),
            "decline": ("are", f"{self.fresh.asks}/decline", {}, {"remark": "x"}),
            "withdraw": ("are", f"{self.room.asks}/withdraw", {"remark": "nok"}, {"remark": "x"}),
        }

    def send(self, client: Client, path: str, body: object, key: str = "k") -> Any:
        return client.post(path, body, HTTP_IDEMPOTENCY_KEY=key)

    def test_every_post(self) -> None:
        """Red when `@idempotent` is taken off a view."""
        for label, (who, path, body, otherwise) in self.posts.items():
            with self.subTest(label):
                client, key = self.person(who), f"nøkkel {label}"
                first = self.send(client, path, body, key)
                assert first.status_code in (200, 201), first.content
                heads = list(Room.objects.order_by("id").values_list("head", flat=True))
                again = self.send(client, path, dict(reversed(body.items())), key)
                assert (again.status_code, again.json()) == (first.status_code, first.json())
                assert again.headers["Idempotent-Replay"] == "true"
                assert "Idempotent-Replay" not in first.headers
                assert list(Room.objects.order_by("id").values_list("head", flat=True)) == heads
                reused = self.send(client, path, body | otherwise, key)
                assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")

    def test_a_key_is_for_one_operation_and_one_person(self) -> None:
        """Red when the fingerprint leaves the operation out."""
        kari = self.person("kari")
        path = f"{self.room.path}/events/{{}}/retract"
        assert self.send(kari, path.format(self.seq), {}).status_code == 201
        assert self.send(kari, path.format(self.other), {}).json()["code"] == "idempotency_key_reused"
        mine = self.post(self.room, "frida", "hei")["seq"]
        assert self.send(self.person("frida"), path.format(mine), {}).status_code == 201

    def test_what_was_refused_may_be_tried_again(self) -> None:
        assert (
            self.send(self.person("kari"), f"{self.fresh.path}/messages", {"txn_id": "a", "body": "x"}).status_code
            == 403
        )
        assert IdempotencyRecord.objects.count() == 0
        self.give(self.fresh)
        assert (
            self.send(self.person("kari"), f"{self.fresh.path}/messages", {"txn_id": "a", "body": "x"}).status_code
            == 201
        )

    def test_an_old_answer_is_not_given_to_whoever_lost_access(self) -> None:
        """Law 5. Red when a view has no `recheck`."""
        frida = self.person("frida")
        mine = self.post(self.room, "frida", "hemmelig")["seq"]
        again = {
            f"{self.room.path}/messages": {"txn_id": "z", "body": "hemmelig"},
            f"{self.room.path}/events/{mine}/edit": {"body": "hemmelig"},
            f"{self.room.path}/members": {"user": str(self.user_id("nils"))},
        }
        for number, (path, body) in enumerate(again.items()):
            assert self.send(frida, path, body, f"{number}").status_code == 201
        self.withdraw(self.room)
        for number, (path, body) in enumerate(again.items()):
            answer = self.send(frida, path, body, f"{number}")
            assert answer.status_code in (404, 409), (path, answer.content)
            assert "hemmelig" not in answer.content.decode()
            assert "Nils" not in answer.content.decode()

    def test_nor_to_whoever_lost_the_relation_or_the_room(self) -> None:
        frida, patient = self.person("frida"), str(self.patient_id())
        opening = {"patient": patient, "purpose": "crisis_plan"}
        assert self.send(frida, "rooms", opening, "open").status_code == 201
        asking = {"room": str(self.room.id)}
        assert self.send(frida, "consents", asking, "ask").status_code == 201
        Relation.objects.filter(patient_id=patient, unit=self.engagement_of("frida").unit).update(ended_at=now())
        self.person("are").ok("delete", f"{self.room.path}/members/{self.members(self.room)['frida']['id']}")
        for path, body, key in (("rooms", opening, "open"), ("consents", asking, "ask")):
            answer = self.send(frida, path, body, key)
            assert answer.status_code == 404, path
            assert "Strandvik" not in answer.content.decode()

    def test_keys_that_are_none(self) -> None:
        for key in ("", "x" * 201, "a\tb", "\x7f"):
            answer = self.send(self.person("kari"), f"{self.room.path}/messages", {"txn_id": "a", "body": "x"}, key)
            assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key"), key
        assert (
            self.send(
                self.person("kari"), f"{self.room.path}/messages", {"txn_id": "a", "body": "x"}, "x" * 200
            ).status_code
            == 201
        )

    def test_what_is_kept_is_not_readable_and_not_kept_for_ever(self) -> None:
        self.send(self.person("kari"), f"{self.room.path}/messages", {"txn_id": "a", "body": "Kjempehemmelig"})
        row = IdempotencyRecord.objects.get()
        assert b"Kjempehemmelig" not in bytes(row.answer)
        assert b"Kjempehemmelig" not in bytes(row.fingerprint)
        assert forget_old() == 0
        IdempotencyRecord.objects.update(created_at="2026-01-01T00:00:00Z")
        assert forget_old() == 1
        assert UUID(str(row.user_id)) == self.person("kari").user_id
        assert RoomEvent.objects.filter(txn_id="a").count() == 1
