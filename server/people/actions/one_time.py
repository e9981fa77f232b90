"""One-time codes from an app (RFC 6238): the proof of whoever has no passkey (docs/credentials.md).

The secret is sealed by the vault; a code is good once, and for one step of thirty seconds before and after by the
database's clock.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pyotp
from django.db import transaction
from django.db.models import QuerySet

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict
from server.common.ids import new_id
from server.people.actions.attempts import counted
from server.people.actions.proofs import (
    TOTP,
    TOTP_WRONG_MOST,
    TOTP_WRONG_TOLD,
    note_proved,
    sid_of,
    tell_owner,
    wrong,
)
from server.people.actors import Acting
from server.people.models import Session, TotpSecret
from server.people.periods import NOW
from server.people.relying_party import NAME
from server.people.step_up import require_for_ways_in
from server.vault import actions as vault

OWNER = UUID("3d0f4b1e-7a52-5c86-9b1f-52c4f6a8e913")
"""Owner of the one "service" key under which these secrets are sealed; fixed for ever."""
PLACE = "people_totp_secret.sealed"
STEP_S = 30
AROUND = (0, -1, 1)
"""Steps that are good beside the present one: clocks of telephones differ."""
CONFIRM_WITHIN = timedelta(minutes=15)
NOTHING = b""
"""In place of a secret that is out of use."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What an app needs, told this once: `uri` is `otpauth://`, with the secret in it."""

    secret: str
    uri: str


@transaction.atomic
def begin(*, acting: Acting) -> Begun:
    """A new secret. It proves nothing before `confirm`; one in use stays in use until then. Raises Forbidden
    `other_provider`, `step_up_needed`."""
    require_for_ways_in(acting, "totp.begun")
    _discard(acting.user.id, confirmed=False)
    row, secret = TotpSecret(id=new_id(), user_id=acting.user.id), pyotp.random_base32()
    row.sealed = vault.seal(vault.key_for(scope="service", owner=OWNER), secret, place=PLACE, row=row.id)
    row.save(force_insert=True)
    record(Entry("totp.begun", acting.actor, object_id=row.id))
    return Begun(secret, pyotp.TOTP(secret).provisioning_uri(name=acting.user.name or NAME, issuer_name=NAME))


def confirm(*, acting: Acting, code: str) -> TotpSecret:
    """The first right code of a new secret: it takes the place of the one before, and its owner is told.

    Raises Conflict `nothing_to_confirm`; Forbidden `proof_wrong`; TooMany.
    """
    with counted(acting, TOTP, of_person=False):
        return _confirm(acting, code)


@transaction.atomic
def _confirm(acting: Acting, code: str) -> TotpSecret:
    since = now() - CONFIRM_WITHIN
    new = _of(acting.user.id, confirmed=False).filter(made_at__gt=since).select_for_update(no_key=True).first()
    if new is None:
        raise Conflict(code="nothing_to_confirm")
    step = _step(new, code)
    if step is None:
        raise wrong(TOTP, object_id=new.id)
    _discard(acting.user.id, confirmed=True)
    new.confirmed_at, new.last_step = now(), step
    new.save(update_fields=["confirmed_at", "last_step"])
    record(Entry("totp.confirmed", acting.actor, object_id=new.id))
    tell_owner(acting, "totp_set", new.id)
    return new


@transaction.atomic
def remove(*, acting: Acting) -> None:
    """It proves nothing any more, and the secret is gone. Without one nothing happens. Raises Forbidden
    `other_provider`, `step_up_needed`."""
    require_for_ways_in(acting, "totp.removed")
    row = in_use(acting.user.id)
    _discard(acting.user.id, confirmed=False)
    if row is not None and _discard(acting.user.id, confirmed=True):
        record(Entry("totp.removed", acting.actor, object_id=row.id))
        tell_owner(acting, "totp_removed", row.id)


def prove(*, acting: Acting, code: str) -> datetime:
    """Prove who holds this session; returns when. Raises TooMany; Forbidden `proof_wrong`, also for a code that was
    used; `totp_stopped` after ten wrong ones in this session, until it is proved in another way."""
    with counted(acting, TOTP):
        at, tried = _try(acting, code)
        if at is None:  # after the commit in which it was counted
            raise wrong(TOTP, object_id=tried)
        return at


@transaction.atomic
def _try(acting: Acting, code: str) -> tuple[datetime | None, UUID | None]:
    """When it was proved, and by which secret. One at a time: the secret's row is locked."""
    row = _of(acting.user.id, confirmed=True).select_for_update(no_key=True).first()
    if row is None:
        return None, None
    mine = Session.objects.filter(sid=sid_of(acting))
    before = mine.values_list("totp_wrong", flat=True).get()
    if before >= TOTP_WRONG_MOST:
        raise wrong(TOTP, reason="stopped", code="totp_stopped", object_id=row.id)
    step = _step(row, code)
    if step is None:
        mine.update(totp_wrong=before + 1)
        if before + 1 == TOTP_WRONG_TOLD:
            tell_owner(acting, "totp_guessed", row.id)
        return None, row.id
    row.last_step = step
    row.save(update_fields=["last_step"])
    return note_proved(acting, TOTP), row.id


def in_use(user_id: UUID) -> TotpSecret | None:
    return _of(user_id, confirmed=True).first()


def _of(user_id: UUID, *, confirmed: bool) -> QuerySet[TotpSecret]:
    return TotpSecret.objects.filter(user_id=user_id, removed_at=None, confirmed_at__isnull=not confirmed)


def _discard(user_id: UUID, *, confirmed: bool) -> int:
    """Nothing is sealed there any more, so nothing can be read there by whoever gets at the keys later."""
    return _of(user_id, confirmed=confirmed).update(removed_at=NOW, sealed=NOTHING)


def _step(row: TotpSecret, code: str) -> int | None:
    """The time step that this code is of, later than any used before; None when there is none. All are compared, so
    that the time taken tells nothing."""
    totp = pyotp.TOTP(vault.unseal(row.sealed, place=PLACE, row=row.id))
    present, found = int(now().timestamp()) // STEP_S, None
    for step in (present + around for around in AROUND):
        same = hmac.compare_digest(totp.at(step * STEP_S), code)
        if same and step > row.last_step and found is None:
            found = step
    return found
