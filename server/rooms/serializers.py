"""How rooms are said and heard."""

from typing import Any

from rest_framework import serializers

from server.common.sql import rfc3339
from server.consent.forms import purposes
from server.rooms.actions import MAX_MEMBERS
from server.rooms.models import EventType, Member, Participation
from server.rooms.overview import RoomCard
from server.rooms.posting import KINDS, MAX_BODY, MAX_TXN

BIG = 2**62
MEMBER_STATES = ("proposed", "joined")


def heard(kind: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """What the client said, checked; raises DRF's ValidationError."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class OpenRoom(serializers.Serializer[Any]):
    patient = serializers.UUIDField()
    purpose = serializers.ChoiceField(choices=sorted(purposes()), default="coordination")
    propose = serializers.ListField(child=serializers.UUIDField(), max_length=MAX_MEMBERS, default=list)


class ConsentRef(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.CharField()


class LastEvent(serializers.Serializer[Any]):
    type = serializers.CharField()
    created_at = serializers.DateTimeField()


class RoomView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    patient = serializers.UUIDField()
    patient_name = serializers.CharField()
    purpose = serializers.CharField()
    participation = serializers.ChoiceField(choices=Participation.choices)
    head = serializers.IntegerField()
    unread = serializers.IntegerField()
    last_event = LastEvent(allow_null=True)
    consent = ConsentRef(allow_null=True)
    next_attended_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.BooleanField()


def room_view(card: RoomCard) -> dict[str, Any]:
    """One room as the contract's list has it; times RFC 3339 UTC."""
    return {
        "id": str(card.room.id),
        "patient": str(card.room.patient_id),
        "patient_name": card.patient_name,
        "purpose": card.room.purpose,
        "participation": card.participation,
        "head": card.head,
        "unread": card.unread,
        "last_event": {"type": card.last_type, "created_at": rfc3339(card.last_at)} if card.last_at else None,
        "consent": {"id": str(card.consent_id), "state": card.consent_state} if card.consent_id else None,
        "next_attended_at": rfc3339(card.next_attended) if card.next_attended else None,
        "waiting": card.permit is None,
    }


class Propose(serializers.Serializer[Any]):
    user = serializers.UUIDField()


class Participate(serializers.Serializer[Any]):
    participation = serializers.ChoiceField(choices=Participation.choices)


class MemberView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    user = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["patient", "staff"])
    state = serializers.ChoiceField(choices=MEMBER_STATES)
    role = serializers.CharField()
    unit = serializers.UUIDField(allow_null=True)
    unit_name = serializers.CharField()
    controller_name = serializers.CharField()
    participation = serializers.CharField(allow_null=True)


class MemberList(serializers.Serializer[Any]):
    """Everybody, on one page: a room has at most `MAX_MEMBERS`."""

    results = MemberView(many=True)
    next = serializers.CharField(allow_null=True)


def member_view(member: Member, names: dict[Any, str]) -> dict[str, Any]:
    engagement = member.engagement
    return {
        "id": str(member.id),
        "user": str(member.user_id),
        "name": names.get(member.user_id, ""),
        "kind": "patient" if engagement is None else "staff",
        "state": member.state,
        "role": engagement.role if engagement else "",
        "unit": str(engagement.unit_id) if engagement else None,
        "unit_name": engagement.unit.name if engagement else "",
        "controller_name": engagement.unit.controller.name if engagement else "",
        "participation": member.participation if engagement is None else None,
    }


class PageQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(min_value=0, max_value=BIG, required=False)
    before = serializers.IntegerField(min_value=1, max_value=BIG, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)


class EventView(serializers.Serializer[Any]):
    room = serializers.UUIDField()
    seq = serializers.IntegerField()
    type = serializers.ChoiceField(choices=EventType.choices)
    sender = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    content = serializers.DictField()


class EventPage(serializers.Serializer[Any]):
    results = EventView(many=True)
    next = serializers.CharField(allow_null=True)
    head = serializers.IntegerField()


class PostMessage(serializers.Serializer[Any]):
    txn_id = serializers.CharField(max_length=MAX_TXN, trim_whitespace=False)
    body = serializers.CharField(max_length=MAX_BODY, trim_whitespace=False)
    kind = serializers.ChoiceField(choices=KINDS, default="text")
    reply_to = serializers.IntegerField(min_value=1, max_value=BIG, required=False, allow_null=True)


class EditMessage(serializers.Serializer[Any]):
    body = serializers.CharField(max_length=MAX_BODY, trim_whitespace=False)


class ReadUpTo(serializers.Serializer[Any]):
    seq = serializers.IntegerField(min_value=0, max_value=BIG)


class ReceiptView(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    delivered = serializers.IntegerField()
    read = serializers.IntegerField()


class Receipts(serializers.Serializer[Any]):
    results = ReceiptView(many=True)
    next = serializers.CharField(allow_null=True)
