"""A field that does not open (bit rot, a restored vault, a hand in the database) hides itself and nothing else."""

import pytest
from django.utils.translation import override
from structlog.testing import capture_logs

from server.people import sealed
from server.people.models import Patient
from server.people.names import patient_names
from server.review.surnames import surnames_of
from server.vault.errors import MasterKeyFault
from tests.base import TownTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only
WORDS = {"en": "(cannot be read)", "nb": "(kan ikke leses)", "nn": "(kan ikkje lesast)"}


class Damaged(TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        sealed.told.cache_clear()
        self.trine = self.damaged("trine")

    def damaged(self, user: str) -> Patient:
        Patient.objects.filter(user__username=user).update(name_sealed=b"\x00" * 80, phone_sealed=b"\x00" * 80)
        return Patient.objects.get(user__username=user)

    def test_it_is_said_in_three_languages_and_nothing_else_is_lost(self) -> None:
        """Red when `Destroyed` alone is expected."""
        for language, words in WORDS.items():
            with override(language):
                person = sealed.open_person(self.trine)
                assert (person.name, person.phone) == (words, "")
                others = patient_names(Patient.objects.exclude(id=self.trine.id).select_related())
                assert words not in others.values()
                assert patient_names([self.trine]) == {self.trine.id: words}

    def test_who_else_may_answer_is_not_said_to_be_nobody(self) -> None:
        self.trine.others_may_answer_sealed = b"\x00" * 80
        with override("en"):
            assert sealed.open_person(self.trine).safe_contact.others_may_answer == WORDS["en"]

    def test_the_log_says_which_and_why_once(self) -> None:
        with capture_logs() as lines:
            for _ in range(3):
                sealed.open_name(self.trine.name_sealed, self.trine.id)
        said = {"event": "field_unreadable", "log_level": "error", "place": sealed.NAME, "row": str(self.trine.id)}
        assert [{name: one[name] for name in said} for one in lines] == [said]
        assert set(lines[0]) == {*said, "reason"}

    def test_missing_master_keys_are_an_operators_fault(self) -> None:
        """Red when everything that the vault raises is shown as lost content."""
        with pytest.MonkeyPatch.context() as patched:

            def fault(*_: object, **__: object) -> str:
                raise MasterKeyFault

            patched.setattr(sealed.vault, "unseal", fault)
            for opened in (
                lambda: sealed.open_name(self.trine.name_sealed, self.trine.id),
                lambda: sealed.open_person(self.trine),
            ):
                with pytest.raises(MasterKeyFault):
                    opened()

    def test_two_that_cannot_be_read_are_no_relatives(self) -> None:
        """Red when the words that stand for a name are compared as one."""
        are = self.damaged("are")
        with override("en"):
            assert surnames_of([], [self.trine.id, are.id]) == {self.trine.id: "", are.id: ""}
