"""People with passkeys and codes, and what they are told."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from server.duties.models import Duty
from server.people.models import Session
from server.people.relying_party import relying_party
from tests.base import Client, Town
from tests.support.authenticator import Authenticator

JSON = dict[str, Any]


class Proving(Town):
    def session_of(self, client: Client) -> Session:
        return Session.objects.get(sid=client.ok("get", "me")["session"]["id"])

    def grow_stale(self, client: Client) -> None:
        """The last proof of this session is older than any that is asked for."""
        sid = client.ok("get", "me")["session"]["id"]
        Session.objects.filter(sid=sid).update(strong_at=F("strong_at") - timedelta(hours=1))

    def is_fresh(self, client: Client) -> bool:
        return client.ok("get", "me/step-up")["fresh_until"] is not None

    def register(self, client: Client, authenticator: Authenticator | None = None) -> Authenticator:
        """`client`, whose proof is fresh, makes a passkey."""
        made = authenticator or Authenticator(relying_party().origins[0])
        options = client.ok("post", "me/passkeys/options")["options"]
        client.ok("post", "me/passkeys", {"credential": made.create(options)})
        return made

    def step_up(self, client: Client, authenticator: Authenticator) -> Any:
        options = client.ok("post", "me/step-up/options")["options"]
        return client.post("me/step-up/passkey", {"credential": authenticator.get(options)})

    def refused(self, answer: Any, status: int, code: str) -> None:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content

    def told(self, user_id: UUID, kind: str) -> list[str]:
        """The codes of what somebody is told of this kind, oldest first."""
        return list(Duty.objects.filter(user_id=user_id, kind=kind).order_by("id").values_list("code", flat=True))
