"""The town, with things that are owed in it. «Red when …» in a test names the mutation that it is there for."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.duties import actions
from server.duties.models import Duty
from server.people.models import Controller, Patient
from tests.base import JSON, Town, TownTestCase


class Owing(Town):
    def owe(self, kind: str, to: str = "", *, about: str | None = "are", **more: Any) -> Duty:
        """`to` is a persona or a controller's name."""
        controller = Controller.objects.filter(name=to).first()
        owner = {"controller_id": controller.id} if controller else {"user_id": self.user_id(to)}
        patient = Patient.objects.get(user__username=about) if about else None
        return actions.owe(kind=kind, patient=patient, actor=SYSTEM, **owner, **more)

    def page(self, name: str, **query: Any) -> JSON:
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        told: JSON = self.person(name).ok("get", f"duties?{asked}")
        return told

    def seen(self, name: str, **query: Any) -> list[UUID]:
        return [UUID(one["id"]) for one in self.page(name, **query)["results"]]

    def done(self, name: str, duty: Duty | UUID, answer: str | None = None) -> Any:
        """The response."""
        duty_id = duty.id if isinstance(duty, Duty) else duty
        return self.person(name).post(f"duties/{duty_id}/done", {} if answer is None else {"answer": answer})

    def shut_out(self, name: str, duty: Duty) -> bool:
        """Neither in a list of theirs, nor to be done, and the refusal is that of a duty that never was."""
        nothing = self.done(name, UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
        refused = self.done(name, duty)
        assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")
        listed = {*self.seen(name), *self.seen(name, open="false")}
        return refused.status_code == 404 and refused.content == nothing.content and duty.id not in listed


class DutiesTestCase(Owing, TownTestCase):
    pass


def soon(minutes: float) -> datetime:
    return now() + timedelta(minutes=minutes)
