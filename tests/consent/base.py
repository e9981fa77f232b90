"""The town, with helpers for what the consent engine does.

«Red when …» in a test names the mutation that it is there for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from server.common.clock import now
from server.consent import verify
from server.consent.models import Consent, Version
from server.duties.models import Duty
from server.people.models import Unit
from tests.base import JSON, Opened, Town

SCAN = "ab" * 32


class Consenting(Town):
    def unit(self, name: str) -> Unit:
        return Unit.objects.get(name=name)

    def consent(self, room: Opened) -> Consent:
        return Consent.objects.select_related("patient").get(id=room.consent)

    def shown(self, room: Opened, by: str = "are") -> JSON:
        """The consent as its patient reads it."""
        told: JSON = self.person(by).ok("get", room.asks)
        return told

    def history(self, consent_id: Any, by: str = "are") -> JSON:
        told: JSON = self.person(by).ok("get", f"consents/{consent_id}/history")
        return told

    def says(self, room: Opened, verb: str, by: str = "are", **said: Any) -> JSON:
        """The patient answers, with whatever is said; success."""
        told: JSON = self.person(by).ok("post", f"{room.asks}/{verb}", said)
        return told

    def refuses(self, answer: Any, status: int, code: str) -> JSON:
        document: JSON = answer.json() if answer.content else {}
        assert (answer.status_code, document.get("code")) == (status, code), (answer.status_code, answer.content)
        return document

    def field(self, answer: Any, name: str, code: str = "invalid") -> None:
        """A 400 that names this field and no other."""
        document = self.refuses(answer, 400, "invalid")
        assert [(one["field"], one["code"]) for one in document["errors"]] == [(name, code)], document

    def exclude(self, name: str, by: str = "are") -> JSON:
        told: JSON = self.person(by).ok("post", "exclusions", {"user": str(self.user_id(name))})
        return told

    def lift(self, name: str, by: str = "are") -> JSON:
        told: JSON = self.person(by).ok("delete", f"exclusions/{self.user_id(name)}")
        return told

    def exclusions_of(self, patient: str = "are") -> Consent:
        return Consent.objects.select_related("patient").get(patient_id=self.patient_id(patient), form="exclusions")

    def duties(self, **conditions: Any) -> list[Duty]:
        return list(Duty.objects.filter(**conditions).order_by("id"))

    def inside(self, room: Opened, *names: str) -> set[str]:
        """Those of `names` who can read the room now."""
        found = {name: self.person(name).get(f"{room.path}/events").status_code for name in names}
        assert set(found.values()) <= {200, 403, 404}, found
        return {name for name, status in found.items() if status == 200}

    @contextmanager
    def environment(self, **changed: Any) -> Iterator[None]:
        with self.settings(ENV=settings.ENV.model_copy(update=changed)):  # type: ignore[attr-defined]
            yield


def ago(**much: float) -> str:
    return (now() - timedelta(**much)).isoformat()


def ahead(**much: float) -> datetime:
    return now() + timedelta(**much)


def faults(consent: Consent | UUID) -> set[str]:
    """The codes of what is wrong with a consent, by all of its versions."""
    id_ = consent if isinstance(consent, UUID) else consent.id
    return {one.code for one in verify.faults(Consent.objects.select_related("patient").get(id=id_))}


def newest(consent: Consent | UUID) -> Version:
    id_ = consent if isinstance(consent, UUID) else consent.id
    return Version.objects.filter(consent_id=id_).latest("number")
