"""Writing: once and only once (law 3), by whom it may (S3, S4), read by somebody (`nobody_here`), history kept."""

from uuid import uuid4

from server.rooms import actions
from server.rooms.models import Member, Room, RoomEvent
from server.rooms.posting import MAX_BODY
from tests.base import TownTestCase


class Messages(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.path = f"{self.room.path}/messages"

    def test_the_event_is_the_contracts(self) -> None:
        said = self.person("kari").post(self.path, {"txn_id": "a", "body": "hei æøå 🙂\nny linje"})
        assert said.status_code == 201
        event = said.json()
        assert set(event) == {"room", "seq", "type", "sender", "created_at", "content"}
        assert (event["room"], event["type"]) == (str(self.room.id), "message")
        assert event["sender"] == str(self.person("kari").user_id)
        assert event["content"] == {"kind": "text", "reply_to": None, "body": "hei æøå 🙂\nny linje"}
        assert event["created_at"].endswith("Z")
        for name in ("kari", "frida", "vera", "are"):
            assert self.events(self.room, name)[-1] == event, "the same for everybody"

    def test_what_is_stored_is_not_the_text(self) -> None:
        self.post(self.room, "kari", "hemmelig beskjed")
        row = RoomEvent.objects.get(type="message")
        assert b"hemmelig" not in bytes(row.sealed or b"")
        assert "hemmelig" not in str(row.facts)
        posted = self.audit(type="message.posted")[0]
        assert (posted.object_id, posted.detail) == (row.id, {})

    def test_a_retry_is_the_same_act(self) -> None:
        """Law 3. Red when the unique constraint `event_room_sender_txn` is dropped."""
        first = self.person("kari").post(self.path, {"txn_id": "a", "body": "hei"})
        head = Room.objects.get(id=self.room.id).head
        second = self.person("kari").post(self.path, {"txn_id": "a", "body": "hei"})
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert Room.objects.get(id=self.room.id).head == head, "no number was used"
        assert len(self.audit(type="message.posted")) == 1

    def test_the_same_txn_id_with_anything_else_is_refused(self) -> None:
        """Law 3. Red when `write_one` does not compare fingerprints."""
        self.post(self.room, "frida", "ja")
        known = self.post(self.room, "kari", "hei", txn_id="a")
        head = Room.objects.get(id=self.room.id).head
        for other in ({"body": "hei!"}, {"kind": "agreed"}, {"reply_to": known["seq"] - 1}):
            answer = self.person("kari").post(self.path, {"txn_id": "a", "body": "hei"} | other)
            assert (answer.status_code, answer.json()["code"]) == (409, "txn_id_reused"), other
        assert Room.objects.get(id=self.room.id).head == head
        assert RoomEvent.objects.filter(type="message").count() == 2

    def test_txn_ids_are_the_senders_own(self) -> None:
        one = self.post(self.room, "kari", "hei", txn_id="a")
        other = self.post(self.room, "frida", "noe annet", txn_id="a")
        assert other["seq"] == one["seq"] + 1
        second_room = self.open_shared_room(purpose="transition")
        self.post(second_room, "kari", "tredje", txn_id="a")

    def test_a_retry_after_access_ended_is_told_that_it_was_received(self) -> None:
        """Law 3. Red when `permit_to_post` does not look for the first attempt."""
        self.post(self.room, "kari", "hei", txn_id="a")
        self.withdraw(self.room)
        again = self.person("kari").post(self.path, {"txn_id": "a", "body": "hei"})
        assert (again.status_code, again.json()["code"]) == (409, "ended")
        never = self.person("kari").post(self.path, {"txn_id": "b", "body": "hei"})
        assert never.status_code == 404
        assert "not sent" in never.json()["detail"] or "ikke sendt" in never.json()["detail"]
        other = self.person("kari").post(self.path, {"txn_id": "a", "body": "noe helt annet"})
        assert other.json()["code"] == "txn_id_reused", "another text was never received"
        refused = self.audit(type="message.posted", outcome="refused")
        assert {one.reason for one in refused} >= {"ended", "no_access"}
        assert {one.subject_id for one in refused} == {self.patient_id()}

    def test_a_patients_retry_after_everybody_left_is_still_the_same_act(self) -> None:
        """Law 3: it was received when somebody was there; «nobody is here» would make them believe it was not."""
        first = self.post(self.room, "are", "hei", txn_id="a")
        self.withdraw(self.room)
        again = self.person("are").post(self.path, {"txn_id": "a", "body": "hei"})
        assert (again.status_code, again.json()) == (200, first)

    def test_nobody_here(self) -> None:
        """The patient is not left talking to nobody. Red when `check` does not look at `has_reader`."""
        fresh = self.open_room(purpose="transition")
        for room in (fresh, self.room):
            if room is self.room:
                self.withdraw(room)
            head = Room.objects.get(id=room.id).head
            answer = self.person("are").post(f"{room.path}/messages", {"txn_id": "n", "body": "er noen der?"})
            assert (answer.status_code, answer.json()["code"]) == (409, "nobody_here")
            assert Room.objects.get(id=room.id).head == head
            assert self.members(room)["are"]["participation"] == "following", "nothing was done"
        refusal = self.audit(type="message.posted", outcome="refused")[-1]
        assert (refusal.reason, refusal.subject_id) == ("nobody_here", self.patient_id())

    def test_a_follower_who_writes_takes_part(self) -> None:
        """S4, in the same transaction. Red when `_write_and_take_part` leaves the event out."""
        assert self.members(self.room)["are"]["participation"] == "following"
        event = self.post(self.room, "are", "kan ikke 11. nov.")
        before, last = self.events(self.room, "frida")[-2:]
        assert last == event
        assert (before["type"], before["content"]["participation"]) == ("participation", "active")
        assert self.members(self.room)["are"]["participation"] == "active"
        again = self.post(self.room, "are", "ny tid?")
        assert again["seq"] == event["seq"] + 1, "once is enough"
        acts = [one.type for one in self.audit(actor_id=self.person("are").user_id, room_id=self.room.id)]
        assert acts[-4:].count("participation.changed") == 1

    def test_a_followers_retry_takes_part_once(self) -> None:
        first = self.person("are").post(self.path, {"txn_id": "a", "body": "hei"})
        head = Room.objects.get(id=self.room.id).head
        second = self.person("are").post(self.path, {"txn_id": "a", "body": "hei"})
        assert (second.status_code, second.json()) == (200, first.json())
        self.person("are").ok(
            "patch", f"{self.room.path}/members/{self.members(self.room)['are']['id']}", {"participation": "following"}
        )
        third = self.person("are").post(self.path, {"txn_id": "a", "body": "hei"})
        assert (third.status_code, third.json()) == (200, first.json())
        assert self.members(self.room)["are"]["participation"] == "following", "a retry is no new act"
        assert Room.objects.get(id=self.room.id).head == head + 1

    def test_agreed_stands_out(self) -> None:
        event = self.post(self.room, "kari", "Møte 17. nov. kl. 10", kind="agreed")
        assert event["content"]["kind"] == "agreed"

    def test_replies(self) -> None:
        first = self.post(self.room, "kari", "hei")
        reply = self.post(self.room, "frida", "hei", reply_to=first["seq"])
        assert reply["content"]["reply_to"] == first["seq"]
        for wrong in (10_000, 0, -1, 2**63, "x", 1.5, [1]):
            answer = self.person("kari").post(self.path, {"txn_id": "w", "body": "hei", "reply_to": wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), wrong
            assert answer.json()["errors"][0]["field"] == "reply_to"

    def test_a_reply_to_what_one_may_not_see_is_as_to_nothing(self) -> None:
        first = self.post(self.room, "kari", "før Sara kom")
        self.propose(self.room, "kari", "sara")
        self.change(self.room)
        answers = [
            self.person("sara").post(self.path, {"txn_id": "s", "body": "hei", "reply_to": seq})
            for seq in (first["seq"], 5_000)
        ]
        assert answers[0].status_code == 400
        assert answers[0].json()["errors"] == answers[1].json()["errors"]

    def test_bodies_at_the_edge(self) -> None:
        for body in ("x", "🙂" * MAX_BODY, " x ", "\n\tx"):
            assert self.post(self.room, "kari", body)["content"]["body"] == body
        wrong: list[object] = ["", "   ", "\n", "x" * (MAX_BODY + 1), None, ["x"], {"a": 1}, True]
        for refused in wrong:
            answer = self.person("kari").post(self.path, {"txn_id": "w", "body": refused})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), refused
            assert answer.json()["errors"][0]["field"] == "body"
            assert "xxx" not in answer.content.decode(), "never repeats what was sent"

    def test_txn_ids_at_the_edge(self) -> None:
        for good in ("x" * 64, "æ", str(uuid4())):
            self.post(self.room, "kari", "hei", txn_id=good)
        for bad in ("", "x" * 65, "a\nb", None, ["x"], "\u200b"):
            answer = self.person("kari").post(self.path, {"txn_id": bad, "body": "hei"})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "txn_id"), bad


