"""`organisations` and `directory`: who in each organisation, in which role (S9)."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.pagination import KeyCursorPagination
from server.people.access import directory
from server.people.actors import acting
from server.people.api import shapes
from server.people.api.paging import page_of
from server.people.decide import Need
from server.people.models import Unit


class Organisations(APIView):
    """Units with their controller, contact points, agreed response time and office hours."""

    needs: ClassVar[Need] = "nothing"

    pagination_class = KeyCursorPagination

    @extend_schema(summary="Organisations", responses=shapes.OrganisationOut(many=True))
    def get(self, request: Request) -> Response:
        at = acting(request).at
        units = Unit.objects.select_related("controller").prefetch_related("contact_points__user")
        page = page_of(units, request, self)
        return page.answer(shapes.OrganisationOut, [shapes.organisation_shape(unit, at) for unit in page.rows])


class Directory(APIView):
    """Staff by organisation and role."""

    pagination_class = KeyCursorPagination

    @extend_schema(
        summary="Staff directory",
        description="403 `reason_needed` to privacy officers, who look people up for a reason.",
        parameters=[shapes.DirectoryQuery],
        responses=shapes.DirectoryOut(many=True),
    )
    def get(self, request: Request) -> Response:
        asked = shapes.DirectoryQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = directory(
            acting=acting(request),
            words=asked.validated_data.get("q", ""),
            unit_id=asked.validated_data.get("unit"),
            role=asked.validated_data.get("role", ""),
        )
        page = page_of(found, request, self)
        return page.answer(shapes.DirectoryOut, [shapes.directory_shape(one) for one in page.rows])
