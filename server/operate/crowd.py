"""Rooms in full use, many at once, for benchmarks and load proofs in demo mode.

Each room is what the verbs would have made of it: opened, everybody proposed, the patient asked, consent given, all
joined, the patient taking part; the same rows in the same order, timeline and log included (a test compares them). They
are written in bulk, because a verb at a time takes a tenth of a second for a room.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from server.audit.actions import record_many
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Forbidden
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.consent import forms, versions
from server.consent.actions import end_of
from server.consent.decide import Grant
from server.consent.document import Grantor, Method, Terms
from server.consent.models import Act, Consent, State, Version
from server.consent.records import parts_of
from server.consent.versions import Change
from server.people.actions import register_agreement, register_controller, register_unit
from server.people.actors import actor_for
from server.people.crowd import bulk_patients, bulk_sessions, bulk_staff
from server.people.models import Agreement, Controller, Engagement, Patient, Unit, User
from server.rooms import timeline
from server.rooms.actions import MAX_MEMBERS
from server.rooms.models import EventType, Member, Participation, Room, RoomEvent, Span
from server.rooms.timeline import NewEvent
from server.vault import actions as vault

MAX_ROOMS = 20_000
ROOMS_AT_A_TIME = 50
PURPOSE = "coordination"
SIGN_IN = "demo"
AGREEMENT = "Prøveavtalen"
ORGANISATIONS = (
    ("Prøvestad kommune", "319900004", "Prøvestad psykisk helse", "319900012", "municipality"),
    ("Prøvesykehuset", "319900020", "Prøvesykehuset DPS", "319900039", "dps"),
)
"""Invented, and no part of the demo town, so that the personas' directory stays readable."""


class NotDemo(Forbidden):
    """Invented people do not belong in an installation with real ones."""

    code = "demo_only"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in at once: the user's id and a session's token."""

    user: UUID
    token: str

    def view(self) -> dict[str, str]:
        return {"user": str(self.user), "token": self.token}


@dataclass(frozen=True, slots=True)
class CrowdRoom:
    """One room of the crowd, with consent given."""

    id: UUID
    consent: UUID
    patient: Person
    staff: tuple[Person, ...]

    def view(self) -> dict[str, Any]:
        """The contract's shape."""
        return {
            "id": str(self.id),
            "consent": str(self.consent),
            "patient": self.patient.view(),
            "staff": [one.view() for one in self.staff],
        }


def build_crowd(*, rooms: int, members: int) -> Iterator[CrowdRoom]:
    """`rooms` new rooms of `members` each (one patient, the rest staff of two controllers); a batch per transaction.

    Raises NotDemo outside demo mode; ValueError when the numbers make no sense.
    """
    if not settings.DEMO:
        raise NotDemo
    if not 1 <= rooms <= MAX_ROOMS:
        raise ValueError(f"rooms: from 1 to {MAX_ROOMS}")
    if not 2 <= members <= MAX_MEMBERS:
        raise ValueError(f"members: from 2 to {MAX_MEMBERS}, the patient among them")
    return _batches(rooms, members)


def _batches(rooms: int, members: int) -> Iterator[CrowdRoom]:
    units = crowd_units()
    for begun in range(0, rooms, ROOMS_AT_A_TIME):
        yield from _batch(units, min(ROOMS_AT_A_TIME, rooms - begun), members)


@transaction.atomic
def crowd_units() -> list[Unit]:
    """The crowd's units, made when missing: two controllers that have an agreement."""
    known = {unit.org_number: unit for unit in Unit.objects.select_related("controller")}
    units = []
    for legal, legal_number, name, number, kind in ORGANISATIONS:
        if number not in known:
            controller = register_controller(name=legal, org_number=legal_number, actor=SYSTEM)
            known[number] = register_unit(
                controller=controller,
                name=name,
                org_number=number,
                kind=kind,
                response_hours=8,
                office_hours={},
                actor=SYSTEM,
            )
        units.append(known[number])
    if not Agreement.objects.current().filter(title=AGREEMENT).exists():
        parties = list(Controller.objects.filter(id__in=[unit.controller_id for unit in units]))
        # From a while ago, so that it holds whatever the clocks of two machines say.
        register_agreement(title=AGREEMENT, controllers=parties, valid_from=now() - timedelta(days=1), actor=SYSTEM)
    return units


@transaction.atomic
def _batch(units: Sequence[Unit], rooms: int, members: int) -> list[CrowdRoom]:
    each = members - 1
    staff = bulk_staff(units, rooms * each)
    patients = bulk_patients(units, rooms, recorded_by=staff[0].user)
    teams = [staff[which * each : (which + 1) * each] for which in range(rooms)]
    drafts = [_Draft(patient, team, now()) for patient, team in zip(patients, teams, strict=True)]
    _insert(drafts)
    people: list[tuple[User, Engagement | None]] = []
    for draft in drafts:
        assert draft.patient.user is not None
        people += [(draft.patient.user, None), *((one.user, one) for one in draft.team)]
    signed_in = iter([Person(session.user_id, token) for session, token in bulk_sessions(people)])
    return [
        CrowdRoom(
            id=draft.room.id,
            consent=draft.consent.id,
            patient=next(signed_in),
            staff=tuple(next(signed_in) for _ in draft.team),
        )
        for draft in drafts
    ]


