"""How many statements each part of a call for help costs: `python -m bench.costs < KEY`, with a stack's environment, no
server beside it, and an alert key of a patient who has not called. JSON goes to standard output."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from django.db import connection  # noqa: E402 - Django first
from django.test import Client  # noqa: E402

from server.alerts import router  # noqa: E402
from server.notify import lanes, worker  # noqa: E402
from server.notify.actions import page_token  # noqa: E402
from server.notify.models import Delivery  # noqa: E402


def main(key: str) -> dict[str, int]:
    phone, alert, told = Client(HTTP_HOST="127.0.0.1"), uuid4(), {}

    def press() -> Any:
        address = f"/api/v1/alerts/{alert}"
        return phone.put(address, {}, content_type="application/json", headers={"Authorization": f"Alert-Key {key}"})

    told["put"] = counted(press)
    told["put_again"] = counted(press)
    told["look"] = counted(lambda: router.look(alert))
    with mock.patch.object(lanes, "run", lambda lane, work: work()):
        told["send"] = counted(worker.tick)
    token = page_token(Delivery.objects.get(about=alert).id)
    for verb in ("receipt", "accept"):
        told[verb] = counted(lambda: phone.post(f"/api/v1/pages/{token}/{verb}"))  # noqa: B023 - called at once
    return told


def counted(deed: Callable[[], Any]) -> int:
    """Statements, of which a transaction's beginning and end are none."""
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    wrapped: AbstractContextManager[None] = connection.execute_wrapper(note)
    with wrapped:
        deed()
    return sum("SAVEPOINT" not in sql for sql in seen)


if __name__ == "__main__":
    print(json.dumps(main(sys.stdin.read().strip())))
