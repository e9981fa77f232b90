"""Checkpoints kept elsewhere: a file for each, and a mail a day to each officer; neither ever written over or lost."""

import email
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import policy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.core import mail as outbox
from django.db import connection
from django.test import override_settings

from server.audit import keeping, mailing
from server.audit.entry import SYSTEM
from server.audit.models import Checkpoint, CheckpointMail
from server.audit.verify import open_checkpoint
from server.common.clock import now
from server.common.errors import Invalid
from server.people import actions as people
from server.people.models import Officer, User
from tests.audit.sealing import Log, act
from tests.base import TownTestCase, TownTransactionTestCase
from tools.servers import free_port

MAIL = "smtp://127.0.0.1"
OFFICERS = ["ola@helse.example", "vakt@kommune.example"]


def with_settings(**more: Any) -> override_settings:
    return override_settings(ENV=settings.ENV.model_copy(update=more))


class Folder(TownTestCase):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "kept"

    def setUp(self) -> None:
        super().setUp()
        self.folder.mkdir()
        self.enterContext(with_settings(audit_checkpoint_dir=self.folder))
        self.enterContext(patch.object(keeping, "standing", keeping._Standing()))
        self.log = Log()
        self.addCleanup(self.log.close)

    def seal(self, times: int = 1) -> str:
        for _ in range(times):
            act()
            self.log.seal()
        return Checkpoint.objects.latest("position").note

    def names(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir())

    def test_every_published_checkpoint_becomes_a_file(self) -> None:
        note = self.seal(3)
        assert keeping.keep_copies() == 3
        assert keeping.keep_copies() == 0
        sizes = [
            open_checkpoint((self.folder / one).read_text(), [self.log.signer.verifier]).size for one in self.names()
        ]
        assert [f"log-example-{size}.txt" for size in sizes] == self.names()
        assert (self.folder / f"log-example-{max(sizes)}.txt").read_text() == note
        Checkpoint.objects.create(position=(1 << 40) + 999, root=b"x" * 32)  # not signed yet
        assert keeping.keep_copies() == 0

    def test_what_was_missed_meanwhile_is_written_later(self) -> None:
        """The folder was away: a share that is not mounted. None is made in its place."""
        self.seal()
        away = self.folder.rename(self.folder.with_name("away"))
        with pytest.raises(FileNotFoundError):
            keeping.keep_copies()
        with patch.object(keeping, "LATE_S", 0):
            assert keeping.failing()
        assert not keeping.failing(), "not at once"
        self.seal(2)
        away.rename(self.folder)
        assert keeping.keep_copies() == 3

    def test_killed_half_way_it_goes_on(self) -> None:
        """Mutation: write the newest first; the older ones are then never written."""
        self.seal(4)
        write, left = keeping._write, iter([True, True, False])

        def dying(*args: Any) -> None:
            if not next(left):
                raise KeyboardInterrupt
            write(*args)

        with patch.object(keeping, "_write", dying), pytest.raises(KeyboardInterrupt):
            keeping.keep_copies()
        assert len(self.names()) == 2
        assert keeping.keep_copies() == 2

    def test_another_checkpoint_of_the_same_size_is_an_alarm_and_stays(self) -> None:
        self.seal()
        keeping.keep_copies()
        [name] = self.names()
        (self.folder / name).write_text("another log")
        with pytest.raises(keeping.CopyDiffers):
            keeping.keep_copies()
        assert (self.folder / name).read_text() == "another log"

    def test_thinning_keeps_the_last_day_and_then_one_an_hour(self) -> None:
        self.seal(6)
        keeping.keep_copies()
        noon = (now() - timedelta(days=3)).replace(minute=0, second=0).timestamp()
        names = sorted(self.names(), key=lambda one: int(one.split("-")[-1][:-4]))
        times = [noon, noon + 60, noon + 3599, noon + 3600, now().timestamp() - 60, noon]
        for name, at in zip(names, times, strict=True):
            os.utime(self.folder / name, (at, at))
        (self.folder / "notes.md").write_text("of somebody else's")
        os.utime(self.folder / "notes.md", (noon, noon))
        assert keeping.thin() == 2
        assert self.names() == sorted([*names[2:], "notes.md"]), "the newest stays, whatever its time says"


