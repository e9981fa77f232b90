"""The alert key on a patient's own phone: from the key to the patient, in one statement (L5).

It is not a session: `people.actors.acting` refuses it, so no other door opens to it. It does not run out, and using it
often does not end it. What is unknown, malformed or revoked is answered alike.
"""

import hashlib
import re
import secrets

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from server.alerts.models import AlertKey
from server.audit.entry import Actor
from server.common.errors import Unauthenticated
from server.common.language import speak_to
from server.people.models import User

SCHEME = "alert-key"
KEY = re.compile(r"[A-Za-z0-9_-]{43}\Z")
SIGN_IN = "alert_key"


def new_key() -> str:
    """256 random bits, as they are written into the phone."""
    return secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """What is kept of it. The key has as many random bits as the digest: no salt, no stretching."""
    return hashlib.sha256(key.encode()).hexdigest()


def find_key(key: str) -> AlertKey | None:
    """The key's row with its patient and their user, while it is not revoked; one statement, or none for what is not
    shaped like a key. The socket asks this too."""
    if not KEY.match(key):
        return None
    rows = AlertKey.objects.filter(digest=digest_of(key), revoked_at=None).select_related("patient__user")
    return next(iter(rows.defer("patient__nin_sealed", "patient__nin_index")), None)


def actor_of_key(key: AlertKey) -> Actor:
    """What the log says about an act with the key: the patient's, from their phone."""
    return Actor(user_id=key.patient.user_id, role="patient", sign_in=SIGN_IN)


class AlertKeyAuthentication(BaseAuthentication):
    """`Authorization: Alert-Key <key>`; for the views of calls for help alone. `request.auth` is the `AlertKey`.

    The account behind it may be closed meanwhile: the key still raises a call for help.
    """

    def authenticate(self, request: Request) -> tuple[User, AlertKey] | None:
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        found = find_key(key.strip())
        if found is None or found.patient.user is None:
            raise Unauthenticated
        user = found.patient.user
        request._request.acting_user_id = user.id  # type: ignore[attr-defined] # noqa: SLF001 - for the log line
        speak_to(request._request, user.language)  # noqa: SLF001 - what the language was chosen for
        return user, found

    def authenticate_header(self, request: Request) -> str:
        return "Alert-Key"


class AlertKeyScheme(OpenApiAuthenticationExtension):
    """How OpenAPI shows it."""

    target_class = AlertKeyAuthentication
    name = "alertKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Alert-Key <key>`: raises, cancels and follows its patient's call for help, nothing else.",
        }
