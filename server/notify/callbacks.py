"""What the gateway tells us: believed when it is signed and fresh, and acted on once."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from server.common.clock import now
from server.common.errors import Conflict, Invalid, NotFound, Unauthenticated, Unavailable
from server.common.parsers import Unfit, loads
from server.notify import decide
from server.notify.actions.answers import note_answer, note_failure, note_received
from server.notify.models import OPEN, CallbackSeen, Channel, Delivery
from server.notify.signing import is_signed

LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Callback:
    event: UUID
    delivery: UUID
    what: str
    key: str
    code: str


def verified(body: bytes, timestamp: str, signature: str) -> Callback:
    """Raises Unauthenticated `bad_signature`; Invalid `malformed` for what is signed and makes no sense."""
    if not is_signed(settings.ENV.gateway_secret, timestamp, signature, body, now().timestamp()):
        raise Unauthenticated(code="bad_signature")
    found = parsed(body)
    if found is None:
        raise Invalid(code="malformed")
    return found


def parsed(body: bytes) -> Callback | None:
    """None for whatever is no callback. Pure."""
    try:
        said = loads(body.decode()) if len(body) <= LONGEST else None
    except (Unfit, UnicodeDecodeError):
        return None
    if not isinstance(said, dict):
        return None
    words = [said.get(name, "") for name in ("event", "id", "what", "key", "code")]
    if not all(isinstance(word, str) for word in words):
        return None
    event, delivery, what, key, code = words
    try:
        return Callback(UUID(event), UUID(delivery), what, key, code) if what in decide.WORDS else None
    except ValueError:
        return None


def act(callback: Callback) -> dict[str, object]:
    """Do what it says, once; `state` is for the gateway to say to whoever has pressed a key.

    Raises NotFound for a delivery that never went through the gateway; Unavailable when it is being sent at this
    moment: the gateway says it again.
    """
    try:
        with transaction.atomic():
            return _act(callback)
    except Conflict as late:  # nothing is wrong with the callback: there is something to say to whoever pressed
        return {"state": late.code}


def _act(callback: Callback) -> dict[str, object]:
    delivery = Delivery.objects.filter(id=callback.delivery, channel__in=(Channel.SMS, Channel.VOICE)).first()
    if delivery is None:
        raise NotFound
    if not _first_time(callback.event):
        return {"state": "seen"}
    said = decide.meaning(
        delivery.channel, callback.what, callback.key, callback.code, answered=bool(delivery.answered)
    )
    if said.act in ("accept", "decline"):
        return note_answer(delivery.id, accept=said.act == "accept", key_press=True)
    if said.act == "received":
        return note_received(delivery.id)
    if said.act == "failed":
        if delivery.state in OPEN:
            raise Unavailable  # that it was taken is not written yet
        note_failure(delivery.id, said.code)
    return {"state": "noted"}


def _first_time(event: UUID) -> bool:
    try:
        with transaction.atomic():  # a savepoint, or the transaction would be lost with the insert
            CallbackSeen(event=event).save(force_insert=True)
    except IntegrityError:
        return False
    return True
