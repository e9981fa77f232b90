"""What whoever keeps watch should look at: as codes, from what the database says."""

from datetime import timedelta

from server.common.clock import now
from server.notify import vapid
from server.notify.models import Address, AddressKind, Channel, Delivery

REMEMBERED = timedelta(hours=1)
"""For so long a refusal of ours is told: a provider that refused us once refuses us again."""
LATE = timedelta(seconds=30)
REFUSED = {
    Channel.PUSH: "push_keys_refused",
    Channel.SMS: "gateway_keys_refused",
    Channel.VOICE: "gateway_keys_refused",
    Channel.EMAIL: "mail_keys_refused",
}


def warnings() -> set[str]:
    """Three statements. Raises what the database raises."""
    at = now()
    refused = Delivery.objects.filter(code="keys_refused", made_at__gt=at - REMEMBERED).values_list(
        "channel", flat=True
    )
    found = {REFUSED[Channel(channel)] for channel in refused.distinct()}
    # Nothing is due for long, unless no worker runs or every thread waits for a provider.
    if Delivery.objects.open().filter(due_at__lt=at - LATE).exists():
        found.add("deliveries_late")
    if Address.objects.live().filter(kind=AddressKind.PUSH).exclude(vapid__in=vapid.known()).exists():
        found.add("push_key_missing")  # a file that was not copied to this host, or a key that was thrown away
    return found