def _insert(drafts: Sequence["_Draft"]) -> None:
    Room.objects.bulk_create([draft.room for draft in drafts])
    Member.objects.bulk_create([member for draft in drafts for member in draft.members])
    Span.objects.bulk_create([span for draft in drafts for span in draft.spans])
    Consent.objects.bulk_create([draft.consent for draft in drafts])
    Version.objects.bulk_create([version for draft in drafts for version in draft.versions])
    rows = [
        timeline.row_of(draft.room.id, draft.room.key, event, seq)
        for draft in drafts
        for seq, event in enumerate(draft.events, start=1)
    ]
    RoomEvent.objects.bulk_create(rows)
    record_many(entry for draft in drafts for entry in draft.entries)


class _Draft:
    """One room's unsaved rows, gathered act by act in the order of the verbs."""

    def __init__(self, patient: Patient, team: Sequence[Engagement], at: datetime) -> None:
        assert patient.user_id is not None
        self.patient, self.team, self.at = patient, team, at
        self.opener = actor_for(team[0], sign_in=SIGN_IN)
        self.subject = Actor(user_id=patient.user_id, role="patient", sign_in=SIGN_IN)
        room_id = new_id()
        self.room = Room(
            id=room_id,
            patient=patient,
            purpose=PURPOSE,
            home_id=team[0].unit.controller_id,
            opened_by=team[0].user,
            key=vault.create_key(scope="room", owner=room_id),
        )
        self.consent = Consent(patient=patient, room_id=room_id, purpose=PURPOSE, state=State.ACTIVE, version=0)
        self.members: list[Member] = []
        self.spans: list[Span] = []
        self.events: list[NewEvent] = []
        self.versions: list[Version] = []
        self.entries: list[Entry] = []
        self._open()
        self._propose()
        self._consent(Act.REQUESTED)
        self._consent(Act.GIVEN)
        self._join()
        self._take_part()
        self.room.head = len(self.events)
        self.room.access_epoch = 3  # 1, consent given, the patient taking part

    def _open(self) -> None:
        facts = {
            "patient": str(self.patient.user_id),
            "purpose": PURPOSE,
            "home": str(self.room.home_id),
            "participation": Participation.FOLLOWING,
        }
        self.events.append(NewEvent(EventType.ROOM_OPENED, self.opener.user_id, facts=facts))
        self._record("room.opened", self.opener, self.room.id, "relation")
        subject = Member(
            room=self.room,
            user=self.patient.user,
            state=Member.State.JOINED,
            proposed_by=self.team[0].user,
            participation=Participation.ACTIVE,
        )
        self.members.append(subject)
        self.spans.append(Span(member=subject, first=1))

    def _propose(self) -> None:
        for one in self.team:
            self.members.append(
                Member(
                    room=self.room,
                    user=one.user,
                    engagement=one,
                    state=Member.State.JOINED,
                    proposed_by=self.team[0].user,
                )
            )
            self.events.append(NewEvent(EventType.MEMBER_PROPOSED, self.opener.user_id, facts=_place_of(one)))
            self._record("member.proposed", self.opener, one.user_id, "relation")

    def _consent(self, act: Act) -> None:
        given = act == Act.GIVEN
        actor, basis = (self.subject, "self") if given else (self.opener, "relation")
        units = {one.unit_id: one.unit for one in self.team}
        people = parts_of([Grant(unit_id=one.unit_id, person_id=one.user_id) for one in self.team], units)
        end = end_of(self.at)
        text = forms.render(
            form_id="room",
            language=self.patient.language,
            names=sorted(
                f"{one.user.name}, {one.role}, {one.unit.name} ({one.unit.controller.name})" for one in self.team
            ),
            purpose=PURPOSE,
            until=end,
        )
        change = Change(
            act=act,
            state=State.ACTIVE if given else State.REQUESTED,
            terms=Terms(
                purpose=PURPOSE,
                categories=tuple(forms.form("room").categories),
                grants=people if given else (),
                asked=() if given else people,
                valid_from=self.at if given else None,
                valid_to=end,
            ),
            method=Method(kind="sign_in", sign_in=SIGN_IN, level=0),
            grantor=Grantor(user=self.patient.user_id) if given else None,
        )
        new = versions.draft(
            self.consent, change, actor=actor, basis=basis, before=None, text=text, units=units, at=self.at
        )
        self.versions.append(new.row)
        self.entries.append(new.entry)
        facts = {
            "consent": str(self.consent.id),
            "act": act,
            "state": new.document.state,
            "version": new.document.number,
            "until": rfc3339(end),
        }
        self.events.append(NewEvent(EventType.CONSENT, actor.user_id, facts=facts))

    def _join(self) -> None:
        for member, one in zip(self.members[1:], self.team, strict=True):
            self.events.append(NewEvent(EventType.MEMBER_JOINED, None, facts=_place_of(one)))
            self.spans.append(Span(member=member, first=len(self.events)))
            self._record("member.joined", self.subject, one.user_id, "consent", records=(self.versions[-1].id,))

    def _take_part(self) -> None:
        subject = self.members[0]
        facts = {"user": str(subject.user_id), "participation": Participation.ACTIVE}
        self.events.append(NewEvent(EventType.PARTICIPATION, subject.user_id, facts=facts))
        self._record("participation.changed", self.subject, subject.id, "self", detail=facts)

    def _record(
        self,
        type_: str,
        actor: Actor,
        object_id: UUID,
        basis: str,
        *,
        records: tuple[UUID, ...] = (),
        detail: dict[str, Any] | None = None,
    ) -> None:
        entry = Entry(
            type=type_,
            actor=actor,
            subject_id=self.patient.id,
            room_id=self.room.id,
            object_id=object_id,
            purpose=PURPOSE,
            basis=basis,
            record_ids=records,
            detail=detail or {},
        )
        self.entries.append(entry)


def _place_of(one: Engagement) -> dict[str, str]:
    return {"user": str(one.user_id), "unit": str(one.unit_id), "role": one.role}
