"""Erasing, committed for real: killed after any key, and twice at once; on both engines."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings

from server.common.clock import now
from server.people.models import Patient
from server.review import erasing
from server.review.models import Erasure
from server.review.reasons import seal_reason
from server.vault import actions as vault
from server.vault import erased
from server.vault.models import DataKey
from tests.base import TownTransactionTestCase
from tests.support.threads import at_once


class Killed(Exception):
    """As if the process were gone."""


class Committed(TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.list = settings.ENV.var_dir / "erased-for-real.jsonl"
        self.list.unlink(missing_ok=True)
        more = settings.ENV.model_copy(update={"erased_keys_file": self.list})
        self.enterContext(self.settings(ENV=more))
        room = self.open_shared_room()
        self.post(room, "are", "hemmelig")
        self.withdraw(room)
        self.are = Patient.objects.get(user__username="are")
        self.keys = erasing.keys_of(self.are)
        then, controller = now() - timedelta(days=1), self.engagement_of("kari").unit.controller
        self.erasure = Erasure.objects.create(
            patient=self.are,
            asked_by_id=self.user_id("ola"),
            asked_for=controller,
            reason_sealed=seal_reason("Pasienten krever sletting.", place="x.y", row=self.are.id),
            confirmed_at=then,
            confirmed_by_id=self.user_id("officer2"),
            not_before=then,
            begun_at=then,
            begun_by_id=self.user_id("ola"),
            begun_for=controller,
        )

    def living(self) -> int:
        return DataKey.objects.filter(id__in=self.keys, destroyed_at=None).count()

    def test_killed_after_each_key(self) -> None:
        """What is destroyed stays so and is on the list and in the log; the next look goes on. Red when a key is
        listed after it is destroyed, or the end is written before the last."""
        real = vault.destroy_key
        for gone in range(1, len(self.keys) + 1):

            def once(key: Any, **more: Any) -> None:
                was = self.living()
                real(key, **more)
                if self.living() < was:
                    raise Killed

            with patch("server.review.erasing.vault.destroy_key", once), pytest.raises(Killed):
                erasing.tick()
            vault.forget_keys()
            assert self.living() == len(self.keys) - gone
            assert len(erased.read(self.list)) == gone
            assert len(self.audit(type="key.destroyed")) == gone
            assert Erasure.objects.get().done_at is None
        assert erasing.tick() == 1
        assert Erasure.objects.get().done_at is not None

    def test_killed_before_the_commit(self) -> None:
        """Listed, and not destroyed: that had been decided, and the next look does it."""
        with patch("server.review.custody.KeyCustody.record_destruction", side_effect=Killed), pytest.raises(Killed):
            erasing.tick()
        assert self.living() == len(self.keys)
        assert len(erased.read(self.list)) == 1
        assert erasing.tick() == 1
        assert self.living() == 0

    def test_twice_at_once(self) -> None:
        """Two processes carry on with the same: it is done once. Red when the end is not written on its condition."""
        assert sum(at_once([erasing.tick, erasing.tick])) == 1
        assert self.living() == 0
        assert len(self.audit(type="key.destroyed")) == len(self.keys)
        assert len(self.audit(type="erasure.done")) == 1
