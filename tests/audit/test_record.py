"""Writing the log: inside the act's transaction, in order, without content (laws 1 and 9)."""

import json

import pytest
import structlog
from django.db import IntegrityError, transaction

from server.audit.actions import OutsideTransaction, TooLong, record, record_many
from server.audit.entry import SYSTEM, Actor, Entry
from server.audit.models import AuditEvent
from server.audit.tiles import LONGEST_ENTRY
from server.common.ids import new_id
from tests.base import TownTestCase, TownTransactionTestCase


class Outside(TownTransactionTestCase):
    def test_nothing_is_recorded_outside_a_transaction(self) -> None:
        """Law 1. Red when `record_many` does not look whether there is one."""
        before = AuditEvent.objects.count()
        with pytest.raises(OutsideTransaction):
            record(Entry(type="x.y", actor=SYSTEM))
        assert AuditEvent.objects.count() == before

    def test_it_goes_with_its_transaction(self) -> None:
        before = AuditEvent.objects.count()
        with transaction.atomic():
            record(Entry(type="x.y", actor=SYSTEM))
            transaction.set_rollback(True)
        assert AuditEvent.objects.count() == before


class Rows(TownTestCase):
    def test_every_field_arrives(self) -> None:
        ids = [new_id() for _ in range(9)]
        actor = Actor(ids[0], ids[1], ids[2], ids[3], "psykolog", "demo")
        entry = Entry(
            type="x.y",
            actor=actor,
            subject_id=ids[4],
            room_id=ids[5],
            object_id=ids[6],
            purpose="coordination",
            basis="consent",
            outcome="refused",
            reason="no_access",
            record_ids=(ids[7], ids[8]),
            detail={"seq": 5, "æ": [1, None, "ø"]},
        )
        row = AuditEvent.objects.get(id=record(entry))
        assert (row.actor_id, row.unit_id, row.controller_id, row.engagement_id) == tuple(ids[:4])
        assert (row.subject_id, row.room_id, row.object_id) == tuple(ids[4:7])
        assert (row.type, row.role, row.sign_in, row.purpose) == ("x.y", "psykolog", "demo", "coordination")
        assert (row.basis, row.outcome, row.reason) == ("consent", "refused", "no_access")
        assert row.record_ids == [str(ids[7]), str(ids[8])]
        assert row.detail == {"seq": 5, "æ": [1, None, "ø"]}
        assert row.at is not None

    def test_many_are_written_in_order(self) -> None:
        ids = record_many(Entry(type=f"x.{number}", actor=SYSTEM) for number in range(20))
        assert ids == sorted(ids)
        written = AuditEvent.objects.filter(type__startswith="x.").order_by("id").values_list("type", flat=True)
        assert list(written) == [f"x.{number}" for number in range(20)]
        assert record_many([]) == []

    def test_the_request_is_named(self) -> None:
        answer = self.person("kari").get("rooms")
        room = self.open_room()
        assert room
        assert {len(one.request_id) for one in self.audit(room_id=room.id)} == {36}
        assert answer.headers["X-Request-ID"] not in {one.request_id for one in self.audit(room_id=room.id)}

    def test_without_a_request_a_random_one_is_named(self) -> None:
        """The hash of a leaf is public: without it one could be guessed over the list of staff."""
        structlog.contextvars.clear_contextvars()
        made = [AuditEvent.objects.get(id=record(Entry(type="x.y", actor=SYSTEM))) for _ in range(2)]
        assert {len(one.request_id) for one in made} == {36}
        assert made[0].request_id != made[1].request_id
        assert [json.loads(one.leaf)["request"] for one in made] == [one.request_id for one in made]

    def test_what_cannot_be_served_is_not_recorded(self) -> None:
        """A bundle of C2SP tlog-tiles holds entries of at most 65,535 bytes."""
        most = LONGEST_ENTRY // 39
        for entry in (
            Entry(type="x.y", actor=SYSTEM, record_ids=tuple(new_id() for _ in range(most))),
            Entry(type="x.y", actor=SYSTEM, follows="æ" * (LONGEST_ENTRY // 2)),
            Entry(type="x.y", actor=SYSTEM, reason="x" * 61),
            Entry(type="x.y", actor=Actor(None, role="x" * 101)),
        ):
            with pytest.raises(TooLong):
                record(entry)
        full = Entry(type="x.y", actor=SYSTEM, record_ids=tuple(new_id() for _ in range(most - 30)), reason="x" * 60)
        assert len(AuditEvent.objects.get(id=record(full)).leaf) > 60_000

    def test_the_database_refuses_it_too(self) -> None:
        for text in ("æ" * (LONGEST_ENTRY // 2) + "xx", "x" * (LONGEST_ENTRY + 1)):
            with pytest.raises(IntegrityError, match="audit_leaf_fits"), transaction.atomic():
                AuditEvent(outcome="success", leaf=text).save(force_insert=True)
        AuditEvent(outcome="success", leaf="æ" * (LONGEST_ENTRY // 2) + "x").save(force_insert=True)

    def test_no_content_and_no_name_in_it(self) -> None:
        """Law 9. A whole story, and not a word of it in the log."""
        room = self.open_shared_room()
        secret = ("Bjarnehiet", "Trollstigen", "Rødstrupe")
        seq = self.post(room, "kari", secret[0], txn_id=secret[1])["seq"]
        self.person("kari").ok("post", f"{room.path}/events/{seq}/edit", {"body": secret[2]})
        self.person("are").ok("post", f"{room.asks}/withdraw", {"remark": secret[0]})
        self.person("kari").post(f"{room.path}/messages", {"txn_id": secret[1], "body": secret[0]})
        self.person("kari").post(f"{room.path}/messages", {"txn_id": "x", "body": secret[0]})
        names = ("Strandvik", "Lunde", "Moe", "14438810197", "+4740000001", "jobben")
        text = str(list(AuditEvent.objects.values()))
        for word in (*secret, *names):
            assert word not in text, word
