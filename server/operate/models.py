"""What the watchdog found last. It writes the row with SQL of its own; health and metrics read it."""

from django.db import models
from django.db.models import Q


class WatchReport(models.Model):
    """One row, with the id 1."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()
    """When it looked, by the database's clock."""
    findings = models.JSONField(default=list)
    """`{"code": …, "count": n}` each: codes and numbers, never an id (law 9)."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="operate_watchreport_one")]
