"""Rooms, their members, what each member may see, and the one append-only timeline."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Engagement, Patient, User


class Room(Row):
    """A room around one patient for one purpose (S1).

    `head` is the newest event's `seq`; `access_epoch` rises with every change of who may read or write. A write to the
    timeline moves `head` on the condition that the epoch is the one it was decided under (law 2).
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="rooms")
    purpose = models.CharField(max_length=40)
    home = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="rooms")
    """The controller of the unit that opened it; others take part under an agreement with it (L6)."""
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(db_default=Now())
    key = models.UUIDField()
    """The data key that seals what is written here."""
    head = models.BigIntegerField(default=0)
    access_epoch = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "purpose"], name="room_patient_purpose")]


class Participation(models.TextChoices):
    ACTIVE = "active"
    FOLLOWING = "following"
    AWAY = "away"


class Member(Row):
    """The patient, or a member of staff with the engagement they act for; `delivered` and `read` are marks (S6)."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        JOINED = "joined"
        ENDED = "ended"
        """Was in until access ended; in again as soon as it is permitted again."""
        REMOVED = "removed"
        """Taken out, or left: has to be proposed again."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="members")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    engagement = models.ForeignKey(Engagement, null=True, on_delete=models.PROTECT, related_name="memberships")
    state = models.CharField(max_length=10, choices=State)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    participation = models.CharField(max_length=10, choices=Participation, default=Participation.ACTIVE)
    delivered = models.BigIntegerField(default=0)
    read = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "user"], name="member_once"),
            models.CheckConstraint(condition=Q(read__lte=F("delivered")), name="member_read_was_delivered"),
        ]
        indexes = [models.Index(fields=["user", "state"], name="member_rooms_of_user")]

    @property
    def is_patient(self) -> bool:
        return self.engagement_id is None


class Span(Row):
    """An interval of `seq` that a member may see: `first <= seq < until`; open while `until` is null (law 5)."""

    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="spans")
    first = models.BigIntegerField()
    until = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["member"], condition=Q(until=None), name="span_one_open"),
            models.CheckConstraint(condition=Q(until=None) | Q(until__gte=F("first")), name="span_order"),
        ]


class EventType(models.TextChoices):
    ROOM_OPENED = "room_opened"
    MEMBER_PROPOSED = "member_proposed"
    MEMBER_JOINED = "member_joined"
    MEMBER_LEFT = "member_left"
    PARTICIPATION = "participation"
    CONSENT = "consent"
    MESSAGE = "message"
    EDIT = "edit"
    RETRACTION = "retraction"
    EMERGENCY_ACCESS = "emergency_access"


class RoomEvent(Row):
    """One event of a room's timeline: append-only (triggers), `seq` without holes (law 2).

    What was written stands in `sealed` under the room's key; `facts` holds identifiers and codes only. `txn_id` makes a
    retry the same act, and `fingerprint` (HMAC of kind, reply and body under the room's key) tells if it is (law 3).
    """

    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="events")
    seq = models.BigIntegerField()
    type = models.CharField(max_length=20, choices=EventType)
    sender = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    facts = models.JSONField(default=dict)
    sealed = models.BinaryField(null=True)
    txn_id = models.CharField(max_length=64, null=True)
    fingerprint = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["room", "seq"], name="event_room_seq"),
            models.UniqueConstraint(
                fields=["room", "sender", "txn_id"], condition=Q(txn_id__isnull=False), name="event_room_sender_txn"
            ),
        ]


class Notice(models.Model):
    """That a member was last told that somebody wrote (S5). One row each, apart from the member's own: marks and
    settlements never wait for it. `number` rises with each notice, in an update on the condition of the one before it:
    of two workers that would tell at once, one does."""

    member = models.OneToOneField(Member, primary_key=True, on_delete=models.PROTECT, related_name="notice")
    number = models.PositiveIntegerField(default=1)
    upto = models.BigIntegerField()
    """The room's head then: what was written up to there needs no other notice."""
    at = models.DateTimeField()
    lost = models.BooleanField(default=False)
    """No device could be told."""


class EmergencyAccess(Row):
    """One person's emergency access to one room (L3). It is no membership: it permits reading, until `until` or until
    it is ended, and is judged beside the consents.

    `document` is sealed as a consent's version is; afterwards only the end, and that the patient was told, are written.
    `hidden` says that the patient is told at `tell_at` and not before; its reason is sealed like that of the access.
    """

    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="emergency_accesses")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    engagement = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="+")
    ground = models.CharField(max_length=40)
    reason_sealed = models.BinaryField()
    begun_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=30, blank=True)
    hidden = models.BooleanField(default=False)
    delay_reason_sealed = models.BinaryField(null=True)
    tell_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    document = models.TextField()
    hash = models.CharField(max_length=64)
    signature = models.BinaryField()
    key = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["room", "user"], condition=Q(ended_at=None), name="emergency_access_one_open"
            ),
            models.CheckConstraint(condition=Q(until__gt=F("begun_at")), name="emergency_access_period"),
            models.CheckConstraint(
                condition=Q(ended_at=None, end_reason="") | (~Q(ended_at=None) & ~Q(end_reason="")),
                name="emergency_access_ended_for_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(hidden=False) | Q(delay_reason_sealed__isnull=False), name="emergency_access_hidden_why"
            ),
        ]
        indexes = [
            # Serves every permit: who has emergency access to these rooms; and the worker: whose has run out.
            models.Index(fields=["room", "until"], condition=Q(ended_at=None), name="emergency_access_open"),
            models.Index(fields=["tell_at"], condition=Q(told_at=None), name="emergency_access_to_tell"),
        ]
