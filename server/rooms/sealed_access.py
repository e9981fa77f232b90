"""What is sealed of an emergency access, and whether the seal holds: nobody lets themself in by way of the database."""

import structlog
from pydantic import ValidationError

from server.consent import sealing
from server.consent.document import EmergencyDocument
from server.rooms.models import EmergencyAccess
from server.vault.errors import MasterKeyFault, Unreadable

log = structlog.get_logger(__name__)


def document_of(access: EmergencyAccess) -> EmergencyDocument:
    """What the row says of itself."""
    return EmergencyDocument(
        id=access.id,
        room=access.room_id,
        user=access.user_id,
        engagement=access.engagement_id,
        ground=access.ground,
        begun=access.begun_at,
        until=access.until,
        hidden=access.hidden,
        tell_at=access.tell_at,
    )


def believed(access: EmergencyAccess) -> bool:
    """Whether the row is as it was sealed; an alarm in the server's log when it is not."""
    try:
        sound = sealing.holds(access.document, access.hash, bytes(access.signature), access.key, sealing.EMERGENCY)
        same = EmergencyDocument.model_validate_json(access.document) == document_of(access)
    except (Unreadable, MasterKeyFault, ValidationError):
        sound = same = False
    if not (sound and same):
        log.critical("emergency_access_unreadable", access=str(access.id))
    return sound and same
