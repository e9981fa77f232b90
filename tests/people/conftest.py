"""Fixtures: the demo town, clients signed in as its people, and a witness for what the port and the hints say."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from server.common import hints
from server.people.demo import build_town
from server.people.models import Patient, User
from server.people.ports import ACCESS_EFFECTS
from server.vault import actions as vault
from tests.support import database

SignedIn = Callable[[str], APIClient]


class Effects:
    """Stands for the rooms: remembers what it was told, and may fail."""

    def __init__(self) -> None:
        self.engagements: list[UUID] = []
        self.agreements: list[UUID] = []
        self.fails = False

    def engagement_ended(self, engagement_id: UUID) -> None:
        if self.fails:
            raise RuntimeError
        self.engagements.append(engagement_id)

    def agreement_ended(self, agreement_id: UUID) -> None:
        if self.fails:
            raise RuntimeError
        self.agreements.append(agreement_id)


@pytest.fixture(autouse=True)
def fresh_vault() -> Iterator[None]:
    """Keys of a database that was rolled back are nobody's."""
    vault.forget_keys()
    yield
    vault.forget_keys()


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> Effects:
    witness = Effects()
    monkeypatch.setattr(ACCESS_EFFECTS, "_bound", witness)
    return witness


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Hints that were sent: (kind, id). Only what committed is sent."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(hints, "send", lambda some: told.extend((one.kind, one.id) for one in some))
    return told


@pytest.fixture
def town(db: None, effects: Effects) -> None:
    database.load_town(build_town)


@pytest.fixture
def signed_in(town: None) -> SignedIn:
    """`signed_in("kari")` is a client that carries Kari's token."""

    def sign_in(persona: str) -> APIClient:
        client = APIClient()
        answer = client.post("/api/v1/demo/sign-in", {"persona": persona}, format="json")
        assert answer.status_code == 200, answer.content
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
        return client

    return sign_in


def user(persona: str) -> User:
    return User.objects.get(username=persona)


def patient(persona: str) -> Patient:
    return Patient.objects.get(user__username=persona)
