"""Two at once, on real connections (laws 6 and 7): one call stays one, one accepts, and no page is doubled."""

from functools import partial
from typing import Any
from uuid import uuid4

from server.alerts import router
from server.alerts.models import Alert, AlertAlias, AlertEvent
from server.notify.models import Delivery
from tests.alerts.base import NightTransactionTestCase
from tests.base import Client
from tests.support.deliveries import means
from tests.support.threads import at_once


class Races(NightTransactionTestCase):
    def phones(self, count: int) -> list[Client]:
        key = self.trine_key()
        return [self.phone(key) for _ in range(count)]

    def check(self) -> None:
        """The log has no holes, and the row knows its end."""
        for alert in Alert.objects.all():
            numbers = list(AlertEvent.objects.filter(alert=alert).order_by("n").values_list("n", flat=True))
            assert numbers == list(range(1, alert.events + 1))

    def test_one_uuid_many_times_at_once_is_one_call(self) -> None:
        """Law 3. Red when a violation is not looked up again."""
        id_ = uuid4()
        answers = at_once([partial(one.put, f"alerts/{id_}", {}) for one in self.phones(5)])
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201]
        assert {one.json()["id"] for one in answers} == {str(id_)}
        assert AlertEvent.objects.filter(type="raised").count() == 1
        self.check()

    def test_many_uuids_at_once_are_one_call(self) -> None:
        """Red without the constraint on open alerts, or when an alias is lost in the race."""
        ids = [uuid4() for _ in range(5)]
        phones = self.phones(5)
        answers = at_once([partial(one.put, f"alerts/{id_}", {}) for one, id_ in zip(phones, ids, strict=True)])
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201]
        [alert] = Alert.objects.all()
        assert {one.json()["id"] for one in answers} == {str(alert.id)}
        assert set(AlertAlias.objects.values_list("id", flat=True)) == set(ids) - {alert.id}
        self.check()

    def test_of_many_who_accept_one_has_it(self) -> None:
        """Law 7. Red when `save` does not ask for the row that was read, or reads it without a lock."""
        alert = self.pressed()["id"]
        names = ["nils", "ida", "mona", "sara"]
        team = [self.person(name) for name in names]
        answers: list[Any] = at_once([partial(one.post, f"alerts/{alert}/accept", {}) for one in team])
        assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
        winner = next(name for name, one in zip(names, answers, strict=True) if one.status_code == 200)
        assert self.alert(alert).responder_id == self.user_id(winner)
        told = {one.json()["accepted_by"] for one in answers if one.status_code == 409}
        assert told == {str(self.user_id(winner))}
        assert AlertEvent.objects.filter(alert_id=alert, type="accepted").count() == 1
        self.check()

    def test_routers_at_once_do_not_double_a_page(self) -> None:
        """Red when page ids are random, or when two routers decide from the same row."""
        self.shift("nils")
        self.person("nils").ok("put", "me/reach", {"phone": "+4740000011"})
        with means(gateway_url="http://127.0.0.1:9/orders"):
            alert = self.pressed()["id"]
            Alert.objects.filter(id=alert).update(state="received", step=-1)
            at_once([router.tick for _ in range(4)])
            pages = AlertEvent.objects.filter(alert_id=alert, type="page")
            assert pages.count() == len(set(pages.values_list("page", flat=True))) == Delivery.objects.count()
            assert pages.exists()
        self.check()

    def test_accepting_while_the_router_calls_on(self) -> None:
        """Whichever comes first, the alert has one responder and nobody is called afterwards."""
        self.shift("nils")
        nils, alert = self.person("nils"), self.pressed()["id"]
        for _ in range(3):
            Alert.objects.filter(id=alert, responder=None).update(due_at=self.alert(alert).raised_at)
            acts = [partial(nils.post, f"alerts/{alert}/accept", {}), router.tick, router.tick]
            answers = at_once(acts)
            assert answers[0].status_code == 200, answers[0].content
        assert self.alert(alert).responder_id == self.user_id("nils")
        self.check()
