"""What is left when somebody has nothing more to sign in for: nothing that proves who they are to us."""

from uuid import UUID

from django.db.models import Q

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.people.models import Engagement, HandOver, Officer, Passkey, RecoveryCode, TotpSecret, User
from server.people.periods import NOW


def end_ways_in(*, user_id: UUID, actor: Actor) -> bool:
    """Passkeys, one-time codes, recovery codes and sign-ins under way are put out of use, in the caller's transaction,
    unless the person still works or reviews somewhere, administers, or is a patient. Returns whether there were any.

    Sessions end by what they act for; what was done and by whom stays where it stands.
    """
    held = User.objects.filter(id=user_id).filter(
        Q(id__in=Engagement.objects.current().filter(user_id=user_id).values("user_id"))
        | Q(id__in=Officer.objects.current().filter(user_id=user_id).values("user_id"))
        | Q(is_administrator=True)
        | Q(patient__isnull=False)
    )
    if held.exists():
        return False
    ended = [
        Passkey.objects.filter(user_id=user_id, removed_at=None).update(removed_at=NOW),
        TotpSecret.objects.filter(user_id=user_id, removed_at=None).update(removed_at=NOW, sealed=b""),
        RecoveryCode.objects.filter(user_id=user_id, used_at=None, replaced_at=None).update(replaced_at=NOW),
        HandOver.objects.filter(user_id=user_id, used_at=None).update(used_at=NOW),
    ]
    if any(ended):
        record(Entry("user.ways_in_ended", actor, object_id=user_id))
    return any(ended)
