"""The same thing done at once by several: one of them does it."""

import pytest

from server.people.models import HandOver, OidcAttempt, Patient, Session, User
from tests.base import TownTransactionTestCase
from tests.sign_in.stage import App, Stage
from tests.support.threads import at_once


class Races(TownTransactionTestCase):
    @pytest.fixture(autouse=True)
    def _provider(self, stage: Stage) -> None:
        self.stage = stage

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.stage.used())

    def test_an_answer_is_used_once(self) -> None:
        app = App()
        url = app.visit(app.begin(), "are")
        answers = at_once([lambda: app.come_back(url)] * 4)
        assert sorted(one.status_code for one in answers) == [303, 400, 400, 400]
        assert HandOver.objects.count() == 1

    def test_a_code_makes_one_session(self) -> None:
        app = App()
        code = app.code("are")
        answers = at_once([lambda: app.exchange(code)] * 4)
        assert [one.status_code for one in answers] == [200] * 4
        assert len({one.content for one in answers}) == 1, "the same one"
        assert Session.objects.filter(sign_in="citizen_oidc").count() == 1

    def test_two_first_times_are_one_account(self) -> None:
        Patient.objects.filter(user__username="are").update(user=None)
        users, before = User.objects.count(), len(self.audit(type="patient.account_opened"))
        apps = [App() for _ in range(3)]
        urls = [app.visit(app.begin(), "are") for app in apps]
        answers = at_once([lambda app=app, url=url: app.come_back(url) for app, url in zip(apps, urls, strict=True)])
        assert [one.status_code for one in answers] == [303] * 3
        assert User.objects.count() == users + 1
        assert len(self.audit(type="patient.account_opened")) == before + 1
        assert len(set(HandOver.objects.values_list("user_id", flat=True))) == 1
        assert OidcAttempt.objects.exclude(used_at=None).count() == 3
