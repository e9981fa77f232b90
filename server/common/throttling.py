"""Counts each request for whoever sends it: the person, the device, the address, and the operation where it has a limit
of its own (`throttle_scope`, which counts what is not a GET). A view with `throttle_classes = ()` counts nothing: those
of calls for help, and refreshing tokens, which counts by itself once it knows whose they are."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from server.common.limiting import spend_each
from server.common.proxies import address_key

if TYPE_CHECKING:  # the framework loads this module while it loads its own views
    from rest_framework.views import APIView


class Throttle(BaseThrottle):
    """Raises TooMany; what is left goes out with the answer (`server/common/headers.py`)."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        address = address_key(request.META.get("REMOTE_ADDR", ""))
        user = getattr(request.user, "id", None)
        who = str(user) if user else address
        kind = "look" if request.method in SAFE_METHODS else "act"
        spent = [("address", address), (kind, who)]
        if sid := getattr(request.auth, "sid", None):
            spent.insert(1, ("device", str(sid)))
        if kind == "act" and (own := getattr(view, "throttle_scope", None)):
            spent.append((own, who))
        request._request.limit_shown = spend_each(spent)  # type: ignore[attr-defined] # noqa: SLF001 - for its headers
        return True
