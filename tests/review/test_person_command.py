"""`manage.py person`, and the report of what is past its period."""

import io
import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from server.operate.preflight import choice_faults
from server.people.models import Relation
from server.people.periods import NOW
from server.review import erasing, keeping
from server.vault import actions as vault
from server.vault import erased
from tests.base import JSON
from tests.review.erased import ErasedTestCase
from tests.support.leaks import leaks, told_of_patients
from tests.support.served import sqlite_only

pytestmark = sqlite_only


def run(*words: Any) -> str:
    out = io.StringIO()
    call_command("person", *words, stdout=out)
    return out.getvalue()


class Commands(ErasedTestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def test_held(self) -> None:
        """On record with its reason, for the owner's eyes alone, and never over another file."""
        out = self.folder / "are.jsonl"
        said = run("held", "--patient", self.are.id, "--reason", "Krav om innsyn på papir.", "--out", out)
        assert leaks(said.encode(), told_of_patients()) == []
        rows = [json.loads(one) for one in out.read_bytes().splitlines()]
        assert rows[-1] == {"complete": True, "lines": len(rows) - 2}
        assert "hemmelig om natten" in {one.get("sealed") for one in rows}
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        [event] = self.audit(type="held.downloaded")
        assert (event.subject_id, event.detail) == (self.are.id, {"reason": "Krav om innsyn på papir."})
        page = self.folder / "kari.html"
        run("held", "--user", self.user_id("kari"), "--reason", "Krav om innsyn.", "--out", page)
        assert "Kari Lunde" in page.read_text()
        for wrong in (
            ["--patient", self.are.id, "--reason", "Krav om innsyn.", "--out", out],
            ["--patient", self.are.id, "--reason", "x", "--out", self.folder / "b"],
            ["--user", self.are.id, "--reason", "Krav om innsyn.", "--out", self.folder / "b"],
        ):
            with pytest.raises(CommandError):
                run("held", *wrong)

    def test_erasures(self) -> None:
        self.ask()
        said = run("erasures")
        assert "open_room: " in said
        assert "1 erasures are open." in said
        assert leaks(said.encode(), told_of_patients()) == []

    def test_reapply(self) -> None:
        assert "the list cannot be read" in self.refused("reapply-erasures")
        for key in erasing.keys_of(self.are):
            erased.note(key, vault.sign(vault.seal_key(), erased.PURPOSE, key.bytes))
        assert run("reapply-erasures").startswith("2 keys are listed; 2 lived again and were destroyed; 1 patients")
        erased.note(self.room.id, b"1" * 64)
        assert "1 lines were not written by" in self.refused("reapply-erasures", "--list", self.erased_keys)

    def refused(self, *words: Any) -> str:
        with pytest.raises(CommandError) as raised:
            run(*words)
        return str(raised.value)


class Report(ErasedTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.officer = self.officer_of(self.controller)

    def due(self) -> list[JSON]:
        found: list[JSON] = self.officer.ok("get", "review/retention")["held_due"]
        return found

    @property
    def controller(self) -> str:
        return str(self.engagement_of("kari").unit.controller.name)

    def test_what_is_past_its_period(self) -> None:
        """Numbers, of the officer's own controller, by each kind's own period. Red when what is in use is counted."""
        assert self.due() == []
        relations = Relation.objects.filter(unit__controller__name=self.controller)
        relations.update(ended_at=NOW)
        with patch("server.review.keeping.now", self.moment):
            told = {one["kind"]: one for one in self.due()}
        assert told["registration"]["count"] == relations.count()
        assert told["messages"]["after_export"] is True
        assert "consents" in told
        self.ahead = timedelta(days=6 * 365)
        with patch("server.review.keeping.now", self.moment):
            assert {one["kind"] for one in self.due()} == {"registration", "consents"}
            out = io.StringIO()
            call_command("review", "retention", stdout=out)
        assert " held registration: " in out.getvalue()
        assert leaks(out.getvalue().encode(), told_of_patients()) == []

    def test_a_file_that_cannot_be_used(self) -> None:
        path = Path(str(settings.ENV.keeping_file))
        path.write_text(json.dumps({"confirmed_by": "", "kinds": []}))
        keeping._read.cache_clear()
        assert [one for one in choice_faults() if one.startswith("KEEPING_FILE cannot be used: ")]
        keeping._read.cache_clear()
