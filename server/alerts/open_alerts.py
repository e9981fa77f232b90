"""What other floors may know of calls for help."""

from uuid import UUID

from server.alerts.models import Alert, TeamMember
from server.people.models import Engagement


class OpenAlerts:
    """`rooms.ports.OpenAlerts`."""

    def has_open(self, patient_id: UUID, engagement: Engagement) -> bool:
        """One statement, whether there is such a patient or not."""
        answering = TeamMember.objects.current().filter(engagement=engagement).values("programme_id")
        open_ones = Alert.objects.filter(patient_id=patient_id, programme_id__in=answering).exclude(state="closed")
        return open_ones.exists()
