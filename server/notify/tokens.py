"""What a notification carries to answer for itself: names one delivery, opens nothing else, and lies in no table."""

import base64
import binascii
import hmac
from uuid import UUID

from django.utils.crypto import salted_hmac

from server.common.errors import NotFound

MAC_BYTES = 16
_SALT = "server.notify.page"


def page_token(delivery_id: UUID) -> str:
    """43 url-safe characters: the delivery and a MAC under the installation's secret."""
    return base64.urlsafe_b64encode(delivery_id.bytes + _mac(delivery_id)).decode().rstrip("=")


def delivery_of(token: str) -> UUID:
    """The delivery that a token names. Raises NotFound for whatever is no token of ours; in constant time."""
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise NotFound from None
    if len(raw) != 16 + MAC_BYTES:
        raise NotFound
    found = UUID(bytes=raw[:16])
    if not hmac.compare_digest(_mac(found), raw[16:]):
        raise NotFound
    return found


def _mac(delivery_id: UUID) -> bytes:
    return salted_hmac(_SALT, delivery_id.bytes, algorithm="sha256").digest()[:MAC_BYTES]
