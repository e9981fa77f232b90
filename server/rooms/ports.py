"""What rooms need that is built, or will be, on other floors; bound in `server/wiring.py`."""

from typing import Protocol
from uuid import UUID

from server.common.ports import Port
from server.people.models import Engagement


class OpenAlerts(Protocol):
    """Calls for help (M3) as far as emergency access rests on them."""

    def has_open(self, patient_id: UUID, engagement: Engagement) -> bool:
        """Whether the patient has a call for help open that this engagement's unit answers. `patient_id` may be
        nobody's: it is asked all the same, so that time does not tell a room that is missing from one that is not."""


OPEN_ALERTS: Port[OpenAlerts] = Port("rooms.OpenAlerts")
