"""Pure rules about who somebody is and what they may do; everything is an argument."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["patient", "staff", "officer", "administrator", "nobody"]
Need = Literal["read", "write", "consent", "nothing", "proof"]
"""What a way into the product asks of a session whose owner was seen in person only. `nothing`: help, taking back,
leaving, and one's own sign-in are open to every session. `proof`: open to none of these, whatever the installation
says: whoever lets in a phone of their own must not silence the owner's."""
IN_PERSON = "in_person"
STRONG = 3
"""eIDAS *substantial*; what is below is no proof for what asks a fresh one."""
EMPLOYER = "employer_oidc"
"""`Session.sign_in`, `Session.strong_by`: an employer's own provider, which speaks for that employer alone."""


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


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lasts: each token, unused, and at most."""

    access: timedelta
    idle: timedelta
    whole: timedelta


@dataclass(frozen=True, slots=True)
class Ends:
    """When the present token, the session if nobody uses it, and the session in any case are over; in that order."""

    expiry: datetime
    idle_until: datetime
    ends_at: datetime


def ends_from(lifetime: Lifetime, at: datetime, ends_at: datetime | None = None) -> Ends:
    """From `at`, a sign-in or a refresh; `ends_at` is fixed at the sign-in."""
    whole = at + lifetime.whole if ends_at is None else ends_at
    idle = min(at + lifetime.idle, whole)
    return Ends(min(at + lifetime.access, idle), idle, whole)


def is_limited(*, sign_in: str, level: int) -> bool:
    """Whether staff let it in, and no electronic identification has said since whose it is. A passkey or a code does
    not: whoever let in a phone of their own may have found the printed ones."""
    return sign_in == IN_PERSON and level < STRONG


def may_in_person(need: Need, may: Collection[str]) -> bool:
    """Whether a session that began with a code from staff may do this; `may` is what the installation lets it."""
    return need == "nothing" or need in may


def within_limits(offered: Sequence[str], may: Collection[str]) -> list[str]:
    """What a client may offer in such a session. Whoever may not say yes may still say no, and take back."""
    kept = [one for one in offered if not one.startswith("rooms.") or may_in_person(NEEDS[one], may)]
    return [WITHDRAW if one == DECIDE and not may_in_person("consent", may) else one for one in kept]


DECIDE, WITHDRAW = "consents.decide", "consents.withdraw"
NEEDS: dict[str, Need] = {"rooms.read": "read", "rooms.write": "write", "rooms.open": "write"}
_DEVICES = (
    ("iphone", ("iphone", "ipad", "ipod", "ios")),
    ("android", ("android", "okhttp")),
    ("windows", ("windows",)),
    ("mac", ("macintosh", "macos", "mac os")),
    ("linux", ("linux", "cros", "chrome os", "chromium os", "x11")),
)
"""In this order: an Android says that it is a Linux, an iPhone that it is like a Mac."""
LONGEST_AGENT = 400


def device_of(agent: str, platform: str = "") -> str:
    """What kind of device sends these headers (`User-Agent`, `Sec-CH-UA-Platform`), as a word of `DeviceKind` and
    nothing else of them. They can say anything: it is shown to their owner, and decides nothing."""
    for said in (platform, agent):
        text = said[:LONGEST_AGENT].casefold()
        for kind, marks in _DEVICES:
            if any(mark in text for mark in marks):
                return kind
    return "other"


def proved(*, strong_at: datetime | None, at: datetime, within: timedelta) -> bool:
    """Whether the last proof of who somebody is was given at most `within` ago; one from the future is none."""
    return strong_at is not None and timedelta(0) <= at - strong_at <= within
