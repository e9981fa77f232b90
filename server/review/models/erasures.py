"""Erasures (GDPR article 17): asked for, confirmed by somebody else, waited for, carried out by destroying keys."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Patient, User
from server.review.models.shields import Export


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def open(self) -> "ErasureQuerySet":
        return self.filter(done_at=None, cancelled_at=None)

    def under_way(self) -> "ErasureQuerySet":
        """Begun, and not done: there is no way back."""
        return self.open().filter(begun_at__isnull=False)


class Erasure(Row):
    """One patient's data are to be destroyed. The database lets each moment and who it was be written once.

    Nothing of what it rests on is kept here: what still stands in the way is asked anew each time
    (`erasure_facts.py`).
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_for = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="+")
    """The controller whose officer asked."""
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    reason_sealed = models.BinaryField()
    """In the officer's words; under the patient's key, and gone with it."""
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    not_before = models.DateTimeField(null=True)
    """When the time to think better of it is over."""
    begun_at = models.DateTimeField(null=True)
    begun_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    begun_for = models.ForeignKey(Controller, null=True, on_delete=models.PROTECT, related_name="+")
    done_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    objects = ErasureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient"], condition=Q(done_at=None, cancelled_at=None), name="erasure_one_open"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at=None, confirmed_by=None, not_before=None)
                | (
                    Q(confirmed_at__isnull=False, confirmed_by__isnull=False, not_before__isnull=False)
                    & ~Q(confirmed_by=F("asked_by"))
                ),
                name="erasure_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(begun_at=None, begun_by=None, begun_for=None, done_at=None)
                | Q(
                    begun_at__isnull=False,
                    begun_by__isnull=False,
                    begun_for__isnull=False,
                    begun_at__gte=F("not_before"),
                    cancelled_at=None,
                ),
                name="erasure_begun_in_time",
            ),
        ]
        indexes = [
            # What the loop carries on with.
            models.Index(
                fields=["begun_at"],
                condition=Q(done_at=None, begun_at__isnull=False),
                name="erasure_under_way",
            ),
        ]


class ErasurePart(Row):
    """One controller's word before an erasure: it has exported what belongs in its own record, or needs none of it. The
    newest counts; the database refuses change."""

    class Outcome(models.TextChoices):
        EXPORTED = "exported"
        WAIVED = "waived"

    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="parts")
    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome)
    export = models.ForeignKey(Export, null=True, on_delete=models.PROTECT, related_name="+")
    reason_sealed = models.BinaryField(null=True)
    """Why nothing is needed; under the patient's key."""
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="exported", export__isnull=False, reason_sealed=None)
                | Q(outcome="waived", export=None, reason_sealed__isnull=False),
                name="erasure_part_of_one_kind",
            ),
        ]
        indexes = [models.Index(fields=["erasure", "controller", "id"], name="erasure_part_newest")]
