"""A demo town whose people sign in at a provider."""

import pytest

from server.audit.entry import SYSTEM
from server.people.actions.identities import record_identity
from tests.base import TownTestCase
from tests.sign_in.stage import KARI, App, Stage


class SignInTestCase(TownTestCase):
    stage: Stage

    @pytest.fixture(autouse=True)
    def _provider(self, stage: Stage) -> None:
        self.stage = stage

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.stage.used())
        self.front, self.app = self.stage.front, App()

    def kari_works(self) -> None:
        record_identity(username="kari", number=KARI, actor=SYSTEM)
