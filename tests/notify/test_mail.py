"""Mails to an SMTP server on this machine."""

from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.test import override_settings

from server.notify import actions
from server.notify.models import Address, Delivery
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, make_due, means
from tests.support.served import sqlite_only
from tools.servers import free_port

pytestmark = sqlite_only


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[tuple[str, Any]] = []
        self.answers: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            self.mails.append((envelope.rcpt_tos[0], message_from_bytes(content, policy=policy.default)))
        return answer


class Mails(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.box = Mailbox()
        served = Controller(self.box, hostname="127.0.0.1", port=free_port())
        served.start()
        self.addCleanup(served.stop)
        smtp = "django.core.mail.backends.smtp.EmailBackend"
        self.enterContext(override_settings(EMAIL_BACKEND=smtp, EMAIL_HOST="127.0.0.1", EMAIL_PORT=served.port))

    def send(self, **more: Any) -> Delivery:
        with means(email_url="smtp://127.0.0.1", notify_mail_from="varsel@example.org"):
            said = self.person("nils").ok("put", "me/reach", {"email": "nils@example.org"})
            address = Address.objects.get(id=said["email_id"])
            page = self.order(address, channel="email", **more)
            assert [one.channel for one in actions.reachable([address.user_id])[address.user_id]] == ["email"]
            deliver()
        page.refresh_from_db()
        return page

    def test_it_says_nothing_but_that_there_is_something(self) -> None:
        page = self.send()
        ((to, mail),) = self.box.mails
        assert to == "nils@example.org"
        assert mail["Subject"] == "Vakt: svar nå"
        assert mail["From"] == "varsel@example.org"
        assert mail["Message-ID"] == f"<{page.id}@notify.samsnakk>"
        assert mail.get_content().strip() == "Åpne appen for å se det."
        assert (page.state, self.keeper.told) == ("accepted", [("sent",)])

    def test_not_now(self) -> None:
        self.box.answers = ["451 later"]
        page = self.send(kind="message", urgent=False)
        assert (page.state, page.code) == ("waiting", "provider_error")
        make_due()
        with means(email_url="smtp://127.0.0.1"):
            deliver()
        assert len(self.box.mails) == 1

    def test_never(self) -> None:
        self.box.answers = ["550 nobody"]
        page = self.send()
        assert (page.state, page.code) == ("failed", "refused")

    def test_no_server(self) -> None:
        with override_settings(EMAIL_PORT=1):
            page = self.send()
        assert (page.state, page.code) == ("waiting", "unreachable")

    def test_none_is_configured(self) -> None:
        said = self.person("nils").ok("put", "me/reach", {"email": "nils@example.org"})
        page = self.order(Address.objects.get(id=said["email_id"]), channel="email")
        deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "not_configured")
