"""Where people can be reached, and what is on its way to them: the outbox.

Nothing is deleted: an address is disabled and says why, a delivery ends in a state and keeps its code.
"""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Now

from server.common.models import Row
from server.notify.decide import AHEAD_DAYS, LONGEST_WAIT_S, PAGED_STILL, RAN_OUT
from server.people.models import Language, Session, User


class AddressKind(models.TextChoices):
    PUSH = "push"
    PHONE = "phone"
    EMAIL = "email"


class Gone(models.TextChoices):
    """Why an address is out of use."""

    NOT_YET = "", "In use"
    GONE = "gone"
    """The push service knows it no longer (404, 410)."""
    REMOVED = "removed"
    """Its owner took it away."""
    REPLACED = "replaced"
    """Somebody else signed in on that device, it subscribed anew, or its owner gave another number."""
    SIGNED_OUT = "signed_out"
    """The session that registered it was ended by a person."""
    KEY_ENDED = "key_ended"
    """The key of ours that it was registered for is gone."""


class AddressQuerySet(models.QuerySet["Address"]):
    def live(self) -> "AddressQuerySet":
        return self.filter(disabled_at=None)

    def silenced(self) -> "AddressQuerySet":
        """Devices whose session was ended by somebody, and not by the clock (`decide.is_silenced`): nothing is sent to
        them. Telephones and mailboxes are people's, and no session's."""
        return self.filter(_ended_by_somebody(), kind=AddressKind.PUSH)

    def heard(self) -> "AddressQuerySet":
        """Those in use that something may be sent to."""
        return self.live().filter(~Q(kind=AddressKind.PUSH) | ~_ended_by_somebody())


def _ended_by_somebody() -> Exists:
    ended = Session.objects.filter(sid=OuterRef("session"), ended_at__isnull=False)
    return Exists(ended.exclude(end_reason__in=RAN_OUT | PAGED_STILL))


class Address(Row):
    """One place where one person can be reached: a browser's push subscription, a telephone, a mailbox."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=AddressKind)
    sealed = models.BinaryField()
    """JSON: endpoint, keys or number, and the owner's own name for it (`sealed.py`)."""
    index = models.BinaryField(max_length=32)
    """Blind index of the endpoint, number or mailbox."""
    vapid = models.CharField(max_length=16, blank=True)
    """Which of our keys a subscription was made for; under another one the push service refuses us."""
    session = models.UUIDField(null=True)
    """`sid` of the session that registered it."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    disabled_at = models.DateTimeField(null=True)
    disabled_because = models.CharField(max_length=10, choices=Gone, blank=True)
    accepted_at = models.DateTimeField(null=True)
    """When a provider last took something for it."""
    received_at = models.DateTimeField(null=True)
    """When the device itself last said that it has received something: the only proof that it works."""

    objects = AddressQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AddressKind.values), name="notify_address_kind"),
            models.CheckConstraint(
                condition=Q(disabled_at=None, disabled_because="")
                | (Q(disabled_at__isnull=False) & Q(disabled_because__in=[one for one in Gone.values if one])),
                name="notify_address_disabled_because",
            ),
            # Serves "where can they be reached" too.
            models.UniqueConstraint(
                fields=["user", "kind", "index"], condition=Q(disabled_at=None), name="notify_address_once"
            ),
            # One telephone and one mailbox each.
            models.UniqueConstraint(
                fields=["user", "kind"],
                condition=Q(kind__in=["phone", "email"], disabled_at=None),
                name="notify_number_of_one",
            ),
            # One device speaks to one person: whoever registers it last.
            models.UniqueConstraint(
                fields=["index"], condition=Q(kind="push", disabled_at=None), name="notify_device_of_one"
            ),
        ]
        indexes = [
            # Serves health, and whoever ends a key: which devices were registered for which?
            models.Index(fields=["vapid"], condition=Q(kind="push", disabled_at=None), name="notify_address_vapid"),
            # Serves a device that registers anew: which key was it for?
            models.Index(fields=["index"], condition=Q(kind="push"), name="notify_address_index"),
        ]


class Channel(models.TextChoices):
    PUSH = "push"
    SMS = "sms"
    VOICE = "voice"
    EMAIL = "email"


class DeliveryKind(models.TextChoices):
    PAGE = "page"
    """Somebody on call must answer an alert."""
    TAKEN = "taken"
    """Somebody else has answered it."""
    MESSAGE = "message"
    """Somebody wrote in a room."""
    TEST = "test"
    """Does this device work?"""
    NOTICE = "notice"
    """Something waits in the app."""
    SYNTHETIC = "synthetic"
    """The page of an alert that the watchdog raised."""


class State(models.TextChoices):
    WAITING = "waiting"
    LEASED = "leased"
    """A worker is sending it; should the worker die, it is due again when the lease runs out."""
    ACCEPTED = "accepted"
    """The provider took it. That says nothing of the device, and less of the person."""
    FAILED = "failed"
    DROPPED = "dropped"
    """Not sent: it had become pointless, or its receiver's access had ended."""


