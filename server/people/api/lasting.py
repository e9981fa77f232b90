"""How long a session's tokens are good, in every answer that gives them."""

from typing import Any

from rest_framework import serializers

from server.common.clock import now
from server.people.models import Session


class UntilOut(serializers.Serializer[Any]):
    expires_at = serializers.DateTimeField(help_text="The token opens doors until then, by the server's clock.")
    expires_in = serializers.IntegerField(
        min_value=0, help_text="The same in seconds from now: to be counted down, whatever the phone's clock says."
    )
    idle_until = serializers.DateTimeField(help_text="The session is over by then unless it is refreshed.")
    ends_at = serializers.DateTimeField(help_text="It is over by then in any case.")


def until(session: Session) -> dict[str, Any]:
    """Whole seconds, rounded down; nothing when an answer that was lost is given again too late."""
    return {
        "expires_at": session.expiry,
        "expires_in": max(0, int((session.expiry - now()).total_seconds())),
        "idle_until": session.idle_until,
        "ends_at": session.ends_at,
    }
