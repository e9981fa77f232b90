"""The guarded doors to patients and organisations."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from server.common.errors import Forbidden, NotFound, Refusal
from server.people.actors import Acting
from server.people.models import (
    Agreement,
    AgreementParty,
    Engagement,
    Officer,
    Patient,
    Relation,
)
from server.people.periods import NOW, Moment
from server.people.ports import EXCLUSIONS
from server.people.sealed import number_index


def open_patient(acting: Acting, patient_id: UUID) -> Patient:
    """The patient, for staff whose unit has a current relation; officers, administrators and patients see none.

    Raises NotFound, the same for foreign, ended and missing; the refusal is recorded.
    """
    units = [acting.engagement.unit_id] if acting.engagement is not None else []
    related = Relation.objects.current().filter(unit_id__in=units, patient_id=OuterRef("id"))
    # One statement whether the patient is foreign or missing, so that time does not tell them apart.
    found = next(
        iter(Patient.objects.filter(id=patient_id).annotate(related=Exists(related))),
        None,
    )
    if found is None or not found.related:
        raise NotFound(
            refusal=Refusal(
                type="patient.viewed",
                reason="no_relation",
                subject_id=found.id if found is not None else None,
                object_id=patient_id,
            )
        )
    return found


def open_unless_excluded(acting: Acting, patient_id: UUID, act: str) -> Patient:
    """`open_patient`, and not for whom the patient has excluded: for the patient's own ways in, behind which is
    everything that they are kept out of. Exclusions are asked first, also of a patient who is not there, so that time
    tells neither. Raises NotFound, recorded as `act` where they are excluded."""
    excluded = acting.user.id in EXCLUSIONS().of(patient_id)
    patient = open_patient(acting, patient_id)
    if excluded:
        raise NotFound(refusal=Refusal(act, "excluded", subject_id=patient.id, object_id=patient.id))
    return patient


def require_staff(acting: Acting) -> Engagement:
    """The engagement acted for.

    Raises Forbidden `staff_only`, recorded.
    """
    if acting.engagement is None:
        raise Forbidden(
            code="staff_only",
            refusal=Refusal(type="staff.required", reason="not_staff"),
        )
    return acting.engagement


def agreement_between(controller_a: UUID, controller_b: UUID, at: Moment = NOW) -> bool:
    """Whether the two controllers may share a room at `at` (L6): the same one, or both party to a current agreement."""
    return controller_a == controller_b or Agreement.objects.current(at).between(controller_a, controller_b).exists()


def agreeing_with(controller_id: UUID, at: Moment = NOW) -> set[UUID]:
    """All controllers that `controller_id` may share a room with at `at`, itself included; one statement."""
    shared = (
        AgreementParty.objects.filter(controller_id=controller_id)
        .filter(agreement_id__in=Agreement.objects.current(at).values("id"))
        .values("agreement_id")
    )
    found = AgreementParty.objects.filter(agreement_id__in=shared).values_list("controller_id", flat=True)
    return {controller_id, *found}


def current_engagements(user_ids: Iterable[UUID], at: Moment = NOW) -> dict[UUID, Engagement]:
    """Of each user the engagement that holds at `at`, with unit and controller; the earliest when there are several.

    One statement. Users without one are absent.
    """
    rows = (
        Engagement.objects.current(at)
        .filter(user_id__in=list(user_ids), user__is_active=True)
        .select_related("user", "unit__controller")
        .order_by("valid_from", "id")
    )
    found: dict[UUID, Engagement] = {}
    for row in rows:
        found.setdefault(row.user_id, row)
    return found


def current_engagement(user_id: UUID, at: Moment = NOW) -> Engagement | None:
    """The engagement of `user_id` that holds at `at`, or None."""
    return current_engagements([user_id], at).get(user_id)


def current_appointment(user_id: UUID, at: Moment = NOW) -> Officer | None:
    """The appointment as privacy officer that holds at `at`, or None."""
    rows = Officer.objects.current(at).filter(user_id=user_id).select_related("controller").order_by("valid_from", "id")
    return rows.first()


def leaders_of(engagement: Engagement) -> list[UUID]:
    """Who is told what somebody did at work (L3): whoever leads the unit now; without any, whoever leads another unit
    of the same controller; without any, its officers; never the person themself.

    Users, those longest in place first, each once; one statement, or two. Empty when there is nobody else.
    """
    found = _leading(engagement)
    own = [user_id for user_id, unit_id in found if unit_id == engagement.unit_id]
    told = own or [user_id for user_id, _ in found]
    if not told:
        told = list(
            Officer.objects.current()
            .filter(user__is_active=True, controller__units=engagement.unit_id)
            .exclude(user_id=engagement.user_id)
            .order_by("valid_from", "id")
            .values_list("user_id", flat=True)
        )
    return list(dict.fromkeys(told))


def everybody_leading(engagement: Engagement) -> list[UUID]:
    """Whoever leads any unit of the same controller now, but the person themself; each once; one statement."""
    return list(dict.fromkeys(user_id for user_id, _ in _leading(engagement)))


def _leading(engagement: Engagement) -> list[tuple[UUID, UUID]]:
    """(user, unit), those longest in place first."""
    rows = Engagement.objects.current().filter(
        leads=True, user__is_active=True, unit__controller__units=engagement.unit_id
    )
    others = rows.exclude(user_id=engagement.user_id).order_by("valid_from", "id")
    return list(others.values_list("user_id", "unit_id"))


def patients_of(acting: Acting) -> QuerySet[Patient]:
    """Patients to whom the unit acted for has a current relation.

    Raises Forbidden `staff_only`.
    """
    return Patient.objects.known_to(require_staff(acting).unit_id)


def recheck_registered(acting: Acting, number: str) -> None:
    """Whether what registering this number answered may be said again.

    Raises NotFound when the relation has ended since; Forbidden `staff_only`.
    """
    if not patients_of(acting).filter(nin_index=number_index(number)).exists():
        raise NotFound(refusal=Refusal(type="patient.viewed", reason="no_relation"))


def directory(*, acting: Acting, words: str, unit_id: UUID | None, role: str) -> QuerySet[Engagement]:
    """Current staff whose name, role or unit has `words` in it, in a unit, in a role; empty arguments do not narrow.

    Raises Forbidden `reason_needed` for whoever acts as privacy officer: the log shows them ids, and they look up whose
    they are for a reason that stands there (`review/look-ups`).
    """
    if acting.kind == "officer":
        raise Forbidden(code="reason_needed", refusal=Refusal("directory.viewed", "officer"))
    found = Engagement.objects.current().filter(user__is_active=True).select_related("user", "unit__controller")
    for word in words.casefold().split():
        found = found.filter(
            Q(user__name_folded__contains=word) | Q(role_folded__contains=word) | Q(unit__name_folded__contains=word)
        )
    if unit_id is not None:
        found = found.filter(unit_id=unit_id)
    return found.filter(role_folded__contains=role.casefold()) if role else found
