"""Lines of the log with what proves them: the exact entry, its place, and the way from it to a signed root."""

from collections.abc import Sequence
from typing import NamedTuple

from server.audit import reading
from server.audit.models import AuditEvent, Checkpoint, VerifierKey, index_of, tree_of
from server.review.events import Seen


class Proved(NamedTuple):
    """One line. `place` is its index in its tree; `proof` the audit path to the root of `note` (RFC 6962), which is the
    checkpoint of an older tree where the event was sealed in one."""

    seen: Seen
    event: AuditEvent
    place: int
    proof: list[bytes]
    note: str
    older: bool


class Prover:
    """Proves lines against the checkpoint at `snapshot` (`tree << 40 | size`) and the last ones of the trees before."""

    def __init__(self, snapshot: int) -> None:
        self.tree = tree_of(snapshot)
        self.note = Checkpoint.objects.values_list("note", flat=True).get(position=snapshot)
        self.size = index_of(snapshot)
        self._older: dict[int, reading.Published] = {}

    def proved(self, found: Sequence[Seen]) -> list[Proved]:
        """Each of these lines, in the same order; one statement for the events and a few for the hashes."""
        events = AuditEvent.objects.defer("detail_sealed").in_bulk([seen.event_id for seen in found])
        readers = {tree: reading.reader(tree) for tree in {tree_of(seen.position) for seen in found}}
        proved = []
        for seen in found:
            tree = tree_of(seen.position)
            size, note = self._checkpoint(tree)
            path = reading.inclusion_proof(seen.position, size, readers[tree])
            at = index_of(seen.position)
            proved.append(Proved(seen, events[seen.event_id], at, path, note, tree != self.tree))
        return proved

    def _checkpoint(self, tree: int) -> tuple[int, str]:
        if tree == self.tree:
            return self.size, self.note
        if tree not in self._older:
            last = reading.latest(tree)
            if last is None:
                raise reading.Missing(f"the last checkpoint of tree {tree}")
            self._older[tree] = last
        return self._older[tree].size, self._older[tree].note


def known_keys() -> list[str]:
    """Verifier keys as `signed-note` writes them. To be compared with the ones that were handed over otherwise."""
    return list(VerifierKey.objects.order_by("since", "line").values_list("line", flat=True))
