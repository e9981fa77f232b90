"""A back-up and its restore, on the engine of this process: small; `make prove` has the drill with real servers."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from server.alerts.models import Alert
from server.notify.models import Delivery
from server.operate import archive, engines, restoring, signing
from server.people.models import Session
from tests.alerts.base import NightTransactionTestCase
from tests.operations.drill import demo_keys, elsewhere, programs

COUNTED = ("rooms_roomevent", "audit_auditevent", "consent_version", "people_user", "alerts_alertkey")


class BackUp(NightTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        temporary = TemporaryDirectory(prefix="samsnakk-backup-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.private = self.folder / "backup.key"
        (self.folder / "backup.pub").write_text(archive.new_key(self.private))

    def backup(self, place: Path) -> str:
        said = io.StringIO()
        where = ("--to-file", str(self.folder / "backup.pub"), "--sign-file", str(self.folder / "sign.pem"))
        call_command("backup", place, *where, *programs(), stdout=said)
        return said.getvalue()

    def refused(self, *words: str) -> str:
        with pytest.raises(CommandError) as refusal:
            call_command("restore", *words, *programs(), stdout=io.StringIO())
        return str(refusal.value)

    def test_it_comes_back_and_nothing_that_may_not(self) -> None:
        """Red when a session lives on, an alert key does not, a call for help waits for whoever had it, a message is
        told again, a row is lost, or a key lies in the file."""
        self.shift("nils")
        room = self.open_shared_room()
        self.post(room, "kari", "Et svar som ingen andre skal lese")
        key = self.trine_key()
        pressed = self.pressed()
        self.person("nils").ok("post", f"alerts/{pressed['id']}/accept", {})
        place = self.folder / "one.backup"
        said = self.backup(place)
        assert "read again and whole" in said
        assert "master keys, every version" in said
        assert place.stat().st_mode & 0o777 == 0o600
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in COUNTED))
            before = cursor.fetchone()
        self.post(room, "kari", "Etter sikkerhetskopien")
        with elsewhere(self.folder / "other", demo_keys()) as there:
            whose = self.folder / "signer"
            whose.write_text(signing.line_of(signing.own_key(self.folder / "sign.pem")))
            known = ("--key-file", str(self.private), "--signer-file", str(whose))
            done = there.manage("restore", str(place), *known, *programs())
            assert done.returncode == 0, done.stderr
            assert "audit adopt" in done.stdout
            assert "1 open calls for help begun anew" in done.stdout
            [found] = there.ask("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in COUNTED))
            assert [found[0], *found[2:]] == [before[0], *before[2:]], "what came later is not there"
            assert found[1] > before[1], "what was done afterwards is on record"
            assert there.ask("SELECT count(*) FROM people_session WHERE ended_at IS NULL") == [(0,)]
            assert there.ask("SELECT DISTINCT end_reason FROM people_session") == [("restored",)]
            assert there.ask("SELECT count(*) FROM alerts_alertkey WHERE revoked_at IS NULL") == [(1,)], key
            waiting = "SELECT count(*) FROM notify_delivery WHERE state IN ('waiting', 'leased')"
            assert there.ask(waiting) == [(0,)]
            alerts = "SELECT state, duty, generation, responder_id FROM alerts_alert"
            assert there.ask(alerts) == [("paging", "router", self.alert().generation + 1, None)]
            again = there.manage("restore", str(place), *known, *programs())
            assert again.returncode == 2
            assert "not empty" in again.stderr
            settled = there.manage("restore", "--settle")
            assert "0 sessions ended" in settled.stdout
            assert "0 open calls for help begun anew" in settled.stdout

    def test_what_is_not_sound_is_not_restored_and_gets_no_name(self) -> None:
        place = self.folder / "one.backup"
        self.backup(self.folder)
        with patch.object(restoring, "MigrationLoader") as loader, patch.object(restoring, "verify") as verified:
            loader.return_value.disk_migrations = {}
            verified.return_value = {"migrations": {"people": "9999_from_the_future"}}
            with pytest.raises(archive.BadArchive, match="newer version"):
                restoring.restore(Empty(), next(self.folder.glob("samsnakk-*.backup")), archive.Secret())
        [made] = self.folder.glob("samsnakk-*.backup")
        made.rename(place)
        whole = place.read_bytes()
        place.write_bytes(whole[:-20])
        key = ("--key-file", str(self.private))
        assert "it was cut off" in self.refused(str(place), *key, "--look")
        place.write_bytes(whole)
        assert "give --signer-file" in self.refused(str(place), *key)
        assert "not empty" in self.refused(str(place), *key, "--unsigned", "the old one is lost")
        assert "give --key-file" in self.refused(str(place), "--look")
        call_command("restore", str(place), *key, "--look", *programs(), stdout=io.StringIO())
        with (
            patch.object(engines.Postgres, "check", side_effect=engines.EngineFault("unreadable")),
            patch.object(engines.Sqlite, "check", side_effect=engines.EngineFault("unreadable")),
            pytest.raises(CommandError, match="no back-up was made: unreadable"),
        ):
            self.backup(self.folder / "two.backup")
        assert {path.name for path in self.folder.iterdir()} == {"backup.key", "backup.pub", "sign.pem", "one.backup"}

    def test_who_made_it(self) -> None:
        """The public key stands in every back-up, in the open: whoever reads one can make another that opens. Red when
        such a one, or one whose first lines are another's, counts as the installation's."""
        place = self.folder / "one.backup"
        self.backup(place)
        whose, other = self.folder / "signer", self.folder / "other"
        whose.write_text(signing.line_of(signing.own_key(self.folder / "sign.pem")))
        other.write_text(signing.line_of(signing.own_key(self.folder / "other.pem")))
        key = ("--key-file", str(self.private), "--look")
        said = io.StringIO()
        call_command("restore", str(place), *key, "--signer-file", str(whose), *programs(), stdout=said)
        assert "signed by the installation that you named" in said.getvalue()
        said = io.StringIO()
        call_command("restore", str(place), *key, *programs(), stdout=said)
        assert "NOBODY KNOWS WHO MADE IT" in said.getvalue()
        assert "not signed by" in self.refused(str(place), *key, "--signer-file", str(other))
        with place.open("rb") as file:
            opened = archive.read(file, archive.Secret(private=archive.private_key(self.private)))
            pieces, manifest = list(opened.pieces), opened.manifest
        to = archive.Recipient.of_public_key(archive.PREFIX + opened.head["public"])
        mine = self.folder / "mine.backup"
        with mine.open("wb") as out:
            engine = {"engine": opened.head["engine"]}
            archive.write(out, pieces, to, engine).end(manifest)
        assert "not signed by" in self.refused(str(mine), *key, "--signer-file", str(whose)), "with its signature"

    def test_another_file_is_put_in_its_place(self) -> None:
        place = self.folder / "one.backup"
        self.backup(place)
        real = restoring.verify

        def exchanged(*asked: Any) -> Any:
            found = real(*asked)
            place.unlink()
            self.backup(place)
            return found

        secret = archive.Secret(private=archive.private_key(self.private))
        with (
            patch.object(restoring, "verify", exchanged),
            patch.object(engines.Sqlite, "is_empty", return_value=True),
            patch.object(engines.Postgres, "is_empty", return_value=True),
            patch.object(engines.Sqlite, "load") as loaded,
            patch.object(engines.Postgres, "load"),
            pytest.raises(archive.BadArchive, match="put another file"),
        ):
            restoring.restore(engines.engine(Path(programs()[1]) if programs() else None), place, secret)
        loaded.assert_not_called()

    def test_only_so_many_are_kept(self) -> None:
        for number in range(3):
            (self.folder / f"samsnakk-2026010{number}T000000Z.backup").write_text("")
        call_command(
            "backup",
            self.folder,
            "--to-file",
            str(self.folder / "backup.pub"),
            "--sign-file",
            str(self.folder / "sign.pem"),
            "--keep",
            "2",
            *programs(),
            stdout=io.StringIO(),
        )
        left = sorted(path.name for path in self.folder.glob("samsnakk-*"))
        assert (len(left), left[0]) == (2, "samsnakk-20260102T000000Z.backup")


class Empty(engines.Sqlite):
    def is_empty(self) -> bool:
        return True


class Afterwards(NightTransactionTestCase):
    def test_messages_are_not_told_again_and_keys_stay_destroyed(self) -> None:
        self.person("are"), self.person("kari")
        with (
            patch.object(restoring.preflight, "bring_up_to_date", return_value="2 migrations wait."),
            pytest.raises(CommandError, match="not fit to be served: 2 migrations wait"),
        ):
            call_command("restore", "--settle", stdout=io.StringIO())
        with patch.object(restoring.erasing, "reapply") as reapplied, TemporaryDirectory() as folder:
            listed = Path(folder) / "erased.jsonl"
            listed.write_text("")
            reapplied.return_value.listed, reapplied.return_value.keys = 3, 2
            done = restoring.settle(listed)
        reapplied.assert_called_once_with(listed)
        assert (done.sessions, done.listed, done.destroyed) == (2, 3, 2)
        assert not Session.objects.filter(ended_at=None).exists()
        assert not Delivery.objects.open().exists()
        assert not Alert.objects.exclude(state="closed").exists()
        [event] = self.audit(type="database.restored")
        assert event.outcome == "success"
