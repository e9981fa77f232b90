"""Texts and calls through an HTTP gateway (docs/notify.md). It takes an order once by its `id`, however often it is
sent, and calls back."""

import json

from django.conf import settings

from server.notify import transport, words
from server.notify.decide import retry_after
from server.notify.endpoints import Endpoint, Forbidden, parse
from server.notify.jobs import Job, Outcome
from server.notify.names import GATEWAY
from server.notify.signing import SIGNATURE, TIMESTAMP, sign

CALLBACK = "/api/v1/notify/callback"


def send(job: Job) -> Outcome:
    """One attempt."""
    env = settings.ENV
    if not env.gateway_url:
        return Outcome("not_configured")
    body = json.dumps(order(job), ensure_ascii=False).encode()
    timestamp = str(int(job.at.timestamp()))
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP: timestamp,
        SIGNATURE: sign(env.gateway_secret, timestamp, body),
    }
    try:
        answer = transport.post(
            where(env.gateway_url), headers=headers, body=body, limit_s=env.send_limit_s, names=GATEWAY
        )
    except Forbidden:
        return Outcome("not_configured")
    except transport.Fault as fault:
        return Outcome(str(fault))
    if answer.status in (404, 410):
        return Outcome("refused")  # it is the gateway that is not there, not the telephone
    return Outcome(answer.status, retry_after(answer.retry_after, job.at))


def where(url: str) -> Endpoint:
    """The administrator's own setting: it may lie in our network."""
    host = url.partition("://")[2].partition("/")[0].lower()
    return parse(url, {host, host.rsplit(":", 1)[0]})


def order(job: Job) -> dict[str, object]:
    """What the gateway is asked to do."""
    voice = job.channel == "voice"
    text = words.spoken(job.kind, job.language) if voice else words.title(job.kind, job.language)
    said: dict[str, object] = {
        "id": str(job.delivery),
        "kind": job.channel,
        "to": job.place.to,
        "from": settings.ENV.caller_id,
        "text": text,
        "language": job.language,
        "callback": settings.ENV.public_url + CALLBACK,
        "expires_s": job.ttl_s,
    }
    if voice and (keys := words.keys(job.kind)):
        said["keys"] = keys
    return said
