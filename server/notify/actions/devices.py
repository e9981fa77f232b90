"""The verbs of one's own devices, telephone and mailbox. One transaction and one audit entry each."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, FieldError, Invalid, NotFound
from server.common.ids import new_id
from server.notify import endpoints, vapid
from server.notify.access import mine, open_address
from server.notify.actions.outbox import Order, enqueue
from server.notify.channels import configured
from server.notify.models import Address, AddressKind, AddressQuerySet, Channel, Delivery, DeliveryKind, Gone
from server.notify.sealed import Place, index_of, open_place, seal_place
from server.notify.topics import topic
from server.people.access import require_staff
from server.people.actors import Acting
from server.people.limits import require
from server.people.ports import OWNERS_TOLD
from server.people.step_up import is_limited

MOST = 10
"""Devices of one person; a further one takes the place of the oldest."""
TEST_TTL_S = 120
TESTED_BY = {AddressKind.PUSH: Channel.PUSH, AddressKind.PHONE: Channel.VOICE, AddressKind.EMAIL: Channel.EMAIL}


def vet(subscription: object, label: str = "") -> Place:
    """A browser's subscription, if we may send there. Looks the name up: to be called outside any transaction.

    Raises Invalid `push_endpoint`, with why not as the code of the field `subscription`.
    """
    try:
        found = endpoints.vetted(subscription)
    except endpoints.Forbidden as why:
        raise _unfit("subscription", str(why)) from None
    return Place(endpoint=found.endpoint, p256dh=found.p256dh, auth=found.auth, label=label)


def register_push(*, acting: Acting, subscription: object, label: str = "") -> Address:
    """`vet` and `keep_push` in one. Raises as they do."""
    return keep_push(acting=acting, place=vet(subscription, label))


def keep_push(*, acting: Acting, place: Place, key: str = "", replaces: UUID | None = None) -> Address:
    """Send pushes for this person to this device from now on; registered before, it is renewed. Registered by somebody
    else, it moves: one device speaks to one person. `key` is the one that it has subscribed with, as it was told;
    `replaces` the id under which the same device was known until now: it keeps its name, and the former address ends.
    A phone that staff let in takes the place of its own former address alone.

    Raises Conflict `no_push_here` where this installation has no key of its own; Invalid `push_endpoint` for a key that
    is none of ours any more.
    """
    if not vapid.keys():
        raise Conflict(code="no_push_here")
    said = vapid.by_public(key) if key else None
    if key and said is None:
        raise _unfit("key", "unknown_key")
    made_for = said.id if said is not None else ""
    index = index_of(AddressKind.PUSH, place)
    try:
        return _keep_push(acting, place, index, made_for, replaces)
    except IntegrityError:  # the same device is being registered at this moment: by now it is there
        return _keep_push(acting, place, index, made_for, replaces)


@transaction.atomic
def _keep_push(acting: Acting, place: Place, index: bytes, made_for: str, replaces: UUID | None) -> Address:
    at, devices = now(), Address.objects.live().filter(kind=AddressKind.PUSH)
    made_for = made_for or _made_for(index, at)
    mine = devices.select_for_update(no_key=True).filter(user=acting.user)
    found = mine.filter(index=index).first()
    if found is not None and not _is_this_session(found, acting) and not _is_same_browser(found, place):
        require(acting, "proof")
    for other in devices.select_for_update(no_key=True).filter(index=index).exclude(user=acting.user):
        _take_over(other, acting, place, at)
    former = mine.filter(id=replaces).exclude(index=index).first() if replaces is not None else None
    own_id = found.id if found is not None else new_id()
    if former is not None:
        _replace(former, own_id, acting, at)
    known = found or former
    if known is not None and not place.label:
        place = replace(place, label=open_place(known).label)
    if found is None:
        _make_room(mine, own_id, acting, at)
        found = Address(id=own_id, user=acting.user, kind=AddressKind.PUSH, index=index, made_at=at)
    found.sealed, found.vapid = seal_place(found.id, place), made_for
    found.session = acting.session.sid if acting.session is not None else None
    found.save()
    record(_entry("device.registered", acting, found.id))
    return found


def _is_this_session(device: Address, acting: Acting) -> bool:
    return acting.session is not None and device.session == acting.session.sid


def _is_same_browser(device: Address, place: Place) -> bool:
    """A browser's keys are made with its address, and never change while it has that."""
    known = open_place(device)
    return (known.p256dh, known.auth) == (place.p256dh, place.auth)


def _take_over(device: Address, acting: Acting, place: Place, at: datetime) -> None:
    """From somebody else. Where they have signed out it tells them nothing as it is."""
    heard = Address.objects.heard().filter(id=device.id).exists()
    if heard:
        require(acting, "proof")
        if not _is_same_browser(device, place):
            raise _unfit("subscription", "keys")
    _disable(device.id, Gone.REPLACED, at)
    record(Entry("device.moved", acting.actor, object_id=device.id, record_ids=(device.user_id,)))
    if heard:
        OWNERS_TOLD().tell(
            "way_in_changed", user_id=device.user_id, object_id=device.id, actor=acting.actor, code="device_moved"
        )


