"""Passkeys: proof on a known device, and what administrators' pages ask for (docs/credentials.md).

They sign nobody in: they prove anew who holds a session that has begun in another way. Origin, site, user verification
and signature are checked by py_webauthn; that a challenge is good once, in the session that asked, and that a counter
never goes back, here.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog
import webauthn
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import Conflict, Invalid, NotFound, Refusal
from server.common.ids import new_id
from server.people.actions.proofs import ask, note_proved, take, tell_owner, wrong
from server.people.actors import Acting
from server.people.models import Passkey
from server.people.periods import NOW
from server.people.relying_party import NAME, relying_party
from server.people.step_up import PASSKEY, fresh, require_for_ways_in, speaks_for_all

log = structlog.get_logger(__name__)

MOST = 10
REGISTER, PROVE = "register", "prove"
TRANSPORTS = frozenset(one.value for one in AuthenticatorTransport)
LONGEST_ID = 1023
ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]

T = TypeVar("T")
Document = dict[str, Any]


def own(user_id: UUID) -> QuerySet[Passkey]:
    """In use, oldest first."""
    return Passkey.objects.filter(user_id=user_id, removed_at=None).order_by("made_at", "id")


def registration_options(*, acting: Acting) -> Document:
    """What a new authenticator is asked (`navigator.credentials.create`). No attestation: which make it is, is not our
    business. Raises Forbidden `other_provider`, `step_up_needed`; Conflict `too_many_passkeys`."""
    require_for_ways_in(acting, "passkey.registered")
    known = list(own(acting.user.id))
    if len(known) >= MOST:
        raise Conflict(code="too_many_passkeys")
    options = webauthn.generate_registration_options(
        rp_id=relying_party().id,
        rp_name=NAME,
        user_id=acting.user.id.bytes,
        user_name=acting.user.name or NAME,  # a patient's name is in no telephone's list
        challenge=ask(acting, REGISTER),
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[_descriptor(one) for one in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    return _shown(webauthn.options_to_json(options))


def spend_challenge(*, acting: Acting, credential: Document) -> bytes | None:
    """The challenge that a new authenticator answers, good no more from now on, whatever comes of the answer; None
    where this session was not asked it, or has answered. Without a fresh proof it is left: the same answer may come
    again after one. Not to be called inside a transaction: a refusal would give it back.
    """
    challenge = _challenge(credential) if speaks_for_all(acting) and fresh(acting) else None
    return challenge if challenge is not None and take(acting, REGISTER, challenge) else None


def register(*, acting: Acting, credential: Document, challenge: bytes | None, device: str) -> Passkey:
    """Keep a new passkey, which answered the `challenge` that was spent; its owner is told on other devices.

    Raises Forbidden `other_provider`, `step_up_needed`; Invalid `passkey_unusable`; Conflict `too_many_passkeys`,
    `passkey_known`.
    """
    require_for_ways_in(acting, "passkey.registered")
    site = relying_party()
    if challenge is None:
        raise Invalid(code="passkey_unusable", refusal=Refusal("passkey.registered", "challenge"))
    made = _checked(
        lambda: webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origins,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
    )
    if made is None or not 0 < len(made.credential_id) <= LONGEST_ID:
        raise Invalid(code="passkey_unusable", refusal=Refusal("passkey.registered", "unusable"))
    said = (credential.get("response") or {}).get("transports")
    return _keep(
        acting,
        Passkey(
            id=new_id(),
            user_id=acting.user.id,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            backed_up=made.credential_backed_up,
            transports=sorted(TRANSPORTS.intersection(one for one in said if isinstance(one, str)))
            if isinstance(said, list)
            else [],
            device=device,
        ),
    )


@transaction.atomic
def _keep(acting: Acting, made: Passkey) -> Passkey:
    if own(acting.user.id).count() >= MOST:
        raise Conflict(code="too_many_passkeys")
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:  # somebody's, perhaps one that was taken away: its key is on the authenticator still
        raise Conflict(code="passkey_known") from None
    made.refresh_from_db(fields=["made_at"])
    record(Entry("passkey.registered", acting.actor, object_id=made.id))
    tell_owner(acting, "passkey_added", made.id)
    return made


@transaction.atomic
def remove(*, acting: Acting, passkey_id: UUID) -> None:
    """It proves nothing any more. Raises Forbidden `other_provider`, `step_up_needed`; NotFound, the same for foreign
    and missing."""
    require_for_ways_in(acting, "passkey.removed")
    if not own(acting.user.id).filter(id=passkey_id).update(removed_at=NOW):
        raise NotFound(refusal=Refusal("passkey.removed", "missing", object_id=passkey_id))
    record(Entry("passkey.removed", acting.actor, object_id=passkey_id))
    tell_owner(acting, "passkey_removed", passkey_id)


def proof_options(*, acting: Acting) -> Document:
    """What one of the person's own authenticators is asked (`navigator.credentials.get`). Raises Conflict
    `no_passkey`."""
    known = list(own(acting.user.id))
    if not known:
        raise Conflict(code="no_passkey")
    options = webauthn.generate_authentication_options(
        rp_id=relying_party().id,
        challenge=ask(acting, PROVE),
        allow_credentials=[_descriptor(one) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _shown(webauthn.options_to_json(options))


def prove(*, acting: Acting, credential: Document) -> datetime:
    """Prove who holds this session; returns when, by the database's time.

    The challenge is spent by the attempt, right or wrong. Raises Forbidden `proof_wrong`; `passkey_copied` when the
    authenticator's counter has gone back, so that two have the key: its owner is told.
    """
    site, challenge = relying_party(), _challenge(credential)
    if challenge is None or not take(acting, PROVE, challenge):
        raise wrong(PASSKEY, reason="challenge")
    known = _known(acting, credential)
    if known is None:
        raise wrong(PASSKEY, reason="unknown")
    said = _checked(
        lambda: webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origins,
            credential_public_key=bytes(known.public_key),
            credential_current_sign_count=0,  # compared below: that one is no forgery, and its owner is to know
            require_user_verification=True,
        )
    )
    if said is None:
        raise wrong(PASSKEY, object_id=known.id)
    at = _proved(acting, known, said.new_sign_count, backed_up=said.credential_backed_up)
    if at is None:  # after the commit in which its owner was told
        raise wrong(PASSKEY, reason="copied", code="passkey_copied", object_id=known.id)
    return at


@transaction.atomic
def _proved(acting: Acting, known: Passkey, count: int, *, backed_up: bool) -> datetime | None:
    """None when the counter has gone back. Authenticators that do not count always say 0 (§ 6.1.1). Of two who bring
    the same count at once, the row lets one through."""
    row = Passkey.objects.select_for_update(no_key=True).get(id=known.id)
    if (count or row.sign_count) and count <= row.sign_count:
        record(Entry("passkey.looks_copied", acting.actor, object_id=row.id))
        tell_owner(acting, "passkey_copied", row.id)
        return None
    row.sign_count, row.backed_up = count, backed_up
    row.save(update_fields=["sign_count", "backed_up"])
    Passkey.objects.filter(id=row.id).update(used_at=NOW)
    return note_proved(acting, PASSKEY)


def _known(acting: Acting, credential: Document) -> Passkey | None:
    said = credential.get("rawId")
    raw = _checked(lambda: base64url_to_bytes(said)) if isinstance(said, str) else None
    return own(acting.user.id).filter(credential_id=raw).first() if raw else None


def _challenge(credential: Document) -> bytes | None:
    """What the authenticator says that it was asked; whether it was, `take` says. None also for what was asked inside
    a page of another site (`crossOrigin`): we are never in one."""
    response = credential.get("response")
    said = response.get("clientDataJSON") if isinstance(response, dict) else None
    if not isinstance(said, str):
        return None
    read = _checked(lambda: parse_client_data_json(base64url_to_bytes(said)))
    return read.challenge if read is not None and not read.cross_origin else None


def _checked(check: Callable[[], T]) -> T | None:
    """None for what does not stand the check. An authenticator's answer is anybody's bytes, and whatever reading them
    raises is a no."""
    try:
        return check()
    except Exception as fault:  # noqa: BLE001 - see above
        log.info("passkey_refused", fault=type(fault).__name__)
        return None


def _descriptor(one: Passkey) -> PublicKeyCredentialDescriptor:
    known = [AuthenticatorTransport(word) for word in one.transports if word in TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=bytes(one.credential_id), transports=known or None)


def _shown(text: str) -> Document:
    document: Document = json.loads(text)
    return document
