"""How deliveries leave the house: one module for each means. None of them touches the database."""

from django.conf import settings

from server.notify import vapid


def configured() -> frozenset[str]:
    """Channels that this installation has the means for."""
    env = settings.ENV
    found = {"push"} if vapid.key_id() else set()
    if env.gateway_url:
        found |= {"sms", "voice"}
    if env.email_url:
        found.add("email")
    return frozenset(found)