class Sink:
    """A mail server on this machine; `refuse` is what it answers instead of taking a mail."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.refuse = ""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.refuse:
            return self.refuse
        assert isinstance(envelope.content, bytes)
        self.got += [(one, envelope.content) for one in envelope.rcpt_tos]
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[Sink]:
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    backend = "django.core.mail.backends.smtp.EmailBackend"
    try:
        with override_settings(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=controller.port):
            yield sink
    finally:
        controller.stop()


def sealed(case: Any) -> Log:
    log = Log()
    case.addCleanup(log.close)
    act()
    log.seal()
    return log


class Mail(TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.log = sealed(self)
        Officer.objects.exclude(email="").update(email="")
        self.enterContext(with_settings(audit_mail_to=OFFICERS, email_url=MAIL))
        self.sink = self.enterContext(mail_server())

    def due_now(self) -> None:
        CheckpointMail.objects.filter(sent_at=None).update(due_at=now())

    def test_each_officer_gets_one_a_day_and_it_verifies(self) -> None:
        assert (mailing.mail_newest(), mailing.mail_newest()) == (2, 0)
        assert sorted(to for to, _ in self.sink.got) == OFFICERS
        message = email.message_from_bytes(self.sink.got[0][1], policy=policy.default)
        [attached] = message.iter_attachments()
        note = attached.get_payload(decode=True)
        assert isinstance(note, bytes)
        said = open_checkpoint(note.decode(), [self.log.signer.verifier])
        assert attached.get_filename() == f"log-example-{said.size}.txt"
        body = message.get_body(("plain",))
        assert body is not None
        text = body.get_content()
        assert note.decode() in text.replace("\r\n", "\n")
        assert f"--older log-example-{said.size}.txt" in text
        assert "{" not in text
        assert str(said.size) in message["Subject"]
        CheckpointMail.objects.update(day=now() - timedelta(days=2))
        assert mailing.mail_newest() == 2, "the next day"

    def test_it_goes_to_whoever_is_appointed(self) -> None:
        """Once each, and no longer than the appointment lasts. Red when only the installation's list is asked."""
        user, controller = User.objects.get(username="frida"), Officer.objects.earliest("id").controller
        people.appoint_officer(user=user, controller=controller, email="Ola@helse.example", actor=SYSTEM)
        new = people.appoint_officer(user=user, controller=controller, email="frida@helse.example", actor=SYSTEM)
        assert mailing.recipients() == ["Ola@helse.example", "frida@helse.example", "vakt@kommune.example"]
        assert mailing.mail_newest() == 3
        assert mailing.said() == "3 of 3 officers have today's"
        CheckpointMail.objects.update(sent_at=None, due_at=now())
        people.end_appointment(officer_id=new.id, actor=SYSTEM, reason="left")
        assert mailing.mail_newest() == 2
        with with_settings(email_url=""):
            assert mailing.recipients() == [], "a demo sends nothing"
        for wrong in ("ola", "ola@helse.example\nBcc: x@x.example", "a b@helse.example"):
            with pytest.raises(Invalid):
                people.appoint_officer(user=user, controller=controller, email=wrong, actor=SYSTEM)
        Officer.objects.update(email="a\nb@helse.example")  # nothing of ours writes it
        assert mailing.recipients()
        CheckpointMail.objects.all().delete()
        assert mailing.mail_newest() == 2, "the others get theirs"

    def test_refused_it_is_tried_again_later_and_later(self) -> None:
        self.sink.refuse = "451 not now"
        assert mailing.mail_newest() == 0
        before = now()
        assert mailing.mail_newest() == 0
        rows = CheckpointMail.objects.all()
        assert {row.tries for row in rows} == {1}, "not before it is due"
        assert all(row.due_at > before + timedelta(minutes=4) for row in rows)
        assert not mailing.failing()
        for _ in range(2):
            self.due_now()
            mailing.mail_newest()
        assert mailing.failing()
        self.sink.refuse = ""
        self.due_now()
        assert mailing.mail_newest() == 2
        assert not mailing.failing()
        assert [mailing.wait(n) for n in (0, 1, 2, 60)] == [timedelta(minutes=m) for m in (5, 10, 20, 240)]

    def test_no_server_no_officer_nothing_sealed(self) -> None:
        with override_settings(EMAIL_PORT=free_port()):
            assert mailing.mail_newest() == 0
        with with_settings(audit_mail_to=[]):
            self.due_now()
            assert mailing.mail_newest() == 0
        assert not self.sink.got
        assert not outbox.outbox


class Workers(TownTransactionTestCase):
    def test_of_several_workers_one_sends(self) -> None:
        """Mutation: send before the row is claimed."""
        sealed(self)
        start, sent = threading.Barrier(3), []

        def work() -> None:
            try:
                start.wait(10)
                sent.append(mailing.mail_newest())
            finally:
                connection.close()

        Officer.objects.exclude(email="").update(email="")
        with with_settings(audit_mail_to=OFFICERS, email_url=MAIL), mail_server() as sink:
            threads = [threading.Thread(target=work) for _ in range(3)]
            for one in threads:
                one.start()
            for one in threads:
                one.join(30)
        assert sum(sent) == 2
        assert sorted(to for to, _ in sink.got) == OFFICERS
