"""Controllers, units and agreements; the people who work there; patients; sessions and what proves who somebody is
(L5, L6, S9).

Nothing here is deleted in the ordinary course: periods end, sessions end, and the rows remain for the log to refer to.
"""

from server.people.models.credentials import (
    Challenge,
    HandOver,
    Identity,
    InPersonCode,
    OidcAttempt,
    Passkey,
    RecoveryCode,
    TotpSecret,
)
from server.people.models.organisations import (
    Agreement,
    AgreementParty,
    AgreementQuerySet,
    ContactPoint,
    Controller,
    Unit,
    UnitKind,
)
from server.people.models.patients import Patient, PatientQuerySet, Relation, RelationKind
from server.people.models.sessions import DeviceKind, Session, SessionQuerySet, SpentRefresh
from server.people.models.users import Engagement, Language, Officer, User

__all__ = [
    "Agreement",
    "AgreementParty",
    "AgreementQuerySet",
    "Challenge",
    "ContactPoint",
    "Controller",
    "DeviceKind",
    "Engagement",
    "HandOver",
    "Identity",
    "InPersonCode",
    "Language",
    "Officer",
    "OidcAttempt",
    "Passkey",
    "Patient",
    "PatientQuerySet",
    "RecoveryCode",
    "Relation",
    "RelationKind",
    "Session",
    "SessionQuerySet",
    "SpentRefresh",
    "TotpSecret",
    "Unit",
    "UnitKind",
    "User",
]
