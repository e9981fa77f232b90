"""REST for devices, and for what devices and the gateway say: parse, call, answer."""

from collections.abc import Mapping
from typing import IO, Any, ClassVar
from uuid import UUID

from django.db import connection
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.clock import now
from server.common.errors import Conflict, Unauthenticated
from server.common.idempotency import idempotent
from server.common.limiting import spend
from server.common.pagination import KeyCursorPagination
from server.common.proxies import address_key
from server.notify import actions, callbacks, vapid
from server.notify.access import mine
from server.notify.actions.devices import keep_push, vet
from server.notify.models import Address, AddressKind
from server.notify.sealed import Place, open_place
from server.notify.signing import SIGNATURE, TIMESTAMP
from server.people.access import require_staff
from server.people.actors import Acting, acting
from server.people.api.shapes import TelephoneField
from server.people.decide import Need

NO_STORE = {"Cache-Control": "no-store"}


class KeyOut(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="`applicationServerKey`: the uncompressed point, base64url.")


class KeysIn(serializers.Serializer[Any]):
    p256dh = serializers.CharField(max_length=200)
    auth = serializers.CharField(max_length=200)


class SubscriptionIn(serializers.Serializer[Any]):
    """As `PushSubscription.toJSON()` gives it."""

    endpoint = serializers.CharField(max_length=2000)
    keys = KeysIn()


class DeviceIn(serializers.Serializer[Any]):
    subscription = SubscriptionIn()
    name = serializers.CharField(max_length=60, required=False, default="", allow_blank=True)
    key = serializers.CharField(
        max_length=100,
        required=False,
        default="",
        allow_blank=True,
        help_text="The `applicationServerKey` that it has subscribed with; without, the newest.",
    )
    replaces = serializers.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Under which id this same device was registered until now: it ends, and its name goes on.",
    )


class DeviceNameIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60, allow_blank=True)


class DeviceOut(serializers.Serializer[Any]):
    """`received_at` alone proves that the device works; `accepted_at` is the push service's word."""

    id = serializers.UUIDField()
    name = serializers.SerializerMethodField()
    registered_at = serializers.DateTimeField(source="made_at")
    accepted_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField(allow_null=True)
    current = serializers.SerializerMethodField(
        help_text="Made for the newest key; else it must subscribe again, and gets everything until then."
    )

    def get_name(self, address: Address) -> str:
        return open_place(address).label

    def get_current(self, address: Address) -> bool:
        newest: vapid.Key | None = self.context["newest"]
        return newest is not None and address.vapid == newest.id


class TestOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(
        help_text="The test; when it has come back, the device's `received_at` is later than now."
    )


class ReachIn(serializers.Serializer[Any]):
    phone = TelephoneField(max_length=40, allow_blank=True, default="")
    email = serializers.EmailField(max_length=254, allow_blank=True, default="")


class ReachOut(serializers.Serializer[Any]):
    """The ids are those to test them by."""

    phone = serializers.CharField(allow_blank=True)
    phone_id = serializers.UUIDField(allow_null=True)
    phone_received_at = serializers.DateTimeField(allow_null=True)
    email = serializers.CharField(allow_blank=True)
    email_id = serializers.UUIDField(allow_null=True)


class StateOut(serializers.Serializer[Any]):
    state = serializers.CharField()


class PushKey(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="The key that browsers subscribe with", responses=KeyOut)
    def get(self, request: Request) -> Response:
        acting(request)
        key = vapid.newest(now())
        if key is None:
            raise Conflict(code="no_push_here")
        return Response({"key": key.public})


