"""An HTTP gateway for texts and calls on this machine: checks who asks, keeps what it was asked, and calls back as it
is told to.

    with GatewaySink("a secret of at least 32 characters") as gateway:
        (call,) = gateway.wait("voice")
        gateway.press(call, "1", base_url)
"""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

Call = dict[str, Any]
"""The order as it came: `id`, `kind`, `to`, `from`, `text`, …"""


class GatewaySink:
    """Threaded. An order with an id that it knows is answered, and not done again."""

    def __init__(self, secret: str, port: int = 0) -> None:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sink._take(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Quiet."""

        self.secret = secret
        self.orders: list[Call] = []
        """Every one that was signed, those that came again too."""
        self.faults: list[str] = []
        self._answers: list[int | str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._changed = threading.Condition()
        self._ending = threading.Event()

    def __enter__(self) -> "GatewaySink":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For GATEWAY_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/orders"

    @property
    def calls(self) -> list[Call]:
        """Texts and calls that were made, each once."""
        with self._changed:
            return list({one["id"]: one for one in reversed(self.orders)}.values())[::-1]

    def of(self, kind: str) -> list[Call]:
        """`voice` or `sms`."""
        return [one for one in self.calls if one["kind"] == kind]

    def script(self, answers: Sequence[int | str]) -> None:
        """Statuses that it answers next, or `hang`; then 202 for ever."""
        with self._changed:
            self._answers = list(answers)

    def wait(self, kind: str, count: int = 1, timeout_s: float = 10.0) -> list[Call]:
        """What it was asked, as soon as that is `count`; AssertionError when it takes too long."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: len({o["id"] for o in self.orders if o["kind"] == kind}) >= count, timeout_s
            )
            assert came, f"no {kind} came"
        return self.of(kind)

    def _ids(self, kind: str) -> set[str]:
        return {one["id"] for one in self.orders if one["kind"] == kind}

    # --- what it tells ---
    def press(self, call: Call, key: str, base_url: str = "") -> tuple[int, dict[str, Any]]:
        """Whoever was rung presses a key; status and answer."""
        return self.tell(call, "key", base_url, key=key)

    def tell(self, call: Call, what: str, base_url: str = "", **more: Any) -> tuple[int, dict[str, Any]]:
        """Call back: `delivered`, `ended`, `failed` (with `code`), …; `event` to say one again."""
        path, headers, body = self.said(call, what, **more)
        parts = urlsplit(base_url or call["callback"])
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
        try:
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def said(
        self, call: Call, what: str, *, event: UUID | None = None, timestamp: int | None = None, **more: Any
    ) -> tuple[str, dict[str, str], bytes]:
        """Path, headers and body of a callback, for tests without a server."""
        body = json.dumps({"event": str(event or uuid4()), "id": call["id"], "what": what, **more}).encode()
        at = str(int(time.time()) if timestamp is None else timestamp)
        headers = {
            "Content-Type": "application/json",
            "X-Samsnakk-Timestamp": at,
            "X-Samsnakk-Signature": self._sign(at, body),
        }
        return urlsplit(call["callback"]).path, headers, body

    # --- what it takes ---
    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        at = request.headers.get("X-Samsnakk-Timestamp") or "0"
        status: int | str
        if not hmac.compare_digest(self._sign(at, body), request.headers.get("X-Samsnakk-Signature") or ""):
            self.faults.append("signature")
            status = 401
        elif abs(int(at) - time.time()) > 300:
            self.faults.append("timestamp")
            status = 401
        else:
            with self._changed:
                status = self._answers.pop(0) if self._answers else 202
                if status == 202:
                    self.orders.append(json.loads(body))
                self._changed.notify_all()
        if isinstance(status, str):
            self._ending.wait(30)
            return
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _sign(self, at: str, body: bytes) -> str:
        return "v1=" + hmac.new(self.secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
