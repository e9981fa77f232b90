"""A night with many patients, for measuring and for proofs: `python -m bench.night PATIENTS < DEVICES`, with a stack's
environment and the demo town's after-hours service.

DEVICES is `{"nils": [SUBSCRIPTION, …], …}` as JSON: whose devices are called, all of them in the first step. An alert
key of each new patient goes to standard output, one a line.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from django.db import transaction  # noqa: E402 - Django first

from server.alerts.actions import policies  # noqa: E402
from server.alerts.authentication import digest_of, new_key  # noqa: E402
from server.alerts.demo import build_programme  # noqa: E402
from server.alerts.models import AlertKey  # noqa: E402
from server.common.clock import now  # noqa: E402
from server.notify.actions import register_push  # noqa: E402
from server.people.access import current_engagement  # noqa: E402
from server.people.actors import Acting, acting_for  # noqa: E402
from server.people.crowd import bulk_patients  # noqa: E402
from server.people.demo import build_town  # noqa: E402
from server.people.models import User  # noqa: E402

LEADER = "mona"
STEPS = [
    {"targets": ["team"], "wait_s": 1800, "channels": ["push"], "voice_after_s": 60},
    {"targets": ["final"], "wait_s": 1800, "channels": ["voice"], "voice_after_s": 0},
]
"""Whoever has a device is called at once, and nobody else meanwhile."""
AT_A_TIME = 100


def build(patients: int, devices: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The town stands, or is built; then patients, their alert keys, and whom they reach. Returns the keys."""
    build_town()
    programme = build_programme()
    leader = somebody(LEADER)
    policies.make(acting=leader, programme_id=programme.id, steps=STEPS)
    for name, subscriptions in devices.items():
        for number, subscription in enumerate(subscriptions):
            register_push(acting=somebody(name), subscription=dict(subscription), label=f"{name} {number}")
    keys: list[str] = []
    for begun in range(0, patients, AT_A_TIME):
        with transaction.atomic():
            made = bulk_patients([programme.unit], min(AT_A_TIME, patients - begun), recorded_by=leader.user)
            new = [new_key() for _ in made]
            AlertKey.objects.bulk_create(
                AlertKey(patient=patient, digest=digest_of(key)) for patient, key in zip(made, new, strict=True)
            )
        keys += new
    return keys


def somebody(username: str) -> Acting:
    engagement = current_engagement(User.objects.values_list("id", flat=True).get(username=username))
    assert engagement is not None, "the town's staff are engaged"
    return acting_for(engagement, sign_in="demo", at=now())


if __name__ == "__main__":
    print(*build(int(sys.argv[1]), json.load(sys.stdin)), sep="\n")
