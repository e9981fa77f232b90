"""Patients, and why a unit has to do with them."""

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from server.common.models import Row
from server.people.models.organisations import Unit
from server.people.models.users import Language, User
from server.people.periods import NOW, Moment, Period, PeriodQuerySet, period_order


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
