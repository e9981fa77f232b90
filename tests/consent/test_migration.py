"""Consents from before they were sealed: a room that was in use is in use after the upgrade, word for word.

What there is today is put into a database of the schema before, by plain SQL, as that release would have had it, and
`manage.py migrate` brings it forward.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest import skipUnless
from uuid import UUID

import pytest
import rfc8785
from django.conf import settings
from django.db import DatabaseError, connection

from server.audit.models import Pending
from server.common.sql import rfc3339
from server.consent.models import Version
from server.settings.env import ROOT
from server.vault import actions as vault
from tests.base import JSON, Opened, TownTransactionTestCase
from tests.consent.base import Consenting, faults
from tests.support import database

BEFORE = (("consent", "0002"), ("people", "0001"), ("audit", "0002"), ("rooms", "0002"), ("common", ""), ("vault", ""))
SAME = (
    "number",
    "act",
    "words",
    "state",
    "grantees",
    "asked",
    "recorded_at",
    "by",
    "language",
    "text",
    "text_sha256",
    "remark",
)
NOT_COPIED = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "consent_consentversion",
    "sqlite_sequence",
}


@skipUnless(settings.EMBEDDED, "the file of one engine is enough: the conversion is the same code on both")
class Upgrade(Consenting, TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.room = self.open_room(propose=["frida", "vera"])
        self.says(self.room, "give", remark="bare om timer")
        self.first = self.post(self.room, "kari", "før")
        self.change(self.room, to=["kari", "frida"])
        self.stopped = self.open_shared_room(purpose="transition")
        self.says(self.stopped, "withdraw", remark="nok nå")
        self.waiting = self.open_room(purpose="crisis_plan")
        self.rooms = (self.room, self.stopped, self.waiting)

    # --- the release before ---
    def manage(self, path: Path, script: str) -> None:
        environment = os.environ | {"DATABASE_URL": f"sqlite:///{path}", "LOG_LEVEL": "ERROR"}
        start = "import django; django.setup(); from django.core.management import call_command as c; "
        done = subprocess.run(
            [sys.executable, "-c", start + script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def old_database(self) -> Path:
        path = Path(settings.ENV.var_dir) / "before.sqlite3"  # type: ignore[attr-defined]
        path.unlink(missing_ok=True)
        steps = (f"c('migrate', {', '.join(repr(one) for one in step if one)}, verbosity=0)" for step in BEFORE)
        self.manage(path, "; ".join(steps))
        details = {event.id.hex: json.dumps(event.detail) for event in self.audit()}
        connection.close()
        with closing(sqlite3.connect(path)) as old, old:
            old.create_function("detail_of", 1, details.get)
            old.execute("ATTACH ? AS live", [str(connection.settings_dict["NAME"])])
            for (table,) in old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
                if table not in NOT_COPIED:
                    columns = [f'"{row[0]}"' for row in old.execute(f"SELECT name FROM pragma_table_info('{table}')")]
                    listed = ", ".join(columns)
                    taken = listed.replace('"detail"', "detail_of(id)")
                    old.execute(f'INSERT INTO main."{table}" ({listed}) SELECT {taken} FROM live."{table}"')
            for row in Version.objects.order_by("id"):
                self.insert_old(old, row)
            old.execute("DELETE FROM vault_datakey WHERE owner = ?", [vault.SEAL_OWNER.hex])
            connection.close()
        return path

    def insert_old(self, old: sqlite3.Connection, row: Version) -> None:
        """One version as it was written then."""
        said = json.loads(row.document)
        terms, text = said["terms"], said["text"]
        values = {
            "id": row.id.hex,
            "consent_id": row.consent_id.hex,
            "number": row.number,
            "act": said["act"],
            "state": said["state"],
            "grants": json.dumps([self.old_grant(one) for one in terms["grants"]]),
            "asked": json.dumps([self.old_grant(one) for one in terms["asked"]]),
            "purpose": terms["purpose"],
            "valid_from": at(terms["valid_from"]),
            "valid_to": at(terms["valid_to"]),
            "method": said["method"]["sign_in"] or "",
            "acted_by_id": UUID(said["recorder"]).hex if said["recorder"] else None,
            "form": text["form"],
            "form_version": text["version"],
            "language": text["language"],
            "text_sha256": text["sha256"],
            "text_sealed": bytes(row.text_sealed),
            "remark_sealed": bytes(row.remark_sealed) if row.remark_sealed else None,
            "recorded_at": at(said["recorded_at"]),
        }
        listed, places = ", ".join(values), ", ".join("?" * len(values))
        old.execute(f"INSERT INTO consent_consentversion ({listed}) VALUES ({places})", list(values.values()))

    @staticmethod
    def old_grant(part: JSON) -> JSON:
        return {"unit": part["unit"], "person": part["person"], "role": part["role"]}

    def told(self, room: Opened) -> list[JSON]:
        return [{key: one[key] for key in SAME} for one in self.history(room.consent)["results"]]

    def upgrade(self) -> None:
        path = self.old_database()
        with closing(sqlite3.connect(path)) as old:
            tables = {name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            assert not {"consent_version", "duties_duty", "rooms_emergencyaccess"} & tables, "it is the schema before"
        self.manage(path, "c('migrate', verbosity=0)")
        connection.close()
        database._copy(path, Path(connection.settings_dict["NAME"]))
        vault.forget_keys()

    # --- after it ---
    def test_rooms_go_on_and_history_is_what_it_was(self) -> None:
        """Red when `convert` loses a text, a remark, a grant, an end or who acted, or seals what nobody can verify."""
        before = {room.consent: self.told(room) for room in self.rooms}
        events, until = self.events(self.room, "kari"), self.shown(self.room)["until"]
        logged = {event.id: (event.type, event.at, event.detail) for event in self.audit()}
        self.upgrade()
        self.the_log_is_what_it_was(logged)
        self.the_ends_are(until)
        for room in self.rooms:
            assert self.told(room) == before[room.consent]
            assert self.history(room.consent)["sound"]
            assert faults(room.consent) == set()
            assert [one["number"] for one in before[room.consent]] == [
                one.detail["version"] for one in self.audit(type="consent.sealed", object_id=room.consent)
            ]
        assert self.events(self.room, "kari") == events
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida"}
        assert self.inside(self.stopped, "kari", "frida") == set()
        self.go_on()
        self.refuse_change()

    def the_log_is_what_it_was(self, logged: dict[UUID, tuple[str, datetime, JSON]]) -> None:
        """Red when an old event gets no leaf, one without its time or details, or none waits to be sealed."""
        events = self.audit()
        assert set(logged) <= {event.id for event in events}
        assert {event.id for event in events} == set(Pending.objects.values_list("event_id", flat=True))
        for event in events:
            said = json.loads(event.leaf)
            assert rfc8785.dumps(said).decode() == event.leaf
            assert (said["id"], said["type"], said["time"]) == (str(event.id), event.type, rfc3339(event.at))
            assert (event.type, event.at, event.detail) == logged.get(event.id, (event.type, event.at, event.detail))
            assert (said["detail"] is None) == (not event.detail)

    def go_on(self) -> None:
        """Every verb, upon what was converted."""
        assert self.post(self.room, "kari", "etter")["seq"] > self.first["seq"]
        self.says(self.room, "renew")
        self.exclude("frida")
        assert self.inside(self.room, "kari", "frida") == {"kari"}
        self.give(self.stopped)
        self.refuses(self.person("kari").get(f"{self.waiting.path}/events"), 403, "consent_missing")
        shown = self.shown(self.waiting)["text"]["sha256"]
        self.says(self.waiting, "give", text_sha256=shown)
        assert self.inside(self.waiting, "kari", "frida", "vera") == {"kari", "vera"}
        self.withdraw(self.room)
        assert self.person("are").get(f"{self.room.asks}/receipt").status_code == 200
        for room in self.rooms:
            assert faults(room.consent) == set()

    def refuse_change(self) -> None:
        for sql in ("UPDATE consent_version SET hash = hash", "DELETE FROM consent_version"):
            with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
                cursor.execute(sql)
        assert "consent_consentversion" not in connection.introspection.table_names()

    def the_ends_are(self, until: str) -> None:
        """The worker goes by the row. Red when `ends_at` is not set, or set where nothing is in force."""
        row = self.consent(self.room)
        assert row.ends_at == datetime.fromisoformat(until)
        assert row.remind_at is not None
        assert self.shown(self.room)["until"] == until
        for room in (self.stopped, self.waiting):
            assert self.consent(room).ends_at is None


def at(text: str | None) -> str | None:
    """A moment as SQLite stores it."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if text else None
