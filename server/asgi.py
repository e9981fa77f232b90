"""The ASGI application: HTTP to Django, the socket to the gateway. Daphne is the default server; any other will do."""

import os
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from server.common.doors import Doors  # noqa: E402 - models must be loaded first
from server.gateway.app import Gateway  # noqa: E402 - as above

gateway = Gateway()
pages = get_asgi_application()


async def http(scope: Any, receive: Any, send: Any) -> None:
    """Django. The hub is there before the first act, socket or not: it alone passes hints on without waiting."""
    gateway.wake()
    await pages(scope, receive, send)


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """For servers that tell of start and stop (daphne does not): drain before the end."""
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await gateway.drain()
    await send({"type": "lifespan.shutdown.complete"})


async def nothing_here(scope: Any, receive: Any, send: Any) -> None:
    """Any other WebSocket address: refused before it is accepted."""
    await receive()
    await send({"type": "websocket.close"})


application: Any = Doors(
    ProtocolTypeRouter(
        {
            "http": http,
            "websocket": URLRouter([re_path(r"^ws/v1$", gateway), re_path(r"", nothing_here)]),  # type: ignore[arg-type]
            "lifespan": lifespan,
        }
    )
)
