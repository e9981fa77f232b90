"""A log that is sealed by a sequencer of the test's own, at once; for tests that read what was sealed."""

import tempfile
from pathlib import Path
from uuid import UUID

from django.db import transaction

from server.audit.actions import record_many
from server.audit.entry import SYSTEM, Entry
from server.audit.note import Signer
from server.audit.reading import Published, latest
from server.audit.sequencer import Sequencer
from server.audit.store import FileStore, State

ORIGIN = "log.example"


class Log:
    """Keys, memory and sequencer of one test class. The database below must be one that only it has sealed."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="samsnakk-log-")
        self.folder = Path(self._folder.name)
        self.signer = Signer.new(ORIGIN)
        self.store = FileStore(self.folder / "store", "one")
        self.sequencer = Sequencer(self.store, [self.signer])

    def __deepcopy__(self, memo: object) -> "Log":
        return self  # Django copies what a class has prepared before each test

    def seal(self) -> Published:
        """Seal all that waits."""
        self.remember()
        while self.sequencer.step():
            pass
        found = latest()
        assert found is not None
        return found

    def remember(self) -> None:
        """A test that is rolled back puts the database back, which the sequencer would refuse."""
        known = latest()
        if known is None:
            (self.store.folder / "current").unlink(missing_ok=True)
        self.store.swap(self.store.read(), State(current=known.note if known else None))

    def close(self) -> None:
        self._folder.cleanup()


def act(count: int = 1) -> list[UUID]:
    """Events of the system, each with a detail."""
    with transaction.atomic():
        return record_many([Entry(type="x.done", actor=SYSTEM, detail={"n": number}) for number in range(count)])
