"""The sequencer as a loop: in the serving process, or in one of its own (`manage.py audit sequence`)."""

from functools import cache

import structlog
from django.conf import settings

from server.audit.keys import KeyFault, signers
from server.audit.models import Head, Pending
from server.audit.sequencer import Sequencer, Stopped
from server.audit.store import FileStore, PostgresStore, Store, StoreFault

log = structlog.get_logger(__name__)

EVERY_S = 0.5
"""A checkpoint is signed within a second of the act, the loop's wait included; each costs some milliseconds of CPU."""
BUSY = 500
"""Where so many had waited, the next are sealed without a wait."""


class _Standing:
    """What this process's sequencer has found; what others are to know stands on the head."""

    code = ""
    settled = False


standing = _Standing()


def state() -> str:
    """Empty while sealing goes on; else the code of what stopped it (`Stopped.code`, `store`, `key`), in whichever
    process it stopped. One statement."""
    return standing.code or Head.objects.values_list("stopped", flat=True).first() or ""


@cache
def store() -> Store:
    """The sequencer's memory, as the installation has it."""
    if settings.ENV.audit_store:
        return PostgresStore(settings.ENV.audit_store)
    return FileStore(settings.ENV.var_dir / "audit" / "store")


@cache
def sequencer() -> Sequencer:
    """Raises KeyFault."""
    return Sequencer(store(), signers())


def tick() -> int:
    """Seal what waits. When it may not, say so loudly and try again later: acts go on, and wait to be sealed."""
    try:
        done = _work()
    except (Stopped, StoreFault, KeyFault) as fault:
        code = fault.code if isinstance(fault, Stopped) else "store" if isinstance(fault, StoreFault) else "key"
        if standing.code != code:
            standing.code = code
            log.critical("audit_sequencer_stopped", code=code, why=str(fault))
        Head.objects.exclude(stopped=code).update(stopped=code)
        raise
    if standing.code:
        log.warning("audit_sequencer_goes_on", after=standing.code)
        standing.code = ""
        Head.objects.exclude(stopped="").update(stopped="")
    return done


def _work() -> int:
    if not standing.settled or store().read().next is not None:
        sequencer().settle()
        standing.settled = True
    done = 0
    while Pending.objects.exists():
        sealed = sequencer().step()
        done += sealed
        if sealed < min(BUSY, sequencer().batch):
            break
    return done
