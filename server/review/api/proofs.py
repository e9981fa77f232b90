"""REST for verifying: proofs and details of single events, and the entries of the whole log for log verifiers."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.access import open_tile
from server.audit.reading import entries
from server.audit.tiles import bundle
from server.common.files import AsItIs
from server.people.actors import acting
from server.review import proofs

TREE = OpenApiParameter("tree", int, OpenApiParameter.PATH, description="Number of the tree, from 1.")
REST = OpenApiParameter("rest", str, OpenApiParameter.PATH, description="As of hash tiles: `x001/067.p/128`.")


class DisclosureView(serializers.Serializer[Any]):
    """SHA-256 of the salt's bytes and the text of the details is what the entry holds as `detail`."""

    id = serializers.UUIDField()
    salt = serializers.CharField(allow_null=True, help_text="32 bytes, hex; null without details, or once erased.")
    detail = serializers.CharField(allow_null=True, help_text="Their exact text, which is JSON.")


class Proof(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="A proof that one event is in the log",
        description="For officers of a controller that it concerns, and for the patient. 409 `not_sealed_yet` for at "
        "most a second after the event: try again after `Retry-After`.",
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request, event_id: UUID) -> HttpResponse:
        said = proofs.proof(acting=acting(request), event_id=event_id)
        return _file(said.encode(), "text/plain; charset=utf-8", f"{event_id}.tlog-proof")


class EventEntry(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="One event as it was sealed, byte for byte: what its proof proves",
        description="For whoever gets the proof. 403 `shielded` to a patient while an employer shields somebody whom "
        "it names.",
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, event_id: UUID) -> HttpResponse:
        said = proofs.entry(acting=acting(request), event_id=event_id)
        return _file(said.encode(), "application/json", f"{event_id}.json")


class Disclosure(APIView):
    @extend_schema(
        summary="The details of one event, and the salt with which the log committed to them",
        description="For whoever gets the proof: officers once they have had the case revealed (403 `reveal_first`), "
        "patients while no employer shields somebody whom entry or details name (403 `shielded`).",
        responses=DisclosureView,
    )
    def get(self, request: Request, event_id: UUID) -> Response:
        salt, text = proofs.disclosure(acting=acting(request), event_id=event_id)
        said = {"id": str(event_id), "salt": salt, "detail": text}
        return Response(said, headers={"Cache-Control": "no-store"})


class Entries(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Entries of the newest tree, for log verifiers",
        description="Personal data of every controller's patients and staff; each bundle is on record before it is "
        "given. 403 `log_verifier_only` to everybody else.",
        parameters=[REST],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, rest: str) -> HttpResponse:
        return _entries(request, None, rest)


class TreeEntries(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Entries of one tree, for log verifiers",
        description="As of the newest tree.",
        parameters=[TREE, REST],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, tree: int, rest: str) -> HttpResponse:
        return _entries(request, tree, rest)


def _entries(request: Request, tree: int | None, rest: str) -> HttpResponse:
    me = acting(request)
    proofs.require_verifier(me)
    tile = open_tile(tree, "entries", rest, newest=True)
    proofs.record_entries(acting=me, tree=tile.tree, first=tile.first, count=tile.width)
    return _file(bundle(entries(tile.tree, tile.number, tile.width)), "application/octet-stream", "")


def _file(body: bytes, content_type: str, name: str) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return HttpResponse(body, content_type=content_type, headers=headers)
