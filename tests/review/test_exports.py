"""Exports of the log: each line proved against one signed checkpoint, and nothing after access has ended."""

import csv
import io
import json
import tempfile
from base64 import b64decode
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.test import AsyncClient

from server.audit import verify
from server.audit.adoption import adopt
from server.audit.entry import SYSTEM
from server.audit.sequencer import Sequencer
from server.common.ids import new_id
from server.people import actions as people
from server.review import exports, lines
from server.review.export_files import COLUMNS, plain
from server.review.models import Export
from tests.audit.sealing import ORIGIN, Log
from tests.base import JSON, Client, Opened, Town
from tests.review.officers import OfficersTestCase

REASON = "Kontroll etter klage fra en pasient."
LONG_AGO, LATER = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def seal(log: Log) -> None:
    """Everything until now; and make the officers' lines."""
    log.seal()
    while lines.follow():
        pass


class ExportsTestCase(OfficersTestCase):
    """A sealed log in which Sara of Ytre DPS has done a few things in Trine's room."""

    log: ClassVar[Log]
    room: ClassVar[Opened]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.log, town = Log(), Town()
        cls.addClassCleanup(cls.log.close)
        town._arrive()
        cls.room = town.open_shared_room("kari", patient="trine", propose=["sara"])
        for _ in range(3):
            town.person("sara").ok("get", f"{cls.room.path}/events")
        seal(cls.log)

    def seal(self) -> None:
        seal(self.log)

    def order(self, by: str | Client = "ola", **more: Any) -> Any:
        """The response."""
        client = self.person(by) if isinstance(by, str) else by
        said = {"filters": {"actor": str(self.user_id("sara"))}, "format": "jsonl", "reason": REASON}
        return client.post("review/exports", said | more)

    def ordered(self, **more: Any) -> JSON:
        answer = self.order(**more)
        assert answer.status_code == 201, answer.content
        told: JSON = answer.json()
        return told

    def fetch(self, export: JSON, by: str = "ola") -> bytes:
        answer = self.person(by).get(f"review/exports/{export['id']}/download")
        assert answer.status_code == 200, answer.content
        assert answer.headers["Cache-Control"] == "no-store"
        return b"".join(answer)

    def progress(self, export: JSON) -> tuple[str, int, int]:
        told = self.person("ola").ok("get", f"review/exports/{export['id']}")
        return told["state"], told["done"], told["total"]

    def checked(self, text: bytes) -> list[JSON]:
        """The leaves of an export, each verified as a stranger would."""
        head, *found = (json.loads(line) for line in text.splitlines())
        assert head["keys"] == [self.log.signer.verifier.line]
        checkpoint = verify.open_checkpoint(head["checkpoint"], [self.log.signer.verifier])
        assert (checkpoint.size, head["lines"]) == (head["size"], len(found))
        for one in found:
            proof = [b64decode(hash_) for hash_ in one["proof"]]
            leaf = verify.leaf_hash(one["leaf"].encode())
            assert verify.verify_inclusion(one["index"], checkpoint.size, leaf, proof, checkpoint.root), one
        return [json.loads(one["leaf"]) for one in found]

    def told_alone(self, text: bytes, *origins: str) -> str:
        """What `verify.py lines` says of a file that is good, with the keys of these logs."""
        keys = [self.log.signer.named(one).verifier.line for one in origins or (ORIGIN,)]
        said = io.StringIO()
        with tempfile.NamedTemporaryFile() as file, redirect_stdout(said), redirect_stderr(io.StringIO()):
            Path(file.name).write_bytes(text)
            status = verify.main(["lines", file.name, *(word for key in keys for word in ("--key", key))])
        assert status == 0, said.getvalue()
        return said.getvalue()


