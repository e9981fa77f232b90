"""Controllers, their units and agreements; the people who work there; patients; sessions (L6, S9, section 3).

Nothing here is deleted in the ordinary course: periods end, sessions end, and the rows remain for the log to refer to.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from server.common.ids import new_id
from server.common.models import Row
from server.people.fields import FoldedField
from server.people.periods import (
    NOW,
    DatabaseNow,
    Moment,
    Period,
    PeriodQuerySet,
    current_at,
    due_effect,
    period_order,
)

nine_digits = RegexValidator(r"^[0-9]{9}\Z")


class Language(models.TextChoices):
    BOKMAL = "nb", "Norsk bokmål"
    NYNORSK = "nn", "Norsk nynorsk"
    ENGLISH = "en", "English"


# --- organisations -----------------------------------------------------------------------------------


class Controller(Row):
    """A legal entity that is controller (*dataansvarlig*) for what its staff write and read (L6)."""

    org_number = models.CharField(max_length=9, unique=True, validators=[nine_digits])
    name = models.CharField(max_length=200)
    # Its own basis for processing what its staff write and read: a statute, and no patient's consent, which lifts the
    # duty of confidentiality and is recorded apart (L1). Empty: not recorded yet.
    article_6 = models.CharField(max_length=20, blank=True)
    """GDPR article 6, for instance `6(1)(e)`."""
    article_9 = models.CharField(max_length=20, blank=True)
    """GDPR article 9, for instance `9(2)(h)`."""
    statute = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(article_6="") | (Q(article_6__startswith="6(1)(") & ~Q(article_6__icontains="(a)")),
                name="controller_article_6_never_consent",
            ),
            models.CheckConstraint(
                condition=Q(article_9="") | (Q(article_9__startswith="9(2)(") & ~Q(article_9__icontains="(a)")),
                name="controller_article_9_never_consent",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class UnitKind(models.TextChoices):
    MUNICIPALITY = "municipality", _("Municipal service")
    DPS = "dps", _("District psychiatric centre")
    ACUTE = "acute", _("Acute ward")
    GP = "gp", _("General practice")
    NAV = "nav", _("Labour and welfare office")
    OTHER = "other", _("Other")


class Unit(Row):
    """A part of a controller that people work in and patients meet; never a controller itself (L6)."""

    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="units")
    org_number = models.CharField(max_length=9, unique=True, validators=[nine_digits])
    name = models.CharField(max_length=200)
    name_folded = FoldedField(max_length=200, source="name")
    kind = models.CharField(max_length=20, choices=UnitKind)
    response_hours = models.PositiveSmallIntegerField(default=24)
    """Agreed response time in attended hours (S10)."""
    office_hours = models.JSONField(default=dict)
    """`{"mon": [["08:00", "15:30"]], …, "holiday": []}`, wall-clock Europe/Oslo; see `hours.py`."""

    def __str__(self) -> str:
        return str(self.id)


class ContactPoint(Row):
    """The fixed place that takes what has no named receiver and hands it on (S9)."""

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="contact_points")
    label = models.CharField(max_length=200)
    user = models.ForeignKey("people.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    """Who tends it at present."""


class AgreementQuerySet(PeriodQuerySet["Agreement"]):
    def between(self, one: UUID, other: UUID) -> "AgreementQuerySet":
        """Agreements that both controllers are party to."""
        mine = AgreementParty.objects.filter(controller_id=one).values("agreement_id")
        theirs = AgreementParty.objects.filter(controller_id=other).values("agreement_id")
        return self.filter(id__in=mine).filter(id__in=theirs)


class Agreement(Period):
    """A registered agreement between controllers (GDPR art. 26): without one, no membership across them (L6)."""

    title = models.CharField(max_length=200)
    effect_done_at = models.DateTimeField(null=True, blank=True)
    """When its end took effect on rooms; written once, in the transaction that does it."""

    objects = AgreementQuerySet.as_manager()

    class Meta:
        constraints = period_order("agreement")
        indexes = [due_effect("agreement")]


class AgreementParty(Row):
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="parties")
    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="agreements")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agreement", "controller"], name="agreement_party_once")]


# --- people who sign in --------------------------------------------------------------------------------


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


# --- patients ---------------------------------------------------------------------------------------------


class PatientQuerySet(models.QuerySet["Patient"]):
    def known_to(self, unit_id: UUID, at: Moment = NOW) -> "PatientQuerySet":
        """Patients to whom the unit has a relation at `at`."""
        relations = Relation.objects.current(at).filter(unit_id=unit_id, patient_id=models.OuterRef("id"))
        return self.filter(models.Exists(relations))


class Patient(Row):
    """A person who is helped. Every personal field is sealed under the patient's own key; no address is stored."""

    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.PROTECT, related_name="patient")
    key = models.UUIDField()
    """The data key (scope `subject`, owner this row) that every `*_sealed` field is sealed under."""
    name_sealed = models.BinaryField()
    nin_sealed = models.BinaryField()
    """National identity number; never printed, returned or put in an error."""
    nin_index = models.BinaryField(max_length=32, unique=True)
    """Keyed blind index of the number, 32 bytes; serves registration and, later, sign-in."""
    phone_sealed = models.BinaryField(null=True, blank=True)
    """E.164."""
    phone_verified_at = models.DateTimeField(null=True, blank=True)
    language = models.CharField(max_length=2, choices=Language, default=Language.BOKMAL)
    may_call = models.BooleanField(default=False)
    may_text = models.BooleanField(default=False)
    may_leave_message = models.BooleanField(default=False)
    others_may_answer_sealed = models.BinaryField(null=True, blank=True)
    """Safe contact: who else may answer the telephone."""
    address_protected = models.BooleanField(default=False)
    """*Adressesperre* (folkeregisterloven § 10-4): a flag; there is no address here to protect."""
    registered_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PatientQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.id)


