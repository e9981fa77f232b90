"""Two at once, on real connections: laws 2, 3 and 5 under races, on both engines."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from server.audit.models import AuditEvent
from server.common.models import IdempotencyRecord
from server.rooms import looks, posting
from server.rooms.models import Member, Room, RoomEvent, Span
from tests.base import Client, Opened, TownTransactionTestCase
from tests.support.threads import at_once


class Races(TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("kari", "frida", "vera", "are"):
            self.person(name)

    def check(self, room: Opened) -> None:
        """The timeline has no holes, and each message has its record."""
        seqs = list(RoomEvent.objects.filter(room_id=room.id).order_by("seq").values_list("seq", flat=True))
        assert seqs == list(range(1, Room.objects.get(id=room.id).head + 1))
        posted = RoomEvent.objects.filter(room_id=room.id, type="message").values_list("id", flat=True)
        recorded = AuditEvent.objects.filter(type="message.posted", outcome="success", room_id=room.id)
        assert set(posted) == set(recorded.values_list("object_id", flat=True))
        assert len(posted) == recorded.count()

    def test_many_write_at_once(self) -> None:
        """Law 2. Red when `move_head` reads the head and writes it back."""
        room = self.open_shared_room()
        writers = [self.sign_in(name) for name in ("kari", "frida", "vera", "are") * 2]

        def write(client: Client, index: int) -> list[int]:
            found = []
            for number in range(3):
                answer = client.post(f"{room.path}/messages", {"txn_id": f"{index}-{number}", "body": "hei"})
                assert answer.status_code == 201, answer.content
                found.append(answer.json()["seq"])
            return found

        each = at_once([partial(write, client, index) for index, client in enumerate(writers)])
        taken = [seq for found in each for seq in found]
        assert len(set(taken)) == len(taken) == 24
        assert all(found == sorted(found) for found in each), "a sender's own order is kept"
        self.check(room)
        assert self.members(room)["are"]["participation"] == "active"
        assert RoomEvent.objects.filter(room_id=room.id, type="participation").count() == 1

    def test_the_same_message_many_times_at_once_is_one(self) -> None:
        """Law 3. Red when the constraint is gone, or when a violation is answered before the first has committed."""
        for name in ("kari", "are"):  # `are` follows: two events in one act
            room = self.open_shared_room(purpose="coordination" if name == "kari" else "transition")
            clients = [self.sign_in(name) for _ in range(5)]
            data = {"txn_id": "same", "body": "hei"}
            answers = at_once([partial(client.post, f"{room.path}/messages", data) for client in clients])
            assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201]
            assert len({one.content for one in answers}) == 1
            assert RoomEvent.objects.filter(room_id=room.id, type="message").count() == 1
            self.check(room)

    def test_a_retry_while_the_first_attempt_is_in_flight_waits_for_it(self) -> None:
        """Law 3, both by `txn_id` and by `Idempotency-Key`. Red when the idempotency row is written after the act."""
        for key in (None, "once"):
            room = self.open_shared_room(purpose="coordination" if key is None else "transition")
            headers: dict[str, Any] = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
            written, go_on = threading.Event(), threading.Event()
            original = posting.record_many

            def slow(entries: Any, original: Any = original, written: Any = written, go_on: Any = go_on) -> Any:
                done = original(entries)
                if not written.is_set():
                    written.set()
                    go_on.wait(10)
                return done

            def send(client: Client, room: Opened = room, headers: dict[str, Any] = headers) -> Any:
                return client.post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"}, **headers)

            def second(client: Client, written: Any = written, go_on: Any = go_on, send: Any = send) -> Any:
                assert written.wait(10)
                threading.Timer(0.3, go_on.set).start()
                return send(client)

            clients = [self.sign_in("kari") for _ in range(2)]
            with patch("server.rooms.posting.record_many", slow):
                answers = at_once([partial(send, clients[0]), partial(second, clients[1])])
            assert answers[0].status_code == 201
            assert answers[1].status_code == (200 if key is None else 201)
            assert answers[0].json() == answers[1].json()
            assert ("Idempotent-Replay" in answers[1].headers) == (key is not None)
            assert RoomEvent.objects.filter(room_id=room.id, type="message").count() == 1
            self.check(room)

    def test_a_first_attempt_that_fails_leaves_the_key_free(self) -> None:
        room = self.open_shared_room()
        first = self.person("kari")
        first.expects_500 = True
        data = {"txn_id": "a", "body": "hei"}
        with patch("server.rooms.posting.record_many", side_effect=RuntimeError):
            answer = first.post(f"{room.path}/messages", data, HTTP_IDEMPOTENCY_KEY="k")
        assert answer.status_code == 500
        assert IdempotencyRecord.objects.count() == 0
        assert first.post(f"{room.path}/messages", data, HTTP_IDEMPOTENCY_KEY="k").status_code == 201

    def test_a_room_is_opened_twice_at_once(self) -> None:
        """S1. Red when `room_patient_purpose` is dropped, or its violation is not caught."""
        data = {"patient": str(self.patient_id()), "propose": [str(self.user_id("vera"))]}
        clients = [self.sign_in(name) for name in ("kari", "frida", "kari", "frida")]
        answers = at_once([partial(client.post, "rooms", data) for client in clients])
        assert [one.status_code for one in answers] == [201] * 4, [one.content for one in answers]
        assert len({one.json()["id"] for one in answers}) == 1
        assert Room.objects.count() == 1
        room = Opened(Room.objects.get().id, answers[0].json()["consent"]["id"])
        assert set(self.members(room)) == {"are", "kari", "frida", "vera"}
        assert {one["name"] for one in self.person("are").ok("get", room.asks)["asked"]} == {
            "Kari Lunde",
            "Frida Moe",
            "Vera Haugen",
        }
        self.check(room)

    def test_consent_is_given_and_withdrawn_at_once(self) -> None:
        room = self.open_room()
        clients = [self.sign_in("are") for _ in range(4)]
        verbs = ("give", "withdraw", "give", "withdraw")
        answers = at_once([partial(c.post, f"{room.asks}/{v}", {}) for c, v in zip(clients, verbs, strict=True)])
        assert {one.status_code for one in answers} <= {200, 409}
        self.check(room)
        state = self.person("are").ok("get", room.asks)["state"]
        open_spans = Span.objects.filter(member__room_id=room.id, member__engagement__isnull=False, until=None).count()
        joined = Member.objects.filter(room_id=room.id, state="joined", engagement__isnull=False).count()
        assert open_spans == joined == (3 if state == "active" else 0)
        history = self.person("are").ok("get", f"{room.asks}/history")["results"]
        assert [one["number"] for one in history] == list(range(1, len(history) + 1))

    def test_nothing_is_written_after_the_withdrawal(self) -> None:
        """Law 5a. A post that races the withdrawal has the lower `seq`, or was not sent.

        Red when `move_head` does not compare the epoch.
        """
        for purpose in ("coordination", "transition", "crisis_plan"):
            room = self.open_shared_room(purpose=purpose)
            writers = [self.sign_in(name) for name in ("kari", "frida", "vera")]
            patient = self.sign_in("are")

            def write(client: Client, room: Opened = room) -> list[tuple[int, int]]:
                found = []
                for number in range(6):
                    answer = client.post(f"{room.path}/messages", {"txn_id": f"{number}", "body": "hei"})
                    found.append((answer.status_code, answer.json().get("seq", 0)))
                return found

            def stop(room: Opened = room, patient: Client = patient) -> list[tuple[int, int]]:
                threading.Event().wait(0.05)
                patient.ok("post", f"{room.asks}/withdraw")
                return []

            acts: list[Callable[[], list[tuple[int, int]]]] = [*(partial(write, client) for client in writers), stop]
            each = at_once(acts)
            ended = RoomEvent.objects.get(room_id=room.id, type="consent", facts__act="withdrawn").seq
            for found in each:
                assert all(status in (201, 404) for status, _ in found)
                assert all(seq < ended for status, seq in found if status == 201)
            assert not RoomEvent.objects.filter(room_id=room.id, type="message", seq__gt=ended).exists()
            self.check(room)

    def test_somebody_is_taken_out_between_the_decision_and_the_write(self) -> None:
        """Law 2: decided under an epoch that has passed, decided again. Red as the one before, without luck."""
        room = self.open_shared_room()
        frida, are = self.person("frida"), self.sign_in("are")
        member = self.members(room)["frida"]["id"]
        original, done = posting.check, threading.Event()

        def between(*args: Any, **kwargs: Any) -> None:
            original(*args, **kwargs)
            if not done.is_set():
                done.set()
                at_once([lambda: are.ok("delete", f"{room.path}/members/{member}")])

        with patch("server.rooms.posting.check", between):
            answer = frida.post(f"{room.path}/messages", {"txn_id": "a", "body": "hei"})
        assert answer.status_code == 404
        assert not RoomEvent.objects.filter(room_id=room.id, type="message").exists()
        self.check(room)

    def test_a_page_that_was_read_while_access_ended_is_not_shown(self) -> None:
        """Law 5b. Red when `look` does not compare the chunk's epoch."""
        room = self.open_shared_room()
        self.post(room, "kari", "hemmelig")
        vera, are = self.person("vera"), self.sign_in("are")
        original = looks.open_room

        def then_withdraws(*args: Any, **kwargs: Any) -> Any:
            permit = original(*args, **kwargs)
            at_once([lambda: are.ok("post", f"{room.asks}/withdraw")])
            return permit

        for path in ("events", "events?after=0", "members", "receipts"):
            self.give(room)
            with patch("server.rooms.looks.open_room", then_withdraws):
                answer = vera.get(f"{room.path}/{path}")
            assert answer.status_code in (404, 503), (path, answer.content)
            assert "hemmelig" not in answer.content.decode()