class Lines(ExportsTestCase):
    def test_each_line_is_proved(self) -> None:
        """Red when a proof is made for another size, or a leaf is not the exact text."""
        export = self.ordered()
        assert (export["state"], export["done"], export["kind"]) == ("ready", 0, "events")
        text = self.fetch(export)
        found = self.checked(text)
        assert f"Lines checked: {len(found)}." in self.told_alone(text)
        assert len(found) == export["total"] >= 3
        assert {one["actor"]["id"] for one in found} == {str(self.user_id("sara"))}
        assert self.progress(export) == ("done", len(found), len(found))

    def test_what_the_list_shows(self) -> None:
        """The same lines in the same order, whatever the filters; and nothing that was sealed later."""
        for query, filters in (
            ("type=events.viewed&outcome=success", {"type": "events.viewed", "outcome": "success"}),
            (f"room={self.room.id}&basis=consent", {"room": str(self.room.id), "basis": "consent"}),
            (f"from={LONG_AGO}&to={LATER}", {"from": LONG_AGO, "to": LATER}),
            (f"to={LONG_AGO}", {"to": LONG_AGO}),
            ("", {}),
        ):
            listed = [one["id"] for one in self.listed(self.person("ola"), query)]
            export = self.ordered(filters=filters)
            self.person("sara").ok("get", self.room.path)
            self.seal()
            with patch.object(exports, "CHUNK", 2):
                assert [one["id"] for one in self.checked(self.fetch(export))] == listed, query
            assert export["total"] == len(listed)

    def test_csv(self) -> None:
        """Every cell of a line, a proof that holds, and no formula. Red when a role is written as it stands."""
        engagement = self.engagement_of("sara")
        people.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
        people.engage(user=engagement.user, unit=engagement.unit, role="=1+1", health_personnel=True, actor=SYSTEM)
        self.sign_in("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.seal()
        export = self.ordered(format="csv")
        text = self.fetch(export)
        rows = list(csv.DictReader(io.StringIO(text.decode())))
        assert list(rows[0]) == COLUMNS
        assert f"Lines checked: {len(rows)}." in self.told_alone(text)
        assert [(one["number"], one["of"]) for one in rows] == [
            (str(number), str(len(rows))) for number in range(1, len(rows) + 1)
        ]
        assert "'=1+1" in {one["role"] for one in rows}
        [note] = {one["checkpoint"] for one in rows} - {""}
        assert rows[0]["checkpoint"] == note
        checkpoint = verify.open_checkpoint(note, [self.log.signer.verifier])
        for one in rows:
            proof = [bytes.fromhex(hash_) for hash_ in one["proof"].split()]
            leaf = verify.leaf_hash(one["leaf"].encode())
            assert verify.verify_inclusion(int(one["index"]), checkpoint.size, leaf, proof, checkpoint.root)
            assert json.loads(one["leaf"])["id"] == one["id"]
        for dangerous in ("=1", "+1", "-1", "@x", "\tx", "\rx"):
            assert plain(dangerous) == f"'{dangerous}"

    def test_what_is_on_record(self) -> None:
        """Ordering, fetching and looking, each with how much and of what. Red when any of them leaves no event."""
        about = str(self.patient_id("trine"))
        export = self.ordered(filters={"subject": about})
        [made] = self.audit(type="review.export_made")
        assert made.detail == {"filters": {"subject": about}, "count": export["total"], "format": "jsonl"}
        assert (made.subject_id, made.object_id) == (self.patient_id("trine"), Export.objects.get().id)
        path = f"review/exports/{export['id']}/download"
        answer = self.person("ola").get(path)
        assert len(self.audit(type="review.export_downloaded")) == 1, "before its first byte"
        assert b"".join(answer)
        self.progress(export)
        self.person("ola").ok("get", "review/exports")
        assert self.audit(type="review.export_viewed")
        assert self.audit(type="review.exports_viewed")
        assert REASON.encode() not in bytes(Export.objects.get().reason_sealed)
        log = self.person("trine").ok("get", "me/access-log")["results"]
        assert {"review.export_made", "review.export_downloaded"} <= {one["type"] for one in log}

    def test_nobody_else(self) -> None:
        """Staff, patients, administrators, officers of others; and of colleagues' exports only that they are there."""
        export = self.ordered()
        path = f"review/exports/{export['id']}"
        for name in ("sara", "trine", "admin"):
            client = self.person(name)
            for answer in (
                self.order(name),
                *(client.get(one) for one in ("review/exports", path, f"{path}/download")),
            ):
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        theirs = self.officer_of("Fjordvik kommune")
        assert theirs.ok("get", "review/exports")["results"] == []
        for kind in ("", "/download"):
            foreign, missing = theirs.get(path + kind), theirs.get(f"review/exports/{new_id()}{kind}")
            assert foreign.status_code == 404
            assert foreign.content == missing.content
        [seen] = self.person("officer2").ok("get", "review/exports")["results"]
        assert (seen["reason"], seen["made_by_name"]) == (REASON, "Ola Neset")
        taken = self.person("officer2").get(f"{path}/download")
        assert (taken.status_code, taken.json()["code"]) == (403, "not_your_export")

    def test_a_controller_s_own_lines_only(self) -> None:
        """Red when an export is not narrowed to the officer's controller."""
        theirs = self.officer_of("NAV Fjordvik")
        assert self.order(theirs).json()["total"] == 0
        assert self.order(theirs, filters={"subject": str(self.patient_id("trine"))}).json()["total"] == 0

    def test_a_bad_order(self) -> None:
        wrongs: list[dict[str, Any]] = [
            {"filters": {"actr": "x"}},
            {"filters": {"actor": "x"}},
            {"filters": "x"},
            {"filters": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}},
            {"format": "xlsx"},
            {"reason": ""},
        ]
        for wrong in wrongs:
            answer = self.order(**wrong)
            assert answer.status_code == 400, wrong
            assert answer.json()["errors"], wrong
        assert self.person("ola").post("review/exports", [1]).status_code == 400

    def test_what_was_sealed_before_a_log_was_begun_anew(self) -> None:
        """Is proved against the last checkpoint of the old tree, which stands in its line."""
        before = self.ordered()["total"]
        adopt(store=self.log.store, signers=[self.log.signer], reason="restored")
        self.addCleanup(setattr, self.log, "sequencer", self.log.sequencer)
        self.log.sequencer = Sequencer(self.log.store, [self.log.signer])
        self.person("sara").ok("get", self.room.path)
        self.seal()
        text = self.fetch(self.ordered())
        head, *found = map(json.loads, text.splitlines())
        assert f"The log {ORIGIN} had" in self.told_alone(text, ORIGIN, f"{ORIGIN}/2")
        self.told_alone(self.fetch(self.ordered(format="csv")), ORIGIN, f"{ORIGIN}/2")
        old = [one for one in found if "checkpoint" in one]
        assert len(old) == before < len(found)
        keys = [self.log.signer.verifier, self.log.signer.named(f"{ORIGIN}/2").verifier]
        assert verify.open_checkpoint(head["checkpoint"], keys).origin == f"{ORIGIN}/2"
        for one in found:
            checkpoint = verify.open_checkpoint(one.get("checkpoint", head["checkpoint"]), keys)
            leaf, proof = verify.leaf_hash(one["leaf"].encode()), [b64decode(hash_) for hash_ in one["proof"]]
            assert verify.verify_inclusion(one["index"], checkpoint.size, leaf, proof, checkpoint.root)


