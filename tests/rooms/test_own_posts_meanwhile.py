"""What happens to an author's right between the decision and the reading of a page, or just after it (law 5)."""

from collections.abc import Callable
from typing import Any
from unittest import mock

from server.common.clock import now
from server.people.models import Engagement
from server.rooms import own_posts
from server.rooms.models import Member
from tests.base import TownTestCase
from tests.rooms.test_own_posts import Exporting


class Meanwhile(Exporting, TownTestCase):
    """What happens between the decision and the reading, or just after it, decides anew (law 5)."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "frida", "fra Frida")

    def while_reading(self, happens: Callable[[], object], *, before: bool) -> Any:
        read, left = own_posts._read, [happens]

        def reading(*args: Any) -> Any:
            found = read(*args) if not before else None
            if left:
                left.pop()()
            return found or read(*args)

        with mock.patch.object(own_posts, "_read", reading):
            return self.person("frida").get(f"{self.room.path}/own-posts")

    def test_a_member_is_excluded(self) -> None:
        """Red when the epoch is not compared."""
        assert self.while_reading(lambda: self.exclude("frida"), before=True).status_code == 404

    def test_a_members_consent_is_withdrawn(self) -> None:
        """Red when the epoch is not compared: they would be told that their right has no end."""
        answer = self.while_reading(lambda: self.withdraw(self.room), before=True)
        assert answer.status_code == 200
        assert answer.json()["until"] is not None
        assert len(self.audit(type="own_posts.exported")) == 1

    def test_somebody_who_has_left_is_excluded(self) -> None:
        """No epoch need rise. Red when `export` does not decide once more after reading."""
        self.take_out("frida", by="frida")
        epochs = Member.objects.filter(room_id=self.room.id).values_list("room__access_epoch", flat=True)
        before = set(epochs)
        assert self.while_reading(lambda: self.exclude("frida"), before=False).status_code == 404
        assert set(epochs.all()) == before, "else this tests something else"
        assert self.audit(type="own_posts.exported", outcome="success") == []

    def test_the_engagement_of_somebody_who_has_left_ends(self) -> None:
        """Red when `export` does not decide once more after reading."""
        self.take_out("frida", by="frida")

        def ends_now() -> None:
            Engagement.objects.filter(user__username="frida").update(ended_at=now())

        assert self.while_reading(ends_now, before=False).status_code == 404
