"""Who is on call: rules in wall-clock time, exceptions from them, and the shifts that follow, in UTC (law 10)."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.alerts.models.programmes import Programme
from server.common.models import Row
from server.people.models import User


class Rotation(Row):
    """One layer of a roster: people who take turns. Changed by ending it and beginning another."""

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="rotations")
    name = models.CharField(max_length=100)
    people = models.JSONField()
    """Ids of users, in the order of their turns."""
    every = models.CharField(
        max_length=10, choices=[(one, one) for one in ("daily", "weekly", "custom")], default="daily"
    )
    days = models.PositiveSmallIntegerField(default=1)
    """Length of one turn."""
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    handover = models.CharField(max_length=5, default="08:00")
    outside_office_hours = models.BooleanField(default=True)
    restrictions = models.JSONField(default=list)
    """Parts of the week: `{"weekday": 0, "begins": "15:30", "ends": "24:00"}`; empty: all of it."""
    made_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)


class Override(Row):
    """Somebody else, or nobody, for a time."""

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="overrides")
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Who is on call then; None: nobody is."""
    instead_of = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    made_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    """When it was taken back."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ends__gt=F("begins")), name="override_order")]


class Shift(Row):
    """One person's time on call, expanded from the rules for the next 60 days. The id is derived from rule, person
    and beginning, so that expanding again makes the same row."""

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="shifts")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    source = models.UUIDField()
    """The rotation or override that it comes from."""
    cancelled_at = models.DateTimeField(null=True, blank=True)
    """When the rules no longer gave it."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ends__gt=F("begins")), name="shift_order")]
        indexes = [
            # Who is on call at a moment, and next: the router asks at every decision.
            models.Index(fields=["programme", "ends", "begins"], condition=Q(cancelled_at=None), name="shift_current"),
        ]


class ShiftCheck(Row):
    """Whether somebody can be reached before their shift: a test page that must come back, a number confirmed."""

    shift = models.OneToOneField(Shift, on_delete=models.PROTECT, related_name="check_made")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField()
    """When the leader is told, if nothing has come back."""
    device_at = models.DateTimeField(null=True)
    """A device has answered the test page."""
    number_at = models.DateTimeField(null=True)
    """The person pressed a key, or confirmed the number."""
    code = models.CharField(max_length=40, blank=True)
    """What was wrong from the beginning, for instance `no_device`."""
    told_at = models.DateTimeField(null=True)
    """When the leader was told."""


class CalendarFeed(Row):
    """A private address of one's own shifts, or of the team's, for calendars. The token is stored hashed."""

    digest = models.CharField(max_length=64, unique=True)
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    whole_team = models.BooleanField(default=False)
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)
