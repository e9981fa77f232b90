"""Restart the server's processes one after another, so that everybody goes on working:

    sudo python3 /opt/samsnakk/deploy/rolling_restart.py --host samsnakk.example.no 8001 8002

Each is restarted by systemd (SIGTERM: it takes no new connections, tells its sockets 1012, writes what it has taken on
and ends), and must be ready again before the next one's turn. In between there is time for sockets to come back, spread
over some seconds by the clients themselves. One that does not get ready stops the rest: they serve on as they are.

Needs nothing but Python and `systemctl`. Ends with 0, or with 1 and one line that says which process is in the way.
"""

import argparse
import http.client
import subprocess
import sys
import time

UNIT = "samsnakk@{}.service"
PATIENCE_S = 90.0
LOOK_S = 0.5


class InTheWay(Exception):
    """A process that is not as it must be; the text is one line."""


def is_ready(port: int, host: str) -> bool:
    """Whether the process serves requests, database and all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health/ready", headers={"Host": host})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until_ready(port: int, host: str) -> float:
    """Seconds that it took. Raises InTheWay."""
    begun = time.monotonic()
    while not is_ready(port, host):
        if time.monotonic() - begun > PATIENCE_S:
            raise InTheWay(f"the process on port {port} is not ready after {PATIENCE_S:.0f} s: journalctl -u {UNIT}")
        time.sleep(LOOK_S)
    return time.monotonic() - begun


def restart(ports: list[int], host: str, settle_s: float) -> None:
    """All of them in turn. Raises InTheWay."""
    for port in ports:
        if not is_ready(port, host):
            raise InTheWay(f"the process on port {port} is not ready now: nothing was restarted. Is --host right?")
    for number, port in enumerate(ports):
        unit = UNIT.format(port)
        if subprocess.run(["systemctl", "restart", unit], check=False).returncode:
            raise InTheWay(f"systemctl could not restart {unit}")
        took = wait_until_ready(port, host)
        sys.stdout.write(f"{unit}: ready after {took:.1f} s\n")
        sys.stdout.flush()
        if number + 1 < len(ports):
            time.sleep(settle_s)


def main() -> int:
    parser = argparse.ArgumentParser(description="Restart the server's processes one after another.")
    parser.add_argument("ports", type=int, nargs="+", help="the instances: their ports")
    parser.add_argument("--host", required=True, help="one of ALLOWED_HOSTS")
    parser.add_argument("--settle", type=float, default=15.0, help="seconds between two (default 15)")
    given = parser.parse_args()
    try:
        restart(given.ports, given.host, given.settle)
    except InTheWay as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
