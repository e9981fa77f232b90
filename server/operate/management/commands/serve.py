"""`manage.py serve`: HTTP, sockets and worker loops in one process; the product runs with this one command."""

import os
import sys
import threading
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand

from server.common.logs import quiet_hooks
from server.operate import child, loops, preflight

BANNER = """
Samsnakk listens on {url}

  Who can sign in (demo):  {personas}
  The API, to read and try: {url}/api/v1/docs/
  The socket:               {ws}/ws/v1
  Data:                     {data}

Next:  {story}make story        Are's story, played against this server, each step shown
       Ctrl-C            stops; the data stay
"""


class Command(BaseCommand):
    help = "Serve HTTP and WebSocket, and run the worker loops."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        env = settings.ENV
        first = (preflight.folder_fault(), preflight.port_fault(env.host, env.port), *preflight.choice_faults())
        for fault in first:
            refuse(fault)
        if not settings.DEMO:
            for fault in preflight.production_faults():
                refuse(fault)
        refuse(preflight.database_fault())
        refuse(preflight.bring_up_to_date())
        for fault in preflight.key_faults():
            refuse(fault)
        for said in [] if settings.DEMO else preflight.production_warnings():
            sys.stderr.write(f"samsnakk: warning: {said}\n")
        quiet_hooks()
        sys.setswitchinterval(0.001)  # database threads must not hold up the loop that answers sockets
        personas = self._prepare_demo() if settings.DEMO else []
        self._serve(personas)

    def _prepare_demo(self) -> list[str]:
        from server.alerts.demo import build_programme  # noqa: PLC0415 - never loaded in production
        from server.people.demo import build_town, personas  # noqa: PLC0415 - the same

        build_town()
        build_programme()
        return personas()

    def _serve(self, personas: list[str]) -> None:
        from server.operate.daphne import DrainingServer  # noqa: PLC0415 - loading daphne chooses the reactor

        env = settings.ENV
        stop = threading.Event()
        threads = loops.start(stop)
        if env.watchdog:
            threads.append(child.keep(stop))
        if personas:
            self._greet(personas)
        DrainingServer(get_default_application(), host=env.host, port=env.port).run()
        stop.set()
        for thread in threads:
            thread.join(timeout=3)
        sys.stdout.flush()
        os._exit(0)  # request threads that wait for a frozen database must not hold up the end

    def _greet(self, personas: list[str]) -> None:
        env = settings.ENV
        shown = f"[{env.host}]" if ":" in env.host else env.host
        data = str(env.var_dir) if settings.EMBEDDED else "the database at DATABASE_URL"
        self.stdout.write(
            BANNER.format(
                url=f"http://{shown}:{env.port}",
                story="" if env.port == 8000 else f"PORT={env.port} ",
                ws=f"ws://{shown}:{env.port}",
                personas=", ".join(personas),
                data=data,
            )
        )
        self.stdout.flush()


def refuse(fault: str | None) -> None:
    """Stop with one line."""
    if fault is not None:
        sys.stderr.write(f"samsnakk: {fault}\n")
        sys.stderr.flush()
        os._exit(1)
