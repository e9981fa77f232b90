"""Letting anybody read more asks for a fresh proof of who holds the phone; letting fewer never does."""

from datetime import timedelta
from typing import Any

from tests.base import TownTestCase
from tests.sessions.base import Device, Devices, env
from tests.support.served import sqlite_only

pytestmark = sqlite_only

LONG = timedelta(minutes=31)


class Proof(Devices, TownTestCase):
    def given(self) -> None:
        self.asked = self.open_room()
        self.shared = self.open_shared_room("kari", purpose="treatment", propose=("frida",))
        self.propose(self.shared, "kari", "vera")

    def old(self, **more: Any) -> Device:
        """Signed in an hour ago; still good for months."""
        phone = self.device("are", **more)
        phone.wind(LONG)
        phone.again()
        return phone

    def stale(self, device: Device, method: str, path: str, data: Any = None, code: str = "step_up_needed") -> None:
        answer = getattr(device.client, method)(path, data or {})
        assert (answer.status_code, answer.json()["code"]) == (403, code), (path, answer.content)

    def test_yes_asks_for_a_fresh_proof(self) -> None:
        phone = self.old()
        self.stale(phone, "post", f"{self.asked.asks}/give")
        self.stale(phone, "post", f"{self.shared.asks}/change", {"grantees": [str(self.user_id("vera"))]})
        self.stale(phone, "post", f"{self.shared.asks}/renew")
        assert {one.reason for one in self.audit(outcome="refused", subject_id=self.patient_id())} == {"step_up_needed"}
        self.device("are").client.ok("post", f"{self.asked.asks}/give", {})

    def test_a_proof_in_the_session_is_enough(self) -> None:
        phone = self.old()
        phone.wind(-LONG)
        phone.client.ok("post", f"{self.asked.asks}/give", {})

    def test_no_and_less_never_ask(self) -> None:
        phone = self.old().client
        phone.ok("post", f"{self.asked.asks}/decline", {})
        phone.ok("post", f"{self.shared.asks}/change", {"grantees": [str(self.user_id("frida"))]})
        phone.ok("post", "exclusions", {"user": str(self.user_id("sara"))})
        phone.ok("post", f"{self.shared.asks}/withdraw", {})

    def test_lifting_an_exclusion_lets_more_in(self) -> None:
        phone, path = self.old(), f"exclusions/{self.user_id('sara')}"
        phone.client.ok("post", "exclusions", {"user": str(self.user_id("sara"))})
        self.stale(phone, "delete", path)
        self.device("are").client.ok("delete", path)

    def test_what_staff_write_down_asks_nothing_of_the_patient(self) -> None:
        """And not of them: the paper is the proof."""
        kari = self.device("kari")
        kari.wind(LONG)
        said = {
            "answer": "give",
            "method": "paper",
            "grantor": "patient",
            "given_at": kari.row().read_at.isoformat(),
            "document_kept": True,
        }
        answer = kari.client.post(f"{self.asked.asks}/record", said)
        assert answer.json().get("code") not in ("step_up_needed", "in_person_only"), answer.content

    def test_a_phone_that_staff_let_in(self) -> None:
        let_in: dict[str, Any] = {"method": "in_person", "level": 2, "as_patient": True}
        new, old = self.device("are", **let_in), self.old(**let_in)
        give = f"{self.asked.asks}/give"
        self.stale(new, "post", give, code="in_person_only")
        with env(in_person_may=["read", "write", "consent"]):
            self.stale(old, "post", give)
            new.client.ok("post", give, {})
