"""A machine that was put back as a whole, the sequencer's memory with it: only the copies elsewhere know of more."""

from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings

from server.audit import keeping, metrics, reading
from server.audit.adoption import adopt
from server.operate import watch
from tests.audit.sealing import Log, act
from tests.base import TownTestCase


class Ahead(TownTestCase):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "kept"

    def setUp(self) -> None:
        super().setUp()
        self.folder.mkdir()
        self.enterContext(override_settings(ENV=settings.ENV.model_copy(update={"audit_checkpoint_dir": self.folder})))
        self.start()
        self.log = Log()
        self.addCleanup(self.log.close)
        self.seal(10)
        keeping.keep_copies()

    def start(self) -> None:
        """A process that begins knows nothing of what it saw before."""
        self.enterContext(patch.object(keeping, "standing", keeping._Standing()))

    def seal(self, count: int) -> None:
        act(count)
        self.log.seal()

    def lose(self, count: int) -> None:
        """Work goes on and is kept; then database and store are as before it."""
        before = transaction.savepoint()
        self.seal(count)
        assert keeping.keep_copies() == 1
        transaction.savepoint_rollback(before)
        self.log.remember()

    def alarms(self) -> float:
        return metrics.ALARMS._value.get()

    def names(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir())

    def test_copies_of_more_than_there_is_are_an_alarm(self) -> None:
        """Mutation: look only for the newest checkpoint's own name."""
        self.lose(5)
        before, kept = self.alarms(), self.names()
        self.seal(2)
        for starts in (False, True):
            if starts:
                self.start()
            for _ in range(2):
                with pytest.raises(keeping.CopiesAhead):
                    keeping.keep_copies()
            assert "checkpoint_copies_ahead" in watch.look()
            assert keeping.said() == "COPIES OF ANOTHER LOG, OR OF MORE THAN THERE IS, ARE KEPT"
        assert self.alarms() - before == 2, "once in each process"
        assert self.names() == kept, "nothing is put among what may be the evidence"

    def test_nor_is_it_forgotten_when_the_log_has_outgrown_them(self) -> None:
        """Mutation: compare sizes only. By the time of the first look, the log is larger than the newest copy."""
        self.lose(5)
        self.start()
        self.seal(9)
        for _ in range(3):
            with pytest.raises(keeping.CopiesAhead):
                keeping.keep_copies()
            self.seal(1)
        assert "checkpoint_copies_ahead" in watch.look()

    def test_a_log_that_was_begun_anew_has_copies_of_its_own(self) -> None:
        self.lose(5)
        with pytest.raises(keeping.CopiesAhead):
            keeping.keep_copies()
        adopt(store=self.log.store, signers=[self.log.signer], reason="restored")
        assert keeping.keep_copies() >= 1
        assert "checkpoint_copies_ahead" not in watch.look()

    def test_all_is_well_while_others_keep_and_seal(self) -> None:
        """Another process keeps one more between our look into the database and into the folder."""
        self.start()
        published, first = keeping._published, iter([True])

        def meanwhile() -> object:
            found = list(published()[:1])
            if next(first, False):
                self.seal(1)
                (self.folder / keeping.name_of(published()[0])).write_text(published()[0].note)
                return published().filter(position=found[0].position)
            return published()

        with patch.object(keeping, "_published", meanwhile):
            keeping.keep_copies()
        assert watch.look() == ()
        newest = reading.latest()
        assert newest is not None
        (self.folder / f"log-example-{newest.size + 3}.txt").write_text("nothing of ours")
        self.start()
        with pytest.raises(keeping.CopiesAhead):
            keeping.keep_copies()
