"""A query whose SQL is kept gives what the query itself gives."""

from typing import Any

from django.db import models

from server.common.prepared import Prepared
from server.people.demo import personas
from server.people.models import Session
from tests.base import TownTestCase

FULL: Prepared[Session] = Prepared(lambda digest: Session.objects.in_full().filter(digest=digest))


def told(one: models.Model, came_with: models.Model | None = None) -> dict[str, Any]:
    """Everything that was read: fields, what was left out, and the same of whatever came with it."""
    said: dict[str, Any] = {name: value for name, value in vars(one).items() if name not in ("_state", "read_at")}
    said |= {"type": type(one), "deferred": one.get_deferred_fields(), "new": one._state.adding, "db": one._state.db}
    for name, other in one._state.fields_cache.items():
        back = other is came_with or not isinstance(other, models.Model)
        said[f"with {name}"] = other if back else told(other, one)
    return said


class Full(TownTestCase):
    def test_every_persona(self) -> None:
        """Staff, patients, officers and administrators: joins that find a row and joins that find none."""
        for name in personas():
            digest = Session.objects.get(sid=self.person(name).ok("get", "me")["session"]["id"]).digest
            with self.subTest(persona=name):
                with self.assertNumQueries(1):
                    kept = FULL.first(digest)
                asked = Session.objects.in_full().get(digest=digest)
                assert kept is not None
                assert told(kept) == told(asked)
                assert type(kept.read_at) is type(asked.read_at)
                assert kept.read_at <= asked.read_at
                with self.assertNumQueries(0):
                    assert kept.user.username == name

    def test_each_value_anew(self) -> None:
        kari, frida = (Session.objects.get(user=self.person(name).user_id) for name in ("kari", "frida"))
        assert [FULL.first(one.digest) for one in (kari, frida, kari)] == [kari, frida, kari]
        Session.objects.filter(pk=kari.pk).update(end_reason="signed_out", ended_at=kari.expiry)
        again = FULL.first(kari.digest)
        assert again is not None
        assert again.end_reason == "signed_out"

    def test_nothing_found(self) -> None:
        for value in ("", "?", "x' OR '1'='1"):
            assert FULL.first(value) is None
