"""Many synthetic people at once, for benchmarks and load proofs in demo mode.

Written in bulk, past the verbs, for speed: an installation with real people never calls this.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice, product

from django.conf import settings
from django.db import transaction
from knox.crypto import create_token_string, hash_token
from stdnum.no import fodselsnummer

from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.common.clock import now
from server.common.ids import new_id
from server.people.models import Engagement, Patient, Relation, RelationKind, Session, Unit, User
from server.people.sealed import SCOPE, SafeContact, new_patient, number_index, seal_reason
from server.vault import actions as vault

BATCH = 500


def synthetic_numbers() -> Iterator[str]:
    """Valid synthetic national identity numbers (month + 40) in a fixed order, from 1 January 1970; never one twice."""
    for year, month, day, individual in product(range(70, 100), range(1, 13), range(1, 29), range(500)):
        text = f"{day:02}{month + 40:02}{year:02}{individual:03}"
        text += fodselsnummer.calc_check_digit1(text)
        text += fodselsnummer.calc_check_digit2(text)
        if fodselsnummer.is_valid(text):
            yield text


def unused_numbers(count: int) -> list[str]:
    """The first `count` synthetic numbers that nobody is registered with."""
    taken = {bytes(index) for index in Patient.objects.values_list("nin_index", flat=True)}
    return list(islice((one for one in synthetic_numbers() if number_index(one) not in taken), count))


@transaction.atomic
def bulk_staff(units: Sequence[Unit], count: int, *, label: str = "crowd") -> list[Engagement]:
    """`count` new staff, engaged by `units` in turn from now."""
    begun = now()
    users = [User(username=f"{label}-{(key := new_id())}", id=key, name=f"Ansatt {which}") for which in range(count)]
    engagements = [
        Engagement(
            user=user,
            unit=units[which % len(units)],
            role="psykolog",
            health_personnel=True,
            valid_from=begun,
        )
        for which, user in enumerate(users)
    ]
    User.objects.bulk_create(users, batch_size=BATCH)
    Engagement.objects.bulk_create(engagements, batch_size=BATCH)
    record(Entry("crowd.engaged", SYSTEM, detail={"count": count}))
    return engagements


@transaction.atomic
def bulk_patients(units: Sequence[Unit], count: int, *, recorded_by: User, label: str = "crowd") -> list[Patient]:
    """`count` new patients with an account each and a relation to every one of `units`."""
    begun = now()
    users, patients, relations = [], [], []
    for which, number in enumerate(unused_numbers(count)):
        user = User(username=f"{label}-{(key := new_id())}", id=key)
        patient_id = new_id()
        patient = new_patient(
            patient_id=patient_id,
            key=vault.create_key(scope=SCOPE, owner=patient_id),
            name=f"Testpasient {which}",
            number=number,
            phone="",
            safe_contact=SafeContact(),
        )
        patient.user = user
        users.append(user)
        patients.append(patient)
        for unit in units:
            relation = Relation(
                patient=patient, unit=unit, kind=RelationKind.FOLLOW_UP, valid_from=begun, recorded_by=recorded_by
            )
            seal_reason(relation, patient.key, "Testdata")
            relations.append(relation)
    User.objects.bulk_create(users, batch_size=BATCH)
    Patient.objects.bulk_create(patients, batch_size=BATCH)
    Relation.objects.bulk_create(relations, batch_size=BATCH)
    record(Entry("crowd.registered", SYSTEM, detail={"count": count}))
    return patients


@transaction.atomic
def bulk_sessions(people: Iterable[tuple[User, Engagement | None]]) -> list[tuple[Session, str]]:
    """A session and its token for each of `people`, in order."""
    at = now()
    until = at + timedelta(hours=settings.ENV.session_hours)
    made = []
    for user, engagement in people:
        token = create_token_string()
        session = Session(
            digest=hash_token(token),
            user=user,
            engagement=engagement,
            sign_in="demo",
            expiry=until,
            strong_at=at,
            strong_by="demo",
        )
        made.append((session, token))
    Session.objects.bulk_create([session for session, _ in made], batch_size=BATCH)
    record(Entry("crowd.signed_in", SYSTEM, detail={"count": len(made)}))
    return made
