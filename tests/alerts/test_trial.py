"""The hourly trial: the whole way to a test responder's device and back, and what is told when it fails."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import override_settings

from server.alerts import metrics, trial
from server.alerts.models import Alert, Programme
from server.common.clock import now
from server.notify.models import Delivery
from tests.alerts.base import NightTestCase
from tests.support.deliveries import deliver, means
from tests.support.push_service import PushService, Subscription


class Trial(NightTestCase):
    """Sara is the test responder."""

    def setUp(self) -> None:
        super().setUp()
        self.push = self.enterContext(PushService())
        self.enterContext(means(push_hosts_allowed=[self.push.host], synthetic_user="sara"))

    def device(self, username: str) -> Subscription:
        browser = self.push.subscribe(key=self.person(username).ok("get", "push/key")["key"])
        self.person(username).ok("post", "devices", {"subscription": browser, "name": "Min telefon"})
        return browser

    def with_env(self, **more: Any) -> Any:
        return override_settings(ENV=settings.ENV.model_copy(update=more))

    def counts(self) -> dict[str, float]:
        found = {}
        for name, histogram in (("page", metrics.TRIAL_PAGE), ("answer", metrics.TRIAL_ANSWER)):
            samples = next(iter(histogram.collect())).samples
            found[name] = next(one.value for one in samples if one.name.endswith("_count"))
        return found

    def test_the_whole_way_and_back(self) -> None:
        sara, nils = self.device("sara"), self.device("nils")
        self.shift("nils")
        before = self.counts()
        assert trial.tick() == 1
        deliver()
        [message] = self.push.received(sara)
        assert self.push.posts(nils) == [], "whoever is on call sleeps on"
        assert message["kind"] == "page", "as every page looks"
        with self.captureOnCommitCallbacks(execute=True):
            self.person("sara").ok("post", f"pages/{message['token']}/receipt")
        alert = Alert.objects.get()
        assert (alert.state, alert.outcome, alert.synthetic) == ("closed", "answered", True)
        after = self.counts()
        assert {name: after[name] - before[name] for name in after} == {"page": 1, "answer": 1}
        assert trial.tick() == 0, "one each hour"
        numbers = self.person("sara").get("/metrics").content.decode()
        assert "samsnakk_trial_last_success_timestamp_seconds" in numbers
        assert 'samsnakk_alerts_open{state="paging"} 0.0' in numbers, "a trial is nobody's call"

    def test_accepting_it_ends_it_too(self) -> None:
        sara = self.device("sara")
        trial.tick()
        deliver()
        [message] = self.push.received(sara)
        self.person("sara").ok("post", f"pages/{message['token']}/accept")
        assert Alert.objects.get().outcome == "answered"

    def test_nothing_comes_back(self) -> None:
        sara, before = self.device("sara"), self.counts()
        self.push.script(sara, ["silence"])
        trial.tick()
        deliver()
        Alert.objects.update(raised_at=now() - timedelta(seconds=119))
        assert trial.tick() == 0
        Alert.objects.update(raised_at=now() - timedelta(seconds=121))
        with self.captureOnCommitCallbacks(execute=True):
            assert trial.tick() == 1
        assert (Alert.objects.get().state, Alert.objects.get().outcome) == ("closed", "unanswered")
        after = self.counts()
        assert (after["page"] - before["page"], after["answer"] - before["answer"]) == (1, 0)
        assert not Delivery.objects.open().exists()
        [message] = self.push.posts(sara)
        self.person("sara").post(f"pages/{message['token']}/receipt")
        assert Alert.objects.get().outcome == "unanswered", "too late"

    def test_without_a_device_it_fails(self) -> None:
        assert trial.tick() == 1
        assert Delivery.objects.count() == 0
        Alert.objects.update(raised_at=now() - timedelta(seconds=121))
        assert trial.tick() == 1
        assert Alert.objects.get().outcome == "unanswered"

    def test_nobody_is_tried_without_a_programme_or_a_responder(self) -> None:
        for name in ("", "nobody"):
            with self.with_env(synthetic_user=name):
                assert trial.tick() == 0
        Programme.objects.update(closed_at=now())
        assert trial.tick() == 0
        assert not Alert.objects.exists()

    def test_the_next_hour_has_its_own(self) -> None:
        assert trial.tick() == 1
        with self.with_env(synthetic_every_s=1800):  # as another hour
            assert trial.tick() == 1
        assert Alert.objects.count() == 2

    def test_nobody_can_take_its_place(self) -> None:
        """Red when its id can be reckoned out by others, or when what they raised under it is taken for it."""
        hour = int(now().timestamp()) // 3600
        with override_settings(SECRET_KEY="another installation's, and as long as they are to be"):
            elsewhere = trial.id_of(3600, hour)
        assert elsewhere != trial.id_of(3600, hour)
        for taken in (trial.id_of(3600, hour), trial.id_of(3600, hour + 1)):
            self.press(alert=taken)
        assert trial.tick() == 1
        assert trial.tick() == 0
        assert Alert.objects.filter(synthetic=True).count() == 1

    def test_one_that_is_open_when_trials_are_switched_off_still_ends(self) -> None:
        trial.tick()
        Alert.objects.update(raised_at=now() - timedelta(seconds=121))
        with self.with_env(synthetic_user=""):
            assert trial.tick() == 1
        assert Alert.objects.get().state == "closed"
