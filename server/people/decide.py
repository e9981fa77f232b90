"""Pure rules about who somebody is and what they may do; everything is an argument."""

from typing import Literal

Kind = Literal["patient", "staff", "officer", "administrator", "nobody"]


def kind_of(*, is_patient: bool, is_engaged: bool, is_officer: bool, is_administrator: bool) -> Kind:
    """What the person acts as. An engagement acted for comes first: a nurse who is also a patient works as a nurse."""
    if is_engaged:
        return "staff"
    if is_officer:
        return "officer"
    if is_administrator:
        return "administrator"
    return "patient" if is_patient else "nobody"


def capabilities(kind: Kind, *, health_personnel: bool) -> list[str]:
    """What a client may offer this person; the server decides again at every act."""
    match kind:
        case "staff":
            offered = [
                "directory.read",
                "patients.read",
                "patients.register",
                "rooms.open",
                "rooms.write",
            ]
            return [*offered, "emergency_access.use"] if health_personnel else offered
        case "patient":
            return [
                "directory.read",
                "rooms.read",
                "rooms.write",
                "consents.decide",
                "access_log.read",
            ]
        case "officer":
            return ["review.read"]
        case "administrator":
            return ["directory.read"]
        case _:
            return []