class RelationKind(models.TextChoices):
    TREATMENT = "treatment", _("Treatment")
    FOLLOW_UP = "follow_up", _("Follow-up")
    ACUTE = "acute", _("Acute care")
    REFERRAL = "referral", _("Referral")
    SOCIAL = "social", _("Social and labour services")


class Relation(Period):
    """Why a unit has to do with a patient; it lets the unit's staff see the patient, or ask."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="relations")
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="relations")
    kind = models.CharField(max_length=20, choices=RelationKind)
    reason_sealed = models.BinaryField()
    """Sealed under the patient's key, bound to this row."""
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    objects = PeriodQuerySet["Relation"].as_manager()

    class Meta:
        constraints = [
            *period_order("relation"),
            # Also serves `known_to`: patients of a unit.
            models.UniqueConstraint(
                fields=["unit", "patient", "kind"],
                condition=Q(ended_at=None),
                name="relation_one_open",
            ),
        ]


# --- sessions -----------------------------------------------------------------------------------------------


class SessionQuerySet(models.QuerySet["Session"]):
    def in_full(self) -> "SessionQuerySet":
        """With everything an act needs to know about who acts, and the database's time, in one statement."""
        return (
            self.select_related("user__patient", "engagement__unit__controller", "officer__controller")
            .defer("user__patient__nin_sealed", "user__patient__nin_index")
            .annotate(read_at=DatabaseNow())
        )

    def live(self, at: Moment = NOW) -> "SessionQuerySet":
        """Sessions that open a door at `at`: not ended, not expired, and what they act for still holds."""
        return self.filter(
            Q(ended_at=None) & Q(expiry__gt=at) & Q(user__is_active=True),
            Q(engagement=None) | current_at(at, "engagement__"),
            Q(officer=None) | current_at(at, "officer__"),
        )


class Session(models.Model):
    """A signed-in device. The token is opaque; only its SHA-512 is kept (docs/decisions/0004-sessions.md).

    `sid` is the public name: hints, sockets and the log use it, never the digest.
    """

    digest = models.CharField(max_length=128, primary_key=True)
    sid = models.UUIDField(default=new_id, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="sessions")
    engagement = models.ForeignKey(
        Engagement,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="sessions",
    )
    """The engagement acted for; part of every act."""
    officer = models.ForeignKey(
        Officer,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="sessions",
    )
    """The appointment acted for, when there is no engagement."""
    sign_in = models.CharField(max_length=20)
    """How: `demo`, later `idporten`, `helseid`, `in_person`, …"""
    level = models.PositiveSmallIntegerField(default=0)
    """Level of assurance of the sign-in: 0 (demo) to 4."""
    created = models.DateTimeField(db_default=Now(), editable=False)
    expiry = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=30, blank=True)
    last_seen_at = models.DateTimeField(db_default=Now())
    """To within ten minutes; over REST only."""

    read_at: datetime
    """The database's time when this row was read through `in_full`."""

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(engagement=None) | Q(officer=None),
                name="session_acts_for_one",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, end_reason="") | (~Q(ended_at=None) & ~Q(end_reason="")),
                name="session_ended_for_a_reason",
            ),
            models.CheckConstraint(condition=Q(expiry__gt=F("created")), name="session_expiry_order"),
        ]
        indexes = [
            # Serves the worker's query for sessions that have expired and are not yet ended.
            models.Index(fields=["expiry"], condition=Q(ended_at=None), name="session_expiry_due"),
        ]

    def __str__(self) -> str:
        return str(self.sid)

    @property
    def valid_until(self) -> datetime:
        """The last moment this session can open a door, as known now; caches never outlive it (law 5)."""
        acted_for = [one.ends for one in (self.engagement, self.officer) if one is not None]
        return min([self.expiry, *(ends for ends in acted_for if ends is not None)])
