"""The list: oldest due first, by cursor, in plain words, at a fixed price; on record; and never a fault of ours."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.common import hints
from server.duties import access
from server.duties.models import Duty, Kind
from server.duties.words import WORDS
from server.people.actors import acting_in
from server.people.models import Controller, Session, User
from server.vault import actions as vault
from tests.base import API
from tests.duties.base import DutiesTestCase, soon
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOM = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
CONSENT = UUID("01890a5d-ac96-774b-bcce-b302099a8058")


def forged(position: str, **more: str) -> str:
    return b64encode(urlencode({"p": position, **more}).encode()).decode()


class Pages(DutiesTestCase):
    def walk(self, name: str, limit: int, meanwhile: Any = lambda: None) -> list[UUID]:
        found: list[UUID] = []
        address: str | None = f"duties?limit={limit}"
        while address:
            page = self.person(name).ok("get", address)
            assert len(page["results"]) <= limit
            found, address = found + [UUID(one["id"]) for one in page["results"]], page["next"]
            meanwhile()
        return found

    def test_oldest_due_first_whoever_owes_it(self) -> None:
        """Red when the list is ordered by `id`."""
        late = self.owe("emergency_review", "Helse Fjord", due_at=soon(30))
        early = self.owe("emergency_told", "ola", due_at=soon(-30))
        middle = self.owe("emergency_review", "Helse Fjord")
        assert self.seen("ola") == [early.id, middle.id, late.id]

    def test_every_page(self) -> None:
        """Red when the cursor is `due_at` alone: five are due in the same moment."""
        at = soon(1).replace(microsecond=0)
        owed = [self.owe("offer_call", "kari", due_at=at).id for _ in range(5)]
        owed = [self.owe("offer_call", "kari", due_at=soon(-n)).id for n in (3, 2)] + owed
        for limit in (1, 2, 3, 7, 8):
            assert self.walk("kari", limit) == owed, limit

    def test_what_is_done_between_two_pages_hides_nothing(self) -> None:
        """Red when the cursor counts rows (an offset) among those due in the same moment."""
        at = soon(1)
        owed = [self.owe("offer_call", "kari", due_at=at).id for _ in range(6)]
        waiting = iter(owed)
        assert self.walk("kari", 2, lambda: self.done("kari", next(waiting))) == owed

    def test_open_or_done(self) -> None:
        """Red when `open` is not looked at."""
        one, other = self.owe("offer_call", "kari"), self.owe("offer_call", "kari")
        self.done("kari", one)
        assert self.seen("kari") == self.seen("kari", open="true") == [other.id]
        assert self.seen("kari", open="false") == [one.id]


class Shown(DutiesTestCase):
    def test_what_is_said(self) -> None:
        duty = self.owe("consent_ending", "are", room_id=ROOM, object_id=CONSENT, code="ends_soon", due_at=soon(5))
        (said,) = self.page("are")["results"]
        assert said | {"words": "", "due_at": ""} == {
            "id": str(duty.id),
            "kind": "consent_ending",
            "words": "",
            "patient": str(self.patient_id()),
            "room": str(ROOM),
            "object": str(CONSENT),
            "due_at": "",
            "code": "ends_soon",
            "done_at": None,
            "answered": False,
            "answer": None,
        }
        assert said["due_at"].endswith("Z")

    def test_in_the_readers_language_and_without_names(self) -> None:
        """Red when a kind has no words, or the language is that of whoever owed it."""
        names = ("Are", "Strandvik", "Lunde")
        for kind in Kind.values:
            self.owe(kind, "kari")
        told: dict[str, list[str]] = {}
        for language in ("nb", "nn", "en"):
            self.person("kari").ok("patch", "me", {"language": language})
            told[language] = [one["words"] for one in self.page("kari")["results"]]
            assert not any(name in words for name in names for words in told[language])
        assert set(WORDS) == set(Kind.values)
        assert told["en"][0] == "Offer the patient a call. Sharing has stopped; care has not."
        assert told["nb"][0].startswith("Tilby pasienten en samtale")
        assert all(len({*versions}) == 3 for versions in zip(*told.values(), strict=True))

    def test_whoever_owes_it_is_hinted(self) -> None:
        """Red when nobody is told to look again."""
        sent: list[tuple[str, str]] = []
        undo = hints.listen(lambda some: sent.extend((one.kind, one.id) for one in some))
        try:
            with self.captureOnCommitCallbacks(execute=True):
                self.owe("offer_call", "kari")
        finally:
            undo()
        assert sent == [("user", str(self.user_id("kari")))]


class OnRecord(DutiesTestCase):
    def test_owed_seen_and_done(self) -> None:
        """Red when an act or a page leaves no event, or one that does not say whom it is about (law 1, L2)."""
        duty = self.owe("emergency_review", "Helse Fjord", room_id=ROOM, code="life")
        told = self.owe("emergency_told", "mona", about=None)
        self.page("ola")
        self.done("ola", duty, "Riktig bruk")
        self.done("ola", duty)
        self.page("ola", open="false")
        about = self.audit(object_id=duty.id)
        assert [one.type for one in about] == ["duty.owed", "duty.viewed", "duty.done", "duty.viewed", "duty.viewed"]
        assert {one.subject_id for one in about} == {self.patient_id()}
        assert {(one.room_id, one.reason) for one in about} == {(ROOM, "emergency_review")}
        assert {one.actor_id for one in about[1:]} == {self.user_id("ola")}
        assert {one.basis for one in about[1:]} == {"duty"}
        assert "Riktig" not in str([(one.detail, one.record_ids) for one in about])
        assert [one.subject_id for one in self.audit(object_id=told.id)] == [None]

    def test_ones_own(self) -> None:
        duty = self.owe("consent_ending", "are")
        self.page("are")
        assert [one.basis for one in self.audit(object_id=duty.id, type="duty.viewed")] == ["self"]

    def test_each_patient_on_a_page(self) -> None:
        """Red when one event stands for a whole page: it would be in one patient's log only."""
        for name in ("are", "trine", "are"):
            self.owe("offer_call", "kari", about=name)
        self.page("kari")
        seen = [one.subject_id for one in self.audit(type="duty.viewed")]
        assert seen == [self.patient_id(name) for name in ("are", "trine", "are")]

    def test_refusals(self) -> None:
        """Red when the door refuses without a refusal on record."""
        duty = self.owe("offer_call", "kari")
        self.shut_out("sara", duty)
        found = [(one.type, one.reason, one.subject_id) for one in self.audit(outcome="refused")]
        assert found == [("duty.done", "missing", None), ("duty.done", "foreign", self.patient_id())]


