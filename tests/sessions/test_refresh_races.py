"""Several refresh at once, or refresh while the session is ended: one order of things, whatever the threads do."""

from functools import partial
from typing import Any

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.people import actions
from server.people.actions.refresh import refresh
from server.people.models import SpentRefresh
from tests.base import Client, TownTransactionTestCase
from tests.sessions.base import Devices
from tests.support.threads import at_once

MANY = 6


class Races(Devices, TownTransactionTestCase):
    def test_all_who_ask_at_once_get_the_same_pair(self) -> None:
        """Red when the row is not locked, or when the successors are drawn by lot."""
        phone = self.device("are")
        for _ in range(3):
            before = phone.refresh
            got = at_once([partial(refresh, token=before)] * MANY)
            pairs = {(one.token, one.refresh) for one in got}
            assert len(pairs) == 1
            ((token, phone.refresh),) = pairs
            phone.carry(token)
            phone.client.ok("get", "me")
        assert SpentRefresh.objects.count() == 3
        assert AuditEvent.objects.filter(type="session.refreshed").count() == 3
        assert phone.row().ended_at is None

    def test_ended_meanwhile_it_stays_ended(self) -> None:
        for _ in range(4):
            phone = self.device("kari")

            def end() -> Any:
                return actions.end_session(session=phone.session, reason="signed_out", actor=SYSTEM)  # noqa: B023

            def go_on() -> Any:
                return Client().post("sign-in/refresh", {"refresh": phone.refresh})  # noqa: B023

            _, *answers = at_once([end, go_on, go_on, go_on])
            assert {one.status_code for one in answers} <= {200, 401}
            tokens = {one.json()["token"] for one in answers if one.status_code == 200}
            for token in {phone.token, *tokens}:
                phone.carry(token)
                assert phone.client.get("me").status_code == 401
            assert phone.row().end_reason == "signed_out"
