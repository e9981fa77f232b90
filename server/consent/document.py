"""What one version of a consent says, as it is sealed: typed, frozen, and nothing beside it (RFC 8785 canonical JSON).

Identifiers, codes, times and digests only: words that somebody wrote are sealed apart and stand here as a keyed digest.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import rfc8785
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer


def _hex(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError("64 lower-case hexadecimal digits")
    return text


def _written(at: datetime) -> str:
    # Not strftime, which writes early years with fewer than four digits: those could not be read again.
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Hex = Annotated[str, AfterValidator(_hex)]
Moment = Annotated[
    AwareDatetime,
    AfterValidator(lambda at: at.astimezone(UTC)),
    PlainSerializer(_written, return_type=str),
]
"""UTC; written with microseconds and `Z`."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class GrantPart(Part):
    """A unit (its organisation number is kept as it was), narrowed by role or person where these are set."""

    unit: UUID
    org_number: str
    person: UUID | None = None
    role: str | None = None


class UnitPart(Part):
    unit: UUID
    org_number: str


class Grantor(Part):
    """Who decided, and in which capacity (`self`, or a code of `forms/capacities.json`). `user` is None for somebody
    without an account, who signed on paper or spoke before a witness."""

    user: UUID | None
    capacity: str = "self"


class Competence(Part):
    """An assessment of capacity to consent (*samtykkekompetanse*, pasient- og brukerrettighetsloven § 4-3)."""

    assessed_by: UUID
    assessed_at: Moment
    result: Literal["competent", "partly", "lacking"]
    where: UUID
    """The unit where it was made."""


class Method(Part):
    """How it was given: a strong sign-in (with level), paper (digest of the scan), spoken before a witness (with a
    minute), or the clock's own act."""

    kind: Literal["sign_in", "paper", "oral", "clock"]
    sign_in: str | None = None
    level: int | None = None
    scan_sha256: Hex | None = None
    witness: UUID | None = None
    minute: Hex | None = None


class TextPart(Part):
    """The exact bytes that were shown: their form, version, language and SHA-256; the bytes are kept beside it."""

    form: str
    version: int
    language: str
    sha256: Hex


class Release(Part):
    """What lifts the duty of confidentiality for one unit (L1): consent, and the statute that lets it."""

    unit: UUID
    statute: str


class LegalBasis(Part):
    """One controller's basis for processing (GDPR art. 6 and 9): a statute, never the consent (L1)."""

    controller: str
    article_6: str
    article_9: str
    statute: str


class Basis(Part):
    confidentiality: tuple[Release, ...] = ()
    gdpr: tuple[LegalBasis, ...] = ()


class Content(Part):
    """Which content is meant, by when it was written; half-open, None means no limit."""

    start: Moment | None = None
    end: Moment | None = None


class Terms(Part):
    """What holds after the act. `grants` are in force (or waiting, as `asked`, for the patient's answer)."""

    purpose: str
    categories: tuple[str, ...]
    grants: tuple[GrantPart, ...] = ()
    asked: tuple[GrantPart, ...] = ()
    excluded_units: tuple[UnitPart, ...] = ()
    excluded_people: tuple[UUID, ...] = ()
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    """The end; while nothing is in force, the end that the text offers."""
    content: Content = Content()


class Document(Part):
    """One sealed version. `previous` is the hash of the one before; None for the first."""

    schema_version: Literal[1] = 1
    id: UUID
    consent: UUID
    number: int
    previous: Hex | None
    form: str
    patient: UUID
    room: UUID | None
    act: str
    state: str
    terms: Terms
    grantor: Grantor | None
    competence: Competence | None
    method: Method
    given_at: Moment
    recorded_at: Moment
    recorder: UUID | None
    text: TextPart
    remark: Hex | None
    basis: Basis


class EmergencyDocument(Part):
    """What is sealed of one emergency access (L3)."""

    schema_version: Literal[1] = 1
    id: UUID
    room: UUID
    user: UUID
    engagement: UUID
    ground: str
    begun: Moment
    until: Moment
    hidden: bool
    """Whether the patient is told at `tell_at`, and not before."""
    tell_at: Moment


def canonical(document: BaseModel) -> bytes:
    """RFC 8785 bytes: the same document always gives the same bytes.

    Raises ValueError, without the text, for one that has no canonical form (a lone surrogate in a code).
    """
    try:
        return rfc8785.dumps(document.model_dump(mode="json"))
    except rfc8785.CanonicalizationError:
        pass
    raise ValueError("this document has no canonical form")
