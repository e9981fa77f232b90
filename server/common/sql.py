"""The few differences between the two engines that raw statements must know."""

from datetime import UTC, datetime
from uuid import UUID

from django.db import connection


def uuid_in(value: UUID) -> UUID | str:
    """A UUID as a statement's parameter."""
    return value.hex if connection.vendor == "sqlite" else value


def uuid_out(value: UUID | str) -> UUID:
    """A UUID as a statement's result."""
    return value if isinstance(value, UUID) else UUID(hex=value)


def time_in(value: datetime) -> datetime | str:
    """A moment as a parameter, comparable with stored times."""
    if connection.vendor == "sqlite":
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value


def time_out(value: datetime | str) -> datetime:
    """A moment as a result."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def rfc3339(moment: datetime) -> str:
    """A moment as clients see it: UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
