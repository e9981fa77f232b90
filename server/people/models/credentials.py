"""What people prove who they are with, and sign-ins under way. No secret stands here in the open: codes are digests,
identity numbers blind indexes, what has to be read again is sealed (docs/sign-in.md)."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models.patients import Patient
from server.people.models.sessions import Session
from server.people.models.users import Engagement, User


class Identity(Row):
    """Whose national identity number leads to which account at work; a patient's stands on Patient. One person may have
    both, and the way in decides which is meant."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="identity")
    nin_index = models.BinaryField(max_length=32, unique=True)
    """Keyed blind index, 32 bytes; the number itself is not kept."""
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)


class OidcAttempt(models.Model):
    """A sign-in that somebody has begun at a provider. Its `nonce` and PKCE verifier are derived from the state, which
    is not kept."""

    state_digest = models.CharField(max_length=128, primary_key=True)
    provider = models.CharField(max_length=40)
    challenge = models.CharField(max_length=43)
    """The app's own PKCE challenge (S256): only the app that began can fetch the session."""
    returns_to = models.CharField(max_length=10)
    """`app` or `browser`."""
    session = models.ForeignKey(
        Session, to_field="sid", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    """The session to be strengthened; none: a new one is to be made."""
    begun_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(returns_to__in=["app", "browser"]), name="oidc_attempt_returns_to")
        ]
        indexes = [models.Index(fields=["expires_at"], name="oidc_attempt_old")]


class HandOver(models.Model):
    """The one-time code that an app exchanges for its session, once the provider has said who somebody is."""

    code_digest = models.CharField(max_length=128, primary_key=True)
    challenge = models.CharField(max_length=43)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    provider = models.CharField(max_length=40)
    method = models.CharField(max_length=20)
    """What `Session.sign_in` becomes."""
    level = models.PositiveSmallIntegerField()
    as_patient = models.BooleanField()
    organisation = models.CharField(max_length=9, blank=True)
    """Organisation number that the provider named; engagements there come first."""
    proved_at = models.DateTimeField(null=True, blank=True)
    """When they proved who they are, as the provider said; it may have been this morning. None: it did not say."""
    session = models.ForeignKey(
        Session, to_field="sid", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    """The session to be strengthened; none: a new one is to be made."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="hand_over_old")]


class InPersonCode(Row):
    """Staff have seen the patient and checked who it is; the patient's telephone takes this code, once."""

    code_digest = models.CharField(max_length=128, unique=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    made_by = models.ForeignKey(Engagement, on_delete=models.PROTECT, related_name="+")
    how = models.CharField(max_length=20)
    """How identity was checked: `identity_card`, `known_in_person`, …"""
    needs_second = models.BooleanField(default=False)
    """The patient has signed in before: a colleague has to confirm it as well."""
    seconded_by = models.ForeignKey(Engagement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    taken_back_at = models.DateTimeField(null=True, blank=True)
    """By staff, or because a newer one was made."""
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    """The newer one."""
    secret_digest = models.CharField(max_length=128, blank=True, db_default="")
    """Of what the phone chose by lot and sent with the code: it alone is answered again, when the answer was lost."""
    session = models.ForeignKey(
        Session, to_field="sid", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    """The session that it began."""

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(used_at=None) | Q(taken_back_at=None), name="in_person_code_one_end"),
            models.CheckConstraint(
                condition=Q(used_at=None) | Q(needs_second=False) | Q(seconded_by__isnull=False),
                name="in_person_code_seconded",
            ),
            # Of two made at once for one patient, one is made later: at most one waits.
            models.UniqueConstraint(
                fields=["patient"], condition=Q(used_at=None, taken_back_at=None), name="in_person_code_one_open"
            ),
        ]


class Passkey(Row):
    """A WebAuthn credential: proof on a known device (step-up), and the way into the administrators' pages."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="passkeys")
    credential_id = models.BinaryField(max_length=1023, unique=True)
    public_key = models.BinaryField(max_length=2000)
    """COSE key, as the authenticator gave it."""
    sign_count = models.PositiveBigIntegerField(default=0)
    backed_up = models.BooleanField(default=False)
    """Synchronised to other devices of the same person."""
    transports = models.JSONField(default=list)
    device = models.CharField(max_length=10)
    """As `Session.device`."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)


class TotpSecret(Row):
    """One-time codes (RFC 6238) from an app: the fallback where there is no passkey."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="totp_secrets")
    sealed = models.BinaryField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    """When a first right code came back; before that it proves nothing."""
    last_step = models.BigIntegerField(default=0)
    """The time step of the last code taken: no code is good twice."""
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(removed_at=None, confirmed_at__isnull=False), name="totp_one_in_use"
            )
        ]


class RecoveryCode(Row):
    """For whoever has lost the rest: ten, each good once, replaced all at once."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="recovery_codes")
    code_digest = models.CharField(max_length=128, unique=True)
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)


class Challenge(models.Model):
    """What an authenticator was asked to sign; good once, in the session that asked."""

    digest = models.CharField(max_length=128, primary_key=True)
    session = models.ForeignKey(Session, to_field="sid", on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=10)
    """`register` or `prove`."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="challenge_old")]
