"""A programme (MULI; later others): whom it is for, who answers, and where a call for help ends at last (M1, M3)."""

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Engagement, Unit, User
from server.people.periods import Period, PeriodQuerySet, period_order

e164 = RegexValidator(r"^\+[1-9][0-9]{4,14}\Z")


class Programme(Row):
    """An after-hours service of one unit. It takes no call before it is open, and does not open while anything that a
    call needs is missing (`rules.missing`)."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    """Whose service it is; its controller answers for it (L6)."""
    criterion = models.JSONField(default=dict)
    """Whom it is for, as data (M1): `{"admissions": 3, "months": 12}`. It advises; nobody is turned away (M5)."""
    office_hours = models.JSONField(default=dict)
    """As `people.Unit.office_hours`: when the day contact answers, and nobody needs to be on call."""
    exceptions = models.JSONField(default=dict)
    """Hours of single dates in place of the weekday's: `{"2026-12-24": [["08:00", "12:00"]]}`."""
    on_call_number = models.CharField(max_length=16, blank=True, validators=[e164])
    """The duty telephone, shown to the patient from the first second; E.164."""
    final_number = models.CharField(max_length=16, blank=True, validators=[e164])
    """A telephone staffed round the clock: where a call goes at last; E.164."""
    final_answered_by = models.CharField(max_length=200, blank=True)
    """Who answers there."""
    final_agreement = models.CharField(max_length=200, blank=True)
    """Where the written agreement with them is filed."""
    final_agreed_on = models.DateField(null=True, blank=True)
    is_default = models.BooleanField(default=False)
    """Takes calls of patients who are in no programme."""
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True, closed_at=None), name="programme_one_default"
            ),
            # Whatever an action forgets: an open programme always has somebody who answers at last.
            models.CheckConstraint(
                condition=Q(opened_at=None)
                | (
                    ~Q(on_call_number="")
                    & ~Q(final_number="")
                    & ~Q(final_answered_by="")
                    & ~Q(final_agreement="")
                    & Q(final_agreed_on__isnull=False)
                ),
                name="programme_opens_with_somebody_who_answers",
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None) | Q(opened_at__isnull=False), name="programme_closed_after_opened"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None and self.closed_at is None


class TeamMember(Period):
    """Somebody in the programme's team, for one engagement; may be paged, may accept."""

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="team")
    engagement = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    """The engagement's, kept beside it for the constraint and the router's one statement."""
    leads = models.BooleanField(default=False)
    """Leads the team: keeps rosters, policy and numbers; is told of gaps."""
    day_contact = models.BooleanField(default=False)
    """Answers in office hours, and gets the report of the night."""

    objects = PeriodQuerySet["TeamMember"].as_manager()

    class Meta:
        constraints = [
            *period_order("team_member"),
            models.UniqueConstraint(
                fields=["programme", "user"], condition=Q(ended_at=None), name="team_member_one_open"
            ),
        ]


class Policy(Row):
    """One version of who is called in which order; immutable. An alert keeps the version it was raised under.

    `steps` is a list of `{"targets": […], "wait_s": n, "channels": […], "voice_after_s": n}`; see `policy.py`.
    """

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="policies")
    version = models.PositiveIntegerField()
    steps: Any = models.JSONField()
    made_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["programme", "version"], name="policy_version")]
