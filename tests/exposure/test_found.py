"""What the walk has found, each by itself: none of it comes back."""

import time
from datetime import timedelta
from typing import Any

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.sql import rfc3339
from server.people import actions as people
from server.people.models import Unit
from tests.base import TownTestCase
from tests.exposure.walk import ELSEWHERE, SHORT_S, statutory_grounds_on
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Found(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "vera", "hemmelig")
        self.kari = self.person("kari")
        self.opens: dict[str, Any] = {"patient": str(self.patient_id()), "propose": []}

    def again(self, path: str, said: dict[str, Any]) -> Any:
        return self.kari.post(path, said, headers={"Idempotency-Key": "k"})

    def test_an_old_answer_after_the_end(self) -> None:
        """law 5: the old card, with head and unread, after the consent has run out"""
        assert self.again("rooms", self.opens).status_code == 201
        soon = rfc3339(now() + timedelta(seconds=SHORT_S))
        self.person("are").ok("post", f"{self.room.asks}/change", {"until": soon})
        time.sleep(SHORT_S)
        assert self.kari.get(self.room.path).status_code == 404
        assert self.again("rooms", self.opens).status_code == 404

    def test_an_old_card_to_whoever_waits(self) -> None:
        """law 5: the old card to somebody who is out and has asked again"""
        assert self.again("rooms", self.opens).json()["unread"] == 1
        self.change(self.room, to=["frida"])
        self.kari.ok("post", "rooms", self.opens)
        assert self.again("rooms", self.opens).json().get("unread", 0) == 0

    def test_an_old_member_to_whoever_waits(self) -> None:
        """law 5: who is in, to somebody who is out and has asked again"""
        path, vera = f"{self.room.path}/members", {"user": str(self.user_id("vera"))}
        assert self.again(path, vera).json()["state"] == "joined"
        self.change(self.room, to=["frida"])
        self.kari.ok("post", "rooms", self.opens)
        assert self.again(path, vera).json().get("state") != "joined"

    def test_an_old_state_to_whoever_waits(self) -> None:
        """law 5: a consent's state, to somebody who is out and has asked again"""
        assert self.again("consents", {"room": str(self.room.id)}).json()["state"] == "active"
        self.change(self.room, to=["frida"])
        self.kari.ok("post", "rooms", self.opens)
        assert self.again("consents", {"room": str(self.room.id)}).json().get("state") != "active"

    def test_a_ground_of_whoever_is_excluded(self) -> None:
        """L3: whom the patient has excluded may record a statutory ground"""
        self.exclude("kari")
        said = {"ground": "cooperating_staff", "reason": "samarbeid", "until": rfc3339(now() + timedelta(days=1))}
        with statutory_grounds_on():
            assert self.kari.post(f"{self.room.path}/statutory-grounds", said).status_code == 404

    def test_a_duty_of_whoever_is_excluded(self) -> None:
        """L3: whom the patient has excluded is still asked to offer them a call"""
        self.withdraw(self.room)
        assert self.person("frida").ok("get", "duties")["results"]
        self.exclude("frida")
        assert self.person("frida").ok("get", "duties")["results"] == []

    def test_an_answer_recorded_by_whoever_is_excluded(self) -> None:
        """L3: whom the patient has excluded may record an answer in their name"""
        self.exclude("kari")
        self.kari.ok("post", "rooms", self.opens)
        answer = self.kari.post(f"{self.room.asks}/record", self.on_paper("withdraw"))
        assert answer.status_code >= 400
        assert self.person("are").ok("get", self.room.asks)["state"] == "active"

    def test_another_consent_and_whoever_is_excluded(self) -> None:
        """L3: whom the patient has excluded still has part in their other consents"""
        units = [{"unit": str(self.engagement_of("kari").unit_id)}]
        said = {"patient": self.opens["patient"], "form": "muli", "grantees": units}
        muli = self.kari.ok("post", "consents", said)
        self.exclude("kari")
        assert self.kari.get(f"consents/{muli['id']}").status_code == 404
        assert self.kari.post(f"consents/{muli['id']}/record", self.on_paper("decline")).status_code == 404

    def test_a_duty_seen_from_another_place_of_work(self) -> None:
        """L6: a duty of one place of work, with its room, is seen from another"""
        self.withdraw(self.room)
        frida, elsewhere = self.engagement_of("frida"), Unit.objects.get(name=ELSEWHERE)
        assert self.person("frida").ok("get", "duties")["results"]
        people.engage(user=frida.user, unit=elsewhere, role="lege", health_personnel=True, actor=SYSTEM)
        people.end_engagement(engagement_id=frida.id, actor=SYSTEM, reason="left")
        assert self.sign_in("frida").ok("get", "duties")["results"] == []

    def exclude(self, who: str) -> None:
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id(who))})

    def on_paper(self, answer: str) -> dict[str, str]:
        past = rfc3339(now() - timedelta(minutes=1))
        return {"answer": answer, "method": "paper", "given_at": past, "scan_sha256": "0" * 64}
