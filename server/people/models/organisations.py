"""Controllers, their units, contact points and agreements (L6, S9)."""

from uuid import UUID

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from server.common.models import Row
from server.people.fields import FoldedField
from server.people.periods import Period, PeriodQuerySet, due_effect, period_order

nine_digits = RegexValidator(r"^[0-9]{9}\Z")


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
