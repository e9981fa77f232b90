"""Emergency access rests on an open call for help too (L3): for the team that answers it, and as long as it is open."""

from tests.alerts.base import NightTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

EMERGENCY = {"ground": "life_danger", "reason": "Har ringt, svarer ikke lenger"}


class Emergency(NightTestCase):
    def test_while_it_is_open(self) -> None:
        """Ida's unit has no relation to Are. Red when `OpenAlerts` knows of none, or of what is closed."""
        room = self.open_shared_room()
        ida, frida = self.person("ida"), self.person("frida")
        path = f"{room.path}/emergency-access"
        assert ida.post(path, EMERGENCY).status_code == 404, "no relation, no call"
        alert = self.pressed("are")["id"]
        assert ida.post(path, EMERGENCY).status_code == 201
        assert ida.get(f"{room.path}/events").status_code == 200
        assert frida.get(f"alerts/{alert}").status_code == 404, "in the room, and not in the team"
        for verb, body in (
            ("accept", {}),
            ("in-contact", {}),
            ("close", {"outcome": "helped_by_phone", "children": "none"}),
        ):
            ida.ok("post", f"alerts/{alert}/{verb}", body)
        assert ida.post(path, EMERGENCY).status_code in (404, 409)