class Budget(DutiesTestCase):
    def cost(self, name: str, path: str) -> int:
        client = self.person(name)
        client.ok("get", path)
        vault.forget_keys()
        with CaptureQueriesContext(connection) as seen:
            client.ok("get", path)
        return len([one for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]])

    def test_a_page_costs_the_same_however_much_is_on_it(self) -> None:
        """Red when a row costs a statement: session, page, keys of the answers, log."""
        for rows in (2, 20):
            for n in range(rows):
                about = ("are", "trine")[n % 2]
                self.owe("emergency_review", "Helse Fjord", about=about)
                self.done("ola", self.owe("emergency_review", "Helse Fjord", about=about), "Sett på")
            assert self.cost("ola", "duties") == 3, rows
            assert self.cost("ola", "duties?open=false") == 4, rows

    def test_open_ones_are_found_by_their_indexes(self) -> None:
        """Red when an index is dropped, or the query no longer fits it."""
        self.fill(3000)
        expected = {"kari": "duty_open_of_user"}
        if connection.vendor == "postgresql":
            expected["ola"] = "duty_open_of_controller"  # SQLite knows nothing of the rows, and takes a plainer one
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE duties_duty")
        for name, index in expected.items():
            self.person(name)
            acting = acting_in(Session.objects.in_full().get(user=self.user_id(name)))
            plan = access.mine(acting).filter(done_at__isnull=True).order_by("due_at", "id")[:50].explain()
            assert index in plan, plan

    def fill(self, rows: int) -> None:
        """Others' duties, one in ten still open."""
        users = list(User.objects.exclude(username__in=("kari", "ola")))
        legal, at = list(Controller.objects.exclude(name="Helse Fjord")), soon(-1)
        Duty.objects.bulk_create(
            Duty(
                kind="emergency_told",
                user=users[n % len(users)] if n % 2 else None,
                controller=None if n % 2 else legal[n % len(legal)],
                due_at=at + timedelta(seconds=n),
                done_at=None if n % 10 < 2 else at,
                done_by=None if n % 10 < 2 else users[0],
            )
            for n in range(rows)
        )


class BadInput(DutiesTestCase):
    """Nothing here is a 500: `Client` looks at every answer."""

    def test_queries(self) -> None:
        """Red when a cursor is used before it is checked."""
        self.owe("offer_call", "kari")
        last = str(ROOM)
        for query in (
            "open=",
            "open=maybe",
            "open=%00",
            f"open={'x' * 5000}",
            *(
                f"cursor={quote(cursor)}"
                for cursor in (
                    "x",
                    "ø" * 50,
                    "%00",
                    forged(""),
                    forged("/"),
                    forged(last),
                    forged(f"2026-01-01T00:00:00/{last}"),
                    forged("2026-01-01T00:00:00+00:00/x"),
                    forged(f"x/{last}"),
                    forged(f"0001-01-01T00:00:00+14:00/{last}"),
                    forged(f"9999-12-31T23:59:59-14:00/{last}"),
                    forged(f"2026-01-01T00:00:00+00:00/{last}/{last}"),
                    forged("\x00/\x00"),
                    b64encode(b"r=1").decode(),
                )
            ),
        ):
            answer = self.person("kari").get(f"duties?{query}")
            assert answer.status_code == 400, query
        for query in ("limit=0", "limit=-1", "limit=x", "limit=999999", "cursor=", "open=1", "open=true&open=false"):
            assert self.person("kari").get(f"duties?{query}").status_code == 200, query

    def test_bodies(self) -> None:
        duty = self.owe("emergency_review", "Helse Fjord")
        ola = self.person("ola")
        for body in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b'{"answer": null}',
            b'{"answer": []}',
            b'{"answer": {}}',
            b'{"answer": true}',
            b'{"answer": "a\\u0000b"}',
            b'{"answer": "\\ud800"}',
            b'{"answer": "' + b"x" * 4001 + b'"}',
        ):
            answer = ola.generic("POST", f"{API}duties/{duty.id}/done", body, content_type="application/json")
            assert 400 <= answer.status_code < 500, (body[:40], answer.status_code)
        assert self.seen("ola") == [duty.id]
        assert self.done("ola", duty, "æ" * 4000).json()["answer"] == "æ" * 4000

    def test_addresses(self) -> None:
        for path in ("duties/", "duties/x/done", f"duties/{ROOM}", f"duties/{ROOM}/done/", "duties/%00/done"):
            assert self.person("kari").post(path, {}).status_code == 404, path
        assert self.person("kari").get(f"duties/{ROOM}/done").status_code == 405
        assert self.person("kari").post("duties", {}).status_code == 405
