"""What the database refuses, whoever writes: laws 6, 7 and 8 do not rest on our code alone."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from server.alerts.models import Alert, AlertAlias, AlertEvent, Plan, Policy, Programme
from server.common.clock import now
from tests.alerts.base import NightTestCase


class Constraints(NightTestCase):
    def given(self) -> None:
        super().given()
        self.id = self.pressed()["id"]

    def refused(self, **fields: object) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.filter(id=self.id).update(**fields)

    def test_no_alert_waits_for_nobody(self) -> None:
        """Law 6."""
        nils = self.user_id("nils")
        self.refused(due_at=None)
        self.refused(duty="")
        self.refused(duty="responder")
        self.refused(responder=nils)
        self.refused(state="accepted")
        self.refused(state="in_contact", duty="router")
        self.refused(state="lost")
        self.refused(state="closed")
        self.refused(state="closed", due_at=None, duty="", closed_at=None)
        self.refused(state="handover_offered", responder=nils, duty="responder")
        Alert.objects.filter(id=self.id).update(state="accepted", responder=nils, duty="responder")

    def test_one_open_alert_for_one_patient(self) -> None:
        row = Alert.objects.filter(id=self.id).values().get()
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.create(**(row | {"id": uuid4()}))
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.create(**(row | {"id": uuid4(), "patient_id": None}))

    def test_no_programme_is_open_without_somebody_who_answers(self) -> None:
        for field, nothing in (("on_call_number", ""), ("final_number", ""), ("final_agreed_on", None)):
            with pytest.raises(IntegrityError), transaction.atomic():
                Programme.objects.filter(id=self.programme.id).update(**{field: nothing})

    def test_what_happened_stays_as_it_was_written(self) -> None:
        """Law 8; in raw SQL too, which the server's role could not even ask for."""
        AlertAlias.objects.create(id=uuid4(), alert_id=self.id)
        for model in (AlertEvent, AlertAlias, Policy, Plan):
            assert model.objects.exists(), model
            with pytest.raises(DatabaseError), transaction.atomic():
                model.objects.filter(pk=model.objects.first().pk).update(**{_time_of(model): now() - timedelta(days=1)})
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f'DELETE FROM "{model._meta.db_table}"')


def _time_of(model: type) -> str:
    return "made_at" if model in (Policy, Plan) else "at"