class Devices(APIView):
    """Devices that get pushes for me."""

    needs: ClassVar[Need] = "nothing"

    pagination_class = KeyCursorPagination
    place: Place
    said: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The endpoint's name is looked up before anything is locked."""
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            said = DeviceIn(data=request.data)
            said.is_valid(raise_exception=True)
            if not connection.in_atomic_block:
                connection.close()  # back to the pool: a name server may take its time
            self.said = said.validated_data
            self.place = vet(self.said["subscription"], self.said["name"])

    @extend_schema(summary="My devices", responses=DeviceOut(many=True))
    def get(self, request: Request) -> Response:
        pages = KeyCursorPagination()
        rows = mine(acting(request)).filter(kind=AddressKind.PUSH)
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(DeviceOut(page, many=True, context=_newest()).data)

    @extend_schema(
        summary="Send pushes to this device from now on",
        description=(
            "Doing it again renews it. A device that somebody else had registered is mine from now on, and they are "
            "told. 400 `push_endpoint` with the field `key`: it has subscribed with a key that has ended, and must do "
            "so anew; so it must after `subscription`/`keys`, and 403 `in_person_only` on a phone that staff let in: "
            "somebody else's device stays theirs."
        ),
        request=DeviceIn,
        responses={201: DeviceOut},
        examples=[
            OpenApiExample(
                "A browser",
                value={
                    "subscription": {
                        "endpoint": "https://push.example.com/wpush/v2/gAAAA",
                        "keys": {
                            "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQ",
                            "auth": "tBHItJI5svbpez7KI4CCXg",
                        },
                    },
                    "name": "Min telefon",
                },
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = keep_push(acting=acting(request), place=self.place, key=self.said["key"], replaces=self.said["replaces"])
        return Response(DeviceOut(made, context=_newest()).data, status=status.HTTP_201_CREATED)


def _newest() -> dict[str, Any]:
    return {"newest": vapid.newest(now())}


class Device(APIView):
    needs: ClassVar[dict[str, Need]] = {"PATCH": "nothing", "DELETE": "proof"}

    @extend_schema(
        summary="Call it by another name",
        description="Nobody else sees what I call it.",
        request=DeviceNameIn,
        responses=DeviceOut,
        examples=[OpenApiExample("A telephone", value={"name": "Jobbtelefonen"}, request_only=True)],
    )
    def patch(self, request: Request, device_id: UUID) -> Response:
        said = DeviceNameIn(data=request.data)
        said.is_valid(raise_exception=True)
        named = actions.rename(acting=acting(request), address_id=device_id, name=said.validated_data["name"])
        return Response(DeviceOut(named, context=_newest()).data)

    @extend_schema(summary="Send it nothing any more", responses={204: None})
    def delete(self, request: Request, device_id: UUID) -> Response:
        actions.remove(acting=acting(request), address_id=device_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DeviceTest(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="Send a test",
        description="A push; to a telephone a call, confirmed by the key 1; to a mailbox a mail. One's own alone.",
        request=None,
        responses={202: TestOut},
    )
    @idempotent
    def post(self, request: Request, device_id: UUID) -> Response:
        made = actions.test(acting=acting(request), address_id=device_id)
        return Response({"id": str(made.id)}, status=status.HTTP_202_ACCEPTED)


class Reach(APIView):
    """Where else I can be reached at work."""

    @extend_schema(summary="My telephone and mailbox", responses=ReachOut)
    def get(self, request: Request) -> Response:
        who = acting(request)
        require_staff(who)
        return Response(_reach(who), headers=NO_STORE)

    @extend_schema(summary="Set them; empty takes away", request=ReachIn, responses=ReachOut)
    def put(self, request: Request) -> Response:
        said = ReachIn(data=request.data)
        said.is_valid(raise_exception=True)
        who = acting(request)
        actions.set_reach(acting=who, phone=said.validated_data["phone"], email=said.validated_data["email"])
        return Response(_reach(who), headers=NO_STORE)


def _reach(who: Acting) -> dict[str, Any]:
    known = {one.kind: one for one in mine(who).filter(kind__in=(AddressKind.PHONE, AddressKind.EMAIL))}
    phone, email = known.get(AddressKind.PHONE), known.get(AddressKind.EMAIL)
    return dict(
        ReachOut(
            {
                "phone": open_place(phone).to if phone is not None else "",
                "phone_id": phone.id if phone is not None else None,
                "phone_received_at": phone.received_at if phone is not None else None,
                "email": open_place(email).to if email is not None else "",
                "email_id": email.id if email is not None else None,
            }
        ).data
    )


class _Open(APIView):
    """Whoever holds the token may say it: no session, and no limit that could hold back an answer."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    for_help = True


class PageReceipt(_Open):
    @extend_schema(summary="This device has received it", request=None, responses=StateOut, auth=[])
    def post(self, request: Request, token: str) -> Response:
        return Response(actions.received(token=token), headers=NO_STORE)


class PageAccept(_Open):
    @extend_schema(
        summary="I take it",
        description="409 `already_accepted` when somebody else has. Said again, it answers what was done first.",
        request=None,
        responses=StateOut,
        auth=[],
    )
    def post(self, request: Request, token: str) -> Response:
        return Response(actions.answered(token=token, accept=True), headers=NO_STORE)


class PageDecline(_Open):
    @extend_schema(summary="I cannot", request=None, responses=StateOut, auth=[])
    def post(self, request: Request, token: str) -> Response:
        return Response(actions.answered(token=token, accept=False), headers=NO_STORE)


class AsSent(BaseParser):
    """The octets: what is signed is what was sent."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, bytes]:
        return {"body": stream.read(callbacks.LONGEST + 1)}


class CallbackIn(serializers.Serializer[Any]):
    event = serializers.UUIDField(help_text="Of this very event: said again, it does nothing.")
    id = serializers.UUIDField(help_text="Of the order that it is about.")
    what = serializers.ChoiceField(choices=["ringing", "answered", "delivered", "key", "ended", "failed"])
    key = serializers.CharField(required=False)
    code = serializers.CharField(required=False)


class GatewayCallback(_Open):
    parser_classes = (AsSent,)

    @extend_schema(
        summary="What became of a text or a call",
        description="For the gateway alone, which signs it; docs/notify.md says how.",
        request=CallbackIn,
        responses=StateOut,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        body = request.data["body"] if isinstance(request.data, dict) and "body" in request.data else b""
        try:
            said = callbacks.verified(body, request.headers.get(TIMESTAMP, ""), request.headers.get(SIGNATURE, ""))
        except Unauthenticated:
            # What is signed by the gateway is never counted.
            spend("callback", address_key(request.META.get("REMOTE_ADDR", "")))
            raise
        return Response(callbacks.act(said))
