"""A deny does not disappear with its row."""

from server.consent.models import Consent, Version
from tests.base import TownTestCase
from tests.support.database import unguarded


class TakenAway(TownTestCase):
    def test_exclusions_that_were_deleted_whole_are_missed(self) -> None:
        """Somebody with the owner's rights switches the triggers off and deletes the record and all its versions: while
        the log knows of it, everybody but the patient is denied. Red without `exclusions_logged`."""
        room = self.open_shared_room()
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id("vera"))})
        assert self.person("kari").get(f"{room.path}/events").status_code == 200
        with unguarded():
            record = Consent.objects.get(form="exclusions")
            Version.objects.filter(consent=record).delete()
            record.delete()
        assert self.person("kari").get(f"{room.path}/events").status_code == 404
        assert self.person("vera").get(f"{room.path}/events").status_code == 404
        assert self.person("are").get(f"{room.path}/events").status_code == 200
