"""People who sign in, and what they do here: engagements, appointments (section 3, L6)."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from server.common.ids import new_id
from server.people.fields import FoldedField
from server.people.models.organisations import Controller, Unit
from server.people.periods import Period, PeriodQuerySet, due_effect, period_order


class Language(models.TextChoices):
    BOKMAL = "nb", "Norsk bokmål"
    NYNORSK = "nn", "Norsk nynorsk"
    ENGLISH = "en", "English"


class UserManager(models.Manager["User"]):
    def get_by_natural_key(self, username: str) -> "User":
        return self.get(username=username)


class User(AbstractBaseUser):
    """Anybody who signs in. Staff have their name here; a patient's name is sealed on Patient, so `name` is empty."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    username = models.CharField(max_length=150, unique=True)
    name = models.CharField(max_length=200, blank=True)
    name_folded = FoldedField(max_length=200, source="name")
    language = models.CharField(max_length=2, choices=Language, default=Language.BOKMAL)
    is_active = models.BooleanField(default=True)
    is_administrator = models.BooleanField(default=False)
    # There are no passwords (docs/decisions/0004-sessions.md), and sessions say when somebody signed in.
    password = None  # type: ignore[assignment]
    last_login = None

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    def __str__(self) -> str:
        return str(self.id)


class Engagement(Period):
    """A person's work for a unit in a professional role. Ending it ends its access at once, everywhere."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="engagements")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="engagements")
    role = models.CharField(max_length=40)
    role_folded = FoldedField(max_length=40, source="role")
    health_personnel = models.BooleanField(default=False)
    """Health personnel in the meaning of helsepersonelloven § 3; decides who may use emergency access (L3)."""
    leads = models.BooleanField(default=False)
    """Leads the unit: is told of emergency access at once (L3)."""
    effect_done_at = models.DateTimeField(null=True, blank=True)

    objects = PeriodQuerySet["Engagement"].as_manager()

    class Meta:
        constraints = period_order("engagement")
        indexes = [due_effect("engagement")]


class Officer(Period):
    """A privacy officer or access reviewer of one controller, and of no other (L6)."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="appointments")
    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="officers")
    verifies_log = models.BooleanField(default=False)
    """*Log verifier*: may read the sealed entries of the whole log, of every controller, to verify them (L4)."""
    email = models.EmailField(blank=True, default="")
    """At work; gets a checkpoint of the log each day, while the appointment lasts."""

    objects = PeriodQuerySet["Officer"].as_manager()

    class Meta:
        constraints = period_order("officer")
