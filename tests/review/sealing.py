"""The log sealed and the officers' lines made, as the worker loops do it; for tests, at once."""

from server.audit.note import Signer
from server.audit.sequencer import Sequencer
from server.audit.store import State, StoreMoved
from server.review import lines

_signer = Signer.new("log.example")


class Memory:
    """A store that lives as long as a test."""

    def __init__(self) -> None:
        self.state = State()

    def read(self) -> State:
        return self.state

    def swap(self, was: State, becomes: State) -> None:
        if self.state != was:
            raise StoreMoved
        self.state = becomes


class Sealing:
    """One test's sequencer; the database below must be one that only it has sealed."""

    def __init__(self) -> None:
        self.sequencer = Sequencer(Memory(), [_signer])

    def seal(self) -> None:
        """Every event that was written gets its leaf, under a signed checkpoint."""
        while self.sequencer.step():
            pass

    def follow(self) -> None:
        """Seal, and make the lines of everything that is sealed."""
        self.seal()
        while lines.follow():
            pass
