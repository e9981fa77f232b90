"""All that is held about somebody does not leave in one file from a telephone that somebody else may hold (L5)."""

from datetime import timedelta

from server.audit.models import AuditEvent
from tests.base import JSON, TownTestCase
from tests.sessions.base import Device, Devices
from tests.support.served import sqlite_only

pytestmark = sqlite_only
LONG = timedelta(minutes=31)
LOG = "me/access-log/export?form=jsonl"


class OwnFile(Devices, TownTestCase):
    def old(self, who: str) -> Device:
        phone = self.device(who)
        phone.wind(LONG)
        phone.again()
        return phone

    def refused(self, phone: Device, path: str, code: str, method: str = "get") -> None:
        before = AuditEvent.objects.filter(outcome="refused", reason=code).count()
        answer = getattr(phone.client, method)(path, {"format": "jsonl"} if method == "post" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, code), (path, answer.content)
        assert AuditEvent.objects.filter(outcome="refused", reason=code).count() == before + 1

    def order(self, phone: Device) -> JSON:
        made: JSON = phone.client.ok("post", "me/held", {"format": "jsonl"})
        return made

    def test_a_telephone_that_was_found(self) -> None:
        made = self.order(self.device("are"))
        phone = self.old("are")
        self.refused(phone, "me/held", "step_up_needed", "post")
        self.refused(phone, f"held/{made['id']}/download", "step_up_needed")
        self.refused(phone, LOG, "step_up_needed")
        for path in ("me/access-log", f"held/{made['id']}"):
            phone.client.ok("get", path)

    def test_who_has_proved_who_they_are(self) -> None:
        phone = self.device("are")
        made = self.order(phone)
        for path in (f"held/{made['id']}/download", LOG):
            assert b'"complete"' in b"".join(phone.client.get(path))

    def test_who_works_here_too(self) -> None:
        self.refused(self.old("kari"), "me/held", "step_up_needed", "post")
        self.order(self.device("kari"))

    def test_a_phone_that_staff_let_in(self) -> None:
        """Its owner asks an officer."""
        phone = self.device("are", method="in_person", level=2, as_patient=True)
        self.refused(phone, "me/held", "in_person_only", "post")
        self.refused(phone, LOG, "in_person_only")
        phone.client.ok("get", "me/access-log")
