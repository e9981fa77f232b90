"""What comes back: a device's receipt, a person's answer. Whoever holds the token of a delivery, or the gateway that
carried it, says it; each is done once."""

from uuid import UUID

from django.db import transaction

from server.common.clock import now
from server.common.errors import Conflict, NotFound
from server.notify.models import Address, Delivery, DeliveryKind, State
from server.notify.ports import keeper
from server.notify.silence import is_signed_out
from server.notify.tokens import delivery_of
from server.notify.words import ANSWERABLE


class _AnsweredMeanwhile(Exception):
    """On the same device, or by a key in the same call."""


STATES = {"accept": "accepted", "decline": "declined"}


def received(*, token: str) -> dict[str, object]:
    """The device has it. Raises NotFound."""
    return note_received(delivery_of(token))


def answered(*, token: str, accept: bool, key_press: bool = False) -> dict[str, object]:
    """The person accepts or declines. Said again, or the other way round, it answers what was done first, as long as
    that stands: whoever has accepted, and has it no longer, is told so.

    `told`: whoever answers a duty telephone is nobody whom we know, so that nobody has it yet. Raises NotFound; what
    the keeper raises: Conflict `already_accepted` when somebody else has it, or `old_page`, and never who.
    """
    return note_answer(delivery_of(token), accept=accept, key_press=key_press)


@transaction.atomic
def note_received(delivery_id: UUID) -> dict[str, object]:
    """As `received`. The keeper is told once, and before its delivery is touched (`recording.settle`)."""
    delivery = _find(delivery_id)
    if delivery.received_at is None:
        delivery.received_at = now()
        keeper(delivery.kind).received(delivery)
        if Delivery.objects.filter(id=delivery.id, received_at=None).update(received_at=delivery.received_at):
            _works(delivery)
    return {"state": "received"}


def note_answer(delivery_id: UUID, *, accept: bool, key_press: bool) -> dict[str, object]:
    """As `answered`."""
    try:
        try:
            return _answer(delivery_id, accept=accept, key_press=key_press)
        except _AnsweredMeanwhile:  # what the keeper was told a second time has been undone
            return _answer(delivery_id, accept=accept, key_press=key_press)
    except Conflict as lost:  # a token lies on a locked device, and is no session
        raise Conflict(code=lost.code) from None


@transaction.atomic
def _answer(delivery_id: UUID, *, accept: bool, key_press: bool) -> dict[str, object]:
    delivery = _find(delivery_id)
    if delivery.kind == DeliveryKind.TEST and key_press and accept:
        return note_received(delivery_id)
    if delivery.kind not in ANSWERABLE:
        raise NotFound
    how = "key" if key_press else "button"
    if delivery.answered:
        return {"state": _stands(delivery, how)}
    if is_signed_out(delivery):  # the device may be in other hands: nobody takes a call for help in somebody's name
        raise Conflict(code="old_page")
    delivery.answered, delivery.received_at = ("accept" if accept else "decline"), delivery.received_at or now()
    done = keeper(delivery.kind).answered(delivery, accept, how)
    mine = Delivery.objects.filter(id=delivery.id, answered="")
    if not mine.update(answered=delivery.answered, received_at=delivery.received_at):
        raise _AnsweredMeanwhile
    _works(delivery)
    return {"state": done["state"]}


def _stands(delivery: Delivery, how: str) -> str:
    """What was answered before. That it was accepted is the keeper's to say anew: it may have been taken from them."""
    if delivery.answered == "accept" and delivery.user_id is None:
        return "told"
    if delivery.answered == "accept" and delivery.kind == DeliveryKind.PAGE:
        keeper(delivery.kind).answered(delivery, True, how)
    return STATES[delivery.answered]


@transaction.atomic
def note_failure(delivery_id: UUID, code: str) -> bool:
    """The network could not deliver what it had taken, or nobody answered: whoever waits takes another way now. False
    when there is nothing to change."""
    delivery = _find(delivery_id)
    if delivery.state != State.ACCEPTED or delivery.answered:
        return False
    delivery.state, delivery.code = State.FAILED, code
    keeper(delivery.kind).failed(delivery, code, final=True)
    mine = Delivery.objects.filter(id=delivery.id, state=State.ACCEPTED, answered="")
    return bool(mine.update(state=State.FAILED, code=code))


def _find(delivery_id: UUID) -> Delivery:
    found = Delivery.objects.with_end().select_related("user").filter(id=delivery_id).first()
    if found is None:
        raise NotFound
    return found


def _works(delivery: Delivery) -> None:
    if delivery.address_id is not None:
        Address.objects.filter(id=delivery.address_id).update(received_at=delivery.received_at)
