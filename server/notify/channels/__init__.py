"""How deliveries leave the house: one module for each means. None of them touches the database."""

from collections.abc import Callable

from django.conf import settings

from server.notify import vapid
from server.notify.channels import gateway, mail, webpush
from server.notify.jobs import Job, Outcome

SENDERS: dict[str, Callable[[Job], Outcome]] = {
    "push": webpush.send,
    "sms": gateway.send,
    "voice": gateway.send,
    "email": mail.send,
}


def send(job: Job) -> Outcome:
    """One attempt over its channel."""
    return SENDERS[job.channel](job)


def configured() -> frozenset[str]:
    """Channels that this installation has the means for."""
    env = settings.ENV
    found = {"push"} if vapid.keys() else set()
    if env.gateway_url and env.gateway_secret and env.public_url:
        found |= {"sms", "voice"}
    if env.email_url:
        found.add("email")
    return frozenset(found)
