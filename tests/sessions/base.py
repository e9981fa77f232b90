"""Somebody with a session that can be refreshed, and its clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.test import override_settings

from server.common.clock import now
from server.people.actions.sessions import sign_in_lasting
from server.people.models import Session, SpentRefresh, User
from tests.base import Client, Town

METHODS: Mapping[str, str] = {"are": "citizen_oidc", "trine": "citizen_oidc"}
TIMES = ("created", "expiry", "rotated_at", "idle_until", "ends_at", "strong_at", "last_seen_at")


def env(**changed: Any) -> override_settings:
    """This installation, but for some of its settings."""
    return override_settings(ENV=settings.ENV.model_copy(update=changed))


@dataclass
class Device:
    """A phone that is signed in with tokens of its own."""

    client: Client
    session: Session
    token: str
    refresh: str

    def carry(self, token: str) -> None:
        self.token = token
        self.client.token = token
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def again(self, *, used: bool = True) -> dict[str, Any]:
        """Refresh, and go on with what was answered; unless `used`, without ever using it."""
        said: dict[str, Any] = Client().ok("post", "sign-in/refresh", {"refresh": self.refresh})
        self.carry(said["token"])
        self.refresh = said["refresh"]
        if used:
            self.client.get("me")
        return said

    def row(self) -> Session:
        return Session.objects.in_full().get(sid=self.session.sid)

    def wind(self, by: timedelta) -> None:
        """It all happened `by` earlier."""
        known = {name: F(name) - by for name in TIMES if getattr(self.row(), name) is not None}
        Session.objects.filter(sid=self.session.sid).update(**known)
        SpentRefresh.objects.filter(session_id=self.session.sid).update(spent_at=F("spent_at") - by)

    def wind_to(self, name: str, moment: datetime) -> None:
        """So that `name` (`expiry`, …) is at that moment."""
        self.wind(getattr(self.row(), name) - moment)


class Devices(Town):
    """Mixed into a base: `self.device("are")`."""

    def device(self, who: str, *, level: int = 4, kind: str = "other", **more: Any) -> Device:
        user = User.objects.get(username=who)
        method = more.pop("method", METHODS.get(who, "staff_oidc"))
        more.setdefault("proved_at", now())
        begun = sign_in_lasting(user=user, method=method, level=level, device=kind, **more)
        client = Client()
        client.username, client.user_id = who, user.id
        found = Device(client, begun.session, begun.token, begun.refresh)
        found.carry(begun.token)
        return found


def refused(code: str, refresh: str) -> None:
    """The refresh token gives nothing, and why."""
    answer = Client().post("sign-in/refresh", {"refresh": refresh})
    assert (answer.status_code, answer.json()["code"]) == (401, code), answer.content
