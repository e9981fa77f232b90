"""When the first of each thing happened to an alert; for the report of the night and for figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Min, QuerySet

from server.alerts.models import Alert, AlertEvent

FIRSTS = {"page_sent": "sent", "accepted": "accepted", "in_contact": "contact", "not_reached": "not_reached"}


@dataclass(slots=True)
class Times:
    """`sent`: a provider had accepted a page; `accepted`: a person had; `contact`: the two had spoken."""

    raised: datetime
    sent: datetime | None = None
    accepted: datetime | None = None
    contact: datetime | None = None
    not_reached: datetime | None = None
    accepted_by: UUID | None = None


def times_of(alerts: QuerySet[Alert]) -> dict[UUID, Times]:
    """Three statements, however many there are."""
    found = {one: Times(raised) for one, raised in alerts.order_by("raised_at", "id").values_list("id", "raised_at")}
    events = AlertEvent.objects.filter(alert__in=alerts.order_by().values("id"))
    firsts = events.filter(type__in=FIRSTS).values_list("alert_id", "type").annotate(first=Min("at"))
    for alert, type_, at in firsts:
        setattr(found[alert], FIRSTS[type_], at)
    takers = events.filter(type="accepted").order_by("alert_id", "-n").values_list("alert_id", "actor_id", "contact")
    for alert, actor, contact in takers:
        found[alert].accepted_by = actor or contact
    return found


def seconds(since: datetime, until: datetime | None) -> float | None:
    return None if until is None else round((until - since).total_seconds(), 1)


def ids(alerts: Iterable[Alert]) -> QuerySet[Alert]:
    """The same alerts, as a query."""
    return Alert.objects.filter(id__in=[one.id for one in alerts])
