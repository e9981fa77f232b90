"""Counts each request for whoever sends it: the person, the device, the address, and the operation where it has a limit
of its own (`throttle_scope` by the person, `device_scope` by the session; they count what is not a GET). A view with
`throttle_classes = ()` counts nothing: those of calls for help, the list of one's sessions and ending them, and
refreshing tokens, which counts by itself once it knows whose they are. What is refused before this is counted by
`server/common/counting.py`."""

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from server.common.counting import address_of, count, kind_of

if TYPE_CHECKING:  # the framework loads this module while it loads its own views
    from rest_framework.views import APIView


class Throttle(BaseThrottle):
    """Raises TooMany; what is left goes out with the answer (`server/common/headers.py`)."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        plain = request._request  # noqa: SLF001 - where the answer's headers are taken from
        user_id, sid = getattr(request.user, "id", None), getattr(request.auth, "sid", None)
        more = []
        if kind_of(plain) == "act":
            if own := getattr(view, "throttle_scope", None):
                more.append((own, str(user_id or address_of(plain))))
            if sid and (own := getattr(view, "device_scope", None)):
                more.append((own, str(sid)))
        count(plain, user_id=user_id, sid=sid, more=more)
        return True
