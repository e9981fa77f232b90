"""Ten past two at night: Nils at Akuttmottaket has Trine before him, and the room around her is not open to him."""

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.test import override_settings

from server.common.clock import now
from server.consent import sealing
from server.people import actions as people
from server.people.actors import acting_for
from server.people.models import Patient
from server.rooms.models import EmergencyAccess
from server.rooms.sealed_access import document_of
from tests.base import JSON, Opened, Town, TownTestCase
from tests.support.database import unguarded

NOWHERE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
GROUND, REASON = "life_danger", "Funnet bevisstløs på kjøkkenet"
DELAY = {"hours": 24, "reason": "Samboeren leser telefonen hennes"}


class Night(Town):
    """Trine's room with Kari and Sara; Nils' unit has a relation to her, and he is no member."""

    room: Opened

    def open_the_room(self) -> None:
        self.room = self.open_shared_room("kari", patient="trine", propose=["sara"])
        self.post(self.room, "kari", "planen for dårlige dager")
        self.post(self.room, "trine", "ring søsteren min")

    def begin(self, by: str = "nils", room: Opened | None = None, *, key: str = "", **more: Any) -> Any:
        """The response."""
        said = {"ground": GROUND, "reason": REASON} | more
        headers = {"Idempotency-Key": key} if key else {}
        path = (room or self.room).path
        return self.person(by).post(f"{path}/emergency-access", said, headers=headers)

    def begun(self, by: str = "nils", **more: Any) -> JSON:
        answer = self.begin(by, **more)
        assert answer.status_code == 201, answer.content
        told: JSON = answer.json()
        return told

    def end(self, by: str = "nils", room: Opened | None = None) -> Any:
        return self.person(by).delete(f"{(room or self.room).path}/emergency-access")

    def access(self) -> EmergencyAccess:
        return EmergencyAccess.objects.order_by("begun_at").select_related("engagement").last()  # type: ignore[return-value]

    def exclude(self, whom: str, by: str = "trine") -> None:
        self.person(by).ok("post", "exclusions", {"user": str(self.user_id(whom))})

    def relate(self, who: str, patient: str) -> None:
        """The unit registers a relation, as a neighbouring unit does."""
        people.record_relation(
            acting=acting_for(self.engagement_of(who), sign_in="demo", at=now()),
            patient=Patient.objects.get(id=self.patient_id(patient)),
            kind="acute",
            reason="henvist",
        )

    def duties(self, name: str, kind: str = "") -> list[JSON]:
        found = self.person(name).ok("get", "duties")["results"]
        return [one for one in found if kind in ("", one["kind"])]

    def marks(self, by: str) -> list[JSON]:
        """What the timeline tells them of emergency access."""
        return [one["content"] for one in self.events(self.room, by) if one["type"] == "emergency_access"]

    def log(self, name: str = "trine") -> list[JSON]:
        """The patient's log, newest first, without the patient's own looks."""
        found: list[JSON] = []
        address: str | None = "me/access-log?limit=7"
        while address:
            page = self.person(name).ok("get", address)
            found, address = found + page["results"], page["next"]
        own = str(self.user_id(name))
        return [one for one in found if one["who"]["user"] != own]

    def status(self, name: str = "nils", path: str = "/events") -> int:
        code: int = self.person(name).get(self.room.path + path).status_code
        return code


def lasting(seconds: float) -> AbstractContextManager[Any]:
    """Emergency access that is over after so many seconds."""
    return override_settings(ENV=settings.ENV.model_copy(update={"emergency_hours": seconds / 3600}))


def turn_back(by: timedelta, **which: Any) -> None:
    """As if these accesses had begun so much earlier, with all that follows; sealed as such."""
    for access in EmergencyAccess.objects.filter(**which):
        move(access, begun_at=access.begun_at - by, until=access.until - by, tell_at=access.tell_at - by)


def time_to_tell(**which: Any) -> None:
    """As if it had been meant that the patient is told by now."""
    for access in EmergencyAccess.objects.filter(told_at=None, **which):
        move(access, tell_at=access.begun_at)


def move(access: EmergencyAccess, **changed: Any) -> None:
    for name, value in changed.items():
        setattr(access, name, value)
    sealed = sealing.seal(document_of(access), sealing.EMERGENCY)
    changed |= {"document": sealed.document, "hash": sealed.hash, "signature": sealed.signature}
    with unguarded():
        EmergencyAccess.objects.filter(id=access.id).update(**changed)


class NightTestCase(Night, TownTestCase):
    def given(self) -> None:
        self.open_the_room()
