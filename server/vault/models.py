"""The one table of the vault: wrapped data keys."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row


class Scope(models.TextChoices):
    """What a data key protects."""

    ROOM = "room"
    SUBJECT = "subject"
    SERVICE = "service"


class DataKeys(models.QuerySet["DataKey"]):
    def living(self) -> "DataKeys":
        """Keys that have not been destroyed."""
        return self.filter(destroyed_at__isnull=True)


class DataKey(Row):
    """A 256-bit data key, wrapped (RFC 3394) under one version of the master key. The row outlives its key material.

    (scope, owner) stays taken after destruction, so that an owner whose content was destroyed never gets a new key.
    """

    scope = models.CharField(max_length=16, choices=Scope.choices)
    owner = models.UUIDField()
    wrapped = models.BinaryField(null=True)
    """40 bytes; null once destroyed."""
    master_version = models.PositiveIntegerField()
    demo = models.BooleanField()
    """Wrapped under a demo master key: production refuses to start while there is one."""
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    objects = DataKeys.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "owner"], name="vault_datakey_owner"),
            models.CheckConstraint(condition=Q(scope__in=["room", "subject", "service"]), name="vault_datakey_scope"),
            models.CheckConstraint(
                condition=Q(wrapped__isnull=True, destroyed_at__isnull=False)
                | Q(wrapped__isnull=False, destroyed_at__isnull=True),
                name="vault_datakey_gone_when_destroyed",
            ),
        ]
        indexes = [
            # Serves "which master version is in use" at every creation, and the sweeps of `rotate`.
            models.Index(fields=["master_version", "id"], name="vault_datakey_version", condition=Q(destroyed_at=None)),
            # Serves the start-up question "is any stored key wrapped under a demo key".
            models.Index(fields=["id"], name="vault_datakey_demo", condition=Q(demo=True, destroyed_at=None)),
        ]

    def __repr__(self) -> str:
        return f"<DataKey {self.id} {self.scope}>"
