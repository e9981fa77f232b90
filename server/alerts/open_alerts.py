"""What other floors may know of calls for help."""

from uuid import UUID

from server.people.models import Engagement


class OpenAlerts:
    """`rooms.ports.OpenAlerts`. Until calls for help are built, none is open."""

    def has_open(self, patient_id: UUID, engagement: Engagement) -> bool:
        return False
