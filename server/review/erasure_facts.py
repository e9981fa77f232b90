"""What is so about a person who is to be erased: read anew each time it is asked."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from server.alerts.models import Alert, Enrolment
from server.audit.models import AuditEvent
from server.common.clock import now
from server.consent.models import Consent, Form, State, StatutoryGround
from server.duties.models import Duty, Kind
from server.people.models import Patient, Relation, User
from server.people.periods import NOW
from server.review import keeping
from server.review.concerned import concerned
from server.review.erasure_decide import Facts, Kept
from server.review.models import Erasure, ErasurePart, Export, Finding, Shield
from server.rooms.models import EmergencyAccess, EventType, Member, RoomEvent

EXPORT_IS_FORGOTTEN = timedelta(days=1)
"""What was ordered and not fetched by then is not waited for."""


def said(erasure: Erasure) -> dict[UUID, ErasurePart]:
    """The newest word of each controller."""
    return {one.controller_id: one for one in ErasurePart.objects.filter(erasure=erasure).order_by("id")}


def facts(erasure: Erasure) -> Facts:
    """Everything that decides whether it may begin; some twenty statements."""
    patient_id, rules, words = erasure.patient_id, keeping.rules(), said(erasure)
    newest = keeping.newest(patient_id)
    return Facts(
        now=now(),
        rules_confirmed=bool(rules.confirmed_by),
        confirmed=erasure.confirmed_at is not None,
        not_before=erasure.not_before,
        parts={one: words[one].outcome if one in words else "" for one in concerned(patient_id)},
        kept=tuple(
            Kept(rule.kind, keeping.years_after(newest[rule.kind], rule.years), rule.after_export)
            for rule in rules.kinds
            if rule.kind in newest
        ),
        authors_until=_authors_until(patient_id),
        open=_open(erasure.patient),
    )


def _authors_until(patient_id: UUID) -> datetime | None:
    left = RoomEvent.objects.filter(room__patient_id=patient_id, type=EventType.MEMBER_LEFT).order_by("-created_at")
    at = left.values_list("created_at", flat=True).first()
    return at + timedelta(days=settings.ENV.own_posts_days) if at is not None else None


def open_alert(patient_id: UUID) -> bool:
    return Alert.objects.filter(patient_id=patient_id).exclude(state="closed").exists()


def _open(patient: Patient) -> Counter[tuple[str, UUID | None]]:
    id_, found = patient.id, Counter[tuple[str, UUID | None]]()
    exclusions = Form.EXCLUSIONS  # a deny, which shares nothing
    found["open_alert", None] += Alert.objects.filter(patient_id=id_).exclude(state="closed").count()
    inside = Member.objects.filter(room__patient_id=id_, engagement__isnull=False)
    found["open_room", None] += inside.filter(state__in=(Member.State.JOINED, Member.State.PROPOSED)).count()
    running = Consent.objects.filter(patient_id=id_, state__in=(State.REQUESTED, State.ACTIVE))
    found["running_consent", None] += running.exclude(form=exclusions).count()
    found["ground", None] += StatutoryGround.objects.filter(patient_id=id_, ended_at=None, ends_at__gt=NOW).count()
    found["enrolment", None] += Enrolment.objects.filter(patient_id=id_, ended_at=None).count()
    helped = Relation.objects.filter(patient_id=id_, ended_at=None).filter(Q(valid_to=None) | Q(valid_to__gt=NOW))
    _count(found, "relation", helped.values_list("unit__controller_id", "unit__controller_id"))
    works = User.objects.filter(patient=patient).filter(
        Q(is_administrator=True) | Q(engagements__isnull=False) | Q(appointments__isnull=False)
    )
    found["also_works", None] += int(works.exists())
    used = EmergencyAccess.objects.filter(room__patient_id=id_)
    found["emergency_access", None] += used.filter(Q(ended_at=None, until__gt=NOW) | Q(told_at=None)).count()
    told = (Kind.ERASURE_COMING, Kind.ERASURE_TOLD)  # of this very thing
    owed = Duty.objects.filter(patient_id=id_, done_at=None).exclude(kind__in=told).annotate(whose=F("controller_id"))
    _count(found, "duty", owed.annotate(by=F("employer_id")).values_list("whose", "by"))
    asked = Finding.objects.filter(subject_id=id_, closed_at=None)
    _count(found, "finding", asked.values_list("controller_id", "controller_id"))
    acted = AuditEvent.objects.filter(subject_id=id_).values("actor_id")
    shields = Shield.objects.in_force().filter(user_id__in=acted)
    _count(found, "shield", shields.values_list("controller_id", "controller_id"))
    ordered = Export.objects.filter(patient_id=id_, state__in=(Export.State.READY, Export.State.RUNNING))
    lately = ordered.filter(made_at__gt=now() - EXPORT_IS_FORGOTTEN)
    _count(found, "export", lately.values_list("controller_id", "controller_id"))
    return found


def _count(found: Counter[tuple[str, UUID | None]], code: str, rows: Iterable[tuple[UUID | None, UUID | None]]) -> None:
    for one, other in rows:
        found[code, one or other] += 1
