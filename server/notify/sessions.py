"""What sessions have to do with devices: implements `people.ports.SessionDevices`."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID, uuid5

from django.db.models import Count

from server.common.clock import now
from server.notify.actions.outbox import Order, enqueue
from server.notify.actions.reaching import reachable
from server.notify.models import Address, AddressKind, Channel, DeliveryKind
from server.notify.topics import topic
from server.people.models import User

IDS = UUID("3f5b0d0e-6c0b-5d0f-8a66-5b9f4c1e2d70")
TTL_S = 24 * 3600
PATIENCE = timedelta(seconds=60)
"""So long a device that has just signed in may take to register: it is not told of itself (`own.py`)."""


class DevicesOfSessions:
    """`people.ports.SessionDevices`."""

    def counts(self, sids: Collection[UUID]) -> Mapping[UUID, int]:
        rows = Address.objects.heard().filter(kind=AddressKind.PUSH, session__in=list(sids)).values("session")
        found = rows.order_by("session").annotate(n=Count("id")).values_list("session", "n")
        return {sid: n for sid, n in found if sid is not None}

    def tell(self, user_id: UUID, *, about: UUID) -> None:
        due = now() + PATIENCE
        ways = [way for way in reachable([user_id]).get(user_id, ()) if way.channel == Channel.PUSH]
        if not ways:
            return
        language = User.objects.values_list("language", flat=True).get(id=user_id)
        ids = [uuid5(IDS, f"{about} {way.address_id}") for way in ways]
        enqueue(
            [
                Order(
                    id=made,
                    kind=DeliveryKind.NOTICE,
                    about=about,
                    user_id=user_id,
                    channel=way.channel,
                    address_id=way.address_id,
                    language=language,
                    urgent=False,
                    ttl_s=TTL_S,
                    topic=topic("session", about, way.address_id),
                    due_at=due,
                )
                for made, way in zip(ids, ways, strict=True)
            ]
        )