class Cut(ExportsTestCase):
    """Red when the reader is not asked for again after each chunk (law 5)."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(patch.object(exports, "CHUNK", 2))
        self.export = self.ordered()
        self.answer = self.person("ola").get(f"review/exports/{self.export['id']}/download")
        self.stream = iter(self.answer)
        self.first = next(self.stream) + next(self.stream)
        assert len(self.first.splitlines()) == 3

    def rest(self) -> list[bytes]:
        return list(self.stream)

    def state(self) -> tuple[str, int]:
        export = Export.objects.get()
        return export.state, export.done

    def test_the_appointment_ends(self) -> None:
        self.end_appointment("ola")
        assert self.rest() == []
        assert self.state() == ("cut", 2)

    def test_the_session_ends(self) -> None:
        self.person("ola").ok("post", "me/sign-out")
        assert self.rest() == []
        assert self.state() == ("cut", 2)

    def test_the_reader_goes_away(self) -> None:
        assert self.state() == ("running", 2)
        self.answer._iterator.close()
        assert self.state() == ("cut", 2)

    def test_all_of_it_otherwise(self) -> None:
        assert len(self.rest()) > 1
        assert self.state() == ("done", self.export["total"])

    def test_served_by_an_event_loop(self) -> None:
        """As daphne serves it: chunk by chunk, and the same bytes."""
        headers = {"Authorization": f"Bearer {self.person('ola').token}"}

        @async_to_sync
        async def fetched() -> list[bytes]:
            path = f"/api/v1/review/exports/{self.export['id']}/download"
            answer = await AsyncClient().get(path, headers=headers)
            assert answer.is_async
            return [chunk async for chunk in answer]

        chunks = fetched()
        assert len(chunks) > 2
        assert b"".join(chunks) == self.first + b"".join(self.rest())
        assert self.state()[0] == "done"

    def test_a_fault_on_the_way(self) -> None:
        """It ends there, and says so in the row and by its first line; whoever reads does not wait for more."""
        headers = {"Authorization": f"Bearer {self.person('ola').token}"}

        @async_to_sync
        async def fetched() -> list[bytes]:
            path = f"/api/v1/review/exports/{self.export['id']}/download"
            answer = await AsyncClient().get(path, headers=headers)
            return [chunk async for chunk in answer]

        with patch.object(exports.Prover, "proved", side_effect=[[], OperationalError]):
            head = fetched()
        assert json.loads(head[0])["lines"] == self.export["total"]
        assert len(head) == 1
        assert self.state() == ("cut", 0)