def _replace(device: Address, by: UUID, acting: Acting, at: datetime) -> None:
    """By another of the same person. Raises Forbidden `in_person_only`."""
    if not _is_this_session(device, acting):
        require(acting, "proof")
    _disable(device.id, Gone.REPLACED, at)
    record(replace(_entry("device.replaced", acting, device.id), record_ids=(by,)))


def _made_for(index: bytes, at: datetime) -> str:
    """For which of our keys a browser has subscribed that does not say so. A subscription never changes its key: one
    that we have seen, whoever's it was, is for the key it was for. Raises Invalid where that is none of ours any more.
    """
    seen = Address.objects.filter(kind=AddressKind.PUSH, index=index).order_by("-made_at")
    before, newest = seen.values_list("vapid", flat=True).first(), vapid.newest(at)
    if before is None:
        return newest.id if newest is not None else ""
    if before not in vapid.known():
        raise _unfit("key", "unknown_key")
    return before


def _make_room(mine: AddressQuerySet, by: UUID, acting: Acting, at: datetime) -> None:
    if acting.session is not None and is_limited(acting.session):
        for one in mine.filter(session=acting.session.sid):
            _replace(one, by, acting, at)
    for one in mine.order_by("-made_at", "-id")[MOST - 1 :]:
        _replace(one, by, acting, at)


@transaction.atomic
def rename(*, acting: Acting, address_id: UUID, name: str) -> Address:
    """Call a device by another name, which is its owner's alone. Raises NotFound for whatever is no device of one's
    own, or gone."""
    address = open_address(acting, address_id)
    if address.kind != AddressKind.PUSH:
        raise NotFound
    address.sealed = seal_place(address.id, replace(open_place(address), label=name))
    address.save(update_fields=["sealed"])
    record(_entry("device.named", acting, address.id))
    return address


@transaction.atomic
def remove(*, acting: Acting, address_id: UUID) -> None:
    """Send nothing there any more. Raises NotFound for whatever is not one's own, or gone already."""
    _disable(open_address(acting, address_id).id, Gone.REMOVED, now())
    record(_entry("device.removed", acting, address_id))


@transaction.atomic
def set_reach(*, acting: Acting, phone: str, email: str) -> None:
    """Where else somebody at work can be reached: `phone` in E.164, `email`; empty: nowhere. What has not changed keeps
    what is known of it.

    Raises Forbidden `staff_only`.
    """
    require_staff(acting)
    at = now()
    for kind, to in ((AddressKind.PHONE, phone), (AddressKind.EMAIL, email)):
        _set(acting, kind, Place(to=to), at)
    record(_entry("reach.set", acting, acting.user.id))


def _set(acting: Acting, kind: AddressKind, place: Place, at: datetime) -> None:
    known = mine(acting).filter(kind=kind).select_for_update(no_key=True).first()
    index = index_of(kind, place) if place.to else None
    if known is not None and index is not None and bytes(known.index) == index:
        return
    if known is not None:
        _disable(known.id, Gone.REPLACED if place.to else Gone.REMOVED, at)
    if index is not None:
        made = Address(id=new_id(), user=acting.user, kind=kind, index=index)
        made.sealed = seal_place(made.id, place)
        made.session = acting.session.sid if acting.session is not None else None
        made.save(force_insert=True)


@transaction.atomic
def test(*, acting: Acting, address_id: UUID) -> Delivery:
    """Send a test there: a push, a call that is confirmed by a key, a mail. It has worked when the address says that
    it has received something. One that still waits to be sent there is it: whoever tests again holds up nobody else.

    Raises NotFound; Conflict `no_means` where this installation has no such channel.
    """
    address = open_address(acting, address_id)
    channel = TESTED_BY[AddressKind(address.kind)]
    if channel not in configured():
        raise Conflict(code="no_means")
    record(_entry("device.tested", acting, address.id))
    tests = Delivery.objects.filter(about=address.id, kind=DeliveryKind.TEST, address=address)
    if (waiting := tests.open().first()) is not None:  # the address is locked: no other begins meanwhile
        return waiting
    order = Order(
        id=new_id(),
        kind=DeliveryKind.TEST,
        about=address.id,
        user_id=acting.user.id,
        channel=channel,
        address_id=address.id,
        language=acting.user.language,
        urgent=False,  # whoever tests must not stand before a page
        ttl_s=TEST_TTL_S,
        topic=topic("test", address.id, address.id),
    )
    enqueue([order])
    return Delivery.objects.get(id=order.id)


def _unfit(field: str, code: str) -> Invalid:
    error: FieldError = {"field": field, "code": code, "detail": ""}
    return Invalid(code="push_endpoint", errors=[error])


def _disable(address_id: UUID, why: Gone, at: datetime) -> None:
    Address.objects.live().filter(id=address_id).update(disabled_at=at, disabled_because=why)


def _entry(type_: str, acting: Acting, object_id: UUID) -> Entry:
    patient = acting.patient
    return Entry(
        type_,
        acting.actor,
        subject_id=patient.id if patient is not None else None,
        object_id=object_id,
        basis="self",
    )
