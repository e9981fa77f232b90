"""Somebody's way in has been used by others, or has changed: they are told in the app, and on each of their devices
that something waits there. Never what, and never by whom (law 9)."""

from uuid import UUID, uuid5

from server.audit.entry import Actor
from server.duties import actions as duties
from server.notify.actions.outbox import Order, enqueue
from server.notify.actions.reaching import reachable
from server.notify.models import Address, Channel, DeliveryKind
from server.notify.topics import topic
from server.people.models import Patient, User

TTL_S = 24 * 3600


class WaysIn:
    """`people.ports.OwnersTold`."""

    def tell(
        self,
        kind: str,
        *,
        user_id: UUID,
        object_id: UUID,
        actor: Actor,
        code: str = "",
        patient: Patient | None = None,
        employer_id: UUID | None = None,
        but: UUID | None = None,
    ) -> None:
        duty = duties.owe(
            kind=kind,
            actor=actor,
            user_id=user_id,
            employer_id=employer_id,
            patient=patient,
            object_id=object_id,
            code=code,
        )
        its_own = set(Address.objects.filter(session=but).values_list("id", flat=True)) if but is not None else set()
        language = User.objects.values_list("language", flat=True).get(id=user_id)
        enqueue(
            [
                Order(
                    id=uuid5(duty.id, f"notice {way.address_id}"),
                    kind=DeliveryKind.NOTICE,
                    about=duty.id,
                    user_id=user_id,
                    channel=way.channel,
                    address_id=way.address_id,
                    language=language,
                    urgent=False,
                    ttl_s=TTL_S,
                    topic=topic("way in", duty.id, way.address_id),
                )
                for way in reachable([user_id]).get(user_id, ())
                if way.channel == Channel.PUSH and way.address_id not in its_own
            ]
        )
