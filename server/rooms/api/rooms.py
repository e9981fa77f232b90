"""REST for rooms: parse, call, answer."""

from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.errors import Conflict, Invalid, NotFound, Refusal
from server.common.idempotency import idempotent
from server.people.access import open_patient
from server.people.actors import acting
from server.people.decide import Need
from server.people.names import display_names
from server.rooms import actions, looks, marks, overview, writing
from server.rooms import serializers as s
from server.rooms.access import open_room
from server.rooms.models import Member, Room
from server.rooms.posting import Message
from server.rooms.serializers import heard
from server.rooms.timeline import Want, read


class Rooms(generics.ListAPIView[Room]):
    serializer_class = s.RoomView

    @extend_schema(summary="My rooms", responses=s.RoomView(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        me = acting(request)
        page = self.paginate_queryset(overview.rooms_of(me)) or []
        cards = overview.cards(me, list(page))
        looks.record_cards(me, cards)
        return self.get_paginated_response([s.room_view(card) for card in cards])

    @extend_schema(
        summary="Open a room: propose people and ask the patient in one call",
        request=s.OpenRoom,
        responses={201: s.RoomView},
        examples=[
            OpenApiExample(
                "Kari opens a room for Are",
                request_only=True,
                value={
                    "patient": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "purpose": "coordination",
                    "propose": ["01890a5d-ac96-774b-bcce-b302099a8058"],
                },
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me, said = acting(request), heard(s.OpenRoom, request.data)
        room = actions.open_new_room(
            acting=me, patient_id=said["patient"], purpose=said["purpose"], people=said["propose"]
        )
        return Response(_card(request, room), status=201)

    def recheck(self, request: Request) -> dict[str, Any]:
        me, said = acting(request), heard(s.OpenRoom, request.data)
        open_patient(me, said["patient"])
        mine = overview.rooms_of(me).filter(patient_id=said["patient"], purpose=said["purpose"])
        cards = overview.cards(me, list(mine))
        if not cards:
            raise NotFound(refusal=Refusal("room.opened", "ended"))
        return s.room_view(cards[0])


def _card(request: Request, room: Room) -> dict[str, Any]:
    cards = overview.cards(acting(request), [room])
    if not cards:  # access came or went between the act and this look
        raise Conflict(code="try_again")
    return s.room_view(cards[0])


class OneRoom(APIView):
    @extend_schema(summary="One room", responses=s.RoomView)
    def get(self, request: Request, room_id: UUID) -> Response:
        me = acting(request)
        room = overview.rooms_of(me).filter(id=room_id).first()
        found = overview.cards(me, [room]) if room is not None else []
        if not found:
            open_room(me, room_id, act="room.viewed")
            raise Conflict(code="try_again")  # access came between the two questions
        if found[0].permit is None:
            looks.record_cards(me, found)
        else:
            looks.record_look(me, found[0].permit, "room.viewed")
        return Response(s.room_view(found[0]))


class Members(APIView):
    @extend_schema(summary="Who is here, and who is proposed", responses=s.MemberList)
    def get(self, request: Request, room_id: UUID) -> Response:
        members = looks.members(acting=acting(request), room_id=room_id)
        names = display_names({member.user_id for member in members})
        return Response({"results": [s.member_view(member, names) for member in members], "next": None})

    @extend_schema(
        summary="Propose somebody; they are told nothing before the patient's consent covers them",
        request=s.Propose,
        responses={201: s.MemberView},
    )
    @idempotent
    def post(self, request: Request, room_id: UUID) -> Response:
        said = heard(s.Propose, request.data)
        member = actions.propose(acting=acting(request), room_id=room_id, user_id=said["user"])
        return Response(s.member_view(member, display_names({member.user_id})), status=201)

    def recheck(self, request: Request, room_id: UUID) -> None:
        actions.recheck(acting=acting(request), room_id=room_id)

    def restate(self, answer: dict[str, Any], request: Request, room_id: UUID) -> dict[str, Any]:
        """Whoever only waits is told of nobody that they are in."""
        waits = actions.waits(acting=acting(request), room_id=room_id)
        return answer | {"state": Member.State.PROPOSED} if waits else answer


class OneMember(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="The patient takes part, follows, or stays away", request=s.Participate, responses=s.MemberView
    )
    def patch(self, request: Request, room_id: UUID, member_id: UUID) -> Response:
        said = heard(s.Participate, request.data)
        member = actions.participate(
            acting=acting(request), room_id=room_id, member_id=member_id, participation=said["participation"]
        )
        return Response(s.member_view(member, display_names({member.user_id})))

    @extend_schema(summary="Take somebody out, leave, or take back a proposal", responses={204: None})
    def delete(self, request: Request, room_id: UUID, member_id: UUID) -> Response:
        actions.remove(acting=acting(request), room_id=room_id, member_id=member_id)
        return Response(status=204)


class Events(APIView):
    @extend_schema(
        summary="The timeline",
        description="`after`: the oldest events after that seq; `before`: the newest before it; neither: the newest. "
        "`next` goes on in the same direction.",
        parameters=[s.PageQuery],
        responses=s.EventPage,
    )
    def get(self, request: Request, room_id: UUID) -> Response:
        said = heard(s.PageQuery, request.query_params)
        after, before = said.get("after"), said.get("before")
        if after is not None and before is not None and before <= after:
            raise Invalid(errors=[{"field": "before", "code": "invalid", "detail": _("Must lie beyond `after`.")}])
        page = looks.look(acting=acting(request), room_id=room_id, after=after, before=before, limit=said["limit"])
        if page.ahead:
            raise Invalid(code="cursor_ahead")
        return Response(
            {
                "results": [event.view(room_id) for event in page.events],
                "next": _next(request, page, said) if page.more and page.events else None,
                "head": page.head,
            }
        )


def _next(request: Request, page: looks.Page, said: dict[str, Any]) -> str:
    query = {"after": page.events[-1].seq} if "after" in said else {"before": page.events[0].seq}
    if "after" in said and "before" in said:
        query["before"] = said["before"]
    query["limit"] = said["limit"]
    return request.build_absolute_uri(request.path + "?" + "&".join(f"{k}={v}" for k, v in query.items()))


def _message(request: Request) -> Message:
    said = heard(s.PostMessage, request.data)
    return Message(said["txn_id"], said["body"], said["kind"], said.get("reply_to"))


class Messages(APIView):
    throttle_scope = "message"

    @extend_schema(
        summary="Write a message",
        description="201 the event; 200 the same event on a retry; 409 `txn_id_reused` for another body.",
        request=s.PostMessage,
        responses={201: s.EventView, 200: s.EventView},
        examples=[
            OpenApiExample(
                "A message",
                request_only=True,
                value={"txn_id": "b1d7", "body": "I can't on 11 Nov, can I change?", "kind": "text"},
            )
        ],
    )
    @idempotent
    def post(self, request: Request, room_id: UUID) -> Response:
        message = _message(request)
        posted, _ = writing.post(acting=acting(request), room_id=room_id, message=message)
        return Response(_event(room_id, posted.seq), status=201 if posted.created else 200)

    def recheck(self, request: Request, room_id: UUID) -> None:
        writing.permit_to_post(acting(request), room_id, _message(request))


class Edit(APIView):
    @extend_schema(summary="Correct one's own message", request=s.EditMessage, responses={201: s.EventView})
    @idempotent
    def post(self, request: Request, room_id: UUID, seq: int) -> Response:
        said = heard(s.EditMessage, request.data)
        row = writing.edit(acting=acting(request), room_id=room_id, seq=seq, body=said["body"])
        return Response(_event(room_id, row.seq), status=201)

    def recheck(self, request: Request, room_id: UUID, seq: int) -> None:
        writing.recheck_written(acting=acting(request), room_id=room_id)


class Retract(APIView):
    @extend_schema(summary="Take back one's own message", request=None, responses={201: s.EventView})
    @idempotent
    def post(self, request: Request, room_id: UUID, seq: int) -> Response:
        row = writing.retract(acting=acting(request), room_id=room_id, seq=seq)
        return Response(_event(room_id, row.seq), status=201)

    def recheck(self, request: Request, room_id: UUID, seq: int) -> None:
        writing.recheck_written(acting=acting(request), room_id=room_id)


def _event(room_id: UUID, seq: int) -> dict[str, Any]:
    """The sender's own event, as everybody gets it. It is committed: its answer never says that it was not sent, even
    when the sender's access has ended since."""
    chunk = read([Want(room_id, after=seq - 1, upto=seq, limit=1)])[room_id]
    return chunk.events[0].view(room_id)


class Read(APIView):
    @extend_schema(summary="I have read up to here; forward only", request=s.ReadUpTo, responses=s.ReceiptView)
    def put(self, request: Request, room_id: UUID) -> Response:
        said = heard(s.ReadUpTo, request.data)
        permit = open_room(acting(request), room_id, act="read.marked")
        if permit.ahead(said["seq"], permit.head):
            raise Invalid(code="cursor_ahead")
        if permit.basis == "emergency":  # no member, so no mark: that they were here is in the timeline and the log
            return Response(_receipt(marks.Receipt(permit.user_id, 0, 0)))
        marks.save([marks.Mark(permit.member_id, room_id, said["seq"], said["seq"])])
        mine = [one for one in marks.receipts([room_id])[room_id].receipts if one.user_id == permit.user_id]
        if not mine:  # access ended in this moment
            open_room(acting(request), room_id, act="read.marked")
        return Response(_receipt(mine[0]))


class AllReceipts(APIView):
    @extend_schema(summary="Delivered and read, per member", responses=s.Receipts)
    def get(self, request: Request, room_id: UUID) -> Response:
        found = looks.receipts(acting=acting(request), room_id=room_id)
        return Response({"results": [_receipt(one) for one in found], "next": None})


def _receipt(receipt: marks.Receipt) -> dict[str, Any]:
    return {"user": str(receipt.user_id), "delivered": receipt.delivered, "read": receipt.read}
