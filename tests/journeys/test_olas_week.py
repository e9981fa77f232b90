"""Ola's week: last Monday's checkpoint is in his drawer. A patient asks who has read about her; somebody used emergency
access; somebody looked where they had nothing to do; on Friday he checks the log on a machine of his own; and the other
officer can see all that he did. Through the API, the operator's one command, and a file that needs nothing of ours."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from server.audit import verify
from server.audit.models import AuditEvent
from server.people.models import User
from server.review import scanning
from tests.audit.sealing import Log
from tests.base import JSON
from tests.review.officers import OfficersTestCase
from tests.rooms.night import Night
from tests.support.database import unguarded


class OlasWeek(Night, OfficersTestCase):
    @pytest.fixture(autouse=True)
    def _desk(self, tmp_path: Path) -> None:
        self.desk = tmp_path

    def setUp(self) -> None:
        super().setUp()
        self.log_ = Log()
        self.addCleanup(self.log_.close)
        self.sealing.sequencer = self.log_.sequencer

    def check(self, folder: str, *more: str) -> "subprocess.CompletedProcess[str]":
        """What he runs at his desk: one file, Python, `cryptography`; nothing of ours is in reach."""
        alone = self.desk / "verify.py"
        alone.write_bytes(Path(verify.__file__).read_bytes())
        key = self.log_.signer.verifier.line
        command = [sys.executable, "-I", str(alone), str(self.desk / folder), "--key", key, *more]
        return subprocess.run(command, cwd=self.desk, env={}, capture_output=True, text=True, timeout=60)

    def export(self, folder: str) -> None:
        call_command("audit", "export", str(self.desk / folder), "--quiet", stdout=StringIO())

    def finding(self, kind: str) -> JSON:
        (found,) = self.person("ola").ok("get", f"review/findings?kind={kind}")["results"]
        told: JSON = found
        return told

    def test_his_week(self) -> None:
        ola = self.person("ola")

        # Last Monday he kept the checkpoint, as every week.
        self.open_the_room()
        self.follow()
        kept = self.desk / "last-week.txt"
        kept.write_bytes(ola.get("audit/newest/checkpoint").content)

        # Meanwhile: Nils used emergency access one night; Sara, who has Trine's surname, opened her card.
        self.begun()
        self.events(self.room, "nils")
        assert self.end().status_code == 204
        User.objects.filter(username="sara").update(name="Sara Holmåsen")
        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.follow()
        scanning.tick()

        # Monday: Trine asks who has read about her. One call answers it, each line in words and proved.
        answer = ola.post(
            "review/subject-requests",
            {"patient": str(self.patient_id("trine")), "reason": "Trine ba om innsyn i brev av mandag."},
        )
        told = [json.loads(line) for line in b"".join(answer).splitlines()]
        assert told[-1]["complete"]
        words = " ".join(line.get("words", "") for line in told)
        assert "Nils Dahle" in words
        assert "Sara Holmåsen" in words
        hers = self.person("trine").ok("get", "me/access-log")["results"]
        assert "review.subject_exported" in {one["type"] for one in hers}, "she sees that he looked, too"

        # Tuesday: the night is reviewed; the finding about it is answered by the same act.
        (review,) = self.duties("ola", "emergency_review")
        ola.ok("post", f"duties/{review['id']}/done", {"answer": "Riktig bruk. Hun var ikke ved bevissthet."})
        scanning.tick()
        assert not ola.ok("get", "review/findings?kind=emergency&state=open")["results"]

        # Wednesday: a question about a card that was opened. No name, until he says why he needs one.
        asked = self.finding("same_surname")
        ola.ok("post", f"review/findings/{asked['id']}/take")
        (event,) = ola.ok("get", f"review/findings/{asked['id']}")["events"]
        line = ola.ok("get", f"review/events/{event}")
        assert "Sara" not in str(line)
        short = ola.post(f"review/events/{event}/reveal", {"reason": "vil vite"})
        assert short.status_code == 400
        shown = ola.ok("post", f"review/events/{event}/reveal", {"reason": "Samme etternavn; lederen må kunne svare."})
        assert shown["actor_name"] == "Sara Holmåsen"
        body = {"text": "Hun er søsteren, og hadde ikke oppgaver for pasienten. Sendt til leder."}
        ola.ok("post", f"review/findings/{asked['id']}/confirm", body)
        ola.ok("post", f"review/findings/{asked['id']}/close", {})

        # Friday: the operator hands him an export. It continues what lay in his drawer.
        self.follow()
        self.export("friday")
        good = self.check("friday", "--older", str(kept))
        assert good.returncode == verify.GOOD, good.stdout + good.stderr
        assert "Sara" not in "".join(
            path.read_text("latin-1") for path in (self.desk / "friday").rglob("*") if path.is_file()
        )

        # Had somebody with all rights in the database made the look undone, he would have seen it.
        with unguarded():
            row = AuditEvent.objects.get(id=event)
            row.leaf = row.leaf.replace("patient.viewed", "patient.listed")
            row.save(update_fields=["leaf"])
        self.export("tampered")
        bad = self.check("tampered", "--older", str(kept))
        assert bad.returncode == verify.MISMATCH, bad.stdout + bad.stderr

        # And the other officer sees what Ola did all week, in the same list as everybody's acts.
        his = {one["type"] for one in self.listed(self.person("officer2"), f"actor={self.user_id('ola')}")}
        wanted = {"review.subject_exported", "review.revealed", "review.event_viewed", "finding.confirmed", "duty.done"}
        assert wanted <= his, wanted - his