class Amending(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.seq = self.post(self.room, "kari", "møte kl. 9")["seq"]
        self.path = f"{self.room.path}/events/{self.seq}"

    def test_an_edit_is_a_new_event(self) -> None:
        edit = self.person("kari").post(f"{self.path}/edit", {"body": "møte kl. 10"})
        assert edit.status_code == 201
        assert edit.json()["content"] == {"of": self.seq, "body": "møte kl. 10"}
        bodies = [one["content"].get("body") for one in self.events(self.room, "frida")][-2:]
        assert bodies == ["møte kl. 9", "møte kl. 10"], "history is kept"

    def test_a_retraction_is_a_new_event_and_the_last(self) -> None:
        self.person("kari").ok("post", f"{self.path}/retract")
        assert self.events(self.room, "frida")[-1]["content"] == {"of": self.seq}
        for verb, data in (("edit", {"body": "likevel"}), ("retract", {})):
            answer = self.person("kari").post(f"{self.path}/{verb}", data)
            assert (answer.status_code, answer.json()["code"]) == (409, "retracted")
        assert [one["type"] for one in self.events(self.room)][-2:] == ["message", "retraction"]

    def test_only_ones_own_and_only_messages(self) -> None:
        answer = self.person("frida").post(f"{self.path}/edit", {"body": "x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_your_message")
        assert self.person("are").post(f"{self.path}/retract").status_code == 403
        for seq in (1, 9_999, 2**63, 10**30):
            for verb, data in (("edit", {"body": "x"}), ("retract", {})):
                answer = self.person("kari").post(f"{self.room.path}/events/{seq}/{verb}", data)
                assert answer.status_code == 404, (seq, verb)

    def test_not_what_was_before_ones_time(self) -> None:
        self.propose(self.room, "kari", "sara")
        self.change(self.room)
        answers = [
            self.person("sara").post(f"{self.room.path}/events/{seq}/edit", {"body": "x"}) for seq in (self.seq, 9_999)
        ]
        assert answers[0].status_code == 404
        assert answers[0].content == answers[1].content

    def test_not_after_access_ended(self) -> None:
        self.withdraw(self.room)
        assert self.person("kari").post(f"{self.path}/edit", {"body": "x"}).status_code == 404
        assert self.person("kari").post(f"{self.path}/retract").status_code == 404


class Participating(TownTestCase):
    """S4: takes part, follows, stays away, and changes their mind whenever they like."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.own = f"{self.room.path}/members/{self.members(self.room)['are']['id']}"

    def test_whenever_they_like(self) -> None:
        for wish in ("active", "away", "following", "active"):
            said = self.person("are").ok("patch", self.own, {"participation": wish})
            assert said["participation"] == wish
            last = self.events(self.room, "frida")[-1]
            assert (last["type"], last["content"]["participation"]) == ("participation", wish)
            assert self.person("kari").ok("get", self.room.path)["participation"] == wish

    def test_the_same_again_is_nothing(self) -> None:
        head = Room.objects.get(id=self.room.id).head
        self.person("are").ok("patch", self.own, {"participation": "following"})
        assert Room.objects.get(id=self.room.id).head == head

    def test_also_before_consent_and_after_withdrawal(self) -> None:
        room = self.open_room(purpose="transition")
        own = f"{room.path}/members/{self.members(room)['are']['id']}"
        self.person("are").ok("patch", own, {"participation": "away"})
        self.give(room)
        self.withdraw(room)
        self.person("are").ok("patch", own, {"participation": "active"})

    def test_nobody_else_decides_it(self) -> None:
        for name in ("kari", "frida"):
            answer = self.person(name).patch(self.own, {"participation": "away"})
            assert (answer.status_code, answer.json()["code"]) == (403, "patient_only")
        karis = f"{self.room.path}/members/{self.members(self.room)['kari']['id']}"
        for name in ("kari", "are"):
            assert self.person(name).patch(karis, {"participation": "away"}).status_code == 403
        assert self.person("sara").patch(self.own, {"participation": "away"}).status_code == 404

    def test_not_a_word(self) -> None:
        for wish in ("sometimes", "", None, 1, ["active"]):
            answer = self.person("are").patch(self.own, {"participation": wish})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert (
            self.person("are").patch(f"{self.room.path}/members/{uuid4()}", {"participation": "away"}).status_code
            == 404
        )


class Removing(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()

    def member(self, name: str) -> str:
        return f"{self.room.path}/members/{Member.objects.get(room_id=self.room.id, user__username=name).id}"

    def test_the_patient_takes_somebody_out_and_the_consent_is_narrowed(self) -> None:
        assert self.person("are").delete(self.member("frida")).status_code == 204
        assert self.person("frida").get(f"{self.room.path}/events").status_code == 404
        consent = self.person("are").ok("get", self.room.asks)
        assert (consent["state"], {one["name"] for one in consent["grantees"]}) == (
            "active",
            {"Kari Lunde", "Vera Haugen"},
        )
        assert "frida" not in self.members(self.room)
        self.propose(self.room, "kari", "frida")
        assert self.person("frida").get(f"{self.room.path}/events").status_code == 404, (
            "asked for again, and not let in"
        )
        self.change(self.room)
        assert self.person("frida").get(f"{self.room.path}/events").status_code == 200

    def test_taking_the_last_one_out_withdraws(self) -> None:
        for name in ("kari", "frida", "vera"):
            self.person("are").ok("delete", self.member(name))
        assert self.person("are").ok("get", self.room.asks)["state"] == "withdrawn"

    def test_somebody_leaves_and_the_consent_stays(self) -> None:
        self.person("vera").ok("delete", self.member("vera"))
        assert self.person("vera").get(self.room.path).status_code == 404
        consent = self.person("are").ok("get", self.room.asks)
        assert (consent["version"], len(consent["grantees"])) == (2, 3)
        self.propose(self.room, "kari", "vera")
        assert self.person("vera").get(f"{self.room.path}/events").status_code == 200, "the consent covers her still"

    def test_a_proposal_is_taken_back_by_who_made_it(self) -> None:
        member = self.propose(self.room, "kari", "sara")
        path = f"{self.room.path}/members/{member['id']}"
        answer = self.person("frida").delete(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_yours_to_remove")
        assert self.person("kari").delete(path).status_code == 204
        assert self.person("are").ok("get", self.room.asks)["asked"] == []
        assert self.person("kari").delete(path).status_code == 404

    def test_nobody_takes_a_colleague_or_the_patient_out(self) -> None:
        answer = self.person("kari").delete(self.member("frida"))
        assert (answer.status_code, answer.json()["code"]) == (403, "not_yours_to_remove")
        for name in ("kari", "are"):
            assert self.person(name).delete(self.member("are")).status_code == 404

    def test_unknown_and_foreign_members_are_alike(self) -> None:
        other = self.open_shared_room(purpose="transition")
        foreign = Member.objects.get(room_id=other.id, user__username="kari").id
        answers = [self.person("are").delete(f"{self.room.path}/members/{one}") for one in (foreign, uuid4())]
        assert answers[0].status_code == 404
        assert answers[0].content == answers[1].content

    def test_the_room_is_full(self) -> None:
        kari = Member.objects.get(room_id=self.room.id, user__username="kari")
        limit, actions.MAX_MEMBERS = actions.MAX_MEMBERS, 3
        try:
            answer = self.person("kari").post(f"{self.room.path}/members", {"user": str(self.user_id("sara"))})
        finally:
            actions.MAX_MEMBERS = limit
        assert (answer.status_code, answer.json()["code"]) == (409, "room_full")
        assert kari.room.members.count() == 4
