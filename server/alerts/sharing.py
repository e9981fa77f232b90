"""What a patient shares with the team, decided as everything is (`consent.decide`). Help never waits for it (L7)."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import Q, UUIDField, Value
from django.db.models.functions import Cast

from server.alerts.models import Enrolment, Programme
from server.common.clock import now
from server.consent.decide import Agreement, BrokenRecord, ConsentRecord, Decision, Record, Who, decide
from server.consent.models import Form
from server.consent.records import records_for_form
from server.people.models import Agreement as Registered
from server.people.models import AgreementParty, Engagement

PURPOSE = "muli"
ALERTS, PLAN, CONTACT = "alerts", "plan", "contact"
"""Categories of the form (consent/forms/muli.json)."""
Records = Mapping[UUID, list[Record]]


def records_of(patients: Iterable[UUID]) -> dict[UUID, list[Record]]:
    """Each patient's consent to the service and exclusions; one statement for `may_see_all` and `kept_out`."""
    return records_for_form(patients, Form.MULI)


def may_see(patient_id: UUID, engagement: Engagement, category: str) -> Decision:
    """Whether the patient shares what is of `category` with somebody at work. `engagement` has its unit at hand.

    Four statements: the records, the home of the service, agreements, the time.
    """
    return may_see_all([patient_id], engagement, category)[patient_id]


def may_see_all(
    patients: Iterable[UUID], engagement: Engagement, category: str, *, records: Records | None = None
) -> dict[UUID, Decision]:
    """The same of several patients, in as many statements."""
    wanted = list(patients)
    known = records if records is not None else records_of(wanted)
    homes = _homes(wanted)
    theirs = engagement.unit.controller_id
    agreements = _agreements({home for home in homes.values() if home is not None} - {theirs}, theirs)
    at = now()
    found = {}
    for patient_id in wanted:
        home = homes[patient_id]
        who = Who(
            user_id=engagement.user_id,
            unit_id=engagement.unit_id,
            role=engagement.role,
            same_controller=home == theirs,
            agreements=agreements.get(home, ()) if home is not None else (),
            until=engagement.ends,
        )
        found[patient_id] = decide(known[patient_id], who, PURPOSE, category, at)
    return found


def kept_out(records: Iterable[Record], user_id: UUID) -> str:
    """Why the patient's own word keeps this person out of everything, or may do so; empty when it does not (L3)."""
    for one in records:
        if isinstance(one, ConsentRecord) and user_id in one.excluded_people:
            return "excluded"
        if isinstance(one, BrokenRecord) and one.names_people:
            return "unreadable"
    return ""


def _homes(patients: list[UUID]) -> dict[UUID, UUID | None]:
    """The controller of each patient's programme, or of the installation's default one. One statement, whoever it is:
    time does not tell who is in a programme."""
    enrolled = Enrolment.objects.filter(patient_id__in=patients, ended_at=None)
    default = Programme.objects.filter(is_default=True, closed_at=None)
    nobody = Cast(Value(None), output_field=UUIDField())
    found: dict[UUID | None, UUID] = dict(
        enrolled.values_list("patient_id", "programme__unit__controller_id").union(
            default.annotate(nobody=nobody).values_list("nobody", "unit__controller_id")
        )
    )
    return {patient: found.get(patient, found.get(None)) for patient in patients}


def _agreements(homes: set[UUID], theirs: UUID) -> dict[UUID, tuple[Agreement, ...]]:
    """Registered agreements that `theirs` has with each of these controllers (L6)."""
    if not homes:
        return {}
    mine = AgreementParty.objects.filter(controller_id=theirs).values("agreement_id")
    parties = AgreementParty.objects.filter(Q(controller_id__in=homes), agreement_id__in=mine)
    found: dict[UUID, tuple[Agreement, ...]] = {}
    for party in parties.select_related("agreement"):
        registered: Registered = party.agreement
        period = Agreement(registered.valid_from, registered.ends)
        found[party.controller_id] = (*found.get(party.controller_id, ()), period)
    return found
