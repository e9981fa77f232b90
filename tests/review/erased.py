"""Tests in which somebody is erased: a patient with whom everything is over, and the officers of all concerned."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.db.models import F

from server.audit.entry import SYSTEM
from server.common import clock
from server.duties.models import Duty
from server.people import actions as people
from server.people.models import Controller, Patient, Relation, User
from server.people.periods import NOW
from server.review import erasing, keeping
from tests.base import Client
from tests.review.officers import OfficersTestCase

ERASURES = "review/erasures"
WHY = "Pasienten krever sletting."
WAIVED = {"waived": "Vi har alt i vårt eget system."}
LATER = timedelta(days=365 * 101)
"""Past every period."""


class ErasedTestCase(OfficersTestCase):
    """Are wrote with Kari, Frida and Vera, and has withdrawn; `over` ends the rest. Time is as far ahead as
    `self.ahead` says."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "are", "hemmelig om natten")
        self.post(self.room, "vera", "hemmelig svar")

    def setUp(self) -> None:
        super().setUp()
        self.ahead = LATER
        folder = Path(str(settings.ENV.var_dir)) / f"erasing-{self.id()[-40:]}"
        folder.mkdir(parents=True, exist_ok=True)
        rules = json.loads(keeping.OURS.read_text()) | {"confirmed_by": "Ledelsen, sak 12"}
        (folder / "keeping.json").write_text(json.dumps(rules))
        self.erased_keys = folder / "erased-keys.jsonl"
        self.erased_keys.unlink(missing_ok=True)
        more = {"keeping_file": folder / "keeping.json", "erased_keys_file": self.erased_keys}
        self.enterContext(self.settings(ENV=settings.ENV.model_copy(update=more)))
        for module in ("server.review.erasures", "server.review.erasure_facts"):
            self.enterContext(patch(f"{module}.now", self.moment))
        self.are = Patient.objects.get(user__username="are")

    def moment(self) -> datetime:
        return clock.now() + self.ahead

    def over(self) -> None:
        """Everything with Are has ended, as those concerned would end it."""
        self.withdraw(self.room)
        Duty.objects.filter(patient=self.are, done_at=None).update(done_at=NOW, done_by=F("user_id"))
        Relation.objects.filter(patient=self.are, ended_at=None).update(ended_at=NOW)

    def officers(self) -> dict[str, Client]:
        """One of each controller concerned, by the controller's name."""
        if not hasattr(self, "_officers"):
            about = self.person_of_all()
            self._officers = {one.name: self.officer_of(one.name) for one in about}
        return self._officers

    def person_of_all(self) -> list[Controller]:
        found = Relation.objects.filter(patient=self.are).values_list("unit__controller_id", flat=True)
        members = {self.engagement_of(one).unit.controller_id for one in ("kari", "frida", "vera")}
        return list(Controller.objects.filter(id__in={*found, *members}).order_by("name"))

    def second(self) -> Client:
        """Another officer of the first controller."""
        controller = self.person_of_all()[0]
        user = User.objects.create(username="second officer", name="Ombud to")
        people.appoint_officer(user=user, controller=controller, actor=SYSTEM)
        _, token = people.sign_in(user=user, method="demo")
        client = Client()
        client.username, client.token, client.user_id = user.username, token, user.id
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client

    def ask(self) -> str:
        """The path of an erasure that the first controller's officer has asked for."""
        asking = next(iter(self.officers().values()))
        made = asking.ok("post", ERASURES, {"patient": str(self.are.id), "reason": WHY})
        return f"{ERASURES}/{made['id']}"

    def ready(self) -> str:
        """One that nothing stands in the way of."""
        self.over()
        path = self.ask()
        for one in self.officers().values():
            one.ok("post", f"{path}/part", WAIVED)
        self.ahead -= timedelta(days=40)
        self.second_officer = self.second()
        self.second_officer.ok("post", f"{path}/confirm")
        self.ahead += timedelta(days=40)
        return path

    def codes(self, path: str, client: Client | None = None) -> set[str]:
        reader = client or next(iter(self.officers().values()))
        return {one["code"] for one in reader.ok("get", path)["in_the_way"]}

    def begun(self) -> str:
        path = self.ready()
        self.second_officer.ok("post", f"{path}/begin")
        return path

    def erase(self) -> str:
        path = self.begun()
        assert erasing.tick() == 1
        return path
