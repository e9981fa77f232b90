"""The words in which `paths.py` says how each path is asked, and what it holds of a room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STAFF = "staff"
PATIENT = "patient"
MEMBERS = "staff and patient"
RELATED = "staff whose unit has a relation to the patient"
OFFICER = "the officer of Sara's controller"
NOBODY = "nobody here: needs a device or a page of their own (tests/notify)"
OUTSIDE = "health personnel whose unit has a relation, and who are not in"


@dataclass(frozen=True)
class First:
    """What has to be done before a request can succeed, by `by` or else by whoever asks, after what `first` says; the
    `id` in its answer is put in as `into`."""

    route: str
    body: Any = None
    use: Mapping[str, str] = field(default_factory=dict)
    into: str = ""
    by: str = ""
    first: "First | None" = None


@dataclass(frozen=True)
class Ask:
    """One request. In `query`, `body`, `use` and `shows` stand names in braces, as `Stage.ids` has them; names in the
    route itself are found there too, unless `use` says otherwise. `asker` in a name is whoever asks."""

    by: str = MEMBERS
    """Who is allowed it while they are in."""
    query: str = ""
    body: Any = None
    use: Mapping[str, str] = field(default_factory=dict)
    shows: str = "{room_id}"
    """What stands in the answer to those who are in; empty where nothing is answered."""
    otherwise: frozenset[str] = frozenset()
    """What may be answered to those who are out, beside the common 404: a refusal that anybody in their place gets
    whatever they ask for (`staff_only`, `patient_only`), a list without the room (`absent`), or the card of a room as
    new to whoever has a relation to the patient and asks for it (`waiting`)."""
    for_authors: bool = False
    """Whether it is open to whoever was in for some days more, for what they wrote themselves, unless they are excluded
    or act for another engagement."""
    by_relation: bool = False
    """Whether staff with a relation may without being in: a statute lets them, or an emergency. Nobody whom the patient
    has excluded."""
    first: First | None = None
    replayed: str = "not_found"
    """What a POST with the `Idempotency-Key` of one that succeeded is answered afterwards."""


@dataclass(frozen=True)
class Content:
    """Shows or takes content or facts of a room."""

    what: str
    asks: tuple[Ask, ...] = (Ask(),)


@dataclass(frozen=True)
class Plain:
    """Holds nothing of any room; `asks` shows it."""

    why: str
    asks: tuple[Ask, ...] = (Ask(by=STAFF, shows=""),)


def codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


ANSWER = {"remark": "{remark}"}
ON_PAPER = {"method": "paper", "given_at": "{past}", "scan_sha256": "{digest}"}
NO_ON_PAPER = First("POST consents/{consent_id}/record", {"answer": "decline", **ON_PAPER})
IDA_OUT = First("POST exclusions", {"user": "{user_of_ida}"}, by="are")
EMERGENCY = {"ground": "life_danger", "reason": "{remark}"}
NOT_FOR_ALL = frozenset({"staff_only", "health_personnel_only"})
"""Refusals for what somebody is, before anything is looked up."""
OFFICERS_ONLY = frozenset({"officer_only"})
GROUND = {"ground": "cooperating_staff", "reason": "{remark}", "until": "{soon}"}
OWN_MESSAGE = {"seq": "{said_by_asker}"}
OF_ARE = {"member_id": "{member_of_are}"}
OF_ASKER = {"member_id": "{member_of_asker}"}
OF_NILS = {"member_id": "{member_of_nils}"}

REVEALED = First("POST review/events/{event_id}/reveal", {"reason": "{remark}"}, by="ola")
BUNDLE = Ask(by=OFFICER, use={"tree": "1", "rest": "{bundle}"}, otherwise=codes("log_verifier_only"))
NO_DEVICE = (Ask(by=NOBODY, use={"device_id": "{user_of_asker}"}, shows=""),)
NO_PAGE = (Ask(by=NOBODY, use={"token": "{fresh}"}, shows=""),)
TILE = (Ask(by=STAFF, use={"tree": "1", "level": "0", "rest": "000.p/1"}, shows=""),)

EXPORT = {"filters": {"room": "{room_id}"}, "format": "jsonl", "reason": "Kontroll etter klage."}
ORDERED = First("POST review/exports", EXPORT, into="export_id", by="ola")
SHIELDED = First(
    "POST review/shields",
    {"user": "{user_of_sara}", "reason": "Konkrete trusler.", "decided_on": "2026-01-01"},
    into="shield_id",
    by="ola",
)


TAKEN = First("POST review/findings/{finding_id}/take", {}, by="ola")
EXPLAINED = First("POST review/findings/{finding_id}/explain", {"text": "Vikar."}, by="ola", first=TAKEN)


def officer(*, body: Any = None, first: First | None = None, query: str = "", shows: str = "{room_id}") -> Ask:
    """A request of an officer's: nobody else gets any answer to it, whatever it asks for."""
    return Ask(by=OFFICER, body=body, first=first, query=query, shows=shows, otherwise=codes("officer_only"))
