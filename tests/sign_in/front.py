"""Stands before the real provider, and passes on what it answers, altered as a test wishes: the network, an attacker on
it, or a provider gone bad."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
TOKEN, JWKS, PAR = "/token", "/jwks", "/request"
WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass
class Reply:
    """What the provider answered. Tests change it in place."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    drips_s: float = 0.0
    """Seconds between one byte and the next."""

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    def say(self, said: Any) -> None:
        self.body = json.dumps(said).encode()


@dataclass(frozen=True)
class Asked:
    """A request that came through."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


class Front(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.alter: dict[str, Callable[[Reply], None]] = {}
        """By path."""
        self.asked: list[Asked] = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reset(self) -> None:
        self.alter.clear()
        self.asked.clear()

    def asks(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.command, path, headers, form))
        reply = self._ask(body)
        if alter := self.server.alter.get(path):
            alter(reply)
        self.close_connection = True
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        try:
            if not reply.drips_s:
                self.wfile.write(reply.body)
                return
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                time.sleep(reply.drips_s)
        except OSError:
            return  # whoever asked has gone

    def _ask(self, body: bytes) -> Reply:
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=20)
        try:
            sent = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            behind.request(self.command, self.path, body or None, sent)
            answer = behind.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
            return Reply(answer.status, kept, answer.read())
        finally:
            behind.close()

    do_GET = do_POST = _pass_on  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        return
