"""Web Push (RFC 8030): encrypted for the device alone (RFC 8291), signed with our key (RFC 8292)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from pywebpush import Vapid, WebPushException, webpush

from server.notify import transport, vapid, words
from server.notify.decide import retry_after
from server.notify.endpoints import Endpoint, Forbidden, parse
from server.notify.jobs import Job, Outcome
from server.notify.names import AT_LEISURE, PUSHING, Names
from server.notify.tokens import page_token

BLOCK = 256
"""The text is filled up to a multiple of this: its length says nothing of what it is."""
SIGNED_FOR = timedelta(hours=12)


@dataclass(slots=True)
class _Wire:
    """What `pywebpush` is given in place of a session of `requests`: our own transport."""

    to: Endpoint
    names: Names
    answer: transport.Answer | None = None

    def post(self, _url: str, *, data: bytes, headers: Mapping[str, object], timeout: float) -> "_Wire":
        said = {str(name): str(value) for name, value in headers.items()}
        self.answer = transport.post(self.to, headers=said, body=data, limit_s=timeout, names=self.names)
        return self

    @property
    def status_code(self) -> int:
        return self.answer.status if self.answer is not None else 0

    reason, text, headers = "", "", ()


def send(job: Job) -> Outcome:
    """One attempt."""
    key, limit_s = vapid.by_id(job.vapid), settings.ENV.send_limit_s
    if key is None:
        return Outcome("not_configured")
    try:
        to = parse(job.place.endpoint, settings.ENV.push_hosts_allowed)
        wire = _Wire(to, PUSHING if job.urgent else AT_LEISURE)
        webpush(
            {"endpoint": job.place.endpoint, "keys": {"p256dh": job.place.p256dh, "auth": job.place.auth}},
            data=payload(job),
            vapid_private_key=Vapid(private_key=key.private),
            vapid_claims={
                "sub": settings.ENV.vapid_subject,
                "aud": to.origin,
                "exp": int((job.at + SIGNED_FOR).timestamp()),
            },
            ttl=job.ttl_s,
            timeout=limit_s,
            headers={"Urgency": "high" if job.urgent else "normal", "Topic": job.topic},
            requests_session=wire,
        )
    except Forbidden:
        return Outcome("forbidden_host")
    except transport.Fault as fault:
        return Outcome(str(fault))
    except WebPushException:
        if wire.answer is None:
            return Outcome("unreadable")  # the keys of the subscription
    assert wire.answer is not None, "answered, or raised"
    return Outcome(wire.answer.status, retry_after(wire.answer.retry_after, job.at))


def payload(job: Job) -> str:
    """What the service worker gets (docs/notify.md)."""
    said: dict[str, object] = {
        "kind": words.SHOWN.get(job.kind, job.kind),
        "title": words.title(job.kind, job.language),
        "tag": job.topic,
        "sound": words.SOUNDS.get(job.kind, "message"),
    }
    if job.kind in (*words.ANSWERABLE, "test"):
        said["token"] = page_token(job.delivery)
    if job.kind in words.ANSWERABLE:
        said["actions"] = ["accept", "decline"]
    text = json.dumps(said, ensure_ascii=False)
    return text + " " * (-len(text.encode()) % BLOCK)
