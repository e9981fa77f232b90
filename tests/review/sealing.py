"""The log sealed and the officers' lines made, as the worker loops do it; for tests, at once."""

from django.db import transaction
from django.db.models import Max

from server.audit.models import AuditEvent, Leaf, Pending, position
from server.audit.verify import leaf_hash
from server.review import lines


class Sealing:
    """One test's sequencer; the database below must be one that only it has sealed."""

    @transaction.atomic
    def seal(self) -> None:
        """Every event that was written gets its leaf."""
        last = Leaf.objects.aggregate(last=Max("position"))["last"]
        first = position(1, 0) if last is None else last + 1
        waiting = AuditEvent.objects.filter(id__in=Pending.objects.values("event_id")).order_by("id")
        Leaf.objects.bulk_create(
            Leaf(position=first + number, event_id=event.id, hash=leaf_hash(event.leaf.encode()))
            for number, event in enumerate(waiting.only("id", "leaf"))
        )
        Pending.objects.all().delete()

    def follow(self) -> None:
        """Seal, and make the lines of everything that is sealed."""
        self.seal()
        while lines.follow():
            pass
