"""Looking names up within a limit. A name server that never answers holds a thread for as long as it likes: so threads
are counted, for each name and in all, and whoever finds none free is told at once."""

import socket
import threading
from collections import Counter
from concurrent.futures import Future
from typing import Any

SocketAddress = tuple[Any, ...]
Found = list[tuple[int, SocketAddress]]


class Names:
    """One purpose's own threads: `at_once` in all, `per_name` for one name."""

    def __init__(self, *, at_once: int, per_name: int) -> None:
        self._at_once, self._per_name = at_once, per_name
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def look_up(self, host: str, port: int, limit_s: float) -> Found:
        """Family and socket address of each address of the host. Raises TimeoutError, at once when too many look-ups
        hang already; OSError and UnicodeError as `getaddrinfo` does."""
        with self._lock:
            if self._busy[host] >= self._per_name or self._busy.total() >= self._at_once:
                raise TimeoutError
            self._busy[host] += 1
        asked: Future[Found] = Future()
        try:
            threading.Thread(target=self._ask, args=(host, port, asked), name="name", daemon=True).start()
        except RuntimeError:  # no more threads
            self._done(host)
            raise TimeoutError from None
        return asked.result(limit_s)

    def _ask(self, host: str, port: int, asked: "Future[Found]") -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            asked.set_result([(int(family), address) for family, _, _, _, address in found])
        except BaseException as error:  # noqa: BLE001 - told to whoever asked
            asked.set_exception(error)
        finally:
            self._done(host)

    def _done(self, host: str) -> None:
        with self._lock:
            self._busy[host] -= 1
            if not self._busy[host]:
                del self._busy[host]


VETTING = Names(at_once=4, per_name=1)
"""Of what anybody wants to register: apart from all that is being sent."""
PUSHING = Names(at_once=64, per_name=16)
AT_LEISURE = Names(at_once=16, per_name=2)
"""Messages and tests, which anybody brings about: apart from pages."""
GATEWAY = Names(at_once=16, per_name=16)
"""Apart from push services, which people choose: whoever sleeps is woken by telephone."""
