"""Who may follow a call for help live is who may see it over REST: two ways to ask, one answer."""

from server.alerts import doors, following
from server.alerts.authentication import find_key
from server.alerts.models import Alert, AlertKey
from server.common.errors import NotFound
from server.people.actors import Acting, acting_in
from server.people.authentication import authenticate_token
from tests.alerts.base import NightTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

EVERYBODY = ("are", "trine", "kari", "frida", "vera", "sara", "nils", "ida", "mona", "ola", "admin")


class Following(NightTestCase):
    def by_the_door(self, who: Acting | AlertKey, alert: Alert) -> tuple[str, str] | None:
        try:
            opened = doors.open_alert(who, alert.id)
        except NotFound:
            return None
        return opened.seen_as, opened.basis

    def test_the_door_and_the_circle_agree(self) -> None:
        """Red when one of the two forgets the team, the engagement acted for, the raiser or an exclusion."""
        key = find_key(self.trine_key())
        assert key is not None
        self.pressed("trine")
        self.pressed("kari", patient=str(self.patient_id("are")))
        self.exclude("ida")
        self.exclude("kari", by="are")
        alerts = list(Alert.objects.select_related(*doors.ALERTS))
        circle = following.circle(alerts)
        people = {name: acting_in(authenticate_token(self.person(name).token)) for name in EVERYBODY}
        met = set()
        for name, who in {**people, "key": key}.items():
            user = who.patient.user_id if isinstance(who, AlertKey) else who.user.id
            around = following.open_around([user]) if user else []
            for alert in alerts:
                opened = circle.opened(who, alert)
                found = (opened.seen_as, opened.basis) if opened is not None else None
                assert found == self.by_the_door(who, alert), (name, alert.raised_from)
                if found is not None:
                    met.add(found[0])
                    assert alert in around, "and it is looked for"
                    assert user in circle.users
        assert met == {"patient", "team"}
        self.person("are").delete(f"exclusions/{self.user_id('kari')}")
        opened = following.circle(alerts).opened(people["kari"], Alert.objects.get(raised_from="staff"))
        assert opened is not None
        assert opened.seen_as == "raiser"