HELD = "quiet_hours"
"""Code of what waits until its receiver's quiet hours are over."""
LONGEST_HELD = timedelta(days=AHEAD_DAYS)

OPEN = (State.WAITING, State.LEASED)
LONGEST_WAIT = timedelta(seconds=LONGEST_WAIT_S + 60)
URGENT_WAITS = timedelta(seconds=60)
"""What is urgent waits at most for the seconds between two attempts, unless a provider says that we are too many."""


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def open(self) -> "DeliveryQuerySet":
        return self.filter(state__in=OPEN)

    def with_end(self) -> "DeliveryQuerySet":
        """Each with its device, and with why the session that registered that has ended (`silence.is_signed_out`)."""
        ended = Session.objects.filter(sid=OuterRef("address__session"), ended_at__isnull=False)
        return self.select_related("address").annotate(session_ended=Subquery(ended.values("end_reason")[:1]))

    def due(self, at: datetime) -> "DeliveryQuerySet":
        """What is to be sent by `at`, and what a worker took and never recorded; the urgent first.

        So is what lies further ahead than anything waits: the clock has stepped back since, and nobody is to be called
        late by as much.
        """
        soon = Q(urgent=True, due_at__gt=at + URGENT_WAITS) & ~Q(code="throttled")
        far = Q(due_at__gt=at + LONGEST_WAIT) & ~Q(code=HELD) | Q(due_at__gt=at + LONGEST_HELD)
        due = Q(due_at__lte=at) | far | soon
        return self.open().filter(due).order_by("-urgent", "due_at", "id")


class Delivery(models.Model):
    """One message over one channel to one address: the outbox. The caller derives the id from what it is about, so that
    whoever does the same work twice sends it once."""

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=10, choices=DeliveryKind)
    about = models.UUIDField()
    """The alert, room or shift; the address, of a test."""
    generation = models.PositiveIntegerField(default=0)
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Nobody for a duty number, which is no person's."""
    channel = models.CharField(max_length=5, choices=Channel)
    address = models.ForeignKey(Address, null=True, on_delete=models.PROTECT, related_name="deliveries")
    to_sealed = models.BinaryField(null=True)
    """The number or mailbox, when there is no address."""
    language = models.CharField(max_length=2, choices=Language, default=Language.BOKMAL)
    urgent = models.BooleanField(default=False)
    ttl_s = models.PositiveIntegerField()
    """How long the provider may keep it for a device that is off."""
    topic = models.CharField(max_length=32)
    """A newer one with the same topic takes the place of an older, at the push service and on the device."""
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    due_at = models.DateTimeField(null=True)
    """When it is to be sent; while it is leased: when the lease runs out."""
    expires_at = models.DateTimeField(null=True)
    """After that it is not tried any more."""
    lease = models.UUIDField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    """How many times it was sent, or at least begun."""
    code = models.CharField(max_length=30, blank=True)
    """What came of the last attempt: a word of ours, never the provider's."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    accepted_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)
    answered = models.CharField(max_length=7, blank=True)
    """`accept` or `decline`, once."""

    session_ended: str | None
    """Why, of rows read through `with_end`; None when it has not ended."""

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=DeliveryKind.values), name="notify_delivery_kind"),
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="notify_delivery_channel"),
            models.CheckConstraint(condition=Q(state__in=State.values), name="notify_delivery_state"),
            models.CheckConstraint(
                condition=Q(state="leased", lease__isnull=False) | (~Q(state="leased") & Q(lease=None)),
                name="notify_delivery_leased",
            ),
            # Whatever is not over is due some time (law 6).
            models.CheckConstraint(
                condition=~Q(state__in=OPEN) | Q(due_at__isnull=False), name="notify_delivery_never_stuck"
            ),
            models.CheckConstraint(
                condition=Q(address__isnull=False, to_sealed=None) | Q(address=None, to_sealed__isnull=False),
                name="notify_delivery_one_goal",
            ),
            models.CheckConstraint(
                condition=Q(answered__in=["", "accept", "decline"]), name="notify_delivery_answered"
            ),
        ]
        indexes = [
            # Serves `due`.
            models.Index(fields=["due_at"], condition=Q(state__in=OPEN), name="notify_delivery_due"),
            # Serves health: has a provider refused our keys?
            models.Index(fields=["made_at"], condition=Q(code="keys_refused"), name="notify_delivery_refused"),
            # Serves `actions.drop`, and what an alert's timeline asks.
            models.Index(fields=["about", "kind"], name="notify_delivery_about"),
        ]


class QuietHours(models.Model):
    """When somebody is not to be told of what may wait. No row: it is never quiet."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.PROTECT, related_name="+")
    hours = models.JSONField()
    """As `decide.Hours`."""
    set_at = models.DateTimeField(db_default=Now(), editable=False)


class CallbackSeen(models.Model):
    """An event of the gateway's that we have acted on: said again, it does nothing. Kept for a week."""

    event = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # Serves `upkeep.forget_callbacks`.
            models.Index(fields=["at"], name="notify_callback_at")
        ]
