"""What every table of ours shares."""

from django.db import models

from server.common.ids import new_id


class Row(models.Model):
    """A table keyed by a UUIDv7 that is made before the insert, so that a ciphertext can be bound to it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True


class IdempotencyRecord(models.Model):
    """The answer to a POST that carried an `Idempotency-Key`, kept for a day (law 3).

    The row is inserted first in the act's own transaction: a second attempt waits on the unique constraint until the
    first has committed or rolled back, so that a retry in flight never becomes a second act.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user_id = models.UUIDField()
    key = models.CharField(max_length=200)
    operation = models.CharField(max_length=200)
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField(default=0)
    answer = models.BinaryField(default=b"")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "key"], name="idempotency_user_key")]
