"""Processes of the sequencer that are born quickly, to be killed: `python -m tests.faults.doomed`, with a stage's
environment, reads the settings, opens nothing, and forks one for each line of JSON that it is told.

`{"start": WORK, "words": {…}, "log": FILE}` answers with the process id; `{"ended": PID}` with its exit status
(negative: the signal), or null while it lives.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from django.conf import settings  # noqa: E402 - Django first
from django.db import DatabaseError, connection, transaction  # noqa: E402

from server.audit import adoption, checking, sequencer, worker  # noqa: E402
from server.audit.actions import record_many  # noqa: E402
from server.audit.entry import SYSTEM, Entry  # noqa: E402
from server.audit.keys import signers  # noqa: E402
from server.audit.models import Pending  # noqa: E402
from server.audit.sequencer import Stopped  # noqa: E402
from tests.support import database  # noqa: E402

REFUSED = 3
"""Exit status of a sequencer that was refused; its code is the last thing that it says."""


class Doom:
    """At the `nth` time that a named point is reached, the process ends or stands still (`how`: kill, stop).

    `at` is one of the sequencer's own points; `claimed`, between finding what waits and telling the store; or `file`,
    which counts what the file store asks of the disk: the end comes before the nth such call, and with `torn` only half
    of what was written is on disk by then.
    """

    def __init__(self, at: str, nth: int = 1, how: str = "kill", torn: bool = False) -> None:
        self.at, self.left, self.torn = at, nth, torn
        self.signal = signal.SIGKILL if how == "kill" else signal.SIGSTOP

    def arm(self) -> None:
        if self.at == "file":
            for name in ("fsync", "replace", "unlink"):
                setattr(os, name, self._before(getattr(os, name)))
        elif self.at == "claimed":
            claim = sequencer.claim

            def claimed(limit: int) -> list[tuple[UUID, str]]:
                found = claim(limit)
                if found:
                    self.met()
                return found

            sequencer.claim = claimed
        else:
            sequencer.reached = lambda point: self.met() if point == self.at else None

    def met(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.signal)

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*words: Any, **more: Any) -> Any:
            if self.torn and self.left == 1 and words and isinstance(words[0], int):
                os.ftruncate(words[0], os.fstat(words[0]).st_size // 2)
            self.met()
            return call(*words, **more)

        return instead


def seal(every_s: float = 0.01, batch: int = 5_000, doom: dict[str, Any] | None = None, dry: bool = False) -> int:
    """The product's own tick, again and again; `dry`: until nothing waits."""
    if doom:
        Doom(**doom).arm()
    worker.sequencer().batch = batch
    while True:
        try:
            sealed = worker.tick()
            if dry and not sealed and not Pending.objects.exists():
                return 0
        except Stopped as stopped:
            print(stopped.code, flush=True)
            if dry:
                return REFUSED
        except DatabaseError as error:
            print(type(error).__name__, flush=True)
        finally:
            connection.close()
        time.sleep(every_s)


def act(seconds: float = 0.0, count: int = 0, seed: int = 0, slow: bool = False, exact: bool = False) -> int:
    """Write events for so long, or so many, in transactions of one to five; each line says what was committed.

    `slow`: some transactions stay open for a while, so that ids commit out of order. `exact`: not one too many.
    """
    dice, until = random.Random(seed), time.monotonic() + seconds
    while count > 0 or time.monotonic() < until:
        entries = [
            Entry(type="x.done", actor=SYSTEM, detail={"n": n}) for n in range(1 if exact else dice.randint(1, 5))
        ]
        with transaction.atomic():
            made = record_many(entries)
            if slow and dice.random() < 0.3:
                time.sleep(dice.uniform(0, 0.1))
        print(*made, flush=True)
        count -= len(made)
        if seconds:
            time.sleep(dice.uniform(0, 0.01))
    return 0


def adopt(reason: str) -> int:
    adoption.adopt(store=worker.store(), signers=signers(), reason=reason)
    return 0


def tamper(statements: list[str], forget: bool = False) -> int:
    """What somebody can do who owns the database; with `forget`, the sequencer's memory too."""
    with database.unguarded(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    if forget:
        for name in ("current", "next"):
            (Path(settings.ENV.var_dir) / "audit" / "store" / name).unlink(missing_ok=True)
    return 0


def check() -> int:
    """`manage.py audit check`, as a list of what is wrong."""
    keys = [signer.verifier for signer in signers()]
    for fault in checking.check(keys, lambda done, total: None):
        print(fault.text, flush=True)
    return 0


WORK: dict[str, Callable[..., int]] = {"seal": seal, "act": act, "adopt": adopt, "tamper": tamper, "check": check}


def start(work: str, words: dict[str, Any], log: str) -> int:
    born = os.fork()
    if born:
        return born
    try:
        out = Path(log).open("ab", buffering=0)  # noqa: SIM115 - until the end of the process
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = WORK[work](**words)
    except Exception:  # noqa: BLE001 - whatever it was, a child never goes back into the loop below
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    os._exit(status)


def ended(born: int) -> int | None:
    gone, status = os.waitpid(born, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if gone else None


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = ended(asked["ended"]) if "ended" in asked else start(asked["start"], asked["words"], asked["log"])
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
