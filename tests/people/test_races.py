"""The same thing done at once by several, in threads with connections of their own and commits for real."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.people import actions
from server.people.crowd import unused_numbers
from server.people.models import Patient, Relation, Session
from server.people.worker import tick
from tests.base import TownTransactionTestCase


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run all of `calls`, each in its own thread, begun together."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            start.wait(10)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result(60) for one in [pool.submit(run, call) for call in calls]]


class Races(TownTransactionTestCase):
    def test_one_number_is_one_patient(self) -> None:
        body = {
            "name": "Test Testesen",
            "national_identity_number": unused_numbers(1)[0],
            "relation": {"kind": "treatment", "reason": "Henvist hit"},
        }
        clients = [self.sign_in(one) for one in ("kari", "kari", "sara", "vera")]
        answers = at_once([lambda client=client: client.post("patients", body) for client in clients])
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 201]
        (made,) = {one.json()["id"] for one in answers}
        assert Patient.objects.filter(id=made).count() == 1
        assert Relation.objects.filter(patient_id=made).count() == 3
        told = [one.type for one in AuditEvent.objects.filter(subject_id=made)]
        assert told.count("patient.registered") == 1
        assert len(told) == 4

    def test_an_engagement_ends_once(self) -> None:
        kari = self.sign_in("kari")
        engagement = self.engagement_of("kari")

        def end() -> None:
            actions.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")

        at_once([end, end, tick, tick])
        assert AuditEvent.objects.filter(type="engagement.ended", object_id=engagement.id).count() == 1
        session = Session.objects.get(user=self.user_id("kari"))
        assert AuditEvent.objects.filter(type="session.ended", object_id=session.sid).count() == 1
        assert kari.get("me").status_code == 401
