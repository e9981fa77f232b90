"""Recovery codes: for whoever has lost the rest. Ten, each good once, replaced all at once (docs/credentials.md)."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.ids import new_id
from server.people import codes
from server.people.actions.attempts import counted
from server.people.actions.proofs import RECOVERY, note_proved, tell_owner, wrong
from server.people.actors import Acting
from server.people.models import RecoveryCode, User
from server.people.periods import NOW
from server.people.step_up import require_for_ways_in
from server.vault import actions as vault

MANY = 10
GROUPS = 3
"""Of twenty bits."""
INDEX = "people.recovery_code"


@transaction.atomic
def make(*, acting: Acting) -> list[str]:
    """Ten new ones, told this once; those before are good no more, and their owner is told. Raises Forbidden
    `other_provider`, `step_up_needed`."""
    require_for_ways_in(acting, "recovery_codes.made")
    User.objects.select_for_update(no_key=True).get(id=acting.user.id)  # of two who ask at once, one waits
    left(acting.user.id).update(replaced_at=NOW)
    made = [codes.new_code(GROUPS) for _ in range(MANY)]
    rows = [RecoveryCode(id=new_id(), user_id=acting.user.id, code_digest=_digest(acting.user.id, one)) for one in made]
    RecoveryCode.objects.bulk_create(rows)
    record(Entry("recovery_codes.made", acting.actor, object_id=acting.user.id))
    tell_owner(acting, "recovery_made", rows[0].id)
    return made


def prove(*, acting: Acting, code: str) -> datetime:
    """Prove who holds this session with a code that nobody has used; returns when. Its owner is told on other devices.

    Raises TooMany; Forbidden `proof_wrong`, the same for used and never made. Of two who send one code at once, one
    proves.
    """
    with counted(acting, RECOVERY):
        return _prove(acting, code)


@transaction.atomic
def _prove(acting: Acting, code: str) -> datetime:
    letters = codes.uniform(code, GROUPS)
    digest = _digest(acting.user.id, letters) if letters is not None else ""
    row = left(acting.user.id).filter(code_digest=digest).first()
    if row is None or not left(acting.user.id).filter(id=row.id).update(used_at=NOW):
        raise wrong(RECOVERY)
    tell_owner(acting, "recovery_used", row.id)
    return note_proved(acting, RECOVERY)


def left(user_id: UUID) -> QuerySet[RecoveryCode]:
    """Those that are still good."""
    return RecoveryCode.objects.filter(user_id=user_id, used_at=None, replaced_at=None)


def _digest(user_id: UUID, code: str) -> str:
    """Under the vault's index key: who has the table alone can try no codes."""
    return vault.blind_index(INDEX, f"{user_id} {code.replace('-', '')}").hex()
