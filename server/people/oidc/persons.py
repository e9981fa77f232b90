"""From what a provider says to the one person it means here, and what they may act for."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from server.people.access import current_appointment
from server.people.actions.identities import patients_account
from server.people.models import Engagement, Identity, Patient, User
from server.people.oidc.checks import Said
from server.people.oidc.providers import Provider
from server.people.sealed import number_index


class Unknown(Exception):
    """Nobody here has this number; `code` says which words they are told."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Found:
    """`organisation` is the one that the provider named and that they work for; empty: none of those."""

    user: User
    minimum: int
    organisation: str


def find_person(provider: Provider, said: Said) -> Found:
    """Whom the number belongs to, in the caller's transaction; a patient's account is opened when they have none.

    One look-up by blind index, the same whether there is anybody or not. Raises Unknown.
    """
    index = number_index(said.number)
    if provider.kind == "citizen":
        patient = Patient.objects.select_related("user").filter(nin_index=index).first()
        if patient is None:
            raise Unknown("not_registered")
        return Found(patients_account(patient), settings.ENV.patient_level, "")
    identity = Identity.objects.select_related("user").filter(nin_index=index).first()
    if identity is None:
        raise Unknown("no_account_here")
    user = identity.user
    working = list(engagements_for(user.id, provider))
    at = {number for one in working for number in (one.unit.org_number, one.unit.controller.org_number)}
    organisation = next((one for one in said.organisations if one in at), "")
    return Found(user, _minimum(user, working), organisation)


def least_level(provider: Provider) -> int:
    """What is asked of somebody before it is known who they are."""
    env = settings.ENV
    if provider.kind == "citizen":
        return int(env.patient_level)
    others = () if provider.kind == "employer" else (env.officer_level, env.administrator_level)
    return max([env.staff_level, *others])


def _minimum(user: User, working: Sequence[Engagement]) -> int:
    """The highest that is asked for anything they may act as."""
    env = settings.ENV
    asked = [env.staff_level] if working else []
    if current_appointment(user.id) is not None:
        asked.append(env.officer_level)
    if user.is_administrator:
        asked.append(env.administrator_level)
    return max(asked, default=env.staff_level)


def engagements_for(user_id: UUID, provider: Provider) -> QuerySet[Engagement]:
    """What somebody may act for who signs in here: an employer's own provider speaks for that employer alone."""
    found = Engagement.objects.current().filter(user_id=user_id, user__is_active=True)
    if provider.kind == "employer":
        found = found.filter(unit__controller__org_number__in=provider.organisations)
    return found.select_related("unit__controller").order_by("valid_from", "id")


def chosen(working: Sequence[Engagement], organisation: str, wanted: UUID | None) -> Engagement | None:
    """Which one to act for: the one asked for, else the first at the organisation that the provider named, else the
    first. None when there is none, or not the one asked for."""
    if wanted is not None:
        return next((one for one in working if one.id == wanted), None)
    there = [one for one in working if organisation in (one.unit.org_number, one.unit.controller.org_number)]
    return next(iter([*there, *working]), None)
