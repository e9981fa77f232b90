"""The town with its after-hours service (MULI): Mona leads and answers by day, Nils and Ida take turns at night, Sara
is in the team; Trine is enrolled, has said yes, and has a plan. Nobody is on call before a test says so (`shift`).
"""

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from server.alerts import router
from server.alerts.demo import build_programme
from server.alerts.models import Alert, Programme, Shift
from server.common.clock import now
from tests.base import JSON, Client, Town, TownTestCase, TownTransactionTestCase

NOWHERE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
HOUR = timedelta(hours=1)
TEAM = ("mona", "nils", "ida", "sara")


class Night(Town):
    """Helpers in the words of the night; `programme` is the town's."""

    programme: Programme

    def trine_key(self, label: str = "") -> str:
        """A further alert key on Trine's phone."""
        return str(self.person("trine").ok("post", "alert-keys", {"label": label})["key"])

    def phone(self, key: str) -> Client:
        """Trine's phone, which has the key and no session."""
        client = Client()
        client.username = "trine's phone"
        client.credentials(HTTP_AUTHORIZATION=f"Alert-Key {key}")
        return client

    def shift(self, user: str, begins: datetime | None = None, ends: datetime | None = None) -> Shift:
        """Put somebody on call: by default from an hour ago and for twelve hours."""
        since = begins if begins is not None else now() - HOUR
        until = ends if ends is not None else since + 12 * HOUR
        return Shift.objects.create(
            programme=self.programme, user_id=self.user_id(user), begins=since, ends=until, source=uuid4()
        )

    def press(self, by: Client | str = "trine", alert: UUID | None = None, **said: Any) -> Any:
        """The response to Trine's button: with her session, or whoever's, or a phone that has a key."""
        client = self.person(by) if isinstance(by, str) else by
        return client.put(f"alerts/{alert or uuid4()}", said)

    def pressed(self, by: Client | str = "trine", alert: UUID | None = None, **said: Any) -> JSON:
        """As `press`, and it succeeds; what was answered."""
        answer = self.press(by, alert, **said)
        assert answer.status_code in (200, 201), answer.content
        told: JSON = answer.json()
        return told

    def alert(self, alert_id: UUID | str | None = None) -> Alert:
        """The row; without an id, the newest."""
        rows = Alert.objects.order_by("raised_at")
        found = rows.get(id=alert_id) if alert_id is not None else rows.last()
        assert found is not None, "there is one"
        return found

    def look(self, at: datetime | None = None, after: timedelta | float | None = None) -> int:
        """The router looks, as it would at `at` (or so long `after` now; seconds when it is a number); how many alerts
        it found due."""
        later = timedelta(seconds=after) if isinstance(after, int | float) else after or timedelta()
        moment = at if at is not None else now() + later
        with patch.object(router, "now", lambda: moment):
            return router.tick()

    def exclude(self, whom: str, by: str = "trine") -> None:
        self.person(by).ok("post", "exclusions", {"user": str(self.user_id(whom))})

    def withdraw_muli(self, by: str = "trine") -> None:
        """The patient's consent to the service ends."""
        mine = self.person(by).ok("get", "consents")["results"]
        (muli,) = [one for one in mine if one["form"] == "muli"]
        self.person(by).ok("post", f"consents/{muli['id']}/withdraw", {})


class NightTestCase(Night, TownTestCase):
    """Rolls back; see `TownTestCase`. A subclass with a `given` of its own calls this one first."""

    def given(self) -> None:
        self.programme = build_programme()


class NightTransactionTestCase(Night, TownTransactionTestCase):
    """Commits for real; see `TownTransactionTestCase`."""

    def setUp(self) -> None:
        super().setUp()
        self.programme = build_programme()
