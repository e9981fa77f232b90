"""Typed errors with stable codes. One place (`server/wiring.py`) turns them into problem+json or an error frame.

Texts never repeat what a client sent: a value may be content (law 9).
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict
from uuid import UUID

from django.utils.translation import gettext_lazy as _


class FieldError(TypedDict):
    field: str
    code: str
    detail: str


@dataclass(frozen=True)
class Refusal:
    """What the audit log is told about a refusal, after the rollback and before the answer (law 1)."""

    type: str
    reason: str
    room_id: UUID | None = None
    subject_id: UUID | None = None
    object_id: UUID | None = None
    detail: dict[str, Any] = field(default_factory=dict)


class Problem(Exception):
    """An answer that is not success. `code` is stable and part of the contract."""

    status: ClassVar[int] = 400
    code: str = "invalid"
    title: Any = _("The request could not be understood.")

    def __init__(
        self,
        detail: Any = "",
        *,
        code: str | None = None,
        errors: list[FieldError] | None = None,
        refusal: Refusal | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code or self.code)
        if code is not None:
            self.code = code
        self.detail = detail
        self.errors = errors or []
        self.refusal = refusal
        self.extra = extra or {}
        """Further members of the problem document; identifiers only."""


class Invalid(Problem):
    """400: the request is malformed; `errors` names the fields."""


class Unauthenticated(Problem):
    """401: no session, or one that has ended."""

    status = 401
    code = "unauthenticated"
    title = _("Sign in to go on. In an emergency call 113; the out-of-hours doctor answers at 116 117.")


class Forbidden(Problem):
    """403: known to exist, but not open to this person."""

    status = 403
    code = "forbidden"
    title = _("You may not do this.")


class NotFound(Problem):
    """404: foreign, ended or missing; always the same words, so that nothing is told apart."""

    status = 404
    code = "not_found"
    title = _("Not found, or not open to you.")

    def __init__(self, *, refusal: Refusal | None = None) -> None:
        super().__init__(
            _(
                "If you were sending something: it was not sent, and nobody has received it. "
                "If it is urgent, phone instead."
            ),
            refusal=refusal,
        )


class Conflict(Problem):
    """409: understood, but at odds with what is already there."""

    status = 409
    code = "conflict"
    title = _("This does not fit what is already there.")


class NotYet(Conflict):
    """409: it will be there in a moment; `retry_after_s` says when to ask again."""

    retry_after_s = 1


class TooMany(Problem):
    """429: too many requests; `retry_after_s` says how long to wait."""

    status = 429
    code = "too_many"
    title = _("Too many requests. Wait a little and try again.")

    def __init__(self, retry_after_s: float, *, limits: dict[str, str] | None = None) -> None:
        super().__init__()
        self.retry_after_s = max(1, int(retry_after_s + 0.999))
        self.limits = limits or {}
        """Headers that name the limit."""


class Unavailable(Problem):
    """503: a part that this needs does not answer now; the same request may succeed later."""

    status = 503
    code = "unavailable"
    title = _(
        "We cannot answer right now, and do not know if it was saved. "
        "Try again: it is never done twice. If urgent, phone."
    )
    retry_after_s = 2
