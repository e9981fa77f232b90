"""The demo town: invented agencies, personas and two synthetic patients (brief, «Who uses it»).

The data are in `demo_town.json`. Organisation numbers begin with 3, as the synthetic ones of the national register do;
the months of identity numbers are raised by 40. The legal basis of each controller (GDPR articles and statute, L1) is
demo data, invented to be plausible, and no advice: a lawyer confirms the real ones before production.
"""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.errors import NotFound
from server.people import actions
from server.people.access import current_engagement
from server.people.actors import acting_for
from server.people.models import ContactPoint, Controller, Officer, Patient, Unit, User
from server.people.sealed import SafeContact, number_index

TOWN = Path(__file__).with_name("demo_town.json")


@cache
def town() -> dict[str, Any]:
    """The demo town's data, as in the file."""
    data: dict[str, Any] = json.loads(TOWN.read_text(encoding="utf-8"))
    return data


def personas() -> list[str]:
    """Usernames that may sign in by name in demo mode."""
    return [one["username"] for group in ("patients", "staff", "officers", "administrators") for one in town()[group]]


def persona(username: str) -> User:
    """The persona's user.

    Raises NotFound for anybody else, whether or not such a user exists.
    """
    user = User.objects.filter(username=username).first() if username in personas() else None
    if user is None:
        raise NotFound
    return user


@transaction.atomic
def build_town() -> None:
    """Build the town, or what is missing of it: a second run changes nothing."""
    begun = datetime.fromisoformat(town()["begun"])
    for group in ("staff", "officers", "administrators", "patients"):
        for one in town()[group]:
            _user(one, group)
    _organisations(begun)
    for one in town()["staff"]:
        user, unit = User.objects.get(username=one["username"]), _unit(one["unit"])
        if not user.engagements.filter(unit=unit).exists():
            actions.engage(
                user=user,
                unit=unit,
                role=one["role"],
                health_personnel=one["health_personnel"],
                leads=one.get("leads", False),
                valid_from=begun,
                actor=SYSTEM,
            )
    for one in town()["officers"]:
        user, controller = User.objects.get(username=one["username"]), Controller.objects.get(name=one["controller"])
        officer = Officer.objects.filter(user=user, controller=controller).first() or actions.appoint_officer(
            user=user, controller=controller, email=one.get("email", ""), valid_from=begun, actor=SYSTEM
        )
        if one.get("verifies_log", False):
            actions.appoint_log_verifier(officer_id=officer.id, actor=SYSTEM)
    for one in town()["patients"]:
        _patient(one)


def _user(one: dict[str, Any], group: str) -> None:
    known = {
        "name": "" if group == "patients" else one["name"],  # a patient's name is sealed, on Patient
        "language": one.get("language", "nb"),
        "is_administrator": group == "administrators",
    }
    User.objects.get_or_create(username=one["username"], defaults=known)


def _organisations(begun: datetime) -> None:
    for legal in town()["controllers"]:
        controller = Controller.objects.filter(org_number=legal["org_number"]).first() or actions.register_controller(
            name=legal["name"], org_number=legal["org_number"], **legal["basis"], actor=SYSTEM
        )
        for one in legal["units"]:
            if Unit.objects.filter(org_number=one["org_number"]).exists():
                continue
            unit = actions.register_unit(
                controller=controller,
                name=one["name"],
                org_number=one["org_number"],
                kind=one["kind"],
                response_hours=one["response_hours"],
                office_hours=town()["hours"][one["hours"]],
                actor=SYSTEM,
            )
            tends = User.objects.filter(username=one["contact_user"]).first()
            ContactPoint.objects.create(unit=unit, label=one["contact"], user=tends)
    everybody = list(Controller.objects.filter(org_number__in=[one["org_number"] for one in town()["controllers"]]))
    if not everybody[0].agreements.exists():
        actions.register_agreement(title=town()["agreement"], controllers=everybody, valid_from=begun, actor=SYSTEM)


def _unit(key: str) -> Unit:
    """The demo unit that the file calls `key`."""
    found = next(unit for legal in town()["controllers"] for unit in legal["units"] if unit["key"] == key)
    return Unit.objects.get(org_number=found["org_number"])


def _patient(one: dict[str, Any]) -> None:
    """Registered as in life: the first of the staff registers, each further one records a relation."""
    if Patient.objects.filter(nin_index=number_index(one["number"])).exists():
        return
    patient = None
    for relation in one["relations"]:
        engagement = current_engagement(User.objects.get(username=relation["staff"]).id)
        assert engagement is not None, "the staff are engaged before"
        patient = actions.register_patient(
            acting=acting_for(engagement, sign_in="demo", at=now()),
            name=one["name"],
            number=one["number"],
            language=one["language"],
            phone=one["phone"],
            phone_verified=True,
            safe_contact=SafeContact(**one["safe_contact"]),
            address_protected=False,
            relation_kind=relation["kind"],
            reason=relation["reason"],
        ).patient
    assert patient is not None, "every demo patient has a relation"
    actions.open_account(patient=patient, user=User.objects.get(username=one["username"]), actor=SYSTEM)
