"""What this floor needs from higher ones; bound in `server/wiring.py`."""

from collections.abc import Sequence
from typing import Protocol

from server.common.ports import Port


class Recipients(Protocol):
    """Who gets a checkpoint a day, to keep where no operator can reach it."""

    def addresses(self) -> Sequence[str]:
        """E-mail addresses of the officers who are appointed now, of every controller."""


RECIPIENTS: Port[Recipients] = Port("audit.recipients")
