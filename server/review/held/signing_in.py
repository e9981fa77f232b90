"""What is held about how somebody signs in and where they are reached: the same for patients and people at work. Ids of
sessions and times, and no secret: digests and keys are told by nobody."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from server.notify.models import Address, Delivery, QuietHours
from server.notify.sealed import open_place
from server.people.models import Passkey, RecoveryCode, Session, TotpSecret, User
from server.review.held.section import Rows, Section


def _place(address: Address) -> dict[str, Any]:
    """The owner's own name for it, and the number or mailbox; of a browser, which service brings messages there."""
    if not bytes(address.sealed):
        return {}
    found = open_place(address)
    service = found.endpoint.split("/")[2] if found.endpoint.count("/") > 2 else ""
    return {"label": found.label, "to": found.to, "service": service}


def sections(user_of: Callable[[UUID], QuerySet[Any, Any]]) -> list[Section]:
    """`user_of`: from a person's id to the id of the account."""

    def theirs(model: Any) -> Any:
        def rows(person: UUID) -> Rows:
            found: Rows = model._default_manager.filter(user_id__in=user_of(person))  # noqa: SLF001 - Django's own name
            return found

        return rows

    def deliveries(person: UUID) -> Rows:
        users = user_of(person)
        return Delivery.objects.filter(Q(user_id__in=users) | Q(address__user_id__in=users))

    return [
        Section(
            "account",
            lambda person: User.objects.filter(id__in=user_of(person)),
            ("username", "name", "language", "is_active", "is_administrator"),
            of=lambda rows, _: rows,
        ),
        Section(
            "sessions",
            theirs(Session),
            (
                *("sid", "sign_in", "level", "as_patient", "device", "created", "expiry", "idle_until", "ends_at"),
                *("strong_at", "strong_by", "totp_wrong", "ended_at", "end_reason", "last_seen_at"),
                *("engagement_id", "officer_id"),
            ),
        ),
        Section("passkeys", theirs(Passkey), ("device", "backed_up", "made_at", "used_at", "removed_at")),
        Section("one_time_codes", theirs(TotpSecret), ("made_at", "confirmed_at", "removed_at")),
        Section("recovery_codes", theirs(RecoveryCode), ("made_at", "used_at", "replaced_at")),
        Section(
            "addresses",
            theirs(Address),
            ("kind", "made_at", "disabled_at", "disabled_because", "accepted_at", "received_at"),
            opened={"sealed": _place},
        ),
        Section("quiet_hours", theirs(QuietHours), ("hours", "set_at")),
        Section(
            "deliveries",
            deliveries,
            (
                *("kind", "channel", "language", "urgent", "state", "code", "attempts", "made_at"),
                *("accepted_at", "received_at", "answered"),
            ),
        ),
    ]
