"""The demo town's after-hours service: MULI of Ytre DPS, with Trine in it. All numbers are invented."""

from datetime import date

from django.db import transaction

from server.alerts.actions import enrolments, plans, policies, programmes, team
from server.alerts.models import Programme, Rotation
from server.alerts.plan import Contact, PlanText
from server.audit.entry import SYSTEM, Actor
from server.common.clock import now
from server.consent import actions as consents
from server.consent.models import Consent, Form
from server.people.access import current_engagement
from server.people.actors import Acting, acting_for
from server.people.models import Engagement, Patient, Unit, User

CODE = "muli"
ON_CALL_NUMBER, FINAL_NUMBER = "+4799000001", "+4799000002"
UNIT = "Ytre DPS"
LEADER, ON_CALL, OTHERS = "mona", ("nils", "ida"), ("sara",)
SERVICE = {
    "criterion": {"admissions": 3, "months": 12},
    "exceptions": {"2026-12-24": [["08:00", "12:00"]], "2026-12-31": [["08:00", "12:00"]]},
    "on_call_number": ON_CALL_NUMBER,
    "final_number": FINAL_NUMBER,
    "final_answered_by": "Akuttmottaket, døgnbemannet telefon",
    "final_agreement": "Avtale om svarplikt, arkivsak 2026/17 (demo)",
    "final_agreed_on": date(2026, 1, 5),
}
STEPS = [
    {"targets": ["on_call_now"], "wait_s": 180, "channels": ["push", "sms", "voice"], "voice_after_s": 60},
    {"targets": ["on_call_now", "on_call_next"], "wait_s": 180},
    {"targets": ["team", "day_contact"], "wait_s": 180},
    {"targets": ["final"], "wait_s": 120, "channels": ["voice"], "voice_after_s": 0},
]
PLAN = PlanText(
    danger="Alene om natta når hun ikke har sovet på to døgn.",
    helps="Å snakke om hunden og å gå en tur. Ikke spør om medisiner først.",
    bring_in="Søsteren Marit, ved fare for liv 113.",
    rest="Trine vil helst bli ringt opp, ikke oppsøkt. Nøkkelen ligger hos naboen.",
    contacts=(Contact("Marit", "søster", "+4740000009"),),
)


@transaction.atomic
def build_programme() -> Programme:
    """Build it by the verbs that people use, or find it: a second run changes nothing. The town stands before."""
    known = Programme.objects.filter(code=CODE).first()
    if known is not None:
        return known
    unit = Unit.objects.select_related("controller").get(name=UNIT)
    programme = programmes.set_up(
        actor=SYSTEM, code=CODE, name="MULI", unit=unit, is_default=True, office_hours=unit.office_hours, **SERVICE
    )
    for name in (LEADER, *ON_CALL, *OTHERS):
        leads = name == LEADER
        engagement = _engagement(name)
        team.join(actor=SYSTEM, programme=programme, engagement=engagement, leads=leads, day_contact=leads)
    leader = acting_for(_engagement(LEADER), sign_in="demo", at=now())
    policies.make(acting=leader, programme_id=programme.id, steps=STEPS)
    Rotation.objects.create(
        programme=programme,
        name="Natt og helg",
        people=[str(User.objects.get(username=name).id) for name in ON_CALL],
        every="daily",
        starts_on=date(2026, 1, 5),
        handover="15:30",
        made_by=leader.user,
    )
    _enrol(leader, programme)
    programmes.open_up(acting=leader, programme_id=programme.id)
    programme.refresh_from_db()
    return programme


def _enrol(leader: Acting, programme: Programme) -> None:
    """Trine is asked, and says yes; then the plan is made with her."""
    trine = Patient.objects.select_related("user").get(user__username="trine")
    assert trine.user is not None
    enrolments.enrol(acting=leader, programme_id=programme.id, patient_id=trine.id)
    actor = Actor(user_id=trine.user.id, role="patient", sign_in="demo")
    herself = Acting(trine.user, None, None, None, trine, actor, now())
    consents.give(acting=herself, consent=Consent.objects.get(patient=trine, form=Form.MULI))
    plans.write(acting=leader, patient_id=trine.id, text=PLAN, made_with_patient=True)


def _engagement(username: str) -> Engagement:
    found = current_engagement(User.objects.values_list("id", flat=True).get(username=username))
    assert found is not None, "the town's staff are engaged"
    return found
