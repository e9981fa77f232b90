"""The sequencer as a loop: in the serving process, or in one of its own (`manage.py audit sequence`)."""

from functools import cache

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from server.audit.keys import KeyFault, signers
from server.audit.models import Checkpoint, Head, Pending
from server.audit.sequencer import Sequencer, Stopped
from server.audit.store import FileStore, PostgresStore, Store, StoreFault
from server.common.errors import Unavailable

log = structlog.get_logger(__name__)

EVERY_S = 0.5
"""A checkpoint is signed within a second of the act, the loop's wait included; each costs some milliseconds of CPU."""
BUSY = 500
"""Where so many had waited, the next are sealed without a wait."""


class _Standing:
    """What this process's sequencer has found; what others are to know stands on the head."""

    code = ""
    settled = False
    strange = 0


standing = _Standing()


def state() -> str:
    """Empty while sealing goes on; else the code of what stopped it (`Stopped.code`, `store`, `key`, `fault`), in
    whichever process it stopped. One statement."""
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
    except (OperationalError, InterfaceError, Unavailable):
        standing.settled = False  # what was committed may want finishing
        raise
    except Exception as fault:
        standing.settled = False
        _stop(_code(fault), fault)
        raise
    if standing.code:
        log.warning("audit_sequencer_goes_on", after=standing.code)
        standing.code = ""
        Head.objects.exclude(stopped="").update(stopped="")
    return done


def _code(fault: Exception) -> str:
    match fault:
        case Stopped():
            return fault.code
        case StoreFault():
            return "store"
        case KeyFault():
            return "key"
    return "fault"


def _stop(code: str, fault: Exception) -> None:
    if standing.code != code:
        standing.code = code
        log.critical("audit_sequencer_stopped", code=code, why=str(fault) if code != "fault" else type(fault).__name__)
    Head.objects.exclude(stopped=code).update(stopped=code)


def _work() -> int:
    if not standing.settled or _left_behind():
        sequencer().settle()
        standing.settled = True
    done = 0
    while Pending.objects.exists():
        sealed = sequencer().step()
        done += sealed
        if sealed < min(BUSY, sequencer().batch):
            break
    strange = sequencer().strange
    if strange > standing.strange:
        log.critical("audit_pending_strange", rows=strange)
    standing.strange = strange
    return done


def _left_behind() -> bool:
    """Whether a sequencer that was killed, here or elsewhere, has something committed and not signed or published."""
    newest = Checkpoint.objects.order_by("-position").values_list("note", flat=True).first()
    return newest == "" or store().read().next is not None
