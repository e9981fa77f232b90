"""What becomes of a person's own rows when their data are erased (GDPR article 17). The rows stay, for the log and the
timelines to refer to; nothing in them leads to anybody."""

import secrets
from uuid import UUID

from django.db import transaction
from django.db.models import F

from server.audit.entry import Actor
from server.people.actions.staff import deactivate_user
from server.people.models import Passkey, Patient, Relation, Session, TotpSecret, User
from server.people.periods import NOW

REASON = "erased"
INDEX_BYTES = 32


@transaction.atomic
def close_file(*, patient_id: UUID, actor: Actor) -> None:
    """Nobody finds the patient any more, by number or by relation, and the patient's account is closed with all its
    sessions. Whoever registers the same number registers somebody new. Twice is once."""
    open_ones = Relation.objects.filter(patient_id=patient_id, ended_at=None)
    open_ones.filter(valid_from__gt=NOW).update(ended_at=F("valid_from"))
    open_ones.update(ended_at=NOW)
    patient = Patient.objects.select_for_update(no_key=True).get(id=patient_id)
    patient.nin_index = secrets.token_bytes(INDEX_BYTES)
    patient.save(update_fields=["nin_index"])
    if patient.user_id is not None:
        deactivate_user(user_id=patient.user_id, actor=actor, reason=REASON)


@transaction.atomic
def forget_person(*, patient_id: UUID) -> None:
    """What stands in the open, or under a key that is not the patient's own, goes: what they asked for on the
    telephone, what they signed in with, the name of the account. Twice is once."""
    patient = Patient.objects.get(id=patient_id)
    Patient.objects.filter(id=patient_id).update(
        phone_verified_at=None, may_call=False, may_text=False, may_leave_message=False, address_protected=False
    )
    if patient.user_id is None:
        return
    User.objects.filter(id=patient.user_id).update(username=f"erased {patient.user_id}", name="", name_folded="")
    for key in Passkey.objects.filter(user_id=patient.user_id):
        Passkey.objects.filter(id=key.id).update(credential_id=key.id.bytes, public_key=b"", transports=[])
    Passkey.objects.filter(user_id=patient.user_id, removed_at=None).update(removed_at=NOW)
    TotpSecret.objects.filter(user_id=patient.user_id).update(sealed=b"")
    TotpSecret.objects.filter(user_id=patient.user_id, removed_at=None).update(removed_at=NOW)
    Session.objects.filter(user_id=patient.user_id).update(device="other")
