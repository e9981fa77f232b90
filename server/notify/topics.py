"""Under which name a newer notification takes an older one's place, and how long a message's waits: both are MACs under
the installation's secret, so that whoever sees them learns nothing of what they were made from."""

import base64
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac


def topic(what: str, about: object, address_id: UUID | None) -> str:
    """32 characters, as a push service takes them (RFC 8030 section 5.4): the same for one matter on one device.
    Another device has another, so that push services cannot tell that two belong together."""
    return base64.urlsafe_b64encode(_keyed("topic", f"{what} {about} {address_id}")[:24]).decode()


def spread(delivery_id: UUID) -> timedelta:
    """So much longer a message's notice waits: up to `NOTICE_SPREAD_S`, for a time of its own. Devices of one room do
    not ring together (law 9)."""
    part = int.from_bytes(_keyed("delay", str(delivery_id))[:4]) / 2**32
    return timedelta(seconds=settings.ENV.notice_spread_s * part)


def _keyed(what: str, text: str) -> bytes:
    return salted_hmac(f"samsnakk.notice.{what}", text, algorithm="sha256").digest()
