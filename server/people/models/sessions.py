"""Sessions: one sign-in of one device (docs/decisions/0004-sessions.md)."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.common.ids import new_id
from server.people.models.users import Engagement, Officer, User
from server.people.periods import NOW, DatabaseNow, Moment, current_at


class DeviceKind(models.TextChoices):
    """What kind of device; no name that somebody gave it, which might tell whose it is."""

    IPHONE = "iphone"
    ANDROID = "android"
    WINDOWS = "windows"
    MAC = "mac"
    LINUX = "linux"
    OTHER = "other"


class SessionQuerySet(models.QuerySet["Session"]):
    def in_full(self) -> "SessionQuerySet":
        """With everything an act needs to know about who acts, and the database's time, in one statement."""
        return (
            self.select_related("user__patient", "engagement__unit__controller", "officer__controller")
            .defer("user__patient__nin_sealed", "user__patient__nin_index")
            .annotate(read_at=DatabaseNow())
        )

    def run_out(self, at: Moment = NOW) -> "SessionQuerySet":
        """Sessions that no token opens any more, nor ever will: not those that still may be refreshed."""
        return self.filter(Q(idle_until=None, expiry__lte=at) | Q(idle_until__lte=at))

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
    """How: `demo`, `citizen_oidc`, `staff_oidc`, `in_person`, …"""
    level = models.PositiveSmallIntegerField(default=0)
    """Level of assurance of the sign-in: 0 (demo) to 4; 4 is eIDAS *high*, 3 *substantial*."""
    as_patient = models.BooleanField(default=False, db_default=False)
    """Signed in as a citizen: acts for no engagement, even where the same person works."""
    device = models.CharField(max_length=10, choices=DeviceKind, default=DeviceKind.OTHER, db_default=DeviceKind.OTHER)
    created = models.DateTimeField(db_default=Now(), editable=False)
    expiry = models.DateTimeField()
    """When the present token stops opening doors. A refresh gives the next one."""
    refresh_digest = models.CharField(max_length=128, null=True, blank=True, unique=True)
    """Of the refresh token that is good once; none: the session is over when its token is."""
    rotated_at = models.DateTimeField(null=True, blank=True)
    idle_until = models.DateTimeField(null=True, blank=True)
    """Over by then unless refreshed."""
    ends_at = models.DateTimeField(null=True, blank=True)
    """Over by then in any case."""
    strong_at = models.DateTimeField(null=True, blank=True)
    """When whoever holds it last proved who they are; what needs a fresh proof asks this (`step_up.py`)."""
    strong_by = models.CharField(max_length=20, blank=True, default="", db_default="")
    """By what: the way of signing in, `passkey`, `totp`, `recovery`."""
    totp_wrong = models.PositiveSmallIntegerField(default=0, db_default=0)
    """Wrong one-time codes since it was last proved (`actions/one_time.py`)."""
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
            models.CheckConstraint(
                condition=Q(refresh_digest=None, rotated_at=None, idle_until=None, ends_at=None)
                | Q(refresh_digest__isnull=False, rotated_at__isnull=False)
                & Q(idle_until__gte=F("expiry"), ends_at__gte=F("idle_until")),
                name="session_refresh_order",
            ),
            models.CheckConstraint(
                condition=Q(strong_at=None, strong_by="") | (Q(strong_at__isnull=False) & ~Q(strong_by="")),
                name="session_strong_by_something",
            ),
            models.CheckConstraint(
                condition=Q(as_patient=False) | Q(engagement=None, officer=None), name="session_patient_is_at_no_work"
            ),
        ]
        indexes = [
            # Serve the worker's query for sessions that have run out and are not yet ended.
            models.Index(fields=["expiry"], condition=Q(ended_at=None), name="session_expiry_due"),
            models.Index(fields=["idle_until"], condition=Q(ended_at=None), name="session_idle_due"),
            # Serves `forget_spent`: ended sessions whose refresh tokens are still known.
            models.Index(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=False, refresh_digest__isnull=False),
                name="session_forget_due",
            ),
        ]

    def __str__(self) -> str:
        return str(self.sid)

    @property
    def valid_until(self) -> datetime:
        """The last moment this session can open a door, as known now; caches never outlive it (law 5)."""
        acted_for = [one.ends for one in (self.engagement, self.officer) if one is not None]
        return min([self.expiry, *(ends for ends in acted_for if ends is not None)])


class SpentRefresh(models.Model):
    """A refresh token that has been used. Within a short grace it gives the same successors again, for whoever asked
    twice at once or never got the answer; afterwards somebody else has it, and the session ends."""

    digest = models.CharField(max_length=128, primary_key=True)
    session = models.ForeignKey(Session, to_field="sid", on_delete=models.PROTECT, related_name="spent")
    spent_at = models.DateTimeField(db_default=Now(), editable=False)
