"""Rate limits per person: generous for people, tight enough for a runaway client."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle

if TYPE_CHECKING:  # the framework loads this module while it loads its own views
    from rest_framework.views import APIView


class ActThrottle(UserRateThrottle):
    """Requests that change something."""

    scope = "act"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return request.method in SAFE_METHODS or super().allow_request(request, view)


class LookThrottle(UserRateThrottle):
    """Requests that read."""

    scope = "look"

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return request.method not in SAFE_METHODS or super().allow_request(request, view)
