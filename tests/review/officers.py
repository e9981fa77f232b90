"""Tests in which officers look: the log sealed at will, and officers of any controller."""

from uuid import UUID

from server.audit.entry import SYSTEM
from server.people import actions as people
from server.people.models import Controller, Officer, User
from tests.base import JSON, Client, TownTestCase
from tests.review.sealing import Sealing

EVENTS = "review/events"


class OfficersTestCase(TownTestCase):
    """Ola and officer2 are of Helse Fjord in the demo town; `officer_of` appoints others."""

    def setUp(self) -> None:
        super().setUp()
        self.sealing = Sealing()

    def follow(self) -> None:
        """What has happened until now is sealed, and listed."""
        self.sealing.follow()

    def controller_id(self, name: str) -> UUID:
        return Controller.objects.values_list("id", flat=True).get(name=name)

    def officer_of(self, controller: str) -> Client:
        """A new officer of that controller, signed in."""
        user = User.objects.create(username=f"officer of {controller}", name=f"Ombud {controller}")
        people.appoint_officer(user=user, controller=Controller.objects.get(name=controller), actor=SYSTEM)
        _, token = people.sign_in(user=user, method="demo")
        client = Client()
        client.username, client.token, client.user_id = user.username, token, user.id
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client

    def end_appointment(self, username: str) -> None:
        appointment = Officer.objects.get(user__username=username)
        people.end_appointment(officer_id=appointment.id, actor=SYSTEM, reason="left")

    def listed(self, client: Client, query: str = "") -> list[JSON]:
        """Every line, all pages."""
        found: list[JSON] = []
        address: str | None = f"{EVENTS}?{query}"
        while address:
            page = client.ok("get", address)
            found, address = found + page["results"], page["next"]
        return found
